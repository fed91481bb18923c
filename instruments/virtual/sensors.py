"""Temperature sensors of the virtual BMS: thermistors, what can take their place, and what the BMS then reads.

Source: 10 kΩ at 25 °C with B = 3435 K or 3950 K (standards reference 9.2, there marked unverified), or a table.

The BMS converts a resistance by the curve of its own sensors. Beyond the ends of its conversion table it shows the
end: an open sensor looks as cold, a shorted one as hot as it can say; whether that is called a fault is not decided
here. An untouched sensor reads its cell's temperature to the last digit.

Not simulated: thermal lag, self-heating, tolerance of the thermistor, the BMS's pull-up and its resolution.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from math import exp, inf, log

_KELVIN = 273.15
LOW_DEGC, HIGH_DEGC = -40.0, 125.0  # the usual ends of a conversion table


class Thermistor:
    """Resistance over temperature, falling; between the rows of a table ln R is linear in 1/T."""

    def __init__(self, table: Sequence[tuple[float, float]]) -> None:
        """Take rows of (temperature in °C, resistance in Ω), coldest first; the first and last are the ends."""
        if len(table) < 2 or any(b[0] <= a[0] or not 0.0 < b[1] < a[1] for a, b in pairwise(table)):
            raise ValueError("thermistor: needs rows (°C, Ω) whose temperature rises and whose resistance falls")
        self._degc = [float(degc) for degc, _ in table]
        self._inverse_k = [1.0 / (degc + _KELVIN) for degc, _ in table]
        self._ln_ohm = [log(ohm) for _, ohm in table]

    @classmethod
    def beta(
        cls, ohm_25: float = 10_000.0, beta_k: float = 3435.0, low_degc: float = LOW_DEGC, high_degc: float = HIGH_DEGC
    ) -> Thermistor:
        """Return one that follows R = R25 exp(B (1/T - 1/298.15 K)): two rows say it exactly."""

        def ohm(degc: float) -> float:
            return ohm_25 * exp(beta_k * (1.0 / (degc + _KELVIN) - 1.0 / 298.15))

        return cls([(low_degc, ohm(low_degc)), (high_degc, ohm(high_degc))])

    @property
    def low_degc(self) -> float:
        """The cold end of the table, in degrees Celsius."""
        return self._degc[0]

    @property
    def high_degc(self) -> float:
        """The hot end of the table, in degrees Celsius."""
        return self._degc[-1]

    def ohm(self, degc: float) -> float:
        """Return the resistance at a temperature, in ohms; beyond the table its outer pieces go on."""
        row = min(max(bisect_right(self._degc, degc) - 1, 0), len(self._degc) - 2)
        share = (1.0 / (degc + _KELVIN) - self._inverse_k[row]) / (self._inverse_k[row + 1] - self._inverse_k[row])
        return exp(self._ln_ohm[row] + share * (self._ln_ohm[row + 1] - self._ln_ohm[row]))

    def shown_degc(self, ohm: float) -> float:
        """Return what a BMS shows for a resistance (infinite if open, 0 if shorted), in degrees Celsius."""
        if ohm == 0.0 or log(ohm) <= self._ln_ohm[-1]:
            return self.high_degc
        if ohm == inf or log(ohm) >= self._ln_ohm[0]:
            return self.low_degc
        value = log(ohm)
        row = bisect_right([-x for x in self._ln_ohm], -value) - 1
        share = (value - self._ln_ohm[row]) / (self._ln_ohm[row + 1] - self._ln_ohm[row])
        return 1.0 / (self._inverse_k[row] + share * (self._inverse_k[row + 1] - self._inverse_k[row])) - _KELVIN


class Sensors:
    """One sensor on every cell, each with its thermistor or with something in its place."""

    def __init__(self, count: int, thermistor: Thermistor | None = None) -> None:
        self.count = count
        self.thermistor = thermistor or Thermistor.beta()
        self._placed_ohm: dict[int, float] = {}

    def place(self, sensor: int, ohm: float) -> None:
        """Put a resistance in the place of a sensor (counted from 1), in ohms: 0 is a short, infinite is open."""
        if not ohm >= 0.0:
            raise ValueError(f"temperature sensor {sensor}: {ohm!r} Ω is not a resistance")
        self._placed_ohm[self._known(sensor)] = ohm

    def restore(self, sensor: int) -> None:
        """Connect the thermistor again."""
        self._placed_ohm.pop(self._known(sensor), None)

    def ohm(self, sensor: int, cell_degc: float) -> float:
        """Return what the BMS's terminals of a sensor see, in ohms, while its cell has that temperature."""
        placed = self._placed_ohm.get(self._known(sensor))
        return self.thermistor.ohm(cell_degc) if placed is None else placed

    def shown_degc(self, cells_degc: Sequence[float]) -> list[float]:
        """Return what an ideal BMS of this kind shows for every sensor, in degrees Celsius."""
        shown = list(cells_degc)
        for sensor, ohm in self._placed_ohm.items():
            shown[sensor - 1] = self.thermistor.shown_degc(ohm)
        return shown

    def _known(self, sensor: int) -> int:
        if not 1 <= sensor <= self.count:
            raise ValueError(f"temperature sensor {sensor}: there are 1 to {self.count}")
        return sensor
