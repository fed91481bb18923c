"""Registers of EA's 9000 series: who it is, scaling, state, checked settings.

Source of facts: EA programming guide "ModBus & SCPI" (REV24/26) and register list PSB 9000 (KE 2.31+).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from bench.clock import Clock
from bench.errors import DefinitionError
from bench.quantities import Range
from bench.roles import Identity, Record
from instruments.driver import check_model, check_options, confirm, option
from instruments.transports.modbus import ModbusTransport

FULL = 52428  # 0xCCCC is 100 % of the rating, everywhere
_STEP = 2  # of raw: one bit is kept for the sign inside the device
PROTECTION_LIMIT = 1.10
EXECUTION_S = 0.5  # "after an undefined short delay"
_SPACING_S, _RECONNECT_S = 0.005, 4.0  # one socket at a time; the old one may be counted for about 3 s
_EXCEPTIONS = {
    2: "address, or wrong device id",
    5: "checksum",
    7: "access denied: no remote control",
    0x17: "the device is in local",
}

_TYPE, _MAKER, _NOMINAL_V, _NOMINAL_A, _NOMINAL_W, _SERIAL, _FIRMWARE = 1, 21, 121, 123, 125, 151, 191
_STATE = 505
ALARMS = {  # bits of the state
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


class EaRegisters:
    """Opens the device, and reads and writes its registers as quantities."""

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

    def _get(self, register: int, nominal: float) -> float:
        return self.link.read_holding_registers(register)[0] / FULL * nominal

    def _set(self, register: int, what: str, value: float, nominal: float, unit: str, limit: float = 1.0) -> None:
        """Check the range, write with function 06, and read back until the device agrees within its step."""
        Range(0.0, limit * nominal, unit).check(value, f"{self.name}, {what}")
        raw = round(value / nominal * FULL)
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
                lambda: f"{self.name}: {what} is {found / FULL * nominal:g} {unit} instead of {value:g} {unit}",
                within_s=EXECUTION_S,
            )

    def _state(self) -> int:
        high, low = self.link.read_holding_registers(_STATE, 2)
        state = high << 16 | low
        self._latched.update(bit for bit in ALARMS if state & 1 << bit)
        return state

    def _alarm_names(self) -> tuple[str, ...]:
        return tuple(name for bit, name in ALARMS.items() if bit in self._latched)
