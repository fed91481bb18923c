"""A current as a sum of decaying exponentials, and its integrals in closed form.

Everything the pack needs to know about a stretch of time is three integrals of the current: the charge, the charge
as the polarisation remembers it, and the square for the heat. For sums of exponentials all three are closed, so a
stretch may be long and costs the same as a short one.
"""

from __future__ import annotations

from math import exp, expm1, sqrt


def _phi(rate: float, t: float) -> float:
    """Return the integral of exp(-rate * s) for s from 0 to t; any sign of the rate, also zero."""
    x = rate * t
    if abs(x) < 1e-12:
        return t
    return -expm1(-x) / rate


class Waveform:
    """I(t) = sum of amplitude_a * exp(-rate * t), t in seconds from the start of the stretch."""

    __slots__ = ("terms",)

    def __init__(self, *terms: tuple[float, float]) -> None:
        self.terms = terms

    def current_a(self, t: float) -> float:
        """Return the current at t, in amperes."""
        total = 0.0
        for amplitude, rate in self.terms:
            total += amplitude if rate == 0.0 else amplitude * exp(-rate * t)
        return total

    def charge_c(self, t: float) -> float:
        """Return the charge that has passed from 0 to t, in coulombs."""
        total = 0.0
        for amplitude, rate in self.terms:
            total += amplitude * (t if rate == 0.0 else _phi(rate, t))
        return total

    def remembered_a(self, t: float, memory_rate: float) -> float:
        """Return the current seen through a first-order memory (1/s): the part of it an RC pair has followed.

        Integral of I(s) * memory_rate * exp(-memory_rate * (t - s)), in amperes.
        """
        total = 0.0
        for amplitude, rate in self.terms:
            total += amplitude * exp(-rate * t) * _phi(memory_rate - rate, t)
        return total * memory_rate

    def square_a2s(self, t: float) -> float:
        """Return the integral of the squared current from 0 to t, in ampere squared seconds."""
        total = 0.0
        for a1, r1 in self.terms:
            for a2, r2 in self.terms:
                total += a1 * a2 * _phi(r1 + r2, t)
        return total


def driven(
    *,
    start_a: float,
    resistance_ohm: float,
    stiffness_v_per_c: float,
    pair_ohm: float,
    pair_rate: float,
    pair_v: float,
    sinking_v_per_s: float = 0.0,
    bled_v: float = 0.0,
) -> Waveform:
    """Return the current from an ideal voltage source through a resistance into cells with one RC pair.

    Solves R I' = -(S I - s) - U', U' = (R1 I - w - U) / tau: the source voltage is constant, the open-circuit voltage
    rises with S volts per coulomb, the pair is at `pair_v` now. Bleeders let it sink by s volts per second and take
    w volts from where the pair will settle. The network is passive, so both rates are real and not negative; they
    differ whenever the pair has a resistance.
    """
    # What makes up for the bleeders in the end; around it, the equations are those without them.
    steady_a = sinking_v_per_s / stiffness_v_per_c if sinking_v_per_s and stiffness_v_per_c else 0.0
    start_a, pair_v = start_a - steady_a, pair_v + bled_v - pair_ohm * steady_a
    a = (stiffness_v_per_c + pair_rate * pair_ohm) / resistance_ohm
    b = pair_rate / resistance_ohm
    fast = 0.5 * (a + pair_rate + sqrt((a - pair_rate) ** 2 + 4.0 * b * pair_rate * pair_ohm))
    slow = b * stiffness_v_per_c / fast  # product of the rates; subtracting would lose the digits
    slope = -a * start_a + b * pair_v
    fast_a = (-slope - slow * start_a) / (fast - slow)
    terms = (start_a - fast_a, slow), (fast_a, fast)
    return Waveform((steady_a, 0.0), *terms) if steady_a else Waveform(*terms)
