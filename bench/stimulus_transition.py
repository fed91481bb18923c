"""How a current changed its quadrant, measured: when it left, how long it stood at zero, how far it overshot.

A record, no judgement. Its channel is the reference current; nothing shorter than the time between two samples is seen,
and the record says how long that was.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from bench.definition import Definition
from bench.errors import Inconclusive
from bench.quantities import show
from bench.traces import Mark, Trace, Traces
from bench.uncertainty import Uncertain

QUADRANT = "quadrant"  # the mark that is set when another quadrant is commanded
CHANNEL = "reference_current"
ZERO_SHARE = 0.05  # of the smaller level: within this it stands at zero
LEFT_SHARE = 0.9  # of a level: below this it has left, above this it has arrived
SETTLED_SHARE = 0.02  # of the new level: within this it has settled ...
SETTLED_FLOOR_A = 0.15  # ... or this
LOOK_BACK_S = 0.5
LOOK_AHEAD_S = 3.0
TAIL_SHARE = 0.25  # of what follows the mark: its end shows the new level


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of quadrant. Times in seconds from the mark, currents in pack sign."""

    at_s: float
    how: str
    from_a: float
    to_a: float
    left_s: float  # it has left the old level
    at_zero_s: Uncertain  # how long it stood within 5 % of the smaller level around zero
    arrived_s: float  # it has reached 90 % of the new level
    settled_s: float | None  # from then on it stays within 2 % of the new level; None where it is meant to move on
    overshoot_a: float | None  # beyond the new level, a magnitude; 0 where none was seen, None as above
    gap_s: float  # the longest time between two samples meanwhile: nothing shorter was seen

    def __str__(self) -> str:
        end = "meant to move on"
        if self.settled_s is not None and self.overshoot_a is not None:
            end = f"settled after {self.settled_s:.3f} s, overshoot {self.overshoot_a:.2f} A"
        return (
            f"{self.from_a:+.2f} A to {self.to_a:+.2f} A ({self.how}): left after {self.left_s:.3f} s, "
            f"{show(self.at_zero_s.value, 's', self.at_zero_s.expanded, signed=False)} at zero, arrived after "
            f"{self.arrived_s:.3f} s, {end}; samples up to {self.gap_s:.3f} s apart"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it for the lab book."""
        return asdict(self)


def how_quadrants_change(definition: Definition) -> str:
    """Say how a bench changes the quadrant, for lab book and report."""
    if "bidirectional" in definition.roles:
        return (
            f"{quadrants_by(definition)}: it stays on, the old quadrant's limit goes to zero, then the "
            "voltage and the new limit are set"
        )
    return f"{quadrants_by(definition)}: the one that drives goes to zero and off, then the other one is switched on"


def quadrants_by(definition: Definition) -> str:
    """Say with which instruments a bench changes the quadrant, in a few words."""
    names = [definition.roles[role] for role in ("bidirectional", "supply", "load") if role in definition.roles]
    return f"by {' and '.join(names)}"


def measure_transition(traces: Traces, mark: Mark, *, until_s: float | None = None, moving: bool = False) -> Transition:
    """Measure one change of quadrant on the traces.

    Args:
        traces: with the reference current.
        mark: set when the new quadrant was commanded; its detail says how.
        until_s: until when the new level was held, in seconds; 3 s after the mark at most.
        moving: the current was not meant to stay at one level, so nothing is said of settling and overshoot.

    Raises:
        Inconclusive: too few samples, or the current did not arrive in the other quadrant.
    """
    end_s = mark.at_s + LOOK_AHEAD_S if until_s is None else min(until_s, mark.at_s + LOOK_AHEAD_S)
    trace = traces[CHANNEL]
    before = trace.between(mark.at_s - LOOK_BACK_S, mark.at_s).need(1)
    after = trace.between(mark.at_s, end_s).need(3)
    to_a = _level(after, mark.at_s + (1.0 - TAIL_SHARE) * (end_s - mark.at_s))
    from_a = statistics.median(before.values)
    way = 1.0 if to_a > 0 else -1.0
    if abs(to_a) <= SETTLED_FLOOR_A or (from_a * to_a > 0 and abs(from_a) > SETTLED_FLOOR_A):
        raise Inconclusive(
            f"after the change of quadrant at {mark.at_s:.3f} s the reference shows {show(to_a, 'A')} (before it "
            f"{show(from_a, 'A')}): it did not arrive"
        )
    was = abs(from_a) > SETTLED_FLOOR_A
    band_a = ZERO_SHARE * (min(abs(from_a), abs(to_a)) if was else abs(to_a))
    window = Trace(CHANNEL, [before.at_s[-1], *after.at_s], [before.values[-1], *after.values])
    left_s = mark.at_s if not was else _first(window, lambda value: value * -way < LEFT_SHARE * abs(from_a), mark.at_s)
    last_old = max((at_s for at_s, value in window if value * way < -band_a), default=mark.at_s)
    first_new = _first(window, lambda value: value * way > band_a, mark.at_s)
    inside = [at_s for at_s, value in window if last_old < at_s < first_new and abs(value) <= band_a]
    # From rest it begins with the mark; else both ends lie somewhere between two samples.
    begins = [mark.at_s] if not was else inside[:1]
    seen_s = inside[-1] - begins[0] if inside else 0.0
    at_zero = _between(seen_s, first_new - last_old, ends=2 if was and inside else 1)
    arrived_s = _first(window, lambda value: value * way >= LEFT_SHARE * abs(to_a), mark.at_s)
    settled_band_a = max(SETTLED_FLOOR_A, SETTLED_SHARE * abs(to_a))
    outside = [at_s for at_s, value in window if abs(value - to_a) > settled_band_a]
    settled_s = arrived_s if moving else _settled_s(window, outside, mark.at_s)
    most_a = max(value * way for _, value in after) - abs(to_a)
    gaps = [later - at_s for at_s, later in pairwise(window.between(window.at_s[0], settled_s).at_s)]
    return Transition(
        at_s=mark.at_s,
        how=mark.detail,
        from_a=from_a,
        to_a=to_a,
        left_s=left_s - mark.at_s,
        at_zero_s=at_zero,
        arrived_s=arrived_s - mark.at_s,
        settled_s=None if moving else settled_s - mark.at_s,
        overshoot_a=None if moving else (most_a if most_a > settled_band_a else 0.0),
        gap_s=max(gaps, default=0.0),
    )


def _between(least_s: float, most_s: float, *, ends: int) -> Uncertain:
    """Return a time between its least and its most: with one open end a rectangle, with two of them a triangle."""
    half_s = (most_s - least_s) / 2.0
    standard_s = half_s / (3.0**0.5 if ends == 1 else 6.0**0.5)
    return Uncertain((most_s + least_s) / 2.0, min(half_s, 2.0 * standard_s), "s")


def _settled_s(window: Trace, outside: list[float], mark_s: float) -> float:
    """Return when the first sample was taken after the last one that lay outside the band."""
    return _first(window, lambda value: True, max(outside) + 1e-9) if outside else mark_s


def _level(trace: Trace, from_s: float) -> float:
    """Return the level at the end of a stretch: the median of its last quarter."""
    tail = [value for at_s, value in trace if at_s >= from_s]
    return statistics.median(tail or trace.values[-1:])


def _first(trace: Trace, holds: Callable[[float], bool], after_s: float) -> float:
    found = trace.first(holds, after_s=after_s)
    if found is None:
        raise Inconclusive(f"the reference current never came where it should after {after_s:.3f} s")
    return found
