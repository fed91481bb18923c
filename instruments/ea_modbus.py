"""What EA's 9000 series has in common over Modbus: ModBus TCP (port 502), or RTU frames on TCP 5025.

Source of facts: EA programming guide "ModBus & SCPI" (REV24/26) and register list PSB 9000 (KE 2.31+). Actual
values are unsigned: whether the device sinks is bit 12 of register 505, and both cannot be read in one request
because the data types differ. The reaction to over-temperature and power fail stays as set up at the unit.
"""

from __future__ import annotations

from bench.clock import Tick
from bench.errors import InstrumentError
from bench.roles import Regulation
from instruments.driver import confirm, confirm_off
from instruments.ea_registers import ALARMS, EXECUTION_S, FULL, EaRegisters
from instruments.transports.modbus import ModbusTransport

_POWER_FAIL, _POWER_FAIL_RECOVERY_S = 21, 2.0
_ANY_ALARM = sum(1 << bit for bit in ALARMS)
_REMOTE, _DC, _ACKNOWLEDGE = 402, 405, 411  # coils
_ACTUAL = 507  # voltage, current, power
DC_ON, _REMOTE_ON, _SINKS = 1 << 7, 1 << 11, 1 << 12  # bits of the state
_REGULATIONS: tuple[Regulation, ...] = ("CV", "CR", "CC", "CP")  # its bits 9 and 10


class EaModbus(EaRegisters):
    """Remote control, output, measuring and alarms."""

    def __init__(self, name: str, link: ModbusTransport) -> None:
        super().__init__(name, link)
        self._in_control = False
        self._should_be_on = False
        self._pending_off: Tick | None = None
        link.on_reopen = self._check_after_reopening

    def close(self) -> None:
        """Give remote control back and end the conversation.

        Whether the output stays as it is depends on the unit's own "after remote" setting.
        """
        if self._pending_off is not None:
            self._pending_off.cancel()
        try:
            if self._in_control and self.link.is_open:
                with self.link.operation(urgent=True):
                    self.link.write_coil(_REMOTE, False)
        finally:
            self._in_control = False
            self.link.close()

    def take_control(self) -> None:
        """Take remote control and see that it was given."""
        with self.link.operation():
            self.link.write_coil(_REMOTE, True)
            confirm(
                self.link.clock,
                lambda: bool(self._state() & _REMOTE_ON),
                lambda: f"{self.link.where}: remote control was not given",
                within_s=EXECUTION_S,
            )
            self._in_control = True

    def output_on(self) -> None:
        """Connect the terminals and ask whether that happened; refused while an alarm is latched here."""
        with self.link.operation():
            self._state()
            if self._latched:
                raise InstrumentError(
                    f"{self.name}: not switched on, alarms are latched: {self._alarm_names()}; clear_alarms first"
                )
            self.link.write_coil(_DC, True)
            confirm(
                self.link.clock,
                self.is_output_on,
                lambda: f"{self.name}: the output is still off (alarms: {self._alarm_names() or 'none'})",
                within_s=EXECUTION_S,
            )
        self._should_be_on = True

    def output_off(self) -> None:
        """Disconnect the terminals and ask whether that happened; takes remote control where it was lost."""
        self._should_be_on = False
        with self.link.operation(urgent=True):
            self.link.write_coil(_REMOTE, True)
            self.link.write_coil(_DC, False)
            self._in_control = True
            self._pending_off = confirm_off(
                self.link.clock,
                self._is_still_on,
                lambda: f"{self.name}: the output is still on",
                within_s=EXECUTION_S,
            )

    def is_output_on(self) -> bool:
        """Ask whether the terminals are connected."""
        return bool(self._state() & DC_ON)

    def _is_still_on(self) -> bool:
        with self.link.operation(urgent=True):
            return self.is_output_on()

    def measure_voltage(self) -> float:
        """Measure the voltage at the terminals, in volts."""
        return self.link.read_holding_registers(_ACTUAL)[0] / FULL * self.nominal_v

    def measure_current(self) -> float:
        """Measure the current into the pack, in amperes: negative while the device sinks.

        Raises:
            InstrumentError: direction or output changed during each of three attempts.
        """
        with self.link.operation():
            before = self._state()
            for _ in range(3):
                raw = self.link.read_holding_registers(_ACTUAL, 3)[1]
                after = self._state()
                if not (before ^ after) & (_SINKS | DC_ON):
                    magnitude_a = raw / FULL * self.nominal_a
                    return 0.0 - magnitude_a if after & _SINKS else magnitude_a
                before = after
        raise InstrumentError(f"{self.name}: direction or output changed during three readings of the current")

    def get_regulation(self) -> Regulation:
        """Ask what limits the output now."""
        state = self._state()
        return _REGULATIONS[state >> 9 & 3] if state & DC_ON else "OFF"

    def get_alarms(self) -> tuple[str, ...]:
        """Ask for alarms; one that was seen stays until `clear_alarms`.

        Raises:
            InstrumentError: remote control was lost.
        """
        if not self._state() & _REMOTE_ON and self._in_control:
            raise InstrumentError(f"{self.link.where}: lost remote control (LOCAL pressed, reboot?)")
        return self._alarm_names()

    def clear_alarms(self) -> None:
        """Output off, verified; acknowledge; verified off again, and no alarm left."""
        self.output_off()
        with self.link.operation():
            self.link.write_coil(_ACKNOWLEDGE, True)
            confirm(
                self.link.clock,
                lambda: not self._state() & _ANY_ALARM,
                lambda: f"{self.name}: alarm not cleared, its cause is still there: {self._alarm_names()}",
                within_s=EXECUTION_S,
            )
            if self.is_output_on():
                raise InstrumentError(f"{self.name}: the output came back on after the alarm was cleared")
        if _POWER_FAIL in self._latched:
            self.link.clock.sleep(_POWER_FAIL_RECOVERY_S)
        self._latched.clear()

    def _check_after_reopening(self) -> None:
        """Say it once if the device is no longer in the state it was left in."""
        state = self._state()
        output = "on" if state & DC_ON else "off"
        if self._in_control and not state & _REMOTE_ON:
            raise InstrumentError(
                f"{self.link.where}: the connection was lost, and remote control with it (power cycle?); "
                f"the output is {output}"
            )
        if self._should_be_on and output == "off":
            self._should_be_on = False
            raise InstrumentError(
                f"{self.link.where}: the output went off while the connection was down; "
                f"alarms: {self._alarm_names() or 'none'}"
            )
