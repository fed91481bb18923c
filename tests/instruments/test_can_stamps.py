"""Stamps of an adapter become times of the bench's clock."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruments.transports.can_stamps import StampConverter


@pytest.mark.parametrize("stamp", [None, 0, 0.0])
def test_a_missing_stamp_means_the_time_of_reading(stamp: float | None) -> None:
    assert StampConverter().to_bench(stamp, 12.5) == 12.5


def test_a_frame_that_is_read_late_keeps_its_own_time() -> None:
    converter = StampConverter()
    assert converter.to_bench(1000.0, 5.0) == pytest.approx(5.0)
    assert converter.to_bench(1000.1, 5.25) == pytest.approx(5.1)


def test_two_clocks_that_drift_apart_are_followed() -> None:
    """200 ppm for two hours: without following, 1.4 s, and every value would be called stale."""
    converter = StampConverter()
    noise = random.Random(1)
    worst = 0.0
    for n in range(72_000):
        true_s = 0.1 * n
        read_s = true_s + noise.expovariate(1 / 0.002)
        worst = max(worst, abs(converter.to_bench(1e9 + true_s * (1 - 200e-6), read_s) - true_s))
    assert worst < 0.03


def test_a_clock_that_is_set_back_is_found_again() -> None:
    converter = StampConverter()
    for n in range(100):
        converter.to_bench(1000.0 + n, float(n))
    for n in range(100, 130):
        last = converter.to_bench(500.0 + n, float(n))
    assert last == pytest.approx(129.0)


@given(st.lists(st.tuples(st.floats(1, 1e10), st.floats(0, 1e6)), min_size=1, max_size=50))
def test_no_frame_comes_from_the_future(pairs: list[tuple[float, float]]) -> None:
    converter = StampConverter()
    for stamp_s, now_s in pairs:
        assert converter.to_bench(stamp_s, now_s) <= now_s
