"""What a test may ask of a bench: roles, never brands.

A role is small; further abilities are further small roles. Currents that a role *measures* carry the pack's
sign (charging positive): a load therefore reads negative while it discharges the pack. Levels that a role
*sets* are magnitudes, since each setting has its own direction. Drivers convert once, at their edge.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from bench.quantities import Range

Regulation = Literal["CV", "CC", "CP", "CR", "OFF"]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who an instrument says it is. A serial number that begins with VIRTUAL makes the run simulated."""

    maker: str
    model: str
    serial: str
    firmware: str

    @property
    def virtual(self) -> bool:
        """True for a virtual instrument."""
        return self.serial.upper().startswith("VIRTUAL")

    def __str__(self) -> str:
        return f"{self.maker} {self.model}, serial {self.serial}"


@dataclass(frozen=True, slots=True)
class Ratings:
    """What a power instrument can do, as it announces it. `sink_current_a` is None for one quadrant sources."""

    voltage_v: Range
    source_current_a: Range | None
    sink_current_a: Range | None
    power_w: float


class Dialogue(NamedTuple):
    """One message between the bench and an instrument, as text (binary frames as hex).

    A named tuple: it is made for every message, at a third of a frozen dataclass's price.
    """

    at_s: float
    instrument: str
    sent: bool
    text: str

    def __str__(self) -> str:
        return f"{self.at_s:14.6f}  {self.instrument:<14} {'>' if self.sent else '<'} {self.text}"


Record = Callable[[Dialogue], None]


@runtime_checkable
class Instrument(Protocol):
    """Whatever stands on the table and can be talked to."""

    name: str

    def identify(self) -> Identity:
        """Ask the instrument who it is; nothing is written to it before this has been compared."""

    def close(self) -> None:
        """End the conversation (gives remote control back; leaves outputs as they are)."""


@runtime_checkable
class PowerInstrument(Instrument, Protocol):
    """A supply, load or bidirectional supply."""

    def get_ratings(self) -> Ratings:
        """Return the ratings read from the instrument when it was opened."""

    def take_control(self) -> None:
        """Take remote control; after `identify`, before the first setting. Changes no output."""

    def output_on(self) -> None:
        """Connect the terminals and ask whether that happened."""

    def output_off(self) -> None:
        """Disconnect the terminals and ask whether that happened. Needs no earlier state to be known."""

    def is_output_on(self) -> bool:
        """Ask whether the terminals are connected."""

    def measure_voltage(self) -> float:
        """Measure the voltage at the terminals, in volts."""

    def measure_current(self) -> float:
        """Measure the current into the pack, in amperes; negative while the instrument sinks."""

    def get_regulation(self) -> Regulation:
        """Ask what limits the output now."""

    def get_alarms(self) -> tuple[str, ...]:
        """Ask for latched alarms by name (`overvoltage`, `overcurrent`, ...), empty if there are none."""

    def clear_alarms(self) -> None:
        """Acknowledge alarms: output off first, verified, then cleared, verified off again."""


@runtime_checkable
class Supply(PowerInstrument, Protocol):
    """A one-quadrant source: it can only charge."""

    def set_voltage(self, voltage_v: float) -> None:
        """Set the output voltage, in volts, and read it back."""

    def set_current_limit(self, current_a: float) -> None:
        """Set the current limit, a magnitude in amperes, and read it back."""

    def get_voltage(self) -> float:
        """Read the voltage setting back, in volts."""

    def get_current_limit(self) -> float:
        """Read the current limit back, in amperes."""


@runtime_checkable
class Load(PowerInstrument, Protocol):
    """An electronic load in constant current: it can only discharge."""

    def set_current(self, current_a: float) -> None:
        """Set the current to sink, a magnitude in amperes, and read it back."""

    def get_current(self) -> float:
        """Read the sink current setting back, in amperes."""


@runtime_checkable
class BidirectionalSupply(PowerInstrument, Protocol):
    """A two-quadrant supply: it sources below its voltage setting and sinks above it, within two limits."""

    def set_voltage(self, voltage_v: float) -> None:
        """Set the voltage, in volts, and read it back."""

    def set_source_current(self, current_a: float) -> None:
        """Set the limit of the charging current, a magnitude in amperes, and read it back."""

    def set_sink_current(self, current_a: float) -> None:
        """Set the limit of the discharging current, a magnitude in amperes, and read it back."""

    def get_voltage(self) -> float:
        """Read the voltage setting back, in volts."""

    def get_source_current(self) -> float:
        """Read the source current limit back, in amperes."""

    def get_sink_current(self) -> float:
        """Read the sink current limit back, in amperes."""


@runtime_checkable
class HasOvervoltageProtection(Protocol):
    """The output switches itself off above a voltage."""

    def set_overvoltage_protection(self, voltage_v: float) -> None:
        """Set the trip voltage, in volts, and read it back."""

    def get_overvoltage_protection(self) -> float:
        """Read the trip voltage back, in volts."""


@runtime_checkable
class HasOvercurrentProtection(Protocol):
    """The output switches itself off beyond a current in the instrument's (first) quadrant."""

    def set_overcurrent_protection(self, current_a: float) -> None:
        """Set the trip current, a magnitude in amperes, and read it back."""

    def get_overcurrent_protection(self) -> float:
        """Read the trip current back, in amperes."""


@runtime_checkable
class HasSinkOvercurrentProtection(Protocol):
    """A two-quadrant supply's trip for the sink direction."""

    def set_sink_overcurrent_protection(self, current_a: float) -> None:
        """Set the sink trip current, a magnitude in amperes, and read it back."""

    def get_sink_overcurrent_protection(self) -> float:
        """Read the sink trip current back, in amperes."""


@runtime_checkable
class HasOverpowerProtection(Protocol):
    """The output switches itself off beyond a power, in every quadrant that it has."""

    def set_overpower_protection(self, power_w: float) -> None:
        """Set the trip power, a magnitude in watts, and read it back."""

    def get_overpower_protection(self) -> float:
        """Read the trip power back, in watts."""


@runtime_checkable
class HasWatchdog(Protocol):
    """The output switches itself off when the bench has not spoken for a while: what is left when all else died.

    Armed with a period of at least three watches of the guard, fed by nothing but its samples, disarmed only where
    the bench was left safely.
    """

    def arm_watchdog(self, period_s: float) -> None:
        """Arm it, so that its end is "output off", and read everything back."""

    def disarm_watchdog(self) -> None:
        """Switch it off and ask whether that happened."""

    def is_watchdog_armed(self) -> bool:
        """Ask whether it is armed; one left behind by a run that died is."""


@runtime_checkable
class VoltageMeter(Instrument, Protocol):
    """A multimeter that measures direct voltage."""

    def set_range(self, range_v: float) -> None:
        """Set the measuring range, in volts, and read it back."""

    def set_integration(self, power_line_cycles: float) -> None:
        """Set the integration time in power line cycles, and read it back."""

    def measure_voltage(self) -> float:
        """Measure the voltage, in volts. An overload or a missing reading raises `InstrumentError`."""


@runtime_checkable
class Switch(Instrument, Protocol):
    """A switch of the bench in the current path or at a wire: the disconnect, for instance."""

    def close_contact(self) -> None:
        """Close the contact and ask whether it closed."""

    def open_contact(self) -> None:
        """Open the contact and ask whether it opened. Needs no earlier state to be known."""

    def is_closed(self) -> bool:
        """Ask whether the contact is closed."""


@runtime_checkable
class SafetyInput(Instrument, Protocol):
    """An input of the bench that allows current: an interlock loop, an emergency stop.

    Closed means allowed, so that a broken wire, an open door and a pressed button all read alike.
    """

    def is_clear(self) -> bool:
        """Ask whether the loop is closed now; never a remembered answer. What cannot be read raises."""


@runtime_checkable
class CellMonitor(Instrument, Protocol):
    """The bench's own eyes on cells, independent of the BMS: every cell's voltage, and temperatures by name."""

    def measure_cell_voltages(self) -> tuple[float, ...]:
        """Measure every cell, in volts, counted from B-. An overload or a missing reading raises `InstrumentError`."""

    def measure_temperatures(self) -> dict[str, float]:
        """Measure every sensor, in degrees Celsius, by the name the definition gives it. An open one raises."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One value that the BMS reported: inside unit, pack sign, and when it arrived."""

    signal: str
    value: float
    unit: str
    at_s: float
    raw: float | None = None


@dataclass(frozen=True, slots=True)
class LinkHealth:
    """What the bench can prove about its own link; `proven` False makes silence a `LinkError`."""

    proven: bool
    evidence: str


@runtime_checkable
class BmsLink(Protocol):
    """One way to the BMS: a CAN bus with a database, a Modbus map, a serial protocol."""

    name: str

    def start(self, on_reading: Callable[[Reading], None]) -> None:
        """Begin to listen or poll on the clock; every decoded value goes to `on_reading` as it arrives."""

    def signals(self) -> tuple[str, ...]:
        """Return the names of the profile's signals that this link carries."""

    def read(self, signal: str) -> Reading:
        """Return the newest value, in inside units and pack sign.

        Raises:
            Missing: never received.
            Stale: older than the signal's period allows.
            NotImplementedByDut: the BMS sends its 'not available' pattern.
            BadFrame: too short, checksum, out of the declared range.
            OutOfRange: outside the declared range.
        """

    def request(self, values: dict[str, float]) -> None:
        """Send, or change what is sent cyclically, to ask the BMS for something (operate, standby, open)."""

    def prove(self) -> LinkHealth:
        """Say what the bench can prove about the health of its own link."""

    def close(self) -> None:
        """Stop sending and polling, and let go of the adapter."""
