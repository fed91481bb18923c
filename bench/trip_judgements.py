"""Judgements about protections: quiet inside, trip outside, in time, the right switch, and the current's real end.

Who ended a current is told in `bench.attribution`.
"""

from __future__ import annotations

from bench.attribution import (
    SWITCH_DROP_V,
    driven_by,
    ended_by_bench,
    find_end,
    magnitude,
    not_by_switch,
    raised_flags,
    reached,
    require_stimulus,
    switch_drop_v,
)
from bench.errors import Inconclusive
from bench.evidence import Measurement, fact
from bench.judgements import REFERENCE, heard, judgement
from bench.quantities import Direction, show
from bench.rise import early_on_the_way, find_rise, require_demand
from bench.timing import between_samples, flag_delay, trip_delay
from bench.traces import Traces
from bench.trip_parts import after_trip, delay, opened_early, require_by_bms
from bench.uncertainty import Budget, Uncertain
from bench.verdict import DecisionRule, Limits


@judgement
def keeps_flowing(
    traces: Traces,
    rule: DecisionRule,
    *,
    direction: str,
    begin_s: float,
    end_s: float,
    level_a: float,
    reference_u_a: float,
    role: str,
    other_flags: list[str],
    quiet_a: float | None = None,
    what: str = "just inside the limit",
) -> list[Measurement]:
    """The BMS stays closed: the current that was forced flows all through a window.

    `quiet_a` is the current up to which it must stay closed (threshold - tolerance).

    Raises:
        Inconclusive: the bench did not hold the level, or forced more, or something else ended the current.
    """
    way = Direction.of(direction)
    trace = magnitude(traces, way, begin_s, end_s)
    lowest_a = min(trace.values)
    if lowest_a < 0.5 * level_a:
        fell_s = trace.first(lambda value: value < 0.5 * level_a) or end_s
        by_bench = ended_by_bench(traces, role, begin_s, fell_s) or not_by_switch(traces, role, fell_s, end_s)
        if by_bench:
            raise Inconclusive(by_bench)
        excuse = raised_flags(traces, other_flags, begin_s, fell_s + 1.0)
        if excuse:
            raise Inconclusive(f"another protection acted first: {', '.join(excuse)}")
        most_a = max(trace.values)
        if quiet_a is not None and most_a + reference_u_a > quiet_a:
            raise Inconclusive(
                f"the bench forced {show(most_a, 'A', reference_u_a, signed=False)}; only up to {quiet_a:.2f} A must "
                "the BMS stay closed"
            )
    elif not reached(trace.mean(), level_a, reference_u_a):
        raise Inconclusive(f"only {trace.mean():.2f} A flowed on average where {level_a:.2f} A were to be held")
    return [
        Measurement(
            name=f"lowest {way.word} current {what}",
            value=Uncertain(lowest_a, reference_u_a, "A"),
            limits=Limits(low=0.5 * level_a),
            rule=rule,
            source=REFERENCE,
            reference=f"{level_a:.1f} A forced from {begin_s:.1f} s to {end_s:.1f} s",
            at_s=begin_s,
            hint="" if lowest_a >= 0.5 * level_a else "looks like: it trips too early",
        )
    ]


@judgement
def trips(
    traces: Traces,
    rule: DecisionRule,
    *,
    protection: str,
    direction: str,
    threshold_a: float,
    must_trip_a: float,
    begin_s: float,
    end_s: float,
    delay_min_s: float,
    delay_max_s: float,
    zero_a: float,
    reference_u_a: float,
    role: str,
    other_flags: list[str],
    averaging_s: float = 0.0,
    demand_a: float | None = None,
) -> list[Measurement]:
    """Beyond the limit the BMS ends the current, neither late nor early, and the current is really off.

    `averaging_s` is over how long the reference averages; `demand_a` is the current from which on it must trip
    (threshold + tolerance): what did not surely exceed it demanded nothing. Where the current rose slowly, the delay
    counts from the middle between threshold - tolerance and threshold + tolerance, see `bench.rise`.

    Raises:
        Inconclusive: the stimulus was not reached because an instrument limited or tripped first, or another
            protection whose own stimulus was exceeded acted; or it rose too slowly to tell a delay.
    """
    way = Direction.of(direction)
    trace = magnitude(traces, way, begin_s, end_s)
    rise = find_rise(trace, threshold_a, demand_a)
    if rise is None and max(trace.values) > threshold_a:
        raise Inconclusive(f"the recording begins beyond {threshold_a:.1f} A, so nobody knows since when")
    inside = None if rise is not None or demand_a is None else find_rise(trace, 2.0 * threshold_a - demand_a, None)
    if rise is None and inside is not None:
        # It never came to the threshold, but into its tolerance: there a unit may rightly have started its clock.
        ending = find_end(trace, inside.earliest_s)
        if too_early := early_on_the_way(traces, rule, protection, inside, ending, delay_min_s, role, other_flags):
            return [too_early]
        raise Inconclusive(
            f"{protection}: the current only came to {max(trace.values):.2f} A, inside the tolerance of its threshold"
        )
    if rise is None:
        never = f"the stimulus never crossed {threshold_a:.1f} A; the reference shows at most {max(trace.values):.2f} A"
        return [
            opened_early(
                traces,
                rule,
                protection,
                trace,
                begin_s,
                role=role,
                other_flags=other_flags,
                never=never,
                where=lambda ending, at_s: f"{ending.before_a:.1f} A",
            )
        ]
    t0_s, gap_s = rise.t0_s, rise.gap_s
    peak_a = max(trace.values)
    ending = find_end(trace, rise.earliest_s)
    if not reached(peak_a, must_trip_a, reference_u_a):
        if too_early := early_on_the_way(traces, rule, protection, rise, ending, delay_min_s, role, other_flags):
            return [too_early]
        raise Inconclusive(f"the stimulus reached {peak_a:.2f} A, {must_trip_a:.2f} A are needed to demand a trip")
    abort = next((mark.at_s for mark in traces.marks if mark.name == "abort" and t0_s <= mark.at_s <= end_s), None)
    due_s = t0_s if rise.due_s is None else rise.due_s
    require_stimulus(trace, threshold_a, due_s, ending, abort)
    require_demand(trace, demand_a, reference_u_a, due_s, ending, abort)
    if abort is not None and (ending.at_s is None or ending.at_s >= abort - ending.gap_s):
        held = Budget("s", (between_samples("t0 between two samples", gap_s), *rise.contributions))
        if abort - t0_s <= delay_max_s + held.expanded:
            raise Inconclusive(
                f"{protection}: the bench ended it {abort - t0_s:.2f} s after the threshold was crossed, up to "
                f"{delay_max_s:g} s are allowed"
            )
        left_a = trace.values[-1]
        now = show(left_a, "A", reference_u_a)
        hint = f"the bench ended it after {abort - t0_s:.1f} s; current now {now} (measured)"
        lowest = held.of(abort - t0_s)
        name = f"{protection}: no trip at {peak_a:.1f} A for"
        return [delay(name, lowest, delay_min_s, delay_max_s, rule, t0_s, hint)]
    if ending.at_s is None:
        raise Inconclusive(f"{protection}: the recording ends at {end_s:.1f} s while {peak_a:.1f} A still flow")
    require_by_bms(traces, role, begin_s, ending.at_s, ending.gap_s, end_s)
    found_s = ending.at_s - t0_s
    budget = trip_delay(gap_s, ending.gap_s, averaging_s=averaging_s, threshold_share=threshold_a / peak_a)
    value = budget.plus(*rise.contributions).of(found_s)
    if Limits(low=delay_min_s, high=delay_max_s).margin(found_s) >= -value.expanded:
        rise.require_steep(protection, delay_min_s, delay_max_s, "A")
    hint = (
        "" if delay_min_s <= found_s <= delay_max_s else f"it trips too {'late' if found_s > delay_max_s else 'early'}"
    )
    return [
        delay(f"{protection}: trip delay at {peak_a:.1f} A", value, delay_min_s, delay_max_s, rule, t0_s, hint),
        after_trip(
            traces, rule, protection, trace, ending.at_s, end_s, zero_a=zero_a, reference_u_a=reference_u_a, role=role
        ),
    ]


@judgement
def right_flag(
    traces: Traces,
    rule: DecisionRule,
    *,
    flag: str,
    others: list[str],
    begin_s: float,
    end_s: float,
    threshold_a: float,
    direction: str,
    flag_delay_max_s: float | None = None,
    period_s: float = 0.0,
    averaging_s: float = 0.0,
    clock_offset_s: float = 0.0,
    demand_a: float | None = None,
) -> list[Measurement]:
    """The protection's own flag ever rises after the stimulus, and no flag of another protection does.

    A flag that was set before the stimulus did not rise. `averaging_s` is over how long the reference averages,
    `clock_offset_s` the limit of the offset between the clocks of instruments and link; `demand_a` as for `trips`.
    """
    window = heard(traces, flag, begin_s, end_s)
    if isinstance(window, Measurement):
        return [window]
    before = traces[f"bms.{flag}"].between(0.0, begin_s)
    set_before = (before.values[-1] if len(before) else window.values[0]) >= 0.5
    rose_s = None if set_before else window.first(lambda value: value >= 0.5)
    silent = [part for other in others if isinstance(part := heard(traces, other, begin_s, end_s), Measurement)]
    if silent:
        return silent
    wrong = raised_flags(traces, others, begin_s, end_s)
    hint = f"{', '.join(wrong)} rose instead" if wrong and rose_s is None else ""
    if set_before:
        hint = "it was set before the stimulus already"
    results = [
        fact(f"{flag} rises", rose_s is not None, True, rule=rule, source=f"bms.{flag}", at_s=begin_s, hint=hint)
    ]
    for other in others:
        swapped = "looks like: flags of charge and discharge swapped (M38)" if other in wrong else ""
        results.append(
            fact(
                f"{other} rises",
                other in wrong,
                False,
                rule=rule,
                source=f"bms.{other}",
                at_s=begin_s,
                hint=swapped,
            )
        )
    if rose_s is not None and flag_delay_max_s is not None:
        trace = magnitude(traces, Direction.of(direction), begin_s, end_s)
        rise = find_rise(trace, threshold_a, demand_a)
        if rise is not None:
            # A reading is stamped at its end, and a step is seen when this share of its average lies behind it.
            t0_s = rise.t0_s - averaging_s * threshold_a / max(trace.values)
            # The message before did not tell it yet: it happened between the two, on average in their middle.
            earlier = [at_s for at_s in traces[f"bms.{flag}"].at_s if at_s < rose_s]
            unseen_s = rose_s - earlier[-1] if earlier else period_s
            budget = flag_delay(rise.gap_s, unseen_s, averaging_s=averaging_s, clock_offset_s=clock_offset_s)
            found = budget.plus(*rise.contributions).of(rose_s - t0_s - unseen_s / 2)
            limits = Limits(high=flag_delay_max_s)
            results.append(Measurement(name=f"{flag}: delay", value=found, limits=limits, rule=rule, at_s=rose_s))
    return results


@judgement
def switch_reports(
    traces: Traces, rule: DecisionRule, *, expected: dict[str, bool], at_s: float, within_s: float
) -> list[Measurement]:
    """The switches report what they should: the opened ones open, the others closed."""
    results: list[Measurement] = []
    for name, closed in expected.items():
        window = heard(traces, f"switch_{name}", at_s, at_s + within_s)
        if isinstance(window, Measurement):
            results.append(window)
            continue
        found = window.values[-1] >= 0.5
        hint = "" if found is closed else "looks like: the wrong switch opened, or it opens and closes again"
        results.append(
            fact(f"switch {name} closed", found, closed, rule=rule, source=f"bms.switch_{name}", at_s=at_s, hint=hint)
        )
    return results


@judgement
def blocked(
    traces: Traces,
    rule: DecisionRule,
    *,
    direction: str,
    begin_s: float,
    end_s: float,
    zero_a: float,
    reference_u_a: float,
    what: str,
) -> list[Measurement]:
    """Although the bench offers it, no current flows in this direction.

    Raises:
        Inconclusive: the bench did not offer it: its output was off, or no voltage stood across the BMS's switch.
    """
    way = Direction.of(direction)
    trace = magnitude(traces, way, begin_s, end_s)
    role = driven_by(traces, way)
    if not traces[f"output.{role}"].between(begin_s, end_s).ever(lambda value: value >= 0.5):
        raise Inconclusive(f"{role} was never seen on between {begin_s:.2f} s and {end_s:.2f} s: nothing was offered")
    left_a = max(trace.values, key=abs)
    if abs(left_a) < zero_a and (drop_v := switch_drop_v(traces, role, begin_s, end_s)) < SWITCH_DROP_V:
        raise Inconclusive(f"no current flows, but {drop_v:.2f} V across the BMS's switch could not have driven any")
    return [
        Measurement(
            name=f"{direction} current {what}",
            value=Uncertain(left_a, reference_u_a, "A"),
            limits=Limits.around(0.0, zero_a),
            rule=rule,
            source=REFERENCE,
            at_s=begin_s,
        )
    ]


@judgement
def flows_again(
    traces: Traces,
    rule: DecisionRule,
    *,
    direction: str,
    begin_s: float,
    end_s: float,
    level_a: float,
    reference_u_a: float,
    role: str,
    what: str,
) -> list[Measurement]:
    """The current flows (again) in this direction: after the release, or where a trip must not have closed it."""
    refused = "a switch opened that should not have" if "permitted" in what else "it never releases"
    trace = magnitude(traces, Direction.of(direction), begin_s, end_s)
    found_a = trace.mean()
    if found_a < 0.5 * level_a:
        by_bench = ended_by_bench(traces, role, begin_s, end_s)
        if by_bench:
            raise Inconclusive(by_bench)
    return [
        Measurement(
            name=f"{direction} current {what}",
            value=Uncertain(found_a, reference_u_a, "A"),
            limits=Limits(low=0.5 * level_a),
            rule=rule,
            source=REFERENCE,
            reference=f"{level_a:.1f} A offered",
            at_s=begin_s,
            hint="" if found_a >= 0.5 * level_a else f"looks like: {refused}",
        )
    ]
