"""Stimuli: plain functions that force a known current, over the roles and the clock of a stand.

How the quadrant changes: with supply and load, the one that drives goes to zero and off before the other is
switched on (a pause of a few control periods at 0 A); a bidirectional supply stays on and its two limits change.

Where the envelope declares `slope_a_per_s`, a current that rises is ramped in small steps; one that falls is set at
once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial

from bench.envelope import WATCH_MARGIN, Approach
from bench.errors import BenchError, Inconclusive, InstrumentError, OutOfRange, WiringError
from bench.quantities import Direction, show
from bench.roles import BidirectionalSupply, Load, PowerInstrument, Supply
from bench.slopes import raise_to
from bench.stand import Stand

SETTLE_SHARE = 0.01  # the current has settled when it is within 1 % ...
SETTLE_FLOOR_A = 0.15  # ... or this, whichever is larger
SETTLE_TIMEOUT_S = 3.0
FLOWS_SHARE = 0.2  # of the forced current, from which on it counts as flowing
COMPLIANCE_SHARE = 0.99  # of the envelope's voltage, offered while charging
STEP_S = 0.02
REVERSED_V = 1.0  # a terminal voltage below minus this is a swapped lead, not an offset


def largest_current_a(stand: Stand, direction: Direction) -> float:
    """Return the largest current in a direction, in amperes: the least of envelope, its power, and rating."""
    part = driver_of(stand, direction)
    ratings = part.get_ratings()
    quadrant = ratings.source_current_a if direction is Direction.CHARGE else ratings.sink_current_a
    if quadrant is None:
        raise InstrumentError(f"{part.name} cannot {direction.word}")
    envelope = stand.definition.envelope
    return min(quadrant.high, envelope.current_a(direction), envelope.max_w / envelope.max_v)


def driver_of(stand: Stand, direction: Direction) -> PowerInstrument:
    """Return the instrument that forces current in this direction."""
    if stand.bidirectional is not None:
        return stand.bidirectional
    part = stand.supply if direction is Direction.CHARGE else stand.load
    if part is None:
        raise InstrumentError(f"bench {stand.definition.name} has nothing that can {direction.word}")
    return part


def force(stand: Stand, current_a: float) -> float:
    """Force a signed current (charging positive), and return once it has been commanded.

    0 A sets the currents to zero and leaves the output as it is; `release` switches off. With a slope in the envelope
    it is a ramp. Returns the time, in seconds, from which on the level was commanded: that of the call for a step, that
    of the ramp's end.

    Raises:
        OutOfRange: the envelope or a rating does not allow it; nothing was sent.
        InstrumentError: an instrument did not accept a setting.
    """
    at_s = stand.clock.now()
    if current_a == 0.0:
        _zero(stand)
        return at_s
    direction = Direction.CHARGE if current_a > 0 else Direction.DISCHARGE
    magnitude_a = abs(current_a)
    largest_a = largest_current_a(stand, direction)
    if not magnitude_a <= largest_a:  # a NaN lands here too
        raise OutOfRange(
            f"{magnitude_a:g} A {direction.word} is more than bench {stand.definition.name} can or may force, "
            f"{largest_a:g} A"
        )
    stand.note(f"force {show(current_a, 'A')} ({direction.verb})")
    _drive(stand, direction, magnitude_a)
    return at_s if stand.definition.envelope.slope_a_per_s is None else stand.clock.now()


def _drive(stand: Stand, direction: Direction, magnitude_a: float) -> None:
    if stand.bidirectional is not None:
        _force_bidirectional(stand, stand.bidirectional, direction, magnitude_a)
    elif stand.supply is None or stand.load is None:
        raise InstrumentError(f"bench {stand.definition.name} needs a supply and a load, or a bidirectional supply")
    elif direction is Direction.CHARGE:
        _force_supply(stand, stand.supply, stand.load, magnitude_a)
    else:
        _force_load(stand, stand.supply, stand.load, magnitude_a)


def _compliance_v(stand: Stand) -> float:
    return COMPLIANCE_SHARE * stand.definition.envelope.max_v


def _terminal_v(part: PowerInstrument, compliance_v: float) -> float:
    """Measure what the output will be connected to, so that it is preset and does not jump.

    A bus that was left at the compliance voltage (the BMS opened while charging) reads a little above or below it.
    """
    found_v = part.measure_voltage()
    highest_v = compliance_v / COMPLIANCE_SHARE
    if found_v > highest_v:
        raise InstrumentError(
            f"{part.name} measures {found_v:.2f} V at its terminals, above the {highest_v:.2f} V of the envelope"
        )
    if found_v < -REVERSED_V:
        raise WiringError(
            f"{part.name} measures {found_v:.2f} V at its terminals: + and - of its power leads are swapped"
        )
    # A preset, not a reading: an open terminal reads a few millivolts around zero, an idle bus some around the top.
    return min(max(found_v, 0.0), compliance_v)


def _force_supply(stand: Stand, supply: Supply, load: Load, magnitude_a: float) -> None:
    compliance_v = _compliance_v(stand)
    if load.is_output_on():
        load.set_current(0.0)
        load.output_off()
    if not supply.is_output_on():
        supply.set_voltage(_terminal_v(supply, compliance_v))
        supply.set_current_limit(0.0)
        supply.output_on()
    # The voltage first: at the preset nothing flows, and all of a current that was ramped there would flow at once.
    if abs(supply.get_voltage() - compliance_v) > 0.1:
        supply.set_voltage(compliance_v)
    raise_to(stand, supply.set_current_limit, supply.get_current_limit, magnitude_a)


def _force_load(stand: Stand, supply: Supply, load: Load, magnitude_a: float) -> None:
    if supply.is_output_on():
        supply.set_current_limit(0.0)
        supply.output_off()
    if not load.is_output_on():
        load.set_current(0.0)
        load.output_on()
    raise_to(stand, load.set_current, load.get_current, magnitude_a)


def _force_bidirectional(stand: Stand, part: BidirectionalSupply, direction: Direction, magnitude_a: float) -> None:
    if not part.is_output_on():
        part.set_source_current(0.0)
        part.set_sink_current(0.0)
        part.set_voltage(_terminal_v(part, _compliance_v(stand)))
        part.output_on()
    # The opposite quadrant goes to zero first: it sinks as soon as the pack is above the voltage setting.
    if direction is Direction.CHARGE:
        part.set_sink_current(0.0)
        part.set_voltage(_compliance_v(stand))
        raise_to(stand, part.set_source_current, part.get_source_current, magnitude_a)
    else:
        part.set_source_current(0.0)
        part.set_voltage(stand.definition.envelope.min_v)
        raise_to(stand, part.set_sink_current, part.get_sink_current, magnitude_a)


def _zero(stand: Stand) -> None:
    if stand.bidirectional is not None:
        stand.bidirectional.set_source_current(0.0)
        stand.bidirectional.set_sink_current(0.0)
    if stand.supply is not None:
        stand.supply.set_current_limit(0.0)
    if stand.load is not None:
        stand.load.set_current(0.0)


def release(stand: Stand) -> None:
    """Bring the current to zero and switch all outputs off; an instrument that refuses keeps no other one on.

    Raises:
        BenchError: the first refusal, after every instrument had its chance.
    """
    problems: list[BenchError] = []
    parts = [part for part in (stand.bidirectional, stand.supply, stand.load) if part is not None]
    actions: list[Callable[[], None]] = [partial(_zero, stand), *(part.output_off for part in parts)]
    for action in actions:
        try:
            action()
        except BenchError as problem:
            problems.append(problem)
    if problems:
        raise problems[0]


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


def force_quietly(stand: Stand, current_a: float) -> None:
    """Force a current of a ramp: without a line in the lab book for each step."""
    if current_a == 0.0:
        _zero(stand)
    else:
        _drive(stand, Direction.CHARGE if current_a > 0 else Direction.DISCHARGE, abs(current_a))
