"""Inverse time: the amplitude decides the delay, pulses do not add up, filters smooth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bench.protection import Protection
from instruments.virtual.bms_protection import Watch
from instruments.virtual.bms_unit_protection import UnitProtection

POINTS = ((84.0, 13.0, 20.0), (90.0, 8.0, 12.0), (100.0, 4.0, 6.0), (120.0, 1.0, 2.0))
ROW: dict[str, Any] = {
    "name": "inverse",
    "kind": "discharge_overcurrent",
    "threshold": 80.0,
    "tolerance": 1.5,
    "delay_s": {"min": 8.0, "max": 24.0},
    "opens": ["discharge"],
    "release": {"kind": "time", "after_s": 32.0},
    "flag": "blocked",
    "curve": [{"at": at, "delay_s": {"min": low, "max": high}} for at, low, high in POINTS],
}


def trip_s(rig: Any, current_a: float) -> float:
    """Return how long this discharge takes from a step to the open switch."""
    rig.start()
    rig.circuit.knob_a = -current_a
    return float(rig.until(lambda: not rig.circuit.switches.discharge_closed, limit_s=30.0, step_s=0.005))


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
@pytest.mark.parametrize(("at_a", "low_s", "high_s"), POINTS)
def test_at_every_point_it_acts_inside_the_middle_of_the_window(rig_of, at_a, low_s, high_s, seed):
    took_s = trip_s(rig_of([ROW], seed=seed), at_a)
    room_s = 0.2 * (high_s - low_s)
    assert low_s + room_s <= took_s <= high_s - room_s


def test_between_two_points_the_delay_lies_between_theirs_and_falls(rig_of):
    delays_s = [trip_s(rig_of([ROW]), at) for at in (90.0, 93.0, 96.0, 100.0, 110.0, 119.0, 140.0)]
    assert delays_s == sorted(delays_s, reverse=True)
    assert delays_s[0] > delays_s[1] > delays_s[2] > delays_s[3]


def test_truth_tells_the_units_own_curve(rig_of):
    rig = rig_of([ROW])
    curve = dict(rig.bms.truth.curves["inverse"])
    assert trip_s(rig, 100.0) == pytest.approx(curve[100.0], rel=0.02)


def probe(unit_changes: dict[str, Any], *, counts_down: bool = False) -> tuple[Watch, Any]:
    row = Protection(**ROW)
    curve = ((80.0, 10.0), (100.0, 2.0))
    unit = UnitProtection(row, 80.0, 0.1, 100, 0.0, ("discharge",), None, curve=curve)
    watch = Watch(
        replace(unit, **unit_changes), counts_down=counts_down, on_trip=lambda w: None, on_release=lambda w: None
    )
    clock = iter(range(100_000_000, 10**15, 100_000_000))

    def feed(value: float, samples: int) -> int:
        """Feed samples until it trips; return how many were needed, or 0."""
        for index in range(samples):
            watch.sample(next(clock), value, opposite=False)
            if watch.tripped:
                return index + 1
        return 0

    return watch, feed


def test_a_constant_level_takes_its_time_of_the_curve():
    assert probe({})[1](100.0, 100) == 20
    assert probe({})[1](120.0, 100) == 20, "beyond the last point it is no faster"


def test_a_change_of_level_takes_the_rest_of_the_other_time():
    _, feed = probe({})
    assert feed(100.0, 10) == 0
    assert feed(80.000001, 100) == 50


def test_a_pause_resets_it_unless_the_unit_counts_down():
    _, feed = probe({})
    feed(100.0, 15)
    feed(0.0, 1)
    assert feed(100.0, 100) == 20
    _, feed = probe({}, counts_down=True)
    feed(100.0, 15)
    feed(0.0, 10)
    assert feed(100.0, 100) == 7  # three quarters, less a tenth of the slow time


def test_a_unit_that_accumulates_adds_pulses_up():
    _, feed = probe({"accumulates": True})
    for _ in range(3):
        assert feed(100.0, 6) == 0
        assert feed(0.0, 100) == 0
    assert feed(100.0, 6) == 2


def test_a_flat_curve_ignores_the_amplitude_and_a_later_unit_is_later_everywhere():
    assert probe({"curve": ()})[1](120.0, 200) == 100
    watch, _ = probe({})
    later = watch.unit.later(1.0)
    assert later.delay_at(100.0) == pytest.approx(3.0)
    assert later.delay_at(80.0) == pytest.approx(11.0)
    assert later.samples == 110


@pytest.mark.parametrize("seed", range(4))
def test_a_filter_smooths_and_its_lag_is_part_of_the_delay(rig_of, seed):
    row = {**ROW, "curve": [], "filter_s": 0.5, "delay_s": {"min": 2.0, "max": 4.0}}
    took_s = trip_s(rig_of([row], seed=seed), 120.0)
    assert 2.0 < took_s < 4.0
    rig = rig_of([row], seed=seed)
    rig.start()
    for _ in range(60):  # half of the time far beyond: the mean is 70 A
        rig.circuit.knob_a = -140.0
        rig.sleep(0.05)
        rig.circuit.knob_a = 0.0
        rig.sleep(0.05)
    assert "inverse" not in rig.bms.truth.tripped
