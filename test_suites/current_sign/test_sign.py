"""CS-SIGN and CS-ZERO: the BMS tells which way the current flows, in every signal that carries a sign."""

from __future__ import annotations

import pytest

from bench import stimulus
from bench.procedures import sign_current_a, watch
from bench.quantities import Direction

DIRECTIONS = pytest.mark.parametrize("direction", ["charge", "discharge"])
ONE_WAY = {"charged_charge": Direction.CHARGE, "discharged_charge": Direction.DISCHARGE}  # counters of one direction
COUNTER_STEPS = 5  # a counter must be able to move this many of its own steps in the time given
COUNTER_LIMIT_S = 120.0


@pytest.mark.case(id="CS-ZERO", function="current sign", severity="critical")
def test_no_current_is_reported_as_none(stand, expect, profile):
    """At rest the reported current is zero within its accuracy"""
    signals = _currents(profile)
    window = watch(stand, signals, at_least_s=10.0)
    promised = {signal: _accuracy(profile, signal) for signal in signals}
    if not any(promised.values()):
        pytest.skip(f"profile {profile.name} promises no accuracy for {', '.join(signals)}")
    for signal, spec in promised.items():
        if spec is not None:
            expect("current_reading", signal=signal, accuracy=spec, **window.budgeted())


@DIRECTIONS
@pytest.mark.parametrize("magnitude", ["smallest", "10pct", "80pct"])
@pytest.mark.case(id="CS-SIGN", function="current sign", severity="critical")
def test_current_is_reported_in_its_direction(stand, expect, profile, direction, magnitude):
    """A {direction} current is reported as {direction}, and by the right amount ({magnitude} level)"""
    way = Direction.of(direction)
    signals = _currents(profile)
    current_a = way.sign * sign_current_a(stand, way, magnitude)
    with stimulus.holding(stand, current_a):
        window = watch(stand, signals)
    for signal in signals:
        # The amount first: its message names both numbers and what the misreading looks like.
        spec = _accuracy(profile, signal)
        if spec is not None:
            expect("current_reading", signal=signal, accuracy=spec, **window.budgeted())
        expect("current_direction", signal=signal, direction=direction, **window.referred())


@DIRECTIONS
@pytest.mark.case(id="CS-SIGN-POWER", function="current sign", severity="critical")
def test_power_carries_the_sign_of_the_current(stand, expect, profile, direction):
    """Power while {direction} flows has the right sign and size"""
    if "pack_power" not in profile.signals:
        pytest.skip(f"profile {profile.name} has no signal pack_power")
    way = Direction.of(direction)
    spec = _accuracy(profile, "pack_power")
    if spec is None:
        pytest.skip(f"profile {profile.name} promises no accuracy for pack_power")
    with stimulus.holding(stand, way.sign * sign_current_a(stand, way, "80pct")):
        window = watch(stand, ("pack_power",))
    expect("power_direction", signal="pack_power", accuracy=spec, **window.budgeted())


@DIRECTIONS
@pytest.mark.case(id="CS-SIGN-COUNTERS", function="current sign", severity="critical")
def test_counters_and_soc_move_with_the_current(stand, expect, profile, direction):
    """State of charge and counters move the way a {direction} current moves them"""
    counters = _counters(profile)
    if not counters:
        pytest.skip(f"profile {profile.name} has neither soc nor charge counters")
    way = Direction.of(direction)
    current_a = sign_current_a(stand, way, "80pct")
    standing = [name for name in counters if ONE_WAY.get(name, way) is not way]
    moving = [name for name in counters if name not in standing]
    if not moving:
        pytest.skip(f"profile {profile.name} has no counter that a {direction} current moves")
    needed_s = max(_time_for(profile, name, current_a) for name in moving)
    if needed_s > COUNTER_LIMIT_S:
        pytest.skip(f"{', '.join(counters)} would need {needed_s:.0f} s to move by {COUNTER_STEPS} steps")
    with stimulus.holding(stand, way.sign * current_a):
        stand.progress(f"{way.verb} at {current_a:.0f} A for {needed_s:.0f} s to watch the counters")
        window = watch(stand, counters, at_least_s=needed_s)
    for name in standing:
        resolution = _resolution(profile, name)
        expect("counter_stands", signal=name, direction=direction, resolution=resolution, **window.times())
    for name in moving:
        expect(
            "counter_direction",
            signal=name,
            direction=direction,
            resolution=_resolution(profile, name),
            unit=profile.signals[name].inside_unit,
            counts=_counts(profile, name),
            steps=COUNTER_STEPS if _resolution(profile, name) > 0 else 0.0,
            **window.times(),
        )


@DIRECTIONS
@pytest.mark.case(id="CS-SIGN-STATE", function="current sign", severity="normal")
def test_state_flags_name_the_direction(stand, expect, profile, direction):
    """The flags charging and discharging agree with a {direction} current"""
    names = {"charge": "charging", "discharge": "discharging"}
    flags = {word: name for word, name in names.items() if name in profile.signals}
    if not flags:
        pytest.skip(f"profile {profile.name} has no flags charging or discharging")
    way = Direction.of(direction)
    with stimulus.holding(stand, way.sign * sign_current_a(stand, way, "80pct")):
        window = watch(stand, tuple(flags.values()))
    for word, name in flags.items():
        expect("state_flag", signal=name, expected=word == direction, **window.times())


def _currents(profile):
    """The signals that report the pack's current: those with a direction."""
    names = tuple(
        name
        for name, signal in profile.signals.items()
        if signal.quantity == "current" and signal.positive_direction is not None
    )
    if not names:
        pytest.skip(f"profile {profile.name} has no current that carries a direction")
    return names


def _counters(profile):
    return tuple(
        name
        for name, signal in profile.signals.items()
        if name == "soc" or (signal.quantity == "charge" and _counts(profile, name) is not None)
    )


def _counts(profile, name):
    """The direction in which a counter goes up."""
    if name == "discharged_charge":
        return "discharge"
    if name in ("soc", "charged_charge"):
        return "charge"
    # After decoding, a counter whose positive numbers mean discharge has been turned round already.
    return "charge" if profile.signals[name].positive_direction is not None else None


def _time_for(profile, name, current_a):
    signal = profile.signals[name]
    step = _resolution(profile, name)
    per_s = current_a / 3600.0
    if name == "soc":
        per_s *= 100.0 / profile.bms.capacity_ah
    return COUNTER_STEPS * step / per_s + 2 * signal.period_s


def _resolution(profile, name):
    spec = profile.signals[name].accuracy_parameters()
    return spec["resolution"] if spec else 0.0


def _accuracy(profile, name):
    """The promised accuracy in inside units, as parameters; None if nothing is promised."""
    return profile.signals[name].accuracy_parameters()
