"""Where a profile of current takes the cells, estimated beforehand: state of charge and cell voltage.

An estimate for planning, never a reference: v = OCV(z) + I R0 + V1, with one RC pair. Tables and resistances from the
project's metrology reference, sections 9.1 (a) and 9.2: R is 100 mohm Ah / C for the demonstration cell, 40 % of it at
once and 60 % after 30 s; a 31 Ah pouch of another maker has 2.6 times as much, which is the cautious figure here.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from bench.profile import Profile
from bench.stimulus_profile import CurrentProfile, Segment

SOC_PCT = (0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95, 100)
# fmt: off
OCV_V = {
    "lfp": (2.833, 3.132, 3.177, 3.190, 3.213, 3.226, 3.240, 3.252, 3.262, 3.264, 3.265,
            3.268, 3.271, 3.275, 3.283, 3.296, 3.304, 3.308, 3.309, 3.314, 3.392),
}
# fmt: on
OUTSIDE_V_PER_PCT = 0.1  # beyond empty and full: at least so steep (9.1)
STEEPEST_V_PER_PCT = 0.5  # five times that, for whoever asks how fast a voltage can run away
RESISTANCE_OHM_AH = 0.100
CAUTIOUS = 2.6  # times as much resistance
AT_ONCE = 0.4  # of the resistance; the rest comes with
TAU_S = 30.0
PIECES = 8  # of a stretch in which the current changes


@dataclass(frozen=True, slots=True)
class Excursion:
    """Lowest, highest and last state of charge, and the cell voltages on the way, for an average cell.

    The `cautious` voltages are those of a cell with 2.6 times the resistance.
    """

    soc_begin_pct: float
    soc_low_pct: float
    soc_high_pct: float
    soc_end_pct: float
    cell_low_v: float
    cell_high_v: float
    cautious_low_v: float
    cautious_high_v: float

    def __str__(self) -> str:
        return (
            f"SOC {self.soc_begin_pct:.1f} % -> {self.soc_end_pct:.1f} % ({self.soc_low_pct:.1f} to "
            f"{self.soc_high_pct:.1f} %), cells about {self.cell_low_v:.2f} to {self.cell_high_v:.2f} V (with much "
            f"resistance {self.cautious_low_v:.2f} to {self.cautious_high_v:.2f} V)"
        )


def known_chemistry(profile: Profile) -> bool:
    """Return whether there is a table for the chemistry of a BMS's cells."""
    return profile.bms.chemistry in OCV_V


def open_circuit_v(chemistry: str, soc_pct: float) -> float:
    """Return the open-circuit voltage of a cell, in volts, interpolated in straight lines."""
    table = OCV_V[chemistry]
    if soc_pct <= 0.0:
        return table[0] + OUTSIDE_V_PER_PCT * soc_pct
    if soc_pct >= 100.0:
        return table[-1] + OUTSIDE_V_PER_PCT * (soc_pct - 100.0)
    index = bisect_right(SOC_PCT, soc_pct) - 1
    share = (soc_pct - SOC_PCT[index]) / (SOC_PCT[index + 1] - SOC_PCT[index])
    return table[index] + share * (table[index + 1] - table[index])


def excursion(profile: Profile, current: CurrentProfile, soc_pct: float) -> Excursion:
    """Return where a profile of current takes an average cell that begins at rest.

    Raises:
        KeyError: there is no table for the chemistry; ask `known_chemistry` first.
    """
    chemistry, capacity_ah = profile.bms.chemistry, profile.bms.capacity_ah
    resistance_ohm = RESISTANCE_OHM_AH / capacity_ah
    z, pair_v = soc_pct, 0.0
    socs = [soc_pct]
    rest_v = open_circuit_v(chemistry, soc_pct)
    lows_v, highs_v = [rest_v, rest_v], [rest_v, rest_v]
    for piece in _pieces(current):
        now_a = (piece.begin_a + piece.end_a) / 2.0
        after_z = z + 100.0 * now_a * piece.lasts_s / (3600.0 * capacity_ah)
        fade = math.exp(-piece.lasts_s / TAU_S)
        after_v = pair_v * fade + now_a * (1.0 - AT_ONCE) * resistance_ohm * (1.0 - fade)
        # The voltage moves one way within a stretch of one current, so its ends are its extremes.
        for soc, pair, ohm_a in ((z, pair_v, piece.begin_a), (after_z, after_v, piece.end_a)):
            for index, factor in enumerate((1.0, CAUTIOUS)):
                drop_v = factor * (ohm_a * AT_ONCE * resistance_ohm + pair)
                voltage_v = open_circuit_v(chemistry, soc) + drop_v
                lows_v[index] = min(lows_v[index], voltage_v)
                highs_v[index] = max(highs_v[index], voltage_v)
        z, pair_v = after_z, after_v
        socs.append(z)
    return Excursion(soc_pct, min(socs), max(socs), z, lows_v[0], highs_v[0], lows_v[1], highs_v[1])


def _pieces(current: CurrentProfile) -> Iterator[Segment]:
    for segment in current.segments():
        if segment.begin_a == segment.end_a:
            yield segment
            continue
        for index in range(PIECES):
            ends = [
                (
                    segment.begin_s + segment.lasts_s * share,
                    segment.begin_a + (segment.end_a - segment.begin_a) * share,
                )
                for share in (index / PIECES, (index + 1) / PIECES)
            ]
            yield Segment(ends[0][0], ends[1][0], ends[0][1], ends[1][1])


def steepest_cell_v_per_s(profile: Profile, current_a: float) -> float:
    """Return how fast a cell's voltage can run at a current beyond full or empty, a magnitude in volts per second.

    0.5 V per percent of charge, five times what the tables say beyond their ends: this is for stopping in time.
    """
    return STEEPEST_V_PER_PCT * 100.0 * abs(current_a) / (3600.0 * profile.bms.capacity_ah)
