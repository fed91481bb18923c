"""What a bench can resolve of a protection's times, told before anything is energised, with what would be needed."""

from __future__ import annotations

from bench.budgets import averaging_s
from bench.definition import Definition
from bench.errors import Inconclusive
from bench.guard import FAST_S
from bench.gum import tur
from bench.planning import LEAST_TUR, delay_refusal, sample_s, threshold_refusal
from bench.profile import Profile
from bench.protection import Protection
from bench.timing import flag_delay, trip_delay

SEARCHED = 1.0 / 3.0  # how far a needed sampling is looked for: each try a third finer


def resolvable(protection: Protection, definition: Definition, profile: Profile) -> str | None:
    """Return why the delay of a protection cannot be judged on this bench and what it would take; None if it can."""
    del profile  # what it declares of flags does not keep the trip's own delay from being judged
    refusal = delay_refusal(definition, protection)
    if refusal is None:
        return None
    gap_s, needed_s = sample_s(protection), needed_sample_s(protection)
    more = "" if needed_s >= gap_s else f"; needs samples every {_time(needed_s)}, this bench has {_time(gap_s)}"
    if more and protection.about.quantity == "current" and "digitiser" not in definition.roles:
        more += ": a digitiser at the shunt would do"
    return f"{protection.name}: {refusal}{more}"


def flag_resolvable(protection: Protection, definition: Definition, profile: Profile, offset_s: float) -> str | None:
    """Return why a promised delay of a flag cannot be judged, or None; `offset_s`: limit of the clock offset."""
    if protection.flag is None or protection.flag_delay_s is None:
        return None
    period_s, window = profile.signals[protection.flag].period_s, protection.flag_delay_s
    budget = flag_delay(sample_s(protection), period_s, averaging_s=averaging_s(definition), clock_offset_s=offset_s)
    ratio = tur(window.min or None, window.max, 0.0, budget.expanded)
    if ratio >= LEAST_TUR:
        return None
    room_s = (window.max - window.min) / 2.0 if window.min else window.max
    return (
        f"{protection.name}: its flag is told every {_time(period_s)}, so U = {_time(budget.expanded)}; a window of "
        f"{window.min:g} to {window.max:g} s needs less than {_time(room_s)}: a faster message, or an output of the BMS"
    )


def needed_sample_s(protection: Protection) -> float:
    """Return how often the stimulus must be sampled so that the delay window is resolved, in seconds."""
    half_s = (protection.delay_s.max - protection.delay_s.min) / 2.0
    gap_s = min(sample_s(protection), protection.delay_s.max)
    for _ in range(60):
        if trip_delay(gap_s, min(gap_s, FAST_S)).expanded < half_s and gap_s <= protection.delay_s.max:
            break
        gap_s *= 1.0 - SEARCHED
    return gap_s


def require_resolvable(protection: Protection, definition: Definition, profile: Profile) -> None:
    """See that delay and threshold can be judged at all.

    Raises:
        Inconclusive: the delay is not resolved, or TUR < 1 at the threshold; with what it would take.
    """
    reasons = (resolvable(protection, definition, profile), threshold_refusal(definition, profile, protection))
    told = "; ".join(text for text in reasons if text is not None)
    if told:
        raise Inconclusive(told)


def _time(seconds: float) -> str:
    """Write a time with two digits or all of its whole units, in the unit that suits it."""
    for unit, factor in (("s", 1.0), ("ms", 1e3)):
        if seconds * factor >= 1.0:
            return f"{seconds * factor:.0f} {unit}" if seconds * factor >= 10.0 else f"{seconds * factor:.2g} {unit}"
    return f"{seconds * 1e6:.2g} µs"
