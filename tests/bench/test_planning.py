"""The planner: what a bench cannot test and why, told from two files; and what a run will take."""

from __future__ import annotations

from typing import Any

import pytest

from bench.definition import Definition, find_definition, load_definition
from bench.diagnosis import Diagnosis
from bench.planning import delay_refusal, diagnosis_refusals, plan_points, refusals, threshold_refusal
from bench.planning_costs import Work, cost_of, estimate, worded_s
from bench.profile import Profile, find_profile, load_profile
from bench.protection import Protection
from bench.reach import out_of_reach, unreachable


def bench(name: str = "virtual", **envelope: Any) -> Definition:
    definition = load_definition(find_definition(name))
    return definition.model_copy(update={"envelope": definition.envelope.model_copy(update=envelope)})


def bms(name: str = "foxbms_2", **changes: Any) -> Profile:
    return load_profile(find_profile(name)).model_copy(update=changes)


def changed(profile: Profile, row: str, **changes: Any) -> Profile:
    rows = tuple(
        Protection.model_validate({**each.model_dump(), **changes}) if each.name == row else each
        for each in profile.protections
    )
    return profile.model_copy(update={"protections": rows})


def instrument(definition: Definition, name: str, **changes: Any) -> Definition:
    parts = {**definition.instruments, name: definition.instruments[name].model_copy(update=changes)}
    return definition.model_copy(update={"instruments": parts})


def reasons(definition: Definition, profile: Profile, row: str) -> str:
    return "; ".join(next(point for point in plan_points(definition, profile) if point.row == row).reasons)


OC = "charge_overcurrent_msl"


# -- over-current ----------------------------------------------------------------------------------------------------


def test_what_the_bench_can_reach_has_no_reason_against_it() -> None:
    assert reasons(bench(), bms(), OC) == ""
    assert out_of_reach(bench(), bms()) == {}
    assert unreachable(bench(), bms()) == []


def test_a_threshold_outside_the_envelope_is_named_with_its_arithmetic() -> None:
    assert "must trip at 115.7 A, envelope.charge_a allows 112 A" in reasons(bench(charge_a=112.0), bms(), OC)
    assert "= 6939 W, envelope.max_w allows 6000 W" in reasons(bench(max_w=6000.0), bms(), OC)
    [text] = unreachable(bench(charge_a=112.0), bms())
    assert text.endswith("allows 112 A: NOT TESTED here")
    assert text.startswith(OC)


def test_ratings_that_the_definition_states_count() -> None:
    small = {"current": bench().instruments["charger"].accuracy["current"].model_copy(update={"range": 100.0})}
    text = reasons(instrument(bench(), "charger", accuracy=small), bms(), OC)
    assert "charger has a range of 100 A (instruments.charger.accuracy.current.range)" in text


def test_a_meter_whose_range_ends_before_is_named() -> None:
    measuring = bench().instruments["shunt_meter"].measuring
    assert measuring is not None
    coarse = instrument(bench(), "shunt_meter", measuring=measuring.model_copy(update={"range_v": 0.05}))
    text = reasons(coarse, bms(), OC)
    assert "115.7 A x 0.0005 ohm = 0.0578 V at the shunt, shunt_meter measures up to 0.05 V" in text


def test_a_tolerance_finer_than_the_reference_is_refused_with_its_tur() -> None:
    fine = changed(bms(), OC, tolerance=0.02)
    text = threshold_refusal(bench(), fine, fine.protection(OC))
    assert text is not None
    assert text.startswith("TUR 0.4")
    assert "tolerance 0.02 A against U = 0.04" in text
    assert threshold_refusal(bench(), bms(), bms().protection(OC)) is None
    none = changed(bms(), OC, tolerance=0.0)
    assert "TUR 0:" in str(threshold_refusal(bench(), none, none.protection(OC)))


@pytest.mark.parametrize(
    ("window", "told"),
    [
        ({"min": 0.0, "max": 0.01}, "at most 0.01 s is shorter than one sample of the reference (0.02 s)"),
        ({"min": 0.5, "max": 0.52}, "is not resolved: U = 0.0163 s here, less than 0.01 s are needed"),
        ({"min": 0.45, "max": 1.05}, ""),
    ],
)
def test_a_delay_that_the_samples_cannot_resolve_is_refused_with_what_would_do(
    window: dict[str, float], told: str
) -> None:
    row = changed(bms(), OC, delay_s=window, flag_delay_s=None).protection(OC)
    text = delay_refusal(bench(), row)
    assert text is None if not told else told in str(text)


def test_a_slope_that_eats_the_window_is_refused_before() -> None:
    row = bms().protection(OC)  # ± 3 A, 0.45 to 1.05 s
    assert delay_refusal(bench(slope_a_per_s=50.0), row) is None  # 6 A in 0.12 s, and as long again for the answers
    assert "steeper rise than envelope.slope_a_per_s = 15 A/s" in str(delay_refusal(bench(slope_a_per_s=15.0), row))
    [point] = [each for each in plan_points(bench(slope_a_per_s=8.0), bms()) if each.row == OC]
    assert point.testable  # it still must stay quiet, and release
    assert len(point.unresolved) == 1
    found = refusals(bench(slope_a_per_s=8.0), bms())
    assert any(text.startswith(f"INCONCLUSIVE here: {OC}, discharge_overcurrent_msl: its delay") for text in found)


def test_a_protection_that_locks_at_its_first_trip_is_not_provoked() -> None:
    text = reasons(bench(), changed(bms(), OC, lockout_count=1), OC)
    assert text == "it locks after 1 trip, so that its first provocation would be its last"
    [point] = [each for each in plan_points(bench(), bms("seplos_v3")) if each.row == "charge_overcurrent_1"]
    assert point.testable
    assert "locks after 5 trips (until a power cycle): at most 4 provoked" in point.remarks


def test_microseconds_need_a_digitiser_somebody_who_shorts_and_a_unit_that_survives() -> None:
    row = Protection.model_validate(
        {"name": "short", "kind": "short_circuit", "threshold": 300.0, "tolerance": 30.0, "opens": ["main_plus"],
         "delay_s": {"min": 1e-4, "max": 4e-4}, "release": {"kind": "command"}}
    )  # fmt: skip
    text = reasons(bench(), bms(protections=(row,)), "short")
    assert "no digitiser (roles.digitiser)" in text
    assert "no roles.fault_inserter" in text
    assert "tolerates.short_circuit = true" in text


# -- voltage and temperature -----------------------------------------------------------------------------------------


def test_missing_roles_are_named_once_for_all_rows_that_need_them() -> None:
    found = refusals(bench(), bms())
    assert (
        "NOT TESTED here: cell_overvoltage_msl, cell_undervoltage_msl: needs emulated cells; bench virtual has no "
        "cell_emulator" in found
    )
    assert any("charge_overtemperature_msl" in text for text in found)
    assert not any(OC in text for text in found)


def test_a_release_that_never_comes_at_rest_is_said_before_the_run() -> None:
    [point] = [each for each in plan_points(bench(), bms("seplos_v3")) if each.row == "cell_overvoltage_1"]
    assert any(
        "release at 3.4 V never comes at rest: with the plain cell model the voltage goes back by 0.010 V after 10 A, "
        "0.250 V are needed; discharge a little" in text
        for text in point.remarks
    )


# -- diagnoses -------------------------------------------------------------------------------------------------------


def diagnosis(kind: str) -> Diagnosis:
    return Diagnosis.model_validate(
        {"name": "d", "kind": kind, "within_s": {"min": 0.0, "max": 2.0}, "opens": ["main_plus"],
         "release": {"kind": "command"}}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("open_sense_wire", "no roles.fault_inserter"),
        ("welded_switch", "no roles.fault_inserter"),
        ("temperature_sensor_open", "no roles.sensor_emulator"),
        ("supply_low", "no roles.auxiliary_supply"),
        ("frozen_cell_voltage", "only the virtual BMS can play it"),
        ("link_lost", ""),
    ],
)
def test_a_diagnosis_says_what_is_missing(kind: str, told: str) -> None:
    found = diagnosis_refusals(bench(), bms(), diagnosis(kind))
    assert (not found) if not told else told in found[0]


def test_a_fault_that_the_bms_does_not_survive_is_refused_and_one_without_a_relay_too() -> None:
    able = bench().instruments["relays"].model_copy(update={"options": {"faults": {"open_sense_wire_8": 1}}})
    definition = bench().model_copy(
        update={
            "instruments": {**bench().instruments, "faults": able},
            "roles": {**bench().roles, "fault_inserter": "faults"},
        }
    )
    assert "tolerates.open_sense_wire = true" in diagnosis_refusals(definition, bms(), diagnosis("open_sense_wire"))[0]
    tough = bms(tolerates=bms().tolerates.model_copy(update={"open_sense_wire": True}))
    assert diagnosis_refusals(definition, tough, diagnosis("open_sense_wire")) == []
    assert "no relay for shunt_open" in diagnosis_refusals(definition, tough, diagnosis("current_sensor_open"))[0]
    small = tough.model_copy(update={"bms": tough.bms.model_copy(update={"cells": 4})})
    assert "means something on this BMS" in diagnosis_refusals(definition, small, diagnosis("open_sense_wire"))[0]


# -- costs -----------------------------------------------------------------------------------------------------------


def test_the_cost_of_a_hold_by_hand() -> None:
    """Twice 11 s at 110 A and 16 x 3.265 V, and a few seconds around it."""
    row = bms("seplos_v3").protection("charge_overcurrent_1")
    found = cost_of(bench(), bms("seplos_v3"), Work("OC-QUIET", row))
    assert found.seconds == pytest.approx(22.0 + 3.5)
    assert found.energy_wh == pytest.approx(110 * 16 * 3.265 * 22 / 3600, rel=1e-6)
    assert found.trips == 0
    release = cost_of(bench(), bms("seplos_v3"), Work("OC-RELEASE", row))
    assert release.seconds == pytest.approx(2.5 + 10 + 3 + 68)
    assert release.trips == 1


def test_repeats_stay_below_the_lock_out() -> None:
    profile = bms("seplos_v3")
    row = profile.protection("charge_overcurrent_1")
    assert cost_of(bench(), profile, Work("DL-DELAY", row)).trips == 4
    assert cost_of(bench(), bms(), Work("DL-DELAY", bms().protection(OC))).trips == 10


def test_a_run_is_summed_up_with_its_trips_and_without_what_cannot_be_tested() -> None:
    profile = bms("seplos_v3")
    rows = [profile.protection("charge_overcurrent_1"), profile.protection("cell_overvoltage_1")]
    works = [Work(case, row) for row in rows for case in ("OC-QUIET", "OC-TRIP", "OC-RELEASE")]
    found = estimate(bench(), profile, [*works, Work("REF-ZERO"), Work("NEW-ONE")])
    assert (found.tests, found.not_tested, found.unknown) == (8, 3, 1)
    assert found.trips["charge_overcurrent_1"].total == 2
    assert list(found.trips) == ["charge_overcurrent_1"]
    first, second = found.lines(simulated=True)
    assert "8 tests, about" in first
    assert "of simulated time" in first
    assert "(1 of them guessed)" in first
    assert second == "trips provoked: charge_overcurrent_1 2 (locks after 5)"
    wall = bench().model_copy(update={"bench": bench().bench.model_copy(update={"clock": "wall"})})
    assert estimate(wall, profile, works).wall_s > estimate(bench(), profile, works).seconds


def test_several_workers_share_the_wall_but_not_the_energy() -> None:
    works = [Work("CS-RAMP")] * 4
    one, two = (estimate(bench(), bms(), works, workers=count) for count in (1, 2))
    assert two.wall_s == pytest.approx(one.wall_s / 2)
    assert two.energy_wh == one.energy_wh


def test_durations_are_said_as_people_say_them() -> None:
    assert [worded_s(value) for value in (42.4, 300.0, 7200.0)] == ["42 s", "5 min", "2.0 h"]
