"""Further roles: what takes the place of cells and sensors, and what sees events shorter than a message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from bench.roles import Instrument


@dataclass(frozen=True, slots=True)
class Waveform:
    """Equidistant samples of a voltage, in volts; the first one `start_s` after (or before) the trigger."""

    start_s: float
    step_s: float
    values: tuple[float, ...]

    def at_s(self, index: int) -> float:
        """Return when a sample was taken, in seconds from the trigger."""
        return self.start_s + index * self.step_s


@runtime_checkable
class Digitiser(Instrument, Protocol):
    """A meter that takes many samples in a row by itself: for events shorter than a message."""

    def arm_digitiser(
        self, *, range_v: float, rate_hz: float, duration_s: float, level_v: float, rising: bool, before_s: float
    ) -> None:
        """Set it up, read it back, and let it wait for the level; `before_s` of samples are kept from before.

        Raises:
            OutOfRange: faster or longer than it can; nothing was sent.
        """

    def has_triggered(self) -> bool:
        """Ask whether the samples are complete."""

    def fetch_waveform(self) -> Waveform:
        """Return the samples; a missing or overloaded one raises `InstrumentError`."""

    def disarm_digitiser(self) -> None:
        """Stop waiting, and go back to single readings."""


@runtime_checkable
class CellEmulator(Instrument, Protocol):
    """Emulates the cells of a pack, one channel each, counted from B- and from 1."""

    cells: int

    def take_control(self) -> None:
        """Take remote control; after `identify`, before the first setting. Changes no output."""

    def set_cell_voltage(self, cell: int, voltage_v: float) -> None:
        """Set one cell, in volts, and read it back."""

    def set_cell_voltages(self, voltages_v: tuple[float, ...]) -> None:
        """Set all cells, in volts, and read them back."""

    def set_cell_current_limit(self, current_a: float) -> None:
        """Set what every cell may source, a magnitude in amperes, and read it back."""

    def outputs_on(self) -> None:
        """Connect all cells and ask whether that happened."""

    def outputs_off(self) -> None:
        """Disconnect all cells and ask whether that happened. Needs no earlier state to be known."""

    def are_outputs_on(self) -> bool:
        """Ask whether any cell is connected."""

    def measure_cell_voltages(self) -> tuple[float, ...]:
        """Measure every cell at its terminals, in volts, counted from B-."""

    def measure_cell_currents(self) -> tuple[float, ...]:
        """Measure what every cell sources, in amperes; negative while it sinks."""


@runtime_checkable
class TemperatureEmulator(Instrument, Protocol):
    """Puts resistances in the place of temperature sensors, by the names the definition gives the channels."""

    def sensors(self) -> tuple[str, ...]:
        """Return the names of its channels."""

    def get_resistances(self) -> dict[str, float]:
        """Ask what stands in the place of every sensor now, in ohm: infinite where it is open, 0 where shorted."""

    def set_resistance(self, sensor: str, ohm: float) -> float:
        """Set the nearest resistance that it can, ask whether that happened, and return what it is, in ohm.

        Raises:
            OutOfRange: nothing near enough; nothing was changed.
        """

    def open_sensor(self, sensor: str) -> None:
        """Interrupt a sensor, as a broken wire does."""

    def short_sensor(self, sensor: str) -> None:
        """Short a sensor, where the instrument can.

        Raises:
            OutOfRange: it cannot.
        """


@runtime_checkable
class HasCellOvervoltageProtection(Protocol):
    """Every channel of a cell emulator switches itself off above a voltage."""

    def set_cell_overvoltage_protection(self, voltage_v: float) -> None:
        """Set the trip voltage of every cell, in volts, and read it back."""


@runtime_checkable
class FaultInserter(Instrument, Protocol):
    """Puts faults into the wiring of the BMS, by the names of `bench.emulation.FAULT_KINDS`."""

    def faults(self) -> tuple[str, ...]:
        """Return the names of the faults that it is wired for."""

    def insert(self, fault: str) -> None:
        """Put a fault in and ask whether that happened.

        Raises:
            OutOfRange: it is not wired for it; nothing was changed.
        """

    def remove(self, fault: str) -> None:
        """Take a fault away and ask whether that happened. Needs no earlier state to be known."""

    def remove_all(self) -> None:
        """Take every fault away, one after the other, and ask whether that happened."""

    def inserted(self) -> tuple[str, ...]:
        """Ask which faults are in now; never a remembered answer."""


@runtime_checkable
class TellsWhen(Protocol):
    """An emulator that says when its last setting was sent: nothing can have changed before."""

    told_at_s: float
