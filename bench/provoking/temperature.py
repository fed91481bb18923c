"""Provoking by temperature: a resistance in the place of a sensor, turned to degrees by the profile's own curve.

The reference is the resistance that the emulator asks back from its relays, with the tolerance of its resistors: the
bench speaks from the sense pins, and the report says so. What is not at a ladder's step lies beyond, never before.
"""

from __future__ import annotations

from bench.definition import Definition
from bench.errors import DefinitionError, OutOfRange
from bench.profile import Profile
from bench.protection import Protection
from bench.provoking.accuracy import sensor_budget
from bench.stand import Stand
from bench.thermistor import Curve
from bench.verdict import StimulusLevels, trip_levels

NORMAL_DEGC = 25.0
TRY_K, TRIES = 0.1, 40  # how far beyond a level the next step of a ladder is looked for


def refusal(definition: Definition, profile: Profile, protection: Protection, place: str) -> str | None:
    """Say that there is no emulator, no curve, or no channel for this sensor."""
    if profile.temperature_sensors is None:
        return f"{protection.name}: profile {profile.name} has no [temperature_sensors]: no resistance means a degree"
    name = definition.roles.get("sensor_emulator")
    if name is None:
        return f"{protection.name} needs emulated sensors; bench {definition.name} has no sensor_emulator"
    known = definition.instruments[name].options.get("sensors", {})
    if place not in known:
        where = ", ".join(known) or "none"
        return f"{protection.name}: sensor {place} is not emulated on bench {definition.name}; emulated: {where}"
    return None


class TemperatureProvocation:
    """A protection of temperature on a bench with emulated sensors."""

    def __init__(self, stand: Stand, protection: Protection, place: str) -> None:
        self._stand = stand
        self.protection = protection
        self.place = place
        self._spread = protection.about.observable == "temperature_spread"
        self.channel = "degc.spread" if self._spread else f"degc.{place}"

    @property
    def _curve(self) -> Curve:
        sensors = self._stand.profile.temperature_sensors
        if sensors is None:
            raise DefinitionError(f"{self._stand.profile.source.name}, temperature_sensors: is missing; no R-T curve")
        return sensors.curve

    def refusal(self) -> str | None:
        """Say why this bench cannot provoke it, None if it can."""
        return refusal(self._stand.definition, self._stand.profile, self.protection, self.place)

    def expanded(self, level_si: float) -> float:
        """Return the uncertainty of the emulated temperature, in kelvin: tolerance of the resistors, on the curve."""
        degc = NORMAL_DEGC + level_si if self._spread else level_si
        curve = self._curve
        return sensor_budget(self._stand.definition, curve.ohm(degc), curve.kelvin_per_share(degc)).expanded

    def levels(self) -> StimulusLevels:
        """Return threshold ± tolerance ± U; the ladder's steps are taken care of by `step`."""
        row = self.protection
        # U grows with temperature along the curve, so it is taken at the farther end of what is stepped to.
        ends = (row.threshold_si, *(row.about.further(row.threshold_si, side * row.tolerance_si) for side in (-2, 2)))
        return trip_levels(row, max(self.expanded(end) for end in ends), 0.0)

    def approach(self, level_si: float) -> None:
        """Nothing else has to move."""

    def step(self, level_si: float, *, towards_trip: bool = True) -> float:
        """Set the sensor to the level, or to the ladder's next step on the asked side of it.

        Raises:
            OutOfRange: the ladder has no step within 4 K of it.
        """
        emulator = self._stand.sensor_emulator
        if emulator is None:
            raise OutOfRange(f"bench {self._stand.definition.name} has no sensor_emulator")
        at_s = self._stand.clock.now()
        about, curve = self.protection.about, self._curve
        base = NORMAL_DEGC if self._spread else 0.0
        for attempt in range(TRIES):
            wanted = about.further(level_si, attempt * TRY_K * (1 if towards_trip else -1))
            try:
                found = curve.degc(emulator.set_resistance(self.place, curve.ohm(base + wanted))) - base
            except OutOfRange:
                continue
            if found == level_si or about.beyond(found, level_si) is towards_trip:
                return at_s
        raise OutOfRange(
            f"{self.protection.name}: {emulator.name} has no resistance within {TRIES * TRY_K:g} K of "
            f"{base + level_si:.2f} degC at {self.place}"
        )

    def normal(self) -> float:
        """Set the sensor to 25 degC, or near it."""
        emulator = self._stand.sensor_emulator
        if emulator is None:
            raise OutOfRange(f"bench {self._stand.definition.name} has no sensor_emulator")
        at_s = self._stand.clock.now()
        emulator.set_resistance(self.place, self._curve.ohm(NORMAL_DEGC))
        return at_s
