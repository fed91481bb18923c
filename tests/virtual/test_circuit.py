"""The circuit against Ohm, Kirchhoff and closed formulas: every mode, both directions, both kinds of switch."""

from __future__ import annotations

from math import exp, log
from typing import Literal

import pytest

from bench.errors import BenchError
from instruments.virtual.chemistry import OcvCurve
from instruments.virtual.circuit import Circuit
from instruments.virtual.pack import Pack
from instruments.virtual.pack_cell import Cell

INF = float("inf")
LINE = OcvCurve([0.0, 0.5, 1.0], [3.2, 3.3, 3.4])
OUTSIDE_OHM = 0.010 + 0.0005 + 0.0001 + 0.001  # wires, both shunts, switch
R0_OHM = 16 * 0.0004


class Bench:
    """A circuit on a hand-wound clock, with sixteen equal cells at 3.3 V and no bleeders unless asked for."""

    def __init__(self, topology: Literal["separate", "common"] = "separate", **options: float) -> None:
        self.ns = 0
        self.pack = Pack([Cell(100.0, 0.0004, 0.0006, 50.0)] * 16, curve=LINE)
        values = {"bleeder_ohm": INF, "leakage_ohm": INF, **options}
        self.circuit = Circuit(self.pack, now_ns=lambda: self.ns, topology=topology, **values)
        self.supply, self.load = self.circuit.supply, self.circuit.load
        self.bidirectional = self.circuit.bidirectional
        self.circuit.bidirectional.disconnected = True

    def wait(self, seconds: float) -> None:
        self.ns += round(seconds * 1e9)

    def close(self) -> None:
        self.circuit.disconnect.set(closed=True)
        self.circuit.switches.set(charge=True, discharge=True)

    def charging(self, current_a: float = 20.0, voltage_v: float = 60.0) -> None:
        """Close everything onto a preset bus, then charge in constant current."""
        self.supply.set(on=True, voltage_v=52.8, current_limit_a=1.0)
        self.wait(1.0)
        self.close()
        self.supply.set(voltage_v=voltage_v, current_limit_a=current_a)
        self.wait(1.0)


@pytest.fixture(params=["separate", "common"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(request.param)


def test_at_the_start_nothing_flows_and_the_bus_is_dead(bench: Bench) -> None:
    bench.wait(10.0)
    assert bench.circuit.pack_current_a() == 0.0
    assert bench.circuit.bus_v() == 0.0
    assert bench.circuit.pack_side_v() == pytest.approx(52.8, abs=1e-9)
    assert bench.circuit.bench_side_v() == 0.0
    assert bench.supply.mode() == "OFF"


def test_a_supply_in_constant_current_charges_with_exactly_that(bench: Bench) -> None:
    bench.charging(20.0)
    before_ah = bench.pack.charge_ah()
    bench.wait(3600.0)
    assert bench.circuit.pack_current_a() == pytest.approx(20.0, abs=1e-6)
    assert bench.pack.charge_ah() - before_ah == pytest.approx(20.0, abs=1e-6)
    assert bench.supply.mode() == "CC"
    assert bench.supply.current_a() == pytest.approx(20.0, abs=1e-6)
    assert bench.circuit.reference_shunt_v() == pytest.approx(20.0 * 0.0005, abs=1e-9)
    assert bench.circuit.bms_shunt_v() == pytest.approx(20.0 * 0.0001, abs=1e-9)


def test_voltages_along_the_branch_differ_by_ohms_law(bench: Bench) -> None:
    bench.charging(40.0)
    circuit = bench.circuit
    assert circuit.bus_v() - circuit.bench_side_v() == pytest.approx(40.0 * 0.0105, abs=1e-6)
    assert circuit.bench_side_v() - circuit.pack_side_v() == pytest.approx(40.0 * 0.0011, abs=1e-6)
    assert circuit.pack_side_v() == pytest.approx(sum(bench.pack.cell_voltages_v(40.0)), abs=1e-6)


def test_a_load_discharges_with_exactly_its_current(bench: Bench) -> None:
    bench.close()
    bench.load.set(on=True, current_a=110.0)
    bench.wait(0.01)
    before_ah = bench.pack.charge_ah()
    bench.wait(360.0)
    assert bench.circuit.pack_current_a() == pytest.approx(-110.0, abs=1e-6)
    assert bench.load.current_a() == pytest.approx(110.0, abs=1e-9)
    assert bench.pack.charge_ah() - before_ah == pytest.approx(-11.0, abs=1e-6)
    assert bench.circuit.reference_shunt_v() < 0.0
    assert not bench.load.under_run()


def test_constant_voltage_starts_at_the_resistance_and_tapers(bench: Bench) -> None:
    """I(0) = (Vset - emf) / (outside + R0); after the pairs have charged, divided by R0 + R1 too."""
    bench.supply.set(on=True, voltage_v=53.0, current_limit_a=100.0)
    bench.wait(1.0)
    bench.close()
    start_a = 0.2 / (OUTSIDE_OHM + R0_OHM)
    assert bench.circuit.pack_current_a() == pytest.approx(start_a, rel=1e-7)  # R0 is that of the middle of the stretch
    assert bench.supply.mode() == "CV"
    # The pairs charge against the source resistance: 1/tau' = (1 + R1 / R) / tau. Slack: the OCV rises a little.
    pair_ohm, series_ohm = 16 * 0.0006, OUTSIDE_OHM + R0_OHM
    for t in (1.0, 5.0, 20.0):
        bench.wait(t - bench.ns * 1e-9 + 1.0)
        fade = exp(-t / 30.0 * (1.0 + pair_ohm / series_ohm))
        end_a = 0.2 / (series_ohm + pair_ohm)
        expected_a = end_a + (start_a - end_a) * fade
        risen_v = 16 * 0.2 * (bench.pack.soc_pct() / 100.0 - 0.5)
        assert bench.circuit.pack_current_a() == pytest.approx(expected_a, abs=risen_v / series_ohm + 1e-4)
    assert bench.circuit.bus_v() == 53.0
    earlier_a = bench.circuit.pack_current_a()
    bench.wait(3600.0)
    assert 0.0 < bench.circuit.pack_current_a() < earlier_a


def test_constant_current_turns_into_constant_voltage_when_the_bus_gets_there(bench: Bench) -> None:
    """The moment is where emf + I R meets the setting: before it the one mode, after it the other."""
    bench.charging(50.0, voltage_v=54.0)
    assert bench.supply.mode() == "CC"
    low, high = bench.ns, bench.ns + 3600 * 10**9

    def held(at_ns: int) -> bool:
        twin = Bench(bench.circuit.switches.topology)
        twin.charging(50.0, voltage_v=54.0)
        twin.ns = at_ns
        return twin.supply.mode() == "CV"

    while high - low > 100:
        middle = (low + high) // 2
        low, high = (low, middle) if held(middle) else (middle, high)
    bench.ns = low
    assert bench.circuit.pack_current_a() == pytest.approx(50.0, abs=1e-6)
    assert bench.circuit.bus_v() == pytest.approx(54.0, abs=1e-6)
    inner_v = bench.pack.terminal_v(0.0)
    assert inner_v + 50.0 * (OUTSIDE_OHM + bench.pack.r0_sum_ohm) == pytest.approx(54.0, abs=1e-6)
    bench.ns = high + 10_000
    assert bench.circuit.bus_v() == 54.0
    assert 49.9 < bench.circuit.pack_current_a() <= 50.0


def test_a_supply_in_current_limit_first_dumps_its_capacitor() -> None:
    """Peak dV / R, gone with R C, and the charge is C dV beyond what the limit gives."""
    bench = Bench(load_capacitance_f=0.0)
    bench.supply.set(on=True, voltage_v=58.0, current_limit_a=2.0)
    bench.wait(1.0)
    bench.circuit.disconnect.set(closed=True)
    before_ah = bench.pack.charge_ah()
    bench.circuit.switches.set(charge=True, discharge=True)
    resistance, capacitance = OUTSIDE_OHM + R0_OHM, 2e-3 + 1e-6
    assert bench.circuit.pack_current_a() == pytest.approx(5.2 / resistance, rel=1e-9)
    bench.wait(50e-6)
    end_v = 52.8 + 2.0 * resistance
    expected_v = end_v + (58.0 - end_v) * exp(-50e-6 / (resistance * capacitance))
    assert bench.circuit.bus_v() == pytest.approx(expected_v, abs=1e-6)
    bench.wait(9950e-6)
    dumped_c = (bench.pack.charge_ah() - before_ah) * 3600.0 - 2.0 * 0.010
    assert bench.circuit.pack_current_a() == pytest.approx(2.0, abs=1e-6)
    assert dumped_c == pytest.approx(capacitance * (58.0 - end_v), rel=1e-5)


def test_when_the_bms_opens_while_charging_the_bus_climbs_to_the_setting_and_stays(bench: Bench) -> None:
    bench.charging(20.0, voltage_v=58.0)
    start_v = bench.circuit.bus_v()
    bench.circuit.switches.set(charge=False, discharge=False)
    capacitance = 2e-3 + 1e-4 + 1e-6
    assert bench.circuit.pack_current_a() == 0.0
    bench.wait(100e-6)
    assert bench.circuit.bus_v() == pytest.approx(start_v + 20.0 * 100e-6 / capacitance, abs=1e-6)
    bench.wait(1.0)
    assert bench.circuit.bus_v() == 58.0
    assert bench.supply.current_a() == pytest.approx(0.0, abs=1e-6)
    assert bench.supply.mode() == "CV"
    assert bench.circuit.bench_side_v() - bench.circuit.pack_side_v() > 5.0


def test_when_the_bms_opens_while_discharging_the_bus_collapses_and_the_load_under_runs(bench: Bench) -> None:
    bench.close()
    bench.load.set(on=True, current_a=100.0)
    bench.wait(1.0)
    start_v = bench.circuit.bus_v()
    bench.circuit.switches.set(charge=False, discharge=False)
    assert bench.circuit.pack_current_a() == 0.0
    assert not bench.load.under_run()
    bench.wait(500e-6)
    capacitance = 2e-3 + 1e-4 + 1e-6
    assert bench.circuit.bus_v() == pytest.approx(start_v - 100.0 * 500e-6 / capacitance, abs=1e-6)
    bench.wait(1.0)
    assert bench.circuit.bus_v() == pytest.approx(0.0, abs=1e-6)
    assert bench.load.current_a() == pytest.approx(0.0, abs=1e-6)
    assert bench.load.under_run()


def test_below_its_minimum_voltage_the_load_is_only_a_resistor() -> None:
    """1.3 V at 200 A is 6.5 mΩ: from its knee at 0.65 V the bus fades with 6.5 mΩ times C."""
    bench = Bench(load_capacitance_f=0.0)
    bench.supply.set(on=True, voltage_v=5.0, current_limit_a=1.0)
    bench.wait(1.0)
    bench.supply.set(on=False)
    bench.load.set(on=True, current_a=100.0)
    capacitance = 2e-3 + 1e-6
    knee_s = capacitance * (5.0 - 0.65) / 100.0
    bench.wait(knee_s + 20e-6)
    assert bench.circuit.bus_v() == pytest.approx(0.65 * exp(-20e-6 / (0.0065 * capacitance)), rel=1e-4)
    assert bench.load.under_run()


def test_an_open_charge_switch_lets_a_discharge_through_its_diode() -> None:
    bench = Bench("separate")
    bench.circuit.disconnect.set(closed=True)
    bench.circuit.switches.set(charge=False, discharge=True)
    bench.load.set(on=True, current_a=30.0)
    bench.wait(0.1)
    assert bench.circuit.pack_current_a() == pytest.approx(-30.0, abs=1e-6)
    drop_v = bench.circuit.pack_side_v() - bench.circuit.bench_side_v()
    assert drop_v == pytest.approx(0.7 + 30.0 * 0.0011, abs=1e-6)
    bench.load.set(on=False)
    bench.supply.set(on=True, voltage_v=58.0, current_limit_a=30.0)
    bench.wait(1.0)
    assert bench.circuit.pack_current_a() == 0.0
    assert bench.circuit.bus_v() == 58.0


def test_an_open_discharge_switch_lets_a_charge_through_its_diode() -> None:
    bench = Bench("separate")
    bench.circuit.disconnect.set(closed=True)
    bench.circuit.switches.set(charge=True, discharge=False)
    bench.supply.set(on=True, voltage_v=58.0, current_limit_a=30.0)
    bench.wait(1.0)
    assert bench.circuit.pack_current_a() == pytest.approx(30.0, abs=1e-6)
    drop_v = bench.circuit.bench_side_v() - bench.circuit.pack_side_v()
    assert drop_v == pytest.approx(0.7 + 30.0 * 0.0011, abs=1e-6)
    bench.supply.set(on=False)
    bench.load.set(on=True, current_a=30.0)
    bench.wait(1.0)
    assert bench.circuit.pack_current_a() == pytest.approx(0.0, abs=1e-9)
    assert bench.load.under_run()


@pytest.mark.parametrize(("charge", "discharge"), [(False, True), (True, False), (False, False)])
def test_open_contactors_block_both_ways(charge: bool, discharge: bool) -> None:
    bench = Bench("common")
    bench.circuit.disconnect.set(closed=True)
    bench.circuit.switches.set(charge=charge, discharge=discharge)
    bench.supply.set(on=True, voltage_v=58.0, current_limit_a=30.0)
    bench.wait(1.0)
    assert bench.circuit.pack_current_a() == 0.0
    bench.supply.set(on=False)
    bench.load.set(on=True, current_a=30.0)
    bench.wait(1.0)
    assert bench.circuit.pack_current_a() == 0.0


def test_a_diode_blocks_until_the_supply_is_a_drop_above_the_pack() -> None:
    bench = Bench("separate")
    bench.circuit.disconnect.set(closed=True)
    bench.circuit.switches.set(charge=True, discharge=False)
    bench.supply.set(on=True, voltage_v=53.4, current_limit_a=30.0)
    bench.wait(1.0)
    assert bench.circuit.pack_current_a() == 0.0
    bench.supply.set(voltage_v=53.6)
    bench.wait(0.001)
    assert bench.circuit.pack_current_a() == pytest.approx(0.1 / (OUTSIDE_OHM + R0_OHM), rel=1e-3)


@pytest.mark.parametrize("resistor_ohm", [10.0, 47.0])
def test_precharge_brings_the_bus_up_with_r_times_c(resistor_ohm: float) -> None:
    bench = Bench("common", precharge_ohm=resistor_ohm)
    bench.circuit.disconnect.set(closed=True)
    bench.circuit.switches.set(precharge=True)
    assert bench.circuit.pack_current_a() == 0.0  # main minus is still open
    bench.circuit.switches.set(discharge=True)
    resistance = resistor_ohm + OUTSIDE_OHM - 0.001 + R0_OHM
    capacitance = 2e-3 + 1e-4 + 1e-6
    assert bench.circuit.pack_current_a() == pytest.approx(-52.8 / resistance, rel=1e-9)
    half_s = log(2.0) * resistance * capacitance
    bench.wait(half_s)
    assert bench.circuit.bus_v() == pytest.approx(26.4, abs=1e-3)
    bench.wait(40.0 * half_s)
    assert bench.circuit.bus_v() == pytest.approx(52.8, abs=1e-3)


def test_a_bidirectional_supply_sinks_above_and_sources_below_its_setting(bench: Bench) -> None:
    bench.bidirectional.disconnected = False
    bench.close()
    bench.bidirectional.set(on=True, voltage_v=40.0, source_limit_a=30.0, sink_limit_a=60.0)
    bench.wait(0.1)
    assert bench.circuit.pack_current_a() == pytest.approx(-60.0, abs=1e-6)
    assert bench.bidirectional.current_a() == pytest.approx(-60.0, abs=1e-6)
    assert bench.bidirectional.mode() == "CC"
    bench.bidirectional.set(voltage_v=60.0)
    bench.wait(0.1)
    assert bench.circuit.pack_current_a() == pytest.approx(30.0, abs=1e-6)
    bench.bidirectional.set(voltage_v=bench.pack.terminal_v(0.0) + 0.1)
    bench.wait(0.1)
    assert bench.bidirectional.mode() == "CV"
    assert 0.0 < bench.circuit.pack_current_a() < 30.0
    bench.bidirectional.set(voltage_v=bench.pack.terminal_v(0.0) - 0.1)
    bench.wait(0.1)
    assert bench.bidirectional.mode() == "CV"
    assert -60.0 < bench.circuit.pack_current_a() < 0.0


def test_a_supply_below_the_pack_gives_nothing_and_takes_nothing(bench: Bench) -> None:
    bench.supply.set(on=True, voltage_v=48.0, current_limit_a=50.0)
    bench.wait(1.0)
    bench.close()
    bench.wait(1.0)
    assert bench.circuit.pack_current_a() == pytest.approx(0.0, abs=1e-6)
    assert bench.supply.current_a() == pytest.approx(0.0, abs=1e-6)
    assert bench.supply.mode() == "CV"


def test_supply_and_load_together_share_by_kirchhoff(bench: Bench) -> None:
    bench.charging(50.0)
    bench.load.set(on=True, current_a=30.0)
    bench.wait(0.1)
    assert bench.circuit.pack_current_a() == pytest.approx(20.0, abs=1e-6)
    bench.load.set(current_a=80.0)
    bench.wait(0.1)
    assert bench.circuit.pack_current_a() == pytest.approx(-30.0, abs=1e-6)


def test_a_bleeder_empties_the_bus_of_a_supply_that_is_off() -> None:
    bench = Bench(bleeder_ohm=20_000.0)
    bench.supply.set(on=True, voltage_v=50.0, current_limit_a=10.0)
    bench.wait(1.0)
    bench.supply.set(on=False)
    bench.wait(30.0)
    assert bench.circuit.bus_v() == pytest.approx(50.0 * exp(-30.0 / (20_000.0 * (2.1e-3 + 1e-6))), rel=1e-4)


def test_time_that_goes_back_is_an_error(bench: Bench) -> None:
    bench.wait(1.0)
    bench.circuit.pack_current_a()
    bench.ns -= 1
    with pytest.raises(BenchError, match="time went back"):
        bench.circuit.pack_current_a()


@pytest.mark.parametrize("value", [-1.0, float("nan"), INF])
def test_settings_that_are_no_magnitude_are_refused(bench: Bench, value: float) -> None:
    with pytest.raises(ValueError, match="supply voltage"):
        bench.supply.set(voltage_v=value)
    with pytest.raises(ValueError, match="load current"):
        bench.load.set(current_a=value)
    with pytest.raises(ValueError, match="sink limit"):
        bench.bidirectional.set(sink_limit_a=value)
    with pytest.raises(ValueError, match="not a resistance"):
        bench.circuit.wiring_ohm = value
