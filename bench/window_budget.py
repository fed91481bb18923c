"""What a window of traces contributes to a budget: the reference as it was declared, and how many readings are new."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.traces import Trace
from bench.uncertainty import Contribution, effective_count


def independent_of(window: Trace, independent_s: float) -> float:
    """Return how many of the readings of a window are new ones, see `bench.uncertainty.effective_count`."""
    count = len(window)
    spacing_s = (window.at_s[-1] - window.at_s[0]) / (count - 1) if count > 1 else 0.0
    return effective_count(count, spacing_s, independent_s)


def reference_lines(standard: float, rectangles: Sequence[float], factor: float = 1.0) -> list[Contribution]:
    """Return what is known of a reference as lines of a budget: its largest rectangles, and the rest as a normal."""
    lines = [Contribution.within("reference, limit", factor * half, "rectangular") for half in rectangles]
    rest = (factor * standard) ** 2 - sum(line.standard**2 for line in lines)
    return [*lines, Contribution("reference, the rest", math.sqrt(max(0.0, rest)))]
