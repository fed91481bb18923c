"""Pack under-voltage: all cells together stand too low."""

from bench.kinds import Kind
from bench.quantities import Direction

KIND = Kind(
    name="pack_undervoltage",
    quantity="voltage",
    observable="pack_voltage",
    above=False,
    direction=Direction.DISCHARGE,
    what="voltage of the pack",
    absolute="pack_low_v",
)
