"""Directions, units, ranges and how numbers are written."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import OutOfRange
from bench.quantities import (
    INSIDE_UNIT,
    UNITS,
    Direction,
    Range,
    digits_for,
    direction_of,
    finite,
    in_words,
    show,
)


def test_charging_is_positive() -> None:
    assert (Direction.CHARGE.sign, Direction.DISCHARGE.sign) == (1, -1)
    assert Direction.CHARGE.opposite is Direction.DISCHARGE
    assert Direction.DISCHARGE.opposite is Direction.CHARGE
    assert (Direction.CHARGE.verb, Direction.DISCHARGE.word) == ("charging", "discharge")


def test_a_direction_is_found_by_its_word_only() -> None:
    assert Direction.of("discharge") is Direction.DISCHARGE
    with pytest.raises(ValueError, match="'charging' is not a direction: write 'charge' or 'discharge'"):
        Direction.of("charging")


@pytest.mark.parametrize(
    ("current_a", "zero_a", "words"),
    [
        (5.0, 0.1, "charging"),
        (-5.0, 0.1, "discharging"),
        (0.1, 0.1, "at rest"),
        (-0.1, 0.1, "at rest"),
        (0.0, 0, "at rest"),
    ],
)
def test_a_current_in_words(current_a: float, zero_a: float, words: str) -> None:
    assert in_words(current_a, zero_a) == words
    assert (direction_of(current_a, zero_a) is None) == (words == "at rest")


@pytest.mark.parametrize(
    ("unit", "value", "inside"),
    [
        ("mA", 1500.0, 1.5),
        ("kA", 0.2, 200.0),
        ("mV", 3650.0, 3.65),
        ("uV", 12.0, 12e-6),
        ("kW", 6.0, 6000.0),
        ("mohm", 0.5, 0.0005),
        ("mAh", 100_000.0, 100.0),
        ("As", 3600.0, 1.0),
        ("C", 7200.0, 2.0),
        ("kWh", 5.12, 5120.0),
        ("ms", 250.0, 0.25),
        ("min", 2.0, 120.0),
        ("h", 1.0, 3600.0),
        ("K", 273.15, 0.0),
        ("K", 298.15, 25.0),
        ("permille", 5.0, 0.5),
    ],
)
def test_units_become_inside_units(unit: str, value: float, inside: float) -> None:
    assert UNITS[unit].to_si(value) == pytest.approx(inside)
    assert UNITS[unit].from_si(inside) == pytest.approx(value)


def test_every_quantity_has_an_inside_unit_that_is_its_own() -> None:
    assert {unit.quantity for unit in UNITS.values()} == set(INSIDE_UNIT)
    for quantity, name in INSIDE_UNIT.items():
        assert (UNITS[name].quantity, UNITS[name].factor, UNITS[name].offset) == (quantity, 1.0, 0.0)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_range_is_inclusive_and_never_clips(value: float) -> None:
    inside = not math.isnan(value) and -1.0 <= value <= 2.0
    if inside:
        assert Range(-1.0, 2.0, "A").check(value, "current") == value
    else:
        with pytest.raises(OutOfRange, match=r"current: .* A is outside -1 to 2 A"):
            Range(-1.0, 2.0, "A").check(value, "current")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_only_finite_numbers_are_finite(value: float) -> None:
    with pytest.raises(OutOfRange, match=r"reading: .* is not a finite number"):
        finite(value, "reading")
    assert finite(-1.5, "reading") == -1.5


@pytest.mark.parametrize(
    ("uncertainty", "digits"),
    [(0.012, 3), (0.12, 2), (1.2, 1), (12.0, 0), (120.0, 0), (1e-9, 6), (0.0, 3), (math.nan, 3)],
)
def test_digits_stop_where_the_uncertainty_says_so(uncertainty: float, digits: int) -> None:
    assert digits_for(uncertainty) == digits


def test_numbers_are_written_with_sign_unit_and_uncertainty() -> None:
    assert show(10.0031, "A", 0.012) == "+10.003 A ± 0.012 A"
    assert show(-10.0, "A") == "-10.000 A"
    assert show(1.05, "s", 0.058, signed=False) == "1.050 s ± 0.058 s"
