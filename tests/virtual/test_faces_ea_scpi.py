"""The EA 9000 family in SCPI, as raw lines: PSI supply and EL load on one pack."""

from __future__ import annotations

import re

import pytest


@pytest.fixture
def supply(raw_bench):
    """A PSI 9000 with remote control taken."""
    client = raw_bench.add("supply", "ea_psi_9000")
    client.write("SYST:LOCK ON")
    return client


@pytest.fixture
def load(raw_bench):
    """An EL 9000 with remote control taken."""
    client = raw_bench.add("load", "ea_el_9000")
    client.write("SYST:LOCK ON")
    return client


def amperes(text: str) -> float:
    assert text.endswith("A"), text
    return float(text[:-1])


@pytest.mark.parametrize(
    ("driver", "model", "ratings"),
    [
        ("ea_psi_9000", "PSI 9080-340 3U", ["80.00V", "340.0A", "10000W"]),
        ("ea_el_9000", "EL 9080-340 B", ["80.00V", "340.0A", "7200W"]),
        ("ea_psb_9000", "PSB 9080-360 3U", ["80.00V", "360.0A", "15000W"]),
    ],
)
def test_it_says_who_it_is_and_what_it_can(raw_bench, driver: str, model: str, ratings: list[str]) -> None:
    raw_bench.instruments.add("unit", driver)
    client = raw_bench.connect(raw_bench.instruments.address("unit", "scpi"))
    identity = client.ask("*IDN?").split(", ")
    assert identity[:3] == ["EA Elektro-Automatik GmbH&Co.KG", model, "VIRTUAL-UNIT"]
    assert identity[3].startswith("V2.14 ")
    assert [client.ask(f"SYST:NOM:{q}?") for q in ("VOLT", "CURR", "POW")] == ratings


def test_nothing_is_set_without_remote_control(raw_bench) -> None:
    client = raw_bench.add("supply", "ea_psi_9000")
    assert client.ask("SYST:LOCK:OWN?") == "NONE"
    client.write("VOLT 50")
    client.write("OUTP ON")
    assert client.ask("SYST:ERR:ALL?") == '-201,"Invalid while in local",-201,"Invalid while in local"'
    assert (client.ask("VOLT?"), client.ask("OUTP?")) == ("0.00V", "OFF")


def test_remote_control_is_taken_and_given_back(supply) -> None:
    assert supply.ask("SYST:LOCK:OWN?") == "REMOTE"
    assert supply.ask("STAT:QUES:COND?") == str(1 << 10)
    supply.write("SYST:LOCK OFF")
    assert supply.ask("SYST:LOCK:OWN?") == "NONE"


def test_a_unit_held_by_its_panel_does_not_give_remote_control(raw_bench, supply) -> None:
    raw_bench.instruments.fault("supply", "remote_lost", locked=1)
    assert supply.ask("SYST:LOCK:OWN?") == "LOCAL"
    assert supply.ask("STAT:QUES:COND?") == str(1 << 9)
    supply.write("SYST:LOCK ON")
    assert supply.ask("SYST:ERR?") == '-221,"Settings conflict"'
    raw_bench.instruments.fault("supply", "none")
    supply.write("SYST:LOCK ON")
    assert supply.ask("SYST:LOCK:OWN?") == "REMOTE"


@pytest.mark.parametrize("leaves_off", [True, False])
def test_leaving_remote_control_switches_off_only_where_that_is_set(raw_bench, supply, leaves_off: bool) -> None:
    supply.write(f"POW:STAG:AFT:REM {'OFF' if leaves_off else 'AUTO'}")
    supply.write("OUTP ON")
    supply.write("SYST:LOCK OFF")
    assert raw_bench.circuit.supply.on is not leaves_off


@pytest.mark.parametrize("text", ["12.5", "12.5V", "12.5 V", "+1.25E1", "1.250000E+01", "12500mV", "0.0125 kV"])
def test_numbers_come_in_many_shapes(supply, text: str) -> None:
    supply.write(f"VOLT {text}")
    assert supply.ask("SYST:ERR?") == '0,"No error"'
    assert supply.ask("VOLT?") == "12.50V"


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("VOLT 12.5A", -102),
        ("VOLT twelve", -102),
        ("VOLT nan", -102),
        ("VOLT", -102),
        ("VOLT 1,2", -108),
        ("VOLT 81.7", -222),
        ("VOLT -0.01", -222),
        ("CURR 347", -222),
        ("VOLT:PROT 88.1", -222),
        ("OUTP MAYBE", -224),
        ("VLOT 12", -100),
        ("SINK:CURR 3", -100),
        ("*OPC?", -100),
    ],
)
def test_a_wrong_command_changes_nothing_and_is_named_in_the_queue(supply, command: str, error: int) -> None:
    supply.write("VOLT 10")
    supply.write(command)
    assert supply.ask("SYST:ERR?").startswith(f"{error},")
    assert (supply.ask("VOLT?"), supply.ask("CURR?"), supply.ask("OUTP?")) == ("10.00V", "0.0A", "OFF")
    assert supply.ask("SYST:ERR?") == '0,"No error"'


def test_set_values_reach_102_percent_and_protections_110(supply) -> None:
    supply.write("VOLT 81.6")
    supply.write("VOLT:PROT 88")
    supply.write("CURR:PROT MAX")
    assert supply.ask("SYST:ERR?") == '0,"No error"'
    assert [supply.ask(q) for q in ("VOLT?", "VOLT:PROT?", "CURR:PROT?")] == ["81.60V", "88.00V", "374.0A"]


def test_the_load_ends_at_103_percent_of_voltage(load) -> None:
    load.write("VOLT:PROT 82.4")
    assert load.ask("SYST:ERR?") == '0,"No error"'
    load.write("VOLT:PROT 83")
    assert load.ask("SYST:ERR?").startswith("-222,")


def test_a_value_outside_the_setting_limits_is_ignored_and_refused(supply) -> None:
    supply.write("CURR:LIM:HIGH 50")
    supply.write("CURR 60")
    assert supply.ask("SYST:ERR?") == '-222,"Data out of range"'
    assert supply.ask("CURR?") == "0.0A"
    supply.write("CURR 50")
    assert supply.ask("CURR?") == "50.0A"
    supply.write("CURR:LIM:HIGH 40")
    assert supply.ask("SYST:ERR?").startswith("-221,")


def test_long_and_short_spellings_and_optional_nodes_are_the_same(supply) -> None:
    for n, header in enumerate(("VOLT", "voltage", "SOUR:VOLT", "SOURce:VOLTage", ":SOUR:VOLTAGE")):
        supply.write(f"{header} {10 + n}")
        assert supply.ask(f"{header}?") == f"{10 + n}.00V"
    supply.write("VOLTA 3")
    assert supply.ask("SYST:ERR?").startswith("-100,")


def test_an_order_is_executed_a_few_milliseconds_later(supply) -> None:
    supply.send("VOLT 20")
    supply.send("VOLT?")
    assert supply.receive() == b"0.00V\n"
    supply.clock.sleep(0.009)
    assert supply.ask("VOLT?") == "20.00V"


def test_orders_are_executed_in_their_order(raw_bench, supply) -> None:
    for n in range(20):
        supply.send(f"VOLT {n}")
    supply.send("OUTP ON")
    supply.send("OUTP OFF")
    supply.clock.sleep(0.01)
    assert supply.ask("VOLT?") == "19.00V"
    assert raw_bench.circuit.supply.on is False


def test_five_commands_may_be_joined_and_six_not(supply) -> None:
    assert supply.ask("VOLT?;CURR?;OUTP?;:SYST:LOCK:OWN?;SYST:NOM:VOLT?") == "0.00V;0.0A;OFF;REMOTE;80.00V"
    supply.send("VOLT?;VOLT?;VOLT?;VOLT?;VOLT?;VOLT?")
    assert supply.quiet()
    supply.clock.sleep(0.01)
    assert supply.ask("SYST:ERR?") == '-223,"Too much data"'


def test_a_joined_answer_longer_than_256_bytes_is_not_sent_at_all(supply) -> None:
    supply.write("SYST:CONF:USER:TEXT 'bench'")
    supply.send("*IDN?;*IDN?;*IDN?")
    assert supply.quiet()
    supply.clock.sleep(0.01)
    assert supply.ask("SYST:ERR?").startswith("-225,")


def test_a_message_longer_than_256_bytes_is_refused(supply) -> None:
    supply.send("VOLT " + "0" * 300 + "5")
    supply.clock.sleep(0.01)
    assert supply.ask("SYST:ERR?").startswith("-363,")
    assert supply.ask("VOLT?") == "0.00V"


def test_an_unknown_query_is_announced_as_silent(supply) -> None:
    supply.clock.forget_silence(supply.port)
    supply.send("RES?")
    assert supply.quiet()
    assert supply.clock.is_silent(supply.port)


def test_the_queue_keeps_five_errors(supply) -> None:
    for _ in range(7):
        supply.send("NONSENSE")
    supply.clock.sleep(0.01)
    codes = [supply.ask("SYST:ERR?").split(",")[0] for _ in range(6)]
    assert codes == ["-100", "-100", "-100", "-100", "-350", "0"]


def test_charging_in_constant_current_is_shown_with_units_and_status(raw_bench, supply) -> None:
    for command in ("VOLT 58", "CURR 20", "OUTP ON"):
        supply.write(command)
    supply.clock.sleep(0.1)
    assert raw_bench.circuit.pack_current_a() == pytest.approx(20.0, rel=0.002)
    shown = supply.ask("MEAS:ARR?")
    match = re.fullmatch(r"(\d+\.\d\d)V, (\d+\.\d)A, (\d+)W", shown)
    assert match is not None, shown
    voltage_v, current_a, power_w = map(float, match.groups())
    assert voltage_v == pytest.approx(raw_bench.circuit.supply.voltage_v(), abs=0.08)
    assert current_a == pytest.approx(20.0, abs=0.68)
    assert power_w == pytest.approx(voltage_v * current_a, abs=4.0)
    assert int(supply.ask("STAT:OPER:COND?")) == 1 << 9
    assert int(supply.ask("STAT:QUES:COND?")) == 3072


def test_a_supply_at_its_voltage_is_in_constant_voltage(raw_bench, supply) -> None:
    rest_v = raw_bench.circuit.pack_side_v()
    for command in (f"VOLT {rest_v + 0.3:.3f}", "CURR 200", "OUTP ON"):
        supply.write(command)
    supply.clock.sleep(0.1)
    assert int(supply.ask("STAT:OPER:COND?")) == 1 << 8


def test_a_power_limit_holds_and_is_shown(raw_bench, supply) -> None:
    for command in ("VOLT 60", "CURR 100", "POW 1000", "OUTP ON"):
        supply.write(command)
    supply.clock.sleep(0.3)
    circuit = raw_bench.circuit
    assert circuit.supply.voltage_v() * circuit.supply.current_a() == pytest.approx(1000.0, rel=0.01)
    assert int(supply.ask("STAT:OPER:COND?")) == 1 << 10
    supply.write("POW MAX")
    supply.clock.sleep(0.1)
    assert circuit.supply.current_a() == pytest.approx(100.0, rel=0.002)
    assert int(supply.ask("STAT:OPER:COND?")) == 1 << 9


def test_a_load_shows_what_it_draws_as_positive(raw_bench, load) -> None:
    for command in ("CURR 30", "INP ON"):
        load.write(command)
    load.clock.sleep(0.1)
    assert raw_bench.circuit.pack_current_a() == pytest.approx(-30.0, rel=0.002)
    assert amperes(load.ask("MEAS:CURR?")) == pytest.approx(30.0, abs=0.68)
    assert float(load.ask("MEAS:POW?").removesuffix("W")) > 1500
    assert load.ask("INP?") == "ON"
    load.write("OUTP OFF")
    assert load.ask("SYST:ERR?").startswith("-100,")  # a load has an input
    load.write("INP OFF")
    assert raw_bench.circuit.pack_current_a() == pytest.approx(0.0, abs=0.02)


def test_the_bidirectional_unit_shows_sinking_as_negative(raw_bench) -> None:
    raw_bench.instruments.add("psb", "ea_psb_9000")
    psb = raw_bench.connect(raw_bench.instruments.address("psb", "scpi"))
    rest_v = raw_bench.circuit.pack_side_v()
    for command in ("SYST:LOCK ON", f"VOLT {rest_v - 3:.2f}", "SINK:CURR 40", "CURR 25", "OUTP ON"):
        psb.write(command)
    psb.clock.sleep(0.1)
    assert raw_bench.circuit.pack_current_a() == pytest.approx(-40.0, rel=0.002)
    assert amperes(psb.ask("MEAS:CURR?")) == pytest.approx(-40.0, abs=0.72)
    assert psb.ask("MEAS:POW?").startswith("-")
    assert int(psb.ask("STAT:OPER:COND?")) == 1 << 12 | 1 << 9
    psb.write(f"VOLT {rest_v + 3:.2f}")
    psb.clock.sleep(0.1)
    assert amperes(psb.ask("MEAS:CURR?")) == pytest.approx(25.0, abs=0.72)
    assert int(psb.ask("STAT:OPER:COND?")) == 1 << 9


def test_a_reading_is_the_last_acquired_one(raw_bench, supply) -> None:
    for command in ("VOLT 58", "CURR 20", "OUTP ON"):
        supply.write(command, wait_s=0.02)
    supply.send("MEAS:CURR?")
    before = supply.receive()
    raw_bench.circuit.disconnect.set(closed=False)
    supply.clock.sleep(0.001)
    supply.send("MEAS:CURR?")
    assert supply.receive() == before
    supply.clock.sleep(0.02)
    assert amperes(supply.ask("MEAS:CURR?")) < 1.0


def test_a_silent_socket_is_closed_after_five_simulated_seconds(supply) -> None:
    supply.clock.sleep(4.9)
    assert supply.ask("OUTP?") == "OFF"
    supply.clock.sleep(4.9)
    assert supply.ask("OUTP?") == "OFF"
    supply.clock.sleep(5.1)
    assert supply.closed_by_peer()


def test_the_socket_time_out_can_be_changed_and_switched_off(supply) -> None:
    supply.write("SYST:COMM:LAN:TIM 60")
    supply.clock.sleep(59.0)
    assert supply.ask("SYST:COMM:LAN:TIM?") == "60"
    supply.write("SYST:COMM:LAN:TIM 0")
    supply.clock.sleep(3600.0)
    assert supply.ask("SYST:COMM:LAN:TIM?") == "0"
    supply.write("SYST:COMM:LAN:TIM 3")
    assert supply.ask("SYST:ERR?").startswith("-222,")


def test_the_output_goes_on_when_the_socket_is_closed(raw_bench, supply) -> None:
    for command in ("VOLT 58", "CURR 20", "OUTP ON"):
        supply.write(command)
    supply.sock.close()
    supply.clock.sleep(20.0)
    assert raw_bench.circuit.pack_current_a() == pytest.approx(20.0, rel=0.002)
    again = raw_bench.connect(raw_bench.instruments.address("supply"))
    assert again.ask("SYST:LOCK:OWN?;OUTP?") == "REMOTE;ON"


def test_one_client_at_a_time(raw_bench, supply) -> None:
    second = raw_bench.connect(raw_bench.instruments.address("supply"))
    assert second.closed_by_peer()
    assert supply.ask("OUTP?") == "OFF"


@pytest.mark.parametrize("after", ["OFF", "AUTO"])
def test_the_interface_monitoring_takes_remote_control_away(raw_bench, supply, after: str) -> None:
    for command in (
        f"POW:STAG:AFT:REM {after}", "SYST:COMM:MON:TIM 2", "SYST:COMM:MON:ACT ON", "VOLT 58", "CURR 20", "OUTP ON",
    ):  # fmt: skip
        supply.write(command)
    for _ in range(5):
        supply.clock.sleep(1.5)
        assert supply.ask("OUTP?") == "ON"
    supply.clock.sleep(2.1)
    assert raw_bench.circuit.supply.on is (after == "AUTO")
    assert supply.ask("SYST:LOCK:OWN?") == "NONE"
    assert int(supply.ask("STAT:OPER:COND?")) >> 7 & 1
    supply.write("VOLT 57")
    assert supply.ask("SYST:ERR?").startswith("-201,")
    supply.write("SYST:LOCK ON")
    assert not int(supply.ask("STAT:OPER:COND?")) >> 7 & 1


def test_reset_takes_remote_control_and_switches_off(raw_bench, supply) -> None:
    supply.write("OUTP ON")
    supply.write("SYST:LOCK OFF")
    supply.write("*RST")
    assert supply.ask("SYST:LOCK:OWN?;OUTP?") == "REMOTE;OFF"


def test_event_status_and_status_byte_tell_of_errors(supply) -> None:
    assert int(supply.ask("*ESR?")) & 1 << 7  # power on, told once
    assert supply.ask("*STB?") == "0"
    supply.write("VOLT 99")
    supply.write("NONSENSE")
    assert supply.ask("*STB?") == "4"
    assert supply.ask("*ESR?") == str(1 << 4 | 1 << 5)
    assert supply.ask("*ESR?") == "0"
    supply.write("*CLS")
    assert supply.ask("SYST:ERR?;*STB?") == '0,"No error";0'


def test_settings_of_the_interface_are_read_back(supply) -> None:
    for command, query, answer in (
        ("POW:STAG:AFT:REM OFF", "POW:STAG:AFT:REM?", "OFF"),
        ("SYST:COMM:MON:TIM 7", "SYST:COMM:MON:TIM?", "7"),
        ("SYST:COMM:MON:ACT ON", "SYST:COMM:MON:ACT?", "ON"),
        ("SYST:COMM:LAN:KEEP ON", "SYST:COMM:LAN:KEEP?", "ON"),
        ("CURR:LIM:LOW 0", "CURR:LIM:LOW?", "0.0A"),
        ('SYST:CONF:USER:TEXT "rack 3"', "SYST:CONF:USER:TEXT?", '"rack 3"'),
    ):
        supply.write(command)
        assert supply.ask(query) == answer
    assert supply.ask("*IDN?").endswith(", rack 3")
    assert supply.ask("SYST:ERR?") == '0,"No error"'


def test_monitoring_without_remote_control_expires_on_nobody(raw_bench, supply) -> None:
    for command in ("SYST:COMM:MON:TIM 1", "SYST:COMM:MON:ACT ON", "SYST:LOCK OFF"):
        supply.write(command)
    supply.clock.sleep(3.0)
    assert not int(supply.ask("STAT:OPER:COND?")) >> 7 & 1
    supply.write("SYST:LOCK ON")
    supply.clock.sleep(0.8)
    assert supply.ask("SYST:LOCK:OWN?") == "REMOTE"
    supply.clock.sleep(1.1)
    assert supply.ask("SYST:LOCK:OWN?") == "NONE"
