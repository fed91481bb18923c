"""Temperature spread: hottest and coldest sensor have drifted apart."""

from bench.kinds import Kind
from bench.quantities import Direction

KIND = Kind(
    name="temperature_spread",
    quantity="temperature",
    observable="temperature_spread",
    above=True,
    direction=Direction.CHARGE,
    what="difference between hottest and coldest sensor",
    difference=True,
)
