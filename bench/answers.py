"""What a BMS answered to one probe: read off the traces, by the search while it runs and by its judgement afterwards.

A probe's window begins when its level was commanded and ends some time after the current's end. Whether the BMS acted
is whether it ended the current of the protection's direction; the level is what the reference showed meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.attribution import ended_by_bench, find_end, magnitude, not_by_switch, raised_flags
from bench.errors import Inconclusive
from bench.judgements import REFERENCE
from bench.quantities import Direction
from bench.search_plan import Trial
from bench.stimulus_trace import stimulus_trace
from bench.traces import Trace, Traces

UNSETTLED_SHARE = 1.0 / 3.0  # of a probe's samples at its beginning, while source and reading settle


@dataclass(frozen=True, slots=True)
class Asked:
    """What all probes of one search have in common. Plain values, since they are stored beside the traces."""

    channel: str
    above: bool
    direction: str
    role: str
    other_flags: tuple[str, ...] = ()
    flow_a: float = 0.0  # that flows meanwhile, where the stimulus is no current


def answer(
    traces: Traces,
    asked: Asked,
    begin_s: float,
    end_s: float,
    *,
    slope_per_s: float = 0.0,
    settled_s: float | None = None,
) -> Trial:
    """Return what one window shows.

    `slope_per_s`: it was a ramp; its level is where it stood when the current ended. `settled_s`: when what is no
    current had arrived at its level; there it stays, whether a current flows or not.

    Raises:
        Inconclusive: the bench or another protection ended the current, none flowed, or it was not recorded.
    """
    way = Direction.of(asked.direction)
    current = magnitude(traces, way, begin_s, end_s)
    stimulus = stimulus_trace(traces, asked.channel, way, begin_s, end_s)
    ending = find_end(current, _onset_s(current))
    if asked.flow_a and ending.before_a < 0.5 * asked.flow_a:
        raise Inconclusive(
            f"{ending.before_a:.2f} A flowed where {asked.flow_a:.2f} A were to show whether {asked.channel} ends them"
        )
    aborted = [mark for mark in traces.marks if mark.name == "abort" and begin_s <= mark.at_s <= end_s]
    if aborted and (ending.at_s is None or ending.at_s >= aborted[0].at_s - ending.gap_s):
        raise Inconclusive(f"the bench's own abort ended the probe at {aborted[0].at_s:.2f} s")
    if ending.at_s is None:
        held = _level(stimulus, asked, ending.before_a, settled_s)
        return Trial(False, held.mean(), _spread(held), begin_s, end_s)
    last_s = ending.at_s - ending.gap_s / 2.0
    reason = ended_by_bench(traces, asked.role, begin_s, last_s)
    reason = reason or not_by_switch(traces, asked.role, ending.at_s, end_s)
    if reason:
        raise Inconclusive(reason)
    excuse = raised_flags(traces, list(asked.other_flags), begin_s, end_s)
    if excuse:
        raise Inconclusive(f"another protection acted first: {', '.join(excuse)}")
    before = stimulus.between(begin_s, last_s)
    if slope_per_s:
        before.need()
        return Trial(True, before.values[-1] + slope_per_s * ending.gap_s / 2.0, 0.0, begin_s, end_s)
    held = _level(before if asked.channel == REFERENCE else stimulus, asked, ending.before_a, settled_s)
    return Trial(True, held.mean(), _spread(held), begin_s, end_s)


def end_gap_s(traces: Traces, asked: Asked, begin_s: float, end_s: float) -> float:
    """Return the time between the two samples around the current's end; 0 where it did not end."""
    current = magnitude(traces, Direction.of(asked.direction), begin_s, end_s)
    return find_end(current, _onset_s(current)).gap_s


def _onset_s(current: Trace) -> float:
    """Return when the current has begun to flow: what the meter's noise does before is no end of anything."""
    most_a = max(current.values)
    return current.first(lambda value: value > 0.5 * most_a) or current.at_s[0]


def _level(stimulus: Trace, asked: Asked, peak_a: float, settled_s: float | None) -> Trace:
    """Return the samples of the level itself: once it has settled, and while it flows where it is a current."""
    if asked.channel == REFERENCE:
        pairs = [(at_s, value) for at_s, value in stimulus if value > 0.5 * peak_a]
    else:
        pairs = [(at_s, value) for at_s, value in stimulus if settled_s is None or at_s > settled_s]
    if asked.channel == REFERENCE or settled_s is None:
        pairs = pairs[int(UNSETTLED_SHARE * len(pairs)) :]
    return Trace(stimulus.name, [at_s for at_s, _ in pairs], [value for _, value in pairs]).need()


def _spread(held: Trace) -> float:
    return held.spread() if len(held) > 1 else 0.0
