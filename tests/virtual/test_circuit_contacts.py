"""Every contact of the BMS with faults of its own, and precharge through its resistor, against closed formulas."""

from __future__ import annotations

from math import exp, log
from typing import Any, Literal

import pytest

from instruments.virtual.chemistry import OcvCurve
from instruments.virtual.circuit import Circuit
from instruments.virtual.pack import Pack
from instruments.virtual.pack_cell import Cell

INF = float("inf")
PACK_V, R0_OHM = 16 * 3.3, 16 * 0.0004
SERIES_OHM = 0.010 + 0.0005 + 0.0001 + R0_OHM  # wires, both shunts, cells; without the switches
BUS_F = 2e-3 + 1e-4 + 1e-6  # supply, load, stray
MAIN = {"separate": ("charge", "discharge"), "common": ("main_plus", "main_minus")}


class Bench:
    """Sixteen equal cells behind a closed disconnect, all switches open, on a hand-wound clock."""

    def __init__(self, topology: Literal["separate", "common"] = "common", **options: float) -> None:
        self.ns = 0
        self.pack = Pack([Cell(100.0, 0.0004, 0.0006, 50.0)] * 16, curve=OcvCurve([0.0, 0.5, 1.0], [3.2, 3.3, 3.4]))
        values: dict[str, Any] = {"bleeder_ohm": INF, "leakage_ohm": INF, **options}
        self.circuit = Circuit(self.pack, now_ns=lambda: self.ns, topology=topology, **values)
        self.circuit.bidirectional.disconnected = True
        self.circuit.disconnect.set(closed=True)
        self.switches = self.circuit.switches

    def wait(self, seconds: float) -> None:
        self.ns += round(seconds * 1e9)

    def loaded(self, current_a: float = 10.0) -> float:
        """Draw this and return the current of the pack a second later."""
        self.circuit.load.set(on=True, current_a=current_a)
        self.wait(1.0)
        return self.circuit.pack_current_a()


@pytest.fixture(params=["separate", "common"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(request.param)


def test_each_topology_names_its_switches(bench: Bench) -> None:
    assert bench.switches.names == (*MAIN[bench.switches.topology], "precharge")
    with pytest.raises(ValueError, match="no switch 'main'"):
        bench.switches.weld("main")


def test_one_weld_alone_closes_no_path_and_both_do() -> None:
    bench = Bench("common")
    bench.switches.weld("main_plus")
    assert bench.loaded() == 0.0
    bench.switches.weld("main_minus")
    assert bench.loaded() == pytest.approx(-10.0, abs=1e-6)
    bench.switches.weld("main_plus", False)
    assert bench.loaded() == 0.0


@pytest.mark.parametrize("index", [0, 1])
def test_a_weld_keeps_a_switch_closed_and_the_other_still_opens(bench: Bench, index: int) -> None:
    name, other = MAIN[bench.switches.topology][index], MAIN[bench.switches.topology][1 - index]
    bench.switches.set(charge=True, discharge=True)
    bench.switches.weld(name)
    bench.switches.set(charge=False, discharge=False)
    assert bench.switches.really_closed(name)
    assert bench.switches.feedback(name)
    assert not bench.switches.commanded(name)
    assert not bench.switches.really_closed(other)
    assert not bench.switches.feedback(other)


def test_a_welded_charge_mosfet_lets_a_charge_through_that_was_to_be_stopped() -> None:
    bench = Bench("separate")
    bench.switches.set(charge=True, discharge=True)
    bench.switches.weld("charge")
    bench.circuit.supply.set(on=True, voltage_v=58.0, current_limit_a=20.0)
    bench.switches.set(charge=False)
    bench.wait(1.0)
    assert bench.circuit.pack_current_a() == pytest.approx(20.0, abs=1e-6)
    assert not bench.switches.charge_closed
    bench.switches.weld("charge", False)
    bench.wait(1.0)
    assert bench.circuit.pack_current_a() == 0.0


@pytest.mark.parametrize("index", [0, 1])
def test_a_switch_that_sticks_open_does_not_close_and_says_so(index: int) -> None:
    bench = Bench("common")
    name = MAIN["common"][index]
    bench.switches.stick_open(name)
    bench.switches.set(charge=True, discharge=True)
    assert bench.loaded() == 0.0
    assert bench.switches.commanded(name)
    assert not bench.switches.really_closed(name)
    assert not bench.switches.feedback(name)
    bench.switches.stick_open(name, False)
    assert bench.loaded() == pytest.approx(-10.0, abs=1e-6)


def test_a_mosfet_that_sticks_open_still_has_its_diode() -> None:
    bench = Bench("separate")
    bench.switches.stick_open("charge")
    bench.switches.set(charge=True, discharge=True)
    assert bench.loaded() == pytest.approx(-10.0, abs=1e-6)
    drop_v = bench.circuit.pack_side_v() - bench.circuit.bench_side_v()
    assert drop_v == pytest.approx(0.7 + 10.0 * 0.0011, abs=1e-6)


def test_an_inverted_feedback_lies_and_changes_no_current(bench: Bench) -> None:
    name = MAIN[bench.switches.topology][0]
    bench.switches.set(charge=True, discharge=True)
    bench.switches.invert_feedback(name)
    assert bench.loaded() == pytest.approx(-10.0, abs=1e-6)
    assert bench.switches.really_closed(name)
    assert not bench.switches.feedback(name)
    bench.switches.set(charge=False, discharge=False)
    assert bench.switches.feedback(name)


def test_a_weld_is_stronger_than_a_missing_coil_and_repair_takes_all_away() -> None:
    bench = Bench("common")
    for name in bench.switches.names:
        bench.switches.stick_open(name)
        bench.switches.weld(name)
        bench.switches.invert_feedback(name)
    assert bench.loaded() == pytest.approx(-10.0, abs=1e-6)
    bench.switches.repair()
    assert bench.loaded() == 0.0
    assert not any(bench.switches.really_closed(name) or bench.switches.feedback(name) for name in bench.switches.names)


# -- precharge -----------------------------------------------------------------------------------------------


def precharging(farad: float = 0.0, ohm: float = 47.0) -> Bench:
    bench = Bench("common", precharge_ohm=ohm)
    bench.circuit.bus_capacitor(farad)
    bench.switches.set(precharge=True, discharge=True)
    return bench


@pytest.mark.parametrize("farad", [0.0, 0.01, 0.047])
def test_the_bus_rises_with_r_times_c_whatever_hangs_on_it(farad: float) -> None:
    bench = precharging(farad)
    tau_s = (47.0 + SERIES_OHM) * (BUS_F + farad)
    assert bench.circuit.precharge_current_a() == pytest.approx(-PACK_V / (47.0 + SERIES_OHM), rel=1e-9)
    for share in (0.5, 1.0, 3.0):
        bench.wait(share * tau_s - bench.ns * 1e-9)
        # What the capacitor takes leaves the pack: its pairs and state of charge lower the end by some tenths of a mV.
        assert bench.circuit.bus_v() == pytest.approx(PACK_V * (1.0 - exp(-share)), abs=3e-3)


def test_the_resistor_takes_as_much_energy_as_the_capacitor_keeps() -> None:
    bench = precharging(0.01)
    bench.circuit.history()
    bench.wait(20.0 * 47.0 * 0.0122)
    passed = bench.circuit.history().let_through(0, bench.ns)
    kept_j = 0.5 * (BUS_F + 0.01) * PACK_V**2
    assert passed.square_a2s * (47.0 + SERIES_OHM) == pytest.approx(kept_j, rel=1e-3)
    assert -passed.charge_c == pytest.approx((BUS_F + 0.01) * PACK_V, rel=1e-4)
    assert passed.peak_a == pytest.approx(PACK_V / (47.0 + SERIES_OHM), rel=1e-6)


def test_closing_onto_a_precharged_bus_hardly_makes_a_surge_and_onto_an_empty_one_thousands_of_amperes() -> None:
    surges = []
    for precharged in (True, False):
        bench = Bench("common")
        bench.switches.set(precharge=precharged, discharge=True)
        bench.wait(5.0 * 47.0 * BUS_F)
        bench.switches.set(charge=True, precharge=False)
        surges.append(-bench.circuit.pack_current_a())
    resistance_ohm = SERIES_OHM + 0.001
    assert surges[0] == pytest.approx(PACK_V * exp(-5.0) / resistance_ohm, rel=1e-2)
    assert surges[1] == pytest.approx(PACK_V / resistance_ohm, rel=1e-6)


def test_an_open_resistor_or_a_stuck_contact_leaves_the_bus_empty() -> None:
    for spoil in (
        lambda bench: setattr(bench.circuit, "precharge_open", True),
        lambda bench: bench.switches.stick_open("precharge"),
        lambda bench: bench.switches.stick_open("main_minus"),
    ):
        bench = Bench("common")
        spoil(bench)
        bench.switches.set(precharge=True, discharge=True)
        bench.wait(10.0)
        assert bench.circuit.bus_v() == 0.0
        assert bench.circuit.precharge_current_a() == 0.0


def test_a_resistor_that_opens_on_the_way_leaves_the_bus_where_it_is() -> None:
    bench = precharging()
    bench.wait(log(2.0) * 47.0 * BUS_F)
    half_v = bench.circuit.bus_v()
    bench.circuit.precharge_open = True
    assert bench.circuit.precharge_open
    bench.wait(1.0)
    assert half_v == pytest.approx(PACK_V / 2.0, abs=0.05)
    assert bench.circuit.bus_v() == pytest.approx(half_v, rel=1e-6)


def test_a_precharge_into_a_short_never_rises_and_heats_the_resistor() -> None:
    bench = Bench("common")
    bench.circuit.short.close(0.1)
    bench.switches.set(precharge=True, discharge=True)
    bench.wait(1.0)
    current_a = PACK_V / (47.0 + SERIES_OHM + 0.1)
    assert bench.circuit.precharge_current_a() == pytest.approx(-current_a, rel=1e-4)
    assert bench.circuit.bench_side_v() == pytest.approx(0.1 * current_a, rel=0.2)  # plus what the leads drop
    watts = bench.circuit.power_balance_w()
    assert watts["precharge"] == pytest.approx(-(current_a**2) * 47.0, rel=1e-3)
    assert sum(watts.values()) == pytest.approx(0.0, abs=1e-6)


def test_a_precharge_that_is_welded_bypasses_an_open_main_plus() -> None:
    bench = precharging()
    bench.wait(5.0)
    bench.switches.weld("precharge")
    bench.switches.set(precharge=False)
    assert bench.loaded(0.5) == pytest.approx(-0.5, abs=1e-4)  # ten time constants
    assert bench.switches.feedback("precharge")


def test_beside_closed_contactors_the_resistor_takes_its_share() -> None:
    bench = precharging()
    bench.switches.set(charge=True)
    assert bench.loaded(47.0) == pytest.approx(-47.0, abs=1e-6)
    assert bench.circuit.precharge_current_a() == pytest.approx(-47.0 * 0.001 / 47.001, rel=1e-6)


def test_with_mosfets_the_resistor_lies_across_both_and_a_diode_comes_before_it() -> None:
    bench = Bench("separate")
    bench.switches.set(precharge=True)
    bench.wait(5.0)
    assert bench.circuit.bus_v() == pytest.approx(PACK_V, abs=0.01)
    assert bench.loaded(0.5) == pytest.approx(-0.5, abs=1e-4)  # ten time constants
    assert bench.circuit.precharge_current_a() == pytest.approx(-0.5, abs=1e-4)
    bench.switches.set(discharge=True)
    assert bench.loaded(5.0) == pytest.approx(-5.0, abs=1e-6)
    assert bench.circuit.precharge_current_a() == 0.0


# -- a capacitor on the bus ----------------------------------------------------------------------------------


def test_a_discharged_capacitor_takes_its_part_of_the_charge_at_once() -> None:
    bench = Bench("common")
    bench.circuit.supply.set(on=True, voltage_v=50.0, current_limit_a=10.0)
    bench.wait(1.0)
    bench.circuit.supply.set(on=False)
    bench.circuit.bus_capacitor(0.01)
    assert bench.circuit.bus_v() == pytest.approx(50.0 * BUS_F / (BUS_F + 0.01), rel=1e-6)
    shared_v = bench.circuit.bus_v()
    bench.circuit.bus_capacitor(0.0)
    bench.circuit.bus_capacitor(0.0)
    assert bench.circuit.bus_v() == pytest.approx(shared_v, rel=1e-6)


def test_the_pack_fills_a_capacitor_that_is_put_onto_its_bus() -> None:
    bench = Bench("common")
    bench.switches.set(charge=True, discharge=True)
    bench.wait(1.0)
    bench.circuit.bus_capacitor(0.01)
    dropped_v = PACK_V * 0.01 / (BUS_F + 0.01)
    assert bench.circuit.pack_current_a() == pytest.approx(-dropped_v / (SERIES_OHM + 0.001), rel=1e-4)
    bench.wait(1.0)
    assert bench.circuit.bus_v() == pytest.approx(PACK_V, abs=0.01)


@pytest.mark.parametrize("farad", [-1.0, float("nan"), INF])
def test_a_capacitor_that_is_none_is_refused(farad: float) -> None:
    with pytest.raises(ValueError, match="bus capacitor"):
        Bench().circuit.bus_capacitor(farad)


# -- the BMS's own shunt -------------------------------------------------------------------------------------


def test_open_and_exchanged_sense_lines_of_the_shunt_change_the_reading_and_not_the_current() -> None:
    bench = Bench("common")
    bench.switches.set(charge=True, discharge=True)
    assert bench.loaded(100.0) == pytest.approx(-100.0, abs=1e-6)
    assert bench.circuit.bms_shunt_v() == pytest.approx(-0.01, rel=1e-6)
    shunt = bench.circuit.dut.shunt
    shunt.reversed = True
    assert bench.circuit.bms_shunt_v() == pytest.approx(0.01, rel=1e-6)
    shunt.open = True
    assert bench.circuit.bms_shunt_v() == 0.0
    assert bench.circuit.reference_shunt_v() == pytest.approx(-0.05, rel=1e-6)
    shunt.open = shunt.reversed = False
    assert bench.circuit.bms_shunt_v() == pytest.approx(-0.01, rel=1e-6)
