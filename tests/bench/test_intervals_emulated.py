"""Do stated intervals hold at emulated cells and sensors, and of delays told by messages across a bounded offset?

As in `test_intervals.py`: errors of the bench are drawn from what its definition states, so that the truth is known.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from bench.budgets import bracketed_threshold
from bench.definition import Definition, find_definition, load_definition
from bench.profile import Profile, find_profile, load_profile
from bench.provoking.accuracy import cell_accuracy, cell_budget, resistance_accuracy, sensor_budget
from bench.timing import flag_delay, trip_delay
from bench.uncertainty import Uncertain

SHORT, LONG = 500, 10_000
HELD_AT_LEAST, PADDED_AT_MOST, BEYOND_AT_MOST = 0.94, 1.2, 0.025

Kind = Callable[[random.Random, Definition, Profile], tuple[float, Uncertain]]


def cell_voltage(chance: random.Random, definition: Definition, profile: Profile) -> tuple[float, Uncertain]:
    """One reading of a cell, anywhere between its limits."""
    del profile
    true_v = chance.uniform(2.5, 3.65)
    found_v = true_v + chance.uniform(-1, 1) * cell_accuracy(definition).half_width(true_v)
    return found_v - true_v, cell_budget(definition, found_v).of(found_v)


def cell_threshold(step_v: float, noise_v: float) -> Kind:
    """A cell's threshold between two steps of the emulator, by a BMS with noise of its own."""

    def run(chance: random.Random, definition: Definition, profile: Profile) -> tuple[float, Uncertain]:
        del profile
        true_v = chance.uniform(3.64, 3.66)
        quiet_v = true_v + chance.gauss(0.0, noise_v) - chance.uniform(0.0, step_v)
        error_v = chance.uniform(-1, 1) * cell_accuracy(definition).half_width(true_v)
        reference = cell_budget(definition, true_v)
        value, _ = bracketed_threshold(quiet_v + error_v, quiet_v + step_v + error_v, reference, noise=noise_v)
        return value.value - true_v, value

    return run


def sensor_threshold(step_k: float) -> Kind:
    """A sensor's threshold between two steps of a ladder, whose resistors are off within their tolerance."""

    def run(chance: random.Random, definition: Definition, profile: Profile) -> tuple[float, Uncertain]:
        assert profile.temperature_sensors is not None
        curve = profile.temperature_sensors.curve
        true_degc = chance.choice((0.0, 45.0, 60.0)) + chance.random()
        quiet_degc = true_degc - chance.uniform(0.0, step_k)
        ohm = curve.ohm(true_degc)
        share = chance.uniform(-1, 1) * resistance_accuracy(definition).half_width(ohm) / ohm

        def seems(degc: float) -> float:  # the resistance is off, so the bench believes in another temperature
            return curve.degc(curve.ohm(degc) * (1.0 + share))

        reference = sensor_budget(definition, ohm, curve.kelvin_per_share(true_degc))
        value, _ = bracketed_threshold(seems(quiet_degc), seems(quiet_degc + step_k), reference)
        return value.value - true_degc, value

    return run


def cell_delay(gap_s: float, fast_s: float) -> Kind:
    """From a cell's step, seen in looks of its emulator, to the end of the current, seen in the reference's."""

    def run(chance: random.Random, definition: Definition, profile: Profile) -> tuple[float, Uncertain]:
        del definition, profile
        value = trip_delay(gap_s, fast_s).of(0.0)
        return chance.uniform(-0.5, 0.5) * gap_s + chance.uniform(-0.5, 0.5) * fast_s, value

    return run


def told_delay(offset_s: float) -> Kind:
    """A flag told by a message, across two clocks of which a common edge has left so much."""

    def run(chance: random.Random, definition: Definition, profile: Profile) -> tuple[float, Uncertain]:
        del definition, profile
        value = flag_delay(0.02, 0.1, clock_offset_s=offset_s).of(0.0)
        error_s = chance.uniform(-0.5, 0.5) * 0.02 + chance.uniform(-0.5, 0.5) * 0.1
        return error_s + chance.uniform(-1, 1) * offset_s, value

    return run


KINDS: dict[str, Kind] = {
    "cell voltage": cell_voltage,
    "cell threshold": cell_threshold(1e-3, 0.0),
    "cell threshold, noisy": cell_threshold(1e-3, 0.4e-3),
    "cell threshold, coarse": cell_threshold(5e-3, 0.2e-3),
    "temperature threshold": sensor_threshold(0.25),
    "temperature threshold, coarse": sensor_threshold(1.0),
    "delay of a cell": cell_delay(0.25, 0.02),
    "delay of a cell, looks as fast as the reference": cell_delay(0.02, 0.02),
    "flag across two clocks": told_delay(0.03),
    "flag across two clocks, the offset dominates": told_delay(0.2),
}


def check(name: str, count: int) -> None:
    definition, profile = (
        load_definition(find_definition("virtual_complete")),
        load_profile(find_profile("bmsbench_16s")),
    )
    runs = [KINDS[name](random.Random(f"{name}/{seed}"), definition, profile) for seed in range(count)]
    shares = sorted(abs(error) / value.expanded for error, value in runs)
    held = sum(share <= 1.0 for share in shares) / count
    padding = 1.0 / shares[math.ceil(0.95 * count) - 1]
    beyond = sum(error > value.expanded for error, value in runs) / count  # on one side: a unit at its limit accepted
    print(f"\n{name}: {count} judged, {held:.2%} held, U / 95 % half-width {padding:.3f}, {beyond:.2%} accepted")
    slack = 3.0 * math.sqrt(HELD_AT_LEAST * (1.0 - HELD_AT_LEAST) / count) if count < LONG else 0.0
    assert held >= HELD_AT_LEAST - slack
    assert padding <= PADDED_AT_MOST
    assert beyond < BEYOND_AT_MOST + (slack if count < LONG else 0.0)


@pytest.mark.parametrize("name", KINDS)
def test_intervals_at_emulated_cells_and_sensors_hold_and_are_not_padded(name: str) -> None:
    check(name, SHORT)


@pytest.mark.full
@pytest.mark.parametrize("name", KINDS)
def test_intervals_at_emulated_cells_and_sensors_hold_over_many(name: str) -> None:
    check(name, LONG)
