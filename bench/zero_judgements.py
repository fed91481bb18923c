"""Judgements around zero and about the bench itself: dead band, reversal, and whether the witnesses agree."""

from __future__ import annotations

from bench.errors import Inconclusive
from bench.evidence import Measurement, fact
from bench.judgements import REFERENCE, heard, judgement, truth_of
from bench.quantities import Direction, show
from bench.timing import between_samples
from bench.traces import Traces
from bench.uncertainty import Budget, Uncertain
from bench.verdict import DecisionRule, Limits


@judgement
def dead_band(
    traces: Traces,
    rule: DecisionRule,
    *,
    signal: str,
    begin_s: float,
    end_s: float,
    limit_a: float,
    lag_s: float,
    reference_u_a: float,
) -> list[Measurement]:
    """On a slow ramp from or through zero, beyond the dead band the BMS reads neither zero nor the wrong sign.

    Raises:
        Inconclusive: the ramp never went beyond the limit while the BMS was heard, so nothing was asked of it.
    """
    window = heard(traces, signal, begin_s, end_s)
    if isinstance(window, Measurement):
        return [window]
    truth_of(traces, begin_s, end_s)
    truth = traces[REFERENCE]
    largest_a = asked_a = 0.0
    for at_s, read_a in window:
        true_a = truth.at(at_s)
        # A reading may be as old as its period; where the ramp crossed zero meanwhile nothing is demanded.
        earlier_a = truth.at(max(begin_s, at_s - lag_s))
        if true_a * earlier_a <= 0:
            continue
        sure_a = min(abs(true_a), abs(earlier_a))
        asked_a = max(asked_a, sure_a)
        if read_a * true_a <= 0:
            largest_a = max(largest_a, sure_a)
    if asked_a <= limit_a:
        raise Inconclusive(
            f"{signal} was only seen up to {asked_a:.2f} A of the ramp, beyond {limit_a:.2f} A its sign is asked for"
        )
    hint = "" if largest_a < limit_a else "looks like: a dead band or an offset larger than declared (M15, M23)"
    return [
        Measurement(
            name=f"largest current that {signal} reads as zero or with the wrong sign",
            value=Uncertain(largest_a, reference_u_a, "A"),
            limits=Limits(high=limit_a),
            rule=rule,
            source=f"bms.{signal}",
            reference="meter, ramp through zero",
            at_s=begin_s,
            hint=hint,
        )
    ]


@judgement
def reversal(
    traces: Traces,
    rule: DecisionRule,
    *,
    signal: str,
    begin_s: float,
    end_s: float,
    to_direction: str,
    zero_a: float,
    allowed_s: float,
    period_s: float,
) -> list[Measurement]:
    """After a reversal of the current the BMS's sign follows within its update period and filter.

    Timed is until the link shows it, so its own period (`period_s`) is part of the delay and not of its uncertainty.
    The reading must have had the other sign, or none, before: one that always shows the new direction follows nothing.

    Raises:
        Inconclusive: the reference shows no reversal.
    """
    window = heard(traces, signal, begin_s, end_s)
    if isinstance(window, Measurement):
        return [window]
    del period_s
    way = Direction.of(to_direction)
    truth = truth_of(traces, begin_s, end_s)
    true_s = truth.first(lambda value: value * way.sign > zero_a)
    if true_s is None:
        raise Inconclusive(f"the reference never showed {way.verb} after the reversal")
    # The window may begin with the reversal itself; what flowed before lies before it.
    before = [at_s for at_s, value in traces[REFERENCE].between(0.0, true_s) if value * way.sign < -zero_a]
    if not before:
        raise Inconclusive(f"the reference never showed {way.opposite.verb} before the reversal")
    already_a = traces[f"bms.{signal}"].at(before[-1])
    if already_a * way.sign > zero_a:
        return [
            fact(
                f"{signal} follows the reversal to {way.word}",
                False,
                True,
                rule=rule,
                source=f"bms.{signal}",
                at_s=before[-1],
                hint=f"it showed {show(already_a, 'A')}, {way.verb}, already before the reversal",
            )
        ]
    earlier = [at_s for at_s in traces[REFERENCE].at_s if at_s < true_s]
    gap_s = true_s - earlier[-1]  # there is one: `before` is not empty
    read_s = window.first(lambda value: value * way.sign > zero_a, after_s=true_s - gap_s)
    if read_s is None:
        return [fact(f"{signal} follows the reversal to {way.word}", False, True, rule=rule, at_s=true_s)]
    budget = Budget("s", (between_samples("reversal between two samples", gap_s),))
    delay = budget.of(read_s - (true_s - gap_s / 2))
    return [
        Measurement(
            name=f"{signal} follows the reversal to {way.word} after",
            value=delay,
            limits=Limits(high=allowed_s),
            rule=rule,
            source=f"bms.{signal}",
            reference="meter",
            at_s=true_s,
            hint="" if delay.value < allowed_s else "looks like: a filter or a delayed value (M26, M28)",
        )
    ]


@judgement
def bench_agrees(
    traces: Traces,
    rule: DecisionRule,
    *,
    direction: str,
    meter_a: float,
    instrument_a: float,
    voltage_change_v: float,
    noise_v: float,
    witness: str,
) -> list[Measurement]:
    """Meter, instrument and terminal voltage agree on a direction (a contradiction has raised `WiringError`)."""
    del traces
    way = Direction.of(direction)
    if 0 in (meter_a, instrument_a, voltage_change_v):
        raise Inconclusive(f"a witness of {way.word} shows exactly nothing, which is no direction")
    values = (
        (f"meter in {direction}", meter_a * way.sign, "A"),
        (f"{witness} in {direction}", instrument_a * way.sign, "A"),
        (f"pack voltage change in {direction}", voltage_change_v * way.sign, "V"),
    )
    return [
        Measurement(
            name=name,
            value=Uncertain(value, 2 * noise_v if unit == "V" else 0.0, unit),
            limits=Limits(low=0.0),
            rule=rule,
            source="bench",
            reference="a load can only sink, a one-quadrant supply only source",
        )
        for name, value, unit in values
    ]


@judgement
def reference_zero(
    traces: Traces, rule: DecisionRule, *, begin_s: float, end_s: float, limit_a: float, reference_u_a: float
) -> list[Measurement]:
    """The reference reads zero while nothing is driven; a bench that does not cannot judge anything.

    Raises:
        Inconclusive: it does not.
    """
    mean_a = truth_of(traces, begin_s, end_s, 5).mean()
    if abs(mean_a) > limit_a:
        raise Inconclusive(f"the reference shows {show(mean_a, 'A', reference_u_a)} although nothing is driven")
    value = Uncertain(mean_a, reference_u_a, "A")
    limits = Limits.around(0.0, limit_a)
    return [Measurement(name="reference at rest", value=value, limits=limits, rule=rule, source=REFERENCE)]


@judgement
def counter_stands(
    traces: Traces, rule: DecisionRule, *, signal: str, direction: str, resolution: float, begin_s: float, end_s: float
) -> list[Measurement]:
    """A counter of the other direction stands still: it may move by one step of its display, and no more."""
    window = heard(traces, signal, begin_s, end_s)
    if isinstance(window, Measurement):
        return [window]
    still = abs(window.need(2).values[-1] - window.values[0]) <= 1.5 * resolution
    hint = "" if still else "looks like: charge and discharge are counted together, or exchanged"
    name = f"{signal} stands still on {direction}"
    return [fact(name, still, True, rule=rule, source=f"bms.{signal}", at_s=begin_s, hint=hint)]
