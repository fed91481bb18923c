"""What each protection of a virtual BMS looks at: the observable of its kind, smoothed where the row says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp

from instruments.virtual.bms_readings import FLOWS_A, Readings
from instruments.virtual.bms_unit_protection import UnitProtection

Observation = tuple[float, bool, bool]  # value, whether current of the other direction flows, whether it is looked at
Observer = Callable[[], Observation]


def make_observer(readings: Readings, unit: UnitProtection, *, one_path: bool) -> Observer:
    """Return what gives a protection its quantity (a magnitude in its direction, for currents), whether current of the
    other direction flows, and whether the unit looks at the quantity at all now."""
    observe = _observer(readings, unit, one_path)
    return observe if not unit.filter_s else _smoothed(observe, unit)


def value_of(readings: Readings, unit: UnitProtection) -> Callable[[], float]:
    """Return what gives the value of a kind's observable alone, in the inside unit."""
    observable = unit.row.about.observable
    if observable in ("charge_current", "discharge_current"):
        turn = 1.0 if observable == "charge_current" else -1.0
        return lambda: turn * readings.measured_a
    if observable == "pack_voltage":
        return lambda: readings.pack_v
    what, _, pick = observable.rpartition("_")
    ignored = unit.ignored
    if what == "cell_voltage":
        listed: Callable[[], Sequence[float]] = lambda: readings.cells_v  # noqa: E731 - one of two lists
    else:
        listed = lambda: readings.temperatures_degc  # noqa: E731
    if ignored:
        every = listed
        listed = lambda: [v for k, v in enumerate(every()) if k not in ignored]  # noqa: E731
    if pick == "max":
        return lambda: max(listed())
    if pick == "min":
        return lambda: min(listed())

    def spread() -> float:
        values = listed()
        return max(values) - min(values)

    return spread


def _observer(readings: Readings, unit: UnitProtection, one_path: bool) -> Observer:
    kind = unit.row.about
    turn = float(kind.direction.sign)
    opposite_a = max(readings.rest_a, FLOWS_A)
    if kind.quantity == "current":
        turn = 1.0 if kind.observable == "charge_current" else -1.0
        rest_a, both = readings.rest_a, unit.both_directions

        def current() -> Observation:
            flowing_a = abs(readings.measured_a) if both else turn * readings.measured_a
            if abs(flowing_a) <= rest_a:
                return 0.0, False, True  # over-current is not evaluated at rest: a good sample
            return flowing_a, flowing_a < -opposite_a, True

        return current
    get = value_of(readings, unit)
    if kind.observable in ("temperature_max", "temperature_min") and one_path:
        # With one path for both directions the charge limits apply while charging or at rest, the discharge
        # limits while discharging (foxBMS); with a switch each, each limit rules its own switch always.
        flows_a = readings.flows_a
        return lambda: (
            get(),
            turn * readings.measured_a < -opposite_a,
            (readings.measured_a >= -flows_a) == (turn > 0.0),
        )
    return lambda: (get(), turn * readings.measured_a < -opposite_a, True)


def _smoothed(observe: Observer, unit: UnitProtection) -> Observer:
    """Smooth the value with the row's time constant; the first sample is where it begins."""
    follow = 1.0 - exp(-unit.period_s / unit.filter_s)
    state: list[float] = []

    def smoothed() -> Observation:
        value, opposite, evaluated = observe()
        if not state:
            state.append(value)
        state[0] += follow * (value - state[0])
        return state[0], opposite, evaluated

    return smoothed
