"""Judgements about protections: quiet inside, trip outside, in time, the right switch, and the current's real end.

Terms after the metrology reference, section 5: t0 is when the measured stimulus crosses the declared threshold,
t_off when the measured current has fallen below 10 % of its value before.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.errors import Inconclusive
from bench.evidence import Measurement, fact
from bench.judgements import REFERENCE, heard, judgement
from bench.quantities import Direction, show
from bench.traces import Trace, Traces
from bench.uncertainty import Uncertain, combine, of_cycle
from bench.verdict import DecisionRule, Limits

OFF_SHARE = 0.10
SWITCH_DROP_V = 1.0  # an open switch shows at least this between its sides; a body diode less


@dataclass(frozen=True, slots=True)
class Ending:
    """How the current of a provocation came to its end."""

    at_s: float | None
    gap_s: float
    before_a: float


def find_t0(trace: Trace, threshold_a: float) -> tuple[float, float] | None:
    """Return when a magnitude crosses the threshold and the gap between the two samples around it."""
    for index in range(1, len(trace)):
        before, now = trace.values[index - 1], trace.values[index]
        if before <= threshold_a < now:
            gap_s = trace.at_s[index] - trace.at_s[index - 1]
            return trace.at_s[index - 1] + gap_s * (threshold_a - before) / (now - before), gap_s
    return None


def find_end(trace: Trace, after_s: float) -> Ending:
    """Return when a magnitude fell below 10 % of what it was, as the middle between two samples."""
    peak_a, previous_s = 0.0, after_s
    for at_s, value in trace:
        if at_s < after_s:
            continue
        if peak_a > 0 and value < OFF_SHARE * peak_a:
            return Ending((previous_s + at_s) / 2, at_s - previous_s, peak_a)
        peak_a, previous_s = max(peak_a, value), at_s
    return Ending(None, 0.0, peak_a)


def magnitude(traces: Traces, direction: Direction, begin_s: float, end_s: float) -> Trace:
    """Return the reference current in a direction, as a trace of magnitudes (negative: the other way)."""
    window = traces[REFERENCE].between(begin_s, end_s).need(3)
    return Trace(REFERENCE, window.at_s, [value * direction.sign for value in window.values])


def ended_by_bench(traces: Traces, role: str, begin_s: float, until_s: float) -> str | None:
    """Return what the bench's own instrument did before the current began to fall, or None."""
    output = traces[f"output.{role}"].between(begin_s, until_s)
    came_on_s = output.first(lambda value: value >= 0.5)
    if came_on_s is None:
        return f"{role} was never seen on between {begin_s:.2f} s and {until_s:.2f} s"
    went_off_s = output.first(lambda value: value < 0.5, after_s=came_on_s)
    if went_off_s is not None:
        return f"{role} was off at {went_off_s:.2f} s, before the current fell"
    alarm = traces[f"alarm.{role}"].between(begin_s, until_s).first(lambda value: value >= 0.5)
    return None if alarm is None else f"{role} had an alarm at {alarm:.2f} s, before the current fell"


def switch_drop_v(traces: Traces, role: str, after_s: float, until_s: float) -> float:
    """Return the largest voltage between the two sides of the BMS's switch in a window, in volts."""
    pack = traces["pack_side_voltage"].between(after_s, until_s).need()
    bench = traces[f"voltage.{role}"].between(after_s, until_s).need()
    return max(abs(value - pack.at(max(at_s, pack.at_s[0]))) for at_s, value in bench)


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
    what: str = "just inside the limit",
) -> list[Measurement]:
    """The BMS stays closed: the current that was forced flows all through a window."""
    way = Direction.of(direction)
    trace = magnitude(traces, way, begin_s, end_s)
    lowest_a = min(trace.values)
    if lowest_a < 0.5 * level_a:
        fell_s = trace.first(lambda value: value < 0.5 * level_a) or end_s
        by_bench = ended_by_bench(traces, role, begin_s, fell_s)
        if by_bench:
            raise Inconclusive(by_bench)
        excuse = _raised(traces, other_flags, begin_s, fell_s + 1.0)
        if excuse:
            raise Inconclusive(f"another protection acted first: {', '.join(excuse)}")
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


def _raised(traces: Traces, flags: list[str], begin_s: float, end_s: float) -> list[str]:
    raised = []
    for flag in flags:
        channel = f"bms.{flag}"
        if channel in traces and traces[channel].between(begin_s, end_s).ever(lambda value: value >= 0.5):
            raised.append(flag)
    return raised


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
) -> list[Measurement]:
    """Beyond the limit the BMS ends the current, neither late nor early, and the current is really off.

    Raises:
        Inconclusive: the stimulus was not reached because an instrument limited or tripped first, or another
            protection whose own stimulus was exceeded acted.
    """
    way = Direction.of(direction)
    trace = magnitude(traces, way, begin_s, end_s)
    crossing = find_t0(trace, threshold_a)
    if crossing is None:
        return [_early(traces, rule, protection, trace, threshold_a, begin_s, role, other_flags)]
    t0_s, gap_s = crossing
    peak_a = max(trace.values)
    if peak_a < must_trip_a - 3 * reference_u_a - 0.01 * must_trip_a:
        raise Inconclusive(f"the stimulus reached {peak_a:.2f} A, {must_trip_a:.2f} A are needed to demand a trip")
    ending = find_end(trace, t0_s)
    abort = next((mark.at_s for mark in traces.marks if mark.name == "abort" and mark.at_s >= t0_s), None)
    if abort is not None and (ending.at_s is None or ending.at_s >= abort - ending.gap_s):
        left_a = trace.values[-1]
        now = show(left_a, "A", reference_u_a)
        hint = f"the bench ended it after {abort - t0_s:.1f} s; current now {now} (measured)"
        lowest = Uncertain(abort - t0_s, 2 * of_cycle(gap_s), "s")
        name = f"{protection}: no trip at {peak_a:.1f} A for"
        return [_delay(name, lowest, delay_min_s, delay_max_s, rule, t0_s, hint)]
    if ending.at_s is None:
        raise Inconclusive(f"{protection}: the recording ends at {end_s:.1f} s while {peak_a:.1f} A still flow")
    by_bench = ended_by_bench(traces, role, begin_s, ending.at_s - ending.gap_s)
    if by_bench:
        raise Inconclusive(by_bench)
    drop_v = switch_drop_v(traces, role, ending.at_s, end_s)
    if drop_v < SWITCH_DROP_V:
        raise Inconclusive(
            f"the current stopped, but only {drop_v:.2f} V stand across the BMS's switch: a fuse, the disconnect "
            "or the load may have ended it"
        )
    found_s = ending.at_s - t0_s
    value = Uncertain(found_s, 2 * combine((of_cycle(gap_s), of_cycle(ending.gap_s))), "s")
    hint = (
        "" if delay_min_s <= found_s <= delay_max_s else f"it trips too {'late' if found_s > delay_max_s else 'early'}"
    )
    off = trace.between(ending.at_s + 0.2, end_s).need()
    left_a = max(off.values, key=abs)
    return [
        _delay(f"{protection}: trip delay at {peak_a:.1f} A", value, delay_min_s, delay_max_s, rule, t0_s, hint),
        Measurement(
            name=f"{protection}: current after the trip",
            value=Uncertain(left_a, reference_u_a, "A"),
            limits=Limits.around(0.0, zero_a),
            rule=rule,
            source=REFERENCE,
            reference=f"{drop_v:.1f} V across the open switch",
            at_s=ending.at_s,
            hint="" if abs(left_a) < zero_a else "looks like: it opens but does not interrupt",
        ),
    ]


def _delay(
    name: str, value: Uncertain, low_s: float, high_s: float, rule: DecisionRule, at_s: float, hint: str
) -> Measurement:
    limits = Limits(low=low_s if low_s > 0 else None, high=high_s)
    return Measurement(name=name, value=value, limits=limits, rule=rule, source=REFERENCE, at_s=at_s, hint=hint)


def _early(
    traces: Traces,
    rule: DecisionRule,
    protection: str,
    trace: Trace,
    threshold_a: float,
    begin_s: float,
    role: str,
    other_flags: list[str],
) -> Measurement:
    """The threshold was never reached: the BMS opened before, or the bench could not."""
    ending = find_end(trace, begin_s)
    if ending.at_s is None:
        raise Inconclusive(
            f"the stimulus never crossed {threshold_a:.1f} A; the reference shows at most {max(trace.values):.2f} A"
        )
    by_bench = ended_by_bench(traces, role, begin_s, ending.at_s - ending.gap_s)
    excuse = _raised(traces, other_flags, begin_s, trace.at_s[-1])
    if by_bench or excuse:
        raise Inconclusive(by_bench or f"another protection acted first: {', '.join(excuse)}")
    return fact(
        f"{protection}: stays closed below its threshold",
        False,
        True,
        rule=rule,
        at_s=ending.at_s,
        hint=f"looks like: it trips too early, at {ending.before_a:.1f} A",
    )


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
) -> list[Measurement]:
    """The protection's own flag ever rises after the stimulus, and no flag of another protection does."""
    window = heard(traces, flag, begin_s, end_s)
    if isinstance(window, Measurement):
        return [window]
    rose_s = window.first(lambda value: value >= 0.5)
    wrong = _raised(traces, others, begin_s, end_s)
    hint = f"{', '.join(wrong)} rose instead" if wrong and rose_s is None else ""
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
        crossing = find_t0(magnitude(traces, Direction.of(direction), begin_s, end_s), threshold_a)
        if crossing is not None:
            # An event seen through a message of period Tc happened on average Tc/2 before it (reference 6.7).
            found = Uncertain(rose_s - crossing[0] - period_s / 2, 2 * of_cycle(period_s), "s")
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
    """Although the bench offers it, no current flows in this direction."""
    trace = magnitude(traces, Direction.of(direction), begin_s, end_s)
    left_a = max(trace.values, key=abs)
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
    """After the release the current flows again in this direction."""
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
            hint="" if found_a >= 0.5 * level_a else "looks like: it never releases",
        )
    ]
