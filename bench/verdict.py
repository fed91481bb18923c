"""Verdicts: limits, decision rules, and the levels between which a protection is judged.

The rule is chosen before the test and printed with each verdict. U is never added to a tolerance.
Sources: JCGM 106, ILAC-G8:09/2019 (decision rules); the levels are this project's own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from bench.protection import Protection
from bench.uncertainty import Uncertain

RuleName = Literal["guarded", "simple", "binary"]
ABORT_FACTOR = 1.2  # a provocation is ended after this many times the longest allowed delay plus its uncertainty


class Verdict(Enum):
    """What can be said of one judged value."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Limits:
    """Tolerance limits; one of them may be absent."""

    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if self.low is None and self.high is None:
            raise ValueError("limits need at least one side")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"limits are the wrong way round: {self.low:g} to {self.high:g}")

    @classmethod
    def around(cls, centre: float, tolerance: float) -> Limits:
        """Return centre ± tolerance."""
        return cls(centre - tolerance, centre + tolerance)

    def margin(self, value: float) -> float:
        """Return how far inside the nearest limit a value lies; negative outside."""
        low = math.inf if self.low is None else value - self.low
        high = math.inf if self.high is None else self.high - value
        return min(low, high)

    def text(self, decimals: int | None = None, *, signed: bool = False) -> str:
        """Write the limits; with `decimals` as many digits as the value beside them has."""

        def write(value: float) -> str:
            plain = f"{value:g}" if decimals is None or value == round(value) else f"{value:.{decimals}f}"
            return f"+{plain}" if signed and value > 0 else plain

        if self.low is None:
            return f"at most {write(self.high or 0.0)}"
        if self.high is None:
            return f"at least {write(self.low)}"
        return f"{write(self.low)} to {write(self.high)}"

    def __str__(self) -> str:
        return self.text()


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, with the probability that the true value conforms, and how it came about in words."""

    verdict: Verdict
    conformance: float
    text: str


@dataclass(frozen=True, slots=True)
class DecisionRule:
    """How a value near a limit is judged.

    guarded: pass inside by at least U, fail outside by more than U, inconclusive between (the default).
    simple:  pass inside, fail outside; for clauses whose text fixes the bench's accuracy.
    binary:  pass inside by at least U, fail otherwise.
    """

    name: RuleName = "guarded"

    def judge(self, value: Uncertain, limits: Limits) -> Judgement:
        """Judge a value with its expanded uncertainty against limits of the same unit."""
        margin = limits.margin(value.value)
        conformance = conformance_probability(value, limits)
        if self.name == "simple":
            verdict = Verdict.PASS if margin >= 0 else Verdict.FAIL
        elif margin >= value.expanded:
            verdict = Verdict.PASS
        elif self.name == "binary" or margin < -value.expanded:
            verdict = Verdict.FAIL
        else:
            verdict = Verdict.INCONCLUSIVE
        side = "inside" if margin >= 0 else "outside"
        how = "by at least U" if abs(margin) >= value.expanded else "by less than U"
        text = f"{side} the limits {how}, {100 * conformance:.3g} % likely to conform"
        return Judgement(verdict, conformance, text)


def conformance_probability(value: Uncertain, limits: Limits) -> float:
    """Return the probability that the true value lies within the limits, for a normal distribution (JCGM 106)."""
    if value.standard == 0:
        return 1.0 if limits.margin(value.value) >= 0 else 0.0

    def phi(x: float) -> float:
        return 0.5 * (1.0 + math.erf(x / math.sqrt(2.0)))

    upper = 1.0 if limits.high is None else phi((limits.high - value.value) / value.standard)
    lower = 0.0 if limits.low is None else phi((limits.low - value.value) / value.standard)
    return max(0.0, upper - lower)


@dataclass(frozen=True, slots=True)
class StimulusLevels:
    """The two levels of a stimulus, as magnitudes in inside units. Between them nothing is demanded."""

    must_not_trip: float
    must_trip: float


def stimulus_levels(protection: Protection, expanded: float, ripple: float = 0.0) -> StimulusLevels:
    """Return the levels for a protection that acts above its threshold.

    must-not-trip = threshold - tolerance - U; must-trip = the larger of threshold + tolerance + U and
    1.05 x threshold; the stimulus' ripple (a peak value) widens both.
    """
    threshold, tolerance = protection.threshold_si, protection.tolerance_si
    return StimulusLevels(
        must_not_trip=threshold - tolerance - expanded - ripple,
        must_trip=max(threshold + tolerance + expanded, 1.05 * threshold) + ripple,
    )


def trip_levels(protection: Protection, expanded: float, ripple: float) -> StimulusLevels:
    """Return the levels of a voltage or a temperature, above or below its threshold.

    Threshold -/+ tolerance -/+ U: a share of the threshold, as for currents, means nothing for degrees, and would lead
    a cell beyond what it survives. `ripple` is how far the stimulus may be off its level; it widens both.
    """
    about, threshold = protection.about, protection.threshold_si
    away = protection.tolerance_si + expanded + ripple
    return StimulusLevels(about.further(threshold, -away), about.further(threshold, away))


def hold_time_s(protection: Protection) -> float:
    """How long the must-not-trip level is held: twice the longest delay."""
    return 2.0 * protection.delay_s.max


def abort_after_s(protection: Protection, expanded_s: float) -> float:
    """When a provocation is ended by the bench: 1.2 x (longest delay + U)."""
    return ABORT_FACTOR * (protection.delay_s.max + expanded_s)


def sign_levels(measuring_range_a: float, must_not_trip_a: float, floor_a: float) -> tuple[float, float, float]:
    """Return the three magnitudes of a sign test: the smallest that means something, 10 % and 80 %.

    Percentages are of the smaller of the measuring range and 0.95 x must-not-trip.
    """
    span = min(measuring_range_a, 0.95 * must_not_trip_a)
    return (floor_a, 0.10 * span, 0.80 * span)
