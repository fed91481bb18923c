"""What judgements about trips have in common, whatever the stimulus: who ended the current, how late, what is left."""

from __future__ import annotations

from collections.abc import Callable

from bench.attribution import Ending, ended_by_bench, find_end, not_by_switch, raised_flags, switch_drop_v
from bench.errors import Inconclusive
from bench.evidence import Measurement, fact
from bench.judgements import REFERENCE
from bench.traces import Trace, Traces
from bench.uncertainty import Uncertain
from bench.verdict import DecisionRule, Limits

SURELY_OFF_S = 0.2  # after the current's end, from when on what is left is judged


def delay(
    name: str, value: Uncertain, low_s: float, high_s: float, rule: DecisionRule, at_s: float, hint: str
) -> Measurement:
    """Return a delay against its window; 0 s as the earliest demands nothing."""
    limits = Limits(low=low_s if low_s > 0 else None, high=high_s)
    return Measurement(name=name, value=value, limits=limits, rule=rule, source=REFERENCE, at_s=at_s, hint=hint)


def require_by_bms(traces: Traces, role: str, begin_s: float, ended_s: float, gap_s: float, end_s: float) -> None:
    """Make sure that the BMS ended the current.

    Raises:
        Inconclusive: the bench's instrument did, or nothing shows an open switch.
    """
    other = ended_by_bench(traces, role, begin_s, ended_s - gap_s) or not_by_switch(traces, role, ended_s, end_s)
    if other:
        raise Inconclusive(other)


def after_trip(
    traces: Traces,
    rule: DecisionRule,
    protection: str,
    current: Trace,
    ended_s: float,
    end_s: float,
    *,
    zero_a: float,
    reference_u_a: float,
    role: str,
) -> Measurement:
    """Return the largest current that was left after the trip, against zero."""
    left_a = max(current.between(ended_s + SURELY_OFF_S, end_s).need(3).values, key=abs)
    return Measurement(
        name=f"{protection}: current after the trip",
        value=Uncertain(left_a, reference_u_a, "A"),
        limits=Limits.around(0.0, zero_a),
        rule=rule,
        source=REFERENCE,
        reference=f"{switch_drop_v(traces, role, ended_s, end_s):.1f} V across the open switch",
        at_s=ended_s,
        hint="" if abs(left_a) < zero_a else "looks like: it opens but does not interrupt",
    )


def opened_early(
    traces: Traces,
    rule: DecisionRule,
    protection: str,
    current: Trace,
    begin_s: float,
    *,
    role: str,
    other_flags: list[str],
    never: str,
    where: Callable[[Ending, float], str],
    least_a: float = 0.0,
) -> Measurement:
    """The threshold was never crossed: return the failed fact that the BMS opened before.

    `never` says that the stimulus was not reached, `where` how far it was at the end; `least_a` must have flowed.

    Raises:
        Inconclusive: the current did not end, the bench or another protection ended it.
    """
    ending = find_end(current, begin_s)
    if ending.at_s is None or ending.before_a < least_a:
        raise Inconclusive(never)
    require_by_bms(traces, role, begin_s, ending.at_s, ending.gap_s, current.at_s[-1])
    excuse = raised_flags(traces, other_flags, begin_s, current.at_s[-1])
    if excuse:
        raise Inconclusive(f"another protection acted first: {', '.join(excuse)}")
    hint = f"looks like: it trips too early, at {where(ending, ending.at_s)}"
    return fact(f"{protection}: stays closed below its threshold", False, True, rule=rule, at_s=ending.at_s, hint=hint)
