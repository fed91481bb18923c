"""Bleeders on single cells: their current is real, in the pack's charge and voltage and in an emulator's channels."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from math import exp
from typing import Literal

import pytest

from instruments.virtual.chemistry import OcvCurve
from instruments.virtual.circuit import Circuit
from instruments.virtual.pack import Pack
from instruments.virtual.pack_cell import Cell

R0_OHM, R1_OHM, TAU_S = 0.0004, 0.0006, 30.0
SLOPE_V_PER_C = 0.2 / 360_000.0
OUTSIDE_OHM = 0.010 + 0.0005 + 0.0001 + 0.001  # wires, both shunts, switch
INF = float("inf")


class Bench:
    """Sixteen equal cells at 3.3 V on a straight curve, both switches closed, on a hand-wound clock."""

    def __init__(self, cells: Literal["pack", "emulated"] = "pack", pack: Pack | None = None) -> None:
        self.ns = 0
        curve = OcvCurve([0.0, 0.5, 1.0], [3.2, 3.3, 3.4])
        self.pack = pack or Pack([Cell(100.0, R0_OHM, R1_OHM, 50.0)] * 16, curve=curve)
        self.circuit = Circuit(
            self.pack, now_ns=lambda: self.ns, topology="separate", cells=cells, bleeder_ohm=INF, leakage_ohm=INF
        )
        self.circuit.bidirectional.disconnected = True
        self.circuit.disconnect.set(closed=True)
        self.circuit.switches.set(charge=True, discharge=True)
        self.dut = self.circuit.dut
        self.wait(1.0)

    def wait(self, seconds: float) -> None:
        self.ns += round(seconds * 1e9)
        self.circuit.catch_up()

    def charges_c(self) -> list[float]:
        """What is in every cell above its empty mark, in coulombs."""
        shares = self.pack.states_of_charge_pct()
        return [z * 36.0 * cell.capacity_ah for z, cell in zip(shares, self.pack.cells, strict=True)]

    def voltages_v(self) -> list[float]:
        return self.dut.cells_seen_v(self.circuit.pack_current_a())


def test_a_bleeder_takes_ohms_law_from_its_cell_and_nothing_from_its_neighbours() -> None:
    bench = Bench()
    before = bench.charges_c()
    bench.dut.balance(5, True, ohm=33.0)
    assert bench.dut.balancing == (5,)
    bench.wait(1000.0)
    lost_c = [b - a for a, b in zip(bench.charges_c(), before, strict=True)]
    # i = (3.3 V - what the cell sinks by) / 33 Ω; it sinks by i (R0 + R1) and, in the mean, by half of its charge.
    mean_v = 3.3 - 0.1 * (R0_OHM + R1_OHM) - 0.5 * SLOPE_V_PER_C * 100.0
    assert lost_c[4] == pytest.approx(1000.0 * mean_v / 33.0, rel=2e-5)
    assert [lost for cell, lost in enumerate(lost_c, 1) if cell != 5] == pytest.approx([0.0] * 15, abs=1e-4)
    bench.dut.balance(5, False)
    assert not bench.dut.balancing
    assert bench.circuit.power_balance_w()["bleeders"] == 0.0
    after = bench.charges_c()
    bench.wait(1000.0)
    assert bench.charges_c() == pytest.approx(after, abs=1e-4)


def test_the_bled_cell_sinks_by_its_resistance_its_pair_and_its_charge() -> None:
    bench = Bench()
    bench.circuit.disconnect.set(closed=False)  # the bus capacitors would hold the stack up for a moment
    start_v = bench.voltages_v()
    bench.dut.balance(2, True, ohm=10.0)
    for after_s in (0.0, 3.0, 30.0, 300.0):
        bench.wait(after_s - (bench.ns * 1e-9 - 1.0))
        current_a = 0.33
        sunk_v = current_a * (R0_OHM + R1_OHM * (1.0 - exp(-after_s / TAU_S)) + SLOPE_V_PER_C * after_s)
        seen_v = bench.voltages_v()
        assert seen_v[0] - seen_v[1] == pytest.approx(sunk_v, rel=2e-4)
        assert seen_v[0] == pytest.approx(start_v[0], abs=3e-6)  # it still recovers from having filled the bus
        assert sum(seen_v) == pytest.approx(bench.circuit.pack_side_v(), abs=1e-9)


def test_a_current_of_the_pack_goes_on_beside_the_bleeder() -> None:
    bench = Bench()
    before = bench.charges_c()
    bench.dut.balance(16, True)
    bench.circuit.supply.set(on=True, voltage_v=60.0, current_limit_a=20.0)
    bench.wait(500.0)
    gained = [a - b for a, b in zip(bench.charges_c(), before, strict=True)]
    assert gained[0] == pytest.approx(10_000.0, abs=0.2)
    # The bleeder sees the cell while it is charged: R0 + R1 lift it by 20 mV, and its state of charge rises.
    mean_v = 3.3 + 20.0 * (R0_OHM + R1_OHM * (1.0 - TAU_S / 500.0)) + 0.5 * SLOPE_V_PER_C * 10_000.0
    assert gained[0] - gained[15] == pytest.approx(500.0 * mean_v / 33.0, rel=5e-4)


def test_a_held_voltage_gives_in_the_end_what_the_bleeders_take_on_average() -> None:
    """At constant voltage the stack's open-circuit voltage stands still: sum of chord (I - i) = 0."""
    bench = Bench()
    bench.circuit.supply.set(on=True, voltage_v=52.8, current_limit_a=20.0)
    for cell in (1, 2, 3, 4):
        bench.dut.balance(cell, True)
    # The loop R C of pack and bleeders: 34 mΩ over 9 µV/C is an hour; wait for ten.
    bench.wait(40_000.0)
    assert bench.circuit.pack_current_a() == pytest.approx(0.1 * 4 / 16, rel=0.02)
    assert bench.circuit.supply.mode() == "CV"


def test_at_a_held_voltage_stretches_join_without_a_jump() -> None:
    """If the closed form of the stretch left the bleeders out, each refresh would correct the current by a step."""
    bled, twin = Bench(), Bench()
    values = []
    for bench in (bled, twin):
        bench.circuit.supply.set(on=True, voltage_v=52.9, current_limit_a=20.0)
        bench.wait(600.0)
    bled.dut.balance(7, True, ohm=3.3)
    for _ in range(400):
        for bench in (bled, twin):
            bench.wait(0.25)
        values.append(bled.circuit.pack_current_a() - twin.circuit.pack_current_a())
    steps = [b - a for a, b in pairwise(values)]
    assert max(abs(b - a) for a, b in pairwise(steps[2:])) < 2e-5
    # One ampere through one cell lets the stack sink by R0 + R1 and by its charge; what the supply gives for it lifts
    # all sixteen.
    sunk_v = R0_OHM + R1_OHM + SLOPE_V_PER_C * (100.0 - 16 * sum(values) * 0.25)
    assert values[-1] == pytest.approx(sunk_v / (OUTSIDE_OHM + 16 * (R0_OHM + R1_OHM)), rel=0.005)


def test_power_balances_with_bleeders_in_every_mode() -> None:
    bench = Bench(pack=Pack.demonstration(seed=3, soc_pct=60.0))
    for cell, ohm in ((1, 33.0), (8, 10.0), (16, 68.0)):
        bench.dut.balance(cell, True, ohm=ohm)
    changes: tuple[Callable[[], None], ...] = (
        lambda: bench.circuit.supply.set(on=True, voltage_v=58.0, current_limit_a=30.0),
        lambda: bench.circuit.supply.set(voltage_v=bench.circuit.bus_v() - 0.05),
        lambda: bench.circuit.load.set(on=True, current_a=90.0),
        lambda: bench.circuit.switches.set(charge=False, discharge=False),
    )
    for change in changes:
        change()
        bench.wait(12.3)
        watts = bench.circuit.power_balance_w()
        cells_v = bench.pack.cell_voltages_v(bench.circuit.pack_current_a())
        heat_w = cells_v[0] ** 2 / 33.0 + cells_v[7] ** 2 / 10.0 + cells_v[15] ** 2 / 68.0
        assert watts["bleeders"] == pytest.approx(-heat_w, rel=2e-3)
        assert sum(watts.values()) == pytest.approx(0.0, abs=1e-6 * max(abs(w) for w in watts.values()))


def test_looking_changes_nothing_to_the_last_bit_while_cells_are_bled() -> None:
    results = []
    for looks in (0, 300):
        bench = Bench(pack=Pack.demonstration(seed=4))
        odd = random.Random(7)
        bench.dut.balance(3, True)
        bench.circuit.supply.set(on=True, voltage_v=53.0, current_limit_a=15.0)
        end_ns = bench.ns + 400_000_000_000
        for moment in sorted(odd.randrange(bench.ns, end_ns) for _ in range(looks)):
            bench.ns = moment
            bench.voltages_v()
            bench.pack.temperatures_degc()
        bench.ns = end_ns
        results.append((bench.circuit.pack_current_a(), bench.voltages_v(), bench.charges_c()))
    assert results[0] == results[1]


def test_an_open_wire_stops_the_bleeder_and_ties_the_loose_input_to_its_neighbour() -> None:
    bench = Bench()
    bench.dut.balance(5, True)
    bench.wait(10.0)
    bench.dut.sense.open(5)
    before = bench.charges_c()
    bench.wait(100.0)
    assert bench.charges_c() == pytest.approx(before, abs=1e-4)
    seen_v = bench.voltages_v()
    assert seen_v[4] == pytest.approx(0.0, abs=1e-3)
    assert seen_v[5] == pytest.approx(6.6, abs=2e-3)
    bench.dut.sense.repair()
    assert bench.dut.balancing == (5,)
    before = bench.charges_c()
    bench.wait(100.0)
    assert before[4] - bench.charges_c()[4] == pytest.approx(10.0, rel=1e-3)


def test_exchanged_wires_let_a_bleeder_drain_other_cells() -> None:
    """Wires 3 and 5 exchanged: the bleeder of cell 6 then lies between nodes 3 and 6."""
    bench = Bench()
    bench.dut.sense.swap(3, 5)
    bench.dut.balance(6, True, ohm=99.0)
    before = bench.charges_c()
    bench.wait(100.0)
    lost_c = [b - a for a, b in zip(bench.charges_c(), before, strict=True)]
    assert lost_c[3:6] == pytest.approx([10.0] * 3, rel=1e-3)
    assert max(lost_c[:3] + lost_c[6:]) == pytest.approx(0.0, abs=1e-4)


def test_an_emulated_channel_sources_the_bleeder_and_the_pack_behind_it_is_spared() -> None:
    bench = Bench("emulated")
    stack = bench.dut.emulated
    assert stack is not None
    for cell in range(1, 17):
        stack.set(cell, on=True, voltage_v=3.4, source_limit_a=1.0)
    before, idle_a = bench.charges_c(), stack.currents_a()
    bench.dut.balance(5, True, ohm=34.0)
    given_a = stack.currents_a()
    assert given_a[4] - idle_a[4] == pytest.approx(0.1, rel=1e-9)
    assert [a for k, a in enumerate(given_a) if k != 4] == pytest.approx([a for k, a in enumerate(idle_a) if k != 4])
    assert bench.voltages_v()[4] == pytest.approx(3.4, abs=1e-3)
    bench.wait(100.0)
    assert bench.charges_c() == pytest.approx(before, abs=1e-4)
    stack.set(5, source_limit_a=0.05)
    assert stack.limited() == (5,)
    assert stack.cells_v()[4] == pytest.approx(0.05 * 34.0, rel=1e-3)
    bench.dut.balance(5, False)
    assert stack.limited() == ()
    assert stack.currents_a() == pytest.approx(idle_a, abs=1e-9)


def test_an_imbalance_shrinks_by_the_charge_that_was_bled() -> None:
    bench = Bench(pack=Pack.demonstration(seed=11, soc_pct=50.0))
    start = bench.charges_c()
    highest = max(range(16), key=start.__getitem__)
    bench.dut.balance(highest + 1, True)
    bench.wait(3600.0)
    bled_c = start[highest] - bench.charges_c()[highest]
    assert bled_c == pytest.approx(3600.0 * 3.28 / 33.0, rel=0.02)


@pytest.mark.parametrize("ohm", [0.0, -1.0, INF, float("nan")])
def test_a_bleeder_that_is_no_resistance_and_a_cell_that_is_not_there_are_refused(ohm: float) -> None:
    bench = Bench()
    with pytest.raises(ValueError, match="bleeder of cell 3"):
        bench.dut.balance(3, True, ohm=ohm)
    with pytest.raises(ValueError, match="1 to 16"):
        bench.dut.balance(17, True)
    assert not bench.dut.balancing
