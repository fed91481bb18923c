"""Over-temperature while discharging: the hottest sensor is too hot to discharge."""

from bench.kinds import Kind
from bench.quantities import Direction

KIND = Kind(
    name="discharge_overtemperature",
    quantity="temperature",
    observable="temperature_max",
    above=True,
    direction=Direction.DISCHARGE,
    what="temperature of the hottest sensor, discharging",
    absolute="temperature_high_degc",
)
