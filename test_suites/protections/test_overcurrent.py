"""Over-current, both directions: quiet inside, trips outside, in time, the right flag and switch, and releases."""

from __future__ import annotations

import pytest

from bench import stimulus
from bench.budgets import averaging_s
from bench.errors import Inconclusive
from bench.offering import LEAST_PROBE_A, PROBE_A, must_flow, must_not_flow, offer
from bench.planning import delay_refusal
from bench.procedures import excusing_flags, flags_but, levels_of, role_of, settle_time_s
from bench.slopes import rise_s
from bench.uncertainty import of_cycle
from bench.verdict import abort_after_s, hold_time_s

KINDS = pytest.mark.protection_kinds("charge_overcurrent", "discharge_overcurrent")
AFTER_TRIP_S = 1.5  # recorded after the current has ended, for flags and for the current's real end
PROBE_S = 1.0
READING_S = 1.0  # the shortest stretch of an overload over which a reading is judged
RISE_FACTOR = 3.0  # how much longer than declared a slope may last, since each of its steps waits for an answer
WITHOUT_COMMAND_S = 10.0  # a latched protection stays open this long without being asked


@KINDS
@pytest.mark.case(id="OC-QUIET", function="over-current protection", severity="critical")
def test_stays_closed_just_inside_the_limit(stand, expect, profile, protection):
    """{protection} stays quiet at the must-not-trip level for twice its longest delay"""
    way = protection.about.direction
    level_a = _reachable(stand, protection, levels_of(stand, protection).must_not_trip)
    hold_s = hold_time_s(protection)
    stand.progress(f"{way.verb} at {level_a:.1f} A for {hold_s:.0f} s: {protection.name} must stay quiet")
    with stimulus.stepping(stand, way.sign * level_a) as begin_s:
        stand.clock.sleep(hold_s)
        end_s = stand.clock.now()
    expect(
        "keeps_flowing",
        direction=way.word,
        begin_s=begin_s + 0.5,
        end_s=end_s,
        level_a=level_a,
        reference_u_a=stand.reference.current_uncertainty(level_a),
        role=role_of(stand, way),
        other_flags=excusing_flags(profile, protection),
        quiet_a=protection.threshold_si - protection.tolerance_si,
    )
    if protection.flag is not None:
        expect("stays_quiet", flags=[protection.flag], begin_s=begin_s, end_s=end_s)


@KINDS
@pytest.mark.case(id="OC-TRIP", function="over-current protection", severity="blocker")
def test_trips_in_time_and_the_current_stops(stand, expect, profile, protection):
    """{protection} ends the current in time at the must-trip level, with the right flag and switch"""
    if refused := delay_refusal(stand.definition, protection):
        raise Inconclusive(f"{protection.name} was not provoked: {refused}")
    begin_s, end_s, level_a, reached_s = _provoke(stand, protection)
    way = protection.about.direction
    others = flags_but(profile, protection)
    _expect_trip(stand, expect, protection, begin_s, end_s, level_a)
    if protection.flag is not None:
        window = protection.flag_delay_s
        expect(
            "right_flag",
            flag=protection.flag,
            others=others,
            begin_s=begin_s,
            end_s=end_s,
            threshold_a=protection.threshold_si,
            direction=way.word,
            flag_delay_max_s=window.max if window else None,
            period_s=profile.signals[protection.flag].period_s,
            averaging_s=averaging_s(stand.definition),
            demand_a=protection.threshold_si + protection.tolerance_si,
        )
    _expect_reading(stand, expect, protection, begin_s, reached_s)
    _expect_switches(stand, expect, protection, end_s)
    _expect_other_way(stand, expect, protection)


@KINDS
@pytest.mark.case(id="OC-RELEASE", function="over-current protection", severity="critical")
def test_releases_as_declared(stand, expect, profile, protection):
    """{protection} stays open until its release, and then carries current again"""
    way = protection.about.direction
    begin_s, end_s, level_a, _ = _provoke(stand, protection)
    if stand.guard.aborted:
        # Nothing to release, and no skip: a protection that trips in one test and not in the next has failed.
        _expect_trip(stand, expect, protection, begin_s, end_s, level_a)
    tripped_s = stand.clock.now()
    early_s = _almost_released_s(protection)
    stand.progress(f"{protection.name}: {PROBE_A:.0f} A are offered for {early_s:.0f} s and must not flow")
    _expect_blocked(stand, expect, way, max(PROBE_S, early_s))
    _wait_for_release(stand, protection, tripped_s)
    again = offer(stand, way, PROBE_S)
    expect("flows_again", **must_flow(stand, again, f"after the release by {protection.release.kind}"))
    if protection.flag is not None:
        expect("stays_quiet", flags=[protection.flag], begin_s=again.end_s - 0.5, end_s=again.end_s)


def _expect_trip(stand, expect, protection, begin_s, end_s, level_a):
    way, window = protection.about.direction, protection.delay_at(level_a)
    expect(
        "trips",
        protection=protection.name,
        direction=way.word,
        threshold_a=protection.threshold_si,
        must_trip_a=level_a,
        begin_s=begin_s,
        end_s=end_s,
        delay_min_s=window.min,
        delay_max_s=window.max,
        zero_a=stand.reference.off_limit_a,
        reference_u_a=stand.reference.current_uncertainty(level_a),
        role=role_of(stand, way),
        other_flags=excusing_flags(stand.profile, protection),
        averaging_s=averaging_s(stand.definition),
        demand_a=protection.threshold_si + protection.tolerance_si,
    )


def _expect_blocked(stand, expect, way, duration_s):
    """Offer a small current all the time until shortly before the release: closing for a moment shows, too."""
    offered = offer(stand, way, duration_s)
    expect("blocked", **must_not_flow(stand, offered, f"in the {duration_s:.0f} s after the trip"))


def _expect_reading(stand, expect, protection, begin_s, reached_s):
    """While the BMS lets the overload flow, it reports it: above the quiet level nobody else has looked."""
    signal = stand.profile.signals["pack_current"]
    first_s = reached_s + 0.5 + settle_time_s(stand.profile, ("pack_current",))
    last_s = begin_s + 0.9 * protection.delay_s.min
    if last_s - first_s < max(READING_S, 4 * signal.period_s):
        return  # it opens before its reading could have settled
    window = {
        "begin_s": first_s,
        "end_s": last_s,
        "reference_u_a": stand.reference.current_uncertainty(protection.threshold_si),
        "reference": stand.reference.name,
    }
    if signal.accuracy is not None:
        expect("current_reading", signal="pack_current", accuracy=signal.accuracy_parameters(), **window)
    if signal.positive_direction is not None:
        expect("current_direction", signal="pack_current", direction=protection.about.direction.word, **window)


def _expect_switches(stand, expect, protection, end_s):
    """What the BMS says of its switches and its state after the trip."""
    profile = stand.profile
    switches = {
        name: name not in protection.opens for name in profile.bms.switches if f"switch_{name}" in profile.signals
    }
    if switches:
        expect("switch_reports", expected=switches, at_s=end_s - 0.8, within_s=0.8)
    operation = profile.operation
    if operation.kind != "state_request":
        return
    codes = [code for code, word in profile.signals[operation.state].values.items() if word == operation.error]
    window = {"begin_s": end_s - 0.8, "end_s": end_s}
    expect("state_becomes", signal=operation.state, codes=codes, word=operation.error, **window)
    if operation.closed is not None:
        expect("state_flag", signal=operation.closed, expected=False, **window)


def _expect_other_way(stand, expect, protection):
    """With a switch for each direction the other direction still carries current: only the right one opened."""
    profile, other = stand.profile, protection.about.direction.opposite
    if not profile.bms.separate_switches or other.word in protection.opens:
        return
    level_a = min(PROBE_A, profile.tolerates.body_diode_a)
    if level_a < LEAST_PROBE_A:
        stand.note(f"{profile.name} tolerates no current through a body diode: the other direction was NOT TESTED")
        return
    offered = offer(stand, other, PROBE_S, level_a)
    expect("flows_again", **must_flow(stand, offered, "in the permitted direction after the trip"))


def _almost_released_s(protection):
    """How long after the trip it must certainly still be open: nobody has asked, or 80 % of the time."""
    if protection.release.kind == "time":
        return 0.8 * protection.release.after_s
    return WITHOUT_COMMAND_S if protection.release.kind == "command" else 0.0


def _reachable(stand, protection, level_a):
    """Skip by name what this bench cannot reach."""
    largest_a = stimulus.largest_current_a(stand, protection.about.direction)
    if level_a > largest_a:
        pytest.skip(
            f"{protection.name} needs {level_a:.1f} A, bench {stand.definition.name} may force {largest_a:.1f} A"
        )
    return level_a


def _provoke(stand, protection):
    """Step to the must-trip level (ramp, with a slope) and wait until the current has ended, or the abort has."""
    way = protection.about.direction
    level_a = _reachable(stand, protection, levels_of(stand, protection).must_trip)
    stand.trips.spend(protection)
    abort_s = abort_after_s(protection, 2 * of_cycle(0.1)) + RISE_FACTOR * rise_s(stand, level_a)
    stand.progress(f"{way.verb} at {level_a:.1f} A: {protection.name} must trip, abort after {abort_s:.1f} s")
    begin_s = stand.clock.now()
    try:
        with stand.guard.provoke(protection.name, abort_s, level_a=level_a):
            reached_s = stimulus.force(stand, way.sign * level_a)
            stimulus.wait_for_end(stand, way, level_a, timeout_s=abort_s + 1.0)
        stand.clock.sleep(AFTER_TRIP_S)
        end_s = stand.clock.now()
    finally:
        stimulus.release(stand)
    return begin_s, end_s, level_a, reached_s


def _wait_for_release(stand, protection, tripped_s):
    release = protection.release
    if release.kind == "command":
        operation = stand.profile.operation
        stand.progress(f"{protection.name}: clear and close again")
        stand.clock.sleep(1.0)
        stand.dut.clear()
        stand.clock.sleep(max(1.0, getattr(operation, "reclose_wait_s", 0.0)))
        stand.dut.ask_operation()
        return
    if release.kind == "opposite_current":
        with stimulus.stepping(stand, -protection.about.direction.sign * PROBE_A):
            stand.clock.sleep(release.after_s + 2.0)
        return
    wait_s = 1.1 * release.after_s + 2.0
    stand.progress(f"{protection.name}: waiting {wait_s:.0f} s for its release")
    stand.clock.sleep_until(tripped_s + wait_s)
