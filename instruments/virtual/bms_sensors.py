"""Where the temperature sensors of a virtual BMS sit, and what it makes of their resistance.

A position `cell_6` is the pack's sixth cell. Another name (`mosfet`, `ambient`) has no place of its own in the virtual
pack: it takes the first cell that no position names. Without a section [temperature_sensors] every cell has a sensor.

With a diagnosis of an open or shorted sensor declared, a sensor that is found implausible keeps its last plausible
value for the temperature protections, so that not every broken wire is an over-temperature as well.
"""

from __future__ import annotations

import re
from math import inf

from bench.errors import DefinitionError
from bench.profile import Profile
from instruments.virtual.circuit import Circuit
from instruments.virtual.sensors import Thermistor

_MARGIN = 1.3  # beyond the ends of the curve by this factor of resistance, a sensor is broken and not cold or hot


class SensorPlaces:
    """The sensors of one unit, in the profile's order."""

    def __init__(self, profile: Profile, circuit: Circuit) -> None:
        declared = profile.temperature_sensors
        self._circuit = circuit
        self.cells = tuple(range(profile.bms.cells)) if declared is None else _places(profile)
        self._by_signal: dict[str, int] = {}
        self._open_ohm, self._short_ohm = inf, -1.0
        kinds = {row.kind for row in profile.diagnoses}
        self._holds_open = "temperature_sensor_open" in kinds
        self._holds_short = "temperature_sensor_short" in kinds
        self._held: list[float] | None = None
        if declared is not None:
            rows = declared.curve.rows
            circuit.dut.sensors.thermistor = Thermistor(rows)
            self._by_signal = {name: index for index, name in enumerate(declared.signals)}
        thermistor = circuit.dut.sensors.thermistor
        self._open_ohm = _MARGIN * thermistor.ohm(thermistor.low_degc)
        self._short_ohm = thermistor.ohm(thermistor.high_degc) / _MARGIN

    def measure(self, offsets_k: tuple[float, ...]) -> list[float]:
        """Read every sensor, with the fixed errors of this unit by cell, in degrees Celsius."""
        shown = self._circuit.dut.sensors_degc()
        values = [shown[cell] + offsets_k[cell] for cell in self.cells]
        if self._holds_open or self._holds_short:
            if self._held is not None:
                for index in self.open() if self._holds_open else ():
                    values[index] = self._held[index]
                for index in self.shorted() if self._holds_short else ():
                    values[index] = self._held[index]
            self._held = values
        return values

    def open(self) -> list[int]:
        """Return the sensors whose resistance lies beyond the cold end, counted from 0 in the profile's order."""
        return [index for index, ohm in enumerate(self._ohms()) if ohm > self._open_ohm]

    def shorted(self) -> list[int]:
        """Return the sensors whose resistance lies beyond the hot end."""
        return [index for index, ohm in enumerate(self._ohms()) if ohm < self._short_ohm]

    def index_of(self, signal: str) -> int | None:
        """Return which sensor a declared signal tells, counted from 0; None if the profile does not say."""
        return self._by_signal.get(signal)

    def _ohms(self) -> list[float]:
        sensors, cells_degc = self._circuit.dut.sensors, self._circuit.pack.temperatures_degc()
        return [sensors.ohm(cell + 1, cells_degc[cell]) for cell in self.cells]


def _places(profile: Profile) -> tuple[int, ...]:
    declared = profile.temperature_sensors
    assert declared is not None
    where = f"{profile.source.name or 'profile'}, temperature_sensors.positions"
    if len(declared.positions) > profile.bms.cells:
        raise DefinitionError(f"{where}: {len(declared.positions)} sensors, but the pack has {profile.bms.cells} cells")
    named: dict[str, int] = {}
    for name in declared.positions:
        match = re.fullmatch(r"cell_0*([1-9]\d*)", name)
        if match is None:
            continue
        if int(match[1]) > profile.bms.cells:
            raise DefinitionError(f"{where}: {name!r}, but the pack has {profile.bms.cells} cells")
        named[name] = int(match[1]) - 1
    free = (cell for cell in range(profile.bms.cells) if cell not in named.values())
    return tuple(named[name] if name in named else next(free) for name in declared.positions)
