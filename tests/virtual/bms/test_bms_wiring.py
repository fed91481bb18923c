"""The BMS on its small wires: sense wires, emulated cells, sensors, and a supply of its own that may dip."""

from __future__ import annotations

from math import inf, log

import pytest

from bench.profile import PROFILES, load_profile
from bench.simulated_clock import SimulatedClock
from instruments.virtual.bms import VirtualBms
from instruments.virtual.circuit import Circuit
from instruments.virtual.pack import Pack


class Rig:
    """A Seplos on a circuit of its own, so that its cells may be emulated."""

    def __init__(self, cells: str = "pack", aux: bool = False) -> None:
        profile = load_profile(PROFILES / "seplos_v3.toml")
        self.clock = SimulatedClock()
        pack = Pack.demonstration(seed=1, cells=profile.bms.cells, capacity_ah=profile.bms.capacity_ah)
        self.circuit = Circuit(
            pack, now_ns=self.clock.now_ns, topology="separate", cells="emulated" if cells == "emulated" else "pack"
        )
        self.dut = self.circuit.dut
        if aux:
            self.dut.supply.attach()
        self.circuit.disconnect.set(closed=True)
        if self.dut.emulated is not None:
            for cell in range(1, 17):
                self.dut.emulated.set(cell, on=True, voltage_v=3.3, source_limit_a=0.1)
        self.bms = VirtualBms(profile, circuit=self.circuit, clock=self.clock, seed=1)
        self.bms.power_on()
        self.clock.sleep(2.0)

    def cells_v(self) -> list[float]:
        self.clock.sleep(0.2)
        return self.bms.readings.cells_v


def test_an_open_wire_in_the_middle_makes_two_cells_read_their_mean() -> None:
    rig = Rig()
    true = rig.circuit.pack.cell_voltages_v(0.0)
    rig.dut.sense.open(8)
    read = rig.cells_v()
    mean_v = (true[7] + true[8]) / 2
    assert [read[7], read[8]] == pytest.approx([mean_v, mean_v], abs=5e-3)
    assert read[:7] == pytest.approx(true[:7], abs=5e-3)


@pytest.mark.parametrize(("wire", "cell"), [(0, 0), (16, 15)])
def test_an_open_end_reads_as_an_empty_cell_and_the_undervoltage_protection_opens(wire: int, cell: int) -> None:
    rig = Rig()
    assert rig.circuit.switches.discharge_closed
    rig.dut.sense.open(wire)
    assert rig.cells_v()[cell] == pytest.approx(0.0, abs=5e-3)
    rig.clock.sleep(10.0)
    assert "cell_undervoltage_1" in rig.bms.truth.tripped
    assert not rig.circuit.switches.discharge_closed


def test_swapped_wires_read_as_one_cell_at_double_and_one_below_zero() -> None:
    rig = Rig()
    true = rig.circuit.pack.cell_voltages_v(0.0)
    rig.dut.sense.swap(3, 4)
    read = rig.cells_v()
    assert read[2:5] == pytest.approx([true[2] + true[3], -true[3], true[3] + true[4]], abs=5e-3)


def test_repaired_wires_read_as_ever_before() -> None:
    """To the last digit: the same unit on wires that nobody ever touched."""
    rig, untouched = Rig(), Rig()
    rig.dut.sense.swap(3, 4)
    rig.dut.sensors.place(2, inf)
    rig.dut.sense.repair()
    rig.dut.sensors.restore(2)
    assert rig.cells_v() == untouched.cells_v()
    assert rig.bms.readings.temperatures_degc == untouched.bms.readings.temperatures_degc


def test_emulated_cells_are_what_the_bms_sees_in_the_packs_place() -> None:
    rig = Rig("emulated")
    assert rig.cells_v() == pytest.approx([3.3] * 16, abs=5e-3)
    assert rig.bms.readings.pack_v == pytest.approx(52.8, rel=1e-3)
    assert rig.dut.emulated is not None
    rig.dut.emulated.set(6, voltage_v=3.75)
    read = rig.cells_v()
    assert read[5] == pytest.approx(3.75, abs=5e-3)
    assert read[4] == pytest.approx(3.3, abs=5e-3)
    rig.clock.sleep(10.0)
    assert "cell_overvoltage_1" in rig.bms.truth.tripped
    assert not rig.circuit.switches.charge_closed
    rig.dut.emulated.set(6, voltage_v=3.3)
    rig.clock.sleep(60.0)
    assert "cell_overvoltage_1" not in rig.bms.truth.tripped


def test_the_current_of_a_bench_with_emulated_cells_still_goes_through_the_pack() -> None:
    rig = Rig("emulated")
    rig.circuit.supply.set(on=True, voltage_v=60.0, current_limit_a=20.0)
    rig.clock.sleep(2.0)
    assert rig.bms.readings.measured_a == pytest.approx(20.0, abs=0.5)
    assert rig.cells_v() == pytest.approx([3.3] * 16, abs=5e-3)


@pytest.mark.parametrize(("ohm", "shown_degc"), [(3_000.0, None), (inf, -40.0), (0.0, 125.0)])
def test_a_resistor_in_the_place_of_a_sensor_is_read_as_a_temperature(ohm: float, shown_degc: float | None) -> None:
    rig = Rig()
    others = rig.bms.readings.temperatures_degc[0]
    eighth = rig.bms.readings.sensors.cells.index(7)
    rig.dut.sensors.place(8, ohm)
    rig.clock.sleep(0.2)
    expected_degc = 1.0 / (1.0 / 298.15 + log(ohm / 1e4) / 3435.0) - 273.15 if shown_degc is None else shown_degc
    assert rig.bms.readings.temperatures_degc[eighth] == pytest.approx(expected_degc, abs=0.31)
    assert rig.bms.readings.temperatures_degc[0] == pytest.approx(others, abs=1e-6)


def test_a_hot_resistor_trips_the_overtemperature_protection() -> None:
    rig = Rig()
    rig.dut.sensors.place(8, 1_500.0)  # about 87 degrees
    rig.clock.sleep(20.0)
    assert {"charge_overtemperature_1", "discharge_overtemperature_1"} <= set(rig.bms.truth.tripped)


def test_on_an_auxiliary_supply_it_is_dead_until_it_is_fed_and_resets_on_a_dip() -> None:
    rig = Rig(aux=True)
    assert not rig.bms.powered
    assert not rig.circuit.switches.charge_closed
    supply = rig.dut.supply
    supply.set(source_v=24.0, limit_a=1.0)
    rig.clock.sleep(2.0)
    assert rig.bms.powered
    assert rig.circuit.switches.charge_closed
    started_s = rig.clock.now()
    supply.set(source_v=5.0, limit_a=1.0)
    hold_s = supply.hold_up_s * log(24.0 / supply.brown_out_v)
    rig.clock.sleep_until(started_s + hold_s - 1e-4)
    assert rig.bms.powered
    rig.clock.sleep_until(started_s + hold_s + 1e-4)
    assert not rig.bms.powered
    assert not rig.circuit.switches.charge_closed
    supply.set(source_v=24.0, limit_a=1.0)
    assert rig.bms.powered
    assert rig.bms.now_s() == 0.0


def test_a_reset_exchanges_the_unit_even_where_nothing_feeds_it() -> None:
    rig = Rig(aux=True)
    rig.bms.reset(7)
    assert not rig.bms.powered
    rig.dut.supply.set(source_v=24.0, limit_a=1.0)
    assert rig.bms.powered
    assert rig.bms.seed == 7
