"""Cell voltage spread: highest and lowest cell have drifted apart."""

from bench.kinds import Kind
from bench.quantities import Direction

KIND = Kind(
    name="cell_voltage_spread",
    quantity="voltage",
    observable="cell_voltage_spread",
    above=True,
    direction=Direction.CHARGE,
    what="difference between highest and lowest cell",
    difference=True,
)
