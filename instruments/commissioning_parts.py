"""The first contact with what is no source of power: a voltmeter, and the disconnect."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from bench.clock import wait_until
from bench.errors import BenchError, OutOfRange
from bench.quantities import Direction, show
from bench.roles import HasWatchdog
from instruments.commissioning_guards import end_left_watchdog, resting, stand_guarded
from instruments.driving import Hand, close_onto, require_dead
from instruments.first_contact import CannotTell, ContactSheet, Disagrees, Place, identify

READINGS = 20
PROBE_A = 2.0
WATCHDOG_S = 1.0


def contact_meter(place: Place, sheet: ContactSheet) -> None:
    """Meet a voltmeter: who it is, its settings, its zero with the loop open or the pack's voltage, its rate."""
    meter, measuring = place.part, place.section.measuring

    def settings() -> str:
        if measuring is None:
            raise CannotTell("the definition declares no measuring range")
        meter.set_range(measuring.range_v)
        meter.set_integration(measuring.power_line_cycles)
        try:
            meter.set_range(-1.0)
        except OutOfRange:
            meter.set_range(measuring.range_v)
        else:
            raise Disagrees("takes a range of -1 V")
        return f"range {measuring.range_v:g} V and {measuring.power_line_cycles:g} PLC set and read back"

    def zero() -> str:
        readings = [place.reference.current() for _ in range(5)]
        zero_a = place.reference.check_zero(readings)
        return f"{show(zero_a, 'A', place.reference.current_uncertainty(0.0))} with the loop open"

    def pack_voltage() -> str:
        if place.connected != "pack":
            raise CannotTell(f"a {place.connected} has no voltage of its own: connect a pack")
        found_v, envelope = place.reference.pack_voltage(), place.definition.envelope
        if not envelope.min_v <= found_v <= envelope.max_v:
            raise Disagrees(
                f"reads {found_v:.3f} V at the pack, allowed are {envelope.min_v:g} to {envelope.max_v:g} V"
            )
        return f"reads {found_v:.3f} V at the pack"

    def rate() -> str:
        begin_s = place.clock.now()
        for _ in range(READINGS):
            meter.measure_voltage()
        sheet.figures["reading_s"] = took_s = (place.clock.now() - begin_s) / READINGS
        return f"a reading takes {1000 * took_s:.1f} ms"

    sheet.judge("identity", lambda: identify(place, sheet), essential=True)
    sheet.judge("settings", settings, essential=True)
    if place.role == "reference_meter":
        sheet.judge("zero", zero, essential=True)
        _both_signs(place, sheet)
    else:
        sheet.judge("pack voltage", pack_voltage)
    sheet.judge("update rate", rate)


def _both_signs(place: Place, sheet: ContactSheet) -> None:
    """Let the bench's instruments force a current each way; a source can only source, and a sink only sink."""

    def look(hand: Hand, direction: Direction) -> str:
        if direction not in hand.directions():
            raise CannotTell(f"nothing flows out of a {place.connected}: connect a pack")
        level_a, seen = hand.level_a(direction), []
        try:
            hand.drive(direction, level_a / 2)
            seen.append(place.reference.current())
            hand.change(direction, level_a)
            seen.append(place.reference.current())
        finally:
            hand.off()
        shown = f"{show(seen[0], 'A')} and {show(seen[1], 'A')} where {level_a / 2:g} A and {level_a:g} A were set"
        if abs(seen[1] - seen[0]) < 0.25 * level_a:
            raise Disagrees(f"its reading stands still: {shown} to {direction.word}")
        if seen[1] * direction.sign < 0:
            raise Disagrees(f"its reading has the other sign: {shown} to {direction.word}; look at its sense leads")
        if abs(seen[1] - direction.sign * level_a) > hand.allowed_a(level_a):
            raise Disagrees(f"{shown} to {direction.word}: is topology.reference_shunt.ohm right?")
        return f"{shown} to {direction.word}"

    def part(role: str) -> Hand:
        beside = replace(place, role=role, part=place.power[role])
        return Hand(beside, sheet)

    first = "bidirectional" if "bidirectional" in place.power else "supply"
    watching = part(first)
    stand_guarded(place, sheet)
    watching.start_watch()
    try:
        sheet.judge("connection", lambda: close_onto(part(first)), essential=True)
        for direction in Direction:
            role = first if direction is Direction.CHARGE or first == "bidirectional" else "load"
            sheet.judge(f"sign while {direction.verb}", partial(look, part(role), direction))
    finally:
        watching.stop_watch()


def contact_switch(place: Place, sheet: ContactSheet) -> None:
    """Meet the disconnect: it moves both ways, says so, and really ends a current; the reference is the witness."""
    switch = place.part
    role = "bidirectional" if "bidirectional" in place.power else "supply"
    source: Any = place.power[role]
    hand = Hand(replace(place, role=role, part=source), sheet)

    def moves() -> str:
        if place.connected != "pack":
            require_dead(place)
        for closed in (False, True, False):
            (switch.close_contact if closed else switch.open_contact)()
            if switch.is_closed() is not closed:
                raise Disagrees(f"says {'open' if closed else 'closed'} after it was told otherwise")
            if place.connected == "pack":
                return "says open; it is closed only onto equal voltages"
        return "moves both ways and says so"

    def conducts() -> str:
        way = hand.directions()[0]
        close_onto(hand)
        hand.drive(way, min(PROBE_A, hand.level_a(way)))
        try:
            closed_a = place.reference.current()
            since_s = place.clock.now()
            switch.open_contact()
            took_s = hand.time_to_off(since_s)
            open_a = place.reference.current()
        finally:
            hand.off()
        if abs(closed_a) < 0.5 * PROBE_A:
            raise Disagrees(f"says closed, and only {show(closed_a, 'A')} flows where {PROBE_A:g} A were set")
        if abs(open_a) >= place.reference.off_limit_a:
            raise Disagrees(f"says open, and {show(open_a, 'A')} still flows: a welded contact?")
        found = f"closed: {show(closed_a, 'A')}; open: {show(open_a, 'A')} although the source was still on"
        if took_s is None:
            raise CannotTell(f"{found}; how fast it opens was not seen")
        sheet.figures["stop_latency_s"] = took_s
        return f"{found}, off {took_s:.3f} s after the command"

    def falls_by_itself() -> str:
        if not isinstance(switch, HasWatchdog):
            raise CannotTell("its driver has no watchdog: the contact stays as it is when the bench falls silent")
        with resting(place, "disconnect"):
            return starve()

    def starve() -> str:
        # Drawn from the pack where that is possible: the bus is then empty afterwards, and can be connected again.
        drain = "load" if "load" in place.power else role
        puller = Hand(replace(place, role=drain, part=place.power[drain]), sheet)
        way = Direction.DISCHARGE if Direction.DISCHARGE in puller.directions() else Direction.CHARGE
        pulling = puller if way in puller.directions() else hand
        close_onto(hand)
        pulling.drive(way, min(PROBE_A, pulling.level_a(way)))
        try:
            switch.arm_watchdog(WATCHDOG_S)
            since_s = place.clock.now()
            if wait_until(place.clock, hand.is_off, timeout_s=3.0 * WATCHDOG_S, poll_s=0.05) is None:
                raise Disagrees(
                    f"its watchdog did nothing: armed with {WATCHDOG_S:g} s, {3.0 * WATCHDOG_S:g} s after the bench "
                    f"fell silent {show(place.reference.current(), 'A')} still flowed"
                )
            sheet.figures["watchdog_s"] = took_s = place.clock.now() - since_s
        finally:
            pulling.off()
            place.part.open_contact()
            switch.disarm_watchdog()
        if switch.is_watchdog_armed():
            raise Disagrees("its watchdog is still armed after it was disarmed")
        return f"armed with {WATCHDOG_S:g} s, the contact opened {took_s:.2f} s after the bench fell silent"

    sheet.judge("identity", lambda: identify(place, sheet), essential=True)
    sheet.judge("moving", moves, essential=True)
    stand_guarded(place, sheet)
    hand.start_watch()
    try:
        sheet.judge("watchdog", falls_by_itself)
        sheet.judge("conducting", conducts)
    finally:
        hand.stop_watch()


def make_ready(place: Place, meters: dict[str, Any]) -> None:
    """Set the other meters' ranges, take control of the other power instruments and see that they are off.

    Raises:
        BenchError: the rest of the bench is not fit to judge an instrument by.
    """
    for role, meter in meters.items():
        section = place.definition.instruments[place.definition.roles[role]]
        if section.measuring is not None:
            meter.set_range(section.measuring.range_v)
            meter.set_integration(section.measuring.power_line_cycles)
    for role, other in place.power.items():
        if role == place.role:
            continue
        other.take_control()
        if other.is_output_on():
            other.output_off()
            raise BenchError(f"{place.definition.roles[role]}: its output was on; switched off, begin again")
        end_left_watchdog(other)
    if place.disconnect is not None:
        end_left_watchdog(place.disconnect)
