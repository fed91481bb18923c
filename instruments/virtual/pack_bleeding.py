"""Bleeders across single cells: what balancing takes from them, in closed form beside the pack's own current.

A bleeder's current follows its cell's voltage, which hardly moves within a stretch; like the resistances it is taken
at the anchor and stands still until the next one (at most `LONGEST_S` later). Then everything that a cell has beyond
the current of the pack follows from the integrals that the pack has anyway: less charge by i t, less in the memory of
its RC pair by i (1 - e^-rt), and the heat of the difference.

Not simulated: the bleeder's own heat, its temperature, its switch, pulse width modulation (give the mean resistance).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

LONGEST_S = 8.0  # longest stretch with a bleeder on: a pair that relaxes from 100 A moves the bleeder by 0.2 %


class Bleeder(NamedTuple):
    """A resistance between two nodes of the stack, counted from B- (0): it discharges every cell between them."""

    low: int
    high: int
    ohm: float


class Bleeding:
    """The bleeders of one pack, and the currents that they draw in this stretch."""

    def __init__(self, bleeders: Iterable[Bleeder], cells: int) -> None:
        self.bleeders = tuple(bleeders)
        #: What each cell gives into bleeders in this stretch, in amperes, positive discharging.
        self.drawn_a = [0.0] * cells
        #: Sums over the cells: of r0 i and r1 i in volts, and of chord times i in volts per second.
        self.r0_v = self.r1_v = self.chord_v_per_s = 0.0

    def fix(self, cells_v: Sequence[float], r0_ohm: Sequence[float], r1_ohm: Sequence[float]) -> None:
        """Take the currents for a stretch at whose beginning the cells have these voltages."""
        self.drawn_a = [0.0] * len(cells_v)
        for low, high, ohm in self.bleeders:
            current_a = sum(cells_v[low:high]) / ohm
            for cell in range(low, high):
                self.drawn_a[cell] += current_a
        self.r0_v = sum(r * i for r, i in zip(r0_ohm, self.drawn_a, strict=True))
        self.r1_v = sum(r * i for r, i in zip(r1_ohm, self.drawn_a, strict=True))

    def lay(self, chords_v_per_c: Sequence[float]) -> None:
        """Take the slopes of the cells' open-circuit voltage for the stretch, in volts per coulomb."""
        self.chord_v_per_s = sum(c * i for c, i in zip(chords_v_per_c, self.drawn_a, strict=True))

    def moved_v(self, elapsed_s: float, fade: float) -> float:
        """Return what the stack's inner voltage has lost, in volts; `fade` is e^-rt of the RC pairs."""
        return self.r0_v + self.r1_v * (1.0 - fade) + self.chord_v_per_s * elapsed_s

    def charges_c(self, charge_c: float, elapsed_s: float) -> list[float]:
        """Return what has passed through each cell while this charge passed through the stack, in coulombs."""
        return [charge_c - i * elapsed_s for i in self.drawn_a]

    def squares_a2s(self, charge_c: float, square_a2s: float, elapsed_s: float) -> list[float]:
        """Return the integral of each cell's squared current, from those of the stack's."""
        return [square_a2s - 2.0 * i * charge_c + i * i * elapsed_s for i in self.drawn_a]
