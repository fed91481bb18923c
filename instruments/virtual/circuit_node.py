"""The bus node: which way its voltage goes, and where it comes to rest.

Everything attached to the bus pushes a current into it that is a piecewise linear, never rising function of its
voltage: a supply gives its current limit below its set voltage and nothing above, a load draws its current above
a knee and is a resistor below, the pack behind its switch is a resistor to its own voltage. The sum is again such a
function, so the node has one resting place, reaches it without turning back, and each piece is one exponential.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple

from bench.errors import BenchError


class Step(NamedTuple):
    """One attached element: below `at_v` it pushes a_below - g_below * V amperes, above a_above - g_above * V."""

    at_v: float
    a_below: float
    g_below: float
    a_above: float
    g_above: float

    def side(self, voltage_v: float, up: bool) -> tuple[float, float]:
        """Return (a, g) just above (up) or just below a voltage."""
        if voltage_v > self.at_v or (up and voltage_v == self.at_v):
            return self.a_above, self.g_above
        return self.a_below, self.g_below


class Branch(NamedTuple):
    """Disconnect, wires, shunts, switch and cells: conductance and diode drop, each for one direction."""

    charge_s: float
    charge_drop_v: float
    discharge_s: float
    discharge_drop_v: float

    @property
    def symmetric(self) -> bool:
        """Whether it is one resistor for both directions."""
        return self.charge_s == self.discharge_s and self.charge_drop_v == 0.0 and self.discharge_drop_v == 0.0

    def steps(self, emf_v: float) -> list[Step]:
        """Return what it pushes into the bus when the pack's inner voltage is `emf_v`."""
        gc, gd = self.charge_s, self.discharge_s
        upper_v, lower_v = emf_v + self.charge_drop_v, emf_v - self.discharge_drop_v
        if self.symmetric:
            return [Step(-inf, 0.0, 0.0, gc * emf_v, gc)] if gc else []
        return [
            Step(lower_v, gd * lower_v, gd, 0.0, 0.0),
            Step(upper_v, 0.0, 0.0, gc * upper_v, gc),
        ]

    def side(self, voltage_v: float, emf_v: float) -> tuple[float, float]:
        """Return (conductance, signed drop) in force at a bus voltage; the current is g * (V - emf - drop)."""
        if voltage_v > emf_v + self.charge_drop_v or self.symmetric:
            return self.charge_s, self.charge_drop_v
        if voltage_v < emf_v - self.discharge_drop_v:
            return self.discharge_s, -self.discharge_drop_v
        return 0.0, 0.0


class Piece(NamedTuple):
    """The stretch of voltage the node is moving through: pushed with a - g * V until it meets `limit_v`."""

    a: float
    g: float
    limit_v: float

    @property
    def target_v(self) -> float:
        """Where it would come to rest if the piece never ended."""
        if self.g > 0.0:
            return self.a / self.g
        return inf if self.a > 0.0 else -inf


def push(steps: list[Step], voltage_v: float, up: bool) -> tuple[float, float]:
    """Return (a, g) of the sum of elements just above or below a voltage."""
    a = g = 0.0
    for step in steps:
        more_a, more_g = step.side(voltage_v, up)
        a += more_a
        g += more_g
    return a, g


def next_piece(steps: list[Step], voltage_v: float) -> Piece | None:
    """Return the piece the node moves through from here, or None where it rests."""
    a, g = push(steps, voltage_v, up=True)
    if a - g * voltage_v > 0.0:
        return Piece(a, g, min((s.at_v for s in steps if s.at_v > voltage_v), default=inf))
    a, g = push(steps, voltage_v, up=False)
    if a - g * voltage_v < 0.0:
        return Piece(a, g, max((s.at_v for s in steps if s.at_v < voltage_v), default=-inf))
    return None


def resting_v(steps: list[Step], voltage_v: float) -> float:
    """Return where the node comes to rest, starting from a voltage, in volts."""
    up_before: bool | None = None
    for _ in range(4 * len(steps) + 8):
        piece = next_piece(steps, voltage_v)
        if piece is None:
            return voltage_v
        a, g, limit_v = piece
        up = a - g * voltage_v > 0.0
        target_v = piece.target_v
        inside = target_v <= limit_v if up else target_v >= limit_v
        # Turning back can only be rounding around the resting place itself.
        if inside or (up_before is not None and up is not up_before):
            return target_v if inside else voltage_v
        voltage_v, up_before = limit_v, up
    raise BenchError(f"virtual circuit: bus node finds no rest near {voltage_v:g} V; please report the settings")
