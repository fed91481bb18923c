"""What EA's one-quadrant devices of the 9000 series have in common over SCPI.

Source of facts: EA programming guide "ModBus & SCPI" (REV24/26), chapters on remote control, alarms and
status. Not done here: the reaction to over-temperature and power fail (`SYST:ALAR:ACT`) stays as set up at
the unit; over-temperature defaults to AUTO, with which the output returns by itself after cooling.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from bench.clock import Clock, Tick
from bench.errors import InstrumentError
from bench.quantities import Range
from bench.roles import Identity, Ratings, Record, Regulation
from instruments.driver import check_model, check_options, confirm, confirm_off
from instruments.scpi import Scpi, parse_identity
from instruments.transports.visa import ScpiTransport

# STAT:QUES:COND?
_ALARMS = {
    0: "overvoltage",
    1: "overcurrent",
    2: "overpower",
    3: "overtemperature",
    4: "overvoltage_supervision",
    5: "undervoltage",
    6: "overcurrent_supervision",
    7: "undercurrent",
    8: "overpower_supervision",
    13: "power_fail",
    14: "master_slave",
}
_REMOTE, _DC_ON = 1 << 10, 1 << 11
# STAT:OPER:COND?
_REGULATIONS: dict[int, Regulation] = {8: "CV", 9: "CC", 10: "CP", 11: "CR"}

_STEPS = 26214  # of a set value from 0 to 100 %: half of 52428, one bit is kept for the sign
_SPACING_S = 0.005
_RECONNECT_S = 3.0  # one socket at a time; the old one may be counted for about 3 s
_EXECUTION_S = 0.5  # "after an undefined short delay"
_POWER_FAIL_RECOVERY_S = 2.0
PROTECTION_LIMIT = 1.10  # of the rating


class EaScpi:
    """Remote control, output, measuring, alarms and checked settings. `switch` is `OUTP` or `INP`."""

    transport: ClassVar[str] = "scpi"
    commissioned: ClassVar[bool] = False
    family: ClassVar[str]
    models: ClassVar[tuple[str, ...]]
    switch: ClassVar[str]

    def __init__(self, name: str, link: Scpi, voltage_v: float, current_a: float, power_w: float) -> None:
        self.name = name
        self.link = link
        self.clock = link.transport.clock
        self.nominal_v = voltage_v
        self.nominal_a = current_a
        self.nominal_w = power_w
        self._latched: set[int] = set()
        self._in_control = False
        self._should_be_on = False
        self._pending_off: Tick | None = None
        link.transport.on_reopen = self._check_after_reopening

    @classmethod
    def open(
        cls,
        name: str,
        address: str,
        *,
        clock: Clock,
        record: Record,
        timeout_s: float = 2.0,
        options: Mapping[str, object] = {},
    ) -> Self:
        """Connect, identify and read the ratings; nothing is changed. There are no options.

        Raises:
            ConnectionLost: nothing listens there. InstrumentError: another model answers.
        """
        check_options(name, options, ())
        transport = ScpiTransport(
            name,
            address,
            clock=clock,
            record=record,
            timeout_s=timeout_s,
            spacing_s=_SPACING_S,
            reopen_within_s=_RECONNECT_S,
        )
        link = Scpi(transport)
        try:
            transport.connect()
            check_model(transport.where, parse_identity(transport.identification), cls.models, cls.family)
            voltage_v = link.query_float("SYST:NOM:VOLT?", "V")
            current_a = link.query_float("SYST:NOM:CURR?", "A")
            power_w = link.query_float("SYST:NOM:POW?", "W")
        except BaseException:
            transport.close()
            raise
        return cls(name, link, voltage_v, current_a, power_w)

    def identify(self) -> Identity:
        """Ask who it is."""
        return parse_identity(self.link.query("*IDN?"))

    def close(self) -> None:
        """Give remote control back and end the conversation.

        Whether the output stays as it is depends on the unit's own "after remote" setting.
        """
        if self._pending_off is not None:
            self._pending_off.cancel()
        try:
            if self._in_control and self.link.transport.is_open:
                with self.link.transport.operation(urgent=True):
                    self.link.write("SYST:LOCK OFF")
        finally:
            self._in_control = False
            self.link.transport.close()

    def take_control(self) -> None:
        """Take remote control and see that it was given."""
        with self.link.transport.operation():
            self._conditions()
            self.link.drain_errors()  # what others left there is in the dialogue, and not ours to judge
            self._tell("SYST:LOCK ON")
            owner = self.link.query("SYST:LOCK:OWN?").strip()
            if owner != "REMOTE":
                raise InstrumentError(
                    f"{self.link.transport.where}: remote control was not given, its owner is {owner}; "
                    "is the panel locked to local, or its menu open?"
                )
            self._in_control = True

    def output_on(self) -> None:
        """Connect the terminals and ask whether that happened; refused while an alarm is latched here."""
        with self.link.transport.operation():
            self._conditions()
            if self._latched:
                raise InstrumentError(
                    f"{self.name}: not switched on, alarms are latched: {self._alarm_names()}; clear_alarms first"
                )
            self._tell(f"{self.switch} ON")
            confirm(
                self.clock,
                self.is_output_on,
                lambda: f"{self.name}: {self.switch} is still off (alarms: {self._alarm_names() or 'none'})",
                within_s=_EXECUTION_S,
            )
        self._should_be_on = True

    def output_off(self) -> None:
        """Disconnect the terminals and ask whether that happened; takes remote control where it was lost."""
        self._should_be_on = False
        with self.link.transport.operation(urgent=True):
            self.link.write("SYST:LOCK ON")
            self.link.write(f"{self.switch} OFF")
            self._in_control = True
            self._pending_off = confirm_off(
                self.clock,
                self._is_still_on,
                lambda: f"{self.name}: {self.switch} is still on",
                within_s=_EXECUTION_S,
            )
            self._conditions()
            self.link.drain_errors()  # it is off, which was the question; the queue must not blame the next

    def _is_still_on(self) -> bool:
        with self.link.transport.operation(urgent=True):
            return self.is_output_on()

    def is_output_on(self) -> bool:
        """Ask whether the terminals are connected."""
        return self.link.query_switch(f"{self.switch}?")

    def measure_voltage(self) -> float:
        """Measure the voltage at the terminals, in volts."""
        return self.link.query_float("MEAS:VOLT?", "V")

    def get_regulation(self) -> Regulation:
        """Ask what limits the output now."""
        with self.link.transport.operation():
            if not self._conditions() & _DC_ON:
                return "OFF"
            state = self.link.query_bits("STAT:OPER:COND?")
        for bit, regulation in _REGULATIONS.items():
            if state & 1 << bit:
                return regulation
        raise InstrumentError(f"{self.name}: output on, but STAT:OPER:COND? {state} names no regulation")

    def get_alarms(self) -> tuple[str, ...]:
        """Ask for alarms; one that was seen stays until `clear_alarms`, since `SYST:ERR?` acknowledges it.

        Raises:
            InstrumentError: remote control was lost.
        """
        if not self._conditions() & _REMOTE and self._in_control:
            raise InstrumentError(f"{self.link.transport.where}: lost remote control (LOCAL pressed, reboot?)")
        return self._alarm_names()

    def clear_alarms(self) -> None:
        """Output off, verified; acknowledge; verified off again, and no alarm left."""
        self.output_off()
        with self.link.transport.operation():
            self.link.drain_errors()  # SYST:ERR? acknowledges alarms whose cause is gone
            bits = self._conditions()
            left = [name for bit, name in _ALARMS.items() if bits & 1 << bit]
            if left:
                raise InstrumentError(f"{self.name}: alarm not cleared, its cause is still there: {left}")
            if self.is_output_on():
                raise InstrumentError(f"{self.name}: {self.switch} came back on after the alarm was cleared")
        if 13 in self._latched:
            self.clock.sleep(_POWER_FAIL_RECOVERY_S)
        self._latched.clear()

    def _set(self, header: str, value: float, unit: str, nominal: float, allowed: Range) -> None:
        """Check the range, tell, and read back until the instrument agrees within its resolution."""
        allowed.check(value, f"{self.name}, {header}")
        found = value

        def agrees() -> bool:
            nonlocal found
            answer = self.link.query_number(f"{header}?", unit)
            found = answer.value
            return abs(found - value) <= nominal / _STEPS + answer.resolution / 2

        with self.link.transport.operation():
            self._tell(f"{header} {value:.3f}")
            confirm(
                self.clock,
                agrees,
                lambda: f"{self.name}: {header} is {found:g} {unit} instead of {value:g} {unit}",
                within_s=_EXECUTION_S,
            )

    def _tell(self, command: str) -> None:
        """Send a command; latch alarms before `SYST:ERR?`, which would acknowledge them."""
        self.link.write(command)
        self._conditions()
        self.link.check_errors(command)

    def _conditions(self) -> int:
        bits = self.link.query_bits("STAT:QUES:COND?")
        self._latched.update(bit for bit in _ALARMS if bits & 1 << bit)
        return bits

    def _alarm_names(self) -> tuple[str, ...]:
        return tuple(name for bit, name in _ALARMS.items() if bit in self._latched)

    def _check_after_reopening(self) -> None:
        """Say it once if the instrument is no longer in the state it was left in."""
        bits = self._conditions()
        if self._in_control and not bits & _REMOTE:
            raise InstrumentError(
                f"{self.link.transport.where}: the connection was lost, and remote control with it "
                f"(power cycle?); its output is {'on' if bits & _DC_ON else 'off'}"
            )
        if self._should_be_on and not bits & _DC_ON:
            self._should_be_on = False
            raise InstrumentError(
                f"{self.link.transport.where}: the output went off while the connection was down; "
                f"alarms: {self._alarm_names() or 'none'}"
            )


def ratings(voltage_v: float, power_w: float, *, source_a: float | None, sink_a: float | None) -> Ratings:
    """Put nominal values into ratings; a quadrant that the device does not have is None."""
    return Ratings(
        Range(0.0, voltage_v, "V"),
        None if source_a is None else Range(0.0, source_a, "A"),
        None if sink_a is None else Range(0.0, sink_a, "A"),
        power_w,
    )
