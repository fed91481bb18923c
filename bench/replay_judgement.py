"""How a recorded value was renewed: spacing, gaps, and stretches in which it never changed. Pure functions.

`breaks` are instants at which another recording begins in the same traces; nothing is concluded across one.
"""

from __future__ import annotations

import bisect
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bench.traces import Trace

STUCK_SAMPLES = 20


@dataclass(frozen=True, slots=True)
class Updates:
    """How often a value came; times in seconds, None with fewer than two samples."""

    samples: int
    median_s: float | None
    worst_s: float | None
    gaps: tuple[tuple[float, float], ...]  # begin, length


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The longest stretch of one and the same value; `suspicion` says why that looks frozen, or is empty."""

    value: float
    samples: int
    begin_s: float
    length_s: float
    whole: bool
    suspicion: str


def updates(at_s: Sequence[float], allowed_s: float, breaks: Sequence[float] = ()) -> Updates:
    """Return the spacing of samples; a gap is longer than what the profile allows before a value is stale."""
    pairs = [(one, next_one) for one, next_one in pairwise(at_s) if not broken(one, next_one, breaks)]
    if not pairs:
        return Updates(len(at_s), None, None, ())
    steps = [next_one - one for one, next_one in pairs]
    gaps = tuple((one, next_one - one) for one, next_one in pairs if next_one - one > allowed_s + 1e-9)
    return Updates(len(at_s), statistics.median(steps), max(steps), gaps)


def broken(one_s: float, next_s: float, breaks: Sequence[float]) -> bool:
    """Say whether another recording begins between two instants (at the second included)."""
    return bisect.bisect_right(breaks, one_s) != bisect.bisect_right(breaks, next_s)


def longest_unchanged(
    trace: Trace, others: Mapping[str, Trace], rest_a: float = 0.0, breaks: Sequence[float] = ()
) -> Unchanged | None:
    """Return the longest stretch of one value, None for an empty trace.

    It is suspicious when the value is not rest, lasts for many samples, and another signal moved meanwhile.
    """
    if not len(trace):
        return None
    best, start = (0, 0), 0
    for n in range(1, len(trace) + 1):
        if (
            n == len(trace)
            or trace.values[n] != trace.values[start]
            or broken(trace.at_s[n - 1], trace.at_s[n], breaks)
        ):
            if n - start > best[1] - best[0]:
                best = (start, n)
            start = n
    first, end = best
    begin_s, last_s = trace.at_s[first], trace.at_s[end - 1]
    suspicion = ""
    if end - first >= STUCK_SAMPLES and abs(trace.values[first]) > rest_a:
        for name, other in others.items():
            part = other.between(begin_s, last_s).values
            if part and max(part) - min(part) > 2 * resolution(other.values):
                suspicion = f"{name} moved by {max(part) - min(part):.4g} meanwhile"
                break
    return Unchanged(
        value=trace.values[first],
        samples=end - first,
        begin_s=begin_s,
        length_s=last_s - begin_s,
        whole=end - first == len(trace),
        suspicion=suspicion,
    )


def resolution(values: Sequence[float]) -> float:
    """Return the smallest step between different values, 0 if there is none."""
    distinct = sorted(set(values))
    return min((b - a for a, b in pairwise(distinct)), default=0.0)
