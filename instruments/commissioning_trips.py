"""Do an instrument's own protections act, stay off after the clear, and notice that the bench fell silent?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.clock import wait_until
from bench.errors import BenchError
from bench.quantities import Direction, show
from bench.roles import HasOvercurrentProtection, HasOvervoltageProtection, HasSinkOvercurrentProtection
from instruments.commissioning_guards import resting
from instruments.driving import LOW_A, Hand
from instruments.first_contact import CannotTell, ContactSheet, Disagrees

TRIP_WITHIN_S = 1.5
QUIET_S = 1.0  # how long it must stay off after a clear
WATCHDOG_S = 1.0
LOWEST_TRIP_V = 2.0


@dataclass(frozen=True, slots=True)
class _Trip:
    """One protection: its name on the sheet, its setter, its alarm, the direction that provokes it."""

    name: str
    setter: str
    alarm: str
    direction: Direction


class Trips:
    """The protections of the instrument in a hand."""

    def __init__(self, hand: Hand, sheet: ContactSheet) -> None:
        self.hand, self.sheet, self.part, self.clock = hand, sheet, hand.part, hand.clock

    def _all(self) -> list[_Trip]:
        own = Direction.DISCHARGE if self.hand.place.role == "load" else Direction.CHARGE
        found = []
        if isinstance(self.part, HasOvervoltageProtection):
            found.append(_Trip("over-voltage", "set_overvoltage_protection", "overvoltage", own))
        if isinstance(self.part, HasOvercurrentProtection):
            found.append(_Trip("over-current", "set_overcurrent_protection", "overcurrent", own))
        if isinstance(self.part, HasSinkOvercurrentProtection):
            way = Direction.DISCHARGE
            found.append(_Trip("sink over-current", "set_sink_overcurrent_protection", "overcurrent", way))
        return found

    def _resting(self, trip: _Trip) -> float:
        """Return where a protection rests during the first contact: low, and not in the way."""
        ratings = self.part.get_ratings()
        if trip.alarm == "overvoltage":
            return float(min(1.03 * self.hand.place.definition.envelope.max_v, ratings.voltage_v.high))
        return 2.0 * LOW_A

    def program_low(self) -> list[str]:
        """Program every protection low and read it back; return what was set in words.

        Raises:
            Disagrees: it does not take a limit.
        """
        done = []
        for trip in self._all():
            value = self._resting(trip)
            try:
                getattr(self.part, trip.setter)(value)
            except BenchError as problem:
                raise Disagrees(f"does not take a limit: {trip.setter}({value:g}): {problem}") from problem
            done.append(f"{trip.name} {value:.1f} {'V' if trip.alarm == 'overvoltage' else 'A'}")
        return done

    def judge_all(self) -> None:
        """Judge each protection: does it trip, and does its clear leave the output off?"""
        for trip in [] if self.sheet.stopped else self._all():
            if self.sheet.judge(f"{trip.name} trip", self._looking(trip)):
                self.sheet.judge(f"clear after {trip.name}", lambda trip=trip: self._clear(trip))  # type: ignore[misc]

    def _looking(self, trip: _Trip) -> Callable[[], str]:
        return lambda: self._provoke(trip)

    def _provoke(self, trip: _Trip) -> str:
        if trip.direction not in self.hand.directions():
            raise CannotTell(f"nothing flows out of a {self.hand.place.connected}: connect a pack")
        level_a = self.hand.level_a(trip.direction)
        self.hand.drive(trip.direction, level_a)
        tripped = False
        try:
            value, unit = level_a / 2, "A"
            if trip.alarm == "overvoltage":
                value, unit = 0.9 * self.part.measure_voltage(), "V"
                if value < LOWEST_TRIP_V:
                    raise CannotTell(f"only {value / 0.9:.2f} V at its terminals: connect a resistor or a pack")
            since_s = self.clock.now()
            getattr(self.part, trip.setter)(value)
            off = wait_until(self.clock, lambda: not self.part.is_output_on(), timeout_s=TRIP_WITHIN_S, poll_s=0.01)
            if off is None:
                raise Disagrees(
                    f"set to {value:.1f} {unit} below what was there, it did not act in {TRIP_WITHIN_S:g} s"
                )
            if self.hand.time_to_off(since_s) is None:
                raise Disagrees(f"says tripped, and {show(self.hand.reference.current(), 'A')} still flows")
            alarms = self.part.get_alarms()
            if trip.alarm not in alarms:
                raise Disagrees(f"went off without the alarm {trip.alarm!r}; it names {', '.join(alarms) or 'none'}")
            tripped = True
            return f"set to {value:.1f} {unit}, off within {self.clock.now() - since_s:.2f} s, alarm {trip.alarm!r}"
        finally:
            if not tripped:
                self.hand.off()
                getattr(self.part, trip.setter)(self._resting(trip))

    def _clear(self, trip: _Trip) -> str:
        problem: BenchError | None = None
        again: float | None = None
        # A setting may acknowledge already: some units do so whenever their errors are read.
        for action in (lambda: getattr(self.part, trip.setter)(self._resting(trip)), self.part.clear_alarms):
            try:
                action()
            except BenchError as error:
                problem = error
            since_s = self.clock.now()
            again = wait_until(self.clock, self._conducts, timeout_s=QUIET_S, poll_s=0.02)
            if again is not None or problem is not None:
                break
        if again is not None or (problem is not None and "came back on" in str(problem)):
            current_a = self.hand.reference.current()
            self.hand.off()
            self.sheet.stop("clearing an alarm switches its output on")
            raise Disagrees(
                f"the clear switched its output on again ({show(current_a, 'A')} flowed); it was switched off. "
                "Set the unit so that its output stays off, or do not use it"
            )
        if problem is not None:
            raise problem
        if alarms := self.part.get_alarms():
            raise Disagrees(f"still names {', '.join(alarms)} after the clear")
        return f"off for {self.clock.now() - since_s:.1f} s after the clear, no alarm left"

    def _conducts(self) -> bool:
        return self.part.is_output_on() or not self.hand.is_off()

    # -- silence ---------------------------------------------------------------------------------------------

    def judge_watchdog(self) -> None:
        """Judge the instrument's own watchdog: the bench falls silent, the output must go off by itself."""
        self.sheet.judge("watchdog", self._watchdog)

    def _watchdog(self) -> str:
        part: Any = self.part
        if not hasattr(part, "arm_watchdog"):
            raise CannotTell(
                "its driver has none: what remains when the bench falls silent are its own limits and the disconnect"
            )
        direction = next(iter(self.hand.directions()), None)
        if direction is None:
            raise CannotTell(f"nothing flows out of a {self.hand.place.connected}: connect a pack")
        with resting(self.hand.place, self.hand.place.role):
            return self._starve(part, direction)

    def _starve(self, part: Any, direction: Direction) -> str:
        self.hand.drive(direction, self.hand.level_a(direction))
        try:
            part.arm_watchdog(WATCHDOG_S)
            if not part.is_watchdog_armed():
                raise Disagrees("says that its watchdog is not armed after it was armed")
            took_s = wait_until(self.clock, self.hand.is_off, timeout_s=3.0 * WATCHDOG_S, poll_s=0.05)
            current_a = self.hand.reference.current()
        finally:
            self._end_watchdog()
        if took_s is None:
            raise Disagrees(
                f"its watchdog did nothing: armed with {WATCHDOG_S:g} s, and {show(current_a, 'A')} still flowed after "
                f"{3.0 * WATCHDOG_S:g} s of silence"
            )
        if part.is_watchdog_armed():
            raise Disagrees("its watchdog is still armed after it was disarmed")
        self.sheet.figures["watchdog_s"] = took_s
        return f"armed with {WATCHDOG_S:g} s, the current ended {took_s:.2f} s after the bench fell silent"

    def _end_watchdog(self) -> None:
        self.hand.off()
        self.part.take_control()
        self.part.disarm_watchdog()
        if self.part.get_alarms():
            self.part.clear_alarms()

    def judge_remote_lost(self) -> None:
        """Judge what the driver does when somebody presses LOCAL: settings are refused, stopping still works."""
        self.sheet.judge("remote lost", self._remote_lost)

    def _remote_lost(self) -> str:
        press = self.hand.place.press_local
        direction = next(iter(self.hand.directions()), None)
        if press is None:
            raise CannotTell("nobody is there to press LOCAL at the instrument")
        if direction is None:
            raise CannotTell(f"nothing flows out of a {self.hand.place.connected}: connect a pack")
        level_a = self.hand.level_a(direction)
        self.hand.drive(direction, level_a)
        try:
            press()
            refused = [self._refuses(lambda: self.hand.set_current(direction, level_a / 2))]
            refused.append(self._refuses(self.part.get_alarms))
        finally:
            self.hand.off()
        if self.hand.time_to_off(self.clock.now()) is None:
            raise Disagrees(f"after LOCAL, {show(self.hand.reference.current(), 'A')} flows although off was asked")
        self.part.take_control()
        if not all(refused):
            raise Disagrees("LOCAL was pressed, and the driver did not notice: its settings may go nowhere")
        return "LOCAL is noticed at the next setting and the next look at alarms; the output can still be switched off"

    @staticmethod
    def _refuses(action: Callable[[], object]) -> bool:
        try:
            action()
        except BenchError:
            return True
        return False
