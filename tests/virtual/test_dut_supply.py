"""The BMS's own supply: dips it survives, dips that reset it, and its way back."""

from __future__ import annotations

from math import log

import pytest

from bench.simulated_clock import SimulatedClock
from instruments.virtual.dut_supply import HOLD_UP_F, INPUT_OHM, DutSupply

TAU_S = INPUT_OHM * HOLD_UP_F


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
def supply(clock: SimulatedClock) -> DutSupply:
    return DutSupply(clock.now_ns)


@pytest.fixture
def told(clock: SimulatedClock, supply: DutSupply) -> list[tuple[float, bool]]:
    seen: list[tuple[float, bool]] = []
    supply.watch(clock, lambda fed: seen.append((clock.now(), fed)))
    return seen


def test_without_an_auxiliary_supply_it_is_always_fed(supply: DutSupply) -> None:
    assert supply.fed
    supply.attach()
    assert not supply.fed


def test_it_starts_at_its_start_voltage_and_draws_by_ohms_law(supply: DutSupply, told: list) -> None:
    supply.attach()
    supply.set(source_v=8.9, limit_a=1.0)
    assert told == []
    supply.set(source_v=24.0, limit_a=1.0)
    assert told == [(0.0, True)]
    assert supply.current_a() == pytest.approx(24.0 / INPUT_OHM)


@pytest.mark.parametrize("from_v", [12.0, 24.0])
def test_a_lost_supply_resets_it_when_the_capacitor_is_empty(
    clock: SimulatedClock, supply: DutSupply, told: list, from_v: float
) -> None:
    supply.attach()
    supply.set(source_v=from_v, limit_a=1.0)
    clock.sleep(1.0)
    supply.set(source_v=0.0, limit_a=1.0)
    assert supply.current_a() == 0.0
    clock.sleep(1.0)
    hold_s = TAU_S * log(from_v / supply.brown_out_v)
    assert told == [(0.0, True), (pytest.approx(1.0 + hold_s, abs=1e-8), False)]


def test_a_dip_shorter_than_that_is_survived(clock: SimulatedClock, supply: DutSupply, told: list) -> None:
    supply.attach()
    supply.set(source_v=24.0, limit_a=1.0)
    hold_s = TAU_S * log(24.0 / supply.brown_out_v)
    for share, survives in ((0.98, True), (1.02, False)):
        supply.set(source_v=0.0, limit_a=1.0)
        clock.sleep(share * hold_s)
        supply.set(source_v=24.0, limit_a=1.0)
        clock.sleep(2.0)
        assert (len(told) == 1) is survives
    assert [fed for _, fed in told] == [True, False, True]


def test_a_current_limit_below_its_need_pulls_the_voltage_down(
    clock: SimulatedClock, supply: DutSupply, told: list
) -> None:
    supply.attach()
    supply.set(source_v=24.0, limit_a=0.03)
    assert supply.terminal_v() == pytest.approx(0.03 * INPUT_OHM)
    assert not supply.fed
    supply.set(source_v=24.0, limit_a=0.05)
    assert supply.fed
    assert supply.terminal_v() == pytest.approx(12.0)


def test_between_brown_out_and_start_it_keeps_what_it_was(clock: SimulatedClock, supply: DutSupply, told: list) -> None:
    supply.attach()
    supply.set(source_v=24.0, limit_a=1.0)
    supply.set(source_v=8.5, limit_a=1.0)
    clock.sleep(5.0)
    assert supply.fed
    supply.set(source_v=7.9, limit_a=1.0)
    clock.sleep(5.0)
    supply.set(source_v=8.5, limit_a=1.0)
    clock.sleep(5.0)
    assert not supply.fed
