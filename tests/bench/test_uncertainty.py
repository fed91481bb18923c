"""Uncertainty against worked examples and closed formulas (JCGM 100, JCGM 106), never against itself."""

from __future__ import annotations

import math
import random

import pytest
from pydantic import ValidationError

from bench.definition_sections import ReferenceShunt
from bench.errors import OutOfRange
from bench.uncertainty import (
    Accuracy,
    Budget,
    Contribution,
    Uncertain,
    combine,
    effective_count,
    of_cycle,
    of_readings,
    of_repeats,
    of_resolution,
    rectangular,
)


def test_a_rectangular_limit_gives_a_over_root_three() -> None:
    assert rectangular(1.0) == pytest.approx(0.577350269)
    assert rectangular(-0.3) == pytest.approx(0.173205081)


def test_a_resolution_gives_q_over_root_twelve() -> None:
    assert of_resolution(0.01) == pytest.approx(0.00288675)


@pytest.mark.parametrize(
    ("period_s", "standard_ms", "expanded_ms"),
    [(0.001, 0.29, 0.6), (0.01, 2.9, 5.8), (0.02, 5.8, 11.5), (0.1, 29, 58), (0.25, 72, 144), (1.0, 290, 580)],
)
def test_an_event_in_a_cyclic_message_has_the_published_uncertainty(
    period_s: float, standard_ms: float, expanded_ms: float
) -> None:
    assert 1000 * of_cycle(period_s) == pytest.approx(standard_ms, rel=0.02)
    assert 2000 * of_cycle(period_s) == pytest.approx(expanded_ms, rel=0.05)


def test_repeats_give_the_spread_of_their_mean() -> None:
    # 1, 2, 3, 4, 5: s = sqrt(2.5), divided by sqrt(5)
    assert of_repeats([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(math.sqrt(0.5))
    with pytest.raises(ValueError, match="fewer than two"):
        of_repeats([1.0])


def test_contributions_add_in_quadrature() -> None:
    assert combine((3.0, 4.0)) == 5.0
    assert combine(()) == 0.0
    budget = Budget("A", (Contribution("a", 3.0), Contribution("b", 4.0)))
    assert (budget.standard, budget.expanded) == (5.0, 10.0)
    assert budget.as_rows() == [
        {"contribution": "a", "u": 3.0, "unit": "A"},
        {"contribution": "b", "u": 4.0, "unit": "A"},
    ]


def test_the_worked_budget_of_50_a_through_half_a_milliohm() -> None:
    """Published example: 5.0, 5.8, 5.8, 5.5 and 1.2 mA, with 2.0 mA repeatability 11.3 mA and U = 23 mA."""
    shunt = ReferenceShunt(
        ohm=0.0005,
        positive_means="charge",
        range_a=200.0,
        uncertainty_pct=0.02,
        drift_pct=0.02,
        tempco_ppm_per_k=20.0,
        temperature_span_k=10.0,
        thermal_emf_v=1e-6,
    )
    meter = Accuracy(reading_pct=0.005, range_pct=0.0035, range=0.1)
    budget = shunt.budget(50.0, meter)
    parts = {part.name: 1000 * part.standard for part in budget.contributions}
    assert parts == pytest.approx(
        {
            "shunt calibration": 5.0,
            "shunt drift": 5.8,
            "shunt temperature": 5.8,
            "thermo-electric voltage": 1.2,
            "meter": 5.5,
        },
        abs=0.06,
    )
    with_repeats = combine((budget.standard, 0.002))
    assert 1000 * with_repeats == pytest.approx(11.3, abs=0.05)
    assert 2000 * with_repeats == pytest.approx(23, abs=0.5)
    assert shunt.budget(-50.0, meter).expanded == budget.expanded


def test_the_read_back_of_a_load_at_20_a() -> None:
    """Published comparison: ± (0.05 % + 0.05 % of 30 A) at 20 A gives a = 25 mA, U = 29 mA."""
    load = Accuracy(reading_pct=0.05, range_pct=0.05, range=30.0)
    assert load.half_width(20.0) == pytest.approx(0.025)
    assert load.half_width(-20.0) == pytest.approx(0.025)
    assert load.expanded(20.0) == pytest.approx(0.029, abs=0.0002)


def test_a_multimeter_of_25_mv_in_its_100_mv_range() -> None:
    meter = Accuracy(reading_pct=0.005, range_pct=0.0035, range=0.1)
    assert meter.half_width(0.025) == pytest.approx(4.75e-6)


def test_offset_and_resolution_count_and_resolution_is_no_limit_of_error() -> None:
    spec = Accuracy(offset=0.2, resolution=0.12)
    assert spec.half_width(1e3) == 0.2
    assert spec.standard(0.0) == pytest.approx(math.hypot(0.2 / math.sqrt(3), 0.12 / math.sqrt(12)))


def test_a_share_of_an_unnamed_range_is_refused() -> None:
    with pytest.raises(ValidationError, match="range_pct needs the range"):
        Accuracy(range_pct=0.1)


@pytest.mark.parametrize(
    ("value", "expanded"), [(math.nan, 0.1), (math.inf, 0.1), (1.0, math.nan), (1.0, math.inf), (1.0, -0.1)]
)
def test_what_is_not_a_measurement_cannot_be_made_one(value: float, expanded: float) -> None:
    with pytest.raises(OutOfRange, match="is not a measurement"):
        Uncertain(value, expanded, "A")


def test_the_standard_uncertainty_is_half_the_expanded() -> None:
    assert Uncertain(1.0, 0.5, "A").standard == 0.25


def test_readings_that_follow_too_closely_are_worth_fewer() -> None:
    assert effective_count(10, 0.1, 0.0) == effective_count(10, 0.1, 0.1) == 10.0
    assert effective_count(10, 0.095, 0.1) == 10.0  # a message that comes a little early is a new one
    assert effective_count(11, 0.1, 1.0) == pytest.approx(2.0)  # 1 s of readings, new after 1 s
    assert effective_count(10, 0.01, 0.1) == pytest.approx(1.9)  # polled ten times in a period


def test_a_mean_of_filtered_readings_holds_its_interval_only_when_their_memory_is_counted() -> None:
    """First-order filtered noise, ten time constants long: counted as independent it would claim far too little."""
    chance, tau_s, step_s, count, runs = random.Random(5), 0.5, 0.1, 51, 1500
    follow = 1.0 - math.exp(-step_s / tau_s)
    held = {"counted": 0, "taken as independent": 0}
    for _ in range(runs):
        value, values = 0.0, []
        for index in range(count + 50):
            value += follow * (chance.gauss(0.0, 1.0) - value)
            if index >= 50:
                values.append(value)
        mean = sum(values) / count
        fresh = effective_count(count, step_s, 2.0 * tau_s)
        for name, independent in (("counted", fresh), ("taken as independent", None)):
            held[name] += abs(mean) <= Budget("A", of_readings("x", values, independent=independent)).expanded
    assert held["counted"] / runs >= 0.93
    assert held["taken as independent"] / runs < 0.8
