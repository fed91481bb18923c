"""Protections, supervision and alarms of the EA family: DC goes off, the alarm stays until acknowledged."""

from __future__ import annotations

import pytest


def bits(text: str) -> set[int]:
    return {n for n in range(16) if int(text) >> n & 1}


@pytest.fixture
def supply(raw_bench):
    client = raw_bench.add("supply", "ea_psi_9000")
    client.write("SYST:LOCK ON")
    return client


def start(client, *commands: str) -> None:
    for command in commands:
        client.write(command)


def test_an_overvoltage_switches_off_and_stays_until_acknowledged(raw_bench, supply) -> None:
    circuit = raw_bench.circuit
    start(supply, "VOLT 70", "VOLT:PROT 65", "CURR 20", "OUTP ON")
    supply.clock.sleep(0.05)
    assert circuit.supply.on
    circuit.switches.set(charge=False, discharge=False)  # the BMS opens: the bus rises to the set voltage
    supply.clock.sleep(0.2)
    assert circuit.supply.on is False
    assert bits(supply.ask("STAT:QUES:COND?")) == {0, 10}
    supply.write("OUTP ON")
    assert supply.ask("STAT:QUES:COND?") == str(1 | 1 << 10)  # -221 is queued, DC stays off
    assert circuit.supply.on is False
    assert supply.ask("SYST:ALAR:COUN:OVOL?") == "1"


def test_an_alarm_whose_cause_lasts_survives_the_acknowledgement(raw_bench, supply) -> None:
    circuit = raw_bench.circuit
    start(supply, "VOLT 60", "VOLT:PROT 50", "CURR 5", "OUTP ON")  # the pack itself is above the threshold
    supply.clock.sleep(0.05)
    assert circuit.supply.on is False
    assert 0 in bits(supply.ask("STAT:QUES:COND?"))
    assert supply.ask("SYST:ERR?") == '0,"No error"'
    assert 0 in bits(supply.ask("STAT:QUES:COND?"))
    supply.write("VOLT:PROT 70")
    assert supply.ask("SYST:ERR?") == '0,"No error"'  # reading the queue acknowledges
    assert 0 not in bits(supply.ask("STAT:QUES:COND?"))
    assert circuit.supply.on is False  # and does not switch on
    supply.write("OUTP ON")
    assert circuit.supply.on is True


def test_dc_cannot_go_on_with_an_alarm(supply) -> None:
    start(supply, "VOLT 60", "VOLT:PROT 50", "OUTP ON")
    supply.clock.sleep(0.05)
    supply.write("OUTP ON")
    assert supply.ask("SYST:ERR?") == '-221,"Settings conflict"'


def test_an_overcurrent_threshold_at_the_set_current_trips_first(raw_bench, supply) -> None:
    supply.write("CURR:PROT 20")
    start(supply, "VOLT 58", "CURR 20.4", "OUTP ON")
    supply.clock.sleep(0.05)
    assert raw_bench.circuit.supply.on is False
    assert bits(supply.ask("STAT:QUES:COND?")) == {1, 10}
    assert supply.ask("SYST:ALAR:COUN:OCUR?") == "1"


def test_the_discharge_of_the_output_capacitor_is_no_overcurrent(raw_bench, supply) -> None:
    raw_bench.circuit.disconnect.set(closed=False)
    start(supply, "VOLT 75", "CURR 20", "CURR:PROT 30", "OUTP ON")
    supply.clock.sleep(0.5)
    raw_bench.circuit.disconnect.set(closed=True)  # 75 V against 52 V
    assert raw_bench.circuit.supply.current_a() > 30.0
    supply.clock.sleep(0.5)
    assert raw_bench.circuit.supply.on is True


def test_an_overpower_switches_off(raw_bench, supply) -> None:
    start(supply, "POW:PROT 1000", "VOLT 58", "CURR 30", "OUTP ON")
    supply.clock.sleep(0.05)
    assert raw_bench.circuit.supply.on is False
    assert 2 in bits(supply.ask("STAT:QUES:COND?"))


def test_a_supervised_load_switches_off_below_its_voltage(raw_bench) -> None:
    load = raw_bench.add("load", "ea_el_9000")
    start(load, "SYST:LOCK ON", "SYST:CONF:UVD 40", "SYST:CONF:UVD:ACT ALAR", "CURR 10", "INP ON")
    assert load.ask("SYST:CONF:UVD?;:SYST:CONF:UVD:ACT?") == "40.00V;ALARM"
    load.clock.sleep(0.1)
    assert raw_bench.circuit.load.on is True
    raw_bench.circuit.switches.set(charge=False, discharge=False)
    load.clock.sleep(0.1)
    assert raw_bench.circuit.load.on is False
    assert 5 in bits(load.ask("STAT:QUES:COND?"))


def test_a_warning_lasts_as_long_as_its_condition(raw_bench, supply) -> None:
    start(supply, "SYST:CONF:OCD 15", "SYST:CONF:OCD:ACT WARN", "VOLT 58", "CURR 20", "OUTP ON")
    supply.clock.sleep(0.05)
    assert raw_bench.circuit.supply.on is True
    assert 6 in bits(supply.ask("STAT:QUES:COND?"))
    supply.write("CURR 10")
    supply.clock.sleep(0.05)
    assert 6 not in bits(supply.ask("STAT:QUES:COND?"))


def test_the_sink_of_a_bidirectional_unit_has_its_own_protection_and_counter(raw_bench) -> None:
    raw_bench.instruments.add("psb", "ea_psb_9000")
    psb = raw_bench.connect(raw_bench.instruments.address("psb", "scpi"))
    start(psb, "SYST:LOCK ON", "VOLT 45", "SINK:CURR 40", "CURR 100", "SINK:CURR:PROT 30", "OUTP ON")
    psb.clock.sleep(0.05)
    assert raw_bench.circuit.bidirectional.on is False
    assert psb.ask("SYST:SINK:ALAR:COUN:OCUR?;:SYST:ALAR:COUN:OCUR?") == "1;0"
    state = int(psb.rtu("00 03 01 F9 00 02", 7).replace(" ", "")[6:], 16)
    assert (state >> 15 & 1, state >> 17 & 1, state >> 31 & 1, state >> 7 & 1) == (1, 1, 1, 0)
    assert psb.rtu("00 05 01 9B FF 00", 6) == "00 05 01 9B FF 00"
    state = int(psb.rtu("00 03 01 F9 00 02", 7).replace(" ", "")[6:], 16)
    assert (state >> 15 & 1, state >> 17 & 1) == (0, 0)


def test_a_bench_reset_brings_back_the_state_after_power_up(raw_bench, supply) -> None:
    start(supply, "VOLT 58", "CURR 20", "OUTP ON")
    raw_bench.instruments.fault("supply", "silent")
    raw_bench.instruments.reset(seed=99)
    assert supply.closed_by_peer()
    assert raw_bench.circuit.supply.on is False
    again = raw_bench.connect(raw_bench.instruments.address("supply"))
    assert again.ask("SYST:LOCK:OWN?;VOLT?") == "NONE;0.00V"
    assert raw_bench.instruments.behaviour("supply").seed == 99
