"""The Keysight DAQ970A as raw lines: cells and thermocouples of the pack, scanned."""

from __future__ import annotations

import pytest

from bench.errors import DefinitionError

CELLS = list(range(101, 117))
SENSORS = {"cell_1": 117, "cell_16": 118, "ambient": 119}
OPEN = "+9.90000000E+37"


@pytest.fixture
def scanner(raw_bench):
    return raw_bench.add("scanner", "keysight_daq970a", cells=CELLS, sensors=SENSORS)


def values(answer: str) -> list[float]:
    return [float(text) for text in answer.split(",")]


def true_v(raw_bench) -> list[float]:
    circuit = raw_bench.circuit
    return circuit.pack.cell_voltages_v(circuit.pack_current_a())


def limit_v(reading_v: float) -> float:
    """One-year accuracy in the 10 V range."""
    return abs(reading_v) * 0.0035 / 100 + 10 * 0.0005 / 100


def test_it_says_who_it_is_and_what_is_in_its_slots(scanner) -> None:
    maker, model, serial, _ = scanner.ask("*IDN?").split(",")
    assert (maker, model, serial) == ("Keysight Technologies", "DAQ970A", "VIRTUAL-SCANNER")
    assert scanner.ask("SYST:CTYP? 100").split(",")[1] == "DAQM901A"
    assert scanner.ask("SYST:CTYP? 200").split(",")[1] == "0"


def test_it_reads_every_cell_inside_its_accuracy_whatever_the_unit(new_raw_bench) -> None:
    for seed in range(1, 6):
        bench = new_raw_bench(seed)
        scanner = bench.add("scanner", "keysight_daq970a", cells=CELLS)
        scanner.write("CONF:VOLT:DC 10,(@101:116)")
        expected = true_v(bench)
        read = values(scanner.ask("READ?"))
        assert len(read) == 16
        for value_v, cell_v in zip(read, expected, strict=True):
            assert 0 < abs(value_v - cell_v) <= limit_v(cell_v)
        assert scanner.ask("SYST:ERR?") == '+0,"No error"'


def test_cells_follow_the_current(raw_bench, scanner) -> None:
    scanner.write("CONF:VOLT:DC 10,(@101:116)")
    rest = values(scanner.ask("READ?"))
    raw_bench.circuit.supply.set(on=True, voltage_v=60.0, current_limit_a=100.0)
    scanner.clock.sleep(0.5)
    charged = values(scanner.ask("READ?"))
    assert all(more_v > v + 0.02 for v, more_v in zip(rest, charged, strict=True))
    assert sum(charged) == pytest.approx(raw_bench.circuit.pack_side_v(), abs=0.02)


def test_cells_are_wired_in_the_order_of_the_option(raw_bench) -> None:
    scanner = raw_bench.add("scanner", "keysight_daq970a", cells=CELLS[::-1])
    scanner.write("CONF:VOLT:DC 10,(@101:116)")
    assert values(scanner.ask("READ?")) == pytest.approx(true_v(raw_bench)[::-1], abs=3e-4)


def test_thermocouples_read_their_places_inside_1_kelvin(new_raw_bench) -> None:
    for seed in range(1, 6):
        bench = new_raw_bench(seed)
        bench.circuit.pack.ambient_degc = 31.0
        scanner = bench.add("scanner", "keysight_daq970a", cells=CELLS, sensors=SENSORS)
        bench.clock.sleep(36_000.0)
        scanner.write("CONF:TEMP TC,K,(@117:119)")
        cells = bench.circuit.pack.temperatures_degc()
        read = values(scanner.ask("READ?"))
        for value, expected in zip(read, (cells[0], cells[15], 31.0), strict=True):
            assert 0 < abs(value - expected) <= 1.0


def test_temperatures_come_in_the_unit_that_was_chosen(scanner) -> None:
    scanner.write("CONF:TEMP TC,K,(@117)")
    assert scanner.ask("UNIT:TEMP?") == "C"
    degc = float(scanner.ask("READ?"))
    scanner.write("UNIT:TEMP F")
    assert float(scanner.ask("READ?")) == pytest.approx(32 + 1.8 * degc, abs=0.5)
    scanner.write("UNIT:TEMP K,(@117)")
    assert float(scanner.ask("READ?")) == pytest.approx(273.15 + degc, abs=0.3)


def test_volts_and_thermocouples_are_scanned_together_in_ascending_order(raw_bench, scanner) -> None:
    scanner.write("CONF:TEMP TC,K,(@118,117)")
    scanner.write("CONF:VOLT:DC 10,(@116,101)")
    assert scanner.ask("ROUT:SCAN?") == "#210(@101,116)"
    scanner.write("ROUT:SCAN (@117,118,101:102)")
    assert scanner.ask("ROUT:SCAN:SIZE?") == "+4"
    for key in ("UNIT", "CHAN", "TIME", "ALAR"):
        scanner.write(f"FORM:READ:{key} ON")
    parts = scanner.ask("READ?").split(",")
    assert parts[2::4] == ["101", "102", "117", "118"]
    assert [text.split()[1] for text in parts[::4]] == ["VDC", "VDC", "C", "C"]
    assert parts[1] == "000000000.028"
    assert parts[3::4] == ["0"] * 4
    assert float(parts[0].split()[0]) == pytest.approx(true_v(raw_bench)[0], abs=3e-4)


def test_configuring_makes_a_new_scan_list_and_bare_readings(scanner) -> None:
    scanner.write("FORM:READ:UNIT ON")
    scanner.write("CONF:VOLT:DC 10,(@101)")
    assert scanner.ask("FORM:READ:UNIT?") == "0"
    assert len(scanner.ask("READ?")) == len("+3.30000000E+00")
    assert scanner.ask("SENS:FUNC? (@101,117)") == '"VOLT","VOLT"'


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [([], 16 * 0.028), (["VOLT:NPLC 0.2,(@101:116)"], 16 * 0.012), (["VOLT:NPLC 10"], 16 * 0.208),
     (["ROUT:SCAN (@101)"], 0.028)],
)  # fmt: skip
def test_a_scan_takes_integration_and_switching(scanner, settings: list[str], seconds: float) -> None:
    scanner.write("CONF:VOLT:DC 10,(@101:116)")
    for setting in settings:
        scanner.write(setting)
    before_s = scanner.clock.now()
    scanner.ask("READ?")
    assert scanner.clock.now() - before_s == pytest.approx(seconds, abs=1e-9)
    assert scanner.ask("SYST:ERR?") == '+0,"No error"'


def test_an_open_thermocouple_reads_9_9e37(raw_bench, scanner) -> None:
    scanner.write("CONF:TEMP TC,K,(@117:120)")
    assert scanner.ask("READ?").split(",")[3] == OPEN, "nothing is on channel 120"
    raw_bench.instruments.fault("scanner", "open_thermocouple", channel=118)
    answers = scanner.ask("READ?").split(",")
    assert answers[1] == OPEN
    assert OPEN not in (answers[0], answers[2])
    raw_bench.instruments.fault("scanner", "open_thermocouple")
    assert scanner.ask("READ?").split(",") == [OPEN] * 4
    scanner.write("CONF:VOLT:DC 10,(@101)")
    assert float(scanner.ask("READ?")) > 3.0, "a cell's lead is no thermocouple"


def test_frozen_readings_stay_and_thaw(raw_bench, scanner) -> None:
    scanner.write("CONF:VOLT:DC 10,(@101:116)")
    raw_bench.instruments.fault("scanner", "frozen_measurement")
    frozen = scanner.ask("READ?")
    raw_bench.circuit.load.set(on=True, current_a=80.0)
    scanner.clock.sleep(1.0)
    assert scanner.ask("READ?") == frozen
    raw_bench.instruments.fault("scanner", "none")
    assert all(after < before for before, after in zip(values(frozen), values(scanner.ask("READ?")), strict=True))


def test_a_wrong_gain_shows_on_volts(raw_bench, scanner) -> None:
    scanner.write("CONF:VOLT:DC 10,(@101)")
    right_v = float(scanner.ask("READ?"))
    raw_bench.instruments.fault("scanner", "wrong_value", gain=1.05)
    assert float(scanner.ask("READ?")) == pytest.approx(1.05 * right_v, rel=1e-4)


def test_a_channel_without_a_wire_and_a_lead_beyond_the_last_cell_read_about_nothing(raw_bench) -> None:
    scanner = raw_bench.add("scanner", "keysight_daq970a", cells=list(range(101, 119)))
    scanner.write("CONF:VOLT:DC 10,(@117:120)")
    assert values(scanner.ask("READ?")) == pytest.approx([0.0] * 4, abs=1e-4)


def test_beyond_its_range_a_channel_overloads(scanner) -> None:
    scanner.write("CONF:VOLT:DC 1,(@101)")
    assert scanner.ask("READ?") == OPEN
    scanner.write("CONF:VOLT:DC (@101)")
    assert float(scanner.ask("READ?")) > 3.0
    assert scanner.ask("VOLT:RANG:AUTO? (@101)") == "1"


def test_a_timed_scan_fills_the_memory(raw_bench, scanner) -> None:
    for command in ("CONF:VOLT:DC 10,(@101:102)", "TRIG:SOUR TIM", "TRIG:TIM 1", "TRIG:COUN INF", "INIT"):
        scanner.write(command)
    scanner.clock.sleep(2.5)
    raw_bench.circuit.load.set(on=True, current_a=100.0)
    scanner.clock.sleep(2.0)
    assert scanner.ask("DATA:POIN?") == "+10"
    block = scanner.ask("R?")
    assert block.startswith("#3159")
    readings = values(block[5:])
    assert max(readings[6::2]) < min(readings[:6:2]) - 0.02
    assert scanner.ask("DATA:POIN?") == "+0"
    scanner.send("READ?")
    assert scanner.quiet(), "without end there is no answer"
    assert scanner.ask("SYST:ERR?").startswith("-221,")
    scanner.write("ABOR")
    scanner.clock.sleep(5.0)
    assert scanner.ask("DATA:POIN?") == "+0"


def test_fetching_waits_for_the_scan_that_runs(scanner) -> None:
    for command in ("CONF:VOLT:DC 10,(@101:116)", "TRIG:SOUR TIM", "TRIG:TIM 1", "TRIG:COUN 2"):
        scanner.write(command)
    scanner.write("INIT", wait_s=0.1)
    scanner.write("INIT", wait_s=0.1)
    assert scanner.ask("SYST:ERR?").startswith("-213,")
    before_s = scanner.clock.now()
    assert len(values(scanner.ask("FETC?"))) == 32
    assert 1.0 < scanner.clock.now() - before_s < 1.5


def test_a_bus_trigger_starts_the_scan(scanner) -> None:
    for command in ("CONF:VOLT:DC 10,(@101)", "TRIG:SOUR BUS", "INIT", "*TRG"):
        scanner.write(command)
    scanner.clock.sleep(0.1)
    assert scanner.ask("DATA:POIN?") == "+1"
    scanner.write("*TRG")
    assert scanner.ask("SYST:ERR?").startswith("-211,")


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("CONF:RES (@101)", -113), ("CONF:VOLT:DC 10", -109), ("CONF:VOLT:DC 10,(@121)", -224),
        ("CONF:VOLT:DC 10,(@201)", -224), ("CONF:VOLT:DC 10,(@104:102)", -224), ("CONF:VOLT:DC 10,(@1o1)", -102),
        ("CONF:VOLT:DC 1,2,3,(@101)", -108), ("CONF:VOLT:DC 1000,(@101)", -222), ("CONF:TEMP RTD,85,(@117)", -224),
        ("CONF:TEMP TC,X,(@117)", -224), ("ROUT:SCAN", -109), ("INIT", -221), ("VOLT:NPLC 1", -221),
        ("VOLT:NPLC 1000,(@101)", -222), ("VOLT:NPLC (@101)", -109), ("TRIG:SOUR SOMETIMES", -224),
        ("TRIG:COUN 0", -222), ("UNIT:TEMP R", -224), ("FORM:READ:TIME:TYPE ABS", -224), ("*TRG", -211),
    ],
)  # fmt: skip
def test_a_wrong_command_is_named_in_the_queue(scanner, command: str, error: int) -> None:
    scanner.write(command)
    assert scanner.ask("SYST:ERR?").startswith(f"{error},")
    assert scanner.ask("SYST:ERR?") == '+0,"No error"'


def test_nothing_is_read_before_a_scan_list_was_written(scanner) -> None:
    for query in ("READ?", "FETC?", "VLOT?"):
        scanner.send(query)
        assert scanner.quiet()
        assert scanner.clock.is_silent(scanner.port)
        assert not scanner.ask("SYST:ERR?").startswith("+0")


def test_two_clients_share_the_instrument_but_not_its_errors(raw_bench, scanner) -> None:
    other = raw_bench.connect(raw_bench.instruments.address("scanner"))
    scanner.write("CONF:VOLT:DC 10,(@101:116)")
    scanner.write("NONSENSE")
    assert other.ask("SYST:ERR?") == '+0,"No error"'
    assert len(values(other.ask("READ?"))) == 16
    assert scanner.ask("SYST:ERR?").startswith("-113,")


def test_a_power_cycle_forgets_the_scan_list(raw_bench, scanner) -> None:
    scanner.write("CONF:VOLT:DC 10,(@101:116)")
    raw_bench.instruments.fault("scanner", "power_cycle")
    again = raw_bench.connect(raw_bench.instruments.address("scanner"))
    assert again.ask("ROUT:SCAN:SIZE?") == "+0"
    assert int(again.ask("*ESR?")) & 1 << 7


@pytest.mark.parametrize(
    ("options", "message"),
    [({}, "needs options cells"), ({"cells": [100]}, r"cells\[0\] = 100 is no channel"),
     ({"cells": [101, 101]}, r"cells\[1\] = 101 is taken by cells\[0\]"),
     ({"cells": [101], "sensors": {"cell_1": 101}}, "sensors.cell_1 = 101 is taken"),
     ({"cells": [101], "sensors": {"lid": 117}}, "sensors.lid: is no place"),
     ({"cells": [101], "sensors": {"cell_0": 117}}, "sensors.cell_0: is no place")],
)  # fmt: skip
def test_a_wrong_option_is_named(raw_bench, options: dict, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        raw_bench.instruments.add("scanner", "keysight_daq970a", options)
