"""Discharge over-current: too much current out of the pack."""

from bench.kinds import Kind
from bench.quantities import Direction

KIND = Kind(
    name="discharge_overcurrent",
    quantity="current",
    observable="discharge_current",
    above=True,
    direction=Direction.DISCHARGE,
    what="current while discharging",
    absolute="discharge_a",
)
