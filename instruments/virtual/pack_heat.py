"""How the cells of a pack warm up and cool down, exact for constant heat."""

from __future__ import annotations

from collections.abc import Iterable
from math import exp, expm1

from instruments.virtual.pack_cell import Cell

_THERMAL_J_PER_K = 2000.0  # standards reference 9.2, "thermal, for this plant"
_THERMAL_K_PER_W = 2.5

#: Of each cell: itself, temperature (°C), RC pair's voltage (V), R0, R1 (Ω), charge (C) and squared current (A² s).
State = tuple[Cell, float, float, float, float, float, float]


def temperatures_degc(states: Iterable[State], ambient_degc: float, pair_rate: float, t: float) -> list[float]:
    """Return the temperatures t seconds after the anchor at which temperature and pair were as given.

    The heat of the RC pair is averaged with the mean current of the stretch.
    """
    once = -expm1(-pair_rate * t) / pair_rate
    twice = -expm1(-2.0 * pair_rate * t) / (2.0 * pair_rate)
    keep = exp(-t / (_THERMAL_J_PER_K * _THERMAL_K_PER_W))
    out = []
    for cell, temp, v1, r0, r1, charge, square in states:
        goal = r1 * (charge / t)
        pair_v2s = v1 * v1 * twice + 2.0 * v1 * goal * (once - twice) + goal * goal * (t - 2.0 * once + twice)
        heat_w = (r0 * square + pair_v2s / r1) / t
        settled = ambient_degc + cell.ambient_offset_k + _THERMAL_K_PER_W * heat_w
        out.append(settled + (temp - settled) * keep)
    return out
