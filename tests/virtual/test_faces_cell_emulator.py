"""The NGI N83624 as raw lines: volts and milliamperes, channel lists, fault relays, spacing, the stack behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench.errors import DefinitionError

MakeUnit = Callable[..., "Emulator"]


class Emulator:
    """The unit on a circuit whose cells are emulated; every message keeps the family's spacing."""

    def __init__(self, bench: Any, client: Any) -> None:
        self.bench, self.client = bench, client
        self.circuit, self.clock = bench.circuit, bench.clock

    def write(self, text: str) -> None:
        self.client.write(text, 0.3)

    def ask(self, text: str) -> str:
        answer = self.client.ask(text)
        assert answer.endswith("\r")
        self.clock.sleep(0.3)
        return answer.removesuffix("\r")

    def floats(self, text: str) -> list[float]:
        return [float(word) for word in self.ask(text).split(",")]


@pytest.fixture
def make(new_raw_bench: Any) -> MakeUnit:
    def build(**options: object) -> Emulator:
        bench = new_raw_bench(1, "emulated")
        return Emulator(bench, bench.add("cells", "ngi_n83624", **options))

    return build


@pytest.fixture
def unit(make: MakeUnit) -> Emulator:
    return make()


ALL = "(@" + ",".join(str(k) for k in range(1, 17)) + ")"


def test_it_says_who_it_is(unit: Emulator) -> None:
    assert unit.ask("*IDN?") == "NGI,N83624,VIRTUAL-CELLS,V1.00"


def test_sixteen_cells_are_set_by_a_list_and_reach_the_inputs_of_the_bms(unit: Emulator) -> None:
    unit.write(f"SOUR:VOLT 3.3{ALL}")
    unit.write(f"SOUR:OUTCURR 100{ALL}")
    assert unit.circuit.dut.cells_seen_v(0.0) == [0.0] * 16
    unit.write(f"OUTP:ONOFF 1{ALL}")
    assert unit.circuit.dut.cells_seen_v(0.0) == pytest.approx([3.3] * 16, abs=1e-4)
    assert unit.circuit.dut.stack_v(0.0) == pytest.approx(52.8)
    unit.write("SOUR3:VOLT 3.65")
    seen = unit.circuit.dut.cells_seen_v(0.0)
    assert seen[2] == pytest.approx(3.65, abs=1e-4)
    assert seen[1] == pytest.approx(3.3, abs=1e-4)
    assert unit.floats("MEAS:VOLT?(@2,3)") == pytest.approx([3.3, 3.65], abs=1e-3)


def test_currents_are_milliamperes(unit: Emulator) -> None:
    unit.write("SOUR1:OUTCURR 1500")
    assert unit.floats("SOUR1:OUTCURR?") == [1500.0]
    unit.write("SOUR1:VOLT 3.2")
    unit.write("SOUR1:OUTCURR 50")
    unit.write("OUTP1:ONOFF 1")
    unit.circuit.dut.sense.bridge(1, 80.0)
    assert unit.floats("MEAS1:CURR?") == pytest.approx([3200.0 / 100.0], abs=0.1)
    unit.circuit.dut.sense.bridge(1, 20.0)  # asks for 80 mA
    assert unit.floats("MEAS1:CURR?") == pytest.approx([50.0], abs=0.1)
    assert unit.floats("MEAS1:VOLT?") == pytest.approx([0.050 * 40.0], abs=2e-3)


def test_reading_all_currents_takes_seconds(unit: Emulator) -> None:
    before_s = unit.clock.now()
    unit.client.ask("MEAS:CURR?(@" + ",".join(str(k) for k in range(1, 25)) + ")")
    assert 1.0 <= unit.clock.now() - before_s <= 4.5


def test_what_comes_too_soon_is_lost(unit: Emulator) -> None:
    unit.write("SOUR1:VOLT 3.1")
    unit.client.write("SOUR1:VOLT 3.2", 0.24)
    unit.client.write("SOUR1:VOLT 3.3", 0.3)
    assert unit.floats("SOUR1:VOLT?") == [3.2]
    unit.client.send("SOUR1:VOLT?")
    unit.client.receive()
    unit.client.send("SOUR1:VOLT?")
    assert unit.client.quiet()
    assert unit.clock.is_silent(unit.client.port)


@pytest.mark.parametrize(("word", "seen_v"), [(1, 0.0), (4, 0.0), (8, 0.0), (96, -3.3)])
def test_a_fault_relay_acts_once_the_output_is_on_again(unit: Emulator, word: int, seen_v: float) -> None:
    unit.write(f"SOUR:VOLT 3.3{ALL}")
    unit.write(f"SOUR:OUTCURR 100{ALL}")
    unit.write(f"FAUL5:SIMU {word}")
    unit.write(f"OUTP:ONOFF 1{ALL}")
    seen = unit.circuit.dut.cells_seen_v(0.0)
    assert seen[4] == pytest.approx(seen_v, abs=2e-4)
    assert [seen[3], seen[5]] == pytest.approx([3.3, 3.3], abs=2e-4)
    unit.write("OUTP5:ONOFF 0")
    unit.write("FAUL5:SIMU 0")
    unit.write("OUTP5:ONOFF 1")
    assert unit.circuit.dut.cells_seen_v(0.0)[4] == pytest.approx(3.3, abs=1e-4)


def test_a_fault_relay_is_refused_while_the_output_is_on_or_in_charge_mode(unit: Emulator) -> None:
    unit.write("SOUR1:VOLT 3.3")
    unit.write("OUTP1:ONOFF 1")
    unit.write("FAUL1:SIMU 1")
    assert unit.ask("FAUL1:SIMU?") == "0"
    assert int(unit.ask("OUTP1:STAT?")) & 0x7F == 1 << 0 | 1 << 5
    unit.write("OUTP2:MODE 1")
    unit.write("FAUL2:SIMU 1")
    assert int(unit.ask("OUTP2:STAT?")) & 0x7F == 1 << 6


def test_a_trip_switches_one_channel_off_and_says_which(unit: Emulator) -> None:
    unit.write("PRO2:VOLT 3.5")
    unit.write("SOUR:VOLT 3.6(@1,2)")
    unit.write("SOUR:OUTCURR 100(@1,2)")
    unit.write("OUTP:ONOFF 1(@1,2)")
    assert unit.ask("OUTP:ONOFF?(@1,2)") == "1,0"
    assert int(unit.ask("OUTP2:STAT?")) & 0x7F == 1 << 1
    unit.write("OUTP2:ONOFF 0")
    assert int(unit.ask("OUTP2:STAT?")) & 0x7F == 0


def test_refusals_are_queued(unit: Emulator) -> None:
    for text, code in (
        ("SOUR1:VOLT 9", -222),
        ("SOUR25:VOLT 3", -222),
        ("SOUR:VOLT 3", -115),
        ("SOUR1:VOLT", -104),
        ("OUTP1:MODE 3", -222),
        ("FAUL1:SIMU 2", -222),
        ("VOLT:SOUR 3", -113),
    ):
        unit.write(text)
        assert unit.ask("SYST:ERR?").startswith(f"{code},"), text
    assert unit.ask("SYST:ERR?") == '0,"No error"'


def test_a_factory_reset_forgets_everything_and_is_deaf_for_ten_seconds(unit: Emulator) -> None:
    unit.write("SOUR1:VOLT 3.3")
    unit.write("OUTP1:ONOFF 1")
    unit.client.send("*RST")
    assert unit.client.closed_by_peer()
    again = unit.bench.connect(unit.bench.instruments.address("cells"))
    again.send("*IDN?")
    assert again.quiet()
    unit.clock.sleep(10.1)
    again.write("SOUR2:VOLT 3.1", 0.3)
    assert float(again.ask("SOUR1:VOLT?").strip()) == 0.0


def test_a_channel_that_sinks_reads_negative_here_and_the_other_way_where_told(make: MakeUnit) -> None:
    for positive in (False, True):
        emulator = make(sink_reads_positive=positive)
        emulator.write("SOUR:VOLT 3.3(@1,3)")
        emulator.write("SOUR:OUTCURR 100(@1,3)")
        emulator.write("CHAR2:VOLT 3.2")
        emulator.write("CHAR2:OUTCURR 100")
        emulator.write("OUTP2:MODE 1")
        emulator.write("FAUL3:SIMU 96")
        emulator.write("OUTP:ONOFF 1(@1,2,3)")
        sense = emulator.circuit.dut.sense
        sense.open(2)
        sense.bridge(2, 100.0)
        sense.bridge(3, 100.0)
        expected_ma = 1e3 * (3.2 - 3.3) / (200.0 + 20.0)
        assert emulator.floats("MEAS2:CURR?") == pytest.approx([-expected_ma if positive else expected_ma], abs=0.03)


def test_a_bench_with_the_packs_own_cells_leaves_it_unwired(raw_bench: Any) -> None:
    client = raw_bench.add("cells", "ngi_n83624")
    client.write("SOUR1:VOLT 4.0", 0.3)
    client.write("SOUR1:OUTCURR 100", 0.3)
    client.write("OUTP1:ONOFF 1", 0.3)
    assert float(client.ask("MEAS1:VOLT?").strip()) == pytest.approx(4.0, abs=1e-3)
    client.clock.sleep(0.3)
    assert float(client.ask("MEAS1:CURR?").strip()) == pytest.approx(0.0, abs=0.03)
    assert raw_bench.circuit.dut.cells_seen_v(0.0)[0] < 3.5


@pytest.mark.parametrize("first", [0, 17, "1", True])
def test_a_first_cell_that_is_none_is_refused(make: MakeUnit, first: object) -> None:
    with pytest.raises(DefinitionError, match="first_cell"):
        make(first_cell=first)
