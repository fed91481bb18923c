"""Faults of wires, sensors, switches, supply and link: noticed in their window, told, acted on, let go once mended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import inf
from typing import Any

import pytest


def row(kind: str, **changes: Any) -> dict[str, Any]:
    return {
        "name": kind,
        "kind": kind,
        "within_s": {"min": 1.0, "max": 3.0},
        "opens": ["charge", "discharge"],
        "flag": f"flag_{kind}",
        "release": {"kind": "time", "after_s": 2.0, "window_s": {"min": 1.0, "max": 4.0}},
        **changes,
    }


def freeze() -> Callable[[list[float], float], list[float]]:
    held: dict[str, float] = {}

    def cells(values_v: list[float], at_s: float) -> list[float]:
        if at_s < 5.0 or at_s > 30.0:
            return values_v
        return [held.setdefault("v", values_v[0]), *values_v[1:]]

    return cells


SENSORS = {"positions": ["cell_1", "cell_6"], "ohm_25": 10000.0, "beta_k": 3435.0}
# kind: (insert, remove)
WIRING: dict[str, tuple[Callable[[Any], None], Callable[[Any], None]]] = {
    "open_sense_wire": (lambda c: c.dut.sense.open(8), lambda c: c.dut.sense.close(8)),
    "swapped_sense_wires": (lambda c: c.dut.sense.swap(3, 4), lambda c: c.dut.sense.swap(3, 4)),
    "temperature_sensor_open": (lambda c: c.dut.sensors.place(6, inf), lambda c: c.dut.sensors.restore(6)),
    "temperature_sensor_short": (lambda c: c.dut.sensors.place(6, 0.0), lambda c: c.dut.sensors.restore(6)),
    "current_sensor_open": (
        lambda c: setattr(c.dut.shunt, "open", True),
        lambda c: setattr(c.dut.shunt, "open", False),
    ),
    "stuck_open_switch": (
        lambda c: c.switches.stick_open("charge", True),
        lambda c: c.switches.stick_open("charge", False),
    ),
    "switch_feedback": (
        lambda c: c.switches.invert_feedback("charge", True),
        lambda c: c.switches.invert_feedback("charge", False),
    ),
}


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("kind", sorted(WIRING))
def test_a_fault_is_told_and_acted_on_in_the_middle_of_its_window_and_let_go_once_mended(rig_of, kind, seed):
    insert, remove = WIRING[kind]
    rig = rig_of(diagnoses=[row(kind)], seed=seed, temperature_sensors=SENSORS)
    rig.start()
    insert(rig.circuit)
    flag_s = rig.until(lambda: rig.bms.flag(f"flag_{kind}"), limit_s=4.0, step_s=0.01)
    open_s = flag_s + rig.until(lambda: not rig.bms.closed, limit_s=1.0, step_s=0.01)
    assert 1.45 <= flag_s < open_s <= 2.55
    assert rig.bms.truth.diagnosed == (kind,)
    rig.sleep(20.0)
    assert rig.bms.truth.diagnosed == (kind,), "it does not let go while the fault is there"
    remove(rig.circuit)
    assert 1.7 <= rig.until(lambda: not rig.bms.flag(f"flag_{kind}"), limit_s=5.0, step_s=0.01) <= 3.3
    assert rig.bms.path_closed


@pytest.mark.parametrize("kind", sorted(WIRING))
def test_a_dead_diagnosis_says_nothing_and_a_slow_one_says_it_late(rig_of, kind):
    rig = rig_of(
        diagnoses=[row(kind)],
        temperature_sensors=SENSORS,
        hooks={"diagnose": lambda unit, profile: replace(unit, dead=True)},
    )
    rig.start()
    WIRING[kind][0](rig.circuit)
    rig.sleep(10.0)
    assert rig.bms.truth.diagnosed == ()
    rig = rig_of(
        diagnoses=[row(kind)],
        temperature_sensors=SENSORS,
        hooks={"diagnose": lambda unit, profile: replace(unit, delay_s=5.0)},
    )
    rig.start()
    WIRING[kind][0](rig.circuit)
    assert rig.until(lambda: rig.bms.truth.diagnosed, limit_s=7.0, step_s=0.01) == pytest.approx(5.0, abs=0.15)


def test_healthy_wiring_is_no_fault(rig_of):
    rig = rig_of(
        diagnoses=[row(kind) for kind in (*WIRING, "welded_switch", "current_sensor_reversed", "frozen_cell_voltage")],
        temperature_sensors=SENSORS,
    )
    rig.start()
    rig.charge(100.0)
    rig.sleep(60.0)
    rig.discharge(100.0)
    rig.sleep(60.0)
    rig.rest()
    rig.circuit.pack.ambient_degc = -35.0
    rig.sleep(600.0)
    assert rig.bms.truth.diagnosed == ()


def test_a_value_that_repeats_itself_to_the_last_digit_is_frozen(rig_of):
    rig = rig_of(diagnoses=[row("frozen_cell_voltage")], hooks={"cells": freeze()})
    rig.start()
    rig.sleep(2.9)
    assert rig.bms.truth.diagnosed == ()
    rig.sleep(3.1)
    assert rig.bms.truth.diagnosed == ("frozen_cell_voltage",)
    rig.sleep(30.0)
    assert rig.bms.truth.diagnosed == ()


@pytest.mark.parametrize("cells", ["pack", "emulated"])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_reversed_shunt_shows_once_current_flows_and_is_remembered(rig_of, cells, sign):
    rig = rig_of(diagnoses=[row("current_sensor_reversed")], cells=cells)
    rig.start()
    rig.circuit.dut.shunt.reversed = True
    rig.sleep(10.0)
    assert rig.bms.truth.diagnosed == (), "without current nothing can show it"
    (rig.charge if sign > 0 else rig.discharge)(30.0)
    assert 1.4 <= rig.until(lambda: not rig.bms.closed, limit_s=4.0, step_s=0.01) <= 2.6
    rig.rest()
    rig.sleep(20.0)
    assert rig.bms.truth.diagnosed == ("current_sensor_reversed",)
    rig.circuit.dut.shunt.reversed = False
    rig.sleep(4.0)
    assert rig.bms.truth.diagnosed == ()


OVER: dict[str, Any] = {
    "name": "over",
    "kind": "charge_overcurrent",
    "threshold": 100.0,
    "tolerance": 2.0,
    "delay_s": {"min": 0.5, "max": 1.0},
    "opens": ["charge"],
    "release": {"kind": "time", "after_s": 600.0},
    "flag": "over",
}


def test_a_weld_is_told_once_the_switch_should_be_open_and_the_other_opens(rig_of):
    rig = rig_of([OVER], [row("welded_switch")])
    rig.start()
    rig.circuit.switches.weld("charge")
    rig.sleep(10.0)
    assert rig.bms.truth.diagnosed == ()
    rig.charge(120.0)
    rig.until(lambda: "charge" not in rig.bms.closed, limit_s=2.0, step_s=0.01)
    assert 1.4 <= rig.until(lambda: rig.bms.flag("flag_welded_switch"), limit_s=4.0, step_s=0.01) <= 2.6
    rig.sleep(0.1)
    assert rig.bms.closed == frozenset()
    assert rig.ask(7, 2, 150, 2) == b"\x01", "the contact says closed, whatever was commanded"
    rig.rest()
    rig.circuit.switches.weld("charge", False)
    rig.sleep(4.0)
    assert not rig.bms.flag("flag_welded_switch")


def test_a_unit_may_report_a_weld_as_open(rig_of):
    rig = rig_of([OVER], [row("welded_switch")], hooks={"reports_commands": True})
    rig.start()
    rig.circuit.switches.weld("charge")
    rig.charge(120.0)
    rig.sleep(5.0)
    assert rig.ask(7, 2, 150, 2) == b"\x00"
    assert rig.circuit.switches.really_closed("charge")


def test_feedback_alone_is_compared_with_the_command(rig_of):
    rig = rig_of(diagnoses=[row("switch_feedback")])
    rig.start()
    rig.circuit.switches.stick_open("discharge", True)
    rig.sleep(3.0)
    assert rig.bms.truth.diagnosed == ("switch_feedback",)


def test_broken_sensors_do_not_trip_temperature_protections_where_they_are_diagnosed(rig_of):
    hot = {
        **OVER,
        "name": "hot",
        "kind": "charge_overtemperature",
        "threshold": 60.0,
        "delay_s": {"min": 0.5, "max": 1},
    }
    kinds = ("temperature_sensor_short", "temperature_sensor_open")
    for diagnoses, tripped in (([row(kind, opens=[]) for kind in kinds], ()), ([], ("hot",))):
        rig = rig_of([hot], diagnoses, temperature_sensors=SENSORS)
        rig.start()
        rig.circuit.dut.sensors.place(6, 0.0)
        rig.sleep(10.0)
        assert rig.bms.truth.tripped == tripped


def test_a_sensor_that_the_product_has_not_is_not_watched(rig_of):
    hot = {**OVER, "name": "hot", "kind": "charge_overtemperature", "threshold": 60.0}
    rig = rig_of([hot], temperature_sensors=SENSORS)
    rig.start()
    rig.circuit.dut.sensors.place(5, 1000.0)
    rig.sleep(10.0)
    assert rig.bms.truth.tripped == ()
    rig.circuit.dut.sensors.place(6, 1000.0)
    rig.sleep(10.0)
    assert rig.bms.truth.tripped == ("hot",)


def test_a_released_by_command_diagnosis_waits_for_it_and_for_the_end_of_the_fault(rig_of):
    for hooks, after in (
        (None, ("open_sense_wire",)),
        ({"diagnose": lambda unit, profile: replace(unit, clears_anyway=True)}, ()),
    ):
        rig = rig_of(diagnoses=[row("open_sense_wire", release={"kind": "command"})], hooks=hooks)
        rig.start()
        rig.circuit.dut.sense.open(16)
        rig.sleep(5.0)
        rig.bms.clear()
        assert rig.bms.truth.diagnosed == after
    rig = rig_of(diagnoses=[row("open_sense_wire", release={"kind": "command"})])
    rig.start()
    rig.circuit.dut.sense.open(16)
    rig.sleep(5.0)
    rig.circuit.dut.sense.close(16)
    rig.sleep(10.0)
    assert rig.bms.truth.diagnosed == ("open_sense_wire",)
    rig.bms.clear()
    assert rig.bms.truth.diagnosed == ()


def fed(rig: Any) -> None:
    rig.circuit.dut.supply.attach()
    rig.circuit.dut.supply.set(source_v=24.0, limit_a=1.0)
    rig.sleep(3.0)
    assert rig.bms.path_closed


def dip(rig: Any, seconds: float) -> None:
    rig.circuit.dut.supply.set(source_v=0.0, limit_a=1.0)
    rig.sleep(seconds)
    rig.circuit.dut.supply.set(source_v=24.0, limit_a=1.0)


def test_a_dip_that_resets_it_is_known_afterwards_and_holds_the_switches_open(rig_of):
    rig = rig_of(diagnoses=[row("supply_low", release={"kind": "time", "after_s": 5.0})])
    fed(rig)
    dip(rig, 0.5)
    assert rig.bms.flag("flag_supply_low")
    rig.sleep(4.0)
    assert rig.bms.closed == frozenset(), "it would have closed by itself after 0.75 s"
    rig.sleep(1.5)
    assert rig.bms.path_closed and not rig.bms.flag("flag_supply_low")


def test_a_short_dip_or_a_long_time_without_supply_is_no_dip(rig_of):
    rig = rig_of(diagnoses=[row("supply_low")])
    fed(rig)
    dip(rig, 0.05)
    rig.sleep(1.0)
    assert rig.bms.path_closed and rig.bms.truth.diagnosed == ()
    dip(rig, 3.0)
    rig.sleep(2.0)
    assert rig.bms.path_closed and rig.bms.truth.diagnosed == ()


def test_a_low_supply_that_still_feeds_it_is_told(rig_of):
    rig = rig_of(diagnoses=[row("supply_low")])
    fed(rig)
    rig.circuit.dut.supply.set(source_v=8.5, limit_a=1.0)
    assert 1.4 <= rig.until(lambda: rig.bms.flag("flag_supply_low"), limit_s=4.0, step_s=0.01) <= 2.6


def test_a_unit_may_close_at_once_after_a_dip(rig_of):
    for hooks, closed in ((None, False), ({"closes_after_dip": True}, True)):
        rig = rig_of(hooks=hooks)
        fed(rig)
        dip(rig, 0.5)
        assert rig.circuit.switches.discharge_closed is closed


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_lost_link_is_told_once_there_was_one(rig_of, seed):
    rig = rig_of(diagnoses=[row("link_lost")], seed=seed)
    rig.start()
    rig.sleep(10.0)
    assert rig.bms.truth.diagnosed == ()
    for _ in range(10):
        rig.ask(7, 4, 10, 2)
        rig.sleep(0.2)
    took_s = 0.2 + rig.until(lambda: rig.bms.flag("flag_link_lost"), limit_s=4.0, step_s=0.01)
    assert 1.4 <= took_s <= 2.6
    for _ in range(20):
        rig.ask(7, 4, 10, 2)
        rig.sleep(0.2)
    assert rig.bms.path_closed


def test_a_unit_may_forget_everything_when_the_link_is_lost(rig_of):
    latched = {**OVER, "latched": True, "release": {"kind": "command"}}
    rig = rig_of([latched], hooks={"releases_on_silence": True})
    rig.start()
    rig.ask(7, 4, 10, 2)
    rig.circuit.knob_a = 120.0
    rig.sleep(1.1)
    rig.circuit.knob_a = 0.0
    assert rig.bms.truth.tripped == ("over",)
    rig.sleep(2.0)
    assert rig.bms.truth.tripped == ()
