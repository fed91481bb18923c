"""Settings of the virtual BMS: frames typed by hand, and protections that act by what was written."""

from __future__ import annotations

import pytest

from bench.loading import read_toml, validate
from bench.profile import PROFILES, Profile


def write(rig, address, word, *, unit="E0", function="10"):
    """Send one register; return the reply."""
    if function == "10":
        return rig.feed(f"{unit} 10 {address:04X} 00 01 02 {word & 0xFFFF:04X}")
    return rig.feed(f"{unit} 06 {address:04X} {word & 0xFFFF:04X}")


def read(rig, address):
    return rig.feed(f"E0 04 {address:04X} 00 01")[9:]


@pytest.fixture
def seplos(make_rig):
    rig = make_rig("seplos_v3", perfect=True)
    rig.start()
    return rig


def test_a_new_unit_has_what_its_profile_promises_in_the_makers_own_counts(seplos):
    words = {0x130D: "0E 42", 0x1311: "0A 8C", 0x1317: "00 6E", 0x131D: "FF 92", 0x131C: "FF 97", 0x1323: "02 58"}
    words |= {0x1324: "00 05", 0x1318: "00 64", 0x1332: "0C D1", 0x133A: "0D 03"}
    assert {address: read(seplos, address) for address in words} == words


def test_who_it_is_stands_in_the_version_block_and_begins_with_virtual(seplos):
    serial = seplos.ask(0, 4, 0x1715, 15).rstrip(b"\0").decode()
    assert serial.startswith("VIRTUAL-BMS-")
    assert seplos.ask(0, 4, 0x1714, 1) == b"10"
    assert seplos.ask(0, 4, 0x170A, 10).rstrip(b"\0") == b"VIRTUAL"


def test_another_unit_has_another_serial_number_and_a_power_cycle_keeps_it(make_rig):
    first, second = make_rig("seplos_v3", seed=1), make_rig("seplos_v3", seed=2)
    for rig in (first, second):
        rig.start()
    mine = first.ask(0, 4, 0x1715, 15)
    assert second.ask(0, 4, 0x1715, 15) != mine
    first.bms.power_off()
    first.start()
    assert first.ask(0, 4, 0x1715, 15) == mine
    first.bms.reset(2)
    assert first.ask(0, 4, 0x1715, 15) == second.ask(0, 4, 0x1715, 15)


def test_a_written_setting_is_answered_and_kept(seplos):
    assert write(seplos, 0x131D, -60) == "E0 10 13 1D 00 01"
    assert read(seplos, 0x131D) == "FF C4"
    assert read(seplos, 0x1317) == "00 6E"


@pytest.mark.parametrize(
    ("request_hex", "reply"),
    [
        ("E0 06 13 17 00 3C", "E0 86 01"),  # this profile declares function 16
        ("E0 10 13 16 00 01 02 00 97", "E0 90 03"),  # 151 A: more than may be written
        ("E0 10 13 1D 00 01 02 00 3C", "E0 90 03"),  # a limit of discharge above zero
        ("E0 10 13 12 00 01 02 07 D0", "E0 90 02"),  # no setting of the profile
        ("E0 10 13 17 00 02 04 00 3C 00 00", "E0 90 03"),  # the second of two is no delay
        ("E0 10 13 18 00 02 04 00 64 00 3C", "E0 90 02"),  # the second of two is no setting
        ("E0 10 13 17 00 01 04 00 3C 00 00", "E0 90 03"),  # byte count does not fit
        ("E0 10 13 17 00 00 00", "E0 90 03"),
        ("00 10 13 17 00 01 02 00 3C", "00 90 01"),  # the system's unit takes none
        ("01 06 13 17 00 3C", "01 86 01"),
    ],
)
def test_what_it_does_not_take_is_refused_and_changes_nothing(seplos, request_hex, reply):
    before = [read(seplos, address) for address in range(0x1315, 0x1325)]
    assert seplos.feed(request_hex) == reply
    assert [read(seplos, address) for address in range(0x1315, 0x1325)] == before


def test_several_neighbours_are_taken_at_once(seplos):
    assert seplos.feed("E0 10 13 15 00 03 06 00 32 00 37 00 3C") == "E0 10 13 15 00 03"
    assert [read(seplos, address) for address in (0x1315, 0x1316, 0x1317)] == ["00 32", "00 37", "00 3C"]


def test_function_six_and_two_registers_work_where_a_profile_says_so(make_rig):
    data = read_toml(PROFILES / "seplos_v3.toml")
    place = {"link": "modbus", "function": 3, "unit": "mV", "range": [0, 200000]}
    data["settings"] = {
        "narrow": {**place, "write_function": 6, "address": 1, "type": "uint16", "range": [0, 1000]},
        "wide": {**place, "address": 0x10, "write_address": 0x20, "type": "uint32", "word_order": "low_first"},
    }
    profile = validate(Profile, data, "foreign.toml").model_copy(update={"source": PROFILES / "seplos_v3.toml"})
    rig = make_rig(profile)
    rig.start()
    assert rig.feed("00 03 00 01 00 01") == "00 03 02 01 F4"  # the middle of its range
    assert rig.feed("00 06 00 01 00 07") == "00 06 00 01 00 07"
    assert rig.feed("00 03 00 01 00 01") == "00 03 02 00 07"
    assert rig.feed("00 10 00 20 00 02 04 86 A0 00 01") == "00 10 00 20 00 02"
    assert rig.feed("00 03 00 10 00 02") == "00 03 04 86 A0 00 01"
    assert rig.feed("00 10 00 20 00 01 02 86 A0") == "00 90 02"


# -- protections act by what was written -------------------------------------------------------------------------


def trip_s(rig, current_a, limit_s):
    """Let a current flow and return after how long the charge or discharge switch opened."""
    switch = "charge" if current_a > 0 else "discharge"
    rig.circuit.knob_a = current_a
    return rig.until(lambda: switch not in rig.bms.closed, limit_s=limit_s, step_s=0.01)


@pytest.mark.parametrize(("address", "sign"), [(0x1317, 1), (0x131D, -1)])
def test_over_current_trips_at_the_threshold_that_was_written(seplos, address, sign):
    seplos.circuit.knob_a = sign * 70.0
    seplos.sleep(15.0)
    assert seplos.bms.path_closed, "70 A is below 110 A"
    write(seplos, address, sign * 60)
    assert trip_s(seplos, sign * 70.0, 15.0) == pytest.approx(10.0, abs=1.5)


def test_the_other_direction_keeps_its_threshold(seplos):
    write(seplos, 0x1317, 60)
    seplos.circuit.knob_a = -70.0
    seplos.sleep(15.0)
    assert seplos.bms.path_closed


def test_the_units_own_spread_moves_along(seplos):
    before = seplos.bms.truth.thresholds["charge_overcurrent_1"]
    write(seplos, 0x1317, 60)
    assert seplos.bms.truth.thresholds["charge_overcurrent_1"] == pytest.approx(before - 50.0)


def test_a_delay_that_was_written_counts(seplos):
    write(seplos, 0x1318, 30)
    assert trip_s(seplos, 120.0, 8.0) == pytest.approx(3.0, abs=1.5)


def test_a_release_time_and_a_lock_out_that_were_written_count(seplos):
    write(seplos, 0x1323, 50)
    write(seplos, 0x1324, 2)
    trip_s(seplos, 120.0, 15.0)
    seplos.circuit.knob_a = 0.0
    assert seplos.until(lambda: "charge" in seplos.bms.closed, limit_s=8.0) == pytest.approx(5.0, abs=0.5)
    trip_s(seplos, 120.0, 15.0)
    assert "charge_overcurrent_1" in seplos.bms.truth.locked


def test_a_threshold_lowered_under_way_is_obeyed_from_then_on(seplos):
    seplos.circuit.knob_a = 70.0
    seplos.sleep(1.0)
    write(seplos, 0x1317, 60)
    assert seplos.until(lambda: "charge" not in seplos.bms.closed, limit_s=15.0) == pytest.approx(10.0, abs=1.5)


def test_settings_outlive_a_power_cycle_and_act_after_it(seplos):
    write(seplos, 0x1317, 60)
    seplos.bms.power_off()
    assert seplos.feed("E0 04 13 17 00 01") == "", "it is off"
    seplos.start()
    assert read(seplos, 0x1317) == "00 3C"
    assert trip_s(seplos, 70.0, 15.0) == pytest.approx(10.0, abs=1.5)


# -- defects -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("defect", "kept", "after_power_cycle"),
    [
        ("setting_ignores_write", "00 6E", "00 6E"),
        ("setting_written_wrong", "00 3D", "00 3D"),
        ("setting_lost_on_power_cycle", "00 3C", "00 6E"),
    ],
)
def test_a_defect_of_settings_answers_as_a_healthy_unit_and_keeps_something_else(
    make_rig, defect, kept, after_power_cycle
):
    rig = make_rig("seplos_v3", defects=(defect,))
    rig.start()
    assert write(rig, 0x1317, 60) == "E0 10 13 17 00 01"
    assert read(rig, 0x1317) == kept
    rig.bms.power_off()
    rig.start()
    assert read(rig, 0x1317) == after_power_cycle


def test_a_defect_of_a_protection_stays_when_its_setting_moves(make_rig):
    rig = make_rig("seplos_v3", perfect=True, defects=("dead_charge_protection",))
    rig.start()
    write(rig, 0x1317, 60)
    rig.circuit.knob_a = 120.0
    rig.sleep(20.0)
    assert "charge" in rig.bms.closed
