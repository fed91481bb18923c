"""Cell under-voltage: the lowest cell is discharged too far."""

from bench.kinds import Kind
from bench.quantities import Direction

KIND = Kind(
    name="cell_undervoltage",
    quantity="voltage",
    observable="cell_voltage_min",
    above=False,
    direction=Direction.DISCHARGE,
    what="voltage of the lowest cell",
    absolute="cell_low_v",
)
