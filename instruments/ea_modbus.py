"""What EA's 9000 series has in common over Modbus: ModBus TCP (port 502), or RTU frames on TCP 5025.

Source of facts: EA programming guide "ModBus & SCPI" (REV24/26) and register list PSB 9000 (KE 2.31+). Actual
values are unsigned: whether the device sinks is bit 12 of register 505, and both cannot be read in one request
because the data types differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from bench.clock import Clock, Tick
from bench.errors import DefinitionError, InstrumentError
from bench.quantities import Range
from bench.roles import Identity, Record, Regulation
from instruments.driver import check_model, check_options, confirm, confirm_off, option
from instruments.transports.modbus import ModbusTransport

_FULL = 52428  # 0xCCCC is 100 % of the rating, everywhere
_STEP = 2  # of raw: one bit is kept for the sign inside the device
PROTECTION_LIMIT = 1.10
_SPACING_S, _RECONNECT_S, _EXECUTION_S, _POWER_FAIL_RECOVERY_S = 0.005, 3.0, 0.5, 2.0
_EXCEPTIONS = {2: "address, or wrong device id", 5: "checksum", 7: "access denied: no remote control"} | {
    0x17: "the device is in local"
}

# coils
_REMOTE, _DC, _ACKNOWLEDGE = 402, 405, 411
# registers
_TYPE, _MAKER, _NOMINAL_V, _NOMINAL_A, _NOMINAL_W, _SERIAL, _FIRMWARE = 1, 21, 121, 123, 125, 151, 191
_STATE, _ACTUAL = 505, 507
# bits of the state
DC_ON, _REMOTE_ON, _SINKS = 1 << 7, 1 << 11, 1 << 12
_REGULATIONS: tuple[Regulation, ...] = ("CV", "CR", "CC", "CP")  # bits 9 and 10
_ALARMS = {
    16: "overvoltage",
    17: "overcurrent",
    18: "overpower",
    19: "overtemperature",
    21: "power_fail",
    24: "undervoltage",
    25: "overvoltage_supervision",
    26: "undercurrent",
    27: "overcurrent_supervision",
    28: "overpower_supervision",
    29: "master_slave",
}
_ANY_ALARM = sum(1 << bit for bit in _ALARMS)


class EaModbus:
    """Remote control, output, measuring, alarms and checked settings."""

    transport: ClassVar[str] = "modbus_tcp"
    commissioned: ClassVar[bool] = False
    family: ClassVar[str]
    models: ClassVar[tuple[str, ...]]

    def __init__(self, name: str, link: ModbusTransport) -> None:
        self.name = name
        self.link = link
        self.nominal_v = link.read_float(_NOMINAL_V)
        self.nominal_a = link.read_float(_NOMINAL_A)
        self.nominal_w = link.read_float(_NOMINAL_W)
        self._latched: set[int] = set()
        self._in_control = False
        self._should_be_on = False
        self._pending_off: Tick | None = None
        link.on_reopen = self._check_after_reopening

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
        """Connect, identify and read the ratings; nothing is changed.

        Options: `device_id` (0, which Limited and Full compliance both accept) and `framing` (`tcp`, or `rtu`
        for the port that also carries SCPI).
        """
        check_options(name, options, ("device_id", "framing"))
        framing = option(name, options, "framing", "tcp")
        if framing not in ("tcp", "rtu"):
            raise DefinitionError(f"{name}: option 'framing' is {framing!r}, but must be 'tcp' or 'rtu'")
        link = ModbusTransport(
            name,
            address,
            clock=clock,
            record=record,
            device_id=option(name, options, "device_id", 0),
            framing="rtu" if framing == "rtu" else "tcp",
            timeout_s=timeout_s,
            spacing_s=_SPACING_S,
            reopen_within_s=_RECONNECT_S,
            who=lambda modbus: f"{modbus.read_text(_TYPE, 20)}, {modbus.read_text(_SERIAL, 20)}",
            exceptions=_EXCEPTIONS,
        )
        try:
            model, _, serial = link.connect().partition(", ")
            check_model(link.where, Identity("EA", model, serial, ""), cls.models, cls.family)
            return cls(name, link)
        except BaseException:
            link.close()
            raise

    def identify(self) -> Identity:
        """Ask who it is."""
        with self.link.operation():
            maker, model, serial, firmware = (
                self.link.read_text(register, 20) for register in (_MAKER, _TYPE, _SERIAL, _FIRMWARE)
            )
        return Identity(maker, model, serial, firmware)

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
                within_s=_EXECUTION_S,
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
                within_s=_EXECUTION_S,
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
                within_s=_EXECUTION_S,
            )

    def is_output_on(self) -> bool:
        """Ask whether the terminals are connected."""
        return bool(self._state() & DC_ON)

    def _is_still_on(self) -> bool:
        with self.link.operation(urgent=True):
            return self.is_output_on()

    def measure_voltage(self) -> float:
        """Measure the voltage at the terminals, in volts."""
        return self.link.read_holding_registers(_ACTUAL)[0] / _FULL * self.nominal_v

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
                    magnitude_a = raw / _FULL * self.nominal_a
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
                within_s=_EXECUTION_S,
            )
            if self.is_output_on():
                raise InstrumentError(f"{self.name}: the output came back on after the alarm was cleared")
        if 21 in self._latched:
            self.link.clock.sleep(_POWER_FAIL_RECOVERY_S)
        self._latched.clear()

    def _get(self, register: int, nominal: float) -> float:
        return self.link.read_holding_registers(register)[0] / _FULL * nominal

    def _set(self, register: int, what: str, value: float, nominal: float, unit: str, limit: float = 1.0) -> None:
        """Check the range, write with function 06, and read back until the device agrees within its step."""
        Range(0.0, limit * nominal, unit).check(value, f"{self.name}, {what}")
        raw = round(value / nominal * _FULL)
        found = raw

        def agrees() -> bool:
            nonlocal found
            found = self.link.read_holding_registers(register)[0]
            return abs(found - raw) <= _STEP

        with self.link.operation():
            self.link.write_register(register, raw)
            confirm(
                self.link.clock,
                agrees,
                lambda: f"{self.name}: {what} is {found / _FULL * nominal:g} {unit} instead of {value:g} {unit}",
                within_s=_EXECUTION_S,
            )

    def _state(self) -> int:
        high, low = self.link.read_holding_registers(_STATE, 2)
        state = high << 16 | low
        self._latched.update(bit for bit in _ALARMS if state & 1 << bit)
        return state

    def _alarm_names(self) -> tuple[str, ...]:
        return tuple(name for bit, name in _ALARMS.items() if bit in self._latched)

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
