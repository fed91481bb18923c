"""How a protection is provoked: one module for each quantity, each with the same few verbs.

A provocation knows where the bench puts the stimulus (a cell, a sensor, the current), which *measured* channel shows
it, how uncertain that channel is, and why this bench cannot do it, if so. It judges nothing.
"""

from __future__ import annotations

import random
from typing import Protocol

from bench.definition import Definition
from bench.errors import DefinitionError
from bench.profile import Profile
from bench.protection import Protection
from bench.stand import Stand
from bench.verdict import StimulusLevels

RANDOM = "random"  # a place drawn by the run's seed: every night another cell


class Provocation(Protocol):
    """One protection at one place of one open bench."""

    protection: Protection
    place: str
    channel: str  # the measured stimulus, see `bench.stimulus_trace`

    def refusal(self) -> str | None:
        """Say why this bench cannot provoke it, None if it can."""

    def expanded(self, level_si: float) -> float:
        """Return the expanded uncertainty of the measured stimulus at a level, in its inside unit."""

    def levels(self) -> StimulusLevels:
        """Return the levels at which it must not trip and must trip, for this bench's uncertainty."""

    def approach(self, level_si: float) -> None:
        """Put everything but the stimulus itself where the level needs it; before the current flows."""

    def step(self, level_si: float, *, towards_trip: bool = True) -> float:
        """Move the stimulus there at once; return when it was commanded, in seconds.

        What the bench cannot hit exactly lies beyond the level, seen from normal, when stepping towards a trip, and
        before it otherwise.
        """

    def normal(self) -> float:
        """Move the stimulus back to where nothing is demanded; return when that was commanded, in seconds."""


def places_of(profile: Profile, protection: Protection, seed: int = 1) -> tuple[str, ...]:
    """Return where a protection is provoked: ends of the stack, a cell of every chip, a cell drawn by the seed.

    Of temperatures: every sensor. Of everything else: the one place there is.
    """
    observable = protection.about.observable
    if observable.startswith("cell_voltage"):
        count = profile.bms.cells
        chip = profile.monitoring.cells_per_chip if profile.monitoring else count
        middles = [min(first + chip // 2, count) for first in range(1, count + 1, chip)]
        chosen = [1, *middles, count] if observable != "cell_voltage_spread" else [count]
        drawn = random.Random(f"{seed}:{protection.name}").randint(1, count)
        return tuple(dict.fromkeys(f"cell_{number}" for number in (*chosen, drawn)))
    if observable.startswith("temperature") and profile.temperature_sensors is not None:
        positions = profile.temperature_sensors.positions
        return positions if observable != "temperature_spread" else positions[:1]
    return ("pack",)


def refusal_for(definition: Definition, profile: Profile, protection: Protection, place: str) -> str | None:
    """Say why this bench cannot provoke a protection at a place, None if it can. Nothing is opened for that."""
    from bench.provoking import cells, current, temperature

    asked = {"current": current.refusal, "voltage": cells.refusal, "temperature": temperature.refusal}
    return asked[protection.about.quantity](definition, profile, protection, place)


def provocation_for(stand: Stand, protection: Protection, place: str) -> Provocation:
    """Return how this bench provokes a protection at a place.

    Raises:
        DefinitionError: nobody knows how to provoke its quantity.
    """
    from bench.provoking.cells import CellProvocation
    from bench.provoking.current import CurrentProvocation
    from bench.provoking.temperature import TemperatureProvocation

    quantity = protection.about.quantity
    if quantity == "current":
        return CurrentProvocation(stand, protection)
    if quantity == "voltage":
        return CellProvocation(stand, protection, place)
    if quantity == "temperature":
        return TemperatureProvocation(stand, protection, place)
    raise DefinitionError(f"{stand.profile.name}, {protection.name}: nobody knows how to provoke a {quantity}")
