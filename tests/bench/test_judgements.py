"""Judgements of readings on traces written by hand: green, red and inconclusive, each for the right reason."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bench.judgements
from bench.errors import DefinitionError, Inconclusive, OutOfRange
from bench.evidence import Measurement
from bench.judgements import judge
from bench.traces import Trace, Traces
from bench.verdict import DecisionRule, Verdict

PASS, FAIL, OPEN = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
ACCURACY = {"reading_pct": 1.0, "offset": 0.2, "resolution": 0.01}
WINDOW = {"begin_s": 10.0, "end_s": 20.0}
U_A = 0.012

Shape = float | Callable[[float], float]
Tree = dict[str, Any]


def traces(*, proven: bool | None = True, until_s: float = 30.0, **channels: Shape) -> Traces:
    """Return traces of 0 to 30 s, a sample each 0.1 s; `bms_x` becomes `bms.x`, a shape is a number or f(t)."""
    made = Traces()
    for index in range(round(until_s * 10) + 1):
        at_s = index / 10
        for name, shape in channels.items():
            value = shape(at_s) if callable(shape) else shape
            channel = name if name in ("reference_current", "pack_side_voltage") else f"bms.{name}"
            made.sample(channel, at_s, value)
        if proven is not None:
            made.sample("link.can", at_s, float(proven))
    return made


def thinned(source: Traces, channel: str, keep: Callable[[float], bool]) -> Traces:
    """Return the same traces with some samples of one channel left out."""
    whole = source.channels[channel]
    source.channels[channel] = Trace(channel)
    for at_s, value in whole:
        if keep(at_s):
            source.sample(channel, at_s, value)
    return source


def one(name: str, recorded: Traces, **parameters: Any) -> Measurement:
    """Return the only measurement of a judgement."""
    [measured] = judge(name, recorded, DecisionRule(), parameters)
    return measured


def undecided(name: str, recorded: Traces, **parameters: Any) -> str:
    """Return why a judgement cannot tell."""
    with pytest.raises(Inconclusive) as caught:
        judge(name, recorded, DecisionRule(), parameters)
    return str(caught.value)


# -- current_reading -----------------------------------------------------------------------------------------------


def reading(recorded: Traces) -> Measurement:
    return one(
        "current_reading", recorded, signal="pack_current", accuracy=ACCURACY, reference_u_a=U_A, **WINDOW
    )  # fmt: skip


@pytest.mark.parametrize(
    ("true_a", "read_a", "verdict"),
    [
        (20.0, 20.0, PASS),
        (20.0, 20.38, PASS),  # limit 0.4 A at 20 A, U = 0.0133 A
        (20.0, 20.395, OPEN),
        (20.0, 20.405, OPEN),
        (20.0, 20.42, FAIL),
        (20.0, 19.58, FAIL),
        (20.0, -20.0, FAIL),
        (-20.0, -20.38, PASS),
        (-20.0, -20.42, FAIL),
        (-20.0, 20.0, FAIL),
        (0.0, 0.18, PASS),
        (0.0, 0.22, FAIL),
        (20.0, 0.0, FAIL),
    ],
)
def test_a_reading_is_judged_against_the_promised_accuracy(true_a: float, read_a: float, verdict: Verdict) -> None:
    measured = reading(traces(reference_current=true_a, pack_current=read_a))
    assert measured.verdict is verdict
    # U by hand: 12 mA of the reference and q / sqrt(12) of 10 mA, k = 2
    assert measured.value.expanded == pytest.approx(2 * math.hypot(0.006, 0.01 / math.sqrt(12)))
    limit_a = 0.2 + 0.01 * abs(true_a)
    assert (measured.limits.low, measured.limits.high) == pytest.approx((true_a - limit_a, true_a + limit_a))


def test_the_noise_of_the_reading_widens_its_uncertainty() -> None:
    """Readings of 20 ± 0.5 A in turn: s = 0.5025, n = 101, so s / sqrt(n) = 0.05."""
    measured = reading(
        traces(reference_current=20.0, pack_current=lambda t: 20.0 + (0.5 if round(t * 10) % 2 else -0.5))
    )
    assert measured.value.expanded == pytest.approx(2 * math.hypot(0.006, 0.0502, 0.01 / math.sqrt(12)), rel=0.01)


def test_only_the_window_is_judged() -> None:
    assert (
        reading(traces(reference_current=20.0, pack_current=lambda t: 20.0 if 10 <= t <= 20 else -99.0)).verdict is PASS
    )


def test_the_sentence_names_reading_reference_and_direction() -> None:
    text = reading(traces(reference_current=20.003, pack_current=-20.04)).sentence()
    assert text.splitlines()[0].startswith("pack_current while charging: -20.040 A ± 0.013 A, expected +19.6")
    assert "(reference: meter +20.003 A ± 0.012 A charging)" in text


@pytest.mark.parametrize(
    ("true_a", "read_a", "classes", "word"),
    [
        (20.0, -20.04, "M01, M05", "sign inverted"),
        (-20.0, 20.0, "M01, M05", "sign inverted"),
        (-20.0, 635.36, "M02, M34", "unsigned"),  # 65536 x 0.01 A - 20 A
        (-20.0, 6533.6, "M02, M34", "unsigned"),  # 65536 x 0.1 A - 20 A
        (20.0, 2.0, "M20", "factor of 0.1"),
        (20.0, 20_000.0, "M20", "factor of 1000"),
        (20.0, 0.0, "M27", "reads zero"),
        (0.0, 3.0, "M23", "at rest"),
        (20.0, 23.0, "M23", "off by +3.00 A"),
    ],
)
def test_a_failure_says_what_it_looks_like(true_a: float, read_a: float, classes: str, word: str) -> None:
    measured = reading(traces(reference_current=true_a, pack_current=read_a))
    assert measured.verdict is FAIL
    assert classes in measured.hint
    assert word in measured.hint


@pytest.mark.parametrize("true_a", [-120.0, -20.0, -1.0, 0.0, 0.3, 20.0, 120.0])
def test_a_pass_carries_no_hint(true_a: float) -> None:
    measured = reading(traces(reference_current=true_a, pack_current=true_a * 1.004))
    assert measured.verdict is PASS
    assert measured.hint == ""


def test_a_bms_silent_in_the_window_on_a_proven_link_has_failed() -> None:
    recorded = thinned(traces(reference_current=20.0, pack_current=20.0), "bms.pack_current", lambda t: t < 9.9)
    measured = reading(recorded)
    assert measured.verdict is FAIL
    assert measured.sentence().startswith("pack_current is reported all the time: no, expected yes")
    assert "silent (nothing heard)" in measured.hint


def test_a_bms_never_heard_on_a_proven_link_has_failed() -> None:
    assert reading(traces(reference_current=20.0)).verdict is FAIL


@pytest.mark.parametrize("proven", [False, None])
def test_silence_on_a_link_that_is_not_proven_is_inconclusive(proven: bool | None) -> None:
    text = undecided(
        "current_reading", traces(proven=proven, reference_current=20.0),
        signal="pack_current", accuracy=ACCURACY, reference_u_a=U_A, **WINDOW,
    )  # fmt: skip
    assert text == "pack_current: nothing heard from 10.00 s to 20.00 s, and the link is not proven"


def test_a_link_proven_only_most_of_the_time_proves_nothing() -> None:
    recorded = traces(reference_current=20.0)
    recorded.channels["link.can"].values[150] = 0.0
    assert "not proven" in undecided(
        "current_reading", recorded, signal="pack_current", accuracy=ACCURACY, reference_u_a=U_A, **WINDOW
    )


def test_a_bms_that_falls_silent_halfway_has_failed_although_its_first_readings_are_right() -> None:
    recorded = thinned(traces(reference_current=20.0, pack_current=20.0), "bms.pack_current", lambda t: t < 14.0)
    measured = reading(recorded)
    assert measured.verdict is FAIL
    assert "nothing for 6.10 s" in measured.hint


def test_a_slow_signal_is_measured_by_its_own_pace() -> None:
    recorded = thinned(
        traces(reference_current=20.0, pack_current=20.0), "bms.pack_current", lambda t: round(t * 10) % 20 == 0
    )
    assert reading(recorded).verdict is PASS


@pytest.mark.parametrize(
    ("keep", "why"),
    [
        (lambda t: not 12 < t < 15, "the reference was not recorded for 3.00 s"),
        (lambda t: t < 15.05, "the reference was not recorded for 5.00 s"),
        (lambda t: t > 14.95, "the reference was not recorded for 5.00 s"),
        (lambda t: t < 10.05, "has 1 samples where 2 are needed"),
        (lambda t: t < 5, "has 0 samples where 2 are needed"),
    ],
)
def test_a_reference_with_a_hole_judges_nothing(keep: Callable[[float], bool], why: str) -> None:
    recorded = thinned(traces(reference_current=20.0, pack_current=20.0), "reference_current", keep)
    assert why in undecided(
        "current_reading", recorded, signal="pack_current", accuracy=ACCURACY, reference_u_a=U_A, **WINDOW
    )


def test_a_reference_that_was_never_recorded_judges_nothing() -> None:
    assert "nothing was recorded on channel 'reference_current'" in undecided(
        "current_reading",
        traces(pack_current=20.0),
        signal="pack_current",
        accuracy=ACCURACY,
        reference_u_a=U_A,
        **WINDOW,
    )


def test_a_single_reading_in_the_window_is_not_enough() -> None:
    recorded = traces(reference_current=20.0, pack_current=20.0)
    thinned(recorded, "bms.pack_current", lambda t: round(t * 10) % 10 == 0)
    assert "bms.pack_current has 1 samples where 2 are needed" in undecided(
        "current_reading", recorded, signal="pack_current", accuracy=ACCURACY, reference_u_a=U_A,
        begin_s=9.5, end_s=10.5,
    )  # fmt: skip


def test_a_window_that_is_the_wrong_way_round_judges_nothing() -> None:
    recorded = traces(reference_current=20.0, pack_current=20.0)
    with pytest.raises(Inconclusive):
        judge(
            "current_reading", recorded, DecisionRule(),
            {"signal": "pack_current", "accuracy": ACCURACY, "reference_u_a": U_A, "begin_s": 20.0, "end_s": 10.0},
        )  # fmt: skip


# -- traces --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_trace_takes_no_value_that_is_no_number(value: float) -> None:
    with pytest.raises(OutOfRange, match="is not a sample"):
        Trace("flag").append(1.0, value)
    with pytest.raises(OutOfRange, match="is not a sample"):
        Traces().sample("flag", value, 1.0)


def test_a_late_sample_takes_its_place_in_time() -> None:
    trace = Trace("x")
    for at_s, value in ((0.0, 0.0), (2.0, 2.0), (1.0, 1.0), (3.0, 3.0), (1.0, 1.5)):
        trace.append(at_s, value)
    assert list(trace) == [(0.0, 0.0), (1.0, 1.0), (1.0, 1.5), (2.0, 2.0), (3.0, 3.0)]


def test_questions_to_a_trace() -> None:
    trace = Trace("x", [0.0, 1.0, 2.0, 2.0, 6.0], [0.0, 10.0, 20.0, 10.0, -10.0])
    assert list(trace.between(1.0, 2.0).values) == [10.0, 20.0, 10.0]
    assert (trace.at(0.0), trace.at(1.99), trace.at(2.0), trace.at(99.0)) == (0.0, 10.0, 10.0, -10.0)
    assert trace.crossing(5.0, rising=True) == 0.5
    assert trace.crossing(5.0, rising=False) == 3.0
    assert trace.crossing(50.0, rising=True) is None
    assert trace.crossing(5.0, rising=True, after_s=2.0) is None
    assert trace.first(lambda v: v >= 10.0) == 1.0
    assert trace.first(lambda v: v >= 10.0, after_s=1.5) == 2.0
    assert (trace.usual_gap(), trace.longest_gap(0.0, 6.0), trace.longest_gap(-2.0, 6.5)) == (1.0, 4.0, 4.0)
    assert Trace("x").usual_gap() == 0.0
    assert (trace.mean(), trace.between(0.0, 1.0).spread()) == (6.0, pytest.approx(math.sqrt(50.0)))
    assert not Trace("x").always(lambda v: True)
    with pytest.raises(Inconclusive, match="no sample at or before -1"):
        trace.at(-1.0)
    with pytest.raises(Inconclusive, match="0 samples where 1 are needed"):
        Trace("x").mean()


def test_the_last_mark_of_a_name_counts() -> None:
    made = Traces()
    made.mark(1.0, "stimulus")
    made.mark(2.0, "stimulus", "again")
    found = made.marked("stimulus")
    assert found is not None
    assert (found.at_s, found.detail) == (2.0, "again")
    assert made.marked("abort") is None


# -- calling by name -----------------------------------------------------------------------------------------------


def test_an_unknown_judgement_names_the_nearest() -> None:
    with pytest.raises(DefinitionError, match="no judgement called 'curent_reading'; did you mean 'current_reading'"):
        judge("curent_reading", Traces(), DecisionRule(), {})


def test_parameters_that_do_not_fit_are_the_benchs_mistake() -> None:
    with pytest.raises(DefinitionError, match=r"judgement state_flag: .*missing"):
        judge("state_flag", Traces(), DecisionRule(), {"signal": "charging"})


# -- current_direction ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("true_a", "read_a", "direction", "verdict"),
    [
        (5.0, 5.3, "charge", PASS),
        (-5.0, -4.6, "discharge", PASS),
        (5.0, -5.0, "charge", FAIL),
        (-5.0, 5.0, "discharge", FAIL),
        (5.0, 0.0, "charge", FAIL),  # a frozen or clipped reading names no direction
        (-5.0, 0.0, "discharge", FAIL),
        (5.0, 0.4, "charge", FAIL),
    ],
)
def test_the_sign_of_a_reading_is_that_of_the_forced_current(
    true_a: float, read_a: float, direction: str, verdict: Verdict
) -> None:
    measured = one(
        "current_direction", traces(reference_current=true_a, pack_current=read_a),
        signal="pack_current", direction=direction, reference_u_a=U_A, **WINDOW,
    )  # fmt: skip
    assert measured.verdict is verdict
    assert (measured.hint == "") == (verdict is PASS)


@pytest.mark.parametrize(
    ("true_a", "direction"), [(-5.0, "charge"), (0.01, "charge"), (0.0, "discharge"), (5.0, "discharge")]
)
def test_a_direction_that_did_not_flow_is_not_judged(true_a: float, direction: str) -> None:
    assert "the reference shows" in undecided(
        "current_direction", traces(reference_current=true_a, pack_current=true_a),
        signal="pack_current", direction=direction, reference_u_a=U_A, **WINDOW,
    )  # fmt: skip


# -- power, counters, flags ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("current_a", "power_w", "verdict", "hint"),
    [
        (20.0, 1060.0, PASS, ""),
        (-20.0, -1060.0, PASS, ""),
        (-20.0, -1040.0, PASS, ""),  # 2 % of 1060 W
        (-20.0, -1035.0, FAIL, ""),
        (20.0, -1060.0, FAIL, "M35"),
        (-20.0, 1060.0, FAIL, "M36"),
    ],
)
def test_power_is_current_times_voltage_sign_included(
    current_a: float, power_w: float, verdict: Verdict, hint: str
) -> None:
    measured = one(
        "power_direction", traces(reference_current=current_a, pack_side_voltage=53.0, pack_power=power_w),
        signal="pack_power", accuracy={"reading_pct": 2.0}, reference_u_a=U_A, **WINDOW,
    )  # fmt: skip
    assert measured.verdict is verdict
    assert hint in measured.hint
    if verdict is PASS:
        assert measured.hint == ""


def counter(recorded: Traces, direction: str, unit: str = "Ah", counts: str = "charge") -> Measurement:
    return one(
        "counter_direction", recorded,
        signal="remaining", direction=direction, resolution=0.01, unit=unit, counts=counts, **WINDOW,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("direction", "counts", "slope", "verdict"),
    [
        ("charge", "charge", 0.01, PASS),
        ("discharge", "charge", -0.01, PASS),
        ("discharge", "discharge", 0.01, PASS),
        ("charge", "charge", -0.01, FAIL),
        ("discharge", "charge", 0.01, FAIL),
        ("charge", "charge", 0.0005, OPEN),  # half a step in 10 s tells nothing
    ],
)
def test_a_counter_moves_with_the_current(direction: str, counts: str, slope: float, verdict: Verdict) -> None:
    current_a = 36.0 if direction == "charge" else -36.0
    recorded = traces(reference_current=current_a, remaining=lambda t: 50.0 + slope * t)
    assert counter(recorded, direction, counts=counts).verdict is verdict


def test_a_counter_that_stands_still_while_charge_flows_is_frozen() -> None:
    measured = counter(traces(reference_current=36.0, remaining=50.0), "charge")  # 0.1 Ah in 10 s
    assert measured.verdict is FAIL
    assert "0.100 Ah have flowed" in measured.hint


def test_a_counter_that_could_not_have_moved_is_not_judged() -> None:
    parameters = {"signal": "remaining", "direction": "charge", "resolution": 0.01, **WINDOW}
    small = traces(reference_current=1.0, remaining=50.0)  # 0.003 Ah
    assert "did not move" in undecided("counter_direction", small, unit="Ah", **parameters)
    soc = traces(reference_current=36.0, remaining=50.0)
    assert "did not move" in undecided("counter_direction", soc, unit="%", **parameters)
    rest = traces(reference_current=0.0, remaining=lambda t: t)
    assert "not charging" in undecided("counter_direction", rest, unit="Ah", **parameters)


@pytest.mark.parametrize(
    ("shape", "expected", "verdict"),
    [
        (1.0, True, PASS),
        (0.0, False, PASS),
        (0.0, True, FAIL),
        (1.0, False, FAIL),
        (lambda t: float(not 14.95 < t < 15.05), True, FAIL),  # one reading is enough
        (lambda t: float(14.95 < t < 15.05), False, FAIL),
    ],
)
def test_a_state_flag_holds_all_through_the_window(shape: Shape, expected: bool, verdict: Verdict) -> None:
    assert one("state_flag", traces(charging=shape), signal="charging", expected=expected, **WINDOW).verdict is verdict


def test_flags_that_stay_low_are_quiet_and_one_that_blinks_is_not() -> None:
    recorded = traces(a=0.0, b=lambda t: float(14.95 < t < 15.05))
    rows = judge("stays_quiet", recorded, DecisionRule(), {"flags": ["a", "b"], **WINDOW})
    assert [row.verdict for row in rows] == [PASS, FAIL]


def test_a_flag_that_nobody_hears_is_not_quiet() -> None:
    recorded = thinned(traces(a=0.0), "bms.a", lambda t: t < 12.0)
    [silent] = judge("stays_quiet", recorded, DecisionRule(), {"flags": ["a"], **WINDOW})
    assert silent.verdict is FAIL
    assert "not proven" in undecided("stays_quiet", traces(proven=None, a=0.0), flags=["b"], **WINDOW)
    assert judge("stays_quiet", traces(), DecisionRule(), {"flags": ["b"], **WINDOW})[0].verdict is FAIL


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("current_direction", {"direction": "charge", "reference_u_a": U_A}),
        ("power_direction", {"accuracy": ACCURACY, "reference_u_a": U_A}),
        ("counter_direction", {"direction": "charge", "resolution": 0.01, "unit": "Ah"}),
        ("state_flag", {"expected": True}),
        ("dead_band", {"limit_a": 0.5, "lag_s": 0.3, "reference_u_a": U_A}),
        ("reversal", {"to_direction": "charge", "zero_a": 1.0, "allowed_s": 0.8, "period_s": 0.1}),
        (
            "follows_ramp",
            {"accuracy": ACCURACY, "lag_s": 0.3, "span_a": 8.0, "reference_u_a": U_A},
        ),
    ],
)
def test_a_silent_bms_fails_every_judgement_that_needs_to_hear_it(name: str, parameters: Tree) -> None:
    silent = traces(reference_current=20.0, pack_side_voltage=53.0)
    measured = one(name, silent, signal="pack_current", **parameters, **WINDOW)
    assert measured.verdict is FAIL
    assert "silent" in measured.hint
    unproven = traces(proven=None, reference_current=20.0, pack_side_voltage=53.0)
    assert "not proven" in undecided(name, unproven, signal="pack_current", **parameters, **WINDOW)


# -- around zero ---------------------------------------------------------------------------------------------------


def ramp(t: float) -> float:
    """From -5 A at 10 s to +5 A at 20 s."""
    return t - 15.0


def band(recorded: Traces, limit_a: float = 0.5, lag_s: float = 0.0) -> Measurement:
    return one(
        "dead_band", recorded, signal="pack_current", limit_a=limit_a, lag_s=lag_s, reference_u_a=U_A, **WINDOW
    )  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "verdict", "largest_a"),
    [
        (ramp, PASS, 0.0),
        (lambda t: 0.0 if abs(ramp(t)) < 0.35 else ramp(t), PASS, 0.3),
        (lambda t: 0.0 if abs(ramp(t)) < 0.95 else ramp(t), FAIL, 0.9),
        (lambda t: ramp(t) + 0.75, FAIL, 0.7),  # an offset reads the wrong sign up to its own size
        (lambda t: -ramp(t), FAIL, 5.0),
        (0.0, FAIL, 5.0),
        (lambda t: abs(ramp(t)), FAIL, 5.0),
    ],
)
def test_beyond_the_dead_band_the_sign_is_right(shape: Shape, verdict: Verdict, largest_a: float) -> None:
    measured = band(traces(reference_current=ramp, pack_current=shape))
    assert measured.verdict is verdict
    assert measured.value.value == pytest.approx(largest_a, abs=0.01)
    assert (measured.hint == "") == (verdict is PASS)


def test_a_reading_as_old_as_its_period_is_forgiven_around_zero() -> None:
    late = traces(reference_current=ramp, pack_current=lambda t: ramp(t - 0.75))
    assert band(late).verdict is FAIL
    assert band(late, lag_s=0.8).verdict is PASS


@pytest.mark.parametrize("shape", [0.0, 0.4, lambda t: 0.08 * ramp(t)])
def test_a_ramp_that_never_left_the_dead_band_asks_nothing(shape: Shape) -> None:
    text = undecided(
        "dead_band", traces(reference_current=shape, pack_current=shape),
        signal="pack_current", limit_a=0.5, lag_s=0.3, reference_u_a=U_A, **WINDOW,
    )  # fmt: skip
    assert "beyond 0.50 A its sign is asked for" in text


def step(at_s: float, before: float, after: float) -> Callable[[float], float]:
    return lambda t: before if t < at_s - 1e-6 else after


def follow(
    recorded: Traces, to_direction: str = "charge", begin_s: float = 10.0, allowed_s: float = 0.8
) -> Measurement:
    return one(
        "reversal", recorded, signal="pack_current", begin_s=begin_s, end_s=20.0,
        to_direction=to_direction, zero_a=1.0, allowed_s=allowed_s, period_s=0.1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("lag_s", "allowed_s", "verdict"),
    [(0.0, 0.8, PASS), (0.2, 0.8, PASS), (0.7, 0.8, PASS), (0.7, 0.77, OPEN), (0.8, 0.8, FAIL), (1.0, 0.8, FAIL)],
)
def test_the_sign_follows_a_reversal_in_time(lag_s: float, allowed_s: float, verdict: Verdict) -> None:
    """The reference shows the new direction at 12.0 s and not yet at 11.9 s: it reversed at 11.95 s ± 0.05 s."""
    recorded = traces(reference_current=step(12.0, -50.0, 50.0), pack_current=step(12.0 + lag_s, -50.0, 50.0))
    measured = follow(recorded, allowed_s=allowed_s)
    assert measured.verdict is verdict
    assert measured.value.value == pytest.approx(lag_s + 0.05, abs=1e-6)
    assert measured.value.expanded == pytest.approx(0.9545 * 0.05, rel=1e-4)


def test_a_window_may_begin_with_the_reversal_itself() -> None:
    recorded = traces(reference_current=step(12.0, 50.0, -50.0), pack_current=step(12.2, 50.0, -50.0))
    assert follow(recorded, "discharge", begin_s=11.99).verdict is PASS


def test_a_sign_that_never_follows_has_failed() -> None:
    measured = follow(traces(reference_current=step(12.0, -50.0, 50.0), pack_current=-50.0))
    assert measured.verdict is FAIL


@pytest.mark.parametrize("shape", [50.0, lambda t: abs(step(12.0, -50.0, 50.0)(t))])
def test_a_reading_that_always_shows_the_new_direction_follows_nothing(shape: Shape) -> None:
    measured = follow(traces(reference_current=step(12.0, -50.0, 50.0), pack_current=shape))
    assert measured.verdict is FAIL
    assert "already before the reversal" in measured.hint


@pytest.mark.parametrize(
    ("shape", "why"),
    [
        (50.0, "never showed discharging before"),
        (-50.0, "never showed charging after"),
        (step(12.0, 0.0, 50.0), "never showed discharging before"),
    ],
)
def test_what_is_no_reversal_is_not_judged(shape: Shape, why: str) -> None:
    text = undecided(
        "reversal", traces(reference_current=shape, pack_current=shape), signal="pack_current",
        to_direction="charge", zero_a=1.0, allowed_s=0.8, period_s=0.1, **WINDOW,
    )  # fmt: skip
    assert why in text


@pytest.mark.parametrize(
    ("shape", "verdict", "word"),
    [
        (ramp, PASS, ""),
        (lambda t: ramp(t - 0.2), PASS, ""),
        (lambda t: 1.005 * ramp(t) + 0.15, PASS, ""),
        (lambda t: max(-3.0, min(3.0, ramp(t))), FAIL, "read as"),  # saturates
        (lambda t: -ramp(t), FAIL, "sign inverted"),
        (0.0, FAIL, "reads zero"),
        (lambda t: ramp(t) if ramp(t) >= 0 else ramp(t) + 655.36, FAIL, "as unsigned"),
    ],
)
def test_a_reading_follows_the_whole_ramp(shape: Shape, verdict: Verdict, word: str) -> None:
    measured = one(
        "follows_ramp", traces(reference_current=ramp, pack_current=shape),
        signal="pack_current", accuracy=ACCURACY, lag_s=0.3, span_a=10.0, reference_u_a=U_A, **WINDOW,
    )  # fmt: skip
    assert measured.verdict is verdict
    assert word in measured.hint
    assert (measured.hint == "") == (verdict is PASS)


def test_a_ramp_over_less_than_the_range_asks_too_little() -> None:
    half = traces(reference_current=lambda t: 0.5 * ramp(t), pack_current=lambda t: 0.5 * ramp(t))
    assert "the ramp covered 5.3 A of 10.0 A" in undecided(
        "follows_ramp", half, signal="pack_current", accuracy=ACCURACY, lag_s=0.3, span_a=10.0, reference_u_a=U_A,
        **WINDOW,
    )  # fmt: skip


# -- the bench itself ----------------------------------------------------------------------------------------------


def test_witnesses_that_agree_pass_each_by_itself() -> None:
    seen = {"meter_a": -5.0, "instrument_a": -5.1, "voltage_change_v": -0.05, "noise_v": 0.001, "witness": "sink"}
    rows = judge("bench_agrees", Traces(), DecisionRule(), {"direction": "discharge", **seen})
    assert [row.verdict for row in rows] == [PASS, PASS, PASS]
    rows = judge("bench_agrees", Traces(), DecisionRule(), {"direction": "charge", **seen})
    assert [row.verdict for row in rows] == [FAIL, FAIL, FAIL]
    with pytest.raises(Inconclusive, match="exactly nothing"):
        judge("bench_agrees", Traces(), DecisionRule(), {"direction": "discharge", **seen, "instrument_a": 0.0})


def test_a_reference_at_rest_reads_zero_or_judges_nothing() -> None:
    limits = {"limit_a": 0.2, "reference_u_a": 0.02, **WINDOW}
    assert one("reference_zero", traces(reference_current=0.01), **limits).verdict is PASS
    assert one("reference_zero", traces(reference_current=0.19), **limits).verdict is OPEN
    assert "although nothing is driven" in undecided("reference_zero", traces(reference_current=-0.3), **limits)


def test_a_judgement_over_nothing_is_no_pass() -> None:
    with pytest.raises(Inconclusive, match="nothing judged is no pass"):
        judge("stays_quiet", Traces(), DecisionRule(), {"flags": [], "begin_s": 0.0, "end_s": 1.0})


def test_every_module_with_judgements_is_registered_from_the_start() -> None:
    folder = Path(bench.judgements.__file__).parent
    having = {path.stem for path in folder.glob("*.py") if re.search(r"^@judgement$", path.read_text("utf-8"), re.M)}
    code = "import bench.judgements as j; j.register_all(); print(*{f.__module__ for f in j.REGISTRY.values()})"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert {name.removeprefix("bench.") for name in told.split()} == having
