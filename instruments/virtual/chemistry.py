"""Open-circuit voltage tables and their monotone interpolation.

Source: the project's standards reference, section 9.1 (25 °C, volts per cell, rested). Table (a) of each chemistry
comes from public firmware presets, (b) and (c) were computed there from published parameter sets (Prada 2013,
Chen 2020). They shape a virtual cell; they are not a data sheet of anybody's product.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise

#: Slope beyond 0 and 100 % state of charge, in volts per unit of state of charge: 0.1 V per percent, so that
#: voltage protections can be reached within a few percent (standards reference 9.1).
OUTSIDE_SLOPE_V = 10.0

_SOC_PCT = (0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95, 100)

# fmt: off
_TABLES_V: dict[str, tuple[float, ...]] = {
    "lfp_a": (2.833, 3.132, 3.177, 3.190, 3.213, 3.226, 3.240, 3.252, 3.262, 3.264, 3.265,
              3.268, 3.271, 3.275, 3.283, 3.296, 3.304, 3.308, 3.309, 3.314, 3.392),
    "lfp_b": (2.000, 2.785, 2.978, 3.108, 3.169, 3.186, 3.206, 3.232, 3.253, 3.262, 3.266,
              3.268, 3.269, 3.270, 3.274, 3.293, 3.310, 3.313, 3.314, 3.316, 3.600),
    "nmc_a": (2.800, 3.588, 3.684, 3.702, 3.726, 3.745, 3.764, 3.787, 3.803, 3.819, 3.838,
              3.858, 3.883, 3.924, 3.962, 3.993, 4.026, 4.056, 4.089, 4.135, 4.198),
    "nmc811_c": (2.500, 3.109, 3.296, 3.434, 3.485, 3.529, 3.581, 3.629, 3.667, 3.705, 3.751,
                 3.798, 3.841, 3.890, 3.948, 3.994, 4.042, 4.081, 4.097, 4.124, 4.200),
    "lto_a": (2.000, 2.105, 2.125, 2.141, 2.154, 2.166, 2.177, 2.187, 2.198, 2.210, 2.224,
              2.240, 2.259, 2.282, 2.309, 2.340, 2.376, 2.415, 2.458, 2.513, 2.800),
}
# fmt: on


class OcvCurve:
    """Open-circuit voltage over state of charge, monotone between the nodes and steep beyond them.

    State of charge is a fraction here (0.5 is half full). Between nodes a piecewise cubic with the slopes of
    Fritsch and Carlson (weighted harmonic mean, three-point ends), the same choice as SciPy's
    ``PchipInterpolator``; beyond the ends a straight line of `outside_slope_v`.
    """

    def __init__(
        self, soc: Sequence[float], voltage_v: Sequence[float], outside_slope_v: float = OUTSIDE_SLOPE_V
    ) -> None:
        if len(soc) != len(voltage_v) or len(soc) < 3:
            raise ValueError(f"OCV table: {len(soc)} states of charge and {len(voltage_v)} voltages; need equal, >= 3")
        if any(b <= a for a, b in pairwise(soc)):
            raise ValueError("OCV table: states of charge must rise from row to row")
        if any(b <= a for a, b in pairwise(voltage_v)):
            raise ValueError("OCV table: voltages must rise with state of charge")
        self.soc = tuple(float(x) for x in soc)
        self.voltage_v = tuple(float(v) for v in voltage_v)
        self.outside_slope_v = outside_slope_v
        self._pieces = _cubics(self.soc, self.voltage_v)

    @classmethod
    def named(cls, name: str) -> OcvCurve:
        """Return the curve of a table of this module: lfp_a, lfp_b, nmc_a, nmc811_c or lto_a."""
        if name not in _TABLES_V:
            raise ValueError(f"no OCV table called '{name}'; there are {', '.join(sorted(_TABLES_V))}")
        return cls([p / 100.0 for p in _SOC_PCT], _TABLES_V[name])

    def volts(self, socs: Iterable[float]) -> list[float]:
        """Return the open-circuit voltage of each state of charge, in volts."""
        nodes, pieces, outside = self.soc, self._pieces, self.outside_slope_v
        low, high, last = nodes[0], nodes[-1], len(nodes) - 2
        low_v, high_v = self.voltage_v[0], self.voltage_v[-1]
        out = []
        for z in socs:
            if z < low:
                out.append(low_v + outside * (z - low))
            elif z > high:
                out.append(high_v + outside * (z - high))
            else:
                index = bisect_right(nodes, z) - 1
                if index > last:
                    index = last
                node, c0, c1, c2, c3 = pieces[index]
                d = z - node
                out.append(c0 + d * (c1 + d * (c2 + d * c3)))
        return out

    def slope_v(self, z: float) -> float:
        """Return the slope at a state of charge, in volts per unit of state of charge."""
        if z < self.soc[0] or z > self.soc[-1]:
            return self.outside_slope_v
        node, _, c1, c2, c3 = self._pieces[min(bisect_right(self.soc, z) - 1, len(self._pieces) - 1)]
        d = z - node
        return c1 + d * (2.0 * c2 + 3.0 * d * c3)


def _cubics(x: Sequence[float], y: Sequence[float]) -> list[tuple[float, float, float, float, float]]:
    """Return (node, c0, c1, c2, c3) of each interval, Fritsch-Carlson slopes at the nodes."""
    h = [b - a for a, b in pairwise(x)]
    secant = [(b - a) / w for (a, b), w in zip(pairwise(y), h, strict=True)]
    slope = [_end_slope(h[0], h[1], secant[0], secant[1])]
    for k in range(1, len(h)):
        # Weighted harmonic mean: never steeper than three times the flatter neighbour, hence monotone.
        w1, w2 = 2.0 * h[k] + h[k - 1], h[k] + 2.0 * h[k - 1]
        slope.append((w1 + w2) / (w1 / secant[k - 1] + w2 / secant[k]))
    slope.append(_end_slope(h[-1], h[-2], secant[-1], secant[-2]))
    return [
        (
            x[k],
            y[k],
            slope[k],
            (3.0 * secant[k] - 2.0 * slope[k] - slope[k + 1]) / h[k],
            (slope[k] + slope[k + 1] - 2.0 * secant[k]) / h[k] ** 2,
        )
        for k in range(len(h))
    ]


def _end_slope(h0: float, h1: float, s0: float, s1: float) -> float:
    """Return the one-sided three-point slope of an end, limited so that the curve stays monotone."""
    slope = ((2.0 * h0 + h1) * s0 - h0 * s1) / (h0 + h1)
    if slope * s0 <= 0.0:
        return 0.0
    if s0 * s1 < 0.0 and abs(slope) > 3.0 * abs(s0):
        return 3.0 * s0
    return slope
