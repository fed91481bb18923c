"""Under-temperature while discharging: the coldest sensor is too cold to discharge."""

from bench.kinds import Kind
from bench.quantities import Direction

KIND = Kind(
    name="discharge_undertemperature",
    quantity="temperature",
    observable="temperature_min",
    above=False,
    direction=Direction.DISCHARGE,
    what="temperature of the coldest sensor, discharging",
    absolute="temperature_low_degc",
)
