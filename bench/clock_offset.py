"""The offset between the stamps of instruments and of the link, bounded by one common edge of current.

A small step of current is seen by the reference and, later, by the BMS's own report. What lies between is the offset of
the stamps *and* the BMS's delay, which nobody can tell apart: the offset is only bounded, by what the profile declares
of sampling and filter. From edges of different phase each bounds it from both sides; what all of them allow is left.

Where instruments and link are stamped by one clock (a simulated bench) the offset is 0 by construction, and the edge
only checks that nothing contradicts it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench import stimulus
from bench.errors import Inconclusive
from bench.evidence import Measurement
from bench.judgements import REFERENCE, judgement
from bench.procedures import largest_quiet_a
from bench.quantities import Direction, digits_for
from bench.stand import Stand
from bench.traces import Trace, Traces
from bench.uncertainty import Uncertain
from bench.verdict import DecisionRule, Limits

EDGES = 4
EDGE_SHARE = 0.2  # of the largest quiet current: far above noise and dead band, far below any protection
LEAST_EDGE_A, MOST_EDGE_A = 2.0, 20.0
SAMPLES = 2.0  # of the BMS, which its report may lag behind at most beside filter and message
LN2 = 0.6931  # a first-order filter has passed half of a step after so many time constants
SIGNAL = "pack_current"


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """By how much stamps of the link are late against those of the instruments: from `low_s` to `high_s`."""

    low_s: float
    high_s: float
    edges: int
    one_clock: bool

    @property
    def correction_s(self) -> float:
        """What is taken off stamps of the link, in seconds; 0 on one clock."""
        return 0.0 if self.one_clock else (self.low_s + self.high_s) / 2.0

    @property
    def limit_s(self) -> float:
        """The limit of what is left after the correction, in seconds; 0 on one clock."""
        return 0.0 if self.one_clock else (self.high_s - self.low_s) / 2.0

    def words(self) -> str:
        """Say what is known, and from what."""
        digits = digits_for(self.high_s - self.low_s)
        bounds = f"{self.edges} common edges allow {self.low_s:+.{digits}f} to {self.high_s:+.{digits}f} s"
        return f"one clock stamps instruments and link; {bounds}" if self.one_clock else bounds


def bound_offset(
    traces: Traces,
    edges: Sequence[Mapping[str, float]],
    *,
    direction: str,
    level_a: float,
    sample_s: float,
    filter_s: float,
    period_s: float,
    one_clock: bool,
) -> ClockOffset:
    """Return what a row of edges leaves of the offset. Times of the windows, periods and filters in seconds.

    Raises:
        Inconclusive: an edge was not seen by both, or the edges contradict each other or the one clock.
    """
    sign = Direction.of(direction).sign
    low_s, high_s = -float("inf"), float("inf")
    for edge in edges:
        window = edge["begin_s"], edge["end_s"]
        true = _edge(traces[REFERENCE].between(*window), sign, level_a)
        told = _edge(traces[f"bms.{SIGNAL}"].between(*window), sign, level_a)
        if true is None or told is None:
            who = "the reference" if true is None else "the BMS's report"
            raise Inconclusive(f"the common edge between {window[0]:.2f} s and {window[1]:.2f} s was not seen by {who}")
        # Each lies between two samples; the BMS's reading is as old as its sampling, its filter and its message allow.
        least_s = told[0] - true[1] - SAMPLES * sample_s - 1.0 * period_s - 2.0 * LN2 * filter_s
        most_s = told[1] - true[0]
        low_s, high_s = max(low_s, least_s), min(high_s, most_s)
    if low_s > high_s:
        raise Inconclusive(
            f"the common edges contradict each other: one says an offset of at least {low_s:.3f} s, another of at most "
            f"{high_s:.3f} s; the BMS's report is slower than its profile says, or a clock jumped"
        )
    if one_clock and not low_s <= 0.0 <= high_s:
        raise Inconclusive(
            f"instruments and link are said to be stamped by one clock, but common edges allow {low_s:+.3f} to "
            f"{high_s:+.3f} s only; the BMS's report is slower than its profile says, or the stamps are wrong"
        )
    return ClockOffset(low_s, high_s, len(edges), one_clock)


def _edge(trace: Trace, sign: int, level_a: float) -> tuple[float, float] | None:
    """Return the two samples between which half of the level was passed."""
    for index in range(1, len(trace)):
        if sign * trace.values[index] > 0.5 * level_a >= sign * trace.values[index - 1]:
            return trace.at_s[index - 1], trace.at_s[index]
    return None


@judgement
def common_edge(
    traces: Traces, rule: DecisionRule, *, edges: Sequence[Mapping[str, float]], **known: Any
) -> list[Measurement]:
    """One edge of current seen by reference and BMS bounds the offset of their stamps; `known` as `bound_offset`.

    What is judged is the bench: that the edges allow some offset at all, on one clock none.

    Raises:
        Inconclusive: they do not.
    """
    del rule  # nothing is judged of the product
    found = bound_offset(traces, edges, **known)
    half_s = (found.high_s - found.low_s) / 2.0
    middle_s = (found.high_s + found.low_s) / 2.0
    return [
        Measurement(
            name="offset of the link's stamps, as far as a common edge tells",
            value=Uncertain(middle_s, half_s, "s"),
            limits=Limits.around(middle_s if not found.one_clock else 0.0, half_s),
            rule=DecisionRule("simple"),
            source=f"bms.{SIGNAL}",
            reference=found.words(),
            at_s=edges[0]["begin_s"],
        )
    ]


def measure_offset(stand: Stand, direction: Direction = Direction.DISCHARGE) -> tuple[ClockOffset, dict[str, Any]]:
    """Make common edges within the quiet range, and return what they tell and the parameters to judge it again.

    Raises:
        Inconclusive: as `bound_offset`, or the quiet range is too small for an edge that can be seen.
    """
    profile = stand.profile
    signal = profile.signals[SIGNAL]
    level_a = min(MOST_EDGE_A, EDGE_SHARE * largest_quiet_a(stand, direction))
    if level_a < max(LEAST_EDGE_A, 4.0 * signal.dead_band * signal.about.factor):
        raise Inconclusive(f"{level_a:.2f} A is too little for an edge that the BMS's report shows")
    chance, edges = random.Random(f"{stand.seed}/common edge"), []
    lasts_s = 2.0 * signal.period_s + SAMPLES * profile.behaviour.sample_s + 3.0 * profile.behaviour.filter_s
    for _ in range(EDGES):
        stand.clock.sleep(2.0 * lasts_s + chance.uniform(0.0, signal.period_s))
        begin_s = stand.clock.now()
        with stand.guard.provoke("common edge", 4.0 * lasts_s + 2.0, level_a=level_a):
            stand.clock.sleep(0.1)  # both are seen at zero before
            stimulus.force(stand, direction.sign * level_a)
            stand.clock.sleep(lasts_s + 0.2)
        stimulus.release(stand)
        edges.append({"begin_s": begin_s, "end_s": stand.clock.now()})
    parameters: dict[str, Any] = {
        "edges": edges,
        "direction": direction.word,
        "level_a": level_a,
        "sample_s": profile.behaviour.sample_s,
        "filter_s": profile.behaviour.filter_s,
        "period_s": signal.period_s,
        "one_clock": stand.clock.simulated,
    }
    stand.observers.drain()
    found = bound_offset(stand.traces, **parameters)
    stand.note(f"clock offset: {found.words()}", low_s=found.low_s, high_s=found.high_s, one_clock=found.one_clock)
    return found, parameters
