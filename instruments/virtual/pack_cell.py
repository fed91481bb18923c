"""One cell of a virtual pack, and how cells of one pack differ."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from statistics import NormalDist


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
