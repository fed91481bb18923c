"""How provocations of voltage and temperature move towards what must hold: given to `guard.provoke` before they begin.

An emulated cell or sensor moves only when it is told to, so a step has no slope: what counts is where it ends, and a
ramp's slope. Real cells move by themselves while current flows, and go on until it has stopped.
"""

from __future__ import annotations

import math

from bench.envelope import CELL_STOP, OVERTEMPERATURE_K, Approach
from bench.errors import Inconclusive
from bench.profile import Profile
from bench.stimulus_excursion import RESISTANCE_OHM_AH, steepest_cell_v_per_s
from bench.traces import Trace
from bench.uncertainty import Uncertain

LEAST_SAMPLES = 5


def cell_limit_v(profile: Profile, *, falling: bool) -> float:
    """Return the cell voltage at which the guard stops: 103 % of the upper limit, or an absolute maximum."""
    if falling:
        return profile.absolute.cell_low_v
    return min(CELL_STOP * profile.bms.upper_limit_cell_v, profile.absolute.cell_high_v)


def cell_approach(profile: Profile, level_v: float, per_s: float = 0.0, *, falling: bool = False) -> Approach:
    """Say how an emulated cell moves towards its limit.

    Args:
        profile: whose cells they are for.
        level_v: where the stimulus ends, in volts.
        per_s: slope of a ramp, a magnitude in V/s; 0 for a step.
        falling: towards under-voltage.
    """
    return Approach("emulated cell", "V", level_v, abs(per_s), cell_limit_v(profile, falling=falling), falling)


def charged_cell_approach(profile: Profile, level_v: float, current_a: float) -> Approach:
    """Say how a real cell moves while the whole pack is charged (or discharged, with a negative current) to a level.

    Its slope is an estimate to be stopped by, not a reference: 0.5 V per percent of charge, five times what tables say
    beyond full and empty. When the current ends, the voltage goes back by I R; that is not counted on.
    """
    falling = current_a < 0.0
    per_s = steepest_cell_v_per_s(profile, current_a)
    return Approach("cell of the pack", "V", level_v, per_s, cell_limit_v(profile, falling=falling), falling)


def sensor_approach(profile: Profile, level_degc: float, per_s: float = 0.0, *, falling: bool = False) -> Approach:
    """Say how an emulated sensor moves towards the limits of the cells: the absolute ones and 5 K.

    Args:
        profile: whose sensors they are.
        level_degc: where the stimulus ends, in degrees Celsius.
        per_s: slope of a ramp, a magnitude in K/s; 0 for a step.
        falling: towards the cold.
    """
    limits = profile.absolute
    limit = limits.temperature_low_degc if falling else limits.temperature_high_degc
    beyond = -OVERTEMPERATURE_K if falling else OVERTEMPERATURE_K
    return Approach("emulated sensor", "degC", level_degc, abs(per_s), limit + beyond, falling)


def measured_slope(trace: Trace, begin_s: float, end_s: float) -> Uncertain:
    """Return how fast a channel moves, by least squares over a window, with what its scatter leaves open.

    For whole-pack charging: measure dV/dt of the highest cell where the voltage is known to be steep, and let
    `measured_approach` count with the larger end of it.

    Raises:
        Inconclusive: fewer than five samples, or all at one instant.
    """
    window = trace.between(begin_s, end_s).need(LEAST_SAMPLES)
    count = len(window)
    mean_s = sum(window.at_s) / count
    spread_s2 = sum((at_s - mean_s) ** 2 for at_s in window.at_s)
    if spread_s2 == 0.0:
        raise Inconclusive(f"trace {trace.name}: {count} samples at one instant have no slope")
    mean = window.mean()
    slope = sum((at_s - mean_s) * (value - mean) for at_s, value in window) / spread_s2
    rest = sum((value - mean - slope * (at_s - mean_s)) ** 2 for at_s, value in window) / (count - 2)
    return Uncertain(slope, 2.0 * math.sqrt(rest / spread_s2), f"{trace.name}/s")


def measured_approach(profile: Profile, level_v: float, slope: Uncertain, *, steeper: float = 3.0) -> Approach:
    """Say how a real cell moves, from its measured slope in V/s.

    `steeper`: by how much it may become steeper between the measurement and the level: near full it does.
    """
    falling = slope.value < 0.0
    per_s = steeper * (abs(slope.value) + slope.expanded)
    return Approach("cell of the pack", "V", level_v, per_s, cell_limit_v(profile, falling=falling), falling)


def relaxes_by_v(profile: Profile, current_a: float) -> float:
    """Return by how much a cell's voltage goes back once a current has ended and the cell has rested: I R, in volts.

    By the plain cell model (metrology reference 9.2), away from full and empty; there a real cell goes back further.
    """
    return abs(current_a) * RESISTANCE_OHM_AH / profile.bms.capacity_ah
