"""Short circuits: a comparator in microseconds, both switches at once."""

from __future__ import annotations

from typing import Any

import pytest

ROW: dict[str, Any] = {
    "name": "short",
    "kind": "short_circuit",
    "threshold": 300.0,
    "tolerance": 30.0,
    "delay_s": {"min": 100e-6, "max": 400e-6},
    "opens": ["charge", "discharge"],
    "release": {"kind": "action", "action": "load_removal", "after_s": 1.0},
    "flag": "shorted",
}


def short(rig: Any) -> None:
    rig.circuit.short.close()


def run_us(rig: Any, step_us: int = 5) -> float | None:
    """Return after how many microseconds the discharge switch was open; None if it was not within a millisecond."""
    for index in range(1, 1000 // step_us + 1):
        rig.clock.sleep(step_us * 1e-6)
        if not rig.circuit.switches.discharge_closed:
            return index * step_us
    return None


@pytest.mark.parametrize("seed", range(6))
def test_a_short_ends_inside_the_middle_half_of_its_window(rig_of, seed):
    rig = rig_of([ROW], seed=seed)
    rig.start()
    short(rig)
    took_us = run_us(rig)
    assert took_us is not None and 175.0 <= took_us <= 330.0
    assert took_us == pytest.approx(rig.bms.truth.delays_s["short"] * 1e6, abs=6.0)
    assert not rig.circuit.switches.charge_closed, "both switches open"
    assert rig.circuit.pack_current_a() == pytest.approx(0.0, abs=0.01)
    assert rig.bms.flag("shorted")
    assert rig.bms.truth.trips == {"short": 1}


def test_the_current_is_gone_to_the_microsecond(rig_of):
    rig = rig_of([ROW])
    rig.start()
    delay_s = rig.bms.truth.delays_s["short"]
    short(rig)
    rig.clock.sleep(delay_s - 1e-6)
    assert abs(rig.circuit.pack_current_a()) > 1000.0
    rig.clock.sleep(2e-6)
    assert abs(rig.circuit.pack_current_a()) < 0.01


def test_a_short_that_ends_before_the_delay_trips_nothing(rig_of):
    rig = rig_of([ROW])
    rig.start()
    short(rig)
    rig.clock.sleep(0.3 * rig.bms.truth.delays_s["short"])
    rig.circuit.short.open()  # the bus's capacitors keep the current up for another 90 us
    rig.sleep(0.01)
    assert rig.bms.truth.tripped == ()
    assert rig.bms.path_closed


def test_a_large_current_below_the_threshold_is_not_its_business(rig_of):
    rig = rig_of([ROW])
    rig.start()
    rig.discharge(140.0)
    rig.sleep(5.0)
    assert rig.bms.truth.tripped == ()


def test_it_lets_go_once_the_load_is_removed(rig_of):
    rig = rig_of([ROW])
    rig.start()
    short(rig)
    rig.sleep(30.0)
    assert rig.bms.truth.tripped == ("short",), "the short is still there"
    rig.circuit.short.open()
    rig.discharge(5.0)
    rig.sleep(5.0)
    assert rig.bms.truth.tripped == ("short",), "a load is still there"
    rig.rest()
    rig.sleep(0.9)
    assert rig.bms.truth.tripped == ("short",)
    rig.sleep(0.3)
    assert rig.bms.path_closed


def test_after_a_release_the_next_short_is_seen_as_well(rig_of):
    rig = rig_of([ROW])
    rig.start()
    for trips in (1, 2, 3):
        short(rig)
        rig.sleep(0.01)
        assert rig.bms.truth.trips["short"] == trips
        rig.circuit.short.open()
        rig.sleep(1.5)
        assert rig.bms.path_closed


def test_exchanged_or_open_sense_lines_blind_the_comparator(rig_of):
    for fault in ("reversed", "open"):
        rig = rig_of([ROW])
        rig.start()
        setattr(rig.circuit.dut.shunt, fault, True)
        short(rig)
        assert run_us(rig, 50) is None
        assert rig.bms.truth.tripped == ()


def test_the_inrush_into_the_bus_at_closing_is_no_short_but_closing_onto_one_is(rig_of):
    fast = {**ROW, "delay_s": {"min": 30e-6, "max": 100e-6}}
    rig = rig_of([fast])
    rig.start()  # onto 2 mF at 0 V: more than 2000 A, above 300 A for about 90 us
    assert rig.bms.truth.trips == {"short": 0}
    rig = rig_of([fast])
    short(rig)
    rig.bms.power_on()
    rig.sleep(2.0)
    assert rig.bms.truth.trips == {"short": 1}
    assert not rig.bms.path_closed


def test_without_supply_nothing_is_watched(rig_of):
    rig = rig_of([ROW])
    rig.start()
    rig.bms.power_off()
    rig.circuit.switches.weld("discharge")
    rig.circuit.switches.weld("charge")
    short(rig)
    rig.sleep(0.01)
    assert rig.bms.truth.trips == {"short": 0}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda unit, profile: unit.later(200e-6), "late"),
        (lambda unit, profile: unit.later(-200e-6), "early"),
    ],
)
def test_a_unit_may_be_later_or_earlier(rig_of, change, expected):
    rig = rig_of([ROW], hooks={"protect": change})
    rig.start()
    short(rig)
    took_us = run_us(rig)
    assert took_us is not None
    assert (took_us > 375.0) if expected == "late" else (took_us < 130.0)
