"""Judgements over a ramp: the reading follows the reference over the whole range, not only at chosen levels."""

from __future__ import annotations

from bench.errors import Inconclusive
from bench.evidence import Measurement
from bench.judgements import REFERENCE, heard, judgement, truth_of
from bench.misreading import diagnose, in_one_line
from bench.traces import Traces
from bench.uncertainty import Accuracy, Uncertain
from bench.verdict import DecisionRule, Limits

LOOK_AHEAD_S = 0.15  # the reference is sampled every 0.1 s: a reading may have seen a step that it has not yet


@judgement
def follows_ramp(
    traces: Traces,
    rule: DecisionRule,
    *,
    signal: str,
    begin_s: float,
    end_s: float,
    accuracy: dict[str, float],
    lag_s: float,
    span_a: float,
    reference_u_a: float,
) -> list[Measurement]:
    """Every reading on a ramp lies within its promised accuracy of what the reference showed shortly before.

    `lag_s` is how old a reading may be; the value judged is by how much the worst one leaves the promise.

    Raises:
        Inconclusive: the ramp covered less than 80 % of `span_a`, so most of the range was not asked for.
    """
    window = heard(traces, signal, begin_s, end_s)
    if isinstance(window, Measurement):
        return [window]
    truth_of(traces, begin_s, end_s)
    truth = traces[REFERENCE]
    spec = Accuracy(**accuracy)
    worst_a, worst_pair, low_a, high_a = -float("inf"), (0.0, 0.0), float("inf"), -float("inf")
    for at_s, read_a in window:
        recent = truth.between(at_s - lag_s - LOOK_AHEAD_S, at_s + LOOK_AHEAD_S)
        if len(recent) < 2:
            continue
        least_a, most_a = min(recent.values), max(recent.values)
        low_a, high_a = min(low_a, least_a), max(high_a, most_a)
        nearest_a = min(max(read_a, least_a), most_a)
        excess_a = abs(read_a - nearest_a) - spec.half_width(nearest_a) - spec.resolution
        worst_a = max(worst_a, excess_a)
        # The pair that is shown: of those that leave the promise, the one at the largest current tells most.
        if excess_a > 0 and abs(nearest_a) >= abs(worst_pair[0]):
            worst_pair = (nearest_a, read_a)
    if high_a - low_a < 0.8 * span_a:
        covered_a = max(0.0, high_a - low_a)
        raise Inconclusive(f"the ramp covered {covered_a:.1f} A of {span_a:.1f} A while {signal} was heard")
    true_a, read_a = worst_pair
    hint = ""
    if worst_a > 0:
        hint = f"for instance at {true_a:+.2f} A, read as {read_a:+.2f} A"
        more = in_one_line(diagnose([worst_pair], max(0.03 * abs(true_a), 3 * reference_u_a)))
        hint = f"{hint}; {more}" if more else hint
    return [
        Measurement(
            name=f"{signal} on a ramp: farthest beyond its promised accuracy",
            value=Uncertain(worst_a, reference_u_a, "A"),
            limits=Limits(high=0.0),
            rule=rule,
            source=f"bms.{signal}",
            reference=f"meter from {low_a:+.1f} A to {high_a:+.1f} A",
            at_s=begin_s,
            hint=hint,
        )
    ]
