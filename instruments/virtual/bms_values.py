"""The signal names that a virtual BMS can fill, and where each takes its value.

Values are in inside units, charging positive; flags are 0 or 1, a state is its raw number. Numbered signals count
from 01. The displayed state of charge stays within 0 and 100 % and the remaining charge within the capacity, as a
device's display does; the counter behind it does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from bench.errors import DefinitionError
from bench.loading import nearest
from bench.signals import Signal

if TYPE_CHECKING:
    from instruments.virtual.bms import VirtualBms

Source = Callable[[], float]

_FIXED: dict[str, Callable[[VirtualBms], float]] = {
    "pack_voltage": lambda bms: bms.readings.pack_v,
    "bus_voltage": lambda bms: bms.circuit.bench_side_v(),
    "pack_power": lambda bms: bms.readings.reported_power_w,
    "soc": lambda bms: bms.readings.shown_soc_pct,
    "remaining_charge": lambda bms: bms.readings.shown_soc_pct / 100.0 * bms.profile.bms.capacity_ah,
    "charged_charge": lambda bms: bms.readings.charged_ah,
    "discharged_charge": lambda bms: bms.readings.discharged_ah,
    "cell_voltage_max": lambda bms: max(bms.readings.shown_cells_v),
    "cell_voltage_min": lambda bms: min(bms.readings.shown_cells_v),
    "cell_voltage_mean": lambda bms: sum(bms.readings.shown_cells_v) / len(bms.readings.shown_cells_v),
    "cell_voltage_spread": lambda bms: max(bms.readings.shown_cells_v) - min(bms.readings.shown_cells_v),
    "temperature_max": lambda bms: max(bms.readings.shown_degc),
    "temperature_min": lambda bms: min(bms.readings.shown_degc),
    "temperature_mean": lambda bms: sum(bms.readings.shown_degc) / len(bms.readings.shown_degc),
    "balancing": lambda bms: bool(bms.balancer.cells),
    "state": lambda bms: bms.operation.state_raw(),
    "string_connected": lambda bms: bms.path_closed,
    "general_error": lambda bms: bms.fatal() or bms.operation.timing_error,
    "can_timing_error": lambda bms: bms.operation.timing_error,
    "charging": lambda bms: bms.flows() > 0,
    "discharging": lambda bms: bms.flows() < 0,
    "declared_positive_discharge": lambda bms: bms.profile.signals["pack_current"].positive_means == "discharge",
}
PATTERNS = (
    "*_current",
    "charge_*_limit",
    "discharge_*_limit",
    "cell_voltage_NN",
    "temperature_NN",
    "balancing_NN",
    "switch_NAME",
)
_QUANTITIES = {
    "pack_voltage": "voltage",
    "bus_voltage": "voltage",
    "pack_power": "power",
    "soc": "ratio",
    "remaining_charge": "charge",
    "charged_charge": "charge",
    "discharged_charge": "charge",
}


def source_of(bms: VirtualBms, name: str, signal: Signal) -> Source:
    """Return where the value of a profile's signal comes from.

    Raises:
        DefinitionError: the virtual BMS cannot fill it, or its unit measures something else.
    """
    where = f"{bms.profile.source.name or 'profile'}, signals.{name}"
    source, quantity = _find(bms, name, signal)
    if source is None:
        known = [*_FIXED, *bms.flag_names, *(f"switch_{switch}" for switch in bms.switches)]
        raise DefinitionError(
            f"{where}: the virtual BMS does not know what to send as {name!r}{nearest(name, known)}; "
            f"it fills {', '.join(sorted(known))}, and names like {', '.join(PATTERNS)}"
        )
    if signal.quantity != quantity:
        raise DefinitionError(f"{where}.unit: {signal.unit!r} measures a {signal.quantity}, {name} is a {quantity}")
    return source


def _find(bms: VirtualBms, name: str, signal: Signal) -> tuple[Source | None, str]:
    if name in bms.flag_names:
        return (lambda: bms.flag(name)), "none"
    if name == bms.state_signal:
        return (lambda: bms.operation.state_raw()), "none"
    if any(row.derating is not None and row.derating.signal == name for row in bms.profile.protections):
        return (lambda: bms.told_limit_a(name)), "current"
    sensor = bms.readings.sensors.index_of(name)
    if sensor is not None:
        return (lambda: bms.readings.shown_degc[sensor]), "temperature"
    if name in _FIXED:
        get = _FIXED[name]
        default = "none"
        if name.startswith(("cell_voltage_", "temperature_")):
            default = "voltage" if name.startswith("cell") else "temperature"
        return (lambda: get(bms)), _QUANTITIES.get(name, default)
    if name.endswith("_limit") and signal.quantity == "current":
        return _limit(bms, name), "current"
    if name.endswith("_current"):
        return (lambda: bms.readings.reported_a), "current"
    if name.startswith("switch_") and name.removeprefix("switch_") in bms.switches:
        switch = name.removeprefix("switch_")
        return (lambda: bms.switching.told(switch)), "none"
    numbered = re.fullmatch(r"(cell_voltage|temperature|balancing)_(\d+)", name)
    if numbered is not None and 1 <= int(numbered[2]) <= bms.profile.bms.cells:
        index = int(numbered[2]) - 1
        if numbered[1] == "cell_voltage":
            return (lambda: bms.readings.shown_cells_v[index]), "voltage"
        if numbered[1] == "balancing":
            return (lambda: index in bms.balancer.cells), "none"
        sensors = bms.readings.sensors.cells
        if index in sensors:
            place = sensors.index(index)
            return (lambda: bms.readings.shown_degc[place]), "temperature"
    return None, ""


def _limit(bms: VirtualBms, name: str) -> Source | None:
    """The lowest threshold of that direction's over-current protections, a magnitude."""
    side = "discharge" if name.startswith("discharge") else "charge" if name.startswith("charge") else None
    if side is None:
        return None
    rows = [row for row in bms.profile.protections if row.kind == f"{side}_overcurrent" and row.level == "protection"]
    absolute = bms.profile.absolute
    fallback_a = absolute.charge_a if side == "charge" else absolute.discharge_a
    limit_a = min((row.threshold_si for row in rows), default=fallback_a)
    return lambda: limit_a
