"""The limits of current that a virtual BMS tells: the protections' own, or what a derating leaves of them.

A derating falls in a straight line between two values of what its row watches, as this unit measures it; it shifts both
ends by no more than 30 % of what the limit may be off. Of several on one signal the lowest counts.
"""

from __future__ import annotations

from collections.abc import Callable

from instruments.virtual.bms_observing import value_of
from instruments.virtual.bms_readings import Readings
from instruments.virtual.bms_unit_protection import UnitProtection, inside_value


class Deratings:
    """All deratings of one unit, by the signal that tells them."""

    def __init__(self, readings: Readings, units: tuple[UnitProtection, ...]) -> None:
        self._by_signal: dict[str, list[Callable[[], float]]] = {}
        for unit in units:
            if unit.row.derating is not None:
                signal = unit.row.derating.signal
                self._by_signal.setdefault(signal, []).append(_limit(unit, value_of(readings, unit)))

    def told_a(self, signal: str) -> float:
        """Return the limit that a signal tells now, a magnitude in amperes."""
        return min(limit() for limit in self._by_signal[signal])


def _limit(unit: UnitProtection, value: Callable[[], float]) -> Callable[[], float]:
    fall = unit.row.derating
    assert fall is not None
    if not unit.derates:
        return lambda: unit.derating_factor * fall.from_a
    begins = inside_value(unit.row, fall.begins) + unit.derating_shift_si
    ends = inside_value(unit.row, fall.ends) + unit.derating_shift_si

    def limit() -> float:
        share = (value() - begins) / (ends - begins)
        return unit.derating_factor * (fall.from_a + min(1.0, max(0.0, share)) * (fall.to_a - fall.from_a))

    return limit
