"""When a stimulus that takes its time crosses a threshold that may lie anywhere inside its tolerance.

A step crosses threshold - tolerance, threshold and threshold + tolerance between the same two samples. A ramp does not:
a unit whose own threshold lies at the near end of the tolerance starts its clock earlier than one at the far end, and
both keep their promise. So its delay is counted from the middle between the two crossings, and half of the time between
them is a limit of its uncertainty (rectangular: nobody knows where in the tolerance the unit's threshold lies).
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.attribution import Ending, ended_by_bench, not_by_switch, raised_flags
from bench.errors import Inconclusive
from bench.evidence import Measurement
from bench.judgements import REFERENCE
from bench.quantities import show
from bench.timing import between_samples
from bench.traces import Trace, Traces
from bench.uncertainty import Budget, Contribution
from bench.verdict import DecisionRule, Limits

LOOK_AFTER_S = 1.0  # around an end of the current: for outputs, voltages and flags


@dataclass(frozen=True, slots=True)
class Rise:
    """How a stimulus rose through the tolerance of a threshold, in seconds of the trace."""

    t0_s: float  # from where a delay is counted
    gap_s: float  # between the two samples around the threshold
    spread_s: float  # from the crossing of threshold - tolerance to that of threshold + tolerance; 0 for a step
    earliest_s: float  # before this no unit inside its tolerance can have started its clock
    due_s: float | None  # from here on every unit inside its tolerance must have; None: it never came there
    near: float  # threshold - tolerance
    far: float  # threshold + tolerance

    @property
    def contributions(self) -> tuple[Contribution, ...]:
        """The line that a budget of the delay gets, none for a step."""
        if not self.spread_s:
            return ()
        return (Contribution.within("where in its tolerance the threshold lies", self.spread_s / 2.0, "rectangular"),)

    def require_steep(self, what: str, low_s: float, high_s: float, unit: str) -> None:
        """See that the rise leaves something of the window to judge.

        Raises:
            Inconclusive: it was so slow that a unit could keep its promise anywhere in the window.
        """
        expanded_s = Budget("s", self.contributions).expanded
        if expanded_s < (high_s - low_s) / 2.0:
            return
        slope = (self.far - self.near) / self.spread_s
        needed = slope * expanded_s / ((high_s - low_s) / 2.0)
        raise Inconclusive(
            f"{what}: the stimulus took {self.spread_s:.3g} s from {self.near:.2f} to {self.far:.2f} {unit}, and "
            f"anywhere there its threshold may lie; with a window of {high_s - low_s:g} s that says nothing. Step, or "
            f"rise faster than {needed:.3g} {unit}/s"
        )


def find_rise(trace: Trace, threshold: float, demand: float | None) -> Rise | None:
    """Return how a magnitude rose through threshold ± tolerance; None if it never crossed the threshold.

    `demand` is threshold + tolerance; without it the rise counts as a step.

    Raises:
        Inconclusive: the trace begins inside the tolerance.
    """
    for index in range(1, len(trace)):
        if trace.values[index - 1] <= threshold < trace.values[index]:
            break
    else:
        return None
    before_s, now_s = trace.at_s[index - 1], trace.at_s[index]
    t0_s, gap_s = (before_s + now_s) / 2.0, now_s - before_s
    if demand is None:
        return Rise(t0_s, gap_s, 0.0, t0_s, t0_s, threshold, threshold)
    near, far = 2.0 * threshold - demand, demand
    first = index
    while first > 0 and trace.values[first - 1] > near:
        first -= 1
    if first == 0:
        raise Inconclusive(
            f"the recording begins at {trace.values[0]:.2f}, inside the tolerance of the threshold {threshold:.2f}, so "
            "nobody knows since when"
        )
    earliest_s = (trace.at_s[first - 1] + trace.at_s[first]) / 2.0
    last = next((each for each in range(index, len(trace)) if trace.values[each] > far), None)
    if last is None:
        return Rise(t0_s, gap_s, 0.0, earliest_s, None, near, far)
    due_s = (trace.at_s[last - 1] + trace.at_s[last]) / 2.0
    return Rise((earliest_s + due_s) / 2.0, gap_s, due_s - earliest_s, earliest_s, due_s, near, far)


def require_demand(
    trace: Trace, demand_a: float | None, reference_u_a: float, due_s: float, ending: Ending, abort_s: float | None
) -> None:
    """Make sure that a trip was due: the current that flowed lay beyond threshold + tolerance by its uncertainty.

    Raises:
        Inconclusive: it did not; a BMS inside its tolerance need not have tripped.
    """
    if demand_a is None:
        return
    ends_s = min(at_s for at_s in (ending.at_s, abort_s, trace.at_s[-1]) if at_s is not None)
    flowing = trace.between(due_s, ends_s)
    if len(flowing) and flowing.mean() - reference_u_a < demand_a:
        found = show(flowing.mean(), "A", reference_u_a, signed=False)
        raise Inconclusive(f"{found} flowed, not surely beyond {demand_a:.2f} A, from which on a trip is due")


def early_on_the_way(
    traces: Traces,
    rule: DecisionRule,
    protection: str,
    rise: Rise,
    ending: Ending,
    delay_min_s: float,
    role: str,
    other_flags: list[str],
) -> Measurement | None:
    """It ended on its way to the level: too early wherever in its tolerance the threshold lies, or nothing to say."""
    if ending.at_s is None:
        return None
    lines = (between_samples("begin", rise.gap_s), between_samples("end between samples", ending.gap_s))
    longest = Budget("s", lines).of(ending.at_s - rise.earliest_s)
    until_s = ending.at_s + LOOK_AFTER_S
    by_bench = ended_by_bench(traces, role, rise.earliest_s - LOOK_AFTER_S, ending.at_s - ending.gap_s)
    if longest.value + longest.expanded >= delay_min_s or by_bench or not_by_switch(traces, role, ending.at_s, until_s):
        return None
    if raised_flags(traces, other_flags, rise.earliest_s, until_s):
        return None
    return Measurement(
        name=f"{protection}: trip at {ending.before_a:.1f} A, on the way up, after at most",
        value=longest,
        limits=Limits(low=delay_min_s),
        rule=rule,
        source=REFERENCE,
        at_s=rise.earliest_s,
        hint="it trips too early",
    )
