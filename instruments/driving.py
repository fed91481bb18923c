"""Driving one instrument by hand at low limits, for its first contact: on, a known current, off, and cut off."""

from __future__ import annotations

import math
from typing import Any

from bench.clock import Tick, wait_until
from bench.errors import BenchError, InstrumentError, NotDue, SafetyError, WiringError
from bench.quantities import Direction, show
from bench.way_out import OFF_S, OFF_WITHIN_S, run_stage, switch_off
from instruments.commissioning_guards import feed
from instruments.first_contact import CannotTell, ContactSheet, Disagrees, Place

LOW_A = 10.0  # never more than this ...
LOW_W = 100.0  # ... nor, into a resistor, more than this
DEAD_V = 1.0  # more than this is no resistor at rest
SETTLE_S = 0.5
WATCH_S = 0.1
FEED_EVERY = 3  # looks: so often armed watchdogs are fed, which wait a second or more
POLL_S = 0.01
COMPLIANCE_SHARE = 0.99  # of the envelope's voltage, offered to a pack
HEADROOM_V = 2.0  # offered above what a resistor needs
FLOOR_A, FLOOR_SHARE = 1.5, 0.05  # agreement where the definition declares no accuracy
SETTERS = {
    "supply": ("", "current_limit"),
    "load": ("current", ""),
    "bidirectional": ("sink_current", "source_current"),
}


class Hand:
    """Holds the instrument of a place. While it holds, the reference is watched against twice the test current."""

    def __init__(self, place: Place, sheet: ContactSheet) -> None:
        self.place, self.part, self.clock, self._sheet = place, place.part, place.clock, sheet
        self.reference = place.reference
        self._watch: Tick | None = None
        self._looks = 0
        self._beyond_a = 2.0 * LOW_A

    # -- levels ----------------------------------------------------------------------------------------------

    def directions(self) -> tuple[Direction, ...]:
        """Return which ways the instrument can force a current here; a resistor feeds no sink."""
        ratings = self.part.get_ratings()
        ways = []
        if ratings.source_current_a is not None:
            ways.append(Direction.CHARGE)
        if ratings.sink_current_a is not None and self.place.connected == "pack":
            ways.append(Direction.DISCHARGE)
        return tuple(ways)

    def level_a(self, direction: Direction) -> float:
        """Return the current to test with, a magnitude in amperes.

        Raises:
            CannotTell: it would be too small for the instrument's own accuracy.
        """
        envelope, ratings = self.place.definition.envelope, self.part.get_ratings()
        charge = direction is Direction.CHARGE
        rated = ratings.source_current_a if charge else ratings.sink_current_a
        limits = [LOW_A, 0.5 * (envelope.charge_a if charge else envelope.discharge_a), 0.5 * float(rated.high)]
        if self.place.resistor_ohm:
            ohm = self.place.resistor_ohm
            top_v = min(envelope.max_v, ratings.voltage_v.high)
            limits += [math.sqrt(LOW_W / ohm), 0.8 * (top_v - HEADROOM_V) / ohm]
        level_a = math.floor(100.0 * min(limits)) / 100.0
        if level_a < 2.0 * self.allowed_a(level_a):
            raise CannotTell(
                f"{level_a:g} A is the most that may flow here, too little for an accuracy of "
                f"{self.allowed_a(level_a):.2f} A; take a smaller resistor"
            )
        return level_a

    def allowed_a(self, current_a: float) -> float:
        """Return how far the instrument and the reference may differ, in amperes."""
        accuracy = self.place.section.accuracy.get("current")
        own_a = FLOOR_A + FLOOR_SHARE * abs(current_a) if accuracy is None else accuracy.half_width(current_a)
        return own_a + self.reference.current_uncertainty(current_a)

    def compliance_v(self, level_a: float) -> float:
        """Return the voltage to offer while sourcing, in volts: no more than is needed."""
        top_v: float = COMPLIANCE_SHARE * min(
            self.place.definition.envelope.max_v, float(self.part.get_ratings().voltage_v.high)
        )
        if self.place.connected == "pack":
            return top_v
        return min(top_v, level_a * (self.place.resistor_ohm or 0.0) + HEADROOM_V)

    # -- driving ---------------------------------------------------------------------------------------------

    def set_current(self, direction: Direction, current_a: float) -> None:
        """Set the current of one direction, a magnitude in amperes."""
        sink, source = SETTERS[self.place.role]
        getattr(self.part, f"set_{source if direction is Direction.CHARGE else sink}")(current_a)

    def drive(self, direction: Direction, current_a: float) -> None:
        """Switch on at 0 A onto the voltage that is there, then force the current; returns when it has settled."""
        try:
            self._drive(direction, current_a)
        except BenchError:
            self.off()
            raise

    def _drive(self, direction: Direction, current_a: float) -> None:
        opposite = Direction.DISCHARGE if direction is Direction.CHARGE else Direction.CHARGE
        if self.place.role == "bidirectional":
            self.set_current(opposite, 0.0)
        self.set_current(direction, 0.0)
        if self.place.role != "load":
            self.part.set_voltage(max(0.0, min(self.part.measure_voltage(), self.compliance_v(current_a))))
        self.part.output_on()
        self.change(direction, current_a)

    def change(self, direction: Direction, current_a: float) -> None:
        """Change the current of an output that is on, and wait until it has settled."""
        self.set_current(direction, current_a)
        if direction is Direction.CHARGE:
            self.part.set_voltage(self.compliance_v(current_a))
        elif self.place.role == "bidirectional":
            self.part.set_voltage(self.place.definition.envelope.min_v)
        self.clock.sleep(SETTLE_S)

    def off(self) -> None:
        """Switch off; what does not obey is cut off.

        Raises:
            BenchError: it did not obey.
        """

        def switch() -> str | None:
            self.part.output_off()
            return None

        [result] = run_stage(self.clock, "outputs off", [(self.place.role, switch)], deadline_s=OFF_S)
        if not result.done:
            self.cut_off()
            self._sheet.stop("its output does not obey; everything was opened")
            raise Disagrees(f"its output does not switch off when told: {result.text}")

    def cut_off(self) -> None:
        """Switch everything off that obeys, and open the disconnect."""
        switch_off(self.clock, self.place.power, self.place.disconnect, blind=True)

    def is_off(self) -> bool:
        """Whether the reference shows no current."""
        return abs(self.reference.current()) < self.reference.off_limit_a

    def time_to_off(self, since_s: float) -> float | None:
        """Wait until the reference shows no current; return the seconds since an instant, None if it stays on."""
        if wait_until(self.clock, self.is_off, timeout_s=OFF_WITHIN_S, poll_s=POLL_S) is None:
            return None
        return self.clock.now() - since_s

    # -- watching --------------------------------------------------------------------------------------------

    def start_watch(self) -> None:
        """Look at the reference ten times a second; then the guardian hears of it, and armed watchdogs are fed."""
        self._watch = self.clock.every(WATCH_S, self._look)

    def stop_watch(self) -> None:
        """End it."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _look(self) -> None:
        try:
            self._look_once()
        except NotDue:
            return
        except BenchError:
            self._open_everything()
            raise

    def _look_once(self) -> None:
        current_a = self.reference.current()
        if not abs(current_a) <= self._beyond_a:  # a NaN lands here too
            raise SafetyError(f"{show(current_a, 'A')} where at most {LOW_A:g} A were asked for; everything was opened")
        if self.place.guardian is not None:
            self.place.guardian.beat()
        self._looks += 1
        if self._looks % FEED_EVERY == 0:
            feed(self.place)

    def _open_everything(self) -> None:
        guardian = self.place.guardian
        self.stop_watch()
        self._sheet.stop("the watch opened everything")
        if guardian is not None:
            guardian.acting()
        self.cut_off()
        if guardian is not None:
            guardian.opened()


def require_dead(place: Place) -> None:
    """Make sure that what is said to be a resistor or a short has no voltage of its own.

    Raises:
        WiringError: it has: nothing was closed onto it.
    """
    found_v = place.reference.pack_voltage()
    if abs(found_v) > DEAD_V:
        raise WiringError(
            f"a {place.connected} was told, and {found_v:.2f} V are there: a pack? Nothing was closed; take it off, or "
            "leave --resistor and --short away"
        )


def close_onto(hand: Hand) -> str:
    """Bring the bus to the voltage of what is connected, then close the disconnect.

    Raises:
        BenchError: the voltages do not come together, or the disconnect does not close.
    """
    place, clock = hand.place, hand.clock
    if place.disconnect is None:
        return "there is no disconnect: always connected"
    if place.connected != "pack":
        require_dead(place)
        place.disconnect.close_contact()
        return f"disconnect closed onto a {place.connected}"
    found_v = hand.reference.pack_voltage()
    envelope = place.definition.envelope
    if not envelope.min_v <= found_v <= envelope.max_v:
        raise InstrumentError(f"the pack reads {found_v:.2f} V, allowed are {envelope.min_v:g} to {envelope.max_v:g} V")
    role = "bidirectional" if "bidirectional" in place.power else "supply"
    source: Any = place.power[role]
    setter = source.set_source_current if role == "bidirectional" else source.set_current_limit
    source.set_voltage(found_v)
    setter(2.0)
    source.output_on()
    try:
        near = wait_until(clock, lambda: abs(source.measure_voltage() - found_v) < 1.0, timeout_s=3.0, poll_s=0.02)
        if near is None:
            raise Disagrees(
                f"{place.definition.roles[role]} was set to the pack's {found_v:.2f} V and measures "
                f"{source.measure_voltage():.2f} V: the disconnect stays open"
            )
        place.disconnect.close_contact()
    finally:
        setter(0.0)
        source.output_off()
    return f"disconnect closed at {found_v:.2f} V on both sides"
