"""Stimuli: plain functions that force a known current, over the roles and the clock of a stand.

How the quadrant changes: with supply and load, the one that drives goes to zero and off before the other is
switched on (a pause of a few control periods at 0 A); a bidirectional supply stays on and its two limits change.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from bench.errors import Inconclusive, InstrumentError, OutOfRange
from bench.quantities import Direction, show
from bench.roles import PowerInstrument
from bench.stand import Stand

SETTLE_SHARE = 0.01  # the current has settled when it is within 1 % ...
SETTLE_FLOOR_A = 0.15  # ... or this, whichever is larger
SETTLE_TIMEOUT_S = 3.0
COMPLIANCE_SHARE = 0.99  # of the envelope's voltage, offered while charging
STEP_S = 0.02


def largest_current_a(stand: Stand, direction: Direction) -> float:
    """Return the largest current the bench can force in a direction: envelope and ratings, in amperes."""
    part = driver_of(stand, direction)
    ratings = part.get_ratings()
    quadrant = ratings.source_current_a if direction is Direction.CHARGE else ratings.sink_current_a
    if quadrant is None:
        raise InstrumentError(f"{part.name} cannot {direction.word}")
    return min(quadrant.high, stand.guard.limit_a(direction))


def driver_of(stand: Stand, direction: Direction) -> PowerInstrument:
    """Return the instrument that forces current in this direction."""
    if stand.bidirectional is not None:
        return stand.bidirectional
    part = stand.supply if direction is Direction.CHARGE else stand.load
    if part is None:
        raise InstrumentError(f"bench {stand.definition.name} has nothing that can {direction.word}")
    return part


def force(stand: Stand, current_a: float) -> None:
    """Force a signed current (charging positive) and return when it has been commanded.

    0 A sets the currents to zero and leaves the output as it is; `release` switches off.

    Raises:
        OutOfRange: the envelope or a rating does not allow it; nothing was sent.
        InstrumentError: an instrument did not accept a setting.
    """
    if current_a == 0.0:
        _zero(stand)
        return
    direction = Direction.CHARGE if current_a > 0 else Direction.DISCHARGE
    magnitude_a = abs(current_a)
    largest_a = largest_current_a(stand, direction)
    if magnitude_a > largest_a:
        raise OutOfRange(
            f"{magnitude_a:g} A {direction.word} is more than bench {stand.definition.name} can or may force, "
            f"{largest_a:g} A"
        )
    stand.note(f"force {show(current_a, 'A')} ({direction.verb})")
    if stand.bidirectional is not None:
        _force_bidirectional(stand, direction, magnitude_a)
    elif direction is Direction.CHARGE:
        _force_supply(stand, magnitude_a)
    else:
        _force_load(stand, magnitude_a)


def _compliance_v(stand: Stand) -> float:
    return COMPLIANCE_SHARE * stand.definition.envelope.max_v


def _terminal_v(stand: Stand, part: PowerInstrument) -> float:
    """Measure what the output will be connected to, so that it is preset and does not jump."""
    return min(max(part.measure_voltage(), 0.0), _compliance_v(stand))


def _force_supply(stand: Stand, magnitude_a: float) -> None:
    supply, load = stand.supply, stand.load
    assert supply is not None and load is not None, "driver_of() has checked"
    if load.is_output_on():
        load.set_current(0.0)
        load.output_off()
    if not supply.is_output_on():
        supply.set_voltage(_terminal_v(stand, supply))
        supply.set_current_limit(0.0)
        supply.output_on()
    supply.set_current_limit(magnitude_a)
    if abs(supply.get_voltage() - _compliance_v(stand)) > 0.1:
        supply.set_voltage(_compliance_v(stand))


def _force_load(stand: Stand, magnitude_a: float) -> None:
    supply, load = stand.supply, stand.load
    assert supply is not None and load is not None, "driver_of() has checked"
    if supply.is_output_on():
        supply.set_current_limit(0.0)
        supply.output_off()
    if not load.is_output_on():
        load.set_current(0.0)
        load.output_on()
    load.set_current(magnitude_a)


def _force_bidirectional(stand: Stand, direction: Direction, magnitude_a: float) -> None:
    part = stand.bidirectional
    assert part is not None, "driver_of() has checked"
    if not part.is_output_on():
        part.set_source_current(0.0)
        part.set_sink_current(0.0)
        part.set_voltage(_terminal_v(stand, part))
        part.output_on()
    # The opposite quadrant goes to zero first: it sinks as soon as the pack is above the voltage setting.
    if direction is Direction.CHARGE:
        part.set_sink_current(0.0)
        part.set_voltage(_compliance_v(stand))
        part.set_source_current(magnitude_a)
    else:
        part.set_source_current(0.0)
        part.set_voltage(stand.definition.envelope.min_v)
        part.set_sink_current(magnitude_a)


def _zero(stand: Stand) -> None:
    if stand.bidirectional is not None:
        stand.bidirectional.set_source_current(0.0)
        stand.bidirectional.set_sink_current(0.0)
    if stand.supply is not None:
        stand.supply.set_current_limit(0.0)
    if stand.load is not None:
        stand.load.set_current(0.0)


def release(stand: Stand) -> None:
    """Bring the current to zero and switch all outputs off."""
    _zero(stand)
    for part in (stand.bidirectional, stand.supply, stand.load):
        if part is not None:
            part.output_off()


def settle(stand: Stand, current_a: float) -> float:
    """Wait until the reference shows the forced current; return it, in amperes.

    Raises:
        Inconclusive: it does not get there: an instrument limits first, a path is open, the BMS has opened.
    """
    band_a = max(SETTLE_FLOOR_A, SETTLE_SHARE * abs(current_a))
    deadline_s = stand.clock.now() + SETTLE_TIMEOUT_S
    while True:
        stand.clock.sleep(STEP_S)
        found_a = stand.reference.current()
        if abs(found_a - current_a) <= band_a:
            return found_a
        if stand.clock.now() >= deadline_s:
            raise Inconclusive(_why_not(stand, current_a, found_a))


def _why_not(stand: Stand, current_a: float, found_a: float) -> str:
    text = (
        f"{show(current_a, 'A')} was forced, the reference shows {show(found_a, 'A')} after {SETTLE_TIMEOUT_S:g} s"
    )
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
    force(stand, current_a)
    try:
        yield settle(stand, current_a) if current_a else stand.reference.current()
    finally:
        release(stand)


@contextlib.contextmanager
def stepping(stand: Stand, current_a: float) -> Iterator[float]:
    """Step to a current without waiting for it; hands out when it was commanded. Ends as `holding`."""
    at_s = stand.clock.now()
    force(stand, current_a)
    try:
        yield at_s
    finally:
        release(stand)


def ramp(stand: Stand, begin_a: float, end_a: float, *, duration_s: float, step_s: float) -> None:
    """Ramp the current in steps on an absolute time grid; the output stays on at the end."""
    count = max(1, round(duration_s / step_s))
    start_s = stand.clock.now()
    for index in range(count + 1):
        force_quietly(stand, begin_a + (end_a - begin_a) * index / count)
        stand.clock.sleep_until(start_s + (index + 1) * step_s)


def force_quietly(stand: Stand, current_a: float) -> None:
    """Force a current of a ramp: a level change in the same quadrant without a line in the lab book."""
    direction = Direction.CHARGE if current_a >= 0 else Direction.DISCHARGE
    if stand.bidirectional is not None and stand.bidirectional.is_output_on() and current_a:
        _force_bidirectional(stand, direction, abs(current_a))
    elif current_a and stand.supply is not None and direction is Direction.CHARGE:
        _force_supply(stand, abs(current_a))
    elif current_a and stand.load is not None and direction is Direction.DISCHARGE:
        _force_load(stand, abs(current_a))
    else:
        force(stand, current_a)
