"""Stimuli: plain functions that force a known current, over the roles and the clock of a stand.

Steps, holds and ramps are here; `bench.stimulus_play` plays pulse trains and whole profiles, `bench.stimulus_drive`
says which instrument forces what, `bench.stimulus_transition` how a quadrant changed. All of them are called by the
names of this module.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from bench.envelope import WATCH_MARGIN, Approach
from bench.errors import Inconclusive, WiringError
from bench.quantities import Direction, show
from bench.stand import Stand
from bench.stimulus_csv import find_cycle, read_profile
from bench.stimulus_drive import driver_of, force, force_quietly, largest_current_a, release
from bench.stimulus_play import Played, play, pulse_train, reverse
from bench.stimulus_profile import CurrentProfile, PulseTrain
from bench.stimulus_transition import Transition, measure_transition

__all__ = [
    "CurrentProfile",
    "Played",
    "PulseTrain",
    "Transition",
    "driver_of",
    "find_cycle",
    "force",
    "force_quietly",
    "holding",
    "largest_current_a",
    "measure_transition",
    "play",
    "pulse_train",
    "ramp",
    "ramp_approach",
    "read_profile",
    "release",
    "reverse",
    "settle",
    "stepping",
    "wait_for_end",
]

SETTLE_SHARE = 0.01  # the current has settled when it is within 1 % ...
SETTLE_FLOOR_A = 0.15  # ... or this, whichever is larger
SETTLE_TIMEOUT_S = 3.0
FLOWS_SHARE = 0.2  # of the forced current, from which on it counts as flowing
STEP_S = 0.02


def settle(stand: Stand, current_a: float) -> float:
    """Wait until the reference shows the forced current; return it, in amperes.

    Raises:
        Inconclusive: it does not get there: an instrument limits first, a path is open, the BMS has opened.
    """
    band_a = max(SETTLE_FLOOR_A, SETTLE_SHARE * abs(current_a)) + _setting_error_a(stand, current_a)
    deadline_s = stand.clock.now() + SETTLE_TIMEOUT_S
    while True:
        stand.clock.sleep(STEP_S)
        found_a = stand.reference.current()
        if abs(found_a - current_a) <= band_a:
            _check_agreement(stand, current_a, found_a)
            return found_a
        if stand.clock.now() >= deadline_s:
            _check_agreement(stand, current_a, found_a)
            raise Inconclusive(_why_not(stand, current_a, found_a))


def _check_agreement(stand: Stand, current_a: float, found_a: float) -> None:
    """Compare the reference with what the driving instrument itself measures, while it does what it was told.

    Raises:
        WiringError: they differ by more than both can be wrong, so no product may be judged by this reference.
    """
    part = driver_of(stand, Direction.CHARGE if current_a >= 0 else Direction.DISCHARGE)
    accuracy = stand.definition.instruments[part.name].accuracy.get("current")
    if accuracy is None or found_a * current_a < FLOWS_SHARE * current_a**2:
        return  # no current, or one the other way: that is another story
    told_a = part.measure_current()
    limit_a = 2.0 * accuracy.half_width(current_a) + 3.0 * stand.reference.current_uncertainty(found_a) + SETTLE_FLOOR_A
    if abs(told_a - current_a) <= limit_a < abs(told_a - found_a):
        raise WiringError(
            f"{show(current_a, 'A')} was forced, {part.name} measures {show(told_a, 'A')}, the reference "
            f"{show(found_a, 'A')}: they may differ by {limit_a:.2f} A; check topology.reference_shunt.ohm = "
            f"{stand.reference.shunt.ohm:g}, its sense leads, and that it sits in the branch common to source and sink"
        )


def _setting_error_a(stand: Stand, current_a: float) -> float:
    """How far the instrument's own accuracy lets the current be from its setting, in amperes."""
    direction = Direction.CHARGE if current_a >= 0 else Direction.DISCHARGE
    section = stand.definition.instruments[driver_of(stand, direction).name]
    accuracy = section.accuracy.get("current")
    return 0.0 if accuracy is None else accuracy.half_width(current_a)


def _why_not(stand: Stand, current_a: float, found_a: float) -> str:
    text = f"{show(current_a, 'A')} was forced, the reference shows {show(found_a, 'A')} after {SETTLE_TIMEOUT_S:g} s"
    direction = Direction.CHARGE if current_a >= 0 else Direction.DISCHARGE
    part = driver_of(stand, direction)
    alarms = part.get_alarms()
    states = stand.dut.switch_states() if stand.dut.profile.bms.separate_switches else {}
    open_switches = [name for name, closed in states.items() if not closed]
    reasons = [
        f"{part.name} is in {part.get_regulation()}",
        f"its alarms: {', '.join(alarms)}" if alarms else "it has no alarm",
    ]
    if open_switches:
        reasons.append(f"the BMS reports switch {', '.join(open_switches)} open")
    if abs(found_a + current_a) <= max(SETTLE_FLOOR_A, SETTLE_SHARE * abs(current_a)):
        reasons.append("magnitude fits, sign inverted: check the sense leads of the reference shunt")
    return f"{text}; {'; '.join(reasons)}"


@contextlib.contextmanager
def holding(stand: Stand, current_a: float) -> Iterator[float]:
    """Force a settled current for the length of a block; hands out what the reference shows, in amperes.

    The current goes to zero and the outputs off at the end, whatever happened.
    """
    if current_a:
        stand.progress(f"{(Direction.CHARGE if current_a > 0 else Direction.DISCHARGE).verb} at {abs(current_a):.0f} A")
    try:
        force(stand, current_a)
        yield settle(stand, current_a) if current_a else stand.reference.current()
    finally:
        release(stand)


@contextlib.contextmanager
def stepping(stand: Stand, current_a: float) -> Iterator[float]:
    """Step to a current without waiting for it; hands out when it was commanded, as `force`. Ends as `holding`."""
    try:
        yield force(stand, current_a)
    finally:
        release(stand)


def wait_for_end(stand: Stand, direction: Direction, level_a: float, *, timeout_s: float) -> float | None:
    """Wait until a current that has risen has fallen below 10 % of its level; None if it has not in time.

    What is judged later is the recorded trace; this only decides how long to record.
    """
    start_s = stand.clock.now()
    risen = False
    while stand.clock.now() - start_s < timeout_s:
        stand.clock.sleep(STEP_S)
        now_a = stand.traces["reference_current"].values[-1] * direction.sign
        risen = risen or now_a > 0.5 * level_a
        if risen and now_a < 0.1 * level_a:
            return stand.clock.now() - start_s
        if not risen and stand.clock.now() - start_s > SETTLE_TIMEOUT_S:
            return None
    return None


def ramp(stand: Stand, begin_a: float, end_a: float, *, duration_s: float, step_s: float) -> None:
    """Ramp the current in steps on an absolute time grid; the output stays on at the end.

    Where the envelope's slope is slower than this ramp it lasts longer.

    Raises:
        Inconclusive: it could not be stopped inside the envelope from where it ends; nothing was sent.
    """
    count = max(1, round(duration_s / step_s))
    if stand.guard.stop_latency_s:  # without it nothing is provoked, but a ramp ends inside the envelope by itself
        stand.guard.require_stoppable("the ramp", ramp_approach(stand, begin_a, end_a, duration_s))
    start_s = stand.clock.now()
    for index in range(count + 1):
        force_quietly(stand, begin_a + (end_a - begin_a) * index / count)
        stand.clock.sleep_until(start_s + (index + 1) * step_s)


def ramp_approach(stand: Stand, begin_a: float, end_a: float, duration_s: float) -> Approach:
    """Say how a ramp of current moves towards what the watch allows."""
    way = Direction.CHARGE if end_a >= 0 else Direction.DISCHARGE
    limit_a = WATCH_MARGIN * stand.definition.envelope.current_a(way)
    return Approach(f"current, {way.word}", "A", abs(end_a), abs(end_a - begin_a) / duration_s, limit_a)
