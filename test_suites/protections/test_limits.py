"""Voltage and temperature: quiet inside, trips outside, in time, the right flag and switch, and lets go as declared.

The stimulus is put at one cell or sensor (`provocation`), while a small current flows in the direction that the
protection ends; the end of that current, seen by the reference, is the trip.
"""

from __future__ import annotations

import pytest

from bench import stimulus
from bench.budgets import averaging_s
from bench.letting_go import let_go
from bench.offering import LEAST_PROBE_A, PROBE_A, must_flow, must_not_flow, offer
from bench.procedures import role_of
from bench.provoking.demands import excusing, foreign_flags, opened_at, stimulus_of, worded
from bench.resolving import require_resolvable
from bench.uncertainty import of_cycle
from bench.verdict import abort_after_s, hold_time_s

VOLTAGES = pytest.mark.protection_kinds(quantity="voltage")
TEMPERATURES = pytest.mark.protection_kinds(quantity="temperature")
PROBE_S = 1.5
LATE_S = 0.2  # after the end of a release window, by when it must have let go
SETTLE_S = 0.5  # of the stimulus and of the probe before anything is judged
BEFORE_S = 1.5  # recorded before the step, longer than an emulator needs to measure its cells twice
AFTER_TRIP_S = 1.5
PERSISTS_S = 5.0  # the cause stays this long after the trip, and nothing may flow
UNASKED_S = 10.0  # what waits for somebody stays open this long without


def _judge_quiet(stand, expect, provocation):
    row = provocation.protection
    way, level = row.about.direction, provocation.levels().must_not_trip
    hold_s = hold_time_s(row)
    stand.progress(f"{worded(provocation, level)} for {hold_s:.0f} s, {way.verb}: {row.name} must stay quiet")
    provocation.approach(level)
    with stimulus.holding(stand, way.sign * PROBE_A):
        provocation.step(level, towards_trip=False)
        stand.clock.sleep(SETTLE_S)
        begin_s = stand.clock.now()
        stand.clock.sleep(hold_s)
        end_s = stand.clock.now()
    provocation.normal()
    expect(
        "stimulus_quiet",
        **stimulus_of(provocation, level, ("threshold", "demand")),
        quiet=row.about.further(row.threshold_si, -row.tolerance_si),
        least=row.about.further(level, -row.tolerance_si),
        begin_s=begin_s,
        end_s=end_s,
        **_flow(stand, way),
        other_flags=excusing(stand.profile, row),
    )
    if row.flag is not None:
        expect("stays_quiet", flags=[row.flag], begin_s=begin_s, end_s=end_s)


def _judge_trip(stand, expect, provocation):
    row = provocation.protection
    require_resolvable(row, stand.definition, stand.profile)
    begin_s, end_s, level, moved_s = _provoke(stand, provocation)
    provocation.normal()
    _expect_trip(stand, expect, provocation, begin_s, end_s, level, moved_s)
    if row.flag is not None:
        window = row.flag_delay_s
        expect(
            "level_flag",
            flag=row.flag,
            others=foreign_flags(stand.profile, row, level),
            **stimulus_of(provocation, level),
            begin_s=begin_s,
            end_s=end_s,
            direction=row.about.direction.word,
            moved_s=moved_s,
            delay_min_s=window.min if window else None,
            delay_max_s=window.max if window else None,
            period_s=stand.profile.signals[row.flag].period_s,
            averaging_s=averaging_s(stand.definition),
        )
    opened = opened_at(stand.profile, row, level)
    closed = {
        name: name not in opened for name in stand.profile.bms.switches if f"switch_{name}" in stand.profile.signals
    }
    if closed:
        expect("switch_reports", expected=closed, at_s=end_s - 0.8, within_s=0.8)


def _judge_directions(stand, expect, provocation):
    """The blocked direction carries nothing while the cause persists, the permitted one does."""
    row, profile = provocation.protection, stand.profile
    level = _trip(stand, expect, provocation)
    _expect_blocked_by_cause(stand, expect, provocation, PERSISTS_S)
    other = row.about.direction.opposite
    if not profile.bms.separate_switches or other.word in opened_at(profile, row, level):
        _expect_blocked(stand, expect, other, PROBE_S, "in the other direction, which is to be blocked too")
    else:
        level_a = min(PROBE_A, profile.tolerates.body_diode_a)
        if level_a < LEAST_PROBE_A:
            pytest.skip(
                f"{profile.name} tolerates no current through a body diode; only the blocked direction was seen"
            )
        offered = offer(stand, other, PROBE_S, level_a)
        expect("flows_again", **must_flow(stand, offered, "in the permitted direction after the trip"))
    provocation.normal()


def _judge_hold(stand, expect, provocation):
    """It does not let go before its release is due."""
    row = provocation.protection
    release, about = row.release, row.about
    if release.kind == "value":
        held = _almost_released(provocation)
        if about.quantity == "temperature" and about.above:
            pytest.skip(f"{row.name}: relays go from one resistance to the next through colder ones, which release it")
        if not about.beyond(row.threshold_si, held):
            pytest.skip(f"{row.name}: tolerance and U leave no level between {release.value:g} and {row.threshold:g}")
        if not about.beyond(held, row.release_value_si):
            pytest.skip(f"{row.name}: no level is surely on this side of the release value {release.value:g}")
    _trip(stand, expect, provocation)
    if release.kind == "value":
        stand.progress(f"{worded(provocation, held)}: {row.name} must not let go yet")
        provocation.step(held)
        stand.clock.sleep(SETTLE_S)
        edge = about.further(row.release_value_si, row.release_tolerance_si)
        span = _span(about, edge, about.further(held, row.release_tolerance_si))
        offered = offer(stand, about.direction, max(PROBE_S, 2.0 * row.delay_s.max))
        what = f"before the release value {release.value:g}"
        expect("blocked_while", **_watched(provocation, held), **span, **must_not_flow(stand, offered, what))
        provocation.normal()
        return
    if release.kind == "time":
        provocation.normal()
        hold_s = 0.8 * release.after_s if release.window_s is None else 0.95 * release.window_s.min
        what = "before its release time"
    else:
        provocation.normal()
        hold_s, what = UNASKED_S, f"without {release.action or release.kind.replace('_', ' ')}"
    _expect_blocked(stand, expect, about.direction, max(PROBE_S, hold_s), what)
    provocation.normal()


def _judge_release(stand, expect, provocation):
    row = provocation.protection
    if row.release.kind == "action":
        pytest.skip(f"{row.name} releases by {row.release.action}; no suite does that yet")
    _trip(stand, expect, provocation)
    _expect_blocked_by_cause(stand, expect, provocation, PROBE_S)
    if row.release.kind == "value":
        _go_back(stand, provocation)
    else:
        provocation.normal()
        window, gone_s = row.release.window_s, stand.clock.now()
        if row.release.kind == "time" and window is not None:
            stand.clock.sleep_until(gone_s + window.max + LATE_S)
        else:
            let_go(stand, row, gone_s)
    began_s = stand.clock.now()
    offered = offer(stand, row.about.direction, PROBE_S)
    expect("flows_again", **must_flow(stand, offered, f"after the release by {row.release.kind}"))
    if row.flag is not None:
        expect("flag_falls", protection=row.name, flag=row.flag, begin_s=began_s, end_s=stand.clock.now())


@VOLTAGES
@pytest.mark.case(id="VL-QUIET", function="voltage protection", severity="critical")
def test_voltage_stays_closed_just_inside_the_limit(provocation, stand, expect):
    """{provocation} stays quiet at the must-not-trip voltage for twice its longest delay"""
    _judge_quiet(stand, expect, provocation)


@VOLTAGES
@pytest.mark.case(id="VL-TRIP", function="voltage protection", severity="blocker")
def test_voltage_trips_in_time_and_the_current_stops(provocation, stand, expect):
    """{provocation} ends the current in time at the must-trip voltage, with the right flag and switch"""
    _judge_trip(stand, expect, provocation)


@VOLTAGES
@pytest.mark.case(id="VL-SELECT", function="voltage protection", severity="critical")
def test_voltage_blocks_its_direction_and_permits_the_other(provocation, stand, expect):
    """{provocation} blocks the direction it is for, and only that one where each has its switch"""
    _judge_directions(stand, expect, provocation)


@VOLTAGES
@pytest.mark.case(id="VL-HOLD", function="voltage protection", severity="critical")
def test_voltage_holds_until_its_release_is_due(provocation, stand, expect):
    """{provocation} stays open until what its release waits for"""
    _judge_hold(stand, expect, provocation)


@VOLTAGES
@pytest.mark.case(id="VL-RELEASE", function="voltage protection", severity="critical")
def test_voltage_releases_as_declared(provocation, stand, expect):
    """{provocation} lets go as declared, and then carries current again"""
    _judge_release(stand, expect, provocation)


@TEMPERATURES
@pytest.mark.case(id="TL-QUIET", function="temperature protection", severity="critical")
def test_temperature_stays_closed_just_inside_the_limit(provocation, stand, expect):
    """{provocation} stays quiet at the must-not-trip temperature for twice its longest delay"""
    _judge_quiet(stand, expect, provocation)


@TEMPERATURES
@pytest.mark.case(id="TL-TRIP", function="temperature protection", severity="blocker")
def test_temperature_trips_in_time_and_the_current_stops(provocation, stand, expect):
    """{provocation} ends the current in time at the must-trip temperature, with the right flag and switch"""
    _judge_trip(stand, expect, provocation)


@TEMPERATURES
@pytest.mark.case(id="TL-SELECT", function="temperature protection", severity="critical")
def test_temperature_refuses_its_direction_and_permits_the_other(provocation, stand, expect):
    """{provocation}: charging is refused while discharging is allowed, or the reverse, as declared"""
    _judge_directions(stand, expect, provocation)


@TEMPERATURES
@pytest.mark.case(id="TL-HOLD", function="temperature protection", severity="critical")
def test_temperature_holds_until_its_release_is_due(provocation, stand, expect):
    """{provocation} stays open until what its release waits for"""
    _judge_hold(stand, expect, provocation)


@TEMPERATURES
@pytest.mark.case(id="TL-RELEASE", function="temperature protection", severity="critical")
def test_temperature_releases_as_declared(provocation, stand, expect):
    """{provocation} lets go as declared, and then carries current again"""
    _judge_release(stand, expect, provocation)


# -- what all of them share ----------------------------------------------------------------------------------------


def _flow(stand, way):
    return {
        "direction": way.word,
        "flow_a": PROBE_A,
        "reference_u_a": stand.reference.current_uncertainty(PROBE_A),
        "role": role_of(stand, way),
    }


def _provoke(stand, provocation):
    """Let the probe flow, step beyond the limit, and wait until the current has ended, or the abort has."""
    row = provocation.protection
    way, level = row.about.direction, provocation.levels().must_trip
    stand.trips.spend(row)
    abort_s = abort_after_s(row, 2 * of_cycle(0.1))
    what = f"{worded(provocation, level)}, {way.verb} at {PROBE_A:.0f} A"
    stand.progress(f"{what}: {row.name} must trip, abort after {abort_s:.1f} s")
    provocation.normal()
    provocation.approach(level)
    try:
        stimulus.force(stand, way.sign * PROBE_A)
        stimulus.settle(stand, way.sign * PROBE_A)
        stand.clock.sleep(BEFORE_S)
        begin_s = stand.clock.now() - BEFORE_S + 0.1
        with stand.guard.provoke(row.name, abort_s, level_a=PROBE_A):
            moved_s = provocation.step(level)
            stimulus.wait_for_end(stand, way, PROBE_A, timeout_s=abort_s + 1.0)
        stand.clock.sleep(AFTER_TRIP_S)
        end_s = stand.clock.now()
    finally:
        stimulus.release(stand)
    return begin_s, end_s, level, moved_s


def _expect_trip(stand, expect, provocation, begin_s, end_s, level, moved_s):
    row = provocation.protection
    window = row.delay_at(level)
    expect(
        "stimulus_trips",
        **stimulus_of(provocation, level),
        begin_s=begin_s,
        end_s=end_s,
        moved_s=moved_s,
        delay_min_s=window.min,
        delay_max_s=window.max,
        **_flow(stand, row.about.direction),
        zero_a=stand.reference.off_limit_a,
        other_flags=excusing(stand.profile, row),
        averaging_s=averaging_s(stand.definition),
    )


def _trip(stand, expect, provocation):
    """Provoke it; one that does not trip has failed here too: a protection that trips in one test only has failed."""
    begin_s, end_s, level, moved_s = _provoke(stand, provocation)
    if stand.guard.aborted:
        _expect_trip(stand, expect, provocation, begin_s, end_s, level, moved_s)
    return level


def _expect_blocked(stand, expect, way, duration_s, what):
    expect("blocked", **must_not_flow(stand, offer(stand, way, duration_s), what))


def _expect_blocked_by_cause(stand, expect, provocation, duration_s):
    """The bench sees that the cause is still there: a protection that stays open in peace proves nothing."""
    row = provocation.protection
    demand = row.about.further(row.threshold_si, row.tolerance_si)
    span = _span(row.about, demand, None)
    offered = offer(stand, row.about.direction, duration_s)
    watched = _watched(provocation, row.threshold_si)
    expect("blocked_while", **watched, **span, **must_not_flow(stand, offered, "while the cause persists"))


def _span(about, near, far):
    """Return limits from the side of normal to the side of the trip; without the far one it is open there."""
    return {"low": near, "high": far} if about.above else {"low": far, "high": near}


def _watched(provocation, level):
    row = provocation.protection
    return {"channel": provocation.channel, "unit": row.unit_si, "stimulus_u": provocation.expanded(level)}


def _margin(provocation):
    row = provocation.protection
    return row.release_tolerance_si + 3.0 * provocation.expanded(row.release_value_si)  # what was set may be off, too


def _almost_released(provocation):
    """Return the level nearest to the release value at which it surely may not let go yet."""
    return provocation.protection.about.further(provocation.protection.release_value_si, _margin(provocation))


def _go_back(stand, provocation):
    """Go past the release value, surely, and give it the time that it may take."""
    row = provocation.protection
    released = row.about.further(row.release_value_si, -_margin(provocation))
    stand.progress(f"{worded(provocation, released)}: {row.name} lets go")
    provocation.step(released, towards_trip=False)
    window = row.release.window_s
    wait_s = 2.0 * row.delay_s.max + row.release.after_s + 1.0 if window is None else window.max + LATE_S
    stand.clock.sleep(wait_s)
