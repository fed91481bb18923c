"""One protection, sample by sample: debounce, release kinds, latch, lock-out. Counts are worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from bench.protection import Protection
from instruments.virtual.bms_protection import Watch
from instruments.virtual.bms_unit import UnitProtection

TICK_NS = 100_000_000


class Probe:
    """A watch with four bad samples to its trip, on a 0.1 s grid."""

    def __init__(self, *, counts_down: bool = False, **changes: Any) -> None:
        row: dict[str, Any] = {
            "name": "probe",
            "kind": "charge_overcurrent",
            "threshold": 100.0,
            "tolerance": 1.0,
            "delay_s": {"min": 0.1, "max": 1.0},
            "opens": ("charge",),
            "release": {"kind": "time", "after_s": 0.3},
        }
        row.update(changes)
        declared = Protection(**row)
        unit = UnitProtection(declared, declared.threshold_si, 0.1, 4, 0.0, ("charge",), declared.lockout_count)
        self.events: list[str] = []
        self.watch = Watch(
            unit,
            counts_down=counts_down,
            on_trip=lambda watch: self.events.append("trip"),
            on_release=lambda watch: self.events.append("release"),
        )
        self.now = 0

    def feed(self, *values: float, opposite: bool = False, evaluated: bool = True) -> str:
        """Feed samples; return the state after each as a string of `.` (quiet) and `T` (tripped)."""
        seen = ""
        for value in values:
            self.now += 1
            self.watch.sample(self.now * TICK_NS, value, opposite, evaluated)
            seen += "T" if self.watch.tripped else "."
        return seen


def test_the_fourth_bad_sample_in_a_row_trips():
    assert Probe().feed(101, 101, 101, 101) == "...T"


def test_exactly_the_threshold_is_not_beyond_it():
    assert Probe().feed(*[100.0] * 50) == "." * 50


def test_one_good_sample_resets_the_debounce():
    assert Probe().feed(101, 101, 101, 99, 101, 101, 101, 101) == ".......T"


def test_where_events_are_counted_a_good_sample_takes_one_back():
    assert Probe(counts_down=True).feed(101, 101, 101, 99, 101, 101) == ".....T"


def test_below_is_beyond_for_a_low_limit():
    probe = Probe(kind="cell_undervoltage", threshold=2.5, release={"kind": "value", "value": 3.0})
    assert probe.feed(2.6, 2.4, 2.4, 2.4, 2.4) == "....T"


def test_release_by_time_counts_from_the_end_of_the_cause():
    probe = Probe()
    assert probe.feed(*[101] * 6) == "...TTT"
    assert probe.feed(0, 0, 0, 0) == "TTT."
    assert probe.events == ["trip", "release"]


def test_the_cause_coming_back_starts_the_release_time_anew():
    probe = Probe()
    probe.feed(*[101] * 4)
    assert probe.feed(0, 0, 101, 0, 0, 0, 0) == "TTTTTT."


def test_release_by_value_waits_for_the_hysteresis():
    probe = Probe(release={"kind": "value", "value": 90.0})
    probe.feed(*[101] * 4)
    assert probe.feed(99, 95, 90.1, 90.0) == "TTT."


def test_release_by_value_of_a_low_limit_is_on_the_other_side():
    probe = Probe(kind="cell_undervoltage", threshold=2.5, release={"kind": "value", "value": 3.0})
    probe.feed(*[2.4] * 4)
    assert probe.feed(2.9, 2.99, 3.0) == "TT."


def test_release_by_opposite_current_needs_the_opposite_current():
    probe = Probe(release={"kind": "opposite_current"})
    probe.feed(*[101] * 4)
    assert probe.feed(*[0] * 30) == "T" * 30
    assert probe.feed(-1, opposite=True) == "."


def test_release_by_command_waits_for_command_and_for_the_end_of_the_cause():
    probe = Probe(release={"kind": "command"})
    probe.feed(*[101] * 4)
    probe.watch.command_clear()
    assert probe.watch.tripped, "the cause is still there"
    assert probe.feed(*[0] * 30) == "T" * 30
    probe.watch.command_clear()
    assert not probe.watch.tripped


def test_a_latched_protection_does_not_release_by_time():
    probe = Probe(latched=True)
    probe.feed(*[101] * 4)
    assert probe.feed(*[0] * 30) == "T" * 30


def test_a_counting_unit_counts_its_latched_flag_down_by_itself():
    probe = Probe(counts_down=True, latched=True, release={"kind": "command"})
    probe.feed(*[101] * 6)
    assert probe.feed(*[0] * 4) == "TTT."


def test_the_lock_out_comes_with_the_last_trip_and_only_a_power_cycle_ends_it():
    probe = Probe(lockout_count=2)
    probe.feed(*[101] * 4)
    assert probe.feed(*[0] * 4) == "TTT."
    probe.feed(*[101] * 4)
    assert probe.watch.locked and probe.watch.trips == 2
    assert probe.feed(*[0] * 100) == "T" * 100
    probe.watch.command_clear()
    assert probe.watch.tripped
    probe.watch.power_cycle()
    assert not probe.watch.tripped and not probe.watch.locked and probe.watch.trips == 0


def test_what_is_not_looked_at_neither_counts_nor_clears():
    probe = Probe(counts_down=True, latched=True, release={"kind": "command"})
    assert probe.feed(101, 101, 101) == "..."
    assert probe.feed(*[101] * 20, evaluated=False) == "." * 20
    assert probe.feed(101) == "T"
    assert probe.feed(*[0] * 20, evaluated=False) == "T" * 20


@pytest.mark.parametrize("trips", [1, 3])
def test_trips_are_counted(trips):
    probe = Probe()
    for _ in range(trips):
        probe.feed(*[101] * 4, *[0] * 4)
    assert probe.watch.trips == trips
