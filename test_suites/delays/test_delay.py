"""Delays: repeated with random phase, taken apart into flag, switch report and the current's end."""

from __future__ import annotations

import pytest

from bench import stimulus
from bench.clock_offset import measure_offset
from bench.delay_repeats import repeat_trips, repeats_allowed, trip_parameters
from bench.resolving import flag_resolvable, require_resolvable

AMPLITUDES = pytest.mark.parametrize("amplitude", ["must_trip", "120pct", "150pct"])
REPEATED = {"must_trip": 10, "120pct": 3, "150pct": 3}  # more at the level where the window matters most


@pytest.mark.protection_kinds(quantity="current")
@AMPLITUDES
@pytest.mark.case(id="DLY-CURRENT", function="trip delay", severity="critical")
def test_every_repeat_of_a_current_keeps_the_delay(provocation, stand, expect, amplitude):
    """{provocation} ends the current in time at {amplitude}, again and again, with flag and switch report apart"""
    protection = provocation.protection
    level_a = _level(stand, provocation, amplitude)
    _judge_repeats(stand, expect, provocation, level_a, repeats_allowed(stand, protection, REPEATED[amplitude]))


@pytest.mark.protection_kinds(quantity="voltage", once=True)
@pytest.mark.case(id="DLY-VOLTAGE", function="trip delay", severity="critical")
def test_every_repeat_of_a_voltage_keeps_the_delay(provocation, stand, expect):
    """{provocation} ends the current in time after its voltage has stepped, again and again"""
    level = provocation.levels().must_trip
    _judge_repeats(stand, expect, provocation, level, repeats_allowed(stand, provocation.protection, 5))


@pytest.mark.protection_kinds(quantity="temperature", once=True)
@pytest.mark.case(id="DLY-TEMPERATURE", function="trip delay", severity="critical")
def test_every_repeat_of_a_temperature_keeps_the_delay(provocation, stand, expect):
    """{provocation} ends the current in time after its temperature has stepped, again and again"""
    level = provocation.levels().must_trip
    _judge_repeats(stand, expect, provocation, level, repeats_allowed(stand, provocation.protection, 5))


def _judge_repeats(stand, expect, provocation, level, count):
    protection = provocation.protection
    require_resolvable(protection, stand.definition, stand.profile)
    offset, edges = measure_offset(stand)
    expect("common_edge", **edges)
    vague = flag_resolvable(protection, stand.definition, stand.profile, offset.limit_s)
    windows = repeat_trips(stand, provocation, level, count)
    parameters = trip_parameters(stand, provocation, level, offset)
    if vague is not None:
        stand.note(f"NOT JUDGED: {vague}")
        parameters["told"] = [row for row in parameters["told"] if row["signal"] != protection.flag]
    expect("repeated_delays", repeats=windows, **parameters)


def _level(stand, provocation, amplitude):
    """Return the level of an amplitude; skip by name what this bench cannot reach."""
    protection = provocation.protection
    must_trip_a = provocation.levels().must_trip
    if amplitude == "must_trip":
        return must_trip_a
    level_a = float(amplitude.removesuffix("pct")) / 100.0 * protection.threshold_si
    largest_a = stimulus.largest_current_a(stand, protection.about.direction)
    if level_a > largest_a:
        pytest.skip(f"{protection.name} at {level_a:.1f} A: bench {stand.definition.name} may force {largest_a:.1f} A")
    return max(level_a, must_trip_a)
