"""Feed a BMS whose cells are emulated: cells at rest, sensors at room temperature, then its supply.

Before anything drives a current, and while the guard does not watch yet: each step is asked for and measured here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench.clock import Clock
from bench.definition import Definition
from bench.emulation import CELL_OVERVOLTAGE_MARGIN, NEUTRAL_DEGC, neutral_cell_v
from bench.emulator_roles import CellEmulator, HasCellOvervoltageProtection, TemperatureEmulator
from bench.envelope import OVERCURRENT_MARGIN, OVERVOLTAGE_MARGIN
from bench.errors import DefinitionError, OutOfRange, WiringError
from bench.profile import Profile
from bench.quantities import show
from bench.roles import HasOvercurrentProtection, HasOvervoltageProtection, Supply

CELL_AGREES_V = 0.05  # a channel measures what it was set to: coarse, this finds a dead or an exchanged channel
SAGS = 0.95  # of the nominal voltage: less is a supply in its current limit


@dataclass(frozen=True, slots=True)
class Feeding:
    """What takes the place of cells and sensors and feeds the BMS, by role. `note` writes into the lab book, `progress`
    says what is going on."""

    definition: Definition
    profile: Profile
    clock: Clock
    drivers: Mapping[str, Any]
    note: Callable[[str], None]
    progress: Callable[[str], None] = lambda text: None

    def leave_off(self) -> None:
        """Take control, and see that nothing is on: a run may have died. Outputs of the current path are off by now."""
        inserter, supply = self.drivers.get("fault_inserter"), self.drivers.get("auxiliary_supply")
        if inserter is not None and (found := inserter.inserted()):
            self.note(f"fault_inserter: {', '.join(found)} was left in when the bench was opened; removed")
            inserter.remove_all()
        if supply is not None:
            supply.take_control()
            if supply.is_output_on():
                self.note("auxiliary_supply was on when the bench was opened; switched off")
                supply.output_off()
        if (cells := self.drivers.get("cell_emulator")) is not None:
            self.progress(f"cell emulator: asking {cells.cells} channels")
            cells.take_control()
            if cells.are_outputs_on():
                self.note("cell_emulator was on when the bench was opened; switched off")
                cells.outputs_off()

    def feed(self) -> dict[str, float]:
        """Bring everything to rest, then switch the BMS's supply on; return the sensors' resistances, in ohm.

        Raises:
            DefinitionError: a limit is beyond what an instrument can do. WiringError: a cell is not what it was set to.
            InstrumentError: an instrument did not do as told.
        """
        if (cells := self.drivers.get("cell_emulator")) is not None:
            self._emulate_cells(cells)
        sensors = self.drivers.get("sensor_emulator")
        reached_ohm = {} if sensors is None else self._emulate_sensors(sensors)
        if (supply := self.drivers.get("auxiliary_supply")) is not None:
            self._supply(supply)
        return reached_ohm

    def _emulate_cells(self, cells: CellEmulator) -> None:
        definition, absolute = self.definition, self.profile.absolute
        neutral_v = neutral_cell_v(self.profile, definition.source.name)
        self.progress(f"cell emulator: {cells.cells} cells to {neutral_v:g} V")
        with self._within("cell_emulator", "cell_emulation"):
            if isinstance(cells, HasCellOvervoltageProtection):
                trip_v = CELL_OVERVOLTAGE_MARGIN * absolute.cell_high_v
                cells.set_cell_overvoltage_protection(trip_v)
                self.note(f"protection cell_emulator: over-voltage {trip_v:.2f} V each, read back")
            cells.set_cell_current_limit(definition.cell_emulation.cell_a)
        self.progress("cell emulator: switching on")
        cells.set_cell_voltages((neutral_v,) * cells.cells)
        cells.outputs_on()
        for number, found_v in enumerate(cells.measure_cell_voltages(), 1):
            if not abs(found_v - neutral_v) <= CELL_AGREES_V:
                raise WiringError(
                    f"emulated cell {number} was set to {neutral_v:g} V and measures {found_v:.3f} V: look for a short "
                    "on its leads, and at the order of the channels from B-"
                )
        self.note(f"cell emulator on, {cells.cells} cells at {show(neutral_v, 'V', signed=False)}, measured")

    def _emulate_sensors(self, sensors: TemperatureEmulator) -> dict[str, float]:
        declared = self.profile.temperature_sensors
        if declared is None:  # `check_fit` has refused this before
            raise DefinitionError(f"{self.profile.source.name}, temperature_sensors: is missing")
        ohm = declared.curve.ohm(NEUTRAL_DEGC)
        with self._within("sensor_emulator", f"instruments.{self.definition.roles['sensor_emulator']}.options"):
            reached = {sensor: sensors.set_resistance(sensor, ohm) for sensor in sensors.sensors()}
        told = ", ".join(f"{sensor} {declared.curve.degc(value):.2f} degC" for sensor, value in reached.items())
        self.note(f"sensors emulated: {told}")
        return reached

    def _supply(self, supply: Supply) -> None:
        limits = self.definition.dut_supply
        assert limits is not None  # the definition was checked
        with self._within("auxiliary_supply", "dut_supply"):
            supply.set_voltage(limits.nominal_v)
            supply.set_current_limit(limits.max_a)
            if isinstance(supply, HasOvervoltageProtection):
                trip_v = OVERVOLTAGE_MARGIN * limits.max_v
                supply.set_overvoltage_protection(trip_v)
                self.note(f"protection auxiliary_supply: over-voltage {trip_v:.1f} V, read back")
            if isinstance(supply, HasOvercurrentProtection):
                trip_a = OVERCURRENT_MARGIN * limits.max_a
                supply.set_overcurrent_protection(trip_a)
                self.note(f"protection auxiliary_supply: over-current {trip_a:.2f} A, read back")
        supply.output_on()
        self.clock.sleep(limits.boot_s)
        fed_v, fed_a = supply.measure_voltage(), supply.measure_current()
        if not fed_v >= SAGS * limits.nominal_v:
            raise WiringError(
                f"the BMS's supply was set to {limits.nominal_v:g} V and measures {fed_v:.2f} V at {fed_a:.3f} A: a "
                f"short, its + and - swapped, or dut_supply.max_a = {limits.max_a:g} A is too little"
            )
        self.note(f"BMS fed with {show(fed_v, 'V', signed=False)}, {show(fed_a, 'A', signed=False)}")

    @contextlib.contextmanager
    def _within(self, role: str, key: str) -> Iterator[None]:
        """Say of a limit that an instrument cannot do where it was declared."""
        try:
            yield
        except OutOfRange as problem:
            name = self.definition.roles[role]
            raise DefinitionError(
                f"{self.definition.source.name}, {key}: beyond what {name} ({role}) can do: {problem}"
            ) from problem
