"""Coverage against published tables, closed formulas and drawing at random (JCGM 100 and 101), never against itself."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from bench.errors import OutOfRange
from bench.gum import PROBABILITY, effective_dof, rectangular_half_width, student_k, tur
from bench.propagation import Input, propagate
from bench.uncertainty import Accuracy, Budget, Contribution, Uncertain, difference, of_readings

INFINITE = math.inf


@pytest.mark.parametrize(
    ("dof", "k"),
    [(1, 13.97), (2, 4.53), (3, 3.31), (4, 2.87), (5, 2.65), (6, 2.52), (7, 2.43), (8, 2.37), (9, 2.32), (10, 2.28),
     (15, 2.18), (20, 2.13), (30, 2.09), (50, 2.05), (INFINITE, 2.00)],
)  # fmt: skip
def test_students_t_for_95_45_percent_is_that_of_the_published_table(dof: float, k: float) -> None:
    """JCGM 100, table G.2."""
    assert student_k(dof) == pytest.approx(k, abs=0.0051)


@pytest.mark.parametrize(
    ("dof", "t95", "t99"),
    [(1, 12.706, 63.657), (2, 4.303, 9.925), (5, 2.571, 4.032), (10, 2.228, 3.169), (30, 2.042, 2.750),
     (120, 1.980, 2.617), (INFINITE, 1.960, 2.576)],
)  # fmt: skip
def test_students_t_for_95_and_99_percent(dof: float, t95: float, t99: float) -> None:
    assert student_k(dof, 0.95) == pytest.approx(t95, abs=6e-4)
    assert student_k(dof, 0.99) == pytest.approx(t99, abs=6e-4)


@pytest.mark.parametrize(("dof", "probability"), [(0.0, 0.95), (-1.0, 0.95), (math.nan, 0.95), (5.0, 0.0), (5.0, 1.0)])
def test_no_degrees_of_freedom_have_no_quantile(dof: float, probability: float) -> None:
    with pytest.raises(ValueError, match="Student's t needs"):
        student_k(dof, probability)


def test_welch_and_satterthwaite_on_the_published_example() -> None:
    """JCGM 100, G.4.1: 0.25, 0.57 and 0.82 % from 10, 5 and 15 readings give 19.0 degrees of freedom."""
    assert effective_dof([(0.25, 9), (0.57, 4), (0.82, 14)]) == pytest.approx(19.0, abs=0.1)
    assert effective_dof([(1.0, INFINITE), (0.0, 3)]) == INFINITE
    assert effective_dof([]) == INFINITE


def test_a_rectangle_alone_needs_less_than_its_limits_and_a_normal_one_two_standard_deviations() -> None:
    assert rectangular_half_width(1.0, 0.0, 0.95) == pytest.approx(0.95)
    assert rectangular_half_width(2.0, 0.0) == pytest.approx(2 * 0.9545, rel=1e-4)
    assert rectangular_half_width(0.0, 3.0) == pytest.approx(6.0)
    assert rectangular_half_width(0.0, 0.0) == 0.0
    assert rectangular_half_width(1.0, 1e-6) == pytest.approx(rectangular_half_width(1.0, 0.0), rel=1e-5)
    assert rectangular_half_width(1e-3, 1.0) == pytest.approx(2.0, rel=1e-5)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 1.0])
def test_two_rectangles_are_a_trapezoid(share: float) -> None:
    """Its tails are triangles: P(|x| > t) = (a + b - t)² / 4ab for t beyond a - b."""
    exact = 1.0 + share - math.sqrt((1.0 - PROBABILITY) * 4.0 * share)
    if exact >= 1.0 - share:
        assert rectangular_half_width(1.0, 0.0, second=share) == pytest.approx(exact, rel=1e-6)
    assert rectangular_half_width(1.0, 0.0, 0.99, second=1.0) == pytest.approx(1.8, rel=1e-6)
    assert rectangular_half_width(1.0, 1e-3, second=share) == pytest.approx(
        rectangular_half_width(1.0, 0.0, second=share), rel=1e-3
    )


def test_a_very_narrow_second_rectangle_changes_nothing() -> None:
    plain = rectangular_half_width(1.0, 0.2)
    assert rectangular_half_width(1.0, 0.2, second=1e-5) == pytest.approx(plain, rel=1e-6)
    assert rectangular_half_width(1.0, 0.2, second=1e-3) == pytest.approx(plain, rel=1e-4)


def quantile(draw: Callable[[], float], count: int, probability: float = PROBABILITY) -> float:
    drawn = sorted(abs(draw()) for _ in range(count))
    return drawn[math.ceil(probability * count) - 1]


@pytest.mark.parametrize("normal", [0.1, 0.3, 0.6, 1.0])
def test_a_blurred_rectangle_covers_what_drawing_says(normal: float) -> None:
    chance = random.Random(f"blurred {normal}")
    drawn = quantile(lambda: chance.uniform(-1, 1) + chance.gauss(0, normal), 40_000)
    assert rectangular_half_width(1.0, normal) == pytest.approx(drawn, rel=0.015)


@pytest.mark.parametrize("seed", range(12))
def test_any_budget_is_neither_too_narrow_nor_padded_against_drawing(seed: int) -> None:
    """Up to four rectangles, a triangle and a normal one of random size: JCGM 101 is the witness."""
    chance = random.Random(f"budget {seed}")
    size = [10 ** chance.uniform(-1, 1) for _ in range(6)]
    lines = [Contribution.within(f"limit {n}", size[n], "rectangular") for n in range(1 + seed % 4)]
    lines += [Contribution.within("triangle", size[4], "triangular"), Contribution("normal", size[5] / 4)]
    budget = Budget("V", tuple(lines))

    def draw() -> float:
        error = sum(chance.uniform(-size[n], size[n]) for n in range(1 + seed % 4))
        return error + chance.triangular(-size[4], size[4], 0.0) + chance.gauss(0.0, size[5] / 4)

    drawn = quantile(draw, 20_000)
    assert 0.985 <= budget.expanded / drawn <= 1.08


def test_k_is_two_unless_few_readings_or_one_rectangle_say_otherwise() -> None:
    normal, flat = Contribution("a", 1.0), Contribution.within("b", math.sqrt(3), "rectangular")
    assert Budget("V", (normal, flat)).coverage == 2.0  # the rectangle is as large as the rest, not larger
    assert Budget("V", (normal, Contribution.within("b", 3 * math.sqrt(3), "rectangular"))).coverage < 1.8
    few = Budget("V", (Contribution("mean of 5", 1.0, dof=4),))
    assert few.expanded == pytest.approx(2.87, abs=0.005)
    assert few.dof == 4
    assert Budget("V").expanded == 0.0


def test_few_readings_beside_a_dominating_rectangle_widen_it() -> None:
    flat = Contribution.within("limit", 1.0, "rectangular")
    few, many = (Budget("V", (flat, Contribution("mean", 0.3, dof=dof))).expanded for dof in (2, INFINITE))
    assert few > 1.2 * many


def test_a_value_keeps_its_standard_uncertainty_whatever_k_was() -> None:
    flat = Budget("V", (Contribution.within("limit", 1.0, "rectangular"),))
    value = flat.of(5.0)
    assert value.expanded == pytest.approx(0.9545, abs=1e-4)
    assert value.standard == pytest.approx(1 / math.sqrt(3))
    with pytest.raises(OutOfRange, match="no coverage factor"):
        Uncertain(1.0, 0.1, "V", 0.0)


# -- readings ------------------------------------------------------------------------------------------------------


def test_readings_that_scatter_average_their_steps_away_and_quiet_ones_do_not() -> None:
    quiet = of_readings("BMS", [5.0, 5.0, 5.0], 0.1)
    assert [line.name for line in quiet] == ["BMS, spread of the mean of 3", "BMS, resolution"]
    assert quiet[1].standard == pytest.approx(0.1 / math.sqrt(12))
    [loud] = of_readings("BMS", [4.9, 5.0, 5.1, 5.2], 0.1)
    assert loud.dof == 3
    assert loud.standard == pytest.approx(0.1290994 / 2)


def test_dithered_steps_really_average_away() -> None:
    """The mean of 400 readings in steps of 1 with noise of half a step is off by far less than 1 / sqrt(12)."""
    chance = random.Random("dither")
    errors = []
    for _ in range(200):
        true = chance.uniform(0, 1)
        errors.append(sum(round(true + chance.gauss(0, 0.5)) for _ in range(400)) / 400 - true)
    assert math.sqrt(sum(error**2 for error in errors) / len(errors)) < 0.12 / math.sqrt(12)


# -- propagation and correlation -----------------------------------------------------------------------------------


def test_propagation_finds_the_sensitivities_of_the_worked_example() -> None:
    """Metrology reference 6.3: c_V = 1/R = 2000 A/V, c_R = -V/R² = -100 kA/ohm at 25 mV and 0.5 mohm."""
    value, budget = propagate(
        lambda volts, ohm: volts / ohm,
        {"volts": Input(0.025, 4.75e-6, "rectangular"), "ohm": Input(0.0005, 1e-7)},
        "A",
    )
    assert value == pytest.approx(50.0)
    volts, ohm = budget.contributions
    assert volts.sensitivity == pytest.approx(2000.0, rel=1e-6)
    assert ohm.sensitivity == pytest.approx(-100_000.0, rel=1e-6)
    assert 1000 * volts.standard == pytest.approx(5.5, abs=0.05)
    assert 1000 * ohm.standard == pytest.approx(5.0, abs=0.01)


def test_a_model_without_a_value_is_refused() -> None:
    with pytest.raises(OutOfRange, match="no finite value"):
        propagate(lambda x: math.inf * x, {"x": Input(1.0, 0.1)}, "A")


def test_correlated_inputs_add_before_they_are_squared() -> None:
    """JCGM 100, 5.2.2, example: ten resistors of 1000 ohm calibrated against one standard of 100 mohm: 1 ohm."""
    together = {f"r{n}": Input(1000.0, 0.2, source="standard") for n in range(10)}
    _, budget = propagate(lambda **ohms: sum(ohms.values()), together, "ohm")
    assert budget.standard == pytest.approx(1.0, rel=1e-6)
    apart = {name: Input(1000.0, 0.2) for name in together}
    _, loose = propagate(lambda **ohms: sum(ohms.values()), apart, "ohm")
    assert loose.standard == pytest.approx(0.316, abs=0.001)


def test_gain_error_cancels_in_a_difference_and_zero_error_in_a_sum_of_opposite_readings() -> None:
    meter = Accuracy(reading_pct=1.0, offset=0.1)
    plus, minus = (Budget("V", meter.contributions(value, "meter", apart=True)) for value in (10.0, -10.0))
    # (x - y) / 2 keeps the gain error of 10 V and loses the zero; (x + y) / 2 the other way round
    gain = difference("V", plus, minus, 0.5, -0.5)
    zero = difference("V", plus, minus, 0.5, 0.5)
    assert gain.standard == pytest.approx(0.1 / math.sqrt(3))
    assert zero.standard == pytest.approx(0.1 / math.sqrt(3))
    wide = Budget("V", Accuracy(reading_pct=1.0, offset=0.3).contributions(10.0, "meter", apart=True))
    assert difference("V", wide, wide).standard == 0.0


@pytest.mark.parametrize(
    ("low", "high", "value", "expanded", "ratio"),
    [
        (-0.2, 0.2, 0.0, 0.05, 4.0),
        (None, 11.0, 10.0, 0.5, 2.0),
        (9.0, None, 10.0, 0.5, 2.0),
        (0.0, 1.0, 0.5, 0.0, math.inf),
    ],
)
def test_the_test_uncertainty_ratio(
    low: float | None, high: float | None, value: float, expanded: float, ratio: float
) -> None:
    assert tur(low, high, value, expanded) == pytest.approx(ratio)


def test_no_limit_has_no_ratio() -> None:
    with pytest.raises(ValueError, match="needs a limit"):
        tur(None, None, 0.0, 1.0)
