"""The current afterwards: kept pieces against closed formulas of the RC edge of a short circuit."""

from __future__ import annotations

from math import exp, log

import pytest

from instruments.virtual.chemistry import OcvCurve
from instruments.virtual.circuit import Circuit
from instruments.virtual.circuit_history import Piece, crossing_s
from instruments.virtual.circuit_waveform import Waveform
from instruments.virtual.pack import Pack
from instruments.virtual.pack_cell import Cell

PACK_V, R0_OHM = 16 * 3.3, 16 * 0.0004
BRANCH_OHM = 0.010 + 0.0005 + 0.0001 + 0.001 + R0_OHM  # wires, both shunts, switch, cells
CAPACITANCE_F = 2e-3 + 2e-3 + 1e-4 + 1e-6
SHORT_OHM = 0.002


class Bench:
    def __init__(self) -> None:
        self.ns = 0
        pack = Pack([Cell(100.0, 0.0004, 0.0006, 50.0)] * 16, curve=OcvCurve([0.0, 0.5, 1.0], [3.2, 3.3, 3.4]))
        inf = float("inf")
        self.circuit = Circuit(pack, now_ns=lambda: self.ns, topology="separate", bleeder_ohm=inf, leakage_ohm=inf)
        self.circuit.disconnect.set(closed=True)
        self.circuit.switches.set(charge=True, discharge=True)
        self.ns += 1_000_000_000
        self.circuit.catch_up()


def test_a_short_rises_with_the_bus_capacitors_and_ends_at_ohms_law() -> None:
    bench = Bench()
    history = bench.circuit.history()
    start_ns = bench.ns
    bench.circuit.short.close(SHORT_OHM)
    bench.ns += 1_000_000
    bench.circuit.catch_up()
    end_a = -PACK_V / (BRANCH_OHM + SHORT_OHM)
    tau_s = CAPACITANCE_F / (1.0 / BRANCH_OHM + 1.0 / SHORT_OHM)
    for after_s in (1e-6, 3e-6, 10e-6, 50e-6, 900e-6):
        expected_a = end_a * (1.0 - exp(-after_s / tau_s))
        assert history.current_a(start_ns + after_s * 1e9) == pytest.approx(expected_a, rel=1e-4)
    mean_a = end_a * (1.0 - tau_s / 5e-6 * (1.0 - exp(-5e-6 / tau_s)))
    assert history.mean_a(start_ns, start_ns + 5000) == pytest.approx(mean_a, rel=1e-4)


def test_the_short_ends_with_the_switch_and_the_charge_between_is_kept() -> None:
    bench = Bench()
    history = bench.circuit.history()
    start_ns = bench.ns
    bench.circuit.short.close(SHORT_OHM)
    bench.ns += 400_000
    bench.circuit.switches.set(charge=False, discharge=False)
    bench.ns += 600_000
    bench.circuit.catch_up()
    end_a = -PACK_V / (BRANCH_OHM + SHORT_OHM)
    tau_s = CAPACITANCE_F / (1.0 / BRANCH_OHM + 1.0 / SHORT_OHM)
    let_through_c = end_a * (400e-6 - tau_s * (1.0 - exp(-400e-6 / tau_s)))
    assert history.mean_a(start_ns, start_ns + 1_000_000) * 1e-3 == pytest.approx(let_through_c, rel=1e-4)
    assert history.current_a(start_ns + 399_000) == pytest.approx(end_a, rel=1e-4)
    assert history.current_a(start_ns + 401_000) == 0.0


def test_looking_changes_nothing() -> None:
    seen = []
    for keep in (False, True):
        bench = Bench()
        if keep:
            bench.circuit.history()
        bench.circuit.load.set(on=True, current_a=30.0)
        bench.ns += 3_700_000_123
        seen.append((bench.circuit.pack_current_a(), bench.circuit.bus_v(), bench.circuit.pack.terminal_v(-30.0)))
    assert seen[0] == seen[1]


def test_the_power_of_a_short_is_in_the_balance() -> None:
    bench = Bench()
    bench.circuit.short.close(SHORT_OHM)
    bench.ns += 10_000_000
    balance = bench.circuit.power_balance_w()
    assert sum(balance.values()) == pytest.approx(0.0, abs=1e-6 * abs(balance["cell_chemistry"]))
    current_a = PACK_V / (BRANCH_OHM + SHORT_OHM)
    assert balance["short"] == pytest.approx(-(current_a**2) * SHORT_OHM, rel=1e-3)
    bench.circuit.short.open()
    bench.ns += 10_000_000
    assert bench.circuit.pack_current_a() == pytest.approx(0.0, abs=1e-3)


def test_old_pieces_are_dropped_and_young_ones_kept() -> None:
    bench = Bench()
    history = bench.circuit.history()
    for k in range(600):
        bench.ns += 1_000_000
        bench.circuit.load.set(on=True, current_a=1.0 + k % 2)
        history.keep_from["test"] = bench.ns - 20_000_000.0
    assert len(history._pieces) < 300
    assert history.current_a(bench.ns - 10_500_000) == pytest.approx(-1.0, abs=0.01)
    assert history.current_a(bench.ns - 9_500_000) == pytest.approx(-2.0, abs=0.01)


@pytest.mark.parametrize("rising", [True, False])
def test_the_crossing_of_one_exponential_is_its_logarithm(rising: bool) -> None:
    sign = 1.0 if rising else -1.0
    wave = Waveform((sign * 100.0, 0.0), (-sign * 100.0, 1e5))
    at_s = crossing_s(Piece(0, 0.0, 1e-3, wave), sign * 60.0, rising)
    assert at_s == pytest.approx(-log(0.4) / 1e5, abs=1e-9)
    assert crossing_s(Piece(0, 0.0, 1e-3, wave), sign * 60.0, not rising) is None
    assert crossing_s(Piece(0, 0.0, 1e-6, wave), sign * 60.0, rising) is None


def test_a_hump_between_two_low_ends_is_found() -> None:
    wave = Waveform((10.0, 1e3), (-10.0, 1e5))
    piece = Piece(0, 0.0, 1.0, wave)
    at_s = crossing_s(piece, 5.0, True)
    assert at_s is not None
    assert wave.current_a(at_s) == pytest.approx(5.0, abs=1e-3)
    down_s = crossing_s(piece, 5.0, False)
    assert down_s is not None
    assert down_s > at_s
