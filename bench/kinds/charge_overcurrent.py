"""Charge over-current: too much current into the pack."""

from bench.kinds import Kind
from bench.quantities import Direction

KIND = Kind(
    name="charge_overcurrent",
    quantity="current",
    observable="charge_current",
    above=True,
    direction=Direction.CHARGE,
    what="current while charging",
    absolute="charge_a",
)
