"""Over-temperature while charging: the hottest sensor is too hot to charge."""

from bench.kinds import Kind
from bench.quantities import Direction

KIND = Kind(
    name="charge_overtemperature",
    quantity="temperature",
    observable="temperature_max",
    above=True,
    direction=Direction.CHARGE,
    what="temperature of the hottest sensor, charging",
    absolute="temperature_high_degc",
)
