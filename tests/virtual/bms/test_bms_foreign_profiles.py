"""A profile nobody here has seen: the virtual BMS plays it from its words alone."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from bench.errors import DefinitionError
from bench.frames import CanFrame

DBC = """VERSION ""
BU_: Bms Host
BO_ 2566844916 Numbers: 8 Bms
 SG_ Current : 0|16@1+ (0.1,-400) [-400|1000] "A" Host
 SG_ Soc : 16|8@1+ (1,0) [0|100] "%" Host
 SG_ Blocked : 24|1@1+ (1,0) [0|1] "" Host
 SG_ Mode : 32|4@1+ (1,0) [0|15] "" Host
 SG_ Exact : 0|0@1+ (1,0) [0|0] "" Host
BO_ 257 Ask: 2 Host
 SG_ Run : 3|1@1+ (1,0) [0|1] "" Bms
"""
DBC = DBC.replace(' SG_ Exact : 0|0@1+ (1,0) [0|0] "" Host\n', "")


def can_profile() -> dict[str, Any]:
    """Separate switches on a state request with one step, offset binary, little-endian, extended ids."""
    return {
        "bms": {
            "maker": "Acme",
            "model": "16S",
            "cells": 16,
            "capacity_ah": 100.0,
            "upper_limit_cell_v": 3.75,
            "measuring_range_a": 150.0,
            "switches": ["charge", "discharge"],
        },
        "absolute": {"charge_a": 150.0, "discharge_a": 150.0, "cell_high_v": 3.9, "cell_low_v": 2.0},
        "behaviour": {"sample_s": 0.02, "switch_s": 0.01},
        "links": {"bus": {"kind": "can_dbc", "dbc": "foreign.dbc"}},
        "operation": {
            "kind": "state_request",
            "link": "bus",
            "message": "Ask",
            "period_s": 0.2,
            "state": "mode",
            "operating": "on",
            "error": "fault",
            "sequence": [{"request": {"Run": 1}, "until": "on", "timeout_s": 5.0}],
            "open": {"Run": 0},
            "clear": {"Run": 0},
            "precharge_s": 0.3,
        },
        "signals": {
            "pack_current": {
                "link": "bus",
                "message": "Numbers",
                "signal": "Current",
                "unit": "A",
                "positive_means": "discharge",
                "provenance": "assumed",
                "period_s": 0.02,
            },
            "soc": {"link": "bus", "message": "Numbers", "signal": "Soc", "unit": "%", "period_s": 0.1},
            "mode": {
                "link": "bus",
                "message": "Numbers",
                "signal": "Mode",
                "period_s": 0.1,
                "values": {1: "off", 4: "on", 9: "fault"},
            },
            "blocked": {
                "link": "bus",
                "message": "Numbers",
                "signal": "Blocked",
                "period_s": 0.1,
                "active_low": True,
            },
        },
        "protections": [
            {
                "name": "charge_oc",
                "kind": "charge_overcurrent",
                "threshold": 110.0,
                "tolerance": 3.0,
                "delay_s": {"min": 0.5, "max": 1.0},
                "opens": ["charge"],
                "release": {"kind": "opposite_current"},
                "flag": "blocked",
            }
        ],
    }


def modbus_profile() -> dict[str, Any]:
    """Offset binary in an unsigned register, a float, bits of a register, an unsigned 32-bit number."""
    data = can_profile()
    data["links"] = {"map": {"kind": "modbus", "unit_id": 7, "poll_s": 0.2}}
    data["operation"] = {"kind": "always_on", "settle_s": 1.0}
    row = {"link": "map", "period_s": 0.2}
    amperes = {"unit": "A", "positive_means": "charge", "provenance": "declared"}
    data["signals"] = {
        "pack_current": {**row, **amperes, "function": 3, "address": 10, "type": "uint16", "scale": 0.1, "zero": 30000},
        "float_current": {**row, **amperes, "function": 3, "address": 20, "type": "float32"},
        "charging": {**row, "function": 3, "address": 30, "type": "bit", "bit": 0},
        "discharging": {**row, "function": 3, "address": 30, "type": "bit", "bit": 3},
        "pack_voltage": {**row, "function": 3, "address": 40, "type": "uint32", "unit": "mV"},
        "temperature_01": {**row, "function": 3, "address": 42, "type": "int16", "unit": "degC", "scale": 0.1},
        "cell_voltage_16": {**row, "function": 3, "address": 43, "type": "uint16", "unit": "mV"},
        "discharge_current_limit": {
            **row,
            "function": 3,
            "address": 44,
            "type": "uint16",
            "unit": "A",
            "positive_means": "magnitude",
            "provenance": "declared",
        },
        "blocked": {**row, "function": 2, "address": 5, "type": "bit"},
    }
    return data


def mode(rig):
    return rig.newest(0x18FF_02F4)[4] & 0x0F


def raw_current(rig):
    data = rig.newest(0x18FF_02F4)
    return data[0] | data[1] << 8


@pytest.fixture
def acme(make_rig, make_profile):
    text = DBC.replace("2566844916", str(0x18FF02F4 | 0x8000_0000))
    rig = make_rig(make_profile(can_profile(), text), perfect=True)
    rig.run = 0

    def send() -> None:
        rig.node.send(CanFrame(0.0, 257, bytes([rig.run << 3, 0])))

    rig.bms.power_on()
    rig.clock.every(0.2, send)
    return rig


def test_a_one_step_sequence_comes_to_operation_and_back(acme):
    acme.sleep(1.0)
    assert mode(acme) == 1, "the word for not being on, found by its place"
    acme.run = 1
    acme.sleep(0.4)
    assert mode(acme) == 1, "there is no word for the precharge"
    acme.sleep(0.4)
    assert mode(acme) == 4
    assert acme.bms.truth.closed == {"charge", "discharge"}
    acme.run = 0
    acme.sleep(1.0)
    assert mode(acme) == 1
    assert acme.bms.truth.closed == frozenset()


def test_offset_binary_little_endian_is_encoded_from_the_database(acme):
    for true_a, raw in ((0.0, 4000), (10.0, 3900), (-56.7, 4567), (-1200.0, 16000), (500.0, 0)):
        acme.circuit.knob_a = true_a
        acme.sleep(0.1)
        assert raw_current(acme) == raw, true_a
    assert acme.newest(0x18FF_02F4)[2] in range(48, 53)
    assert all(frame.extended for frame in acme.frames)


def test_a_trip_opens_only_its_switch_and_waits_for_the_opposite_current(acme):
    acme.run = 1
    acme.sleep(1.5)
    acme.charge(115.0)
    took_s = acme.until(lambda: abs(acme.circuit.pack_current_a()) < 0.1, limit_s=2.0)
    assert 0.5 < took_s < 1.0
    acme.sleep(0.1)
    assert acme.bms.truth.closed == {"discharge"}
    assert mode(acme) == 9
    assert acme.newest(0x18FF_02F4)[3] & 1 == 0, "active low"
    acme.rest()
    acme.sleep(30.0)
    assert acme.bms.truth.tripped == ("charge_oc",)
    acme.discharge(10.0)
    acme.sleep(0.2)
    assert acme.bms.truth.tripped == ()
    assert acme.newest(0x18FF_02F4)[3] & 1 == 1


def test_registers_of_every_type_are_filled(make_rig, make_profile):
    rig = make_rig(make_profile(modbus_profile()), perfect=True)
    rig.start()
    rig.circuit.knob_a = -8.0
    rig.sleep(0.2)
    assert int.from_bytes(rig.ask(7, 3, 10, 1), "big") == 30000 - 80
    assert struct.unpack(">f", rig.ask(7, 3, 20, 2))[0] == pytest.approx(-8.0, abs=1e-5)
    assert rig.ask(7, 3, 30, 1) == bytes([0, 0b1000])
    volts = int.from_bytes(rig.ask(7, 3, 40, 2), "big") / 1000.0
    assert volts == pytest.approx(rig.circuit.pack.terminal_v(-8.0), abs=0.05)
    assert int.from_bytes(rig.ask(7, 3, 42, 1), "big") * 0.1 == pytest.approx(25.0, abs=2.0)
    assert int.from_bytes(rig.ask(7, 3, 43, 1), "big") / 1000.0 == pytest.approx(
        rig.circuit.pack.cell_voltages_v(-8.0)[15], abs=0.003
    )
    assert int.from_bytes(rig.ask(7, 3, 44, 1), "big") == 150, "no discharge protection: the absolute maximum"
    assert rig.ask(7, 2, 5, 1) == bytes([0])
    rig.circuit.knob_a = 8.0
    rig.sleep(0.2)
    assert rig.ask(7, 3, 30, 1) == bytes([0, 0b0001])


def test_a_filter_and_a_dead_band_are_those_of_the_profile(make_rig, make_profile):
    data = modbus_profile()
    data["behaviour"] = {"sample_s": 0.01, "filter_s": 1.0}
    data["signals"]["pack_current"]["dead_band"] = 2.0
    rig = make_rig(make_profile(data), perfect=True)
    rig.start()
    rig.circuit.knob_a = 100.0
    rig.sleep(1.0)
    # 100 samples of 10 ms at a time constant of 1 s: 1 - 1/e
    assert int.from_bytes(rig.ask(7, 3, 10, 1), "big") - 30000 == pytest.approx(632, abs=4)
    rig.circuit.knob_a = 1.9
    rig.sleep(20.0)
    assert int.from_bytes(rig.ask(7, 3, 10, 1), "big") == 30000, "below the dead band"
    rig.circuit.knob_a = 2.1
    rig.sleep(20.0)
    assert int.from_bytes(rig.ask(7, 3, 10, 1), "big") == 30021


def test_a_signal_it_cannot_fill_is_refused_with_the_nearest_name(make_rig, make_profile):
    data = modbus_profile()
    data["signals"]["pack_voltag"] = data["signals"].pop("pack_voltage")
    with pytest.raises(DefinitionError, match=r"foreign\.toml, signals\.pack_voltag: .* did you mean 'pack_voltage'"):
        make_rig(make_profile(data))


@pytest.mark.parametrize("name", ["cell_voltage_17", "cell_voltage_00", "switch_main_plus", "happiness"])
def test_names_beyond_the_product_are_refused(make_rig, make_profile, name):
    data = modbus_profile()
    data["signals"][name] = {"link": "map", "period_s": 1.0, "address": 99, "type": "uint16"}
    with pytest.raises(DefinitionError, match=f"signals.{name}: the virtual BMS does not know"):
        make_rig(make_profile(data))


def test_a_unit_that_measures_something_else_is_refused(make_rig, make_profile):
    data = modbus_profile()
    data["signals"]["soc"] = {"link": "map", "period_s": 1.0, "address": 99, "type": "uint16", "unit": "V"}
    with pytest.raises(DefinitionError, match=r"signals\.soc\.unit: 'V' measures a voltage, soc is a ratio"):
        make_rig(make_profile(data))


def test_a_message_missing_from_the_database_is_named(make_rig, make_profile):
    data = can_profile()
    data["signals"]["soc"]["message"] = "Number"
    with pytest.raises(DefinitionError, match=r"signals\.soc\.message: .*'Number'; did you mean 'Numbers'"):
        make_rig(make_profile(data, DBC))


def test_a_request_field_missing_from_the_database_is_named(make_rig, make_profile):
    data = can_profile()
    data["operation"]["open"] = {"Runn": 0}
    with pytest.raises(DefinitionError, match="'Runn'; did you mean 'Run'"):
        make_rig(make_profile(data, DBC))


def test_a_missing_database_is_named(make_rig, make_profile):
    with pytest.raises(DefinitionError, match=r"links\.bus\.dbc: .*foreign\.dbc does not exist"):
        make_rig(make_profile(can_profile()))
