"""Where a protection is provoked, at which levels, what the other cells do meanwhile, and what is refused and why."""

from __future__ import annotations

from typing import Any

import pytest

from bench.definition import Definition, find_definition, load_definition
from bench.profile import Profile, find_profile, load_profile
from bench.protection import Protection
from bench.provoking import places_of, refusal_for
from bench.provoking.accuracy import cell_budget, sensor_budget
from bench.provoking.cells import companions_v, watched
from bench.provoking.demands import excusing, foreign_flags, opened_at
from bench.verdict import trip_levels

SPREAD = {
    "name": "cell_spread_1",
    "kind": "cell_voltage_spread",
    "threshold": 0.300,
    "tolerance": 0.020,
    "delay_s": {"min": 1.0, "max": 3.0},
    "opens": ["charge"],
    "release": {"kind": "value", "value": 0.150},
}


@pytest.fixture(scope="module")
def profile() -> Profile:
    return load_profile(find_profile("bmsbench_16s"))


@pytest.fixture(scope="module")
def complete() -> Definition:
    return load_definition(find_definition("virtual_complete"))


def with_rows(profile: Profile, *rows: dict[str, Any]) -> Profile:
    added = tuple(Protection.model_validate(row) for row in rows)
    return profile.model_copy(update={"protections": (*profile.protections, *added)})


def test_a_cell_limit_is_provoked_at_both_ends_at_every_chip_and_at_one_drawn_by_the_seed(profile: Profile) -> None:
    row = profile.protection("cell_overvoltage_1")
    places = places_of(profile, row, seed=1)
    assert {"cell_1", "cell_5", "cell_13", "cell_16"} <= set(places)
    assert len(places) in (4, 5)
    assert places_of(profile, row, seed=1) == places
    assert len({places_of(profile, row, seed)[-1] for seed in range(40)}) > 5
    assert places_of(profile, profile.protection("charge_overtemperature_1")) == ("cell_1", "cell_8", "cell_16")
    assert places_of(profile, profile.protection("charge_overcurrent_1")) == ("pack",)


def test_levels_of_a_voltage_lie_on_the_side_on_which_it_acts(profile: Profile) -> None:
    over, under = profile.protection("cell_overvoltage_1"), profile.protection("cell_undervoltage_1")
    high, low = trip_levels(over, 0.002, 0.001), trip_levels(under, 0.002, 0.001)
    assert (high.must_not_trip, high.must_trip) == pytest.approx((3.637, 3.663))
    assert (low.must_not_trip, low.must_trip) == pytest.approx((2.513, 2.487))


def test_the_other_cells_stay_neutral_unless_the_spread_would_act_first(profile: Profile) -> None:
    over, under = profile.protection("cell_overvoltage_1"), profile.protection("cell_undervoltage_1")
    assert companions_v(profile, over, 3.663, 3.265) == 3.265
    narrow = with_rows(profile, SPREAD)
    assert companions_v(narrow, over, 3.663, 3.265) == pytest.approx(3.663 - 0.18)
    assert companions_v(narrow, under, 2.487, 3.265) == pytest.approx(2.487 + 0.18)


def test_what_is_watched_is_worked_out_from_all_cells(profile: Profile) -> None:
    cells_v = [3.2, 3.3, 3.7]
    kinds = {row.kind: row.about for row in with_rows(profile, SPREAD).protections}
    assert watched(kinds["cell_overvoltage"], cells_v) == 3.7
    assert watched(kinds["cell_undervoltage"], cells_v) == 3.2
    assert watched(kinds["pack_overvoltage"], cells_v) == pytest.approx(10.2)
    assert watched(kinds["cell_voltage_spread"], cells_v) == pytest.approx(0.5)
    assert watched(kinds["charge_overcurrent"], cells_v) is None


@pytest.mark.parametrize(
    ("bench", "row", "place", "reason"),
    [
        ("virtual", "cell_overvoltage_1", "cell_1", "needs emulated cells; bench virtual has no cell_emulator"),
        (
            "virtual",
            "charge_overtemperature_1",
            "cell_1",
            "needs emulated sensors; bench virtual has no sensor_emulator",
        ),
        ("virtual_complete", "charge_overtemperature_1", "cell_4", "sensor cell_4 is not emulated"),
        ("virtual_complete", "pack_overvoltage_1", "pack", "no edge that a delay could be told from"),
    ],
)
def test_what_a_bench_cannot_provoke_is_refused_by_name(
    profile: Profile, bench: str, row: str, place: str, reason: str
) -> None:
    refusal = refusal_for(load_definition(find_definition(bench)), profile, profile.protection(row), place)
    assert refusal is not None
    assert row in refusal
    assert reason in refusal


def test_what_a_bench_can_provoke_is_not_refused(profile: Profile, complete: Definition) -> None:
    for name, place in (
        ("cell_overvoltage_1", "cell_7"),
        ("charge_overtemperature_1", "cell_8"),
        ("charge_overcurrent_1", "pack"),
    ):
        assert refusal_for(complete, profile, profile.protection(name), place) is None


def test_a_limit_that_cannot_be_reached_alone_is_refused_with_the_arithmetic(
    profile: Profile, complete: Definition
) -> None:
    row = profile.protection("cell_overvoltage_1")
    tight = with_rows(
        profile, {**SPREAD, "threshold": 0.05, "tolerance": 0.005, "release": {"kind": "value", "value": 0.02}}
    )
    refusal = refusal_for(complete, tight, row, "cell_7")
    assert refusal is not None
    assert "cannot be provoked alone: pack_overvoltage_1 would see" in refusal
    fragile = profile.model_copy(update={"absolute": profile.absolute.model_copy(update={"cell_high_v": 3.655})})
    beyond = refusal_for(complete, fragile, row, "cell_7")
    assert beyond is not None
    assert "section [absolute] allows 2 to 3.655 V" in beyond
    assert refusal_for(complete, profile, row, "cell_17") == "cell_17: there are cell_1 to cell_16"


def test_only_flags_whose_own_stimulus_is_reached_may_rise_too(profile: Profile) -> None:
    hot = profile.protection("discharge_overtemperature_1")
    foreign = foreign_flags(profile, hot, 77.5)
    assert "charge_overtemperature" not in foreign  # at 65 degC, so it is reached too
    assert "discharge_undertemperature" in foreign
    assert "cell_overvoltage" in foreign
    assert opened_at(profile, hot, 77.5) == {"charge", "discharge"}
    assert opened_at(profile, profile.protection("charge_overtemperature_1"), 67.5) == {"charge"}
    assert "cell_overvoltage" in excusing(profile, hot)
    assert "charge_overtemperature" not in excusing(profile, hot)


def test_the_uncertainty_of_a_place_comes_from_the_definition(complete: Definition) -> None:
    declared = complete.instruments[complete.roles["cell_emulator"]].accuracy["voltage"]
    half_v = declared.half_width(3.65)
    assert half_v < cell_budget(complete, 3.65).expanded * 1.2 < 2.5 * half_v
    resistors = complete.instruments[complete.roles["sensor_emulator"]].accuracy["resistance"]
    share = resistors.half_width(3000.0) / 3000.0
    assert sensor_budget(complete, 3000.0, 30.0).expanded == pytest.approx(0.95 * 30.0 * share, rel=0.1)
