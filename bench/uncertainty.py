"""Uncertainty from accuracy statements, after the GUM (JCGM 100): u = a / √3 per statement, U = 2 u.

Values carry their *expanded* uncertainty (k = 2, about 95 %); contributions are combined as standard ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field, model_validator

from bench.errors import OutOfRange
from bench.loading import Frozen

COVERAGE = 2.0  # k, for about 95 %


class Accuracy(Frozen):
    """A specification of the form ± (p % of reading + r % of range + offset), plus the display's resolution.

    The limits have no distribution, so they are taken as rectangular. `offset`, `range` and `resolution` are in
    the unit of the quantity.
    """

    reading_pct: float = Field(default=0.0, ge=0.0, description="percent of the reading")
    range_pct: float = Field(default=0.0, ge=0.0, description="percent of the range")
    range: float = Field(default=0.0, ge=0.0, description="the range that range_pct refers to")
    offset: float = Field(default=0.0, ge=0.0, description="constant part")
    resolution: float = Field(default=0.0, ge=0.0, description="one step of the display or of the encoding")

    @model_validator(mode="after")
    def _range_is_given(self) -> Accuracy:
        if self.range_pct and not self.range:
            raise ValueError("range_pct needs the range that it refers to: add range")
        return self

    def half_width(self, value: float) -> float:
        """Return the limit ± a at this reading, without the resolution."""
        return self.reading_pct / 100 * abs(value) + self.range_pct / 100 * abs(self.range) + self.offset

    def standard(self, value: float) -> float:
        """Return the standard uncertainty at this reading, resolution included (q / √12)."""
        return math.hypot(self.half_width(value) / math.sqrt(3), self.resolution / math.sqrt(12))

    def expanded(self, value: float) -> float:
        """Return the expanded uncertainty at this reading (k = 2)."""
        return COVERAGE * self.standard(value)


@dataclass(frozen=True, slots=True)
class Uncertain:
    """A value with its expanded uncertainty (k = 2) and unit."""

    value: float
    expanded: float
    unit: str

    def __post_init__(self) -> None:
        if not math.isfinite(self.value) or not math.isfinite(self.expanded) or self.expanded < 0:
            raise OutOfRange(f"{self.value!r} ± {self.expanded!r} {self.unit} is not a measurement")

    @property
    def standard(self) -> float:
        """The standard uncertainty."""
        return self.expanded / COVERAGE


@dataclass(frozen=True, slots=True)
class Contribution:
    """One line of a budget: what it is, and its standard uncertainty in the unit of the result."""

    name: str
    standard: float


@dataclass(frozen=True, slots=True)
class Budget:
    """The contributions to one result, in its unit, added in quadrature."""

    unit: str
    contributions: tuple[Contribution, ...] = field(default_factory=tuple)

    @property
    def standard(self) -> float:
        """The combined standard uncertainty."""
        return math.sqrt(sum(part.standard**2 for part in self.contributions))

    @property
    def expanded(self) -> float:
        """The expanded uncertainty (k = 2)."""
        return COVERAGE * self.standard

    def as_rows(self) -> list[dict[str, Any]]:
        """Return the budget as rows for a table."""
        return [{"contribution": part.name, "u": part.standard, "unit": self.unit} for part in self.contributions]


def rectangular(half_width: float) -> float:
    """Standard uncertainty of limits ± a without a distribution."""
    return abs(half_width) / math.sqrt(3)


def of_resolution(step: float) -> float:
    """Standard uncertainty of a display or encoding with this step."""
    return abs(step) / math.sqrt(12)


def of_cycle(period_s: float) -> float:
    """Standard uncertainty of an event seen through a cyclic message or poll: Tc / √12."""
    return abs(period_s) / math.sqrt(12)


def of_repeats(values: Sequence[float]) -> float:
    """Standard uncertainty of the mean of repeated readings: s / √n.

    Raises:
        ValueError: fewer than two readings.
    """
    if len(values) < 2:
        raise ValueError("the spread of fewer than two readings is not known")
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return math.sqrt(variance / len(values))


def combine(standards: Iterable[float]) -> float:
    """Combine uncorrelated standard uncertainties."""
    return math.sqrt(sum(value * value for value in standards))
