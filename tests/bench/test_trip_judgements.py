"""Judgements of protections on traces written by hand: who ended the current, when, and whether that was right."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from bench.attribution import ended_by_bench, find_end, find_t0
from bench.errors import Inconclusive
from bench.evidence import Measurement
from bench.judgements import judge
from bench.traces import Trace, Traces
from bench.verdict import DecisionRule, Verdict

PASS, FAIL, OPEN = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
U_A = 0.03
PACK_V, LOAD_OFF_V = 53.0, 0.0
OTHERS = ["undervoltage"]

Shape = Callable[[float], float]


def pulse(on_s: float, off_s: float, level: float) -> Shape:
    """A level from one instant to another, else 0."""
    return lambda t: level if on_s - 1e-9 <= t < off_s - 1e-9 else 0.0


def provoked(
    *,
    opens_s: float = 12.0,
    level_a: float = 115.5,
    current: Shape | None = None,
    output: Shape = lambda t: float(t >= 1.0),
    alarm: Shape = lambda t: 0.0,
    terminal: Shape | None = None,
    flag: Shape | None = None,
    other: Shape = lambda t: 0.0,
    end_s: float = 15.0,
    fast_s: float = 0.02,
) -> Traces:
    """A discharge at 115.5 A from 2 s on that the BMS ends at `opens_s`; the load stays on."""
    forced = current or pulse(2.0, opens_s, level_a)
    side = terminal or (lambda t: PACK_V - 0.5 if t < opens_s else LOAD_OFF_V)
    raised = flag or (lambda t: float(t >= opens_s - 0.5))
    made = Traces()
    for index in range(round(end_s / fast_s) + 1):
        made.sample("reference_current", index * fast_s, -forced(index * fast_s))
    for index in range(round(end_s * 10) + 1):
        at_s = index / 10
        made.sample("pack_side_voltage", at_s, PACK_V)
        made.sample("voltage.load", at_s, side(at_s))
        made.sample("output.load", at_s, output(at_s))
        made.sample("alarm.load", at_s, alarm(at_s))
        made.sample("bms.overcurrent", at_s, raised(at_s))
        made.sample("bms.undervoltage", at_s, other(at_s))
        made.sample("link.can", at_s, 1.0)
    return made


PROMISE: dict[str, Any] = {
    "protection": "discharge_1", "direction": "discharge", "threshold_a": 110.0, "must_trip_a": 115.5, "begin_s": 1.5,
    "end_s": 15.0, "delay_min_s": 9.0, "delay_max_s": 11.0, "zero_a": 0.2, "reference_u_a": U_A, "role": "load",
    "other_flags": OTHERS,
}  # fmt: skip


def trips(recorded: Traces, **changes: Any) -> list[Measurement]:
    return judge("trips", recorded, DecisionRule(), {**PROMISE, **changes})


def undecided(name: str, recorded: Traces, parameters: dict[str, Any]) -> str:
    with pytest.raises(Inconclusive) as caught:
        judge(name, recorded, DecisionRule(), parameters)
    return str(caught.value)


def untold(recorded: Traces, **changes: Any) -> str:
    return undecided("trips", recorded, {**PROMISE, **changes})


# -- times ---------------------------------------------------------------------------------------------------------


def test_t0_is_the_middle_between_two_samples() -> None:
    trace = Trace("i", [0.0, 1.0, 1.1, 2.0], [0.0, 100.0, 120.0, 120.0])
    found = find_t0(trace, 110.0)
    assert found is not None
    assert found == pytest.approx((1.05, 0.1))
    assert find_t0(trace, 125.0) is None
    assert find_t0(Trace("i", [0.0, 1.0], [120.0, 120.0]), 110.0) is None
    assert find_t0(Trace("i", [1.0, 1.0], [0.0, 120.0]), 110.0) == (1.0, 0.0)  # two samples at one instant


def test_the_end_is_the_middle_between_the_last_sample_that_flowed_and_the_first_below_a_tenth() -> None:
    trace = Trace("i", [0.0, 1.0, 2.0, 2.5, 3.0], [0.0, 100.0, 100.0, 9.0, 0.0])
    ending = find_end(trace, 0.5)
    assert (ending.at_s, ending.gap_s, ending.before_a) == (2.25, 0.5, 100.0)
    assert find_end(Trace("i", [0.0, 1.0, 2.0], [0.0, 100.0, 11.0]), 0.0).at_s is None
    assert find_end(Trace("i"), 0.0).at_s is None


def test_a_trip_delay_and_its_uncertainty_by_hand() -> None:
    """From 0 A at 1.98 s to 115.5 A at 2.00 s nobody saw when it stepped: 1.99 s on average, not where a line crosses.

    It flows at 11.98 s and not at 12.00 s, so it ended at 11.99 s; both instants are known to 20 ms / sqrt(12).
    """
    delay, left = trips(provoked())
    assert delay.value.value == pytest.approx(11.99 - 1.99, abs=1e-9)
    assert delay.value.expanded == pytest.approx(2 * math.sqrt(2) * 0.02 / math.sqrt(12))
    assert (delay.limits.low, delay.limits.high) == (9.0, 11.0)
    assert delay.name == "discharge_1: trip delay at 115.5 A"
    assert left.value.value == 0.0
    assert left.reference == "53.0 V across the open switch"


@pytest.mark.parametrize(
    ("opens_s", "verdict", "hint"),
    [
        (12.0, PASS, ""),
        (11.1, PASS, ""),
        (12.9, PASS, ""),
        (11.0, OPEN, ""),  # 9.00 s: exactly at the limit
        (13.0, OPEN, ""),
        (10.9, FAIL, "it trips too early"),
        (13.1, FAIL, "it trips too late"),
        (3.0, FAIL, "it trips too early"),
    ],
)
def test_a_trip_is_in_time_or_too_early_or_too_late(opens_s: float, verdict: Verdict, hint: str) -> None:
    delay, left = trips(provoked(opens_s=opens_s))
    assert delay.verdict is verdict
    assert left.verdict is PASS
    if verdict is not OPEN:
        assert delay.hint == hint


def test_no_trip_is_due_from_a_current_that_was_not_surely_beyond_the_tolerance() -> None:
    assert "not surely beyond 115.48 A" in untold(provoked(opens_s=13.5), demand_a=115.48)
    late, _ = trips(provoked(opens_s=13.5), demand_a=115.4)
    assert late.verdict is FAIL


def test_a_trip_seen_through_a_slow_reference_has_a_wide_delay() -> None:
    delay, _ = trips(provoked(opens_s=12.8, fast_s=0.25))
    assert delay.value.expanded == pytest.approx(2 * math.sqrt(2) * 0.25 / math.sqrt(12))
    assert delay.verdict is OPEN


def test_a_protection_without_a_shortest_delay_has_one_limit() -> None:
    delay, _ = trips(provoked(opens_s=2.5), delay_min_s=0.0)
    assert delay.limits.low is None
    assert delay.verdict is PASS


def test_a_charging_trip_is_judged_the_same_way_round() -> None:
    recorded = provoked()
    turned = Traces()
    for name, trace in recorded.channels.items():
        for at_s, value in trace:
            turned.sample(name.replace(".load", ".supply"), at_s, -value if name == "reference_current" else value)
    delay, left = judge("trips", turned, DecisionRule(), {**PROMISE, "direction": "charge", "role": "supply"})
    assert (delay.verdict, left.verdict) == (PASS, PASS)


# -- the abort -----------------------------------------------------------------------------------------------------


def aborted(at_s: float, **how: Any) -> Traces:
    """The BMS does nothing; the bench switches its load off at `at_s`."""
    made = provoked(
        opens_s=at_s, output=pulse(1.0, at_s + 0.05, 1.0), terminal=lambda t: PACK_V, flag=lambda t: 0.0, **how
    )  # fmt: skip
    made.mark(at_s, "abort", "discharge_1")
    return made


def test_a_dead_protection_fails_because_the_bench_had_to_end_it() -> None:
    [row] = trips(aborted(13.3))
    assert row.verdict is FAIL
    assert row.name.startswith("discharge_1: no trip at 115.5 A")
    assert row.hint == "the bench ended it after 11.3 s; current now +0.000 A ± 0.030 A (measured)"
    assert "the bench ended it after 11.3 s" in row.sentence()


def test_an_abort_before_the_longest_delay_is_over_proves_nothing() -> None:
    """The abort is armed before the current rises; a slow rise must not turn a dead protection into a pass."""
    assert "the bench ended it 10.31 s after the threshold was crossed, up to 11 s are allowed" in untold(aborted(12.3))
    assert "up to 11 s are allowed" in untold(aborted(12.99))
    [row] = trips(aborted(13.02))  # 11.03 s: surely beyond
    assert row.verdict is FAIL


def test_a_trip_before_the_abort_counts_although_the_abort_follows() -> None:
    recorded = provoked(opens_s=12.0)
    recorded.mark(14.0, "abort")
    assert [row.verdict for row in trips(recorded)] == [PASS, PASS]


def test_an_abort_of_another_provocation_is_not_this_ones() -> None:
    recorded = provoked(opens_s=12.0)
    recorded.mark(0.5, "abort")
    recorded.mark(16.0, "abort")
    assert [row.verdict for row in trips(recorded)] == [PASS, PASS]


# -- who ended it --------------------------------------------------------------------------------------------------


def test_a_load_that_was_off_before_the_current_fell_is_no_trip() -> None:
    assert untold(provoked(output=pulse(1.0, 11.5, 1.0))) == "load was off at 11.50 s, before the current fell"


def test_a_load_with_an_alarm_before_the_current_fell_is_no_trip() -> None:
    recorded = provoked(alarm=lambda t: float(t >= 11.5))
    assert untold(recorded) == "load had an alarm at 11.50 s, before the current fell"


def test_an_alarm_or_an_output_off_that_follows_the_collapse_is_expected() -> None:
    recorded = provoked(alarm=lambda t: float(t >= 12.1), output=pulse(1.0, 12.2, 1.0))
    assert [row.verdict for row in trips(recorded)] == [PASS, PASS]


def test_a_load_that_was_never_seen_on_ended_nothing() -> None:
    assert "load was never seen on between" in untold(provoked(output=lambda t: 0.0))


def test_without_a_voltage_across_the_switch_it_was_not_the_bms() -> None:
    text = untold(provoked(terminal=lambda t: PACK_V - 0.3))
    assert text.startswith("the current stopped, but only 0.30 V stand across the BMS's switch: a fuse, the disconnect")


def test_the_drop_of_a_body_diode_is_no_open_switch() -> None:
    assert "only 0.70 V" in untold(provoked(terminal=lambda t: PACK_V - 0.7))


def test_one_sample_of_voltage_proves_nothing_two_do() -> None:
    """The two sides are read one after the other, so one pair may straddle the collapse."""
    assert "only 0.00 V" in untold(provoked(terminal=lambda t: PACK_V - (4.0 if 11.95 < t < 12.05 else 0.0)))
    assert trips(provoked(terminal=lambda t: PACK_V - (4.0 if 11.95 < t < 12.15 else 0.0)))[0].verdict is PASS


def test_the_other_side_of_the_switch_must_have_been_measured() -> None:
    recorded = provoked()
    del recorded.channels["voltage.load"]
    assert "nothing was recorded on channel 'voltage.load'" in untold(recorded)


def test_what_ended_a_current_needs_the_outputs_state() -> None:
    recorded = provoked()
    assert ended_by_bench(recorded, "load", 1.5, 11.9) is None
    del recorded.channels["output.load"]
    assert "nothing was recorded on channel 'output.load'" in untold(recorded)


# -- the stimulus --------------------------------------------------------------------------------------------------


def test_a_stimulus_between_threshold_and_must_trip_demands_nothing() -> None:
    assert "reached 112.00 A, 115.50 A are needed" in untold(provoked(level_a=112.0))


def test_a_stimulus_that_tapers_below_the_threshold_demands_nothing() -> None:
    """A supply in constant voltage: 115.5 A at first, then less and less."""
    taper = provoked(current=lambda t: 0.0 if t < 2 or t >= 12 else 115.5 - 2.0 * (t - 2.0))
    assert "below the threshold of 110.00 A" in untold(taper)


def test_a_tapering_stimulus_does_not_make_a_dead_protection_fail_either() -> None:
    recorded = aborted(13.3, current=lambda t: 0.0 if t < 2 or t >= 13.3 else 115.5 - 2.0 * (t - 2.0))
    assert "below the threshold" in untold(recorded)


def test_a_spike_beyond_the_threshold_is_no_stimulus() -> None:
    spike = provoked(current=lambda t: 0.0 if t < 2 or t >= 12 else (130.0 if t < 2.03 else 100.0))
    assert "below the threshold" in untold(spike)


def test_a_sample_within_the_fall_is_forgiven() -> None:
    recorded = provoked(current=lambda t: 60.0 if 11.99 < t < 12.01 else pulse(2.0, 12.0, 115.5)(t))
    assert trips(recorded)[0].verdict is PASS


def test_a_recording_that_begins_beyond_the_threshold_does_not_say_since_when() -> None:
    assert "begins beyond 110.0 A" in untold(provoked(), begin_s=3.0)


def test_a_recording_that_ends_while_current_flows_is_no_verdict() -> None:
    assert "the recording ends at 10.0 s while 115.5 A still flow" in untold(provoked(), end_s=10.0)


def test_a_recording_that_ends_with_the_trip_does_not_show_that_the_current_stays_off() -> None:
    with pytest.raises(Inconclusive):
        trips(provoked(), end_s=12.02)
    with pytest.raises(Inconclusive):
        trips(provoked(), end_s=12.22)


def test_a_hole_in_the_reference_is_no_delay() -> None:
    recorded = provoked()
    whole = recorded.channels["reference_current"]
    recorded.channels["reference_current"] = Trace("reference_current")
    for at_s, value in whole:
        if not 10.0 < at_s < 12.5:
            recorded.sample("reference_current", at_s, value)
    assert "was not recorded for 2.5" in untold(recorded)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_samples_are_no_verdict(count: int) -> None:
    recorded = provoked()
    recorded.channels["reference_current"] = Trace("reference_current", [2.0, 3.0][:count], [0.0, -120.0][:count])
    with pytest.raises(Inconclusive):
        trips(recorded)


def test_a_trip_below_the_threshold_has_come_too_early() -> None:
    [row] = trips(provoked(opens_s=4.0, current=lambda t: 20.0 * (t - 2.0) if 2.0 <= t < 4.0 else 0.0))
    assert row.verdict is FAIL
    assert row.sentence().splitlines() == [
        "discharge_1: stays closed below its threshold: no, expected yes",
        "looks like: it trips too early, at 39.6 A",
    ]


def test_an_early_end_with_another_flag_is_excused() -> None:
    recorded = provoked(opens_s=4.0, level_a=100.0, other=lambda t: float(t > 4.3))
    assert untold(recorded) == "another protection acted first: undervoltage"


def test_an_early_end_by_the_bench_or_a_fuse_is_not_blamed_on_the_bms() -> None:
    assert "load was off" in untold(provoked(opens_s=4.0, level_a=100.0, output=pulse(1.0, 3.5, 1.0)))
    assert "a fuse" in untold(provoked(opens_s=4.0, level_a=100.0, terminal=lambda t: PACK_V))


def test_a_stimulus_that_never_came_is_not_blamed_on_the_bms() -> None:
    assert "never crossed 110.0 A; the reference shows at most 50.00 A" in untold(provoked(opens_s=99.0, level_a=50.0))


def test_a_current_that_still_flows_a_little_after_the_trip_has_failed() -> None:
    recorded = provoked(current=lambda t: 115.5 if 2 <= t < 12 else (3.0 if t >= 12 else 0.0))
    delay, left = trips(recorded)
    assert (delay.verdict, left.verdict) == (PASS, FAIL)
    assert left.hint == "looks like: it opens but does not interrupt"


def test_a_current_that_comes_back_after_the_trip_has_failed() -> None:
    recorded = provoked(
        current=lambda t: 115.5 if 2 <= t < 12 or t >= 13 else 0.0,
        terminal=lambda t: LOAD_OFF_V if 12 <= t < 13 else PACK_V,
    )
    assert trips(recorded)[1].verdict is FAIL


# -- quiet just inside ---------------------------------------------------------------------------------------------

QUIET: dict[str, Any] = {
    "direction": "discharge", "begin_s": 2.5, "end_s": 14.0, "level_a": 107.0, "reference_u_a": U_A, "role": "load",
    "other_flags": OTHERS,
}  # fmt: skip


def test_a_current_that_flows_all_the_time_is_quiet() -> None:
    [row] = judge("keeps_flowing", provoked(opens_s=99.0, level_a=107.0), DecisionRule(), QUIET)
    assert row.verdict is PASS
    assert row.hint == ""


def test_a_bms_that_opens_just_inside_its_limit_has_failed() -> None:
    [row] = judge("keeps_flowing", provoked(opens_s=8.0, level_a=107.0), DecisionRule(), QUIET)
    assert row.verdict is FAIL
    assert row.hint == "looks like: it trips too early"


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"output": pulse(1.0, 7.5, 1.0)}, "load was off at 7.50 s"),
        ({"alarm": lambda t: float(t >= 7.5)}, "load had an alarm at 7.50 s"),
        ({"other": lambda t: float(t >= 8.3)}, "another protection acted first: undervoltage"),
        ({"terminal": lambda t: PACK_V}, "a fuse, the disconnect or the load may have ended it"),
    ],
)
def test_an_end_that_is_not_the_bmss_is_inconclusive(how: dict[str, Any], why: str) -> None:
    assert why in undecided("keeps_flowing", provoked(opens_s=8.0, level_a=107.0, **how), QUIET)


@pytest.mark.parametrize("level_a", [60.0, 90.0, 105.5])
def test_quiet_at_a_smaller_current_than_was_asked_for_is_no_pass(level_a: float) -> None:
    text = undecided("keeps_flowing", provoked(opens_s=99.0, level_a=level_a), QUIET)
    assert text == f"only {level_a:.2f} A flowed on average where 107.00 A were to be held"


def test_quiet_while_the_reference_was_not_recorded_is_no_pass() -> None:
    with pytest.raises(Inconclusive, match="was not recorded for"):
        judge("keeps_flowing", provoked(opens_s=99.0, level_a=107.0, end_s=9.0), DecisionRule(), QUIET)


# -- flags and switches --------------------------------------------------------------------------------------------

FLAG: dict[str, Any] = {
    "flag": "overcurrent", "others": OTHERS, "begin_s": 1.5, "end_s": 15.0, "threshold_a": 110.0,
    "direction": "discharge", "flag_delay_max_s": 10.0, "period_s": 0.1,
}  # fmt: skip


def flags(recorded: Traces, **changes: Any) -> list[Measurement]:
    return judge("right_flag", recorded, DecisionRule(), {**FLAG, **changes})


def test_the_right_flag_alone_and_in_time() -> None:
    own, other, delay = flags(provoked())
    assert [row.verdict for row in (own, other, delay)] == [PASS, PASS, PASS]
    # seen at 11.5 s and not yet at 11.4 s, so raised at 11.45 s on average; the step lies at 1.99 s on average.
    assert delay.value.value == pytest.approx(11.45 - 1.99, abs=1e-9)
    # A trapezoid of ± 50 ms and ± 10 ms holds 95.45 % within 60 - sqrt(0.0455 x 4 x 50 x 10) = 50.5 ms.
    assert delay.value.expanded == pytest.approx(0.0505, rel=0.01)


def test_a_lost_message_widens_the_delay_of_a_flag() -> None:
    recorded = provoked()
    heard = recorded.channels["bms.overcurrent"]
    kept = [(at_s, value) for at_s, value in heard if not 11.25 < at_s < 11.45]  # two messages never came
    recorded.channels["bms.overcurrent"] = Trace(heard.name, [at_s for at_s, _ in kept], [value for _, value in kept])
    delay = flags(recorded)[-1]
    assert delay.value.value == pytest.approx(11.35 - 1.99, abs=1e-9)
    assert delay.value.expanded > 0.14


def test_the_clock_offset_and_the_average_of_the_meter_widen_the_delay_of_a_flag() -> None:
    plain = flags(provoked())[-1].value
    assert flags(provoked(), clock_offset_s=0.02)[-1].value.expanded > plain.expanded
    averaged = flags(provoked(), averaging_s=0.04)[-1].value
    assert averaged.expanded > plain.expanded
    assert averaged.value == pytest.approx(plain.value + 0.04 * 110 / 115.5)  # the step was seen so much too late


def test_a_flag_that_rises_and_falls_again_has_risen() -> None:
    assert flags(provoked(flag=pulse(11.5, 11.6, 1.0)))[0].verdict is PASS


def test_a_flag_that_never_rises_has_failed() -> None:
    own, other = flags(provoked(flag=lambda t: 0.0))
    assert (own.verdict, other.verdict) == (FAIL, PASS)


def test_the_flag_of_the_other_direction_is_the_wrong_one() -> None:
    own, other = flags(provoked(flag=lambda t: 0.0, other=lambda t: float(t > 11.5)))
    assert (own.verdict, other.verdict) == (FAIL, FAIL)
    assert own.hint == "undervoltage rose instead"
    assert "M38" in other.hint


def test_a_flag_that_was_always_set_did_not_rise() -> None:
    own = flags(provoked(flag=lambda t: 1.0))[0]
    assert own.verdict is FAIL
    assert own.hint == "it was set before the stimulus already"


def test_a_late_flag_has_failed() -> None:
    assert [row.verdict for row in flags(provoked(flag=lambda t: float(t >= 14.0)))] == [PASS, PASS, FAIL]
    assert len(flags(provoked(flag=lambda t: float(t >= 14.0)), flag_delay_max_s=None)) == 2


def test_another_flag_that_nobody_heard_is_not_quiet() -> None:
    recorded = provoked()
    del recorded.channels["bms.undervoltage"]
    [silent] = flags(recorded)
    assert silent.verdict is FAIL
    recorded.channels.pop("link.can")
    with pytest.raises(Inconclusive, match="undervoltage: nothing heard"):
        flags(recorded)


@pytest.mark.parametrize(
    ("shape", "closed", "verdict"),
    [
        (lambda t: float(t < 12), False, PASS),
        (lambda t: 1.0, True, PASS),
        (lambda t: 1.0, False, FAIL),
        (lambda t: 0.0, True, FAIL),
        (lambda t: float(t < 12 or t > 14.5), False, FAIL),  # opened and closed again
    ],
)
def test_a_switch_reports_what_it_should(shape: Shape, closed: bool, verdict: Verdict) -> None:
    recorded = provoked()
    for index in range(151):
        recorded.sample("bms.switch_discharge", index / 10, shape(index / 10))
    [row] = judge(
        "switch_reports", recorded, DecisionRule(), {"expected": {"discharge": closed}, "at_s": 14.2, "within_s": 0.8}
    )
    assert row.verdict is verdict
    assert (row.hint == "") == (verdict is PASS)


def test_a_switch_that_is_not_heard_has_failed_on_a_proven_link() -> None:
    parameters = {"expected": {"discharge": False}, "at_s": 14.2, "within_s": 0.8}
    assert judge("switch_reports", provoked(), DecisionRule(), parameters)[0].verdict is FAIL


# -- blocked and released ------------------------------------------------------------------------------------------

PROBE: dict[str, Any] = {
    "direction": "discharge",
    "begin_s": 12.5,
    "end_s": 14.5,
    "reference_u_a": U_A,
    "what": "after",
}


def test_a_path_that_is_open_although_current_is_offered_is_blocked() -> None:
    [row] = judge("blocked", provoked(), DecisionRule(), {**PROBE, "zero_a": 0.2})
    assert row.verdict is PASS


def test_a_path_that_carries_is_not_blocked() -> None:
    recorded = provoked(opens_s=99.0, level_a=10.0)
    [row] = judge("blocked", recorded, DecisionRule(), {**PROBE, "zero_a": 0.2})
    assert row.verdict is FAIL


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"output": lambda t: 0.0}, "load was never seen on"),
        ({"output": pulse(1.0, 12.3, 1.0)}, "load was never seen on"),
        ({"terminal": lambda t: PACK_V}, "could not have driven any"),
    ],
)
def test_no_current_where_none_was_offered_is_no_pass(how: dict[str, Any], why: str) -> None:
    assert why in undecided("blocked", provoked(**how), {**PROBE, "zero_a": 0.2})


def test_a_bidirectional_supply_is_looked_at_where_there_is_one() -> None:
    recorded = provoked()
    for name in ("output", "voltage", "alarm"):
        recorded.channels[f"{name}.bidirectional"] = recorded.channels.pop(f"{name}.load")
    [row] = judge("blocked", recorded, DecisionRule(), {**PROBE, "zero_a": 0.2})
    assert row.verdict is PASS


def test_after_the_release_current_flows_again() -> None:
    released = {**PROBE, "level_a": 10.0, "role": "load"}
    [row] = judge("flows_again", provoked(opens_s=99.0, level_a=10.0), DecisionRule(), released)
    assert (row.verdict, row.hint) == (PASS, "")
    [row] = judge("flows_again", provoked(), DecisionRule(), released)
    assert (row.verdict, row.hint) == (FAIL, "looks like: it never releases")
    assert "load was never seen on" in undecided("flows_again", provoked(output=lambda t: 0.0), released)
