"""What the guard says before anything is sent: envelope, slopes, one driver at a time, interlock, emergency stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bench.clock import Clock
from bench.definition import Definition
from bench.envelope import OVERCURRENT_MARGIN, OVERVOLTAGE_MARGIN
from bench.errors import OutOfRange, SafetyError
from bench.limits import CellLimits
from bench.quantities import Direction
from bench.roles import (
    HasOvercurrentProtection,
    HasOverpowerProtection,
    HasOvervoltageProtection,
    HasSinkOvercurrentProtection,
    PowerInstrument,
    SafetyInput,
)

LONGEST_STEP_S = 0.1  # between two settings of a ramp


class SetpointChecks:
    """Refuses before sending (`bench.guarded.Checks`); the guard itself is one."""

    def __init__(
        self,
        definition: Definition,
        clock: Clock,
        power: dict[str, PowerInstrument],
        inputs: Mapping[str, SafetyInput],
        cell_limits: CellLimits | None,
    ) -> None:
        self.definition = definition
        self.envelope = definition.envelope
        self.aborted: str | None = None
        self.breach: str | None = None
        self._clock = clock
        self._power = power
        self._inputs = dict(inputs)
        self._cell_limits = cell_limits
        self._commanded: dict[tuple[str, Direction], tuple[float, float]] = {}  # magnitude, and when
        self._contact_closed = False  # as it was last told to be

    def program_protections(self) -> list[str]:
        """Program the instruments' own protections, read them back, and return what was set in words.

        Raises:
            InstrumentError: an instrument did not accept its limit.
        """
        limits = {direction: OVERCURRENT_MARGIN * self.limit_a(direction) for direction in Direction}
        done: list[str] = []
        voltage_v = OVERVOLTAGE_MARGIN * self.envelope.max_v
        for role, instrument in self._power.items():
            source = Direction.DISCHARGE if role == "load" else Direction.CHARGE
            if isinstance(instrument, HasOvervoltageProtection):
                instrument.set_overvoltage_protection(voltage_v)
                done.append(f"{role}: over-voltage {voltage_v:.1f} V")
            if isinstance(instrument, HasOvercurrentProtection):
                instrument.set_overcurrent_protection(limits[source])
                done.append(f"{role}: over-current {limits[source]:.1f} A {source.word}")
            if isinstance(instrument, HasSinkOvercurrentProtection):
                instrument.set_sink_overcurrent_protection(limits[Direction.DISCHARGE])
                done.append(f"{role}: over-current {limits[Direction.DISCHARGE]:.1f} A discharge")
            if isinstance(instrument, HasOverpowerProtection):
                power_w = min(OVERCURRENT_MARGIN * self.envelope.max_w, instrument.get_ratings().power_w)
                instrument.set_overpower_protection(power_w)
                done.append(f"{role}: over-power {power_w:.0f} W")
        return done

    def limit_a(self, direction: Direction) -> float:
        """Return the envelope's current in a direction, a magnitude in amperes."""
        return self.envelope.current_a(direction)

    def check_voltage(self, role: str, voltage_v: float) -> None:
        """Refuse a voltage outside the envelope; 0 V and up is allowed, since a sink may be told to pull low."""
        if not 0.0 <= voltage_v <= self.envelope.max_v:
            raise OutOfRange(
                f"{role}: {voltage_v:g} V is outside the envelope of bench {self.definition.name}, "
                f"0 to {self.envelope.max_v:g} V; nothing was sent"
            )

    def check_current(self, role: str, direction: Direction, current_a: float) -> None:
        """Refuse a current outside the envelope."""
        limit_a = self.limit_a(direction)
        if not 0.0 <= current_a <= limit_a:
            raise OutOfRange(
                f"{role}: {current_a:g} A {direction.word} is outside the envelope of bench "
                f"{self.definition.name}, 0 to {limit_a:g} A; nothing was sent"
            )
        if self.breach and current_a > 0:
            raise SafetyError(f"{role}: {current_a:g} A not set after a breach: {self.breach}")
        if direction is Direction.CHARGE and current_a > 0 and self._cell_limits and self._cell_limits.too_low:
            raise SafetyError(f"{role}: {self._cell_limits.too_low}; such a cell is never charged again")
        self._check_slope(role, direction, current_a)

    def _check_slope(self, role: str, direction: Direction, current_a: float) -> None:
        """Refuse a setting that rises faster than the envelope allows; falling is always allowed."""
        slope = self.envelope.slope_a_per_s
        now_s = self._clock.now()
        before_a, at_s = self._commanded.get((role, direction), (0.0, now_s))
        span_s = min(now_s - at_s, LONGEST_STEP_S)  # time that passed in peace allows no step
        if slope is not None and current_a > before_a + slope * span_s + 1e-9:
            raise OutOfRange(
                f"{role}: from {before_a:g} to {current_a:g} A {direction.word} in {span_s:.3g} s is faster "
                f"than envelope.slope_a_per_s = {slope:g} A/s on bench {self.definition.name}; ramp it (nothing sent)"
            )
        self._commanded[role, direction] = (current_a, now_s)

    def before_output_on(self, role: str) -> None:
        """Refuse to let source and sink drive at once, or to energise after a breach or abort."""
        if self.breach:
            raise SafetyError(f"{role}: not switched on after a breach of the envelope: {self.breach}")
        if self.aborted:
            raise SafetyError(
                f"{role}: not switched on after the abort of {self.aborted}; begin a new provocation or end the test"
            )
        for other, instrument in self._power.items():
            if other != role and instrument.is_output_on():
                raise SafetyError(f"{role}: {other} is still on; only one of source and sink may drive")
        self.require_clear(f"{role} was not switched on")

    def after_switching(self, name: str, undo: Callable[[], None]) -> None:
        """Undo what was switched on while the watch, in another thread, was opening everything.

        The watch says that there is a breach before it switches off. So whatever was sent too late for its command to
        undo it finds the breach here.
        """
        what = self.breach or (self.aborted if name in self._power else None)
        if what:
            undo()
            raise SafetyError(f"{name}: switched on and off again, since meanwhile: {what}")

    def before_contact_closes(self, name: str) -> None:
        """Refuse to close the disconnect after a breach, or while a safety input is open."""
        if self.breach:
            raise SafetyError(f"{name}: not closed after a breach of the envelope: {self.breach}")
        self.require_clear(f"{name} was not closed")

    def contact_moved(self, closed: bool) -> None:
        """Remember what the disconnect was told, and did."""
        self._contact_closed = closed

    def require_clear(self, otherwise: str) -> None:
        """Ask interlock and emergency stop now.

        Raises:
            SafetyError: one of them is open.
            InstrumentError: one of them cannot be read.
        """
        for role, part in self._inputs.items():
            if not part.is_clear():
                raise SafetyError(f"{role.replace('_', ' ')} ({part.name}) is open: {otherwise}; {self._how(role)}")

    def _how(self, role: str) -> str:
        words = self.definition.interlock if role == "interlock" else self.definition.emergency_stop
        return f"look at: {words}" if words else "look at door, button and its wires"
