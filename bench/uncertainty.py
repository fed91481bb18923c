"""Uncertainty after the GUM (JCGM 100): contributions with distribution and degrees of freedom, added to a budget.

Values carry their *expanded* uncertainty (95.45 %, k = 2 where nothing else is said); contributions are combined as
standard ones. When k is not 2: few readings (Student's t), or one rectangular contribution that outweighs all
others (JCGM 101); see `bench.gum`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import Field, model_validator

from bench.errors import OutOfRange
from bench.gum import COVERAGE, DOMINATES, effective_dof, rectangular_half_width, student_k
from bench.loading import Frozen

Distribution = Literal["normal", "rectangular", "triangular"]
JITTER = 0.9  # of its period, after which a message counts as on time
MIN_INDEPENDENT = 1.5  # readings; fewer tell nothing of their own spread
DITHER = 0.5  # of one step: readings that scatter by more than this average the steps away


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
        """Return the expanded uncertainty at this reading (k = 2); `budget` knows that a rectangle needs less."""
        return COVERAGE * self.standard(value)

    def contributions(
        self, value: float, what: str, sensitivity: float = 1.0, *, apart: bool = False, unit: str = ""
    ) -> tuple[Contribution, ...]:
        """Return limit and resolution at this reading as lines of a budget, in the unit of the result.

        The limit is one rectangle, since a specification bounds the whole error. `apart` for sums and differences
        of readings of one instrument: its gain error turns round with the reading, its zero error does not.
        """
        gain = math.copysign(sensitivity, sensitivity * value)
        lines = [(what, self.half_width(value), sensitivity, "")]
        if apart:
            of_reading = self.reading_pct / 100 * abs(value)
            lines = [
                (f"{what}, of reading", of_reading, gain, f"{what} gain"),
                (f"{what}, constant", self.half_width(0.0), sensitivity, f"{what} zero"),
            ]
        if self.resolution:
            lines.append((f"{what}, resolution", self.resolution / 2, sensitivity, ""))
        return tuple(
            Contribution.within(name, stated, "rectangular", factor, source=source, unit=unit)
            for name, stated, factor, source in lines
        )


@dataclass(frozen=True, slots=True)
class Uncertain:
    """A value with its expanded uncertainty (95.45 %) and unit; `coverage` is the k it was expanded by."""

    value: float
    expanded: float
    unit: str
    coverage: float = COVERAGE

    def __post_init__(self) -> None:
        if not math.isfinite(self.value) or not math.isfinite(self.expanded) or self.expanded < 0:
            raise OutOfRange(f"{self.value!r} ± {self.expanded!r} {self.unit} is not a measurement")
        if not self.coverage > 0:
            raise OutOfRange(f"{self.coverage!r} is no coverage factor")

    @property
    def standard(self) -> float:
        """The standard uncertainty."""
        return self.expanded / self.coverage


DIVISOR: dict[Distribution, float] = {"normal": COVERAGE, "rectangular": math.sqrt(3), "triangular": math.sqrt(6)}


@dataclass(frozen=True, slots=True)
class Contribution:
    """One line of a budget: what it is, and its standard uncertainty |c| u in the unit of the result.

    `source` names the error behind it: lines of one source are the same error (fully correlated) and add with the
    sign of their `sensitivity` before anything is squared. Lines without a source are independent.
    """

    name: str
    standard: float
    distribution: Distribution = "normal"
    dof: float = math.inf
    sensitivity: float = 1.0  # of the result to the input
    source: str = ""
    stated: float | None = None  # half-width, or U of a normal one, in the input's unit
    stated_unit: str = ""

    @classmethod
    def within(
        cls,
        name: str,
        stated: float,
        distribution: Distribution,
        sensitivity: float = 1.0,
        *,
        source: str = "",
        dof: float = math.inf,
        unit: str = "",
    ) -> Contribution:
        """Make a line from what is stated of the input: limits ± a, or U with k = 2 for a normal distribution."""
        standard = abs(sensitivity) * abs(stated) / DIVISOR[distribution]
        return cls(name, standard, distribution, dof, sensitivity, source, abs(stated), unit)

    @property
    def signed(self) -> float:
        """The standard uncertainty with the sign of the sensitivity: what adds up among lines of one source."""
        return math.copysign(self.standard, self.sensitivity)


@dataclass(frozen=True, slots=True)
class Budget:
    """The contributions to one result, in its unit, added in quadrature (lines of one source first as they are)."""

    unit: str
    contributions: tuple[Contribution, ...] = field(default_factory=tuple)

    @property
    def groups(self) -> list[tuple[float, Distribution, float]]:
        """Independent errors: standard uncertainty, distribution and degrees of freedom of each."""
        lines: dict[str, list[Contribution]] = {}
        for index, part in enumerate(self.contributions):
            lines.setdefault(part.source or f" {index}", []).append(part)
        return [
            (abs(sum(part.signed for part in group)), group[0].distribution, min(part.dof for part in group))
            for group in lines.values()
        ]

    @property
    def standard(self) -> float:
        """The combined standard uncertainty."""
        return combine(standard for standard, _, _ in self.groups)

    @property
    def dof(self) -> float:
        """The effective degrees of freedom (Welch and Satterthwaite)."""
        return effective_dof((standard, dof) for standard, _, dof in self.groups)

    @property
    def dominant(self) -> float:
        """The standard uncertainty of the rectangular error that outweighs all others together, or 0."""
        largest = max((standard for standard, shape, _ in self.groups if shape == "rectangular"), default=0.0)
        return largest if largest**2 > DOMINATES * (1.0 + 1e-9) * self.standard**2 else 0.0

    @property
    def rectangles(self) -> list[float]:
        """The half-widths of the two largest rectangular errors: its shape, for whoever adds more to it."""
        found = (math.sqrt(3) * standard for standard, shape, _ in self.groups if shape == "rectangular")
        return sorted(found, reverse=True)[:2]

    @property
    def expanded(self) -> float:
        """The expanded uncertainty: k u, or where a rectangle dominates the half-width of the convolution."""
        dominant, standard = self.dominant, self.standard
        if not dominant:
            return self._k(self.dof) * standard
        rest = sorted(self.groups, key=lambda group: (group[1] == "rectangular", group[0]))[:-1]
        second = rest.pop()[0] if rest and rest[-1][1] == "rectangular" else 0.0
        freedom = effective_dof((one, dof) for one, _, dof in rest)
        blur = combine(one for one, _, _ in rest) * self._k(freedom) / COVERAGE
        return rectangular_half_width(math.sqrt(3) * dominant, blur, second=math.sqrt(3) * second)

    @staticmethod
    def _k(dof: float) -> float:
        return COVERAGE if math.isinf(dof) else student_k(dof)

    @property
    def coverage(self) -> float:
        """The coverage factor k that comes out: expanded / standard (2 for an empty budget)."""
        return self.expanded / self.standard if self.standard else COVERAGE

    def plus(self, *more: Contribution) -> Budget:
        """Return the budget with more lines."""
        return Budget(self.unit, (*self.contributions, *more))

    def of(self, value: float) -> Uncertain:
        """Return a value with this uncertainty."""
        return Uncertain(value, self.expanded, self.unit, self.coverage)

    def as_rows(self) -> list[dict[str, Any]]:
        """Return the budget as rows for a table."""
        return [{"contribution": part.name, "u": part.standard, "unit": self.unit} for part in self.contributions]


def difference(unit: str, first: Budget, second: Budget, c_first: float = 1.0, c_second: float = -1.0) -> Budget:
    """Return the budget of c1 x + c2 y; what the two share (one shunt, one meter) cancels or doubles.

    Both budgets must keep gain and zero `apart`, or the meter counts as two meters.
    """
    lines = [
        replace(part, standard=abs(factor) * part.standard, sensitivity=factor * part.sensitivity)
        for factor, budget in ((c_first, first), (c_second, second))
        for part in budget.contributions
    ]
    return Budget(unit, tuple(lines))


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
    return math.sqrt(_squares(values) / (len(values) - 1) / len(values))


def _squares(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values)


def effective_count(count: int, spacing_s: float, independent_s: float) -> float:
    """Return how many independent readings a row of them is worth: readings that follow too closely repeat each other.

    `independent_s` is the time after which a reading is new: the signal's own period (polled more often, it is told
    twice), or twice the time constant of its filter (n = T / 2τ, the variance of a mean of first-order filtered noise).
    """
    if JITTER * independent_s <= spacing_s or count < 2:
        return float(count)
    return min(float(count), 1.0 + (count - 1) * spacing_s / independent_s)


def of_readings(
    what: str, values: Sequence[float], resolution: float = 0.0, *, independent: float | None = None
) -> tuple[Contribution, ...]:
    """Return the lines of a mean of readings: their spread with n - 1 degrees of freedom, and the display's step.

    Readings that scatter by half a step or more average the steps away, and then their spread already contains them.
    `independent` is how many of the readings are (see `effective_count`): then their spread is estimated too small from
    readings that resemble each other, and is worth fewer degrees of freedom.

    Raises:
        ValueError: fewer than two readings.
    """
    count = len(values)
    if count < 2:
        raise ValueError("the spread of fewer than two readings is not known")
    fresh = float(count) if independent is None else min(max(independent, MIN_INDEPENDENT), float(count))
    variance = _squares(values) / (count * (1.0 - 1.0 / fresh))
    named = f"{what}, spread of the mean of {count}" + ("" if fresh == count else f", {fresh:.3g} independent")
    repeated = Contribution(named, math.sqrt(variance / fresh), dof=fresh - 1.0)
    if not resolution or math.sqrt(variance) >= DITHER * resolution:
        return (repeated,)
    return repeated, Contribution.within(f"{what}, resolution", resolution / 2, "rectangular")


def combine(standards: Iterable[float]) -> float:
    """Combine uncorrelated standard uncertainties."""
    return math.sqrt(sum(value * value for value in standards))
