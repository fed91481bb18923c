"""The first contact of a driver with its instrument: low limits, one thing at a time, each a judged line.

A power instrument is asked who it is, what it can, whether it obeys, which way its readings count, how fast it
stops, whether its protections act and stay off after the clear, and what happens when the bench falls silent.
Meters and the disconnect are shorter (`commissioning_parts`).
"""

from __future__ import annotations

import itertools

from bench.errors import BenchError
from bench.quantities import Direction, show
from instruments.commissioning_guards import end_left_watchdog, stand_guarded
from instruments.commissioning_signs import Signs
from instruments.commissioning_trips import Trips
from instruments.driving import SETTERS, Hand, close_onto
from instruments.first_contact import CannotTell, ContactSheet, Disagrees, Place, identify

SHARES = (0.02, 0.05, 0.1)  # of the rating, set and read back with the output off
OPEN_V = (5.0, 10.0)  # two voltages at open terminals: does the reading follow?
FALLING_V = 0.05  # in a second: more than a reading's noise
READINGS = 50
SLOWEST_READING_S = 1.0


def contact_power(place: Place, sheet: ContactSheet) -> None:
    """Meet a supply, a load or a bidirectional supply; never raises for what the instrument does.

    Whoever calls it takes the way out afterwards, whatever the lines say.
    """
    hand = Hand(place, sheet)
    contact = _PowerContact(hand, sheet)
    signs, trips = Signs(hand, sheet), Trips(hand, sheet)
    sheet.judge("identity", contact.identity, essential=True)
    sheet.judge("ratings", contact.ratings, essential=True)
    sheet.judge("off at opening", contact.off_at_opening)
    sheet.judge("control", contact.control, essential=True)
    sheet.judge("settings", contact.settings, essential=True)
    sheet.judge("own limits", contact.own_limits, essential=True)
    sheet.judge("output", contact.output, essential=True)
    sheet.judge("open terminals", contact.open_terminals)
    stand_guarded(place, sheet)
    hand.start_watch()
    try:
        sheet.judge("connection", lambda: close_onto(hand), essential=True)
        for direction in Direction:
            signs.judge(direction)
        trips.judge_all()
        sheet.judge("update rate", contact.update_rate)
        trips.judge_watchdog()
        trips.judge_remote_lost()
        sheet.judge("off at the end", contact.off_at_the_end)
    finally:
        hand.stop_watch()


class _PowerContact:
    """The steps, in their order."""

    def __init__(self, hand: Hand, sheet: ContactSheet) -> None:
        self.hand, self.sheet = hand, sheet
        self.part, self.place, self.clock = hand.part, hand.place, hand.clock

    def identity(self) -> str:
        return identify(self.place, self.sheet)

    def ratings(self) -> str:
        ratings, envelope = self.part.get_ratings(), self.place.definition.envelope
        parts = [f"0 to {ratings.voltage_v.high:g} V"]
        for word, quadrant, limit_a in (
            ("source", ratings.source_current_a, envelope.charge_a),
            ("sink", ratings.sink_current_a, envelope.discharge_a),
        ):
            if quadrant is not None:
                parts.append(f"{word} {quadrant.high:g} A")
                if limit_a > quadrant.high:
                    raise Disagrees(f"{word}s {quadrant.high:g} A, the envelope asks for {limit_a:g} A")
        if envelope.max_v > ratings.voltage_v.high:
            raise Disagrees(f"goes to {ratings.voltage_v.high:g} V, the envelope to {envelope.max_v:g} V")
        if not ratings.power_w > 0:
            raise Disagrees(f"says that its power is {ratings.power_w:g} W")
        return f"{', '.join(parts)}, {ratings.power_w:g} W"

    def off_at_opening(self) -> str:
        if self.part.is_output_on():
            self.part.take_control()
            self.hand.off()
            raise Disagrees("its output was on when it was opened; it was switched off")
        current_a = self.hand.reference.current()
        if abs(current_a) >= self.hand.reference.off_limit_a:
            raise Disagrees(f"says off, and the reference shows {show(current_a, 'A')}")
        return f"off, {show(current_a, 'A')} at the reference"

    def control(self) -> str:
        try:
            self.part.take_control()
        except BenchError as problem:
            raise Disagrees(f"does not take remote control, or not what is set with it: {problem}") from problem
        if self.part.is_output_on():
            self.hand.off()
            raise Disagrees("taking remote control switched its output on")
        left = end_left_watchdog(self.part)
        if alarms := self.part.get_alarms():
            self.part.clear_alarms()
            return f"remote control taken, still off; cleared what stood there: {', '.join(alarms)}{left}"
        return f"remote control taken, still off, no alarm{left}"

    def settings(self) -> str:
        ratings = self.part.get_ratings()
        names = [f"set_{name}" for name in ("voltage", *SETTERS[self.place.role]) if name]
        for name in [name for name in names if hasattr(self.part, name)]:
            rated = ratings.voltage_v if name == "set_voltage" else ratings.source_current_a or ratings.sink_current_a
            getter = getattr(self.part, name.replace("set_", "get_"))
            for share in SHARES:
                value = round(share * rated.high, 1)
                try:
                    getattr(self.part, name)(value)
                except BenchError as problem:
                    raise Disagrees(f"does not take a set value: {name}({value:g}): {problem}") from problem
                if not abs(getter() - value) <= rated.high / 2000.0:
                    raise Disagrees(f"{name}({value:g}) is read back as {getter():g}")
            getattr(self.part, name)(0.0)
        if self.part.is_output_on():
            self.hand.off()
            raise Disagrees("setting values switched its output on")
        return f"{', '.join(name for name in names if hasattr(self.part, name))}: set and read back, output stays off"

    def own_limits(self) -> str:
        """Program its own protections low, before anything may flow."""
        return "; ".join(Trips(self.hand, self.sheet).program_low()) or "it has no protection that could be programmed"

    def output(self) -> str:
        """On and off at zero, with the disconnect still open."""
        if self.place.role != "load":
            self.part.set_voltage(0.0)
        self.part.output_on()
        on = self.part.is_output_on()
        self.hand.off()
        if not on:
            raise Disagrees("says off after it was switched on")
        return "switches on and off at 0 A"

    def open_terminals(self) -> str:
        if self.place.role == "load":
            raise CannotTell("a load makes no voltage at open terminals")
        if self.place.disconnect is None:
            raise CannotTell("there is no disconnect that could open the terminals")
        self._fallen()
        self.hand.set_current(Direction.CHARGE, 1.0)
        found = []
        self.part.set_voltage(0.0)
        self.part.output_on()
        try:
            for voltage_v in OPEN_V:
                self.part.set_voltage(voltage_v)
                self.clock.sleep(1.0)
                found.append(self.part.measure_voltage())
        finally:
            self.hand.set_current(Direction.CHARGE, 0.0)
            self.hand.off()
        shown = " and ".join(f"{value:.2f} V" for value in found)
        if abs(found[1] - found[0]) < 0.5 * (OPEN_V[1] - OPEN_V[0]):
            raise Disagrees(f"{OPEN_V[0]:g} V and {OPEN_V[1]:g} V were set, it reads {shown}: its reading stands still")
        if any(abs(value - set_v) > 0.05 * set_v + 0.2 for value, set_v in zip(found, OPEN_V, strict=True)):
            raise Disagrees(f"{OPEN_V[0]:g} V and {OPEN_V[1]:g} V were set, it reads {shown}")
        return f"reads {shown} where {OPEN_V[0]:g} V and {OPEN_V[1]:g} V were set"

    def _fallen(self) -> None:
        """Make sure that the terminals do not hold a voltage of before, which a source cannot pull down.

        Raises:
            CannotTell: they do, and it is falling.
        """
        before_v = self.part.measure_voltage()
        if before_v < OPEN_V[0]:
            return
        self.clock.sleep(1.0)
        now_v = self.part.measure_voltage()
        if now_v < before_v - FALLING_V:
            raise CannotTell(f"its terminals still hold {now_v:.1f} V of what was there before, falling; wait a minute")

    def update_rate(self) -> str:
        direction = next(iter(self.hand.directions()), None)
        if direction is None:
            raise CannotTell(f"nothing flows out of a {self.place.connected}: connect a pack")
        self.hand.drive(direction, self.hand.level_a(direction))
        try:
            begin_s = self.clock.now()
            values = [self.part.measure_current() for _ in range(READINGS)]
            took_s = (self.clock.now() - begin_s) / READINGS
        finally:
            self.hand.off()
        changes = sum(left != right for left, right in itertools.pairwise(values))
        self.sheet.figures["reading_s"] = took_s
        if took_s > SLOWEST_READING_S:
            raise Disagrees(f"a reading takes {took_s:.2f} s, too long for the guard's watch")
        if not changes:
            return (
                f"a reading takes {1000 * took_s:.1f} ms; {READINGS} of them were equal, so its own rate is not known"
            )
        update_s = self.sheet.figures["update_s"] = took_s * READINGS / changes
        return f"a reading takes {1000 * took_s:.1f} ms, a new value comes every {1000 * update_s:.0f} ms"

    def off_at_the_end(self) -> str:
        self.hand.off()
        if self.hand.time_to_off(self.clock.now()) is None:
            raise Disagrees(f"off was asked, the reference shows {show(self.hand.reference.current(), 'A')}")
        return f"off, {show(self.hand.reference.current(), 'A')} at the reference"
