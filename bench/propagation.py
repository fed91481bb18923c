"""The law of propagation of uncertainty (JCGM 100, section 5) for any model of a measurement."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.errors import OutOfRange
from bench.uncertainty import DIVISOR, Budget, Contribution, Distribution

STEP = 1e-3  # of a standard uncertainty: small enough for the tangent, large enough for the digits


@dataclass(frozen=True, slots=True)
class Input:
    """An input of a model: its value, what is stated of its error, and how.

    `stated` is the half-width of limits, U with k = 2 for a normal distribution. Inputs of one `source` have the same
    error (fully correlated), scaled by what is stated of each.
    """

    value: float
    stated: float
    distribution: Distribution = "normal"
    dof: float = math.inf
    source: str = ""

    @property
    def standard(self) -> float:
        """The standard uncertainty, in the input's unit."""
        return abs(self.stated) / DIVISOR[self.distribution]


def propagate(model: Callable[..., float], inputs: Mapping[str, Input], unit: str) -> tuple[float, Budget]:
    """Return a model's value and its budget, with the sensitivity to each input by central differences.

    Raises:
        OutOfRange: the model has no finite value, or no finite sensitivity, at the inputs.
    """
    values = {name: part.value for name, part in inputs.items()}
    result = model(**values)
    lines = []
    for name, part in inputs.items():
        step = STEP * part.standard or 1e-6 * max(abs(part.value), 1.0)
        high = model(**{**values, name: part.value + step})
        low = model(**{**values, name: part.value - step})
        sensitivity = (high - low) / (2.0 * step)
        if not math.isfinite(result) or not math.isfinite(sensitivity):
            raise OutOfRange(f"{name} = {part.value:g}: the model has no finite value or sensitivity there")
        lines.append(
            Contribution.within(name, part.stated, part.distribution, sensitivity, source=part.source, dof=part.dof)
        )
    return result, Budget(unit, tuple(lines))
