"""Lines to and from EA's one-quadrant devices of the 9000 series: who it is, checked settings, alarms.

Source of facts: EA programming guide "ModBus & SCPI" (REV24/26), chapters on SCPI and on alarms.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from bench.clock import Clock
from bench.quantities import Range
from bench.roles import Identity, Ratings, Record
from instruments.driver import check_model, check_options, confirm
from instruments.scpi import Scpi, parse_identity
from instruments.transports.visa import ScpiTransport

ALARMS = {  # bits of STAT:QUES:COND?
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

_STEPS = 26214  # of a set value from 0 to 100 %: half of 52428, one bit is kept for the sign
_SPACING_S = 0.005
_RECONNECT_S = 4.0  # one socket at a time; the old one may be counted for about 3 s
EXECUTION_S = 0.5  # "after an undefined short delay"
PROTECTION_LIMIT = 1.10  # of the rating


class EaLines:
    """Opens the device, tells it something and asks whether it agreed."""

    transport: ClassVar[str] = "scpi"
    commissioned: ClassVar[bool] = False
    family: ClassVar[str]
    models: ClassVar[tuple[str, ...]]

    def __init__(self, name: str, link: Scpi, voltage_v: float, current_a: float, power_w: float) -> None:
        self.name = name
        self.link = link
        self.clock = link.transport.clock
        self.nominal_v = voltage_v
        self.nominal_a = current_a
        self.nominal_w = power_w
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
                within_s=EXECUTION_S,
            )

    def _tell(self, command: str) -> None:
        """Send a command; latch alarms before `SYST:ERR?`, which would acknowledge them."""
        self.link.write(command)
        self._conditions()
        self.link.check_errors(command)

    def _conditions(self) -> int:
        bits = self.link.query_bits("STAT:QUES:COND?")
        self._latched.update(bit for bit in ALARMS if bits & 1 << bit)
        return bits

    @staticmethod
    def _alarms_of(bits: int) -> tuple[str, ...]:
        return tuple(name for bit, name in ALARMS.items() if bits & 1 << bit)

    def _alarm_names(self) -> tuple[str, ...]:
        return tuple(name for bit, name in ALARMS.items() if bit in self._latched)


def ratings(voltage_v: float, power_w: float, *, source_a: float | None, sink_a: float | None) -> Ratings:
    """Put nominal values into ratings; a quadrant that the device does not have is None."""
    return Ratings(
        Range(0.0, voltage_v, "V"),
        None if source_a is None else Range(0.0, source_a, "A"),
        None if sink_a is None else Range(0.0, sink_a, "A"),
        power_w,
    )
