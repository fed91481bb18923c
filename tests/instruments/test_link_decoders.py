"""The CAN decoder on frames of real BMSs and on frames worked out by hand; never on an encoder of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import BadFrame, DefinitionError, NotImplementedByDut, ReadingError
from bench.loading import validate
from bench.profile import Profile, find_profile, load_profile
from instruments.links.dbc import DbcMap, load_database
from instruments.links.dbc_checks import unreachable_minimum

FOXBMS = load_profile(find_profile("foxbms_2"))
MAP = DbcMap(FOXBMS, "can")

# An IVT current sensor as foxBMS wires it: channel, counter, then int32 big-endian in mA.
SENSOR_DBC = """VERSION ""
NS_ :
BS_:
BU_: Bench
BO_ 860 SensorCurrent: 6 Bench
 SG_ Channel : 7|8@0+ (1,0) [0|255] "" Bench
 SG_ Counter : 15|8@0+ (1,0) [0|255] "" Bench
 SG_ Current : 23|32@0- (1,0) [-2147483648|2147483647] "mA" Bench
"""
CURRENT = {"positive_means": "charge", "provenance": "declared", "period_s": 0.02}


def profile_with(folder: Path, dbc: str, signal: dict[str, Any]) -> Profile:
    """A profile with one current, in a database whose text is given."""
    (folder / "own.dbc").write_text(dbc, encoding="cp1252")
    data = {
        "bms": {
            "maker": "Test",
            "model": "One current",
            "cells": 16,
            "capacity_ah": 100,
            "upper_limit_cell_v": 3.7,
            "measuring_range_a": 100,
            "switches": ["charge", "discharge"],
        },
        "absolute": {"charge_a": 100, "discharge_a": 100, "cell_high_v": 3.9, "cell_low_v": 2.0},
        "links": {"can": {"kind": "can_dbc", "dbc": "own.dbc"}},
        "operation": {"kind": "always_on"},
        "signals": {"pack_current": {"link": "can", **CURRENT, **signal}},
    }
    return validate(Profile, data, "own.toml").model_copy(update={"source": folder / "own.toml"})


def values(can_id: int, data: str, table: DbcMap = MAP) -> dict[str, float]:
    """Decode a frame of a database and return its good values."""
    results = table.decoders[(can_id, False)].decode(bytes.fromhex(data))
    return {result.signal: result.value for result in results if result.value is not None}


def test_ten_and_minus_five_amperes_in_seventeen_bits() -> None:
    """0x233 bytes 5-7, worked out by hand: 00 03 E8 = +10.00 A, 01 FE 0C = -5.00 A, discharge positive."""
    assert values(0x233, "00 00 00 00 00 00 03 E8")["pack_current"] == pytest.approx(-10.0)
    assert values(0x233, "00 00 00 00 00 01 FE 0C")["pack_current"] == pytest.approx(5.0)


def test_the_ends_of_the_seventeen_bits() -> None:
    assert values(0x233, "00 00 00 00 00 00 FF FF")["pack_current"] == pytest.approx(-655.35)
    assert values(0x233, "00 00 00 00 00 01 00 00")["pack_current"] == pytest.approx(655.36)


def test_a_recorded_string_at_rest() -> None:
    """Recorded 0x243: string 0, 63.93 V, 0.00 A."""
    assert values(0x243, "00 C7 C8 00 00 00 00 00") == {"string_current": 0.0}
    message = MAP.decoders[(0x243, False)].message
    assert message.decode_simple(bytes.fromhex("00C7C80000000000"))["StringVoltage"] == pytest.approx(63.93)


def test_minus_one_count_in_eighteen_bits() -> None:
    """18|18 big-endian ends at byte 4 bit 1: all ones is -0.01 A on the link."""
    assert values(0x243, "00 00 07 FF FE 00 00 00")["string_current"] == pytest.approx(0.01)


def test_recorded_cell_voltages() -> None:
    """Recorded 0x250 with multiplexer value 2: cells 9 to 12 are 1996, 2005, 2001 and 1999 mV."""
    database = load_database(MAP.path, "test")
    decoded = database.get_message_by_name("CellVoltages").decode_simple(bytes.fromhex("0203E61F54FA27CF"))
    assert [decoded[f"CellVoltage{cell:02}"] for cell in (9, 10, 11, 12)] == [1996, 2005, 2001, 1999]


@pytest.mark.parametrize(
    ("data", "state", "flags"),
    [
        ("07 10 00 00 00 00 00 00", 7, set()),
        ("0A 04 00 00 00 00 00 00", 10, {"general_error"}),  # bit 10
        ("0A 04 00 04 00 00 00 00", 10, {"general_error", "overcurrent_discharge"}),  # bit 26
        ("0A 04 00 02 00 00 00 00", 10, {"general_error", "overcurrent_charge"}),  # bit 25
        ("0A 04 00 01 00 00 00 00", 10, {"general_error", "can_timing_error"}),  # bit 24
    ],
)
def test_state_and_flags_stand_at_their_documented_bits(data: str, state: int, flags: set[str]) -> None:
    decoded = values(0x220, data)
    assert decoded.pop("state") == state
    assert {name for name, value in decoded.items() if value == 1} == flags


def test_the_sensor_of_a_real_vehicle(tmp_path: Path) -> None:
    """Recorded 0x35C: -2309 mA; unsigned it would be 4 294 965 A, with swapped bytes -67 698.689 A."""
    signal = {"message": "SensorCurrent", "signal": "Current", "unit": "mA"}
    table = DbcMap(profile_with(tmp_path, SENSOR_DBC, signal), "can")
    recorded = ["000AFFFFF6FB", "000BFFFFF703", "000CFFFFF6E9", "000DFFFFF6E8", "000EFFFFF6D0"]
    decoded = [values(0x35C, data, table)["pack_current"] for data in recorded]
    assert decoded == pytest.approx([-2.309, -2.301, -2.327, -2.328, -2.352])


@pytest.mark.parametrize("pattern", [0x80000000, -0x80000000])
def test_a_pattern_for_no_value_is_no_number(tmp_path: Path, pattern: int) -> None:
    """As int32 in mA the pattern would read as a calm -2 147 483 A."""
    signal = {"message": "SensorCurrent", "signal": "Current", "unit": "mA", "not_implemented": [pattern]}
    table = DbcMap(profile_with(tmp_path, SENSOR_DBC, signal), "can")
    [result] = table.decoders[(0x35C, False)].decode(bytes.fromhex("000A80000000"))
    assert isinstance(result.problem, NotImplementedByDut)
    assert "0x80000000" in str(result.problem)
    assert values(0x35C, "000A80000001", table)["pack_current"] == pytest.approx(-2147483.647)


def test_an_eleven_bit_current_declared_unsigned_is_refused(tmp_path: Path) -> None:
    """The published fault: 11 bits, 0.5 A, range -400 ... 200, and a plus sign after the byte order."""
    dbc = SENSOR_DBC.replace('Current : 23|32@0- (1,0) [-2147483648|2147483647] "mA"', "%s")
    signal = {"message": "SensorCurrent", "signal": "Current", "unit": "A"}
    right = dbc.replace("%s", 'Current : 23|11@0- (0.5,0) [-400|200] "A"')
    assert DbcMap(profile_with(tmp_path, right, signal), "can").decoders
    wrong = dbc.replace("%s", 'Current : 23|11@0+ (0.5,0) [-400|200] "A"')
    with pytest.raises(DefinitionError, match=r"own\.dbc, message SensorCurrent, signal Current is declared unsigned"):
        DbcMap(profile_with(tmp_path, wrong, signal), "can")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ('16|16@1+ (0.1,-3000) [-3000|3553.5] "A"', None),  # offset binary reaches its negative range
        ('16|16@1+ (-0.1,0) [-6553.5|0] "A"', None),  # so does a negative factor
        ('16|16@1- (0.1,0) [-3276.8|3276.7] "A"', None),
        ('16|16@1+ (0.1,0) [0|0] "A"', None),  # no range given
        ('16|16@1+ (0.1,0) [-100|100] "A"', -100.0),
        ('16|16@1+ (0.1,-10) [-100|100] "A"', -100.0),
    ],
)
def test_a_range_that_an_unsigned_number_cannot_reach_is_found(tmp_path: Path, entry: str, expected: object) -> None:
    text = SENSOR_DBC.replace('Current : 23|32@0- (1,0) [-2147483648|2147483647] "mA"', f"Current : {entry}")
    (tmp_path / "x.dbc").write_text(text, encoding="cp1252")
    message = load_database(tmp_path / "x.dbc", "test").get_message_by_name("SensorCurrent")
    assert unreachable_minimum(message.get_signal_by_name("Current")) == expected


@given(can_id=st.sampled_from(sorted(MAP.decoders)), data=st.binary(max_size=8))
def test_random_bytes_give_a_value_in_range_or_an_error(can_id: tuple[int, bool], data: bytes) -> None:
    decoder = MAP.decoders[can_id]
    results = decoder.decode(data)
    if len(data) != decoder.length:
        assert [type(result.problem) for result in results] == [BadFrame] * len(decoder.signals)
    for result in results:
        assert (result.value is None) != (result.problem is None)
        assert result.problem is None or isinstance(result.problem, ReadingError)
        signal = FOXBMS.signals[result.signal]
        if result.value is not None and signal.range is not None:
            low, high = sorted(signal.to_inside(end) for end in signal.range)
            assert low - 1e-6 <= result.value <= high + 1e-6
        if result.value is not None and signal.values:
            assert result.value in signal.values


def test_the_recorded_frames_of_a_real_unit_decode_or_are_refused(shared_data: Path) -> None:
    """One of the messages has the layout of another firmware version: its lowest cell voltage is refused."""
    lines = (shared_data / "logs" / "foxbms" / "can-log.trc").read_text().splitlines()
    frames = [
        (int(words[4], 16), " ".join(words[7:])) for line in lines if (words := line.split()) and words[0][-1] == ")"
    ]
    assert len(frames) == 9
    good: dict[str, set[float]] = {}
    bad: set[str] = set()
    for can_id, data in frames:
        decoder = MAP.decoders.get((can_id, False))
        if decoder is None:
            continue
        for result in decoder.decode(bytes.fromhex(data)):
            if result.value is None:
                bad.add(result.signal)
            else:
                good.setdefault(result.signal, set()).add(result.value)
    assert good["string_current"] == {0.0}
    assert good["discharge_current_limit"] == {0.0}
    # A lowest cell of 6.681 V below a highest of 0 V: this 0x231 is of another firmware version.
    assert bad == {"cell_voltage_min"}
    assert good["cell_voltage_max"] == {0.0}


@pytest.mark.parametrize(
    ("file", "message", "signal", "refused"),
    [
        ("leaf/EV-can_ZE0.dbc", "x1DB", "LB_Current", True),
        ("leaf/EV-can_AZE0.dbc", "x1DB", "LB_Current", False),
        ("leaf/EV-can_ZE1.dbc", "x1DB", "LB_Current", False),
        ("gm/cadillac_ct6_powertrain.dbc", "BECM_HVBatteryStatus", "HVBatteryCurrent", False),
    ],
)
def test_published_databases_are_judged_by_their_sign(
    shared_data: Path, tmp_path: Path, file: str, message: str, signal: str, refused: bool
) -> None:
    text = (shared_data / "dbc" / file).read_text(encoding="cp1252", errors="replace")
    database = load_database(shared_data / "dbc" / file, "test")
    message = next(m.name for m in database.messages if any(s.name == signal for s in m.signals))
    profile = profile_with(tmp_path, text, {"message": message, "signal": signal, "unit": "A"})
    if refused:
        with pytest.raises(DefinitionError, match="declared unsigned although its own range begins at -400"):
            DbcMap(profile, "can")
    else:
        assert DbcMap(profile, "can").decoders


def test_our_own_database_agrees_with_the_makers(shared_data: Path) -> None:
    """Every signal of ours stands at the bits at which the published database has one like it."""
    theirs = load_database(shared_data / "dbc" / "foxbms" / "foxbms.dbc", "test")
    ours = load_database(MAP.path, "test")

    def place(entry: Any) -> tuple[Any, ...]:
        muxes = tuple(entry.multiplexer_ids or ())[:1]
        start = entry.start
        if entry.byte_order == "little_endian":  # within one byte the two orders are the same bits
            assert start // 8 == (start + entry.length - 1) // 8
            start += entry.length - 1
        return start, entry.length, entry.is_signed, entry.scale, entry.offset, muxes

    for message in ours.messages:
        entries = theirs.get_message_by_frame_id(message.frame_id).signals
        published = {place(entry) for entry in entries if entry.byte_order == "big_endian" or entry.length <= 8}
        missing = [entry.name for entry in message.signals if place(entry) not in published]
        assert not missing, f"0x{message.frame_id:X}: {missing}"
