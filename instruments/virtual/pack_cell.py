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
