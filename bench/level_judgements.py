"""Judgements about the flags of levels: information, warning, protection; they rise in time, stay, and fall again."""

from __future__ import annotations

from bench.attribution import magnitude, raised_flags
from bench.errors import Inconclusive
from bench.evidence import Measurement, fact
from bench.judgements import heard, judgement
from bench.quantities import Direction
from bench.stimulus_judgements import Demand, recorded_until, told_times
from bench.stimulus_trace import stimulus_trace
from bench.timing import flag_delay
from bench.traces import Trace, Traces
from bench.verdict import DecisionRule, Limits


@judgement
def level_flag(
    traces: Traces,
    rule: DecisionRule,
    *,
    protection: str,
    flag: str,
    others: list[str],
    channel: str,
    above: bool,
    threshold: float,
    demand: float,
    unit: str,
    stimulus_u: float,
    begin_s: float,
    end_s: float,
    direction: str,
    delay_min_s: float | None = None,
    delay_max_s: float | None = None,
    moved_s: float | None = None,
    period_s: float = 0.0,
    edge_s: float = 0.0,
    averaging_s: float = 0.0,
    clock_offset_s: float = 0.0,
) -> list[Measurement]:
    """The level's own flag rises once its stimulus demands it, in time where that is promised, and no foreign one does.

    `others` are flags of protections whose own stimulus was not exceeded. A flag set before did not rise.
    """
    asked = Demand(above, threshold, demand, unit)
    window = heard(traces, flag, begin_s, end_s)
    if isinstance(window, Measurement):
        return [window]
    silent = [part for other in others if isinstance(part := heard(traces, other, begin_s, end_s), Measurement)]
    if silent:
        return silent
    before = traces[f"bms.{flag}"].between(0.0, begin_s)
    set_before = (before.values[-1] if len(before) else window.values[0]) >= 0.5
    rose_s = None if set_before else window.first(lambda value: value >= 0.5)
    wrong = raised_flags(traces, others, begin_s, end_s)
    way = Direction.of(direction)
    last_s = recorded_until(traces, magnitude(traces, way, begin_s, end_s), begin_s, end_s)
    stimulus = stimulus_trace(traces, channel, way, begin_s, last_s)
    crossing = asked.crossing(stimulus, told_times(traces, moved_s))
    if crossing is None:
        raise Inconclusive(f"{channel} never crossed {threshold:g} {unit}; at most {asked.furthest(stimulus):.4g}")
    furthest = Trace(channel, [stimulus.at_s[-1]], [asked.furthest(stimulus)])
    if rose_s is None and not set_before and not asked.surely(furthest, stimulus_u):
        raise Inconclusive(f"{channel} did not surely exceed {demand:.4g} {unit}; its flag was not due")
    hint = (
        "it was set before the stimulus already" if set_before else f"{', '.join(wrong)} rose instead" if wrong else ""
    )
    results = [
        fact(
            f"{protection}: {flag} rises",
            rose_s is not None,
            True,
            rule=rule,
            source=f"bms.{flag}",
            at_s=begin_s,
            hint=hint,
        )
    ]
    results += [
        fact(f"{protection}: {other} rises", other in wrong, False, rule=rule, source=f"bms.{other}", at_s=begin_s)
        for other in others
    ]
    if rose_s is not None and delay_max_s is not None:
        earlier = [at_s for at_s in traces[f"bms.{flag}"].at_s if at_s < rose_s]
        unseen_s = rose_s - earlier[-1] if earlier else period_s
        budget = flag_delay(
            crossing[1], unseen_s, averaging_s=averaging_s, edge_s=edge_s, clock_offset_s=clock_offset_s
        )
        found = budget.of(rose_s - crossing[0] - unseen_s / 2)
        low_s = delay_min_s if delay_min_s else None
        word = "late" if found.value > delay_max_s else "early"
        wrong_time = found.value > delay_max_s or (low_s is not None and found.value < low_s)
        results.append(
            Measurement(
                name=f"{protection}: flag delay",
                value=found,
                limits=Limits(low=low_s, high=delay_max_s),
                rule=rule,
                at_s=rose_s,
                hint=f"looks like: it tells too {word}" if wrong_time else "",
            )
        )
    return results


@judgement
def flag_falls(
    traces: Traces, rule: DecisionRule, *, protection: str, flag: str, begin_s: float, end_s: float
) -> list[Measurement]:
    """By the end of a window the flag is down again."""
    window = heard(traces, flag, begin_s, end_s)
    if isinstance(window, Measurement):
        return [window]
    still = window.values[-1] >= 0.5
    hint = "looks like: it never lets go" if still else ""
    return [
        fact(
            f"{protection}: {flag} is down again",
            not still,
            True,
            rule=rule,
            source=f"bms.{flag}",
            at_s=end_s,
            hint=hint,
        )
    ]


@judgement
def flag_stays(
    traces: Traces, rule: DecisionRule, *, protection: str, flag: str, begin_s: float, end_s: float, what: str
) -> list[Measurement]:
    """All through a window the flag stays up: the cause has not gone far enough for it to fall."""
    window = heard(traces, flag, begin_s, end_s)
    if isinstance(window, Measurement):
        return [window]
    up = window.always(lambda value: value >= 0.5)
    hint = "" if up else "looks like: no hysteresis, or it releases too early"
    return [
        fact(
            f"{protection}: {flag} stays up {what}", up, True, rule=rule, source=f"bms.{flag}", at_s=begin_s, hint=hint
        )
    ]
