"""Delays taken apart, and repeated: from the measured stimulus to flag, switch report and the current's end.

t0 is when the measured stimulus crossed the declared threshold, t_flag and t_cmd when a message first told of flag and
switch (corrected for half of its period), t_off when the current had ended (metrology reference 5, 6.7, 7.4). Each
repeat is judged by itself: the largest of n is biased, since it is chosen for its error, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.errors import Inconclusive
from bench.evidence import Measurement, fact
from bench.judgements import REFERENCE, heard, judgement
from bench.quantities import Direction, digits_for
from bench.stimulus_judgements import Demand, stimulus_trips, told_times
from bench.stimulus_trace import stimulus_trace
from bench.timing import flag_delay, reliability_shown
from bench.traces import Trace, Traces
from bench.trip_judgements import trips
from bench.uncertainty import Budget, Contribution, of_repeats
from bench.verdict import DecisionRule, Limits

CONFIDENCE = 0.90
NOT_PROMISED = "not promised, told within the recording"


@dataclass(frozen=True, slots=True)
class Told:
    """Something that a message tells of a trip: which signal, from which value on, how often, and what is promised."""

    what: str
    signal: str
    rises: bool
    period_s: float
    min_s: float | None = None
    max_s: float | None = None

    def holds(self, value: float) -> bool:
        """Say whether a reading tells it."""
        return (value >= 0.5) is self.rises


@judgement
def delay_parts(
    traces: Traces,
    rule: DecisionRule,
    *,
    begin_s: float,
    end_s: float,
    moved_s: float | None = None,
    told: Sequence[Mapping[str, Any]] = (),
    averaging_s: float = 0.0,
    edge_s: float = 0.0,
    latency_s: float = 0.0,
    clock_offset_s: float = 0.0,
    clock_correction_s: float = 0.0,
    **trip: Any,
) -> list[Measurement]:
    """The delay of one trip, and apart from it when flag and switch report told of it, each with its own budget.

    `told` are rows of what messages tell (`what`, `signal`, `rises`, `period_s`, and `min_s`, `max_s` where promised),
    `latency_s` the spread of a poll's response, `clock_offset_s` the limit of the link's stamps after the correction
    `clock_correction_s`, `edge_s` how long the stimulus' edge takes, `moved_s` when one that is no current was
    commanded (it moved no earlier). `trip` is what `trips` takes for a current, and `stimulus_trips` for anything else.

    Raises:
        Inconclusive: as those two.
    """
    channel, above = trip.get("channel", REFERENCE), trip.get("above", True)
    common = {"begin_s": begin_s, "end_s": end_s, "averaging_s": averaging_s}
    if channel == REFERENCE:
        results = trips(traces, rule, **common, **trip)
        threshold = trip["threshold_a"]
    else:
        results = stimulus_trips(traces, rule, **common, edge_s=edge_s, moved_s=moved_s, **trip)
        threshold = trip["threshold"]
    way = Direction.of(trip["direction"])
    stimulus = stimulus_trace(traces, channel, way, begin_s, end_s)
    crossing = Demand(above, threshold, threshold, "").crossing(stimulus, told_times(traces, moved_s))
    if crossing is None:
        return results  # the trip came before it: that has been judged
    share = threshold / max(stimulus.values) if channel == REFERENCE else 0.5
    for row in told:
        one = Told(**row)
        late_s = averaging_s * share  # a reading is stamped at its end
        budget = {
            "averaging_s": averaging_s,
            "edge_s": edge_s,
            "latency_s": latency_s,
            "clock_offset_s": clock_offset_s,
        }
        t0 = (crossing[0] - late_s, crossing[1])
        results.append(_told(traces, rule, trip["protection"], one, t0, end_s, clock_correction_s, budget))
    return results


def _told(
    traces: Traces,
    rule: DecisionRule,
    protection: str,
    row: Told,
    t0: tuple[float, float],
    end_s: float,
    correction_s: float,
    budget: Mapping[str, float],
) -> Measurement:
    """When a message first told of it after t0. One that told before was no answer to this stimulus."""
    t0_s, gap_s = t0
    window = heard(traces, row.signal, t0_s - 2.0 * row.period_s, end_s)
    name = f"{protection}: t0 to {row.what}"
    if isinstance(window, Measurement):
        return window
    before = traces[f"bms.{row.signal}"].between(0.0, t0_s - row.period_s)
    if len(before) and row.holds(before.values[-1]):
        return fact(f"{row.what} before the stimulus", True, False, rule=rule, source=f"bms.{row.signal}", at_s=t0_s)
    first_s = next((at_s for at_s, value in window if row.holds(value)), None)
    if first_s is None:
        hint = "looks like: it does not act, or acts and does not tell"
        return fact(f"{row.what} is told", False, True, rule=rule, source=f"bms.{row.signal}", at_s=t0_s, hint=hint)
    unseen_s = _unseen_s(traces[f"bms.{row.signal}"], first_s, row.period_s)
    found = flag_delay(gap_s, unseen_s, **budget).of(first_s - unseen_s / 2.0 - correction_s - t0_s)
    promised = row.max_s is not None or bool(row.min_s)
    limits = Limits(low=row.min_s or None, high=row.max_s) if promised else Limits(high=end_s - t0_s)
    hint = (
        ""
        if limits.margin(found.value) >= 0.0
        else "it is told too " + ("late" if row.max_s and found.value > row.max_s else "early")
    )
    return Measurement(
        name=name if promised else f"{name} ({NOT_PROMISED})",
        value=found,
        limits=limits,
        rule=rule if promised else DecisionRule("simple"),
        source=f"bms.{row.signal}",
        reference=f"every {unseen_s:.3g} s",
        at_s=first_s,
        hint=hint,
    )


def _unseen_s(trace: Trace, first_s: float, period_s: float) -> float:
    """Return the time before a message in which what it tells first may have happened."""
    earlier = [at_s for at_s in trace.at_s if at_s < first_s]
    return first_s - earlier[-1] if earlier else period_s


@judgement
def repeated_delays(
    traces: Traces,
    rule: DecisionRule,
    *,
    repeats: Sequence[Mapping[str, float]],
    confidence: float = CONFIDENCE,
    **parts: Any,
) -> list[Measurement]:
    """Every one of the repeats keeps the delay, judged by itself; beside that least, mean and greatest of them.

    `repeats` are windows of provocations of different phase (`begin_s`, `end_s`, and `moved_s` for what is no current),
    `parts` as `delay_parts` takes them.

    Raises:
        Inconclusive: one of the repeats does not tell.
    """
    if not repeats:
        raise Inconclusive("no repeat was made, so there is no delay")
    found: list[Measurement] = []
    gathered: dict[str, list[Measurement]] = {}
    for number, window in enumerate(repeats, 1):
        for one in delay_parts(traces, rule, **window, **parts):
            if one.value.unit == "s":
                gathered.setdefault(_without_level(one.name), []).append(one)
            found.append(replace(one, name=f"{one.name}, repeat {number} of {len(repeats)}"))
    return [*found, *(_summary(name, rows, confidence) for name, rows in gathered.items() if len(rows) > 1)]


def _without_level(name: str) -> str:
    """Repeats are not at the same level to the last digit."""
    head, _, _ = name.partition(" at ")
    return head if "trip delay" in head else name


def _summary(name: str, rows: Sequence[Measurement], confidence: float) -> Measurement:
    """Least, mean and greatest of a row of delays. The mean lies between them; it is shown, not judged once more."""
    values = [row.value.value for row in rows]
    count, mean_s = len(values), sum(values) / len(values)
    digits = digits_for(rows[0].value.expanded)
    # Each begins at the same point of the reference's grid of samples, so that this error does not average out.
    spread = Contribution("spread of the mean", of_repeats(values), dof=count - 1)
    budget = Budget("s", (Contribution("one delay", rows[0].value.standard), spread))
    shown = reliability_shown(count, confidence)
    return Measurement(
        name=f"{name}, mean of {count}",
        value=budget.of(mean_s),
        limits=rows[0].limits,
        rule=DecisionRule("simple"),
        source=rows[0].source,
        reference=f"{min(values):.{digits}f} to {max(values):.{digits}f} s; {count} repeats without failure would show "
        f"a reliability of {100 * shown:.0f} % at {100 * confidence:.0f} % confidence",
        at_s=rows[0].at_s,
    )
