"""The arithmetic of an envelope: against fuse and wiring, against the cells of a BMS, against the time to stop."""

from __future__ import annotations

from typing import Any

import pytest

from bench.definition import find_definition, load_definition
from bench.envelope import Approach, SensorLimit, check_against_profile
from bench.errors import DefinitionError
from bench.profile import find_profile, load_profile

VIRTUAL = load_definition(find_definition("virtual"))
SEPLOS = load_profile(find_profile("seplos_v3"))


def refusal(**values: Any) -> str:
    with pytest.raises(DefinitionError) as caught:
        check_against_profile(VIRTUAL.envelope.model_copy(update=values), SEPLOS, "bench.toml")
    return str(caught.value)


@pytest.mark.parametrize("profile", ["seplos_v3", "foxbms_2"])
def test_the_shipped_bench_fits_the_shipped_bms(profile: str) -> None:
    check_against_profile(VIRTUAL.envelope, load_profile(find_profile(profile)), "virtual.toml")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"charge_a": 151.0}, "envelope.charge_a: 151 A is more than seplos_v3 may see, 150 A"),
        ({"discharge_a": 151.0}, "envelope.discharge_a: 151 A is more than seplos_v3 may see, 150 A"),
        ({"max_v": 60.1}, "envelope.max_v: 60.1 V is more than seplos_v3 may see, 16 cells x 3.75 V = 60 V"),
        (
            {"min_v": 31.9},
            "envelope.min_v: 31.9 V is 1.994 V a cell, below seplos_v3's absolute.cell_low_v = 2 V; write at least "
            "32 V",
        ),
        (
            {"max_degc": 81.0},
            "envelope.max_degc: 81 degC is beyond seplos_v3's absolute.temperature_high_degc = 75 degC",
        ),
        (
            {"sensors": {"top": SensorLimit(max_degc=90.0)}},
            "envelope.sensors.top.max_degc: 90 degC is beyond seplos_v3's absolute.temperature_high_degc = 75 degC "
            "+ 5 K",
        ),
    ],
)
def test_an_envelope_that_leaves_the_cells_limits_is_refused_with_key_value_and_arithmetic(
    values: dict[str, Any], words: str
) -> None:
    text = refusal(**values)
    assert text.startswith(f"bench.toml, {words}")
    assert "\n" not in text


def test_the_instruments_own_voltage_trip_stays_inside_the_cells_hard_limit_too() -> None:
    tight = SEPLOS.model_copy(update={"absolute": SEPLOS.absolute.model_copy(update={"cell_high_v": 3.80})})
    with pytest.raises(DefinitionError) as caught:
        check_against_profile(VIRTUAL.envelope, tight, "bench.toml")
    # 60 V x 1.03 = 61.8 V = 3.8625 V a cell; 16 x 3.80 V = 60.8 V; 60.8 / 1.03 = 59.03 V
    assert str(caught.value) == (
        "bench.toml, envelope.max_v: 60 V x 1.03 (the instruments' own trip) = 61.80 V, 3.863 V a cell, is beyond "
        "seplos_v3's absolute.cell_high_v = 3.8 V x 16 = 60.8 V; at most 59.03 V fit"
    )


def test_what_moves_slowly_enough_can_be_stopped() -> None:
    assert Approach("current, charge", "A", 115.0, 2.0, 136.5).arithmetic(10.0) is None  # 20 A of 21.5 A


def test_what_moves_too_fast_is_refused_with_the_arithmetic() -> None:
    assert Approach("current, charge", "A", 115.0, 50.0, 136.5).arithmetic(0.5) == (
        "current, charge: 50 A/s x 0.5 s to stop = 25 A, but from 115 to 136.5 A only 21.5 A are left; go slower, "
        "provoke less, or stop faster"
    )


def test_a_level_beyond_its_limit_is_refused_even_when_it_stands_still() -> None:
    assert "only -1 A are left" in str(Approach("current", "A", 137.5, 0.0, 136.5).arithmetic(0.5))
