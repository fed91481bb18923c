"""What a recording says about its own currents, as pure functions over decoded traces.

Without a bench there is no reference: another signal of the same BMS is only a witness, and a BMS that is wrong
about everything agrees with itself. So the words are *agrees* and *contradicts*, never *pass*.
All traces are in inside units and pack sign: charging positive.
"""

from __future__ import annotations

import bisect
import math
import statistics
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from bench.quantities import Direction
from bench.replay_judgement import resolution
from bench.traces import Trace

Word = Literal["agrees", "contradicts", "not enough movement"]

SURE = 5.0  # a slope counts when it is this many times its standard error
LEAST_STEPS = 3
STEP_S = 1.0  # long against the update of a voltage, short against what a state of charge does to it
SEGMENTS = 20
LOOK_BACK_S = 3.0  # a flag may be reported after the current that raised it has stopped


@dataclass(frozen=True, slots=True)
class Witness:
    """What one other signal says about the direction of a current."""

    name: str
    word: Word
    text: str


def voltage_witness(current: Trace, voltage: Trace) -> Witness:
    """Does the terminal voltage rise when the current says more charging, and fall when it says more discharging?

    Steps of the current decide (a battery has a positive resistance, whatever its state); where the current does
    not step, the slow rise or fall of the voltage under a steady current does.
    """
    name = voltage.name
    pairs = _together(current, voltage)
    steps = _steps(pairs)
    resolution_v = resolution(voltage.values)
    fit = _slope([step[0] for step in steps], [step[1] for step in steps], resolution_v)
    if fit is not None:
        slope, error, correlation = fit
        if abs(slope) >= SURE * error:
            moved = "rises" if slope > 0 else "falls"
            word: Word = "agrees" if slope > 0 else "contradicts"
            hint = "" if slope > 0 else ": is the sign inverted?"
            text = (
                f"over {len(steps)} steps of the current {name} {moved} by {abs(slope) * 1e3:.3g} mV per ampere "
                f"towards charging (correlation {correlation:+.2f}){hint}"
            )
            return Witness(name, word, text)
    return _trend_witness(name, pairs, resolution_v, len(steps))


def _trend_witness(name: str, pairs: list[tuple[float, float, float]], resolution_v: float, steps: int) -> Witness:
    segments = _steady_segments(pairs)
    fit = _slope([segment[0] for segment in segments], [segment[1] for segment in segments], resolution_v)
    if fit is None or abs(fit[0]) < SURE * fit[1]:
        current_span = max((p[1] for p in pairs), default=0.0) - min((p[1] for p in pairs), default=0.0)
        voltage_span = max((p[2] for p in pairs), default=0.0) - min((p[2] for p in pairs), default=0.0)
        text = (
            f"{steps} steps and {len(segments)} steady stretches in {len(pairs)} pairs; the current spans "
            f"{current_span:.4g} A, {name} {voltage_span:.4g} V"
        )
        return Witness(name, "not enough movement", text)
    right = fit[0] > 0
    trend = "rises under charging and falls under discharging" if right else "moves against the current"
    text = f"over {len(segments)} steady stretches {name} {trend} (correlation {fit[2]:+.2f})"
    return Witness(name, "agrees" if right else "contradicts", text + ("" if right else ": is the sign inverted?"))


def counter_witness(current: Trace, counter: Trace, step: float) -> Witness:
    """Does a state of charge or a charge counter go the way of the integrated current? `step` is its resolution."""
    pairs = _together(counter, current)
    charge_as, total = [], 0.0
    for n, (at_s, _, current_a) in enumerate(pairs):
        if n:
            total += 0.5 * (current_a + pairs[n - 1][2]) * (at_s - pairs[n - 1][0])
        charge_as.append(total)
    counts = [pair[1] for pair in pairs]
    step = max(step, resolution(counts))
    span = max(counts, default=0.0) - min(counts, default=0.0)
    if len(pairs) < LEAST_STEPS or span < 2 * step or not step or max(charge_as) == min(charge_as):
        moved_ah = (max(charge_as, default=0.0) - min(charge_as, default=0.0)) / 3600
        text = f"{counter.name} spans {span:.4g} while {moved_ah:.4g} Ah flowed; at least two of its steps are needed"
        return Witness(counter.name, "not enough movement", text)
    correlation = statistics.correlation(charge_as, counts)
    if abs(correlation) < 0.5:
        text = f"{counter.name} follows the integrated current neither way (correlation {correlation:+.2f})"
        return Witness(counter.name, "not enough movement", text)
    word: Word = "agrees" if correlation > 0 else "contradicts"
    way = "goes with" if correlation > 0 else "goes against"
    return Witness(counter.name, word, f"{counter.name} {way} the integrated current (correlation {correlation:+.2f})")


def sign_witness(current: Trace, other: Trace, rest_a: float) -> Witness:
    """Has another signed signal (power, a second current) the same direction at the same time?"""
    big_a = max(rest_a, 0.05 * max((abs(value) for value in current.values), default=0.0))
    products = [value * a for _, a, value in _together(current, other) if abs(a) > big_a and value]
    if not products:
        return Witness(other.name, "not enough movement", f"{other.name} was never beyond rest together with it")
    share = sum(product > 0 for product in products) / len(products)
    moments = "the one moment" if len(products) == 1 else f"{share * 100:.0f} % of {len(products)} moments"
    text = f"{other.name} has the same direction at {moments}" if share else f"{other.name} has the other direction"
    if share >= 0.9:
        return Witness(other.name, "agrees", text)
    if share <= 0.1 and len(products) >= LEAST_STEPS:  # fewer could be the moment of a reversal
        return Witness(other.name, "contradicts", text)
    return Witness(other.name, "not enough movement", text + ": neither way")


def flag_witness(current: Trace, flag: Trace, direction: Direction, rest_a: float) -> Witness:
    """When a flag of one direction rose, did the current go that way?"""
    right = wrong = at_rest = 0
    for at_s in _rises(flag):
        part = current.between(at_s - LOOK_BACK_S, at_s + 0.5).values
        largest = max(part, key=abs, default=0.0)
        if abs(largest) <= rest_a:
            at_rest += 1
        elif largest * direction.sign > 0:
            right += 1
        else:
            wrong += 1
    if not right and not wrong:
        text = f"{flag.name} rose {at_rest} times at rest" if at_rest else f"{flag.name} never rose"
        return Witness(flag.name, "not enough movement", text)
    word: Word = "agrees" if right > wrong else "contradicts"
    text = f"{flag.name} rose {right + wrong} times, {right} of them while {direction.verb}"
    return Witness(flag.name, word, text)


def _together(base: Trace, other: Trace) -> list[tuple[float, float, float]]:
    """Return (time, base, other) at the base's samples, with the other's newest value at that time."""
    pairs = []
    for at_s, value in base:
        index = bisect.bisect_right(other.at_s, at_s) - 1
        if index >= 0:
            pairs.append((at_s, value, other.values[index]))
    return pairs


def _steps(pairs: list[tuple[float, float, float]]) -> list[tuple[float, float]]:
    """Return separate changes (of current, of voltage) over about a second where the current really changed."""
    if len(pairs) < 2:
        return []
    currents = [pair[1] for pair in pairs]
    span_a = max(currents) - min(currents)
    # Beyond the last digit's flicker; but a current that only ever had a few values has no such digit.
    least_a = max(0.05 * span_a, min(4 * resolution(currents), 0.25 * span_a))
    # Slow links send less than once a second: then from one sample to the next.
    step_s = max(STEP_S, 1.5 * statistics.median(b[0] - a[0] for a, b in pairwise(pairs)))
    steps, before, now = [], 0, 1
    while least_a and now < len(pairs):
        while before < now and pairs[now][0] - pairs[before][0] > step_s:
            before += 1
        if abs(pairs[now][1] - pairs[before][1]) < least_a:
            now += 1
            continue
        end = now  # let the voltage follow for the rest of the second
        while end + 1 < len(pairs) and pairs[end + 1][0] - pairs[now][0] <= STEP_S / 2:
            end += 1
        steps.append((pairs[end][1] - pairs[before][1], pairs[end][2] - pairs[before][2]))
        before, now = end, end + 1
    return [step for step in steps if abs(step[0]) >= least_a]


def _steady_segments(pairs: list[tuple[float, float, float]]) -> list[tuple[float, float]]:
    """Return (mean current, change of voltage) of stretches under a steady current, at rest included."""
    size = max(4, len(pairs) // SEGMENTS)
    segments = []
    for start in range(0, len(pairs) - size + 1, size):
        part = pairs[start : start + size]
        currents = [pair[1] for pair in part]
        mean = statistics.fmean(currents)
        if mean and max(currents) - min(currents) <= 0.1 * abs(mean):
            segments.append((mean, part[-1][2] - part[0][2]))
    return segments


def _slope(x: list[float], y: list[float], step: float) -> tuple[float, float, float] | None:
    """Return slope through the origin, its standard error and the correlation; None with too little data."""
    if len(x) < LEAST_STEPS:
        return None
    sum_xx = sum(value * value for value in x)
    sum_yy = sum(value * value for value in y)
    if not sum_xx or not sum_yy:
        return None
    sum_xy = sum(a * b for a, b in zip(x, y, strict=True))
    slope = sum_xy / sum_xx
    residual = math.sqrt(sum((b - slope * a) ** 2 for a, b in zip(x, y, strict=True)) / (len(x) - 1))
    # Two rounded readings differ by up to a step, however well the rest fits.
    noise = max(residual, step / math.sqrt(6))
    return slope, noise / math.sqrt(sum_xx), sum_xy / math.sqrt(sum_xx * sum_yy)


def _rises(flag: Trace) -> list[float]:
    return [at_s for n, (at_s, value) in enumerate(flag) if value and (n == 0 or not flag.values[n - 1])]
