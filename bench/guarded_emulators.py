"""Guarded roles beside the current path: emulated cells and sensors, the BMS's own supply, faults, eyes that measure.

As in `bench.guarded`: what is set is checked before it is sent, measuring passes through, everything else is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from bench.definition import Definition
from bench.emulation import SHORT_CIRCUIT, not_there, not_tolerated
from bench.emulator_roles import CellEmulator, FaultInserter, TellsWhen, TemperatureEmulator
from bench.errors import DefinitionError, Inconclusive, OutOfRange, SafetyError
from bench.profile import Profile
from bench.quantities import show
from bench.roles import Identity, Supply


class Keeper(Protocol):
    """What these roles ask of the guard."""

    breach: str | None

    def require_clear(self, otherwise: str) -> None:
        """Ask interlock and emergency stop now."""

    def reference_current(self) -> tuple[float, float]:
        """Measure the reference current, in amperes, and say below which magnitude it counts as off."""

    def cells_told(self, on: bool | None, at_s: float | None, detail: str) -> None:
        """The emulated cells were switched (None: they were set), at an instant if it is known."""

    def sensors_told(self, sensor: str, ohm: float | None, before: bool) -> None:
        """A sensor is about to change (`before`), or has changed, to a resistance in ohm if it has one."""

    def told(self, name: str, detail: str) -> None:
        """Set a mark: something beside the current path was told something."""


class Passed:
    """A role that only measures: what is listed passes, and nothing else."""

    def __init__(self, role: str, driver: Any, allowed: Sequence[str]) -> None:
        self._role, self._driver, self._allowed = role, driver, ("name", "identify", *allowed)

    def __getattr__(self, name: str) -> Any:
        if name not in self._allowed:
            raise SafetyError(f"{self._role}.{name} belongs to the guard and is not for tests")
        return getattr(self._driver, name)

    def close(self) -> None:
        """The conversation belongs to whoever opened the bench.

        Raises:
            SafetyError: always.
        """
        raise SafetyError(f"{self._role}.close belongs to the guard and is not for tests")


DIGITISER = ("arm_digitiser", "has_triggered", "fetch_waveform", "disarm_digitiser")
CELL_MONITOR = ("measure_cell_voltages", "measure_temperatures")


class _GuardedRole:
    role = ""

    def __init__(self, driver: Any, guard: Keeper) -> None:
        self._driver, self._guard = driver, guard
        self.name: str = driver.name

    def identify(self) -> Identity:
        """Ask it who it is."""
        identity: Identity = self._driver.identify()
        return identity

    def close(self) -> None:
        """The conversation belongs to whoever opened the bench.

        Raises:
            SafetyError: always.
        """
        raise self._not_for_tests("close")

    def take_control(self) -> None:
        """Control belongs to whoever opened the bench.

        Raises:
            SafetyError: always.
        """
        raise self._not_for_tests("take_control")

    def _not_for_tests(self, what: str) -> SafetyError:
        return SafetyError(f"{self.role}.{what} belongs to the guard and is not for tests")

    def _refuse_after_breach(self, what: str) -> None:
        if self._guard.breach:
            raise SafetyError(f"{self.role}: {what} after a breach: {self._guard.breach}")


class GuardedCells(_GuardedRole):
    """The cell emulator: a cell's setting stays inside the profile's absolute limits of a cell."""

    role = "cell_emulator"

    def __init__(self, driver: CellEmulator, profile: Profile, definition: Definition, guard: Keeper) -> None:
        super().__init__(driver, guard)
        self.cells = driver.cells
        self._profile, self._definition = profile, definition

    def set_cell_voltage(self, cell: int, voltage_v: float) -> None:
        """Set one cell, counted from B-, in volts, and read it back.

        Raises:
            OutOfRange: no such cell, or outside the absolute limits of a cell; nothing was sent.
            SafetyError: after a breach.
        """
        if not 1 <= cell <= self.cells:
            raise OutOfRange(f"{self.role}: there is no cell {cell!r}, but cells 1 to {self.cells}; nothing was sent")
        self._check(f"cell {cell}", voltage_v)
        self._driver.set_cell_voltage(cell, voltage_v)
        self._guard.cells_told(None, self._told_at_s(), f"cell {cell}: {voltage_v:g} V")

    def set_cell_voltages(self, voltages_v: tuple[float, ...]) -> None:
        """Set all cells, in volts, and read them back; errors as `set_cell_voltage`."""
        if len(voltages_v) != self.cells:
            raise OutOfRange(f"{self.role}: {len(voltages_v)} voltages for {self.cells} cells; nothing was sent")
        for cell, voltage_v in enumerate(voltages_v, 1):
            self._check(f"cell {cell}", voltage_v)
        self._driver.set_cell_voltages(voltages_v)
        self._guard.cells_told(None, self._told_at_s(), f"{min(voltages_v):g} to {max(voltages_v):g} V")

    def set_cell_current_limit(self, current_a: float) -> None:
        """Set what every cell may source, a magnitude in amperes, up to `cell_emulation.cell_a`."""
        limit_a = self._definition.cell_emulation.cell_a
        if not 0.0 < current_a <= limit_a:
            raise OutOfRange(
                f"{self.role}: {current_a:g} A for a cell; above 0 and up to cell_emulation.cell_a = {limit_a:g} A are "
                f"allowed on bench {self._definition.name}; nothing was sent"
            )
        self._driver.set_cell_current_limit(current_a)

    def outputs_on(self) -> None:
        """Connect all cells and ask whether that happened.

        Raises:
            SafetyError: after a breach, or while a safety input is open.
        """
        self._refuse_after_breach("cells not switched on")
        self._guard.require_clear("cells were not switched on")
        self._driver.outputs_on()
        self._guard.cells_told(True, None, "on")

    def outputs_off(self) -> None:
        """Disconnect all cells and ask whether that happened."""
        self._guard.cells_told(False, None, "off")
        self._driver.outputs_off()

    def are_outputs_on(self) -> bool:
        """Ask whether any cell is connected."""
        return bool(self._driver.are_outputs_on())

    def measure_cell_voltages(self) -> tuple[float, ...]:
        """Measure every cell at its terminals, in volts, counted from B-."""
        cells_v: tuple[float, ...] = self._driver.measure_cell_voltages()
        return cells_v

    def measure_cell_currents(self) -> tuple[float, ...]:
        """Measure what every cell sources, in amperes; negative while it sinks."""
        cells_a: tuple[float, ...] = self._driver.measure_cell_currents()
        return cells_a

    def _check(self, what: str, voltage_v: float) -> None:
        absolute = self._profile.absolute
        if not absolute.cell_low_v <= voltage_v <= absolute.cell_high_v:  # a NaN lands here too
            raise OutOfRange(
                f"{self.role}: {what} at {voltage_v:g} V is outside the absolute limits of a cell of "
                f"{self._profile.name}, {absolute.cell_low_v:g} to {absolute.cell_high_v:g} V; nothing was sent"
            )
        self._refuse_after_breach(f"{what} not set")

    def _told_at_s(self) -> float | None:
        return self._driver.told_at_s if isinstance(self._driver, TellsWhen) else None


class GuardedSensors(_GuardedRole):
    """The sensors' emulator: each change is kept in the traces, as the temperature that it stands for."""

    role = "sensor_emulator"

    def __init__(self, driver: TemperatureEmulator, guard: Keeper) -> None:
        super().__init__(driver, guard)

    def sensors(self) -> tuple[str, ...]:
        """Return the names of its channels."""
        names: tuple[str, ...] = self._driver.sensors()
        return names

    def get_resistances(self) -> dict[str, float]:
        """Ask what stands in the place of every sensor now, in ohm: infinite where it is open, 0 where shorted."""
        found: dict[str, float] = self._driver.get_resistances()
        return found

    def set_resistance(self, sensor: str, ohm: float) -> float:
        """Set the nearest resistance that it can, and return what it is, in ohm; errors as `TemperatureEmulator`."""
        self._guard.sensors_told(sensor, None, True)
        reached_ohm: float = self._driver.set_resistance(sensor, ohm)
        self._guard.sensors_told(sensor, reached_ohm, False)
        return reached_ohm

    def open_sensor(self, sensor: str) -> None:
        """Interrupt a sensor, as a broken wire does."""
        self._guard.sensors_told(sensor, None, True)
        self._driver.open_sensor(sensor)
        self._guard.sensors_told(sensor, None, False)

    def short_sensor(self, sensor: str) -> None:
        """Short a sensor, where the instrument can."""
        self._guard.sensors_told(sensor, None, True)
        self._driver.short_sensor(sensor)
        self._guard.sensors_told(sensor, None, False)


class GuardedAuxiliary(_GuardedRole):
    """The supply of the BMS itself: inside `dut_supply` of the definition."""

    role = "auxiliary_supply"

    def __init__(self, driver: Supply, definition: Definition, guard: Keeper) -> None:
        super().__init__(driver, guard)
        if definition.dut_supply is None:
            raise DefinitionError(f"{definition.source.name}, dut_supply: is missing")
        self._limits, self._bench = definition.dut_supply, definition.name

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("get_", "measure_", "is_")):
            return getattr(self._driver, name)
        raise self._not_for_tests(name)

    def set_voltage(self, voltage_v: float) -> None:
        """Set the output voltage, in volts up to `dut_supply.max_v`, and read it back; lower is a dip.

        Raises:
            OutOfRange: beyond it; nothing was sent.
        """
        self._check("V", voltage_v, "max_v", self._limits.max_v)
        self._driver.set_voltage(voltage_v)
        self._guard.told("auxiliary_told", f"{voltage_v:g} V")

    def set_current_limit(self, current_a: float) -> None:
        """Set the current limit, in amperes up to `dut_supply.max_a`, and read it back.

        Raises:
            OutOfRange: beyond it; nothing was sent.
        """
        self._check("A", current_a, "max_a", self._limits.max_a)
        self._driver.set_current_limit(current_a)

    def output_on(self) -> None:
        """Feed the BMS and ask whether that happened.

        Raises:
            SafetyError: after a breach, or while a safety input is open.
        """
        self._refuse_after_breach("not switched on")
        self._guard.require_clear("the BMS was not fed")
        self._driver.output_on()
        self._guard.told("auxiliary_told", "on")

    def clear_alarms(self) -> None:
        """A trip of this supply is for a person to look at.

        Raises:
            SafetyError: always.
        """
        raise self._not_for_tests("clear_alarms")

    def output_off(self) -> None:
        """Take the BMS's supply away and ask whether that happened."""
        self._driver.output_off()
        self._guard.told("auxiliary_told", "off")

    def _check(self, unit: str, value: float, key: str, limit: float) -> None:
        if not 0.0 <= value <= limit:
            raise OutOfRange(
                f"{self.role}: {value:g} {unit} is outside 0 to dut_supply.{key} = {limit:g} {unit} of bench "
                f"{self._bench}; nothing was sent"
            )


class GuardedFaults(_GuardedRole):
    """The fault inserter: rewires at a measured 0 A, and only what the profile tolerates."""

    role = "fault_inserter"

    def __init__(self, driver: FaultInserter, profile: Profile, guard: Keeper) -> None:
        super().__init__(driver, guard)
        self._profile = profile

    def faults(self) -> tuple[str, ...]:
        """Return the faults that it is wired for and that mean something on this BMS."""
        return tuple(fault for fault in self._driver.faults() if not_there(fault, self._profile) is None)

    def refusal(self, fault: str) -> str | None:
        """Say why a fault would not be inserted on this bench into this BMS, or None; asks no instrument."""
        if fault not in self._driver.faults():
            return f"the bench is not wired for {fault!r}, but for {', '.join(self._driver.faults())}"
        why = not_there(fault, self._profile) or not_tolerated(fault, self._profile.tolerates)
        return None if why is None else f"{fault} on {self._profile.name}: {why}"

    def insert(self, fault: str) -> None:
        """Put a fault in and ask whether that happened.

        Raises:
            OutOfRange: not wired for it, or it means nothing here. Inconclusive: the profile does not tolerate it,
                or current flows; nothing was changed. SafetyError: after a breach.
        """
        why = self.refusal(fault)
        if why is not None:
            told = f"{self.role}: not inserted: {why}"
            raise Inconclusive(told) if fault in self.faults() else OutOfRange(told)
        self._refuse_after_breach(f"{fault} not inserted")
        self._require_no_current(f"{fault} was not inserted")
        self._driver.insert(fault)
        self._guard.told("fault_inserted", fault)

    def remove(self, fault: str) -> None:
        """Take a fault away and ask whether that happened; a short circuit at any current.

        Raises:
            OutOfRange: not wired for it. Inconclusive: current flows; nothing was changed.
        """
        if fault != SHORT_CIRCUIT:
            self._require_no_current(f"{fault} was not removed")
        self._driver.remove(fault)
        self._guard.told("fault_removed", fault)

    def remove_all(self) -> None:
        """Take every fault away, the short circuit at any current; errors as `remove`."""
        for fault in sorted(self.inserted(), key=lambda name: name != SHORT_CIRCUIT):
            self.remove(fault)

    def inserted(self) -> tuple[str, ...]:
        """Ask which faults are in now."""
        found: tuple[str, ...] = self._driver.inserted()
        return found

    def _require_no_current(self, otherwise: str) -> None:
        current_a, off_a = self._guard.reference_current()
        if not abs(current_a) < off_a:
            raise Inconclusive(
                f"{self.role}: {otherwise}: {show(current_a, 'A')} flow, and wires are changed below {off_a:g} A only; "
                "take the stimulus away first"
            )
