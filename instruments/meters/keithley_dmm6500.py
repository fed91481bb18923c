"""Keithley DMM6500 multimeter as a voltmeter and as a digitiser, SCPI on TCP 5025 (`*LANG SCPI`, not TSP).

Source of facts: commands that public drivers of the DMM6500 use; `keithley_digitiser` for the digitiser. Never seen
on hardware. To be seen at the first unit: how many clients its socket takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from bench.clock import Clock
from bench.errors import InstrumentError, OutOfRange
from bench.quantities import Range
from bench.roles import Identity, Record
from instruments.driver import check_model, check_options, option
from instruments.keithley_digitiser import RANGES_V, KeithleyDigitiser
from instruments.scpi import Scpi, parse_identity
from instruments.transports.visa import ScpiTransport

INTEGRATION = Range(0.0005, 12.0, "PLC")  # 15 at 60 Hz
_SLOWEST_LINE_HZ = 50.0


class KeithleyDmm6500(KeithleyDigitiser):
    """A multimeter on direct voltage, in ranges that were set here; between arming and disarming a digitiser."""

    role: ClassVar[str] = "voltage_meter"
    family: ClassVar[str] = "Keithley DMM6500"
    models: ClassVar[tuple[str, ...]] = (r"MODEL DMM6500",)
    transport: ClassVar[str] = "scpi"
    commissioned: ClassVar[bool] = False

    def __init__(self, name: str, link: Scpi, *, auto_zero: bool) -> None:
        super().__init__(name, link)
        self._auto_zero = auto_zero
        self._integration_plc = 1.0
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
        """Connect and identify; nothing is changed. Option `auto_zero` (true): measure zero with each single reading.

        Raises:
            ConnectionLost: nothing listens there. InstrumentError: another model answers.
        """
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
        """End the conversation; an armed digitiser stays armed."""
        self.link.transport.close()

    # -- single readings -------------------------------------------------------------------------------------

    def set_range(self, range_v: float) -> None:
        """Set the measuring range, in volts, and read it back; auto-zero and integration are set with it."""
        if range_v not in RANGES_V:
            raise OutOfRange(f"{self.name}: {range_v!r} V is not one of its ranges {RANGES_V} V")
        self._refuse_while_armed()
        self._range_v = None
        with self.link.transport.operation():
            for command in (
                'SENS:FUNC "VOLT"',
                f"SENS:VOLT:RANG {range_v:g}",
                f"SENS:VOLT:AZER {'ON' if self._auto_zero else 'OFF'}",
                f"SENS:VOLT:NPLC {self._integration_plc:g}",
                "SENS:COUN 1",
            ):
                self.link.write_checked(command)
            self._compare("SENS:VOLT:RANG?", range_v, "V")
            self._compare("SENS:VOLT:NPLC?", self._integration_plc, "1")
        self._range_v = range_v

    def set_integration(self, power_line_cycles: float) -> None:
        """Set the integration time in power line cycles, 0.0005 to 12, and read it back."""
        INTEGRATION.check(power_line_cycles, f"{self.name}, integration")
        self._refuse_while_armed()
        with self.link.transport.operation():
            self.link.write_checked(f"SENS:VOLT:NPLC {power_line_cycles:g}")
            self._compare("SENS:VOLT:NPLC?", power_line_cycles, "1")
        self._integration_plc = power_line_cycles

    def measure_voltage(self) -> float:
        """Measure the voltage, in volts, averaged over the integration time before the answer.

        Raises:
            InstrumentError: overload or no reading, no range was set since it was opened, or the digitiser is armed.
        """
        self._refuse_while_armed()
        if self._range_v is None:
            raise InstrumentError(f"{self.name}: no measuring range set; call set_range first")
        integration_s = self._integration_plc / _SLOWEST_LINE_HZ * (3 if self._auto_zero else 1)
        return self.link.query_float("READ?", "V", timeout_s=self.link.transport.timeout_s + integration_s)

    def _check_settings(self) -> None:
        """After a lost connection: a power cycle would have left other settings."""
        self._check_ring()
        if self._capture is None and self._range_v is not None:
            range_v, self._range_v = self._range_v, None
            self._compare("SENS:VOLT:RANG?", range_v, "V")
            self._compare("SENS:VOLT:NPLC?", self._integration_plc, "1")
            self._range_v = range_v
