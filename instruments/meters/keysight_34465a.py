"""Keysight 34461A and 34465A multimeters as voltmeters, SCPI on TCP 5025.

Source of facts: the commands used by the qcodes and pymeasure drivers of the family. Never seen on hardware.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from bench.clock import Clock
from bench.errors import InstrumentError, OutOfRange
from bench.roles import Identity, Record
from instruments.driver import check_model, check_options, option
from instruments.scpi import Scpi, parse_identity
from instruments.transports.visa import ScpiTransport

RANGES_V = (0.1, 1.0, 10.0, 100.0, 1000.0)
INTEGRATIONS_PLC = (0.02, 0.2, 1.0, 10.0, 100.0)
_SLOWEST_LINE_HZ = 50.0


class Keysight34465A:
    """A multimeter on direct voltage. It measures only in a range that was set here: no autorange, no memory."""

    role: ClassVar[str] = "voltage_meter"
    family: ClassVar[str] = "Keysight 34461A, 34465A"
    models: ClassVar[tuple[str, ...]] = ("34461A", "34465A")
    transport: ClassVar[str] = "scpi"
    commissioned: ClassVar[bool] = False
    exclusive: ClassVar[bool] = False  # Keysight's LAN instruments take several connections at once

    def __init__(self, name: str, link: Scpi, *, auto_zero: bool) -> None:
        self.name = name
        self.link = link
        self._auto_zero = auto_zero
        self._range_v: float | None = None
        self._integration_plc = 10.0  # what CONF leaves behind
        link.transport.on_reopen = self._check_settings

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
        """Connect and identify; nothing is changed. Option `auto_zero` (true): measure zero with each reading."""
        check_options(name, options, ("auto_zero",))
        auto_zero = option(name, options, "auto_zero", True)
        transport = ScpiTransport(name, address, clock=clock, record=record, timeout_s=timeout_s)
        try:
            transport.connect()
            check_model(transport.where, parse_identity(transport.identification), cls.models, cls.family)
        except BaseException:
            transport.close()
            raise
        return cls(name, Scpi(transport), auto_zero=auto_zero)

    def identify(self) -> Identity:
        """Ask who it is."""
        return parse_identity(self.link.query("*IDN?"))

    def close(self) -> None:
        """End the conversation."""
        self.link.transport.close()

    def set_range(self, range_v: float) -> None:
        """Set the measuring range, in volts, and read it back. Integration and auto-zero are set again.

        `CONF` resets both to the instrument's defaults, which is why they follow it.
        """
        if range_v not in RANGES_V:
            raise OutOfRange(f"{self.name}: {range_v!r} V is not one of its ranges {RANGES_V} V")
        self._range_v = None
        with self.link.transport.operation():
            self.link.write_checked(f"CONF:VOLT:DC {range_v:g}")
            self.link.write_checked(f"SENS:VOLT:ZERO:AUTO {'ON' if self._auto_zero else 'OFF'}")
            self.link.write_checked(f"SENS:VOLT:DC:NPLC {self._integration_plc:g}")
            self._compare("SENS:VOLT:DC:RANG?", range_v, "V")
            self._compare("SENS:VOLT:DC:NPLC?", self._integration_plc, "1")
        self._range_v = range_v

    def set_integration(self, power_line_cycles: float) -> None:
        """Set the integration time in power line cycles, and read it back."""
        if power_line_cycles not in INTEGRATIONS_PLC:
            raise OutOfRange(f"{self.name}: {power_line_cycles!r} PLC is not one of {INTEGRATIONS_PLC}")
        with self.link.transport.operation():
            self.link.write_checked(f"SENS:VOLT:DC:NPLC {power_line_cycles:g}")
            self._compare("SENS:VOLT:DC:NPLC?", power_line_cycles, "1")
        self._integration_plc = power_line_cycles

    def measure_voltage(self) -> float:
        """Measure the voltage, in volts, averaged over the integration time before the answer.

        Raises:
            InstrumentError: overload or no reading, or no range was set since it was opened.
        """
        if self._range_v is None:
            raise InstrumentError(f"{self.name}: no measuring range set; call set_range first")
        integration_s = self._integration_plc / _SLOWEST_LINE_HZ * (2 if self._auto_zero else 1)
        return self.link.query_float("READ?", "V", timeout_s=self.link.transport.timeout_s + integration_s)

    def _compare(self, question: str, expected: float, unit: str) -> None:
        found = self.link.query_float(question, unit)
        if abs(found - expected) > 1e-6 * expected:
            raise InstrumentError(f"{self.name}: {question} says {found:g}, expected {expected:g}")

    def _check_settings(self) -> None:
        """After a lost connection: a power cycle would have left other settings."""
        if self._range_v is not None:
            range_v, self._range_v = self._range_v, None
            self._compare("SENS:VOLT:DC:RANG?", range_v, "V")
            self._compare("SENS:VOLT:DC:NPLC?", self._integration_plc, "1")
            self._range_v = range_v
