"""One cell of a virtual pack, and how cells of one pack differ."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from statistics import NormalDist

_ACTIVATION_K = 20_000.0 / 8.314462618  # Arrhenius, Ea / R
_KELVIN = 273.15
_REFERENCE_K = 298.15
_EDGE_RISE = 0.2  # resistances are 1.2 times as large at 0 and 100 %
_FULL_GAIN, _FULL_WIDTH = 4.0, 0.01  # R1 grows near full, so that a cell relaxes after a trip


@dataclass(frozen=True, slots=True)
class Cell:
    """What is special about one cell; resistances at 25 °C and 50 % state of charge."""

    capacity_ah: float
    r0_ohm: float
    r1_ohm: float
    soc_pct: float
    ambient_offset_k: float = 0.0  # warmer or cooler place in the pack

    def __post_init__(self) -> None:
        for name in ("capacity_ah", "r0_ohm", "r1_ohm"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"cell: {name} is {getattr(self, name)!r}, must be above 0")


def resistances_ohm(
    cells: Sequence[Cell], states: Sequence[float], temperatures_degc: Sequence[float]
) -> tuple[list[float], list[float]]:
    """Return R0 and R1 of every cell at its state of charge (a fraction) and temperature."""
    r0s, r1s = [], []
    for cell, z, temp in zip(cells, states, temperatures_degc, strict=True):
        # Beyond empty and full the resistances keep their end values: the exponential would explode.
        z = 0.0 if z < 0.0 else 1.0 if z > 1.0 else z
        skew = 2.0 * z - 1.0
        factor = (1.0 + _EDGE_RISE * skew * skew) * exp(_ACTIVATION_K * (1.0 / (temp + _KELVIN) - 1.0 / _REFERENCE_K))
        r0s.append(cell.r0_ohm * factor)
        if z > 0.7:  # below, the term is smaller than a double can see
            factor *= 1.0 + _FULL_GAIN * exp((z - 1.0) / _FULL_WIDTH)
        r1s.append(cell.r1_ohm * factor)
    return r0s, r1s


def spread(seed: int, cell: int, what: str) -> float:
    """Return a normal deviate that depends on its arguments alone, cut at two standard deviations."""
    digest = hashlib.blake2b(f"{seed}/{cell}/{what}".encode(), digest_size=8).digest()
    low, high = NormalDist().cdf(-2.0), NormalDist().cdf(2.0)
    fraction = (int.from_bytes(digest, "big") + 0.5) / 2.0**64
    return NormalDist().inv_cdf(low + (high - low) * fraction)


def demonstration_cells(*, seed: int, soc_pct: float, cells: int, capacity_ah: float) -> list[Cell]:
    """Return the cells of the demonstration pack, with a spread between them.

    Spread, 1 sigma: capacity 0.75 %, resistance 4 %, state of charge 1 %, place 0.7 K; cut at 2 sigma. It is a hash of
    (seed, cell, property): a cell is the same whatever is drawn for others. R scales with 1/C.
    """
    total_ohm = 0.1 / capacity_ah  # 1.0 mΩ at 100 Ah

    def one(k: int) -> Cell:
        resistance = 1.0 + 0.04 * spread(seed, k, "resistance")
        return Cell(
            capacity_ah=capacity_ah * (1.0 + 0.0075 * spread(seed, k, "capacity")),
            r0_ohm=0.4 * total_ohm * resistance,
            r1_ohm=0.6 * total_ohm * resistance,
            soc_pct=soc_pct + 1.0 * spread(seed, k, "soc"),
            ambient_offset_k=0.7 * spread(seed, k, "place"),
        )

    return [one(k) for k in range(cells)]
