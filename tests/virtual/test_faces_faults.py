"""Every fault of the catalogue, seen from the wire."""

from __future__ import annotations

import pytest

from bench.errors import DefinitionError
from instruments.virtual.faults import FAULTS, OF_SOME_KINDS
from instruments.virtual.instruments import start_instrument


@pytest.fixture
def supply(raw_bench):
    """A PSI 9000 charging with 20 A."""
    client = raw_bench.add("supply", "ea_psi_9000")
    for command in ("SYST:LOCK ON", "VOLT 58", "CURR 20", "OUTP ON"):
        client.write(command)
    client.clock.sleep(0.05)
    return client


@pytest.fixture
def fault(raw_bench, supply):
    return lambda name, **options: raw_bench.instruments.fault("supply", name, **options)


def test_a_hung_instrument_neither_answers_nor_obeys(raw_bench, supply, fault) -> None:
    fault("silent")
    supply.write("OUTP OFF")
    supply.send("OUTP?")
    assert supply.quiet()
    assert supply.clock.is_silent(supply.port)
    assert raw_bench.circuit.supply.on
    fault("none")
    assert supply.ask("OUTP?") == "ON"


def test_a_dropped_command_is_lost_and_the_next_is_done(raw_bench, supply, fault) -> None:
    fault("dropped_command")
    supply.write("OUTP OFF")
    assert raw_bench.circuit.supply.on
    supply.write("OUTP OFF")
    assert not raw_bench.circuit.supply.on


def test_a_late_answer_arrives_after_the_time_out_and_answers_the_wrong_question(supply, fault) -> None:
    fault("late_reply", s=2.0)
    supply.send("SYST:NOM:VOLT?")
    assert supply.quiet()
    assert supply.clock.is_silent(supply.port)
    supply.clock.sleep(1.99)
    assert supply.quiet()
    fault("none")
    supply.clock.sleep(0.02)
    supply.send("OUTP?")
    assert supply.receive() == b"80.00V\n"
    assert supply.receive() == b"ON\n"


def test_a_late_answer_to_a_closed_connection_is_lost(raw_bench, supply, fault) -> None:
    fault("late_reply", s=4.0)
    supply.send("SYST:NOM:VOLT?")
    supply.clock.serve()
    supply.sock.close()
    supply.clock.sleep(3.0)  # it held remote control: so long it is still counted
    fault("none")
    again = raw_bench.connect(raw_bench.instruments.address("supply"))
    assert again.ask("OUTP?") == "ON"
    again.clock.sleep(2.0)
    assert again.ask("OUTP?") == "ON"


def test_a_slow_answer_costs_time(supply, fault) -> None:
    fault("slow_reply", s=0.7)
    before_s = supply.clock.now()
    assert supply.ask("OUTP?") == "ON"
    assert supply.clock.now() - before_s == pytest.approx(0.7, abs=0.01)


@pytest.mark.parametrize(
    ("name", "answer"), [("no_terminator", b"80.00V"), ("partial", b"80."), ("extra_line", b"80.00V\n0\n")]
)
def test_answers_come_mutilated(supply, fault, name: str, answer: bytes) -> None:
    fault(name)
    supply.clock.forget_silence(supply.port)
    supply.send("SYST:NOM:VOLT?")
    assert supply.receive(len(answer)) == answer
    assert supply.quiet()
    assert supply.clock.is_silent(supply.port) is (name != "extra_line")


def test_a_reset_connection_is_gone_and_the_next_one_works(raw_bench, supply, fault) -> None:
    fault("connection_reset")
    supply.send("OUTP?")
    assert supply.closed_by_peer()
    fault("none")
    assert raw_bench.connect(raw_bench.instruments.address("supply")).ask("OUTP?") == "ON"


def test_a_power_cycle_forgets_everything_and_stops_the_current(raw_bench, supply, fault) -> None:
    supply.send("CURR 30")  # not executed any more
    supply.clock.serve()
    fault("power_cycle")
    assert supply.closed_by_peer()
    supply.clock.sleep(0.05)
    assert raw_bench.circuit.pack_current_a() == pytest.approx(0.0, abs=0.02)
    again = raw_bench.connect(raw_bench.instruments.address("supply"))
    assert again.ask("SYST:LOCK:OWN?;OUTP?;VOLT?;CURR?") == "NONE;OFF;0.00V;0.0A"


def test_without_mains_nobody_is_there_until_it_returns(raw_bench, supply, fault) -> None:
    fault("mains_loss")
    supply.clock.sleep(0.05)
    assert raw_bench.circuit.supply.on is False
    address = raw_bench.instruments.address("supply")
    dead = raw_bench.connect(address)
    dead.send("OUTP?")
    assert dead.closed_by_peer()
    fault("none")
    assert raw_bench.connect(address).ask("SYST:LOCK:OWN?;OUTP?") == "NONE;OFF"


def test_the_local_key_takes_remote_control_away(supply, fault) -> None:
    fault("remote_lost")
    supply.write("CURR 10")
    assert supply.ask("SYST:ERR?").startswith("-201,")
    assert supply.ask("SYST:LOCK:OWN?;OUTP?;CURR?") == "LOCAL;ON;20.0A"


def test_a_frozen_measurement_stays_and_thaws(raw_bench, supply, fault) -> None:
    fault("frozen_measurement")
    frozen = supply.ask("MEAS:ARR?")
    supply.write("CURR 60")
    supply.clock.sleep(0.1)
    assert supply.ask("MEAS:ARR?") == frozen
    assert raw_bench.circuit.supply.current_a() == pytest.approx(60.0, rel=0.002)
    fault("none")
    assert supply.ask("MEAS:ARR?") != frozen


def test_a_stuck_output_stays_on(raw_bench, supply, fault) -> None:
    fault("stuck_output")
    supply.write("OUTP OFF")
    assert supply.ask("SYST:ERR?") == '0,"No error"'
    assert supply.ask("OUTP?") == "ON"
    assert raw_bench.circuit.supply.on


def test_an_inverted_sign_shows(supply, fault) -> None:
    fault("sign_inverted")
    assert float(supply.ask("MEAS:CURR?").removesuffix("A")) == pytest.approx(-20.0, abs=0.7)


def test_a_wrong_value_shows(supply, fault) -> None:
    fault("wrong_value", gain=1.5)
    assert float(supply.ask("MEAS:CURR?").removesuffix("A")) == pytest.approx(30.0, abs=1.1)


def test_values_are_refused_and_ignored(supply, fault) -> None:
    fault("refuse_values")
    supply.write("CURR 10")
    assert supply.ask("SYST:ERR?").startswith("-222,")
    assert supply.ask("CURR?") == "20.0A"


def test_modbus_faults(raw_bench) -> None:
    board = raw_bench.add("relays", "waveshare_modbus_relay", channel=1)
    raw_bench.instruments.fault("relays", "exception_7")
    assert board.rtu("01 05 00 00 FF 00", 3) == "01 85 07"
    assert board.rtu("01 01 00 00 00 08", 4) == "01 01 01 00"
    raw_bench.instruments.fault("relays", "crc_error")
    board.send(bytes.fromhex("01 05 00 00 FF 00 8C 3A"))
    assert board.receive(8).hex(" ").upper() == "01 05 00 00 FF 00 8C C5"
    raw_bench.instruments.fault("relays", "stuck_output")
    board.clock.sleep(0.1)
    assert board.rtu("01 05 00 00 00 00", 6) == "01 05 00 00 00 00"
    board.clock.sleep(0.1)
    assert board.rtu("01 01 00 00 00 08", 4) == "01 01 01 00"
    assert raw_bench.circuit.disconnect.closed is True  # the coil fell, the contact did not


def test_a_welded_relay_contact_conducts_and_its_coil_says_off(raw_bench) -> None:
    board = raw_bench.add("relays", "waveshare_modbus_relay", channel=1)
    assert raw_bench.circuit.disconnect.conducts is False
    raw_bench.instruments.fault("relays", "welded")
    assert raw_bench.circuit.disconnect.conducts is True
    assert board.rtu("01 01 00 00 00 08", 4) == "01 01 01 00"
    for command in ("01 05 00 00 FF 00", "01 05 00 00 00 00"):
        board.rtu(command, 6)
        board.clock.sleep(0.1)
        assert raw_bench.circuit.disconnect.conducts is True
    raw_bench.instruments.fault("relays", "none")
    assert raw_bench.circuit.disconnect.conducts is False


def test_the_psb_refuses_writes_with_7_and_turns_bit_12(raw_bench) -> None:
    raw_bench.instruments.add("psb", "ea_psb_9000")
    psb = raw_bench.connect(raw_bench.instruments.address("psb", "scpi"))
    for command in ("SYST:LOCK ON", "VOLT 58", "CURR 20", "OUTP ON"):
        psb.write(command)
    raw_bench.instruments.fault("psb", "exception_7")
    assert psb.rtu("00 06 01 F4 10 00", 3) == "00 86 07"
    raw_bench.instruments.fault("psb", "sign_inverted")
    assert int(psb.rtu("00 03 01 F9 00 02", 7).replace(" ", "")[6:], 16) >> 12 & 1


def test_a_meter_can_lie_about_the_sign(raw_bench) -> None:
    meter = raw_bench.add("meter", "keysight_34465a", input="pack_side")
    raw_bench.instruments.fault("meter", "sign_inverted")
    assert float(meter.ask("READ?")) < -50.0
    raw_bench.instruments.fault("meter", "wrong_value", gain=2.0)
    assert float(meter.ask("READ?")) > 100.0


@pytest.mark.parametrize(
    ("driver", "name", "options", "message"),
    [
        ("ea_psi_9000", "sulks", {}, "have no fault 'sulks'; there are: none, silent"),
        ("ea_psi_9000", "late_reply", {"seconds": 2.0}, "no option 'seconds'; its options: s"),
        ("ea_psi_9000", "late_reply", {"s": -1.0}, "not negative"),
        ("keysight_34465a", "stuck_output", {}, "'dut' cannot have the fault 'stuck_output'"),
        ("waveshare_modbus_relay", "sign_inverted", {}, "'dut' cannot have"),
        ("ea_psi_9000", "welded", {}, "'dut' cannot have"),
        ("waveshare_modbus_inputs", "flickers", {"every_s": 0.0}, "at least 0.001 s"),
    ],
)
def test_a_fault_that_cannot_be_is_refused(driver: str, name: str, options: dict, message: str) -> None:
    with start_instrument(driver) as started, pytest.raises(DefinitionError, match=message):
        started.fault(name, **options)


@pytest.mark.parametrize(
    "driver",
    ["ea_psi_9000", "ea_el_9000", "ea_psb_9000", "icpdas_m7000", "waveshare_modbus_inputs", "keysight_daq970a"],
)
def test_an_instrument_can_play_every_fault_of_its_kind(driver: str) -> None:
    with start_instrument(driver) as started:
        for name in set(FAULTS) - OF_SOME_KINDS | started.behaviour.own_faults:
            started.fault(name)
            started.clock.sleep(0.1)
        started.fault("none")
        assert started.behaviour.fault.name == "none"


def test_starting_an_unknown_driver_names_the_missing_file() -> None:
    with (
        pytest.raises(LookupError, match=r"instruments/virtual/face_acme_9000\.py does not exist"),
        start_instrument("acme_9000"),
    ):
        pass


def test_a_started_instrument_introduces_itself() -> None:
    with start_instrument("keysight_34465a", "meter") as started:
        assert (started.maker, started.model, started.serial) == (
            "Keysight Technologies",
            "34465A",
            "VIRTUAL-METER",
        )
        assert started.address.startswith("tcp:127.0.0.1:")
        assert started.circuit.pack_side_v() > 50.0
