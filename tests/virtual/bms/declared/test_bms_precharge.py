"""Precharge by voltage: closed when the bus has come, given up when it does not; contactors open one by one."""

from __future__ import annotations

from itertools import pairwise
from math import log
from typing import Any

import pytest

PRECHARGE = {"precharge": {"max_v": 1.0, "max_a": 0.05, "timeout_s": 2.0, "tries": 3}}
FAILED: dict[str, Any] = {
    "name": "precharge_failed",
    "kind": "precharge_failed",
    "within_s": {"min": 20.0, "max": 30.0},
    "opens": ["main_plus", "main_minus", "precharge"],
    "flag": "general_error",
    "release": {"kind": "command"},
}


def ask(rig: Any) -> None:
    """Power on and ask for operation."""
    rig.bms.power_on()
    rig.sleep(0.6)
    rig.ask_mode(0)
    rig.sleep(0.5)
    rig.ask_mode(1)


def tries(rig: Any, seconds: float) -> list[tuple[float, float]]:
    """Return begin and end of every time in which the precharge contact was closed, in seconds from now."""
    found: list[tuple[float, float]] = []
    begin: float | None = None
    start_s = rig.clock.now()
    while rig.clock.now() - start_s < seconds:
        now_s, closed = rig.clock.now() - start_s, rig.circuit.switches.precharge_closed
        if closed and begin is None:
            begin = now_s
        elif not closed and begin is not None:
            found.append((begin, now_s))
            begin = None
        rig.sleep(0.01)
    return found


def test_the_main_contactor_closes_once_the_bus_has_come_and_the_precharge_opens(contactors_of):
    rig = contactors_of(operation=PRECHARGE)
    ask(rig)
    rig.until(lambda: rig.circuit.switches.charge_closed, limit_s=3.0, step_s=0.001)
    assert abs(rig.circuit.bench_side_v() - rig.circuit.pack_side_v()) < 1.0
    assert not rig.circuit.switches.precharge_closed
    rig.sleep(0.2)
    assert rig.bms.path_closed and rig.state == 7


def test_it_takes_as_long_as_the_capacitor_needs(contactors_of):
    durations_s = []
    for farad in (0.0, 5e-3):
        rig = contactors_of(operation=PRECHARGE)
        rig.circuit.bus_capacitor(farad)
        ask(rig)
        ((begin_s, end_s),) = tries(rig, 4.0)
        durations_s.append(end_s - begin_s)
        assert rig.bms.path_closed
    # 47 ohm, 4.1 mF in the instruments, 53 V to 0.8 V; their bleeders of 10 kohm together leave 0.25 V standing
    constants = log((53.0 - 0.25) / (0.8 - 0.25))
    assert durations_s[0] == pytest.approx(47 * 4.1e-3 * constants, rel=0.05)
    assert durations_s[1] - durations_s[0] == pytest.approx(47 * 5e-3 * constants, rel=0.05)


FAULTS = {
    "open": lambda c: setattr(c, "precharge_open", True),
    "slow": lambda c: c.bus_capacitor(0.1),
    "short": lambda c: c.short.close(),
}


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_precharge_in_vain_is_tried_three_times_with_pauses_and_given_up(contactors_of, fault):
    rig = contactors_of([FAILED], operation=PRECHARGE)
    FAULTS[fault](rig.circuit)
    ask(rig)
    found = tries(rig, 60.0)
    assert len(found) == (3 if fault != "slow" else len(found))
    assert all(end - begin == pytest.approx(2.0, abs=0.03) for begin, end in found)
    assert all(b[0] - a[0] == pytest.approx(10.0, abs=0.05) for a, b in pairwise(found))
    assert rig.state == 10
    assert rig.bms.flag("general_error")
    assert not rig.circuit.switches.charge_closed and not rig.circuit.switches.discharge_closed


def test_the_flag_comes_inside_its_window_from_the_first_try(contactors_of):
    rig = contactors_of([FAILED], operation=PRECHARGE)
    rig.circuit.precharge_open = True
    ask(rig)
    assert 22.0 <= rig.until(lambda: rig.bms.flag("general_error"), limit_s=35.0, step_s=0.01) <= 28.0


def test_a_mended_precharge_succeeds_after_the_clear_request_and_standby(contactors_of):
    rig = contactors_of([FAILED], operation=PRECHARGE)
    rig.circuit.precharge_open = True
    ask(rig)
    rig.sleep(40.0)
    rig.circuit.precharge_open = False
    rig.ask_mode(4)
    rig.sleep(1.0)
    assert not rig.bms.flag("general_error")
    rig.ask_mode(0)
    rig.sleep(1.0)
    rig.ask_mode(1)
    rig.sleep(3.0)
    assert rig.bms.path_closed


def test_without_a_diagnosis_it_ends_in_the_error_state_all_the_same(contactors_of):
    rig = contactors_of(operation=PRECHARGE)
    rig.circuit.precharge_open = True
    ask(rig)
    rig.sleep(40.0)
    assert rig.state == 10 and rig.bms.closed == frozenset()


def test_it_may_be_called_off_between_two_tries(contactors_of):
    rig = contactors_of(operation=PRECHARGE)
    rig.circuit.precharge_open = True
    ask(rig)
    rig.sleep(5.0)
    rig.ask_mode(0)
    rig.sleep(20.0)
    assert rig.state == 5 and rig.bms.closed == frozenset()


def test_a_hasty_unit_closes_onto_an_empty_bus_and_a_stubborn_one_never_gives_up(contactors_of):
    rig = contactors_of(operation=PRECHARGE, hooks={"precharges_without_waiting": True})
    rig.circuit.precharge_open = True
    ask(rig)
    rig.sleep(1.0)
    assert rig.bms.path_closed
    rig = contactors_of([FAILED], operation=PRECHARGE, hooks={"precharges_for_ever": True})
    rig.circuit.precharge_open = True
    ask(rig)
    assert len(tries(rig, 60.0)) >= 5
    assert not rig.bms.flag("general_error")


@pytest.mark.parametrize(("operation", "apart_s"), [(PRECHARGE, 0.02), ({}, 0.0)])
def test_supervised_contactors_open_one_after_the_other_and_others_together(contactors_of, operation, apart_s):
    rig = contactors_of(operation=operation)
    ask(rig)
    rig.sleep(3.0)
    assert rig.bms.path_closed
    rig.ask_mode(0)
    switches = rig.circuit.switches
    rig.until(lambda: not switches.charge_closed, limit_s=1.0)
    later_s = 0.0 if not switches.discharge_closed else rig.until(lambda: not switches.discharge_closed, limit_s=1.0)
    assert later_s == pytest.approx(apart_s, abs=0.0015)


def test_a_weld_of_a_contactor_puts_it_in_the_error_state_and_keeps_the_others_open(contactors_of):
    weld = {
        **FAILED,
        "name": "welded",
        "kind": "welded_switch",
        "within_s": {"min": 0.1, "max": 2.0},
    }
    rig = contactors_of([weld], operation=PRECHARGE)
    ask(rig)
    rig.sleep(3.0)
    rig.circuit.switches.weld("main_plus")
    rig.ask_mode(0)
    rig.sleep(3.0)
    assert rig.bms.truth.diagnosed == ("welded",)
    assert rig.state == 10
    rig.ask_mode(1)
    rig.sleep(20.0)
    assert rig.bms.closed == frozenset(), "no closing of the others"


def test_after_a_dip_of_its_supply_it_closes_only_on_a_fresh_request(contactors_of):
    rig = contactors_of(operation=PRECHARGE)
    rig.circuit.dut.supply.attach()
    rig.circuit.dut.supply.set(source_v=24.0, limit_a=1.0)
    ask(rig)
    rig.sleep(3.0)
    assert rig.bms.path_closed
    rig.circuit.dut.supply.set(source_v=0.0, limit_a=1.0)
    rig.sleep(0.5)
    assert not rig.circuit.switches.charge_closed
    rig.circuit.dut.supply.set(source_v=24.0, limit_a=1.0)
    rig.sleep(20.0)
    assert rig.bms.closed == frozenset(), "the old request goes on and closes nothing"
    rig.ask_mode(0)
    rig.sleep(0.5)
    rig.ask_mode(1)
    rig.sleep(12.0)
    assert rig.bms.path_closed


def test_a_declared_lost_link_takes_the_place_of_the_built_in_time(contactors_of):
    lost = {**FAILED, "name": "lost", "kind": "link_lost", "within_s": {"min": 4.0, "max": 8.0}}
    rig = contactors_of([lost])
    ask(rig)
    rig.sleep(3.0)
    rig.silence_request()
    assert 4.9 <= rig.until(lambda: rig.bms.truth.diagnosed, limit_s=9.0, step_s=0.01) <= 7.1
    rig.sleep(1.0)
    assert rig.bms.closed == frozenset() and rig.state == 10
