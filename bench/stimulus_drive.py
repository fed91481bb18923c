"""Who drives: which instrument forces a current in which direction, and in which order it is told.

With supply and load the one that drives goes to zero and off before the other is switched on (a pause of a few
control periods at 0 A); a bidirectional supply stays on and its two limits change.

Where the envelope declares `slope_a_per_s`, a current that rises is ramped in small steps; one that falls is set at
once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from bench.errors import BenchError, InstrumentError, OutOfRange, WiringError
from bench.quantities import Direction, show
from bench.roles import BidirectionalSupply, Load, PowerInstrument, Supply
from bench.slopes import raise_to
from bench.stand import Stand

COMPLIANCE_SHARE = 0.99  # of the envelope's voltage, offered while charging
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


def force_quietly(stand: Stand, current_a: float) -> None:
    """Force a current of a ramp or a profile: without a line in the lab book for each step."""
    if current_a == 0.0:
        _zero(stand)
    else:
        _drive(stand, Direction.CHARGE if current_a > 0 else Direction.DISCHARGE, abs(current_a))


def prepare(stand: Stand, direction: Direction) -> None:
    """Switch the driver of a direction on at zero current, so that its first setting is one command and in time."""
    _drive(stand, direction, 0.0)


def set_prepared(stand: Stand, direction: Direction, magnitude_a: float) -> None:
    """Set the current of a driver that is on, in one command; see `prepare`.

    One that has switched itself off meanwhile (its own trip) is not switched on again.

    Raises:
        OutOfRange: the envelope does not allow it; nothing was sent.
    """
    both = stand.bidirectional
    if both is not None and direction is Direction.CHARGE:
        raise_to(stand, both.set_source_current, both.get_source_current, magnitude_a)
    elif both is not None:
        raise_to(stand, both.set_sink_current, both.get_sink_current, magnitude_a)
    elif direction is Direction.CHARGE and stand.supply is not None:
        raise_to(stand, stand.supply.set_current_limit, stand.supply.get_current_limit, magnitude_a)
    elif direction is Direction.DISCHARGE and stand.load is not None:
        raise_to(stand, stand.load.set_current, stand.load.get_current, magnitude_a)
    else:
        raise InstrumentError(f"bench {stand.definition.name} has nothing that can {direction.word}")
