"""Slow rises: a delay counts from the middle of the tolerance, and a rise too slow for its window says nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from bench.errors import Inconclusive
from bench.evidence import Measurement
from bench.judgements import judge
from bench.rise import find_rise
from bench.traces import Trace, Traces
from bench.verdict import DecisionRule, Verdict

PASS, FAIL = Verdict.PASS, Verdict.FAIL
STEP_S = 0.02
THRESHOLD_A, TOLERANCE_A = 110.0, 3.0
PROMISE: dict[str, Any] = {
    "protection": "charge_1", "direction": "charge", "threshold_a": THRESHOLD_A, "must_trip_a": 115.65, "begin_s": 0.5,
    "delay_min_s": 9.0, "delay_max_s": 11.0, "zero_a": 0.2, "reference_u_a": 0.03, "role": "supply", "other_flags": [],
    "demand_a": THRESHOLD_A + TOLERANCE_A,
}  # fmt: skip


def ramped(slope: float, true_threshold_a: float, delay_s: float, *, end_s: float | None = None) -> Traces:
    """A charge that rises from 1 s on to 115.65 A; a BMS with its own threshold and delay ends it."""
    trips_s = 1.0 + true_threshold_a / slope + delay_s
    last_s = trips_s + 3.0 if end_s is None else end_s

    def current(at_s: float) -> float:
        return 0.0 if at_s < 1.0 or at_s >= trips_s else min(115.65, slope * (at_s - 1.0))

    return recorded(current, trips_s, last_s)


def recorded(current: Callable[[float], float], trips_s: float, last_s: float) -> Traces:
    made = Traces()
    for index in range(round(last_s / STEP_S) + 1):
        made.sample("reference_current", index * STEP_S, current(index * STEP_S))
    for index in range(round(last_s * 10) + 1):
        at_s = index / 10
        made.sample("pack_side_voltage", at_s, 53.0)
        made.sample("voltage.supply", at_s, 53.2 if at_s < trips_s else 59.0)
        made.sample("output.supply", at_s, float(at_s >= 0.8))
        made.sample("alarm.supply", at_s, 0.0)
        made.sample("link.can", at_s, 1.0)
        made.sample("bms.overcurrent", at_s, float(at_s >= trips_s - 0.05))
    return made


def trips(traces: Traces, **changes: Any) -> list[Measurement]:
    end_s = traces["reference_current"].at_s[-1]
    return judge("trips", traces, DecisionRule(), {**PROMISE, "end_s": end_s, **changes})


@pytest.mark.parametrize("true_a", [107.2, 110.0, 112.8])
@pytest.mark.parametrize("slope", [10.0, 20.0, 50.0, 1e9])
@pytest.mark.parametrize("delay_s", [9.7, 10.0, 10.3])
def test_a_unit_inside_tolerance_and_window_is_never_late_however_the_current_rose(
    slope: float, true_a: float, delay_s: float
) -> None:
    delay, _ = trips(ramped(slope, true_a, delay_s))
    assert delay.verdict is PASS
    # where the unit's own clock began is inside the stated interval
    assert abs(delay.value.value - delay_s) <= delay.value.expanded + 2 * STEP_S


@pytest.mark.parametrize(("true_a", "delay_s"), [(107.2, 8.2), (112.8, 8.2), (107.2, 11.8), (112.8, 11.8)])
def test_one_that_is_surely_outside_fails_on_a_ramp_too(true_a: float, delay_s: float) -> None:
    delay, _ = trips(ramped(20.0, true_a, delay_s))
    assert delay.verdict is FAIL


def test_the_uncertainty_of_a_ramp_by_hand() -> None:
    """107 to 113 A at 20 A/s take 0.3 s: half of it, 0.15 s, is the rectangle that outweighs two of 10 ms."""
    delay, _ = trips(ramped(20.0, 110.0, 10.0))
    assert delay.value.standard == pytest.approx(math.sqrt(0.15**2 / 3 + 2 * 0.01**2 / 3), rel=0.1)
    assert delay.value.expanded == pytest.approx(0.95 * 0.15, rel=0.05)
    step, _ = trips(ramped(1e9, 110.0, 10.0))
    assert step.value.expanded == pytest.approx(2 * math.sqrt(2) * STEP_S / math.sqrt(12))


def test_a_ramp_too_slow_for_the_window_is_inconclusive_and_says_how_fast_it_must_be() -> None:
    with pytest.raises(Inconclusive, match=r"took 3 s from 107.00 to 113.00 A.*Step, or rise faster than 2.86 A/s"):
        trips(ramped(2.0, 110.0, 10.0))
    # also under the rule that ignores the uncertainty
    traces = ramped(2.0, 110.0, 10.0)
    asked = {**PROMISE, "end_s": traces["reference_current"].at_s[-1]}
    with pytest.raises(Inconclusive, match="says nothing"):
        judge("trips", traces, DecisionRule("simple"), asked)


def test_a_slow_ramp_still_fails_what_is_late_beyond_doubt() -> None:
    delay, _ = trips(ramped(2.0, 110.0, 16.0))
    assert delay.verdict is FAIL
    assert delay.hint == "it trips too late"


def test_an_abort_counts_from_where_a_trip_was_due_by_every_threshold() -> None:
    """At 10 A/s the threshold is crossed 0.3 s before a trip is due: 11.2 s after the crossing prove nothing."""

    def dead(abort_s: float) -> Traces:
        made = ramped(10.0, 110.0, abort_s - 12.0, end_s=abort_s + 2.0)
        made.mark(abort_s, "abort")
        return made

    with pytest.raises(Inconclusive, match="up to 11 s are allowed"):
        trips(dead(12.0 + 11.2))
    [row] = trips(dead(12.0 + 11.5))
    assert row.verdict is FAIL


@pytest.mark.parametrize("true_a", [107.2, 109.0])
def test_a_trip_on_the_way_up_that_no_threshold_excuses_has_failed(true_a: float) -> None:
    """It opens 0.5 s after the earliest crossing where 9 s are promised, long before the level is reached."""
    [row] = trips(ramped(5.0, true_a, 0.5))
    assert row.verdict is FAIL
    assert row.hint == "it trips too early"
    assert "on the way up" in row.name


def test_a_quick_protection_that_trips_on_a_slow_way_up_is_no_verdict() -> None:
    with pytest.raises(Inconclusive, match=r"115\.65 A are needed"):
        trips(ramped(5.0, 108.0, 0.5), delay_min_s=0.4, delay_max_s=1.05)


def test_a_quick_unit_at_the_near_end_of_its_tolerance_is_not_blamed_for_tripping_below_the_threshold() -> None:
    """107.2 A, 0.5 s later 109.7 A: it kept every promise, although 110 A were never reached."""
    with pytest.raises(Inconclusive, match="inside the tolerance of its threshold"):
        trips(ramped(5.0, 107.2, 0.5), delay_min_s=0.4, delay_max_s=1.05)
    [row] = trips(ramped(5.0, 105.0, 0.1), delay_min_s=0.4, delay_max_s=1.05)
    assert row.verdict is FAIL  # below threshold - tolerance nothing excuses it


def test_a_recording_that_begins_inside_the_tolerance_says_nothing() -> None:
    trace = Trace("i", [0.0, 1.0, 2.0], [108.0, 115.0, 115.0])
    with pytest.raises(Inconclusive, match="inside the tolerance"):
        find_rise(trace, 110.0, 113.0)
    assert find_rise(Trace("i", [0.0, 1.0], [0.0, 100.0]), 110.0, 113.0) is None


def test_noise_on_a_ramp_around_the_threshold_is_no_fall() -> None:
    base = ramped(20.0, 110.0, 10.0)
    noisy = recorded(
        lambda at_s: base["reference_current"].at(at_s) + (0.8 if round(at_s / STEP_S) % 2 else -0.8) * (at_s < 6.7),
        1.0 + 5.5 + 10.0,
        19.5,
    )
    delay, _ = trips(noisy)
    assert delay.verdict is PASS


def test_a_flag_on_a_ramp_gets_the_same_allowance() -> None:
    traces = ramped(10.0, 112.8, 0.2)
    end_s = traces["reference_current"].at_s[-1]
    asked = {
        "flag": "overcurrent", "others": [], "begin_s": 0.5, "end_s": end_s, "threshold_a": 110.0,
        "direction": "charge", "flag_delay_max_s": 0.45, "period_s": 0.1,
    }  # fmt: skip
    _, late = judge("right_flag", traces, DecisionRule(), asked)
    _, allowed = judge("right_flag", traces, DecisionRule(), {**asked, "demand_a": 113.0})
    assert allowed.value.value == pytest.approx(late.value.value, abs=0.02)
    assert allowed.value.expanded > 0.25 > 0.1 > late.value.expanded
    assert allowed.verdict is not FAIL
