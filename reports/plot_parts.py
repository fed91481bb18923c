"""What a plot is made of: series, levels, bands, panels; decimation and round numbers."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Style = Literal["reference", "bms", "other", "step"]
# Stroke and dash per style and order; all have enough contrast on white and on a dark page's white card.
LINES: dict[str, tuple[tuple[str, str, float], ...]] = {
    "reference": (("#111827", "", 1.8), ("#374151", "10 3", 1.8)),
    "bms": (("#b45309", "6 3", 1.8), ("#be123c", "2 3", 1.8), ("#6d28d9", "8 3 2 3", 1.6)),
    "other": (("#1d4ed8", "1 3", 1.8), ("#0f766e", "12 4", 1.5), ("#7c2d12", "4 2", 1.5), ("#4b5563", "2 2", 1.4)),
    "step": (("#1f2937", "", 1.6),),
}
COLUMNS = 420  # decimation: a lowest and a highest value for each of these columns
LEFT, RIGHT, TOP, GAP, BOTTOM = 64, 16, 48, 14, 40


@dataclass(frozen=True, slots=True)
class Series:
    """One line: name, instants (s), values, their unit, and what kind of line it is."""

    name: str
    at_s: Sequence[float]
    values: Sequence[float]
    unit: str
    style: Style = "other"


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line with a name: a threshold."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Band:
    """A vertical band with a name: the allowed delay, for instance."""

    name: str
    begin_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Panel:
    """Series that share a scale, or flags drawn as steps one above the other (`steps`)."""

    title: str
    series: tuple[Series, ...]
    thresholds: tuple[Level, ...] = ()
    steps: bool = False


@dataclass(frozen=True, slots=True)
class Plot:
    """A whole picture. `marks` are (instant in s, name)."""

    title: str
    panels: tuple[Panel, ...]
    marks: tuple[tuple[float, str], ...] = ()
    bands: tuple[Band, ...] = ()
    simulated: bool = False
    size: tuple[int, int] = (900, 430)


def decimate(at_s: Sequence[float], values: Sequence[float], columns: int = COLUMNS) -> list[tuple[float, float]]:
    """Return at most four points per column: first, lowest, highest, last, so that every extreme stays.

    Values that are not finite are left out of the line; they are gaps.
    """
    if len(at_s) <= 2 * columns:
        return list(zip(at_s, values, strict=True))
    begin_s, step_s = at_s[0], (at_s[-1] - at_s[0]) / columns
    points: list[tuple[float, float]] = []
    low = 0
    for column in range(columns):
        last = column == columns - 1
        high = len(at_s) if last else bisect_left(at_s, begin_s + (column + 1) * step_s, low)
        if high > low:
            part = range(low, high)
            lowest, highest = min(part, key=values.__getitem__), max(part, key=values.__getitem__)
            points.extend((at_s[index], values[index]) for index in sorted({low, lowest, highest, high - 1}))
        low = high
    return points


def ticks(low: float, high: float, count: int) -> list[float]:
    """Return round numbers between two values, about `count` of them."""
    span = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(span))
    step = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= span * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def number(value: float) -> str:
    """Write a number for an axis, with a real minus sign."""
    return f"{value:.10g}".replace("-", "−")
