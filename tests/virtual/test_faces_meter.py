"""The Keysight 34465A as raw lines, on the reference shunt and on both sides of the BMS's switch."""

from __future__ import annotations

import pytest

from bench.errors import DefinitionError


@pytest.fixture
def meter(raw_bench):
    return raw_bench.add("meter", "keysight_34465a", input="pack_side")


def limit_v(reading_v: float, range_v: float) -> float:
    """One-year accuracy of a 6½-digit meter in the ranges used here."""
    of_reading_pct, of_range_pct = {0.1: (0.0050, 0.0035), 100.0: (0.0045, 0.0006)}[range_v]
    return abs(reading_v) * of_reading_pct / 100 + range_v * of_range_pct / 100


def test_it_says_who_it_is(meter) -> None:
    maker, model, serial, firmware = meter.ask("*IDN?").split(",")
    assert (maker, model, serial) == ("Keysight Technologies", "34465A", "VIRTUAL-METER")
    assert firmware.startswith("A.02.")


def test_it_reads_the_pack_inside_its_accuracy_whatever_the_unit(new_raw_bench) -> None:
    deviations = set()
    for seed in range(1, 9):
        bench = new_raw_bench(seed)
        meter = bench.add("meter", "keysight_34465a", input="pack_side")
        meter.write("CONF:VOLT:DC 100")
        true_v = bench.circuit.pack_side_v()
        deviation_v = float(meter.ask("READ?")) - true_v
        assert 0 < abs(deviation_v) <= limit_v(true_v, 100.0)
        deviations.add(deviation_v)
    assert len(deviations) == 8


def test_the_shunt_reads_positive_while_charging(raw_bench) -> None:
    shunt = raw_bench.add("shunt", "keysight_34465a", input="reference_shunt")
    shunt.write("CONF:VOLT:DC 0.1")
    stage = raw_bench.circuit.supply
    stage.set(on=True, voltage_v=60.0, current_limit_a=50.0)
    shunt.clock.sleep(0.1)
    true_v = raw_bench.circuit.reference_shunt_v()
    assert true_v == pytest.approx(50 * 0.0005, rel=1e-3)
    assert float(shunt.ask("READ?")) == pytest.approx(true_v, abs=limit_v(true_v, 0.1))
    stage.set(on=False)
    raw_bench.circuit.load.set(on=True, current_a=50.0)
    shunt.clock.sleep(0.1)
    assert float(shunt.ask("READ?")) == pytest.approx(-0.025, rel=1e-3)


def test_both_sides_of_the_switch_differ_when_it_opens(raw_bench) -> None:
    pack = raw_bench.add("pack", "keysight_34465a", input="pack_side")
    bench = raw_bench.add("bench", "keysight_34465a", input="bench_side")
    raw_bench.circuit.load.set(on=True, current_a=20.0)
    raw_bench.circuit.switches.set(charge=False, discharge=False)
    pack.clock.sleep(0.5)
    assert float(pack.ask("READ?")) > 50.0
    assert float(bench.ask("READ?")) < 2.0


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [
        ([], 0.4),  # 10 cycles of 50 Hz, twice because of automatic zero
        (["SENS:VOLT:DC:NPLC 1"], 0.04),
        (["SENS:VOLT:DC:NPLC 1", "SENS:VOLT:DC:ZERO:AUTO OFF"], 0.02),
        (["VOLT:ZERO:AUTO OFF", "VOLT:APER 0.005"], 0.005),
        (["VOLT:NPLC 1", "SAMP:COUN 5"], 0.2),
    ],
)
def test_a_reading_takes_its_integration_time(meter, settings: list[str], seconds: float) -> None:
    for setting in settings:
        meter.write(setting)
    before_s = meter.clock.now()
    meter.ask("READ?")
    assert meter.clock.now() - before_s == pytest.approx(seconds, abs=1e-9)
    assert meter.ask("SYST:ERR?") == '+0,"No error"'


def test_beyond_120_percent_of_range_it_overloads(meter) -> None:
    meter.write("CONF:VOLT:DC 10")
    assert meter.ask("READ?") == "+9.90000000E+37"
    meter.write("CONF:VOLT:DC AUTO")
    assert float(meter.ask("READ?")) > 50.0


def test_settings_are_read_back(meter) -> None:
    meter.write("SENS:VOLT:DC:RANG 50V")
    meter.write("VOLT:DC:NPLC 0.5")
    meter.write("VOLT:DC:IMP:AUTO ON")
    answers = [
        meter.ask(q) for q in ("VOLT:RANG?", "VOLT:NPLC?", "VOLT:RANG:AUTO?", "VOLT:ZERO:AUTO?", "VOLT:IMP:AUTO?")
    ]
    assert answers == ["+1.00000000E+02", "+1.00000000E+00", "0", "1", "1"]
    meter.write("*RST")
    assert meter.ask("VOLT:RANG?;RANG:AUTO?;:VOLT:NPLC?") == "+1.00000000E+01;1;+1.00000000E+01"


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("CONF:CURR:DC 1", -113), ("VOLT:NPLC 1000", -222), ("VOLT:RANG 2000", -222), ("VOLT:NPLC", -109),
        ("VOLT:RANG 5 A", -131), ("VOLT:NPLC ten", -104), ("TRIG:SOUR SOMETIMES", -224), ("*TRG", -211),
        ("CONF:VOLT:DC 1,0.1,3", -108),
    ],
)  # fmt: skip
def test_a_wrong_command_is_named_in_the_queue(meter, command: str, error: int) -> None:
    meter.write(command)
    assert meter.ask("SYST:ERR?").startswith(f"{error},")
    assert meter.ask("SYST:ERR?") == '+0,"No error"'


def test_an_unknown_query_stays_silent_and_says_so_in_the_queue(meter) -> None:
    meter.send("VLOT?")
    assert meter.quiet()
    assert meter.clock.is_silent(meter.port)
    assert meter.ask("SYST:ERR?") == '-113,"Undefined header"'


def test_fetching_without_a_reading_is_refused(meter) -> None:
    meter.send("FETC?")
    assert meter.quiet()
    assert meter.ask("SYST:ERR?").startswith("-230,")


def test_each_connection_has_its_own_error_queue(raw_bench, meter) -> None:
    other = raw_bench.connect(raw_bench.instruments.address("meter"))
    meter.write("NONSENSE")
    assert other.ask("SYST:ERR?") == '+0,"No error"'
    assert meter.ask("SYST:ERR?").startswith("-113,")


def test_the_queue_keeps_twenty_errors(meter) -> None:
    for _ in range(25):
        meter.send("NONSENSE")
    codes = [meter.ask("SYST:ERR?").split(",")[0] for _ in range(21)]
    assert codes == ["-113"] * 19 + ["-350", "+0"]


def test_a_burst_follows_what_happens_while_it_runs(raw_bench) -> None:
    meter = raw_bench.add("shunt", "keysight_34465a", input="reference_shunt")
    for command in (
        "CONF:VOLT:DC 0.1", "VOLT:NPLC 0.02", "VOLT:ZERO:AUTO OFF", "SAMP:SOUR TIM", "SAMP:TIM 0.01",
        "SAMP:COUN 10", "TRIG:SOUR BUS", "INIT",
    ):  # fmt: skip
        meter.write(command)
    meter.send("*TRG")
    meter.clock.sleep(0.045)
    raw_bench.circuit.load.set(on=True, current_a=100.0)
    assert meter.ask("DATA:POIN?") == "+5"
    meter.clock.sleep(0.1)
    readings = [float(text) for text in meter.ask("FETC?").split(",")]
    assert len(readings) == 10
    assert all(abs(value) < 1e-4 for value in readings[:5])
    assert all(value == pytest.approx(-0.05, rel=0.01) for value in readings[5:])
    assert meter.ask("R? 4").startswith("#263")
    assert meter.ask("DATA:POIN?") == "+6"


def test_a_meter_wired_to_nowhere_is_refused(raw_bench) -> None:
    with pytest.raises(DefinitionError, match=r"'meter'.*'moon'.*reference_shunt, pack_side, bench_side"):
        raw_bench.instruments.add("meter", "keysight_34465a", {"input": "moon"})
