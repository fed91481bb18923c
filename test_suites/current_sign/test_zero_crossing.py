"""CS-DEAD, CS-RAMP, CS-REV and CS-SAT: around zero, over the range, through zero, at the end of the envelope."""

from __future__ import annotations

import pytest

from bench import stimulus
from bench.procedures import (
    largest_quiet_a,
    set_accuracy_a,
    settle_time_s,
    sign_current_a,
    watch,
)
from bench.quantities import Direction
from bench.verdict import sign_levels

RAMP_S = 40.0
RAMP_STEP_S = 0.5
REVERSAL_S = 3.0


@pytest.mark.parametrize("direction", ["charge", "discharge"])
@pytest.mark.case(id="CS-DEAD", function="current sign", severity="normal")
def test_small_currents_have_the_right_sign(stand, expect, profile, direction):
    """On a slow {direction} ramp from zero the sign is right as soon as the dead band ends"""
    way = Direction.of(direction)
    signal = _signed_current(profile)
    top_a = sign_current_a(stand, way, "smallest") + 0.02 * profile.bms.measuring_range_a
    begin_s = stand.clock.now()
    stand.progress(f"ramp from 0 to {top_a:.1f} A {direction} in {RAMP_S:.0f} s")
    try:
        stimulus.force(stand, way.sign * top_a / 20)
        stimulus.ramp(stand, way.sign * top_a / 20, way.sign * top_a, duration_s=RAMP_S, step_s=RAMP_STEP_S)
        end_s = stand.clock.now()
    finally:
        stimulus.release(stand)
    u_a = stand.reference.current_uncertainty(top_a)
    promised_a = signal.accuracy_si(0.0) or 0.0
    dead_a = signal.dead_band * signal.about.factor
    resolution_a = signal.accuracy.resolution * signal.about.factor if signal.accuracy else 0.0
    step_a = top_a * RAMP_STEP_S / RAMP_S
    expect(
        "dead_band",
        signal="pack_current",
        begin_s=begin_s,
        end_s=end_s,
        limit_a=dead_a + promised_a + resolution_a + step_a,
        lag_s=settle_time_s(profile, ("pack_current",)),
        reference_u_a=u_a,
    )


@pytest.mark.parametrize("direction", ["charge", "discharge"])
@pytest.mark.case(id="CS-RAMP", function="current sign", severity="critical")
def test_the_reading_follows_a_ramp_over_the_range(stand, expect, profile, direction):
    """On a {direction} ramp up to the largest quiet current every reading keeps sign and promised accuracy"""
    way = Direction.of(direction)
    top_a = 0.98 * largest_quiet_a(stand, way)
    low_a = sign_current_a(stand, way, "smallest")
    signals = tuple(
        name
        for name, signal in profile.signals.items()
        if signal.quantity == "current" and signal.positive_direction is not None and signal.accuracy is not None
    )
    if not signals:
        pytest.skip(f"profile {profile.name} promises no accuracy for a current")
    stand.progress(f"ramp from {low_a:.1f} to {top_a:.1f} A {direction} in {RAMP_S:.0f} s")
    try:
        stimulus.force(stand, way.sign * low_a)
        stimulus.settle(stand, way.sign * low_a)
        begin_s = stand.clock.now()
        stimulus.ramp(stand, way.sign * low_a, way.sign * top_a, duration_s=RAMP_S, step_s=RAMP_STEP_S)
        end_s = stand.clock.now()
    finally:
        stimulus.release(stand)
    for name in signals:
        expect(
            "follows_ramp",
            signal=name,
            begin_s=begin_s + settle_time_s(profile, (name,)),
            end_s=end_s,
            accuracy=profile.signals[name].accuracy_parameters(),
            lag_s=settle_time_s(profile, (name,)),
            span_a=top_a - low_a,
            reference_u_a=stand.reference.current_uncertainty(top_a),
        )


@pytest.mark.parametrize("to_direction", ["charge", "discharge"])
@pytest.mark.case(id="CS-REV", function="current sign", severity="critical")
def test_the_sign_follows_a_reversal(stand, expect, profile, to_direction):
    """After a reversal to {to_direction} the reported sign follows, and no flag rises"""
    way = Direction.of(to_direction)
    levels = [sign_levels(profile.bms.measuring_range_a, largest_quiet_a(stand, one), 0.0)[2] for one in Direction]
    level_a = min(levels) * 0.5 / 0.8  # 50 % of the span of which 80 % is the highest sign level
    signal = _signed_current(profile)
    flags = sorted({row.flag for row in profile.protections if row.flag is not None})
    with stimulus.holding(stand, -way.sign * level_a):
        begin_s = watch(stand, ("pack_current",)).begin_s
        stand.mark("reversal", f"to {to_direction}")
        stimulus.force(stand, way.sign * level_a)
        stimulus.settle(stand, way.sign * level_a)
        stand.clock.sleep(REVERSAL_S)
        end_s = stand.clock.now()
    zero_a = 2 * (signal.accuracy_si(0.0) or 0.0) + 3 * stand.reference.current_uncertainty(0.0)
    expect(
        "reversal",
        signal="pack_current",
        begin_s=begin_s,
        end_s=end_s,
        to_direction=to_direction,
        zero_a=zero_a + set_accuracy_a(stand, way),
        allowed_s=settle_time_s(profile, ("pack_current",)),
        period_s=signal.period_s,
    )
    if flags:
        expect("stays_quiet", flags=flags, begin_s=begin_s, end_s=end_s)


@pytest.mark.parametrize("direction", ["charge", "discharge"])
@pytest.mark.case(id="CS-SAT", function="current sign", severity="critical")
def test_the_largest_quiet_current_neither_wraps_nor_saturates(stand, expect, profile, direction):
    """At the largest quiet {direction} current the reading neither wraps, saturates nor changes sign"""
    way = Direction.of(direction)
    level_a = 0.98 * largest_quiet_a(stand, way)
    spec = _signed_current(profile).accuracy_parameters()
    with stimulus.holding(stand, way.sign * level_a):
        window = watch(stand, ("pack_current",))
    if spec is not None:
        expect("current_reading", signal="pack_current", accuracy=spec, **window.budgeted())
    expect("current_direction", signal="pack_current", direction=direction, **window.referred())


def _signed_current(profile):
    signal = profile.signals["pack_current"]
    if signal.positive_direction is None:
        pytest.skip(f"pack_current of profile {profile.name} is a magnitude: it promises no sign")
    return signal
