"""Short circuit: a discharge current that must end within microseconds."""

from bench.kinds import Kind
from bench.quantities import Direction

KIND = Kind(
    name="short_circuit",
    quantity="current",
    observable="discharge_current",
    above=True,
    direction=Direction.DISCHARGE,
    what="current of a short circuit",
    absolute="short_circuit_a",
    fast=True,
)
