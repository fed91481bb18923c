"""Cell over-voltage: the highest cell is charged too far."""

from bench.kinds import Kind
from bench.quantities import Direction

KIND = Kind(
    name="cell_overvoltage",
    quantity="voltage",
    observable="cell_voltage_max",
    above=True,
    direction=Direction.CHARGE,
    what="voltage of the highest cell",
    absolute="cell_high_v",
)
