"""Releases by action, in their window and at their value; lock-outs that forget; levels and deratings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from instruments.virtual.bms_unit import make_unit

OVER: dict[str, Any] = {
    "name": "over",
    "kind": "discharge_overcurrent",
    "threshold": 100.0,
    "tolerance": 2.0,
    "delay_s": {"min": 0.5, "max": 1.0},
    "opens": ["discharge"],
    "release": {"kind": "time", "after_s": 5.0},
    "flag": "over",
}
HIGH: dict[str, Any] = {
    "name": "high",
    "kind": "cell_overvoltage",
    "threshold": 3.65,
    "tolerance": 0.010,
    "delay_s": {"min": 0.5, "max": 1.5},
    "opens": ["charge"],
    "release": {"kind": "value", "value": 3.50},
    "flag": "high",
}


def changed(name: str, **changes: Any) -> dict[str, Any]:
    """Return hooks that change one row of the unit."""
    return {"protect": lambda unit, profile: replace(unit, **changes) if unit.row.name == name else unit}


def trip(rig: Any, current_a: float = -130.0) -> None:
    rig.circuit.knob_a = current_a
    rig.until(lambda: not rig.circuit.switches.discharge_closed, limit_s=5.0)
    rig.circuit.knob_a = 0.0


def cell(rig: Any, number: int, voltage_v: float) -> None:
    rig.circuit.dut.emulated.set(number, voltage_v=voltage_v)


@pytest.mark.parametrize("seed", range(5))
def test_a_promised_release_time_is_met_in_the_middle_half_of_its_window(rig_of, seed):
    row = {**OVER, "release": {"kind": "time", "after_s": 5.0, "window_s": {"min": 4.0, "max": 8.0}}}
    rig = rig_of([row], seed=seed)
    rig.start()
    trip(rig)
    assert 5.0 <= rig.until(lambda: rig.bms.path_closed, limit_s=9.0) <= 7.0


def test_an_early_or_late_release_is_the_units_own(rig_of):
    rig = rig_of([OVER], hooks=changed("over", release_late_s=-4.0))
    rig.start()
    trip(rig)
    assert rig.until(lambda: rig.bms.path_closed, limit_s=9.0) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("seed", range(5))
def test_a_release_value_differs_by_what_its_tolerance_allows(rig_of, seed):
    row = {**HIGH, "release": {"kind": "value", "value": 3.50, "tolerance": 0.020}}
    rig = rig_of([row], seed=seed, cells="emulated")
    rig.start()
    cell(rig, 3, 3.70)
    rig.sleep(2.0)
    assert rig.bms.truth.tripped == ("high",)
    cell(rig, 3, 3.50 + 0.016)
    rig.sleep(5.0)
    assert rig.bms.truth.tripped == ("high",)
    cell(rig, 3, 3.50 - 0.016)
    rig.sleep(1.0)
    assert rig.bms.truth.tripped == ()


def test_declared_release_tolerances_spread_the_units_and_undeclared_ones_do_not(rig_of):
    loose = rig_of([{**HIGH, "release": {"kind": "value", "value": 3.5, "tolerance": 0.02}}]).profile
    strict = rig_of([HIGH]).profile
    assert len({make_unit(loose, seed).protections[0].release_shift_si for seed in range(9)}) == 9
    assert {make_unit(strict, seed).protections[0].release_shift_si for seed in range(9)} == {0.0}


def test_without_hysteresis_it_lets_go_at_the_threshold(rig_of):
    rig = rig_of([HIGH], hooks=changed("high", hysteresis=False), cells="emulated")
    rig.start()
    cell(rig, 3, 3.70)
    rig.sleep(2.0)
    cell(rig, 3, 3.63)
    rig.sleep(1.0)
    assert rig.bms.truth.tripped == ()


def test_a_charger_on_the_terminals_releases_what_waits_for_one(rig_of):
    row = {
        **OVER,
        "name": "low",
        "kind": "cell_undervoltage",
        "threshold": 2.8,
        "tolerance": 0.01,
        "release": {"kind": "action", "action": "charger_connection"},
    }
    rig = rig_of([row], cells="emulated")
    rig.start()
    cell(rig, 3, 2.7)
    rig.sleep(2.0)
    cell(rig, 3, 3.3)
    rig.sleep(20.0)
    assert rig.bms.truth.tripped == ("low",)
    rig.charge(5.0)
    rig.sleep(1.0)
    assert rig.bms.truth.tripped == ()
    forgetful = rig_of([row], hooks=changed("low", needs_action=False), cells="emulated")
    forgetful.start()
    cell(forgetful, 3, 2.7)
    forgetful.sleep(2.0)
    cell(forgetful, 3, 3.3)
    forgetful.sleep(1.0)
    assert forgetful.bms.truth.tripped == ()


@pytest.mark.parametrize("action", ["power_cycle", "reset"])
def test_only_a_power_cycle_releases_what_waits_for_one_where_nothing_can_be_cleared(rig_of, action):
    row = {**OVER, "latched": True, "release": {"kind": "action", "action": action}}
    rig = rig_of([row])
    rig.start()
    trip(rig)
    rig.sleep(100.0)
    assert rig.bms.truth.tripped == ("over",)
    rig.bms.power_off()
    rig.start()
    assert rig.bms.truth.tripped == ()


def test_a_reset_is_the_clear_request_where_there_is_one(rig_of):
    rig = rig_of([{**OVER, "release": {"kind": "action", "action": "reset"}}])
    rig.start()
    trip(rig)
    rig.sleep(1.0)
    rig.bms.clear()
    assert rig.bms.truth.tripped == ()


def test_clear_does_nothing_while_the_cause_persists_unless_the_unit_is_broken(rig_of):
    row = {**HIGH, "latched": True, "release": {"kind": "command"}}
    for hooks, expected in ((None, ("high",)), (changed("high", clears_anyway=True), ())):
        rig = rig_of([row], hooks=hooks, cells="emulated")
        rig.start()
        cell(rig, 3, 3.70)
        rig.sleep(2.0)
        rig.bms.clear()
        assert rig.bms.truth.tripped == expected


def test_a_lost_latch_lets_go_by_itself(rig_of):
    rig = rig_of([{**OVER, "latched": True, "release": {"kind": "command"}}], hooks=changed("over", latches=False))
    rig.start()
    trip(rig)
    rig.sleep(1.0)
    assert rig.bms.truth.tripped == ()


LOCK: dict[str, Any] = {**OVER, "lockout_count": 3, "lockout_window_s": 60.0}


def test_trips_inside_the_window_lock_it_and_it_stays_locked(rig_of):
    rig = rig_of([LOCK])
    rig.start()
    for _ in range(3):
        trip(rig)
        rig.sleep(6.0)
    assert rig.bms.truth.locked == ("over",)
    rig.sleep(300.0)
    assert rig.bms.truth.locked == ("over",)


def test_trips_longer_ago_than_the_window_are_forgotten(rig_of):
    rig = rig_of([LOCK])
    rig.start()
    for _ in range(4):
        trip(rig)
        rig.sleep(40.0)
    assert rig.bms.truth.locked == ()
    assert rig.bms.truth.trips == {"over": 4}


def test_a_power_cycle_forgets_the_lock_out_unless_the_unit_keeps_it(rig_of):
    for hooks, locked in ((None, ()), (changed("over", keeps_lockout=True), ("over",))):
        rig = rig_of([LOCK], hooks=hooks)
        rig.start()
        for _ in range(3):
            trip(rig)
            rig.sleep(6.0)
        rig.bms.power_off()
        rig.bms.power_on()
        rig.sleep(3.0)
        assert rig.bms.truth.locked == locked
        assert rig.circuit.switches.discharge_closed is (not locked)


def test_a_unit_may_not_count_or_trip_once_only(rig_of):
    rig = rig_of([LOCK], hooks=changed("over", counts_trips=False))
    rig.start()
    for _ in range(4):
        trip(rig)
        rig.sleep(6.0)
    assert rig.bms.truth.locked == ()
    rig = rig_of([OVER], hooks=changed("over", trips_once=True))
    rig.start()
    trip(rig)
    rig.sleep(6.0)
    rig.circuit.knob_a = -130.0
    rig.sleep(5.0)
    assert rig.bms.truth.trips == {"over": 1} and rig.circuit.switches.discharge_closed


def test_levels_below_protection_raise_flags_and_open_nothing(rig_of):
    rows = [
        {**OVER, "name": level, "level": level, "opens": [], "threshold": at, "flag": level}
        for level, at in (("information", 50.0), ("warning", 70.0))
    ]
    rig = rig_of([*rows, OVER])
    rig.start()
    rig.circuit.knob_a = -60.0
    rig.sleep(2.0)
    assert [rig.bms.flag(name) for name in ("information", "warning", "over")] == [True, False, False]
    rig.circuit.knob_a = -80.0
    rig.sleep(2.0)
    assert [rig.bms.flag(name) for name in ("information", "warning", "over")] == [True, True, False]
    assert rig.bms.path_closed and not rig.bms.fatal()


def test_another_flag_rises_where_a_unit_mistakes_it(rig_of):
    rig = rig_of([OVER, HIGH], hooks=changed("over", flag_as="high"))
    rig.start()
    trip(rig)
    assert rig.bms.flag("high") and not rig.bms.flag("over")


DERATING: dict[str, Any] = {
    **HIGH,
    "name": "derate",
    "level": "warning",
    "opens": [],
    "threshold": 3.6,
    "flag": "warm",
    "derating": {
        "begins": 3.40,
        "ends": 3.60,
        "signal": "charge_current_limit",
        "from_a": 60.0,
        "to_a": 10.0,
        "tolerance_a": 5.0,
    },
    "release": {"kind": "value", "value": 3.5},
}


def told_a(rig: Any) -> float:
    return int.from_bytes(rig.ask(7, 4, 17, 1), "big") * 0.01


@pytest.mark.parametrize("seed", range(5))
def test_a_derating_moves_the_told_limit_along_its_line(rig_of, seed):
    rig = rig_of([DERATING, HIGH], seed=seed, cells="emulated")
    rig.start()
    for voltage_v, limit_a in ((3.30, 60.0), (3.45, 47.5), (3.50, 35.0), (3.55, 22.5), (3.64, 10.0)):
        cell(rig, 9, voltage_v)
        rig.sleep(0.3)
        assert told_a(rig) == pytest.approx(limit_a, abs=0.7 * 5.0)
    assert told_a(rig) == pytest.approx(10.0, abs=0.01)


def test_a_unit_may_not_derate_at_all(rig_of):
    rig = rig_of([DERATING], hooks=changed("derate", derates=False), cells="emulated")
    rig.start()
    cell(rig, 9, 3.64)
    rig.sleep(0.3)
    assert told_a(rig) == pytest.approx(60.0)


def test_a_cell_that_nobody_looks_at_trips_nothing(rig_of):
    rig = rig_of([HIGH], hooks=changed("high", ignored=frozenset({4})), cells="emulated")
    rig.start()
    cell(rig, 5, 3.75)
    rig.sleep(5.0)
    assert rig.bms.truth.tripped == ()
    cell(rig, 6, 3.75)
    rig.sleep(5.0)
    assert rig.bms.truth.tripped == ("high",)
