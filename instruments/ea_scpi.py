"""What EA's one-quadrant devices of the 9000 series have in common over SCPI.

Source of facts: EA programming guide "ModBus & SCPI" (REV24/26), chapters on remote control, alarms and
status. Not done here: the reaction to over-temperature and power fail (`SYST:ALAR:ACT`) stays as set up at
the unit; over-temperature defaults to AUTO, with which the output returns by itself after cooling.
"""

from __future__ import annotations

from typing import ClassVar

from bench.clock import Tick
from bench.errors import InstrumentError
from bench.roles import Regulation
from instruments.driver import confirm, confirm_off
from instruments.ea_lines import EXECUTION_S
from instruments.ea_watchdog import EaWatchdog
from instruments.scpi import Scpi

_REMOTE, _DC_ON = 1 << 10, 1 << 11  # STAT:QUES:COND?
_REGULATIONS: dict[int, Regulation] = {8: "CV", 9: "CC", 10: "CP", 11: "CR"}  # bits of STAT:OPER:COND?
_POWER_FAIL, _POWER_FAIL_RECOVERY_S = 13, 2.0


class EaScpi(EaWatchdog):
    """Remote control, output, measuring, alarms and the watchdog. `switch` is `OUTP` or `INP`."""

    switch: ClassVar[str]

    def __init__(self, name: str, link: Scpi, voltage_v: float, current_a: float, power_w: float) -> None:
        super().__init__(name, link, voltage_v, current_a, power_w)
        self._in_control = False
        self._should_be_on = False
        self._pending_off: Tick | None = None
        link.transport.on_reopen = self._check_after_reopening

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
                within_s=EXECUTION_S,
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
                within_s=EXECUTION_S,
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
            left = self._alarms_of(self._conditions())
            if left:
                raise InstrumentError(f"{self.name}: alarm not cleared, its cause is still there: {left}")
            if self.is_output_on():
                raise InstrumentError(f"{self.name}: {self.switch} came back on after the alarm was cleared")
        if _POWER_FAIL in self._latched:
            self.clock.sleep(_POWER_FAIL_RECOVERY_S)
        self._latched.clear()

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
