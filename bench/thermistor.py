"""Temperature sensors as a profile declares them: which there are, and their resistance over temperature."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from pydantic import Field, model_validator

from bench.errors import OutOfRange
from bench.loading import Frozen

KELVIN = 273.15
REFERENCE_K = 298.15
LOW_DEGC, HIGH_DEGC = -40.0, 125.0


@dataclass(frozen=True, slots=True)
class Curve:
    """Resistance over temperature of an NTC: rows (°C, Ω), coldest first; between them ln R is linear in 1/T."""

    rows: tuple[tuple[float, float], ...]

    def ohm(self, degc: float) -> float:
        """Return the resistance at a temperature, in ohms.

        Raises:
            OutOfRange: outside the rows.
        """
        if not self.rows[0][0] <= degc <= self.rows[-1][0]:
            raise OutOfRange(
                f"{degc:g} degC is outside the sensor's table, {self.rows[0][0]:g} to {self.rows[-1][0]:g}"
            )
        for (low, ohm_low), (high, ohm_high) in pairwise(self.rows):
            if degc <= high:
                share = (1 / (degc + KELVIN) - 1 / (low + KELVIN)) / (1 / (high + KELVIN) - 1 / (low + KELVIN))
                return ohm_low * math.exp(share * math.log(ohm_high / ohm_low))
        raise AssertionError("unreachable")  # pragma: no cover

    def degc(self, ohm: float) -> float:
        """Return the temperature that a resistance stands for, in degrees Celsius.

        Raises:
            OutOfRange: outside the rows: an open or a shorted sensor has no temperature.
        """
        if not self.rows[-1][1] <= ohm <= self.rows[0][1]:
            raise OutOfRange(f"{ohm:g} ohm is outside the sensor's table, {self.rows[-1][1]:g} to {self.rows[0][1]:g}")
        for (low, ohm_low), (high, ohm_high) in pairwise(self.rows):
            if ohm >= ohm_high:
                share = math.log(ohm / ohm_low) / math.log(ohm_high / ohm_low)
                inverse = 1 / (low + KELVIN) + share * (1 / (high + KELVIN) - 1 / (low + KELVIN))
                return 1 / inverse - KELVIN
        raise AssertionError("unreachable")  # pragma: no cover

    def kelvin_per_share(self, degc: float) -> float:
        """Return by how many kelvin the temperature falls per relative rise of the resistance: T² / B, locally."""
        step = 0.05
        low = max(degc - step, self.rows[0][0])
        high = min(degc + step, self.rows[-1][0])
        return (high - low) / math.log(self.ohm(low) / self.ohm(high))


class TemperatureSensors(Frozen):
    """The sensors of a BMS: where they sit, and their resistance over temperature."""

    positions: tuple[str, ...] = Field(min_length=1, description="names in the BMS's own order: cell_1, cell_6")
    ohm_25: float | None = Field(default=None, gt=0, description="resistance at 25 degC, with beta_k")
    beta_k: float | None = Field(default=None, gt=0, description="R = ohm_25 exp(beta_k (1/T - 1/298.15 K))")
    table: tuple[tuple[float, float], ...] = Field(default=(), description="or rows of degC and ohm, coldest first")
    signals: tuple[str, ...] = Field(default=(), description="signal of each sensor, in the order of positions")

    @model_validator(mode="after")
    def _one_of_both(self) -> TemperatureSensors:
        formula = self.ohm_25 is not None and self.beta_k is not None
        if formula == bool(self.table) or (self.ohm_25 is None) != (self.beta_k is None):
            raise ValueError("write either ohm_25 and beta_k, or a table of degC and ohm")
        _check_table(self.table)
        if len(set(self.positions)) != len(self.positions):
            raise ValueError("positions: a name stands twice")
        if self.signals and len(self.signals) != len(self.positions):
            raise ValueError(f"signals: {len(self.signals)} for {len(self.positions)} positions; write one for each")
        return self

    @property
    def curve(self) -> Curve:
        """Resistance over temperature; the formula from -40 to 125 degC."""
        if self.table:
            return Curve(self.table)
        assert self.ohm_25 is not None and self.beta_k is not None

        def ohm(degc: float) -> float:
            assert self.ohm_25 is not None and self.beta_k is not None
            return self.ohm_25 * math.exp(self.beta_k * (1 / (degc + KELVIN) - 1 / REFERENCE_K))

        return Curve(((LOW_DEGC, ohm(LOW_DEGC)), (HIGH_DEGC, ohm(HIGH_DEGC))))


def _check_table(table: Sequence[tuple[float, float]]) -> None:
    if table and len(table) < 2:
        raise ValueError("table: one row is no curve; write at least two, coldest first")
    for (low, ohm_low), (high, ohm_high) in pairwise(table):
        if high <= low or not 0.0 < ohm_high < ohm_low:
            raise ValueError(
                f"table: ({high:g} degC, {ohm_high:g} ohm) after ({low:g} degC, {ohm_low:g} ohm): temperatures rise, "
                "an NTC's resistance falls"
            )
