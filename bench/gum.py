"""Coverage: from standard uncertainties to the half-width of a 95 % interval, without a statistics package.

U always belongs to the coverage probability of k = 2 for a normal distribution, 95.45 %: so that one-sided at most
2.3 % of results lie beyond U on either side. Sources: JCGM 100 annex G (Student's t, Welch and Satterthwaite),
JCGM 101 (a rectangular contribution that outweighs all others makes k = 2 too wide by up to 21 %).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable

COVERAGE = 2.0  # k for a normal distribution and any number of degrees of freedom
PROBABILITY = math.erf(COVERAGE / math.sqrt(2.0))  # 0.9545
DOMINATES = 0.5  # share of uc² from which on one rectangular contribution outweighs all others together
_TINY = 1e-300
_STEPS = 200


def effective_dof(parts: Iterable[tuple[float, float]]) -> float:
    """Return the effective degrees of freedom of uncorrelated (standard uncertainty, degrees of freedom) pairs.

    Welch and Satterthwaite, JCGM 100 G.4.1; infinite where nothing was estimated from few readings.
    """
    pairs = list(parts)
    variance = sum(standard**2 for standard, _ in pairs)
    doubt = sum(standard**4 / dof for standard, dof in pairs if math.isfinite(dof))
    return math.inf if doubt == 0.0 or variance**2 / doubt > 1e6 else variance**2 / doubt


@functools.lru_cache(maxsize=1024)
def student_k(dof: float, probability: float = PROBABILITY) -> float:
    """Return the two-sided quantile of Student's t: how many standard deviations cover `probability`.

    Raises:
        ValueError: no degrees of freedom, or a probability that is none.
    """
    if not dof > 0.0 or not 0.0 < probability < 1.0:
        raise ValueError(f"Student's t needs degrees of freedom and a probability, not {dof!r} and {probability!r}")
    if math.isinf(dof):
        return _bisect(lambda k: math.erf(k / math.sqrt(2.0)), probability, 40.0)

    def covered(k: float) -> float:
        return 1.0 - _beta_share(dof / 2.0, 0.5, dof / (dof + k * k))

    highest = 10.0
    while covered(highest) < probability:
        highest *= 10.0
    return _bisect(covered, probability, highest)


def rectangular_half_width(
    half_width: float, normal: float, probability: float = PROBABILITY, *, second: float = 0.0
) -> float:
    """Return the half-width covering `probability` of a rectangle ± a, blurred by a second one and a normal one.

    The closed convolution; what JCGM 101 would find by drawing. 0 for all gives 0.
    """
    if half_width <= 0.0:
        return _bisect(lambda k: math.erf(k / math.sqrt(2.0)), probability, 40.0) * normal
    if second < 1e-4 * half_width:  # too narrow to tell from a normal one, and its formula would lose digits
        normal, second = math.hypot(normal, second / math.sqrt(3.0)), 0.0
    if not second and normal < 1e-9 * half_width:
        return probability * half_width
    normal = max(normal, 1e-9 * half_width)

    def once(x: float) -> float:  # the integral of the normal distribution function, at x
        z = x / normal
        return normal * (z * _phi(z) + _density(z))

    def twice(x: float) -> float:  # and the integral of that
        z = x / normal
        return normal * normal * 0.5 * ((z * z + 1.0) * _phi(z) + z * _density(z))

    def below(x: float) -> float:
        if not second:
            return (once(x + half_width) - once(x - half_width)) / (2.0 * half_width)
        outer = twice(x + half_width + second) + twice(x - half_width - second)
        inner = twice(x + half_width - second) + twice(x - half_width + second)
        return (outer - inner) / (4.0 * half_width * second)

    return _bisect(lambda x: 2.0 * below(x) - 1.0, probability, half_width + second + 8.0 * normal)


def _phi(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def _density(z: float) -> float:
    return math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)


def tur(low: float | None, high: float | None, value: float, expanded: float) -> float:
    """Return the test uncertainty ratio: (TU - TL) / 2U, or with one limit its distance from the value / U.

    4 is the traditional demand with simple acceptance; a point below 1 cannot be judged. Infinite for U = 0.
    """
    if expanded == 0.0:
        return math.inf
    if low is not None and high is not None:
        return (high - low) / (2.0 * expanded)
    limit = high if low is None else low
    if limit is None:
        raise ValueError("a test uncertainty ratio needs a limit")
    return abs(limit - value) / expanded


def _bisect(covered: Callable[[float], float], probability: float, highest: float) -> float:
    low, high = 0.0, highest
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        if covered(middle) < probability:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def _beta_share(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function, by its continued fraction (Abramowitz and Stegun 26.5.8)."""
    if x <= 0.0 or x >= 1.0:
        return 0.0 if x <= 0.0 else 1.0
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - _beta_share(b, a, 1.0 - x)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    c, d = 1.0, 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1.0))
    fraction = d
    for m in range(1, _STEPS):
        for step in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 / _away_from_zero(1.0 + step * d)
            c = _away_from_zero(1.0 + step / c)
            fraction *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return front * fraction / a


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
