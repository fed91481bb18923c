"""Defects and wiring faults of the circuit: each shows where it would on a real bench, and nowhere else."""

from __future__ import annotations

import pytest

from instruments.virtual.circuit import Circuit
from instruments.virtual.pack import Pack


class Charging:
    """A closed bench that charges with 20 A."""

    def __init__(self, topology: str = "separate") -> None:
        self.ns = 0
        self.pack = Pack.demonstration(seed=2)
        self.circuit = Circuit(self.pack, now_ns=lambda: self.ns, topology=topology)  # type: ignore[arg-type]
        self.circuit.disconnect.set(closed=True)
        self.circuit.switches.set(charge=True, discharge=True)
        self.circuit.supply.set(on=True, voltage_v=58.0, current_limit_a=20.0)
        self.wait(1.0)

    def wait(self, seconds: float) -> None:
        self.ns += round(seconds * 1e9)


@pytest.mark.parametrize("topology", ["separate", "common"])
def test_welded_switches_report_open_and_conduct(topology: str) -> None:
    bench = Charging(topology)
    bench.circuit.switches.welded = True
    bench.circuit.switches.set(charge=False, discharge=False)
    bench.wait(1.0)
    assert not bench.circuit.switches.charge_closed
    assert bench.circuit.pack_current_a() == pytest.approx(20.0, abs=0.01)
    bench.circuit.switches.welded = False
    bench.wait(1.0)
    assert bench.circuit.pack_current_a() == pytest.approx(0.0, abs=1e-4)


def test_a_stuck_disconnect_reports_open_and_conducts() -> None:
    bench = Charging()
    bench.circuit.disconnect.stuck = True
    bench.circuit.disconnect.set(closed=False)
    bench.wait(1.0)
    assert not bench.circuit.disconnect.closed
    assert bench.circuit.pack_current_a() == pytest.approx(20.0, abs=0.01)
    bench.circuit.disconnect.stuck = False
    assert bench.circuit.pack_current_a() == 0.0


def test_an_open_loop_takes_the_contactor_away_whatever_the_relay_says() -> None:
    bench = Charging()
    disconnect = bench.circuit.disconnect
    disconnect.loop("door", closed=False)
    assert disconnect.closed is True
    assert bench.circuit.pack_current_a() == 0.0
    disconnect.loop("door", closed=True)
    bench.wait(1.0)
    assert bench.circuit.pack_current_a() == 0.0, "it does not pull in again by itself"
    disconnect.set(closed=True)  # no edge: the relay was closed all the time
    assert disconnect.fallen
    assert not disconnect.conducts
    disconnect.set(closed=False)
    disconnect.set(closed=True)
    bench.wait(1.0)
    assert bench.circuit.pack_current_a() == pytest.approx(20.0, abs=0.01)


def test_a_relay_that_closes_while_a_loop_is_open_must_be_switched_again() -> None:
    bench = Charging()
    disconnect = bench.circuit.disconnect
    for loop in ("door", "button"):
        disconnect.loop(loop, closed=False)
    assert disconnect.open_loops == ("button", "door")
    for closed in (False, True):
        disconnect.set(closed=closed)
    disconnect.loop("door", closed=True)
    assert not disconnect.conducts
    disconnect.loop("button", closed=True)
    assert not disconnect.conducts
    for closed in (False, True):
        disconnect.set(closed=closed)
    assert disconnect.conducts


def test_against_a_welded_contactor_no_loop_helps() -> None:
    bench = Charging()
    bench.circuit.disconnect.stuck = True
    bench.circuit.disconnect.loop("door", closed=False)
    bench.wait(1.0)
    assert bench.circuit.pack_current_a() == pytest.approx(20.0, abs=0.01)


def test_an_open_disconnect_interrupts_and_the_pack_still_shows_at_the_device() -> None:
    bench = Charging()
    bench.circuit.disconnect.set(closed=False)
    bench.wait(1.0)
    assert bench.circuit.pack_current_a() == 0.0
    assert bench.circuit.bus_v() == 58.0
    assert bench.circuit.bench_side_v() == pytest.approx(bench.circuit.pack_side_v(), abs=1e-9)
    bench.circuit.switches.set(charge=False)
    assert bench.circuit.bench_side_v() == pytest.approx(bench.circuit.pack_side_v() - 0.7, abs=1e-9)
    bench.circuit.switches.set(discharge=False)
    assert bench.circuit.bench_side_v() == 0.0


def test_reversed_sense_leads_turn_the_reading_and_not_the_current() -> None:
    bench = Charging()
    shunt_v, pack_v = bench.circuit.reference_shunt_v(), bench.circuit.pack_side_v()
    bench.circuit.reference_shunt_reversed = True
    bench.circuit.pack_sense_reversed = True
    assert shunt_v > 0.0 and pack_v > 0.0
    assert bench.circuit.reference_shunt_v() == -shunt_v
    assert bench.circuit.pack_side_v() == -pack_v
    assert bench.circuit.bms_shunt_v() > 0.0
    assert bench.circuit.pack_current_a() > 0.0


def test_a_supply_with_loose_leads_still_shows_its_own_voltage() -> None:
    bench = Charging()
    bench.circuit.supply_disconnected = True
    bench.wait(1.0)
    assert bench.circuit.supply_disconnected
    assert bench.circuit.pack_current_a() == pytest.approx(0.0, abs=0.01)
    assert bench.circuit.supply.voltage_v() == 58.0
    assert bench.circuit.supply.current_a() == 0.0
    assert bench.circuit.supply.mode() == "CV"
    bench.circuit.supply.set(on=False)
    assert bench.circuit.supply.voltage_v() == 0.0


def test_a_load_with_loose_leads_draws_nothing_and_says_so() -> None:
    bench = Charging()
    bench.circuit.supply.set(on=False)
    bench.circuit.load_disconnected = True
    bench.circuit.load.set(on=True, current_a=50.0)
    bench.wait(1.0)
    assert bench.circuit.load_disconnected
    assert bench.circuit.pack_current_a() == pytest.approx(0.0, abs=0.01)
    assert bench.circuit.load.voltage_v() == 0.0
    assert bench.circuit.load.current_a() == 0.0
    assert bench.circuit.load.under_run()


def test_a_bad_crimp_shows_as_voltage_along_the_leads() -> None:
    bench = Charging()
    before_v = bench.circuit.bus_v() - bench.circuit.bench_side_v()
    bench.circuit.wiring_ohm = 0.110
    bench.wait(1.0)
    after_v = bench.circuit.bus_v() - bench.circuit.bench_side_v()
    assert after_v - before_v == pytest.approx(20.0 * 0.1, abs=1e-3)
    assert bench.circuit.wiring_ohm == 0.110


def test_a_leaking_switch_lets_microamperes_through() -> None:
    bench = Charging("separate")
    bench.circuit.switches.set(charge=False, discharge=False)
    bench.wait(1.0)
    difference_v = bench.circuit.bus_v() - bench.circuit.pack_side_v()
    assert bench.circuit.pack_current_a() == pytest.approx(difference_v / 1e6, rel=1e-3)


def test_an_unknown_topology_is_refused() -> None:
    with pytest.raises(ValueError, match="separate"):
        Circuit(Pack.demonstration(seed=1), now_ns=lambda: 0, topology="both")  # type: ignore[arg-type]
