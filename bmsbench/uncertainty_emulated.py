"""What `bmsbench uncertainty` says of voltages and temperatures, at emulated cells and sensors."""

from __future__ import annotations

from bench.budgets import averaging_s
from bench.definition import Definition
from bench.guard import FAST_S
from bench.gum import tur
from bench.planning import sample_s, threshold_budget
from bench.profile import Profile
from bench.protection import Protection
from bench.timing import between_samples, trip_delay
from bench.uncertainty import Budget

Point = tuple[str, str, Budget, str, float | None]
DIGITS = {"V": 4, "K": 2, "degC": 2}


def emulated_points(definition: Definition, profile: Profile, row: Protection) -> tuple[list[Point], Budget | None]:
    """Return the test points of a protection of voltage or temperature, and the budget of its stimulus.

    Nothing and None where nothing on this bench measures what it watches.

    Raises:
        BenchError: an accuracy that the budget needs is not declared.
    """
    budget = threshold_budget(definition, profile, row)
    if budget is None:
        return [], None
    tolerance, unit = row.tolerance_si, row.unit_si
    ratio = tur(-tolerance, tolerance, 0.0, budget.expanded) if tolerance else 0.0
    limits = f"± {tolerance:.{DIGITS.get(unit, 2)}g} {unit}"
    points: list[Point] = [(row.name, "threshold, by steps", budget, limits, ratio)]
    if row.level == "protection":
        low_s, high_s = row.delay_s.min, row.delay_s.max
        gap_s = sample_s(row)
        delay = trip_delay(gap_s, FAST_S, averaging_s=0.0)
        if averaging_s(definition):
            delay = delay.plus(between_samples("averaging of the reference", averaging_s(definition)))
        ratio_s = tur(low_s or None, high_s, 0.0, delay.expanded)
        points.append((row.name, "delay to t_off", delay, f"{low_s:g} to {high_s:g} s", ratio_s))
    return points, budget


def worded(row: Protection) -> str:
    """Write the threshold with its unit."""
    unit = row.unit_si
    return f"{row.threshold_si:.{3 if unit == 'V' else 1}f} {unit}"
