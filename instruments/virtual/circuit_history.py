"""What the current was: the circuit's exact solution kept for a while, for whoever looks at it afterwards.

Each piece is a stretch of the circuit's solution, a sum of exponentials; the average over any window, the moment at
which a level was crossed and the value at any nanosecond follow in closed form, without another sample being taken.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from itertools import pairwise
from math import inf, log
from typing import NamedTuple

from instruments.virtual.circuit_waveform import Waveform


class Piece(NamedTuple):
    """The current from `start_ns` (plus a fraction of a nanosecond) for `length_s`, t counted from there."""

    start_ns: int
    start_s: float
    length_s: float
    wave: Waveform

    def at_s(self, at_ns: float) -> float:
        """Return where in the piece an instant lies, in seconds from its start."""
        return (at_ns - self.start_ns) * 1e-9 - self.start_s

    @property
    def end_ns(self) -> float:
        """When it ends, in nanoseconds."""
        return self.start_ns + (self.start_s + self.length_s) * 1e9

    def charge_c(self, from_s: float, to_s: float) -> float:
        """Return the charge that passes between two instants of the piece, in coulombs."""
        return self.wave.charge_c(to_s) - self.wave.charge_c(from_s)


class LetThrough(NamedTuple):
    """What passed in a window: largest magnitude (A), charge with its sign (C), integral of the square (A² s).

    The square times a resistance is the energy that it took, in joules; the charge times the pack's voltage the energy
    that the cells gave.
    """

    peak_a: float
    charge_c: float
    square_a2s: float


class History:
    """Pieces of the current, oldest first and without gaps.

    `live` returns what has happened since the last piece ended. Who needs the past says from when (nanoseconds) in
    `keep_from`; what ended before all of them is dropped. `watchers` are shown each piece as it ends.
    """

    def __init__(self, live: Callable[[], Piece]) -> None:
        self._live = live
        self._pieces: list[Piece] = []
        self._starts: list[float] = []
        self.keep_from: dict[object, float] = {}
        self.watchers: list[Callable[[Piece], None]] = []

    def keep(self, piece: Piece) -> None:
        """Take a piece that has ended."""
        if piece.length_s <= 0.0:
            return
        self._pieces.append(piece)
        self._starts.append(piece.start_ns + piece.start_s * 1e9)
        for watch in self.watchers:
            watch(piece)
        if len(self._pieces) % 256 == 0:  # dropping one by one would cost more than they do
            gone = max(0, bisect_right(self._starts, min(self.keep_from.values(), default=inf)) - 1)
            del self._pieces[:gone], self._starts[:gone]

    def live(self) -> Piece:
        """Return the piece that has not ended, up to now."""
        return self._live()

    def current_a(self, at_ns: float) -> float:
        """Return the current at an instant that is kept, in amperes; where it jumps, the later value."""
        piece = self._pieces_between(at_ns, at_ns)[-1]
        return piece.wave.current_a(piece.at_s(at_ns))

    def mean_a(self, from_ns: float, to_ns: float) -> float:
        """Return the average current of a window, in amperes."""
        charge_c = 0.0
        for piece in self._pieces_between(from_ns, to_ns):
            low_s = max(0.0, piece.at_s(from_ns))
            high_s = min(piece.length_s, piece.at_s(to_ns))
            if high_s > low_s:
                charge_c += piece.charge_c(low_s, high_s)
        return charge_c / ((to_ns - from_ns) * 1e-9)

    def let_through(self, from_ns: float, to_ns: float) -> LetThrough:
        """Return what passed between two instants that are kept: peak, charge and the integral of the square."""
        peak_a = charge_c = square_a2s = 0.0
        for piece in self._pieces_between(from_ns, to_ns):
            low_s = max(0.0, piece.at_s(from_ns))
            high_s = min(piece.length_s, piece.at_s(to_ns))
            if high_s <= low_s:
                continue
            corners = [low_s, *(turn for turn in _turns(piece) if low_s < turn < high_s), high_s]
            peak_a = max(peak_a, *(abs(piece.wave.current_a(t)) for t in corners))
            charge_c += piece.charge_c(low_s, high_s)
            square_a2s += piece.wave.square_a2s(high_s) - piece.wave.square_a2s(low_s)
        return LetThrough(peak_a, charge_c, square_a2s)

    def _pieces_between(self, from_ns: float, to_ns: float) -> list[Piece]:
        first = max(0, bisect_right(self._starts, from_ns) - 1)
        last = bisect_right(self._starts, to_ns)
        found = self._pieces[first:last]
        live = self._live()
        if to_ns >= live.start_ns + live.start_s * 1e9 or not found:
            found = [*found, live]
        return found


def crossing_s(piece: Piece, level_a: float, rising: bool, from_s: float = 0.0) -> float | None:
    """Return when inside a piece the current first comes through a level, in seconds from its start, or None."""
    sign = 1.0 if rising else -1.0

    def above(t: float) -> bool:
        return sign * (piece.wave.current_a(t) - level_a) >= 0.0

    corners = [from_s, *(turn for turn in _turns(piece) if turn > from_s), piece.length_s]
    for low, high in pairwise(corners):
        if not above(low) and above(high):
            while high - low > 1e-10:
                middle = 0.5 * (low + high)
                if not low < middle < high:
                    break
                low, high = (low, middle) if above(middle) else (middle, high)
            return high
    return None


def _turns(piece: Piece) -> list[float]:
    """Where the current turns round inside a piece; two decaying terms turn at most once, a constant never."""
    terms = [(a * r, r) for a, r in piece.wave.terms if a * r]
    if len(terms) != 2:
        return []
    (a1, r1), (a2, r2) = terms
    if r1 == r2 or a1 * a2 >= 0.0:
        return []
    turn = log(-a1 / a2) / (r1 - r2)
    return [turn] if 0.0 < turn < piece.length_s else []
