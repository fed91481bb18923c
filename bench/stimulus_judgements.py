"""Judgements about protections whose stimulus is a voltage or a temperature, while a current shows who ends it.

The stimulus is what the bench measured (`channel`, see `bench.stimulus_trace`), the end is that of the reference
current. `above` says on which side of the threshold the protection acts. Levels that open nothing (information,
warning) are judged by their flags. Over-current has judgements of its own in `bench.trip_judgements`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.attribution import (
    ended_by_bench,
    find_end,
    magnitude,
    not_by_switch,
    raised_flags,
)
from bench.errors import Inconclusive
from bench.evidence import Measurement
from bench.judgements import REFERENCE, judgement
from bench.quantities import Direction
from bench.stimulus_trace import stimulus_trace
from bench.timing import between_samples
from bench.traces import Trace, Traces
from bench.trip_judgements import blocked
from bench.trip_parts import after_trip, delay, opened_early, require_by_bms
from bench.uncertainty import Budget, Contribution, Uncertain
from bench.verdict import DecisionRule, Limits


@dataclass(frozen=True, slots=True)
class Demand:
    """What was asked of the stimulus: its threshold and from where on a trip is due, on which side."""

    above: bool
    threshold: float
    demand: float
    unit: str

    def beyond(self, value: float, level: float) -> bool:
        """Say whether a value lies beyond a level."""
        return value > level if self.above else value < level

    def crossing(self, trace: Trace, told_s: Sequence[float] = ()) -> tuple[float, float] | None:
        """Return when the threshold was crossed, the middle between two samples, and the gap between them.

        `told_s` is when the stimulus was commanded: before the last of these it has not moved, so the gap begins there.
        """
        for index in range(1, len(trace)):
            if self.beyond(trace.values[index], self.threshold) and not self.beyond(
                trace.values[index - 1], self.threshold
            ):
                before_s, now_s = trace.at_s[index - 1], trace.at_s[index]
                before_s = max([before_s, *(at_s for at_s in told_s if before_s < at_s < now_s)])
                return (before_s + now_s) / 2, now_s - before_s
        return None

    def furthest(self, trace: Trace) -> float:
        """Return the value that went furthest."""
        return max(trace.values) if self.above else min(trace.values)

    def nearest(self, trace: Trace) -> float:
        """Return the value that went least far."""
        return min(trace.values) if self.above else max(trace.values)

    def surely(self, trace: Trace, expanded: float) -> bool:
        """Say whether every value lay beyond the demand by its uncertainty."""
        nearest = self.nearest(trace)
        return nearest - expanded >= self.demand if self.above else nearest + expanded <= self.demand


@judgement
def stimulus_trips(
    traces: Traces,
    rule: DecisionRule,
    *,
    protection: str,
    channel: str,
    above: bool,
    threshold: float,
    demand: float,
    unit: str,
    stimulus_u: float,
    begin_s: float,
    end_s: float,
    delay_min_s: float,
    delay_max_s: float,
    direction: str,
    flow_a: float,
    zero_a: float,
    reference_u_a: float,
    role: str,
    other_flags: list[str],
    moved_s: float | None = None,
    edge_s: float = 0.0,
    averaging_s: float = 0.0,
) -> list[Measurement]:
    """Beyond its limit the BMS ends the current of its direction, neither late nor early, and it is really off.

    `demand` is the stimulus from which on a trip is due (threshold and tolerance), `flow_a` the current that flows
    meanwhile, `moved_s` when the stimulus was commanded (it moved no earlier), `edge_s` how long its edge takes,
    `averaging_s` over how long the reference averages.

    Raises:
        Inconclusive: the stimulus did not surely reach or keep what demands a trip, the current did not flow before,
            or the bench or another protection ended it.
    """
    asked = Demand(above, threshold, demand, unit)
    way = Direction.of(direction)
    current = magnitude(traces, way, begin_s, end_s)
    stimulus = stimulus_trace(traces, channel, way, begin_s, recorded_until(traces, current, begin_s, end_s))
    crossing = asked.crossing(stimulus, told_times(traces, moved_s))
    if crossing is None:
        if asked.beyond(asked.furthest(stimulus), threshold):
            raise Inconclusive(f"{channel} was beyond {threshold:g} {unit} before the recording began")
        return [
            opened_early(
                traces,
                rule,
                protection,
                current,
                begin_s,
                role=role,
                other_flags=other_flags,
                never=f"{channel} never crossed {threshold:g} {unit}; at most {asked.furthest(stimulus):.4g}",
                where=lambda ending, at_s: f"{stimulus.at(at_s):.4g} {unit}",
                least_a=0.5 * flow_a,
            )
        ]
    t0_s, gap_s = crossing
    flowing = current.between(begin_s, t0_s)
    if not len(flowing) or flowing.values[-1] < 0.5 * flow_a:
        raise Inconclusive(f"no current flowed when {channel} crossed {threshold:g} {unit}; nothing could be ended")
    ending = find_end(current, t0_s)
    abort_s = next((mark.at_s for mark in traces.marks if mark.name == "abort" and t0_s <= mark.at_s <= end_s), None)
    until_s = min(at_s for at_s in (ending.at_s, abort_s, stimulus.at_s[-1]) if at_s is not None)
    # From the second sample beyond the threshold on; where there is one only, it is all there is to prove the demand.
    held = stimulus.between(t0_s + gap_s, until_s)
    held = held if len(held) else stimulus.between(t0_s, until_s).need()
    if not asked.surely(held, stimulus_u):
        raise Inconclusive(
            f"{channel} was {asked.nearest(held):.4g} ± {stimulus_u:.2g} {unit}, not surely beyond {demand:.4g}, from "
            "which on a trip is due"
        )
    furthest = asked.furthest(stimulus)
    named = f"{protection}: trip delay at {furthest:.4g} {unit}"
    edges = [between_samples("t0 between two samples", gap_s)]
    if edge_s:
        edges.append(Contribution.within("edge of the stimulus", edge_s / 2.0, "rectangular"))
    if abort_s is not None and (ending.at_s is None or ending.at_s >= abort_s - ending.gap_s):
        waited = Budget("s", tuple(edges)).of(abort_s - t0_s)
        if waited.value <= delay_max_s + waited.expanded:
            raise Inconclusive(
                f"{protection}: the bench ended it after {waited.value:.2f} s, {delay_max_s:g} s are allowed"
            )
        name = f"{protection}: no trip at {furthest:.4g} {unit} for"
        hint = f"the bench ended it after {waited.value:.1f} s"
        return [delay(name, waited, delay_min_s, delay_max_s, rule, t0_s, hint)]
    if ending.at_s is None:
        raise Inconclusive(
            f"{protection}: the recording ends at {end_s:.1f} s while {ending.before_a:.1f} A still flow"
        )
    require_by_bms(traces, role, begin_s, ending.at_s, ending.gap_s, end_s)
    edges.append(between_samples("end between samples", ending.gap_s))
    if averaging_s:
        edges.append(Contribution.within("averaging of the reference", averaging_s / 2.0, "rectangular"))
    # A fall is seen at the end of the averaging in which it lies: anywhere in it, on average in its middle.
    found = Budget("s", tuple(edges)).of(ending.at_s - averaging_s / 2.0 - t0_s)
    word = "late" if found.value > delay_max_s else "early"
    hint = "" if delay_min_s <= found.value <= delay_max_s else f"looks like: it trips too {word}"
    return [
        delay(named, found, delay_min_s, delay_max_s, rule, t0_s, hint),
        after_trip(
            traces, rule, protection, current, ending.at_s, end_s, zero_a=zero_a, reference_u_a=reference_u_a, role=role
        ),
    ]


def told_times(traces: Traces, moved_s: float | None) -> list[float]:
    """Return when the stimulus was commanded, and when the emulator says that it sent a setting after that."""
    if moved_s is None:
        return []
    return [moved_s, *(mark.at_s for mark in traces.marks if mark.name == "cells_told" and mark.at_s >= moved_s)]


def recorded_until(traces: Traces, current: Trace, begin_s: float, end_s: float) -> float:
    """Return until when the stimulus matters: the end of the current, or the bench's abort, and a look more."""
    ending = find_end(current, begin_s)
    aborts = (mark.at_s for mark in traces.marks if mark.name == "abort" and begin_s <= mark.at_s <= end_s)
    over_s = [at_s for at_s in (ending.at_s, next(aborts, None)) if at_s is not None]
    return min([end_s, *(at_s + ending.gap_s for at_s in over_s)])


@judgement
def stimulus_quiet(
    traces: Traces,
    rule: DecisionRule,
    *,
    protection: str,
    channel: str,
    above: bool,
    quiet: float,
    least: float,
    unit: str,
    stimulus_u: float,
    begin_s: float,
    end_s: float,
    direction: str,
    flow_a: float,
    reference_u_a: float,
    role: str,
    other_flags: list[str],
) -> list[Measurement]:
    """Just inside its limit the BMS stays closed: the current flows on all through the window.

    `quiet` is the stimulus up to which it must stay closed (threshold without tolerance), `least` how far it must have
    gone all the time: staying closed in peace is no proof.

    Raises:
        Inconclusive: the stimulus was not held so far, or left what must be tolerated; another ended the current.
    """
    way = Direction.of(direction)
    stimulus = stimulus_trace(traces, channel, way, begin_s, end_s)
    current = magnitude(traces, way, begin_s, end_s)
    furthest = max(stimulus.values) if above else min(stimulus.values)
    nearest = min(stimulus.values) if above else max(stimulus.values)
    outside = furthest + stimulus_u > quiet if above else furthest - stimulus_u < quiet
    lowest_a = min(current.values)
    if lowest_a < 0.5 * flow_a:
        fell_s = current.first(lambda value: value < 0.5 * flow_a) or end_s
        reason = ended_by_bench(traces, role, begin_s, fell_s) or not_by_switch(traces, role, fell_s, end_s)
        excuse = raised_flags(traces, other_flags, begin_s, fell_s + 1.0)
        if reason or excuse:
            raise Inconclusive(reason or f"another protection acted first: {', '.join(excuse)}")
        if outside:
            raise Inconclusive(
                f"{channel} was at {furthest:.4g} ± {stimulus_u:.2g} {unit}; only up to {quiet:.4g} must it stay closed"
            )
    elif nearest < least if above else nearest > least:
        raise Inconclusive(f"{channel} was at {nearest:.4g} {unit}, {least:.4g} {unit} were to be held at least")
    return [
        Measurement(
            name=f"{protection}: lowest {way.word} current at {furthest:.4g} {unit}",
            value=Uncertain(lowest_a, reference_u_a, "A"),
            limits=Limits(low=0.5 * flow_a),
            rule=rule,
            source=REFERENCE,
            reference=f"{flow_a:.1f} A forced from {begin_s:.1f} s to {end_s:.1f} s",
            at_s=begin_s,
            hint="" if lowest_a >= 0.5 * flow_a else "looks like: it trips too early",
        )
    ]


@judgement
def blocked_while(
    traces: Traces,
    rule: DecisionRule,
    *,
    channel: str,
    unit: str,
    stimulus_u: float,
    direction: str,
    begin_s: float,
    end_s: float,
    low: float | None = None,
    high: float | None = None,
    **offered: Any,
) -> list[Measurement]:
    """Although the bench offers it, no current flows while the stimulus surely lies within these limits.

    `offered` is what `blocked` takes beside direction and window.

    Raises:
        Inconclusive: the stimulus was not surely there all the time, or as `blocked`.
    """
    stimulus = stimulus_trace(traces, channel, Direction.of(direction), begin_s, end_s)
    span = Limits(low, high)
    worst = min(stimulus.values, key=span.margin)
    if span.margin(worst) < stimulus_u:
        told = f"{worst:.4g} ± {stimulus_u:.2g} {unit}"
        raise Inconclusive(f"{channel} was at {told}, not surely within {span} {unit}: its staying open proves nothing")
    return blocked(traces, rule, direction=direction, begin_s=begin_s, end_s=end_s, **offered)
