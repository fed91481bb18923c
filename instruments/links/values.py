"""From a raw number on a link to a reading, or to an error that says why there is none.

This is the one place where a BMS's unit and sign become the bench's. Nothing is clipped and nothing defaults: a
number outside what database and profile declare, an unknown state word or a NaN is an error.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bench.clock import Clock
from bench.errors import BadFrame, DefinitionError, Missing, NotImplementedByDut, OutOfRange, ReadingError, Stale
from bench.loading import nearest
from bench.roles import Reading
from bench.signals import CanSignal, ModbusSignal

ROUNDING_S = 1e-9  # an age of exactly three periods is not too old
Number = int | float


class ReadingOutOfRange(BadFrame, OutOfRange):
    """The BMS sent a number outside the range that its database or profile declares."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What one frame or answer said about one signal: an inside value, or the problem with it.

    `raw` is the count on the wire, before factor, unit and sign.
    """

    signal: str
    raw: Number | None
    value: float | None = None
    problem: ReadingError | None = None


def inside_value(
    name: str, signal: CanSignal | ModbusSignal, number: float, declared: tuple[float | None, float | None]
) -> float:
    """Check a number in the signal's own unit and return it in the inside unit and pack sign.

    `declared` is the range of the link's database, in the same unit; None where it says nothing.

    Raises:
        ReadingOutOfRange: outside the declared range, an unknown value of an enumeration, or not finite.
    """
    if not math.isfinite(number):
        raise ReadingOutOfRange(f"{name}: the BMS sent {number!r}, which is no number")
    if signal.values and number not in signal.values:
        known = ", ".join(f"{value} {word}" for value, word in signal.values.items())
        raise ReadingOutOfRange(f"{name}: {number:g} is none of its declared values ({known})")
    for (low, high), who in ((declared, "database"), (signal.range or (None, None), "profile")):
        # The database's own limits are multiples of the factor, so allow for binary fractions.
        slack = 1e-9 * max(abs(low or 0.0), abs(high or 0.0), 1.0)
        if (low is not None and number < low - slack) or (high is not None and number > high + slack):
            unit = "" if signal.unit == "1" else f" {signal.unit}"
            raise ReadingOutOfRange(
                f"{name}: {number:g}{unit} is outside the range that the {who} declares, {_range(low, high)}{unit}"
            )
    if signal.active_low:
        if number not in (0, 1):
            raise ReadingOutOfRange(f"{name}: a flag that is active low sent {number:g}, neither 0 nor 1")
        number = 1 - number
    return signal.to_inside(float(number))


def decoded(
    name: str,
    signal: CanSignal | ModbusSignal,
    raw: Number,
    number: float,
    declared: tuple[float | None, float | None] = (None, None),
) -> Decoded:
    """Return the value of one signal, or the problem with it instead of raising."""
    try:
        return Decoded(name, raw, inside_value(name, signal, number, declared))
    except ReadingError as problem:
        return Decoded(name, raw, problem=problem)


def _range(low: float | None, high: float | None) -> str:
    return f"{'-∞' if low is None else f'{low:g}'} ... {'∞' if high is None else f'{high:g}'}"


class Board:
    """The newest word of each signal, with its age. Written by one thread, read by any."""

    def __init__(self, signals: Mapping[str, CanSignal | ModbusSignal], clock: Clock, where: str) -> None:
        self.signals = signals
        self._clock = clock
        self._where = where
        self._newest: dict[str, tuple[float, Reading | None, ReadingError | None]] = {}
        self._units = {name: signal.inside_unit for name, signal in signals.items()}

    def put(self, results: Iterable[Decoded], at_s: float) -> list[Reading]:
        """Keep what was decoded and return the good readings."""
        readings = []
        for result in results:
            if result.value is None:
                self._newest[result.signal] = (at_s, None, result.problem)
                continue
            name = result.signal
            raw = None if result.raw is None else float(result.raw)
            reading = Reading(name, result.value, self._units[name], at_s, raw)
            self._newest[name] = (at_s, reading, None)
            readings.append(reading)
        return readings

    def read(self, name: str, *, missing: str, stale: str = "") -> Reading:
        """Return the newest reading of a signal; the texts complete the errors.

        Raises:
            DefinitionError: the link does not carry it. Missing, Stale, BadFrame, NotImplementedByDut,
            OutOfRange: as `bench.roles.BmsLink.read` says.
        """
        signal = self.signals.get(name)
        if signal is None:
            raise DefinitionError(f"{self._where} carries no signal {name!r}{nearest(name, self.signals)}")
        newest = self._newest.get(name)
        if newest is None:
            raise Missing(f"{name}: never received on {self._where}; {missing}")
        at_s, reading, problem = newest
        age_s = self._clock.now() - at_s
        if age_s > signal.max_age_s + ROUNDING_S:
            last = f"last was {reading.value:g} {reading.unit}" if reading else f"last was bad: {problem}"
            raise Stale(
                f"{name}: the newest value on {self._where} is {age_s:.3f} s old, allowed are "
                f"{signal.max_age_s:g} s ({last}){'; ' + stale if stale else ''}"
            )
        if reading is None:
            assert problem is not None
            raise type(problem)(*problem.args)
        return reading


def not_implemented(name: str, raw: int, where: str) -> Decoded:
    """The answer to a signal whose raw number is one of its declared 'no value' patterns."""
    text = f"{name}: the BMS sends 0x{raw & 0xFFFFFFFF:X}, its pattern for 'not implemented', on {where}"
    return Decoded(name, raw, problem=NotImplementedByDut(text))
