"""Quantities, units and the one sign convention.

Charging is positive everywhere in this project. A limit is a magnitude with a `Direction`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from bench.errors import OutOfRange


class Direction(Enum):
    """Which way the current flows, seen from the pack.

    Everywhere in this project a current is positive when it charges the pack. A BMS that
    counts the other way says so in its profile, and the link turns it round while decoding.
    """

    CHARGE = 1
    DISCHARGE = -1

    @property
    def sign(self) -> int:
        """+1 for charge, -1 for discharge."""
        return self.value

    @property
    def word(self) -> str:
        """The direction as a lower-case noun: `charge` or `discharge`."""
        return self.name.lower()

    @property
    def verb(self) -> str:
        """The direction as a participle: `charging` or `discharging`."""
        return "charging" if self is Direction.CHARGE else "discharging"

    @property
    def opposite(self) -> Direction:
        """The other direction."""
        return Direction.DISCHARGE if self is Direction.CHARGE else Direction.CHARGE

    @classmethod
    def of(cls, word: str) -> Direction:
        """Return the direction named `charge` or `discharge`.

        Raises:
            ValueError: any other word.
        """
        for direction in cls:
            if direction.word == word:
                return direction
        raise ValueError(f"{word!r} is not a direction: write 'charge' or 'discharge'")


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as it may stand in a file: factor and offset turn a value into the SI number used inside."""

    name: str
    quantity: str
    factor: float
    offset: float = 0.0

    def to_si(self, value: float) -> float:
        """Convert a value in this unit into the inside unit of its quantity."""
        return value * self.factor + self.offset

    def from_si(self, value: float) -> float:
        """Convert an inside value into this unit."""
        return (value - self.offset) / self.factor


# quantity -> the unit that numbers have inside, which is also the suffix of their names
INSIDE_UNIT = {
    "current": "A",
    "voltage": "V",
    "power": "W",
    "resistance": "ohm",
    "charge": "Ah",
    "energy": "Wh",
    "time": "s",
    "temperature": "degC",
    "ratio": "%",
    "frequency": "Hz",
    "none": "1",
}

UNITS: dict[str, Unit] = {
    unit.name: unit
    for unit in (
        Unit("A", "current", 1.0),
        Unit("mA", "current", 1e-3),
        Unit("kA", "current", 1e3),
        Unit("V", "voltage", 1.0),
        Unit("mV", "voltage", 1e-3),
        Unit("uV", "voltage", 1e-6),
        Unit("kV", "voltage", 1e3),
        Unit("W", "power", 1.0),
        Unit("mW", "power", 1e-3),
        Unit("kW", "power", 1e3),
        Unit("ohm", "resistance", 1.0),
        Unit("mohm", "resistance", 1e-3),
        Unit("uohm", "resistance", 1e-6),
        Unit("kohm", "resistance", 1e3),
        Unit("Ah", "charge", 1.0),
        Unit("mAh", "charge", 1e-3),
        Unit("As", "charge", 1.0 / 3600.0),
        Unit("C", "charge", 1.0 / 3600.0),
        Unit("Wh", "energy", 1.0),
        Unit("kWh", "energy", 1e3),
        Unit("s", "time", 1.0),
        Unit("ms", "time", 1e-3),
        Unit("us", "time", 1e-6),
        Unit("min", "time", 60.0),
        Unit("h", "time", 3600.0),
        Unit("degC", "temperature", 1.0),
        Unit("K", "temperature", 1.0, -273.15),
        Unit("%", "ratio", 1.0),
        Unit("permille", "ratio", 0.1),
        Unit("Hz", "frequency", 1.0),
        Unit("1", "none", 1.0),
    )
}


# What people write for a unit, where the letters alone would suggest another one.
EVERYDAY = {
    "amp": "A", "amps": "A", "ampere": "A", "amperes": "A", "milliamps": "mA", "volt": "V", "volts": "V",
    "millivolts": "mV", "watt": "W", "watts": "W", "c": "degC", "celsius": "degC", "°c": "degC", "kelvin": "K",
    "percent": "%", "pct": "%", "sec": "s", "seconds": "s", "ohms": "ohm", "ω": "ohm", "mω": "mohm",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Range:
    """An inclusive range. Nothing is ever clipped to fit."""

    low: float
    high: float
    unit: str

    def contains(self, value: float) -> bool:
        """Say whether the value lies inside; a NaN does not."""
        return self.low <= value <= self.high

    def check(self, value: float, what: str) -> float:
        """Return the value if it lies inside.

        Raises:
            OutOfRange: it does not, or it is not a number.
        """
        if not self.contains(value):
            raise OutOfRange(f"{what}: {value:g} {self.unit} is outside {self.low:g} to {self.high:g} {self.unit}")
        return value


def finite(value: float, what: str) -> float:
    """Return the value if it is a finite number.

    Raises:
        OutOfRange: it is infinite or not a number.
    """
    if not math.isfinite(value):
        raise OutOfRange(f"{what}: {value!r} is not a finite number")
    return value


def direction_of(current_a: float, zero_a: float = 0.0) -> Direction | None:
    """Return the direction of a current in pack sign, or None inside the zero band |I| <= zero_a."""
    if abs(current_a) <= zero_a:
        return None
    return Direction.CHARGE if current_a > 0 else Direction.DISCHARGE


def in_words(current_a: float, zero_a: float = 0.0) -> str:
    """Name what a current in pack sign does: `charging`, `discharging` or `at rest`."""
    direction = direction_of(current_a, zero_a)
    return "at rest" if direction is None else direction.verb


def digits_for(uncertainty: float) -> int:
    """Return how many decimals are worth printing: down to two digits of the uncertainty, at most six."""
    if uncertainty <= 0 or not math.isfinite(uncertainty):
        return 3
    return max(0, min(6, 1 - math.floor(math.log10(uncertainty))))


def show(value: float, unit: str, uncertainty: float | None = None, *, signed: bool = True) -> str:
    """Write a number with its unit and, where known, its expanded uncertainty.

    `show(10.0031, "A", 0.012)` gives `+10.003 A ± 0.012 A`. Digits stop where the uncertainty says so.
    """
    decimals = 3 if uncertainty is None else digits_for(uncertainty)
    sign = "+" if signed else ""
    text = f"{value:{sign}.{decimals}f} {unit}"
    return text if uncertainty is None else f"{text} ± {uncertainty:.{decimals}f} {unit}"
