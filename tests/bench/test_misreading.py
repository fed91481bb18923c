"""Misreadings: each class made by its published formula, and recognised; a hint is never made of nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.misreading import diagnose, in_one_line

LEVELS = (-60.0, -6.0, 6.0, 60.0)
R16 = 655.36  # 2^16 x 10 mA


def classes(read: Callable[[float], float], levels: tuple[float, ...] = LEVELS, tolerance_a: float = 0.3) -> set[str]:
    found = diagnose([(true_a, read(true_a)) for true_a in levels], tolerance_a)
    return {name for diagnosis in found for name in diagnosis.classes}


@pytest.mark.parametrize(
    ("name", "read", "levels"),
    [
        ("M01", lambda t: -t, LEVELS),
        ("M05", lambda t: -t, (6.0,)),
        ("M02", lambda t: t if t >= 0 else t + R16, LEVELS),
        ("M02", lambda t: t if t >= 0 else t + 6553.6, (-6.0,)),
        ("M34", lambda t: t if t >= 0 else t + 1310.72, LEVELS),  # 17 bits of 10 mA
        ("M17", abs, LEVELS),
        ("M20", lambda t: 1000.0 * t, LEVELS),
        ("M20", lambda t: 0.1 * t, LEVELS),
        ("M27", lambda t: 0.0, LEVELS),
        ("M16", lambda t: max(t, 0.0), (-60.0, -6.0)),
        ("M23", lambda t: t + 2.0, LEVELS),
        ("M07", lambda t: 400.0, (0.0,)),
    ],
)
def test_a_misreading_made_by_its_formula_is_recognised(
    name: str, read: Callable[[float], float], levels: tuple[float, ...]
) -> None:
    assert name in classes(read, levels)


def test_one_direction_cannot_tell_an_inverted_sign_from_a_lost_one_and_says_so_by_the_first() -> None:
    assert classes(lambda t: -t, (-60.0,)) == {"M01", "M05"}
    assert "M17" in classes(abs, (-60.0, 60.0))
    assert not {"M01", "M05"} & classes(abs, (-60.0, 60.0))


def test_an_odd_factor_at_one_level_asks_for_a_second() -> None:
    [found] = diagnose([(20.0, 27.0)], 0.3)
    assert found.text == "off by +7.00 A, factor 1.350: a second level would tell offset, gain and frozen apart"


def test_a_reading_at_rest_that_is_right_looks_like_nothing() -> None:
    assert diagnose([(0.0, 0.1)], 0.3) == []
    assert diagnose([], 0.3) == []


def test_a_hint_is_one_line_of_at_most_two_suspicions() -> None:
    assert in_one_line([]) == ""
    text = in_one_line(diagnose([(20.0, -20.0)], 0.3))
    assert text.startswith("looks like: magnitude fits, sign inverted")
    assert text.endswith("(M01, M05)")
    many = diagnose([(-20.0, 635.36)], 0.3)
    assert in_one_line(many * 3).count("; or ") == 1
