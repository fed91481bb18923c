"""Judgements: pure functions from recorded traces to measurements, so that a run can be judged again.

Each takes the traces, the decision rule and plain parameters (they are stored beside the traces), and returns the
measurements it made. It knows no bench, no instrument and no clock. Judgements about protections live in
`bench.trip_judgements`, those around zero and about the bench itself in `bench.zero_judgements`; all register here.

A judgement over a window asks first whether the window was recorded all the way: what was not seen is never a pass.
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from bench.errors import DefinitionError, Inconclusive
from bench.evidence import Measurement, fact
from bench.loading import nearest
from bench.misreading import diagnose, in_one_line
from bench.quantities import Direction, in_words, show
from bench.traces import Asked, Trace, Traces
from bench.uncertainty import (
    Accuracy,
    Budget,
    Uncertain,
    of_readings,
    of_resolution,
)
from bench.verdict import DecisionRule, Limits
from bench.window_budget import independent_of, reference_lines

Judge = Callable[..., list[Measurement]]
REGISTRY: dict[str, Judge] = {}
REFERENCE = "reference_current"
CALIBRATION_GAPS = "calibration_gaps"
SILENT_GAPS = 5.0  # of a channel's usual time between samples: longer than this, and than the next line, is a hole
SHORTEST_HOLE_S = 1.0
FEWEST_STEPS = 3.0  # of a counter, after which standing still is a fault
DIRECTION_SHARE = 0.1  # of the true current, below which a reading names no direction


def judgement(function: Judge) -> Judge:
    """Register a judgement under its name."""
    REGISTRY[function.__name__] = function
    return function


def register_all() -> None:
    """Import every module that has judgements; each registers its own."""
    import bench.clock_offset
    import bench.delay_judgements
    import bench.level_judgements
    import bench.ramp_judgements
    import bench.search_judgements
    import bench.state_judgements
    import bench.stimulus_judgements
    import bench.trip_judgements
    import bench.zero_judgements  # noqa: F401 - registers its judgements here


def judge(name: str, traces: Traces, rule: DecisionRule, parameters: dict[str, Any]) -> list[Measurement]:
    """Run a judgement by name.

    A parameter `calibration_gaps` (channel, or a pattern of channels: why its calibration does not hold) belongs to
    the bench, not to the judgement: if one of these is asked, all that is found is inconclusive for that reason.

    Raises:
        DefinitionError: there is no judgement of that name, or its parameters do not fit.
        Inconclusive: the traces do not tell, or there was nothing to judge.
    """
    register_all()
    try:
        function = REGISTRY[name]
    except KeyError:
        raise DefinitionError(f"no judgement called {name!r}{nearest(name, REGISTRY)}") from None
    own = {key: value for key, value in parameters.items() if key != CALIBRATION_GAPS}
    gaps: dict[str, str] = parameters.get(CALIBRATION_GAPS, {})
    asked = Asked(traces)
    try:
        measurements = function(asked, rule, **own)
    except TypeError as problem:
        raise DefinitionError(f"judgement {name}: {problem}") from problem
    if not measurements:
        raise Inconclusive(f"judgement {name}: nothing was there to be judged, and nothing judged is no pass")
    doubt = "; ".join(reason for channel, reason in gaps.items() if fnmatch.filter(asked.names, channel))
    return [replace(one, doubt=doubt) for one in measurements] if doubt else measurements


def spread_of_mean(trace: Trace) -> float:
    """Standard uncertainty of the mean of a window; 0 for readings that do not move at all."""
    return 0.0 if len(trace) < 2 else trace.spread() / math.sqrt(len(trace))


def has_hole(trace: Trace, begin_s: float, end_s: float) -> bool:
    """Say whether a channel was silent for long inside a window, measured by its own usual pace."""
    return trace.longest_gap(begin_s, end_s) > max(SILENT_GAPS * trace.usual_gap(), SHORTEST_HOLE_S)


def truth_of(traces: Traces, begin_s: float, end_s: float, count: int = 2) -> Trace:
    """Return the reference current of a window.

    Raises:
        Inconclusive: too few samples, or the reference was not recorded all the way.
    """
    whole = traces[REFERENCE]
    window = whole.between(begin_s, end_s).need(count)
    if has_hole(whole, begin_s, end_s):
        gap_s = whole.longest_gap(begin_s, end_s)
        raise Inconclusive(f"the reference was not recorded for {gap_s:.2f} s between {begin_s:.2f} and {end_s:.2f} s")
    return window


def heard(traces: Traces, signal: str, begin_s: float, end_s: float) -> Trace | Measurement:
    """Return the readings of a window, or the failed fact that a BMS on a proven link stayed silent in it.

    Raises:
        Inconclusive: nothing was heard for long, and the link was not proven all the time.
    """
    channel = f"bms.{signal}"
    silence = "nothing"
    if channel in traces:
        window = traces[channel].between(begin_s, end_s)
        if len(window):
            if not has_hole(traces[channel], begin_s, end_s):
                return window
            silence = f"nothing for {traces[channel].longest_gap(begin_s, end_s):.2f} s"
    links = [trace for name, trace in traces.channels.items() if name.startswith("link.")]
    proven = [trace.between(begin_s, end_s).always(lambda value: value >= 0.5) for trace in links]
    if links and all(proven):
        return fact(
            f"{signal} is reported all the time",
            False,
            True,
            source="bms",
            at_s=begin_s,
            hint=f"the BMS is silent ({silence} heard) while the bench can prove its own link",
        )
    raise Inconclusive(f"{signal}: {silence} heard from {begin_s:.2f} s to {end_s:.2f} s, and the link is not proven")


@judgement
def current_reading(
    traces: Traces,
    rule: DecisionRule,
    *,
    signal: str,
    begin_s: float,
    end_s: float,
    accuracy: dict[str, float],
    reference_u_a: float,
    reference_standard_a: float | None = None,
    reference_rectangles_a: Sequence[float] = (),
    reference: str = "meter",
    independent_s: float = 0.0,
) -> list[Measurement]:
    """The mean of the BMS's current lies within its promised accuracy of the mean of the reference.

    `reference_standard_a` and `reference_rectangles_a` say of what `reference_u_a` is made: its standard uncertainty
    (without it half of U), and the half-widths of its largest rectangles. Readings that follow one another within
    `independent_s` are not new ones, since a filter or the message's period holds them together.
    """
    window = heard(traces, signal, begin_s, end_s)
    if isinstance(window, Measurement):
        return [window]
    truth = truth_of(traces, begin_s, end_s)
    window.need(2)  # of a single reading nobody knows the noise
    spec = Accuracy(**accuracy)
    true_a, read_a = truth.mean(), window.mean()
    tolerance_a = spec.half_width(true_a)
    standard_a = reference_u_a / 2 if reference_standard_a is None else reference_standard_a
    budget = Budget(
        "A",
        (
            *reference_lines(standard_a, reference_rectangles_a),
            *of_readings(signal, window.values, spec.resolution, independent=independent_of(window, independent_s)),
            *of_readings(reference, truth.values),
        ),
    )
    expanded_a = budget.expanded
    words = in_words(true_a, 3 * reference_u_a)
    near = max(tolerance_a + expanded_a, 0.03 * abs(true_a))
    hint = ""
    if abs(read_a - true_a) > tolerance_a - expanded_a:
        hint = in_one_line(diagnose([(true_a, read_a)], near))
    return [
        Measurement(
            name=f"{signal} while {words}",
            value=budget.of(read_a),
            limits=Limits.around(true_a, tolerance_a),
            rule=rule,
            source=f"bms.{signal}",
            reference=f"{reference} {show(true_a, 'A', reference_u_a)} {words}",
            at_s=begin_s,
            hint=hint,
        )
    ]


@judgement
def current_direction(
    traces: Traces,
    rule: DecisionRule,
    *,
    signal: str,
    begin_s: float,
    end_s: float,
    direction: str,
    reference_u_a: float,
    reference: str = "meter",
) -> list[Measurement]:
    """The BMS's current has the sign of the direction that was forced, in pack sign.

    A reading that is nearly zero names no direction either: at least a tenth of the true current is asked for.
    """
    window = heard(traces, signal, begin_s, end_s)
    if isinstance(window, Measurement):
        return [window]
    way = Direction.of(direction)
    truth = truth_of(traces, begin_s, end_s)
    window.need(2)
    true_a, read_a = truth.mean(), window.mean()
    if true_a * way.sign <= reference_u_a:
        raise Inconclusive(f"the reference shows {show(true_a, 'A', reference_u_a)}, not {way.verb}")
    budget = Budget("A", of_readings(signal, window.values))
    least_a = DIRECTION_SHARE * abs(true_a)
    hint = ""
    if read_a * way.sign < least_a + budget.expanded:
        hint = in_one_line(diagnose([(true_a, read_a)], max(0.03 * abs(true_a), 3 * reference_u_a)))
    return [
        Measurement(
            name=f"{signal} in the direction of {way.word}",
            value=budget.of(read_a * way.sign),
            limits=Limits(low=least_a),
            rule=rule,
            source=f"bms.{signal}",
            reference=f"{reference} {show(true_a, 'A', reference_u_a)} {way.verb}",
            at_s=begin_s,
            hint=hint,
        )
    ]


@judgement
def power_direction(
    traces: Traces,
    rule: DecisionRule,
    *,
    signal: str,
    begin_s: float,
    end_s: float,
    accuracy: dict[str, float],
    reference_u_a: float,
    reference_standard_a: float | None = None,
    reference_rectangles_a: Sequence[float] = (),
    reference: str = "meter",
    independent_s: float = 0.0,
) -> list[Measurement]:
    """The BMS's power equals current times voltage of the reference within its accuracy, sign included."""
    window = heard(traces, signal, begin_s, end_s)
    if isinstance(window, Measurement):
        return [window]
    truth = truth_of(traces, begin_s, end_s)
    current_a = truth.mean()
    window.need(2)
    voltage_v = traces["pack_side_voltage"].between(begin_s, end_s).need(1).mean()
    true_w, read_w = current_a * voltage_v, window.mean()
    spec = Accuracy(**accuracy)
    tolerance_w = spec.half_width(true_w)
    reference_w = abs(voltage_v) * reference_u_a
    standard_a = reference_u_a / 2 if reference_standard_a is None else reference_standard_a
    spread = (replace(line, standard=abs(voltage_v) * line.standard) for line in of_readings(reference, truth.values))
    budget = Budget(
        "W",
        (
            *reference_lines(standard_a, reference_rectangles_a, abs(voltage_v)),
            *of_readings(signal, window.values, spec.resolution, independent=independent_of(window, independent_s)),
            *spread,
        ),
    )
    hint = ""
    if abs(read_w + true_w) <= tolerance_w + 1.5 * budget.expanded and abs(true_w) > tolerance_w:
        hint = "looks like: magnitude fits, sign inverted (M35 if the current is right)"
        if true_w < 0:  # one direction alone cannot tell these two apart
            hint += ", or an unsigned power beside a signed current (M36)"
    return [
        Measurement(
            name=f"{signal} while {in_words(current_a, 3 * reference_u_a)}",
            value=budget.of(read_w),
            limits=Limits.around(true_w, tolerance_w),
            rule=rule,
            source=f"bms.{signal}",
            reference=f"{reference} x pack voltage {show(true_w, 'W', reference_w)}",
            at_s=begin_s,
            hint=hint,
        )
    ]


@judgement
def counter_direction(
    traces: Traces,
    rule: DecisionRule,
    *,
    signal: str,
    begin_s: float,
    end_s: float,
    direction: str,
    resolution: float,
    unit: str,
    counts: str = "charge",
    steps: float = 0.0,
) -> list[Measurement]:
    """A counter (SOC, remaining charge, charged or discharged charge) moves the way the current flows.

    `counts` is the direction in which the counter goes up. `steps` is how many of its own steps the current should
    have moved it, as far as the profile's capacity tells: with three or more, one that stands still has failed.

    Raises:
        Inconclusive: the reference does not show that direction, or the counter did not move and nobody knows
            whether it could have.
    """
    window = heard(traces, signal, begin_s, end_s)
    if isinstance(window, Measurement):
        return [window]
    window.need(2)
    change = window.values[-1] - window.values[0]
    way = Direction.of(direction).sign * Direction.of(counts).sign
    truth = truth_of(traces, begin_s, end_s)
    if truth.mean() * Direction.of(direction).sign <= 0:
        raise Inconclusive(f"the reference shows {show(truth.mean(), 'A')}, not {Direction.of(direction).verb}")
    if change == 0:
        flowed_ah = abs(truth.mean()) * (truth.at_s[-1] - truth.at_s[0]) / 3600.0
        if (unit == "Ah" and flowed_ah > 2 * resolution) or steps >= FEWEST_STEPS:
            hint = f"looks like: frozen (M27), {flowed_ah:.3f} Ah have flowed"
            return [fact(f"{signal} moves at all", False, True, rule=rule, source=f"bms.{signal}", hint=hint)]
        raise Inconclusive(f"{signal} did not move from {begin_s:.1f} s to {end_s:.1f} s; longer or more current tells")
    hint = "" if change * way > 0 else "looks like: the counter lost or inverted its sign (M35, M40), or is frozen"
    return [
        Measurement(
            name=f"{signal} moves {'up' if way > 0 else 'down'} in {direction}",
            value=Uncertain(change * way, 2 * of_resolution(resolution) * math.sqrt(2), unit),
            limits=Limits(low=0.0),
            rule=rule,
            source=f"bms.{signal}",
            reference=f"{Direction.of(direction).verb} from {begin_s:.1f} s to {end_s:.1f} s",
            at_s=begin_s,
            hint=hint,
        )
    ]
