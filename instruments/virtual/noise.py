"""Noise and fixed errors of virtual instruments: a hash of who measures what and when.

Never a shared random stream: a value depends on nothing but its own coordinates, so that it is the same in any
order of reading, with any number of workers and beside any neighbour.
"""

from __future__ import annotations

import math
from hashlib import blake2b

_TWO_PI = 2.0 * math.pi
_SCALE = 2.0**-32


def _halves(text: str) -> tuple[int, int]:
    number = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
    return number >> 32, number & 0xFFFFFFFF


def gaussian(seed: int, instrument: str, quantity: str, time_ns: int) -> float:
    """Return a normally distributed number, mean 0 and standard deviation 1, fixed by its coordinates.

    Box and Muller's transform of 64 hashed bits: never beyond 6.8 standard deviations.
    """
    first, second = _halves(f"{seed}/{instrument}/{quantity}/{time_ns}")
    return math.sqrt(-2.0 * math.log((first + 0.5) * _SCALE)) * math.cos(_TWO_PI * second * _SCALE)


def uniform(seed: int, instrument: str, quantity: str, time_ns: int = 0) -> float:
    """Return a number evenly distributed over -1 to +1, fixed by its coordinates.

    Without a time it is a property of the instrument: a gain or an offset inside its accuracy specification.
    """
    return _halves(f"{seed}/{instrument}/{quantity}/{time_ns}/u")[0] * (2.0 * _SCALE) - 1.0
