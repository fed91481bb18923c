"""What the guard looks at where cells and sensors are emulated: how often, and what is wrong with what it finds.

The samples are the *reference* of a stimulus of voltage or temperature: measured by the emulator, never its settings.
A look at all cells is one message, but some emulators take few of them (NGI: one in 0.25 s), and in peace nothing
changes by itself. So the cells are looked at

- as soon as the emulator takes a question again after a setting, and as often as it does during a provocation;
- every `CELLS_S` otherwise, which is often enough for a guard: what they could do they can only do when told.

Sensors are asked for after each setting (there by the role itself), and every `SENSORS_S`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property

from bench.emulation import CELL_OVERVOLTAGE_MARGIN
from bench.emulator_roles import CellEmulator, TemperatureEmulator
from bench.errors import OutOfRange
from bench.profile import Profile
from bench.thermistor import Curve

LOOK_S = 0.1  # how often it is seen whether a look is due
CELLS_S = 0.5
SENSORS_S = 0.5
CELLS_STALE_S = 10.0


class EmulationWatch:
    """Book-keeping over emulated cells and sensors; opens nothing itself, and says what is wrong in words."""

    def __init__(self, profile: Profile, cells: CellEmulator | None, sensors: TemperatureEmulator | None) -> None:
        self.cells, self.sensors = cells, sensors
        self.profile = profile
        self.told_on = False  # whether the cells are to be there
        self.cells_at_s: float | None = None  # when they were last measured
        self._period_s = CELLS_S
        self._changed = False
        self._sensors_at_s = -math.inf

    # -- cells -------------------------------------------------------------------------------------------------

    def cells_changed(self) -> None:
        """Something was set: look as soon as possible."""
        self._changed = True

    def set_period(self, period_s: float | None) -> float:
        """Look at the cells this often from now on (None: as always); return how often it was before."""
        before_s, self._period_s = self._period_s, CELLS_S if period_s is None else period_s
        return before_s

    def cells_due(self, now_s: float, *, provoking: bool) -> bool:
        """Say whether to look at the cells now."""
        if self.cells is None or not self.told_on:
            return False
        return provoking or self._changed or self.cells_at_s is None or now_s - self.cells_at_s >= self._period_s - 1e-6

    def measure_cells(self, now_s: float) -> tuple[float, ...]:
        """Measure every cell, in volts; errors as the emulator raises them (`NotDue` where it is too early)."""
        assert self.cells is not None
        cells_v = self.cells.measure_cell_voltages()
        self.cells_at_s, self._changed = now_s, False
        return cells_v

    def check_cells(self, cells_v: Sequence[float]) -> str | None:
        """Return which emulated cell is where none may be, or None."""
        low_v, high_v = self.profile.absolute.cell_low_v, self.profile.absolute.cell_high_v
        if len(cells_v) != self.profile.bms.cells:
            return f"the cell emulator measures {len(cells_v)} cells, the BMS's profile has {self.profile.bms.cells}"
        for number, cell_v in enumerate(cells_v, 1):
            # Beyond an error of measuring: a setting on the limit itself is allowed.
            if not low_v / CELL_OVERVOLTAGE_MARGIN <= cell_v <= high_v * CELL_OVERVOLTAGE_MARGIN:
                return (
                    f"emulated cell {number} at {cell_v:.3f} V; the profile's absolute limits are {low_v:g} to "
                    f"{high_v:g} V (a channel that switched itself off, or does not hold its voltage)"
                )
        return None

    # -- sensors -----------------------------------------------------------------------------------------------

    @cached_property
    def curve(self) -> Curve | None:
        """What the profile's sensors have over temperature; None where it declares none."""
        return None if self.profile.temperature_sensors is None else self.profile.temperature_sensors.curve

    def sensors_due(self, now_s: float) -> bool:
        """Say whether to ask the sensors' emulator now."""
        return self.sensors is not None and now_s - self._sensors_at_s >= SENSORS_S - 1e-6

    def ask_sensors(self, now_s: float) -> dict[str, float]:
        """Ask what stands in the place of every sensor, and return its temperature, in degrees Celsius.

        One that is open, shorted, or beyond the profile's curve has no temperature and is left out.
        """
        assert self.sensors is not None
        found = self.sensors.get_resistances()
        self._sensors_at_s = now_s
        return self.temperatures(found)

    def temperatures(self, ohm: Mapping[str, float]) -> dict[str, float]:
        """Return the temperatures that resistances stand for; see `ask_sensors`."""
        degc: dict[str, float] = {}
        for sensor, value in ohm.items():
            try:
                if self.curve is not None:
                    degc[sensor] = self.curve.degc(value)
            except OutOfRange:
                continue  # an open or shorted sensor: the trace says nothing, which is what there is to say
        return degc
