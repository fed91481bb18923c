"""What a recording says about its own currents, as pure functions over decoded traces.

Without a bench there is no reference: another signal of the same BMS is only a witness, and a BMS that is wrong
about everything agrees with itself. So the words are *agrees* and *contradicts*, never *pass*.
All traces are in inside units and pack sign: charging positive. `breaks` are instants at which another recording
begins in the same traces; nothing is concluded across one.
"""

from __future__ import annotations

import bisect
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from bench.quantities import Direction
from bench.replay_judgement import broken, resolution
from bench.traces import Trace

Pairs = list[tuple[float, float, float]]
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


def voltage_witness(current: Trace, voltage: Trace, breaks: Sequence[float] = ()) -> Witness:
    """Does the terminal voltage rise when the current says more charging, and fall when it says more discharging?

    Steps of the current decide (a battery has a positive resistance, whatever its state); where the current does
    not step, the slow rise or fall of the voltage under a steady current does.
    """
    name = voltage.name
    parts = _together(current, voltage, breaks)
    steps = _steps(parts)
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
    return _trend_witness(name, parts, resolution_v, len(steps))


def _trend_witness(name: str, parts: list[Pairs], resolution_v: float, steps: int) -> Witness:
    pairs = [pair for part in parts for pair in part]
    segments = [segment for part in parts for segment in _steady_segments(part)]
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


def counter_witness(current: Trace, counter: Trace, step: float, breaks: Sequence[float] = ()) -> Witness:
    """Does a state of charge or a charge counter go the way of the integrated current? `step` is its resolution."""
    step = max(step, resolution(counter.values))
    flowed: list[float] = []
    counted: list[float] = []
    span = moved_ah = 0.0
    for pairs in _together(counter, current, breaks):
        charge_ah, total = [], 0.0
        for n, (at_s, _, current_a) in enumerate(pairs):
            if n:
                total += 0.5 * (current_a + pairs[n - 1][2]) * (at_s - pairs[n - 1][0]) / 3600
            charge_ah.append(total)
        counts = [pair[1] for pair in pairs]
        # Each recording begins with a charge of its own: only what changed within it is compared.
        flowed += [value - statistics.fmean(charge_ah) for value in charge_ah]
        counted += [value - statistics.fmean(counts) for value in counts]
        span = max(span, max(counts) - min(counts))
        moved_ah = max(moved_ah, max(charge_ah) - min(charge_ah))
    if len(counted) < LEAST_STEPS or span < 2 * step or not step or not moved_ah:
        text = f"{counter.name} spans {span:.4g} while {moved_ah:.4g} Ah flowed; at least two of its steps are needed"
        return Witness(counter.name, "not enough movement", text)
    correlation = statistics.correlation(flowed, counted)
    if abs(correlation) < 0.5:
        text = f"{counter.name} follows the integrated current neither way (correlation {correlation:+.2f})"
        return Witness(counter.name, "not enough movement", text)
    word: Word = "agrees" if correlation > 0 else "contradicts"
    way = "goes with" if correlation > 0 else "goes against"
    return Witness(counter.name, word, f"{counter.name} {way} the integrated current (correlation {correlation:+.2f})")


def sign_witness(current: Trace, other: Trace, rest_a: float, breaks: Sequence[float] = ()) -> Witness:
    """Has another signed signal (power, a second current) the same direction at the same time?"""
    big_a = max(rest_a, 0.05 * max((abs(value) for value in current.values), default=0.0))
    together = (pair for part in _together(current, other, breaks) for pair in part)
    products = [value * a for _, a, value in together if abs(a) > big_a and value]
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


def flag_witness(
    current: Trace, flag: Trace, direction: Direction, rest_a: float, breaks: Sequence[float] = ()
) -> Witness:
    """When a flag of one direction rose, did the current go that way?"""
    right = wrong = at_rest = 0
    for at_s in _rises(flag, breaks):
        begins = [at for at in breaks if at <= at_s][-1:]
        ends = [at for at in breaks if at > at_s][:1]
        window = current.between(max([at_s - LOOK_BACK_S, *begins]), min([at_s + 0.5, *ends]))
        part = [value for at, value in window if at not in ends]
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


def _together(base: Trace, other: Trace, breaks: Sequence[float]) -> list[Pairs]:
    """Return (time, base, other) at the base's samples, with the other's newest value, a list per recording."""
    parts: list[Pairs] = []
    last_s: float | None = None
    for at_s, value in base:
        index = bisect.bisect_right(other.at_s, at_s) - 1
        if index < 0 or broken(other.at_s[index], at_s, breaks):
            continue
        if last_s is None or broken(last_s, at_s, breaks):
            parts.append([])
        parts[-1].append((at_s, value, other.values[index]))
        last_s = at_s
    return parts


def _steps(parts: list[Pairs]) -> list[tuple[float, float]]:
    """Return separate changes (of current, of voltage) over about a second where the current really changed."""
    currents = [pair[1] for pairs in parts for pair in pairs]
    if len(currents) < 2:
        return []
    span_a = max(currents) - min(currents)
    # Beyond the last digit's flicker; but a current that only ever had a few values has no such digit.
    least_a = max(0.05 * span_a, min(4 * resolution(currents), 0.25 * span_a))
    steps = [step for pairs in parts for step in _steps_of_one(pairs, least_a)]
    return [step for step in steps if abs(step[0]) >= least_a > 0]


def _steps_of_one(pairs: Pairs, least_a: float) -> list[tuple[float, float]]:
    if len(pairs) < 2:
        return []
    # Slow links send less than once a second: then from one sample to the next.
    step_s = max(STEP_S, 1.5 * statistics.median(b[0] - a[0] for a, b in pairwise(pairs)))
    steps, before, now = [], 0, 1
    while now < len(pairs):
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
    return steps


def _steady_segments(pairs: Pairs) -> list[tuple[float, float]]:
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


def _rises(flag: Trace, breaks: Sequence[float]) -> list[float]:
    """Return when the flag rose; one that was up when a recording begins rose before it."""
    rises = []
    for n in range(1, len(flag)):
        seen_low = not flag.values[n - 1] and not broken(flag.at_s[n - 1], flag.at_s[n], breaks)
        if flag.values[n] and seen_low:
            rises.append(flag.at_s[n])
    return rises
