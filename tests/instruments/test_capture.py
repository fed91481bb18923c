"""Planning and cutting of a triggered recording, for any rate, length and share before the level."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import OutOfRange
from instruments.capture import plan_capture

LATENCY_S = 20e-6


@settings(deadline=None, max_examples=300)
@given(data=st.data(), rate_hz=st.sampled_from([1e3, 2e4, 1e5, 1e6]), count=st.integers(2, 3000), rising=st.booleans())
def test_the_ring_holds_what_was_asked_for_wherever_it_begins(
    data: st.DataObject, rate_hz: float, count: int, rising: bool
) -> None:
    before = data.draw(st.integers(0, count - 1))
    plan = plan_capture(
        "dut",
        rate_hz=rate_hz,
        duration_s=count / rate_hz,
        level_v=1.0,
        rising=rising,
        before_s=before / rate_hz,
        latency_s=LATENCY_S,
    )
    assert (plan.count, plan.before) == (count, before)
    assert plan.points % 100 == 0
    assert 1 <= plan.position_pct <= 99
    at = plan.trigger - data.draw(st.integers(-plan.slack, plan.slack), "latency in samples")
    low, high = (0.0, 2.0) if rising else (2.0, 0.0)
    values = [low] * at + [high] * (plan.points - at)
    turned = data.draw(st.integers(0, plan.points - 1), "ring")
    order = [*range(turned, plan.points), *range(turned)]
    waveform = plan.cut([values[index] for index in order], [index / rate_hz for index in order], "dut")
    assert waveform.values == (low,) * before + (high,) * (count - before)
    assert waveform.at_s(before) == pytest.approx(0.0, abs=1e-12)


def test_the_margin_stays_small_for_a_long_recording() -> None:
    plan = plan_capture(
        "dut", rate_hz=1e6, duration_s=0.09, level_v=0.0, rising=True, before_s=0.01, latency_s=LATENCY_S
    )
    assert plan.points <= 1.03 * 90_000


@pytest.mark.parametrize(
    ("duration_s", "before_s"), [(0.0, 0.0), (1e-3, 1e-3), (1e-3, -1e-6), (float("nan"), 0.0), (1e-3, float("nan"))]
)
def test_a_recording_without_a_sample_after_the_level_is_refused(duration_s: float, before_s: float) -> None:
    with pytest.raises(OutOfRange):
        plan_capture(
            "dut",
            rate_hz=1e5,
            duration_s=duration_s,
            level_v=0.0,
            rising=True,
            before_s=before_s,
            latency_s=LATENCY_S,
        )
