"""Under-temperature while charging: the coldest sensor is too cold to charge."""

from bench.kinds import Kind
from bench.quantities import Direction

KIND = Kind(
    name="charge_undertemperature",
    quantity="temperature",
    observable="temperature_min",
    above=False,
    direction=Direction.CHARGE,
    what="temperature of the coldest sensor, charging",
    absolute="temperature_low_degc",
)
