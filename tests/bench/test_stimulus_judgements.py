"""Trips by a voltage or a temperature, on traces written by hand: a cell steps at 3 s, the BMS opens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench.errors import Inconclusive
from bench.evidence import Measurement
from bench.judgements import judge
from bench.traces import Traces
from bench.verdict import DecisionRule, Verdict

Shape = Callable[[float], float]
PASS, FAIL, OPEN = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
STEP_S = 3.0
ASKED: dict[str, Any] = {
    "protection": "overvoltage",
    "channel": "cell_7",
    "above": True,
    "threshold": 3.65,
    "demand": 3.66,
    "unit": "V",
    "stimulus_u": 0.001,
    "begin_s": 1.0,
    "end_s": 8.0,
    "direction": "charge",
}
TRIP: dict[str, Any] = {
    **ASKED,
    "delay_min_s": 1.5,
    "delay_max_s": 2.5,
    "flow_a": 10.0,
    "zero_a": 0.2,
    "reference_u_a": 0.01,
    "role": "supply",
    "other_flags": ["undervoltage"],
}
QUIET: dict[str, Any] = {
    **{
        key: value
        for key, value in TRIP.items()
        if key not in ("threshold", "demand", "delay_min_s", "delay_max_s", "zero_a")
    },
    "quiet": 3.64,
    "least": 3.62,
}
FLAG: dict[str, Any] = {**ASKED, "flag": "overvoltage", "others": ["undervoltage"]}


def recorded(
    *,
    opens_s: float = 5.0,
    cell: Shape = lambda t: 3.70 if t >= STEP_S else 3.30,
    current: Shape | None = None,
    output: Shape = lambda t: 1.0,
    side_v: Shape | None = None,
    flag: Shape | None = None,
    other: Shape = lambda t: 0.0,
    cell_every_s: float = 0.1,
    cell_until_s: float = 8.0,
) -> Traces:
    """Return traces of eight seconds; the switch is open from `opens_s` on."""
    flows = current or (lambda t: 10.0 if t < opens_s else 0.0)
    terminal = side_v or (lambda t: 53.1 if t < opens_s else 59.0)
    raised = flag or (lambda t: float(t >= opens_s - 0.1))
    made = Traces()
    for index in range(401):
        made.sample("reference_current", index * 0.02, flows(index * 0.02))
    for index in range(round(cell_until_s / cell_every_s) + 1):
        made.sample("cell_7", index * cell_every_s, cell(index * cell_every_s))
    for index in range(81):
        at_s = index / 10
        made.sample("pack_side_voltage", at_s, 53.0)
        made.sample("voltage.supply", at_s, terminal(at_s))
        made.sample("output.supply", at_s, output(at_s))
        made.sample("alarm.supply", at_s, 0.0)
        made.sample("bms.overvoltage", at_s, raised(at_s))
        made.sample("bms.undervoltage", at_s, other(at_s))
        made.sample("link.can", at_s, 1.0)
    return made


def judged(name: str, traces: Traces, parameters: dict[str, Any], **changes: Any) -> list[Measurement]:
    return judge(name, traces, DecisionRule(), {**parameters, **changes})


def undecided(name: str, traces: Traces, parameters: dict[str, Any], **changes: Any) -> str:
    with pytest.raises(Inconclusive) as caught:
        judged(name, traces, parameters, **changes)
    return str(caught.value)


def test_a_trip_in_time_passes_and_its_delay_counts_from_the_measured_step() -> None:
    delay, left = judged("stimulus_trips", recorded(), TRIP)
    assert (delay.verdict, left.verdict) == (PASS, PASS)
    assert delay.value.value == pytest.approx(5.0 - 0.01 - (STEP_S - 0.05), abs=1e-6)
    assert delay.value.expanded == pytest.approx(0.05, rel=0.3)  # half the gap between two samples of the cell


def test_nothing_moves_before_it_was_told_so_the_gap_begins_there() -> None:
    coarse = recorded(cell_every_s=0.5)
    wide = judged("stimulus_trips", coarse, TRIP)[0].value
    coarse.mark(2.9, "cells_told")
    narrow = judged("stimulus_trips", coarse, TRIP, moved_s=2.6)[0].value
    assert narrow.expanded < 0.5 * wide.expanded
    assert narrow.value == pytest.approx(4.99 - 2.95, abs=1e-6)


@pytest.mark.parametrize(("opens_s", "word"), [(5.8, "late"), (4.2, "early")])
def test_a_trip_out_of_its_window_fails_and_says_which_way(opens_s: float, word: str) -> None:
    delay = judged("stimulus_trips", recorded(opens_s=opens_s), TRIP)[0]
    assert delay.verdict is FAIL
    assert delay.hint == f"looks like: it trips too {word}"


def test_a_trip_near_the_edge_of_its_window_is_open() -> None:
    assert judged("stimulus_trips", recorded(opens_s=5.46), TRIP)[0].verdict is OPEN


def test_no_trip_until_the_bench_ended_it_fails() -> None:
    traces = recorded(opens_s=99.0)
    traces.mark(7.0, "abort")
    [none] = judged("stimulus_trips", traces, TRIP)
    assert none.verdict is FAIL
    assert none.name == "overvoltage: no trip at 3.7 V for"


def test_an_abort_before_the_longest_delay_demands_nothing() -> None:
    traces = recorded(opens_s=99.0)
    traces.mark(5.0, "abort")
    assert "2.5 s are allowed" in undecided("stimulus_trips", traces, TRIP)


def test_a_current_that_is_left_fails() -> None:
    traces = recorded(current=lambda t: 10.0 if t < 5.0 else 0.8)
    assert [one.verdict for one in judged("stimulus_trips", traces, TRIP)] == [PASS, FAIL]


def test_opening_below_the_threshold_fails_unless_another_protection_had_reason() -> None:
    [early] = judged("stimulus_trips", recorded(cell=lambda t: 3.6), TRIP)
    assert early.verdict is FAIL
    assert early.hint == "looks like: it trips too early, at 3.6 V"
    excused = recorded(cell=lambda t: 3.6, other=lambda t: float(t >= 4.9))
    assert "another protection acted first: undervoltage" in undecided("stimulus_trips", excused, TRIP)


def test_what_the_bench_ended_is_no_trip() -> None:
    off = recorded(output=lambda t: float(t < 4.5))
    assert "supply was off at 4.5" in undecided("stimulus_trips", off, TRIP)
    fuse = recorded(side_v=lambda t: 53.0)
    assert "across the BMS's switch" in undecided("stimulus_trips", fuse, TRIP)


def test_a_stimulus_that_did_not_surely_demand_a_trip_judges_nothing() -> None:
    near = recorded(cell=lambda t: 3.6605 if t >= STEP_S else 3.3)
    assert "not surely beyond 3.66" in undecided("stimulus_trips", near, TRIP)
    never = recorded(cell=lambda t: 3.3, opens_s=99.0)
    assert "never crossed 3.65 V" in undecided("stimulus_trips", never, TRIP)
    before = recorded(cell=lambda t: 3.7)
    assert "before the recording began" in undecided("stimulus_trips", before, TRIP)
    without = recorded(current=lambda t: 0.0)
    assert "nothing could be ended" in undecided("stimulus_trips", without, TRIP)


def test_a_stimulus_that_was_not_recorded_all_the_way_judges_nothing() -> None:
    blind = recorded(cell_until_s=3.2, opens_s=5.0)
    assert "not recorded for" in undecided("stimulus_trips", blind, TRIP)
    assert "not recorded at all" in undecided("stimulus_trips", recorded(), TRIP, channel="cell_9")


def test_a_limit_from_below_is_judged_the_other_way_round() -> None:
    low = recorded(cell=lambda t: 2.4 if t >= STEP_S else 3.3)
    changes = {"above": False, "threshold": 2.5, "demand": 2.49}
    assert judged("stimulus_trips", low, TRIP, **changes)[0].verdict is PASS
    near = recorded(cell=lambda t: 2.4895 if t >= STEP_S else 3.3)
    assert "not surely beyond" in undecided("stimulus_trips", near, TRIP, **changes)


def test_the_spread_is_that_of_all_cells() -> None:
    traces = recorded()
    for index in range(81):
        traces.sample("cell_6", index / 10, 3.3)
    changes = {"channel": "cells.spread", "threshold": 0.3, "demand": 0.32}
    delay = judged("stimulus_trips", traces, TRIP, **changes)[0]
    assert delay.verdict is PASS
    assert "0.4 V" in delay.name


def test_just_inside_the_current_flows_on() -> None:
    assert judged("stimulus_quiet", recorded(opens_s=99.0, cell=lambda t: 3.63), QUIET)[0].verdict is PASS
    tripped = judged("stimulus_quiet", recorded(cell=lambda t: 3.63), QUIET)[0]
    assert (tripped.verdict, tripped.hint) == (FAIL, "looks like: it trips too early")


def test_a_stimulus_that_went_too_far_is_no_proof_of_an_early_trip() -> None:
    assert "only up to 3.64 must it stay closed" in undecided("stimulus_quiet", recorded(cell=lambda t: 3.6395), QUIET)


def test_staying_closed_in_peace_is_no_proof() -> None:
    idle = recorded(opens_s=99.0, cell=lambda t: 3.3)
    assert "3.62 V were to be held at least" in undecided("stimulus_quiet", idle, QUIET)
    sagged = recorded(opens_s=99.0, cell=lambda t: 3.63 if t < 6.0 else 3.5)
    assert "3.5 V" in undecided("stimulus_quiet", sagged, QUIET)


def test_a_flag_rises_for_its_own_stimulus_alone() -> None:
    rises, foreign = judged("level_flag", recorded(), FLAG)
    assert (rises.verdict, foreign.verdict) == (PASS, PASS)
    missing = judged("level_flag", recorded(flag=lambda t: 0.0, other=lambda t: float(t > 4.0)), FLAG)
    assert [one.verdict for one in missing] == [FAIL, FAIL]
    assert missing[0].hint == "undervoltage rose instead"
    already = judged("level_flag", recorded(flag=lambda t: 1.0), FLAG)[0]
    assert (already.verdict, already.hint) == (FAIL, "it was set before the stimulus already")


def test_the_delay_of_a_flag_is_judged_where_it_is_promised() -> None:
    promised = {"delay_min_s": 1.0, "delay_max_s": 3.0, "period_s": 0.1}
    assert judged("level_flag", recorded(), FLAG, **promised)[-1].verdict is PASS
    late = judged("level_flag", recorded(flag=lambda t: float(t >= 6.8)), FLAG, **promised)[-1]
    assert (late.verdict, late.hint) == (FAIL, "looks like: it tells too late")


def test_a_flag_stays_and_falls() -> None:
    window = {"protection": "overvoltage", "flag": "overvoltage", "begin_s": 5.0, "end_s": 8.0}
    up = recorded()
    assert judged("flag_stays", up, {**window, "what": "before its release"})[0].verdict is PASS
    assert judged("flag_falls", up, window)[0].verdict is FAIL
    down = recorded(flag=lambda t: float(4.9 <= t < 6.0))
    assert judged("flag_stays", down, {**window, "what": "before its release"})[0].verdict is FAIL
    assert judged("flag_falls", down, window)[0].verdict is PASS


def test_staying_open_proves_something_only_while_the_stimulus_is_where_it_should_be() -> None:
    offer = {"direction": "charge", "begin_s": 5.5, "end_s": 7.5, "zero_a": 0.2, "reference_u_a": 0.01, "what": "held"}
    watched = {"channel": "cell_7", "unit": "V", "stimulus_u": 0.001, "low": 3.66}
    assert judged("blocked_while", recorded(), {**offer, **watched})[0].verdict is PASS
    leaks = recorded(current=lambda t: 10.0 if t < 5.0 or 6.0 < t < 6.5 else 0.0)
    assert judged("blocked_while", leaks, {**offer, **watched})[0].verdict is FAIL
    for cell_v in (3.3, 3.6605):
        gone = recorded(cell=lambda t, v=cell_v: v)
        assert "its staying open proves nothing" in undecided("blocked_while", gone, {**offer, **watched})
    sagged = recorded(cell=lambda t: 3.7 if t < 7.0 else 3.3)
    assert "proves nothing" in undecided("blocked_while", sagged, {**offer, **watched})


def test_one_sample_beyond_the_threshold_must_prove_the_demand_alone() -> None:
    once = recorded(cell=lambda t: 3.655 if t >= 4.9 else 3.3, opens_s=4.95, cell_every_s=0.1)
    assert "not surely beyond" in undecided("stimulus_trips", once, TRIP)
