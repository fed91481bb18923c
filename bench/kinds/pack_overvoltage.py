"""Pack over-voltage: all cells together stand too high."""

from bench.kinds import Kind
from bench.quantities import Direction

KIND = Kind(
    name="pack_overvoltage",
    quantity="voltage",
    observable="pack_voltage",
    above=True,
    direction=Direction.CHARGE,
    what="voltage of the pack",
    absolute="pack_high_v",
)
