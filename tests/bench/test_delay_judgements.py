"""Delays taken apart and repeated, over traces written by hand; and the offset that common edges leave."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from bench.clock_offset import bound_offset
from bench.delay_judgements import Told
from bench.errors import Inconclusive
from bench.evidence import Measurement
from bench.judgements import judge
from bench.timing import reliability_shown, repeats_needed
from bench.traces import Traces
from bench.verdict import DecisionRule, Verdict

PASS, FAIL = Verdict.PASS, Verdict.FAIL
PERIOD_S = 0.1


def recorded(
    trips: list[tuple[float, float]],
    *,
    flag_s: float = 0.2,
    switch_s: float = 0.0,
    stamp_late_s: float = 0.0,
    tells: bool = True,
    until_s: float | None = None,
) -> Traces:
    """Discharges at 115.5 A, each from one instant until the BMS ends it; flag and switch report come by messages."""
    end_s = until_s or trips[-1][1] + 2.0
    made = Traces()

    def inside(at_s: float, late_s: float, last_s: float) -> bool:
        return any(begin_s + late_s <= at_s < end_s + last_s for begin_s, end_s in trips)

    for index in range(round(end_s / 0.02) + 1):
        made.sample("reference_current", index * 0.02, -115.5 if inside(index * 0.02, 0.0, 0.0) else 0.0)
    for index in range(round(end_s / PERIOD_S) + 1):
        at_s = index * PERIOD_S
        open_now = any(end_s <= at_s < end_s + 1.9 for _, end_s in trips)
        made.sample("pack_side_voltage", at_s, 53.0)
        made.sample("voltage.load", at_s, 0.0 if open_now else 52.5)
        made.sample("output.load", at_s, 1.0)
        made.sample("alarm.load", at_s, 0.0)
        made.sample("link.can", at_s, 1.0)
        told = at_s + 0.03
        flag = any(begin_s + flag_s <= told < end_s + 1.0 for begin_s, end_s in trips)
        opened = any(end_s + switch_s <= told < end_s + 1.0 for _, end_s in trips)
        made.sample("bms.overcurrent", told + stamp_late_s, float(flag and tells))
        made.sample("bms.switch_discharge", told + stamp_late_s, float(not opened))
    return made


TRIP: dict[str, Any] = {
    "protection": "discharge_1", "direction": "discharge", "threshold_a": 110.0, "must_trip_a": 115.5,
    "delay_min_s": 0.45, "delay_max_s": 1.05, "zero_a": 0.2, "reference_u_a": 0.03, "role": "load", "other_flags": [],
    "told": [
        {"what": "flag overcurrent", "signal": "overcurrent", "rises": True, "period_s": PERIOD_S, "max_s": 0.45},
        {"what": "report of switch_discharge", "signal": "switch_discharge", "rises": False, "period_s": PERIOD_S},
    ],
}  # fmt: skip


def parts(traces: Traces, begin_s: float, end_s: float, **changes: Any) -> dict[str, Measurement]:
    found = judge("delay_parts", traces, DecisionRule(), {**TRIP, "begin_s": begin_s, "end_s": end_s, **changes})
    return {one.name: one for one in found}


FLAG, SWITCH = "discharge_1: t0 to flag overcurrent", "discharge_1: t0 to report of switch_discharge (not promised, "


def test_flag_switch_report_and_end_are_told_apart_each_with_its_own_uncertainty() -> None:
    found = parts(recorded([(2.0, 2.8)]), 1.5, 4.3)
    end = found["discharge_1: trip delay at 115.5 A"]
    flag, switch = found[FLAG], next(one for name, one in found.items() if name.startswith(SWITCH))
    assert end.value.value == pytest.approx(0.8, abs=end.value.expanded)
    assert flag.value.value == pytest.approx(0.2, abs=flag.value.expanded)
    assert switch.value.value == pytest.approx(0.8, abs=switch.value.expanded)
    assert end.value.expanded < 0.02 < 0.04 < flag.value.expanded < 0.06
    assert all(one.verdict is PASS for one in found.values())


def test_a_flag_that_is_promised_and_comes_late_fails_and_an_unpromised_report_is_only_told() -> None:
    found = parts(recorded([(2.0, 2.8)], flag_s=0.7, switch_s=0.5), 1.5, 4.3)
    assert found[FLAG].verdict is FAIL
    assert found[FLAG].hint == "it is told too late"
    assert next(one for name, one in found.items() if name.startswith(SWITCH)).verdict is PASS


def test_a_trip_that_is_not_told_fails_by_a_fact() -> None:
    found = parts(recorded([(2.0, 2.8)], tells=False), 1.5, 4.3)
    assert found["flag overcurrent is told"].verdict is FAIL


def test_a_flag_that_stood_before_is_no_answer() -> None:
    traces = recorded([(2.0, 2.8)])
    traces.channels["bms.overcurrent"].values = [1.0] * len(traces["bms.overcurrent"])
    assert parts(traces, 1.5, 4.3)["flag overcurrent before the stimulus"].verdict is FAIL


def test_the_clock_offset_is_taken_off_and_what_is_left_of_it_widens_flag_delays_only() -> None:
    traces = recorded([(2.0, 2.8)], stamp_late_s=0.15)
    plain, known = parts(traces, 1.5, 4.3), parts(traces, 1.5, 4.3, clock_correction_s=0.15, clock_offset_s=0.05)
    assert plain[FLAG].value.value == pytest.approx(0.35, abs=0.06)
    assert known[FLAG].value.value == pytest.approx(0.2, abs=0.06)
    assert known[FLAG].value.expanded > plain[FLAG].value.expanded
    end = "discharge_1: trip delay at 115.5 A"
    assert known[end].value == plain[end].value


# -- repeats -----------------------------------------------------------------------------------------------------------


def repeats(delays_s: list[float]) -> tuple[Traces, list[dict[str, float]]]:
    trips = [(2.0 + 5.0 * index, 2.0 + 5.0 * index + delay_s) for index, delay_s in enumerate(delays_s)]
    windows = [{"begin_s": begin_s - 0.5, "end_s": end_s + 1.5} for begin_s, end_s in trips]
    return recorded(trips), windows


def test_each_repeat_is_judged_by_itself_and_least_mean_greatest_and_count_are_shown() -> None:
    traces, windows = repeats([0.60, 0.72, 0.84])
    found = judge("repeated_delays", traces, DecisionRule(), {**TRIP, "repeats": windows})
    delays = [one for one in found if "trip delay" in one.name]
    assert [one.name.rpartition(", ")[2] for one in delays] == [f"repeat {n} of 3" for n in (1, 2, 3)] + ["mean of 3"]
    assert delays[-1].value.value == pytest.approx(0.72, abs=delays[-1].value.expanded)
    assert "0.600 to 0.840 s; 3 repeats without failure" in delays[-1].reference
    assert "reliability of 46 % at 90 %" in delays[-1].reference


def test_one_late_repeat_fails_although_the_mean_is_in_time() -> None:
    traces, windows = repeats([0.6, 0.6, 1.3])
    found = judge("repeated_delays", traces, DecisionRule(), {**TRIP, "repeats": windows})
    late = [one for one in found if one.verdict is FAIL]
    assert [one.name.rpartition(", ")[2] for one in late if "trip delay" in one.name] == ["repeat 3 of 3"]


def test_no_repeat_is_no_pass() -> None:
    with pytest.raises(Inconclusive, match="no repeat was made"):
        judge("repeated_delays", recorded([(2.0, 2.8)]), DecisionRule(), {**TRIP, "repeats": []})


@pytest.mark.parametrize(
    ("reliability", "confidence", "count"), [(0.90, 0.90, 22), (0.95, 0.95, 59), (0.99, 0.95, 299)]
)
def test_how_many_repeats_show_a_reliability(reliability: float, confidence: float, count: int) -> None:
    assert repeats_needed(reliability, confidence) == count
    assert reliability_shown(count, confidence) >= reliability > reliability_shown(count - 1, confidence)


def test_three_repeats_show_little_and_ten_a_little_more() -> None:
    assert reliability_shown(3, 0.95) == pytest.approx(0.37, abs=0.005)
    assert reliability_shown(10, 0.90) == pytest.approx(0.79, abs=0.005)


@pytest.mark.parametrize("wrong", [(0.0, 0.9), (1.0, 0.9), (0.9, 1.0), (math.nan, 0.9)])
def test_certainty_is_not_to_be_had_by_repeating(wrong: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        repeats_needed(*wrong)


def test_what_a_message_tells_may_rise_or_fall() -> None:
    assert Told("flag", "f", True, 0.1).holds(1.0)
    assert Told("report", "s", False, 0.1).holds(0.0)


# -- the common edge ---------------------------------------------------------------------------------------------------


def edges(offset_s: float, *, lag_s: float, seed: int = 1, count: int = 4) -> tuple[Traces, list[dict[str, float]]]:
    """Steps of 10 A seen by the reference every 0.02 s and by the BMS every 0.1 s, `lag_s` later, stamps offset."""
    chance, made, windows = random.Random(seed), Traces(), []
    begins = [2.0 + 3.0 * index + chance.uniform(0.0, PERIOD_S) for index in range(count)]
    for index in range(round((begins[-1] + 2.0) / 0.02)):
        at_s = index * 0.02
        made.sample("reference_current", at_s, -10.0 if any(b <= at_s < b + 1.0 for b in begins) else 0.0)
    for index in range(round((begins[-1] + 2.0) / PERIOD_S)):
        at_s = index * PERIOD_S + 0.013
        seen = any(b <= at_s - lag_s < b + 1.0 for b in begins)
        made.sample("bms.pack_current", at_s + offset_s, -10.0 if seen else 0.0)
    windows = [{"begin_s": begin_s - 0.4, "end_s": begin_s + 0.9} for begin_s in begins]
    return made, windows


KNOWN: dict[str, Any] = {
    "direction": "discharge", "level_a": 10.0, "sample_s": 0.01, "filter_s": 0.0, "period_s": PERIOD_S,
    "one_clock": False,
}  # fmt: skip


@pytest.mark.parametrize("offset_s", [-0.2, 0.0, 0.03, 0.2])
@pytest.mark.parametrize("lag_s", [0.0, 0.01, 0.02])
@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_the_bounds_hold_the_true_offset_whatever_the_bms_adds_within_its_promise(
    offset_s: float, lag_s: float, seed: int
) -> None:
    traces, windows = edges(offset_s, lag_s=lag_s, seed=seed)
    found = bound_offset(traces, windows, **KNOWN)
    assert found.low_s <= offset_s <= found.high_s
    assert abs(found.correction_s - offset_s) <= found.limit_s
    assert found.limit_s < 0.13


def test_more_edges_of_other_phase_bound_it_better() -> None:
    one = bound_offset(*edges(0.1, lag_s=0.01, count=1), **KNOWN)
    many = bound_offset(*edges(0.1, lag_s=0.01, count=12), **KNOWN)
    assert many.limit_s < 0.8 * one.limit_s


def test_on_one_clock_nothing_is_corrected_and_a_contradiction_is_said() -> None:
    traces, windows = edges(0.0, lag_s=0.01)
    found = bound_offset(traces, windows, **{**KNOWN, "one_clock": True})
    assert (found.correction_s, found.limit_s) == (0.0, 0.0)
    traces, windows = edges(0.4, lag_s=0.01)
    with pytest.raises(Inconclusive, match="one clock, but common edges allow"):
        bound_offset(traces, windows, **{**KNOWN, "one_clock": True})


def test_a_bms_slower_than_it_says_contradicts_itself_or_is_not_seen() -> None:
    traces, windows = edges(0.0, lag_s=2.5)
    with pytest.raises(Inconclusive, match="was not seen by the BMS's report"):
        bound_offset(traces, windows, **KNOWN)


def test_the_common_edge_is_judged_again_from_the_traces() -> None:
    traces, windows = edges(0.05, lag_s=0.01)
    [row] = judge("common_edge", traces, DecisionRule(), {"edges": windows, **KNOWN})
    assert row.verdict is PASS
    assert row.value.value == pytest.approx(0.05, abs=row.value.expanded)
    assert "4 common edges allow" in row.reference
