"""Comparators on the current: told at the very nanosecond, by an exponential or a jump, and changing nothing."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, exp, log
from typing import Any, Literal

import pytest

from bench.clock import Rank
from bench.simulated_clock import SimulatedClock
from instruments.virtual.behaviour_digitiser import DigitisingMeter
from instruments.virtual.chemistry import OcvCurve
from instruments.virtual.circuit import Circuit
from instruments.virtual.pack import Pack
from instruments.virtual.pack_cell import Cell

INF = float("inf")
PACK_V = 16 * 3.3
BRANCH_OHM = 0.010 + 0.0005 + 0.0001 + 0.001 + 16 * 0.0004
BUS_F = 2e-3 + 1e-4 + 1e-6
NS = 1_000_000_000


class Bench:
    """Sixteen equal cells, closed onto a bus that has filled, with a clock of its own."""

    def __init__(self, topology: Literal["separate", "common"] = "separate") -> None:
        self.clock = SimulatedClock()
        pack = Pack([Cell(100.0, 0.0004, 0.0006, 50.0)] * 16, curve=OcvCurve([0.0, 0.5, 1.0], [3.2, 3.3, 3.4]))
        self.circuit = Circuit(pack, now_ns=self.clock.now_ns, topology=topology, bleeder_ohm=INF, leakage_ohm=INF)
        self.circuit.bidirectional.disconnected = True
        self.circuit.disconnect.set(closed=True)
        self.circuit.switches.set(charge=True, discharge=True)
        self.clock.sleep(1.0)
        self.told: list[tuple[str, int, float]] = []

    def tell(self, word: str) -> Callable[[], None]:
        return lambda: self.told.append((word, self.clock.now_ns(), self.circuit.pack_current_a()))

    def watch(self, level_a: float, direction: Literal["both", "charge", "discharge"] = "both") -> Any:
        return self.circuit.watch_current(level_a, self.tell("up"), falls=self.tell("down"), direction=direction)

    @property
    def words(self) -> list[str]:
        return [word for word, _, _ in self.told]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def shorted(after_s: float, short_ohm: float) -> float:
    """Current through the pack after a short with the bus capacitors, in amperes, discharging."""
    tau_s = BUS_F / (1.0 / BRANCH_OHM + 1.0 / short_ohm)
    return PACK_V / (BRANCH_OHM + short_ohm) * (1.0 - exp(-after_s / tau_s))


def test_the_moment_is_the_logarithm_of_the_rising_edge_to_the_nanosecond(bench: Bench) -> None:
    bench.watch(300.0)
    bench.circuit.short.close(0.1)
    bench.clock.sleep(0.01)
    end_a, tau_s = PACK_V / (BRANCH_OHM + 0.1), BUS_F / (1.0 / BRANCH_OHM + 10.0)
    expected_s = -tau_s * log(1.0 - 300.0 / end_a)
    assert bench.words == ["up"]
    _, at_ns, current_a = bench.told[0]
    assert at_ns == pytest.approx(NS + expected_s * 1e9, abs=2.0)
    assert current_a <= -300.0
    assert current_a == pytest.approx(-300.0, abs=0.1)


def test_a_jump_tells_in_the_same_nanosecond() -> None:
    """The short lies on the bus already; a switch closes onto it."""
    bench = Bench()
    bench.circuit.switches.set(charge=False, discharge=False)
    bench.circuit.short.close(0.1)
    bench.clock.sleep(1.0)
    bench.watch(300.0)
    bench.circuit.switches.set(charge=True, discharge=True)
    assert bench.told == []  # not inside the command, but before time moves
    bench.clock.sleep(1e-9)
    assert bench.told[0][:2] == ("up", 2 * NS)
    assert bench.told[0][2] == pytest.approx(-PACK_V / BRANCH_OHM, rel=1e-3)


def test_it_tells_again_when_the_current_falls_below(bench: Bench) -> None:
    watch = bench.watch(300.0)
    bench.circuit.short.close(0.1)
    bench.clock.sleep(400e-6)
    assert watch.above
    assert watch.since_ns == bench.told[0][1]
    bench.circuit.switches.set(discharge=False)
    bench.clock.sleep(1.0)
    assert bench.words == ["up", "down"]
    assert bench.told[1][1] == NS + 400_000
    assert not watch.above
    assert watch.since_ns is None


def test_an_inrush_rises_at_once_and_falls_with_its_exponential() -> None:
    bench = Bench()
    bench.circuit.switches.set(charge=False, discharge=False)
    bench.circuit.short.close(0.1)
    bench.clock.sleep(1.0)
    bench.circuit.short.open()
    bench.watch(300.0)
    bench.circuit.switches.set(charge=True, discharge=True)
    bench.clock.sleep(1.0)
    assert bench.words == ["up", "down"]
    lasts_s = BRANCH_OHM * BUS_F * log(PACK_V / BRANCH_OHM / 300.0)
    assert bench.told[1][1] - bench.told[0][1] == pytest.approx(lasts_s * 1e9, rel=1e-4)


def test_each_direction_can_be_watched_alone(bench: Bench) -> None:
    bench.watch(15.0, "charge")
    discharge = bench.circuit.watch_current(15.0, bench.tell("discharging"), direction="discharge")
    bench.circuit.load.set(on=True, current_a=20.0)
    bench.clock.sleep(0.1)
    assert bench.words == ["discharging"]
    bench.circuit.load.set(on=False)
    bench.circuit.supply.set(on=True, voltage_v=58.0, current_limit_a=20.0)
    bench.clock.sleep(0.1)
    assert bench.words == ["discharging", "up"]
    assert not discharge.above


def test_a_current_that_is_beyond_already_tells_at_once(bench: Bench) -> None:
    bench.circuit.load.set(on=True, current_a=20.0)
    bench.clock.sleep(1.0)
    bench.watch(15.0)
    bench.clock.sleep(1e-9)
    assert bench.told[0][:2] == ("up", 2 * NS)


def test_a_slow_taper_is_met_where_a_fine_grid_of_looks_meets_it(bench: Bench) -> None:
    other = Bench()
    for each in (bench, other):
        each.circuit.supply.set(on=True, voltage_v=53.4, current_limit_a=30.0)
        each.clock.sleep(1.0)
    assert bench.circuit.pack_current_a() > 15.0
    bench.watch(15.0)
    bench.clock.sleep(7200.0)
    assert bench.words == ["up", "down"]
    at_ns = bench.told[1][1]
    other.clock.sleep_until(at_ns / NS - 1e-3)
    assert other.circuit.pack_current_a() > 15.0
    other.clock.sleep_until(at_ns / NS + 1e-3)
    assert other.circuit.pack_current_a() < 15.0


def test_a_comparator_with_a_delay_ends_a_short_by_the_switch(bench: Bench) -> None:
    """What a front end does: level, then a delay, then the gate; a falling current would cancel it."""
    circuit, clock = bench.circuit, bench.clock

    def rises() -> None:
        clock.at(clock.now() + 200e-6, lambda: circuit.switches.set(charge=False, discharge=False), rank=Rank.BMS)

    watch = circuit.watch_current(300.0, rises)
    circuit.history()
    start_ns = clock.now_ns()
    circuit.short.close(0.1)
    clock.sleep(0.01)
    assert circuit.pack_current_a() == 0.0
    assert not watch.above
    tau_s = BUS_F / (1.0 / BRANCH_OHM + 10.0)
    end_a = PACK_V / (BRANCH_OHM + 0.1)
    lasted_s = -tau_s * log(1.0 - 300.0 / end_a) + 200e-6
    passed = circuit.history().let_through(start_ns, clock.now_ns())
    fade = exp(-lasted_s / tau_s)
    assert passed.peak_a == pytest.approx(end_a * (1.0 - fade), rel=1e-4)
    assert -passed.charge_c == pytest.approx(end_a * (lasted_s - tau_s * (1.0 - fade)), rel=1e-4)
    square = end_a**2 * (lasted_s - 2.0 * tau_s * (1.0 - fade) + 0.5 * tau_s * (1.0 - fade * fade))
    assert passed.square_a2s == pytest.approx(square, rel=1e-4)


@pytest.mark.parametrize("short_ohm", [0.087, 0.15])
@pytest.mark.parametrize("delay_s", [100e-6, 250e-6, 400e-6])
def test_a_digitiser_on_the_shunt_catches_a_short_that_a_switch_ends(delay_s: float, short_ohm: float) -> None:
    bench = Bench()
    circuit, clock = bench.circuit, bench.clock

    def rises() -> None:
        clock.at(clock.now() + delay_s, lambda: circuit.switches.set(discharge=False), rank=Rank.BMS)

    circuit.watch_current(250.0, rises)
    meter = DigitisingMeter("meter", "1", circuit.reference_shunt_v, circuit, clock, 1)
    meter.digitises, meter.sample_range_v, meter.points, meter.before_pct = True, 1.0, 2000, 10.0
    meter.edge, meter.edge_level_v, meter.edge_rising = True, -0.05, False  # 100 A discharging at 0.5 mΩ
    meter.begin(triggered=True)
    clock.sleep(0.1)
    shorted_ns = clock.now_ns()
    circuit.short.close(short_ohm)
    clock.sleep(0.1)
    assert not meter.running
    samples = meter.samples(1, meter.stored())
    amperes = [volts / 0.0005 for volts, _ in samples]
    end_a = shorted(1.0, short_ohm)
    assert 300.0 < end_a < 510.0
    tau_s = BUS_F / (1.0 / BRANCH_OHM + 1.0 / short_ohm)
    at_100_s, at_250_s = (-tau_s * log(1.0 - level_a / end_a) for level_a in (100.0, 250.0))
    opened_s = at_250_s + delay_s
    assert min(amperes) == pytest.approx(-shorted(opened_s, short_ohm), rel=2e-3)
    beyond = [at_s for (_, at_s), value in zip(samples, amperes, strict=True) if value < -100.0]
    assert beyond[-1] - beyond[0] == pytest.approx(opened_s - at_100_s, abs=2e-6)
    charge_c = -sum(amperes) * 1e-6
    assert charge_c == pytest.approx(end_a * (opened_s - tau_s * (1.0 - exp(-opened_s / tau_s))), rel=0.01)
    passed = circuit.history().let_through(shorted_ns, clock.now_ns())
    assert sum(a * a for a in amperes) * 1e-6 == pytest.approx(passed.square_a2s, rel=0.01)


def test_watching_changes_nothing_to_the_last_bit() -> None:
    seen = []
    for levels in ((), (5.0, 19.999, 20.0, 300.0)):
        bench = Bench()
        for level_a in levels:
            bench.watch(level_a)
        bench.circuit.supply.set(on=True, voltage_v=53.6, current_limit_a=40.0)
        bench.clock.sleep(1234.567)
        bench.circuit.supply.set(on=False)
        bench.circuit.load.set(on=True, current_a=20.0)
        bench.clock.sleep(3.3)
        bench.circuit.switches.set(discharge=False)
        bench.clock.sleep(77.7)
        current_a = bench.circuit.pack_current_a()
        seen.append((current_a, bench.circuit.bus_v(), bench.circuit.pack.cell_voltages_v(current_a)))
        assert bool(bench.told) is bool(levels)
    assert seen[0] == seen[1]


def test_a_watch_that_was_cancelled_is_silent_also_by_another_callback(bench: Bench) -> None:
    second: list[Any] = []
    first = bench.circuit.watch_current(15.0, lambda: second[0].cancel())
    second.append(bench.watch(15.0))
    bench.circuit.load.set(on=True, current_a=20.0)
    bench.clock.sleep(0.1)
    assert first.above
    assert bench.told == []
    first.cancel()
    first.cancel()
    bench.circuit.load.set(on=False)
    bench.clock.sleep(0.1)
    assert first.above  # nobody looks any more


def test_what_an_earlier_callback_stopped_is_not_told_to_a_later_one(bench: Bench) -> None:
    bench.circuit.watch_current(15.0, lambda: bench.circuit.switches.set(charge=False, discharge=False))
    bench.watch(15.0)
    bench.circuit.load.set(on=True, current_a=20.0)
    bench.clock.sleep(0.1)
    assert bench.told == []
    assert bench.circuit.pack_current_a() == 0.0


def test_a_watch_at_rest_costs_a_handful_of_events(bench: Bench) -> None:
    bench.watch(300.0)
    bench.clock.sleep(60.0)
    looks = 0
    look = bench.circuit._watches._look  # type: ignore[union-attr]

    def counted() -> None:
        nonlocal looks
        looks += 1
        look()

    bench.circuit._watches._look = counted  # type: ignore[method-assign, union-attr]
    bench.circuit._watches.plan()  # type: ignore[union-attr]
    bench.clock.sleep(3600.0)
    assert 1 <= looks <= 20


def test_far_in_simulated_time_a_moment_is_still_met() -> None:
    """After 120 days a second as a double no longer tells every nanosecond."""
    bench = Bench()
    bench.clock.sleep(120 * 86400.0)
    bench.watch(300.0)
    start_ns = bench.clock.now_ns()
    bench.circuit.short.close(0.1)
    bench.clock.sleep(0.01)
    tau_s = BUS_F / (1.0 / BRANCH_OHM + 10.0)
    at_s = -tau_s * log(1.0 - 300.0 / (PACK_V / (BRANCH_OHM + 0.1)))
    assert bench.words == ["up"]
    assert bench.told[0][1] - start_ns == pytest.approx(ceil(at_s * 1e9), abs=5.0)


@pytest.mark.parametrize("level_a", [0.0, -5.0, INF, float("nan")])
def test_a_level_that_is_no_magnitude_is_refused(bench: Bench, level_a: float) -> None:
    with pytest.raises(ValueError, match="magnitude above 0"):
        bench.watch(level_a)


def test_a_direction_that_is_none_and_a_circuit_without_a_clock_are_refused(bench: Bench) -> None:
    with pytest.raises(ValueError, match="direction 'up'"):
        bench.watch(5.0, "up")  # type: ignore[arg-type]
    by_hand = Circuit(Pack.demonstration(seed=1), now_ns=lambda: 0, topology="separate")
    with pytest.raises(ValueError, match="clock"):
        by_hand.watch_current(5.0, lambda: None)
