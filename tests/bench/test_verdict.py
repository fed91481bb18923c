"""Decision rules and stimulus levels against numbers from the documents and worked by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.evidence import Measurement, fact
from bench.protection import DelayWindow, Protection, Release
from bench.uncertainty import Uncertain
from bench.verdict import (
    DecisionRule,
    Limits,
    Verdict,
    abort_after_s,
    conformance_probability,
    hold_time_s,
    sign_levels,
    stimulus_levels,
)

GUARDED, SIMPLE, BINARY = DecisionRule("guarded"), DecisionRule("simple"), DecisionRule("binary")
PASS, FAIL, OPEN = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("share", "risk_pct"), [(0.0, 50.0), (0.5, 15.9), (0.83, 4.8), (1.0, 2.3), (1.5, 0.13)])
def test_the_false_accept_risk_at_a_guard_band_is_the_published_one(share: float, risk_pct: float) -> None:
    """JCGM 106: one-sided, normal, a result at the acceptance limit TU - share x U."""
    at_limit = Uncertain(10.0 - share * 0.2, 0.2, "A")
    risk = 1.0 - conformance_probability(at_limit, Limits(high=10.0))
    assert 100 * risk == pytest.approx(risk_pct, abs=0.06)


def test_the_conformance_between_two_limits_is_the_difference_of_two_tails() -> None:
    # u = 1, limits at -1 and +2 around the result: Phi(2) - Phi(-1) = 0.97725 - 0.15866
    assert conformance_probability(Uncertain(0.0, 2.0, "A"), Limits(-1.0, 2.0)) == pytest.approx(0.81859, abs=1e-5)
    assert conformance_probability(Uncertain(1.0, 0.0, "A"), Limits(low=1.0)) == 1.0
    assert conformance_probability(Uncertain(0.9, 0.0, "A"), Limits(low=1.0)) == 0.0


@pytest.mark.parametrize(
    ("value", "guarded", "simple", "binary"),
    [
        # limits 9 to 11, U = 0.25
        (10.0, PASS, PASS, PASS),
        (10.75, PASS, PASS, PASS),  # inside by exactly U
        (10.8, OPEN, PASS, FAIL),
        (11.0, OPEN, PASS, FAIL),
        (11.1, OPEN, FAIL, FAIL),
        (11.25, OPEN, FAIL, FAIL),  # outside by exactly U is not more than U
        (11.3, FAIL, FAIL, FAIL),
        (9.25, PASS, PASS, PASS),
        (8.8, OPEN, FAIL, FAIL),
        (8.7, FAIL, FAIL, FAIL),
        (-10.0, FAIL, FAIL, FAIL),
    ],
)
def test_each_rule_says_what_it_says(value: float, guarded: Verdict, simple: Verdict, binary: Verdict) -> None:
    found = Uncertain(value, 0.25, "A")
    limits = Limits.around(10.0, 1.0)
    assert [rule.judge(found, limits).verdict for rule in (GUARDED, SIMPLE, BINARY)] == [guarded, simple, binary]


def test_an_uncertainty_wider_than_the_tolerance_never_passes() -> None:
    assert GUARDED.judge(Uncertain(10.0, 1.1, "A"), Limits.around(10.0, 1.0)).verdict is OPEN
    assert BINARY.judge(Uncertain(10.0, 1.1, "A"), Limits.around(10.0, 1.0)).verdict is FAIL


def test_a_judgement_says_on_which_side_and_how_probably() -> None:
    text = GUARDED.judge(Uncertain(10.9, 0.2, "A"), Limits(high=11.0)).text
    assert text == "inside the limits by less than U, 84.1 % likely to conform"  # Phi(1) = 0.8413
    text = GUARDED.judge(Uncertain(11.1, 0.2, "A"), Limits(high=11.0)).text
    assert text == "outside the limits by less than U, 15.9 % likely to conform"
    assert "outside the limits by at least U" in GUARDED.judge(Uncertain(12.0, 0.2, "A"), Limits(high=11.0)).text


@given(st.floats(-100, 100), st.floats(0, 10), st.floats(-50, 50), st.floats(0, 20), st.sampled_from([GUARDED, BINARY]))
def test_a_guarded_pass_is_at_least_97_percent_sure(
    value: float, expanded: float, centre: float, tolerance: float, rule: DecisionRule
) -> None:
    """Inside by U on one side leaves 2.3 % at most; on both sides at once twice that."""
    judged = rule.judge(Uncertain(value, expanded, "A"), Limits.around(centre, tolerance))
    if judged.verdict is PASS:
        assert judged.conformance >= 1 - 2 * 0.02276
        assert abs(value - centre) <= tolerance + 1e-9
    if judged.verdict is FAIL and rule is GUARDED:
        assert abs(value - centre) >= tolerance - 1e-9


def test_limits_need_a_side_and_the_right_way_round() -> None:
    with pytest.raises(ValueError, match="at least one side"):
        Limits()
    with pytest.raises(ValueError, match="wrong way round: 2 to 1"):
        Limits(2.0, 1.0)
    assert [str(limits) for limits in (Limits(high=2.0), Limits(low=1.0), Limits(1.0, 2.0))] == [
        "at most 2",
        "at least 1",
        "1 to 2",
    ]


# -- levels --------------------------------------------------------------------------------------------------------


def row(threshold: float = 110.0, tolerance: float = 2.0) -> Protection:
    return Protection(
        name="discharge_1",
        kind="discharge_overcurrent",
        threshold=threshold,
        tolerance=tolerance,
        delay_s=DelayWindow(min=9.0, max=11.0),
        opens=("discharge",),
        release=Release(kind="time", after_s=32.0),
    )


def test_levels_by_hand() -> None:
    levels = stimulus_levels(row(), 0.1)
    assert levels.must_not_trip == pytest.approx(107.9)  # 110 - 2 - 0.1
    assert levels.must_trip == pytest.approx(115.5)  # 1.05 x 110 is more than 112.1


def test_with_a_wide_tolerance_the_threshold_counts_and_not_its_twentieth() -> None:
    assert stimulus_levels(row(tolerance=8.0), 0.5).must_trip == pytest.approx(118.5)


def test_ripple_widens_both_levels() -> None:
    levels = stimulus_levels(row(), 0.1, ripple=1.0)
    assert (levels.must_not_trip, levels.must_trip) == pytest.approx((106.9, 116.5))


def test_a_threshold_in_milliamperes_has_levels_in_amperes() -> None:
    levels = stimulus_levels(row(110_000.0, 2000.0).model_copy(update={"unit": "mA"}), 0.1)
    assert (levels.must_not_trip, levels.must_trip) == pytest.approx((107.9, 115.5))


def test_the_quiet_level_is_held_for_twice_the_longest_delay() -> None:
    assert hold_time_s(row()) == 22.0


def test_the_abort_comes_after_a_fifth_more_than_the_longest_delay_and_its_uncertainty() -> None:
    assert abort_after_s(row(), 0.0) == pytest.approx(13.2)
    assert abort_after_s(row(), 0.5) == pytest.approx(13.8)


def test_sign_levels_are_of_the_smaller_of_range_and_what_stays_quiet() -> None:
    assert sign_levels(100.0, 200.0, 0.5) == pytest.approx((0.5, 10.0, 80.0))
    assert sign_levels(150.0, 100.0, 0.5) == pytest.approx((0.5, 9.5, 76.0))


# -- evidence ------------------------------------------------------------------------------------------------------


def reading(value: float, hint: str = "looks like: an offset", rule: DecisionRule = GUARDED) -> Measurement:
    return Measurement(
        name="pack_current while charging",
        value=Uncertain(value, 0.2, "A"),
        limits=Limits.around(20.0, 1.0),
        rule=rule,
        source="bms.pack_current",
        reference="meter +20.003 A",
        hint=hint,
    )


def test_a_failed_sentence_says_value_expectation_uncertainty_reference_and_what_it_looks_like() -> None:
    assert reading(-20.04).sentence() == (
        "pack_current while charging: -20.04 A ± 0.20 A, expected +19 to +21 A (reference: meter +20.003 A)\n"
        "looks like: an offset"
    )


def test_a_hint_never_appears_on_a_pass() -> None:
    assert "looks like" not in reading(20.1).sentence()
    assert reading(20.1).as_dict()["hint"] == ""
    assert reading(20.95, rule=SIMPLE).as_dict()["hint"] == ""
    assert reading(20.95).as_dict()["hint"] == "looks like: an offset"


def test_a_record_holds_everything_a_report_needs() -> None:
    record = reading(20.1).as_dict()
    assert record["verdict"] == "pass"
    assert (record["value"], record["expanded_uncertainty"], record["unit"]) == (20.1, 0.2, "A")
    assert (record["low"], record["high"], record["rule"]) == (19.0, 21.0, "guarded")
    assert (record["source"], record["reference"]) == ("bms.pack_current", "meter +20.003 A")


@pytest.mark.parametrize(
    ("found", "expected", "verdict", "words"),
    [
        (True, True, PASS, "flag rises: yes, expected yes"),
        (False, False, PASS, "flag rises: no, expected no"),
        (True, False, FAIL, "flag rises: yes, expected no"),
        (False, True, FAIL, "flag rises: no, expected yes"),
    ],
)
@pytest.mark.parametrize("rule", [GUARDED, SIMPLE, BINARY])
def test_a_fact_is_a_measurement_without_doubt(
    found: bool, expected: bool, verdict: Verdict, words: str, rule: DecisionRule
) -> None:
    measured = fact("flag rises", found, expected, rule=rule)
    assert measured.verdict is verdict
    assert measured.sentence() == words
