"""One protection as a unit really has it, drawn from the words of the profile's row and this unit's seed.

Delays lie in the middle half of their windows, at every point of an inverse-time curve; thresholds and release values
use at most 70 % of their tolerance, measuring error included. A release value or time differs from the declared one
only where the row says how far it may (`release.tolerance`, `release.window_s`).

A filter (`filter_s`) lies before the comparison. The delay is promised from the crossing of the quantity itself, so its
lag on a ramp, one time constant, is taken off the debounce; a step far beyond the threshold acts sooner by that much,
a step just beyond it later.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from math import exp, log

from bench.profile import Profile
from bench.protection import DelayWindow, Protection
from bench.quantities import UNITS
from instruments.virtual.noise import uniform

SLOW_PERIOD_S = 0.1  # cell voltages and temperatures
WHO = "bms"
_FASTEST_S = 50e-6  # a sampled comparator of the front end, for windows far shorter than the current's sampling


@dataclass(frozen=True, slots=True)
class UnitProtection:
    """One protection as this unit really has it. Thresholds apply to what the unit measures, in inside units.

    What stands after `lockout_count` is healthy by default and there for defects to change (see `defects.Defect`).
    """

    row: Protection
    threshold_si: float
    period_s: float
    samples: int
    switch_s: float
    opens: tuple[str, ...]
    lockout_count: int | None
    dead: bool = False
    releases: bool = True
    welds: bool = False
    both_directions: bool = False
    flags: bool = True
    flag_as: str | None = None  # the signal that rises instead of the row's own
    curve: tuple[tuple[float, float], ...] = ()  # level and whole delay in s; the threshold first
    filter_s: float = 0.0
    fast_s: float | None = None  # a comparator beside the sampling: from crossing to open switch
    release_shift_si: float = 0.0  # added to the declared release value
    release_late_s: float = 0.0  # added to the declared release time
    hysteresis: bool = True
    latches: bool = True
    trips_once: bool = False
    ignored: frozenset[int] = frozenset()  # cells or sensors that are not looked at, counted from 0
    accumulates: bool = False  # good samples neither reset nor lower the debounce
    needs_action: bool = True  # False: lets go without the action that it should wait for
    clears_anyway: bool = False  # the clear request releases it although the cause persists
    counts_trips: bool = True  # False: no lock-out
    keeps_lockout: bool = False  # over a power cycle
    clear_unlocks: bool = False  # the clear request ends the lock-out
    derates: bool = True
    derating_shift_si: float = 0.0  # of both ends of the fall
    derating_factor: float = 1.0  # of the told limit

    @property
    def flag_delay_s(self) -> float:
        """Mean time from crossing the threshold to the flag; one sample period more or less by half."""
        if self.fast_s is not None:
            return self.fast_s
        return (self.samples - 0.5) * self.period_s

    @property
    def delay_s(self) -> float:
        """Mean time from crossing the threshold to the open switch (to the flag, if it opens nothing)."""
        if self.fast_s is not None:
            return self.fast_s
        return self.flag_delay_s + (self.switch_s if self.opens else 0.0)

    @property
    def flag(self) -> str | None:
        """The signal that tells of it."""
        return self.flag_as if self.flag_as is not None and self.row.flag is not None else self.row.flag

    def delay_at(self, level_si: float) -> float:
        """Return the mean time to the open switch at a level (inside unit), in seconds.

        Between two points of the curve the logarithms of level and delay are on a straight line.
        """
        if not self.curve:
            return self.delay_s
        levels = [level for level, _ in self.curve]
        up = levels[-1] >= levels[0]
        keys = levels if up else [-level for level in levels]
        at = bisect_right(keys, level_si if up else -level_si)
        if at == 0:
            return self.curve[0][1]
        if at == len(levels):
            return self.curve[-1][1]
        (low, slow_s), (high, fast_s) = self.curve[at - 1], self.curve[at]
        share = log(level_si / low) / log(high / low) if low > 0.0 else (level_si - low) / (high - low)
        return slow_s * exp(share * log(fast_s / slow_s))

    def later(self, by_s: float) -> UnitProtection:
        """Return one that acts later by this much at every level, by at least one sample; earlier if negative."""
        if self.fast_s is not None:
            return replace(self, fast_s=max(1e-6, self.fast_s + by_s))
        step = round(by_s / self.period_s) or (1 if by_s > 0.0 else -1)
        curve = tuple((level, max(self.period_s, delay_s + by_s)) for level, delay_s in self.curve)
        return replace(self, samples=max(1, self.samples + step), curve=curve)


def draw_protection(profile: Profile, row: Protection, seed: int, error_si: float) -> UnitProtection:
    """Draw one protection of a healthy unit that measures with at most this error at the threshold."""
    spread = max(0.0, 0.7 * row.tolerance_si - error_si)
    base_s = profile.behaviour.sample_s if row.about.quantity == "current" else SLOW_PERIOD_S
    windows = [row.delay_s] if row.flag_delay_s is None else [row.delay_s, row.flag_delay_s]
    windows += [point.delay_s for point in row.curve]
    promised = row.release.window_s if row.release.kind != "command" and not row.latched else None
    if promised is not None:
        windows.append(promised)
    fast = row.about.fast
    period_s = base_s if fast else min(base_s, *(finest(window, base_s) for window in windows))
    delay_s = inside(row.delay_s, seed, f"{row.name}.delay", 0.0)
    if row.flag_delay_s is not None:
        flag_s = min(inside(row.flag_delay_s, seed, f"{row.name}.flag", period_s), delay_s)
    elif row.opens:
        flag_s = delay_s - profile.behaviour.switch_s
    else:
        flag_s = inside(row.delay_s, seed, f"{row.name}.delay", period_s)
    # n bad samples in a row end between (n - 1) and n periods after the crossing: on average (n - 1/2) periods.
    debounce_s = flag_s - row.filter_s
    samples = max(1, int(debounce_s / period_s + 0.5)) if debounce_s > 0.0 else 1
    opens = row.opens if row.level == "protection" else ()
    unit = UnitProtection(
        row=row,
        threshold_si=row.threshold_si + spread * uniform(seed, WHO, f"{row.name}.threshold"),
        period_s=period_s,
        samples=samples,
        switch_s=max(0.0, delay_s - row.filter_s - (samples - 0.5) * period_s),
        opens=opens,
        lockout_count=row.lockout_count,
        filter_s=row.filter_s,
    )
    if fast:
        room_s = 0.25 * (row.delay_s.max - row.delay_s.min)
        middle_s = 0.5 * (row.delay_s.min + row.delay_s.max)
        unit = replace(
            unit, samples=1, switch_s=0.0, fast_s=middle_s + room_s * uniform(seed, WHO, f"{row.name}.delay")
        )
    elif row.curve:
        unit = _with_curve(unit, profile, seed)
    if promised is not None:
        wanted_s = inside(promised, seed, f"{row.name}.release", period_s)
        held_s = max(0, round(wanted_s / period_s - 0.5)) * period_s
        unit = replace(unit, release_late_s=held_s - row.release.after_s)
    if row.release.kind == "value" and row.release.tolerance is not None:
        room = max(0.0, 0.7 * row.release_tolerance_si - error_si)
        unit = replace(unit, release_shift_si=room * uniform(seed, WHO, f"{row.name}.release_value"))
    fall = row.derating
    if fall is not None:
        shift = 0.3 * fall.tolerance_a * per_ampere_si(row) * uniform(seed, WHO, f"{row.name}.derating")
        unit = replace(unit, derating_shift_si=shift)
    return unit


def _with_curve(unit: UnitProtection, profile: Profile, seed: int) -> UnitProtection:
    """Lay the unit's own curve through the windows, at the same place in each of them."""
    row = unit.row
    place = 0.5 + 0.125 * uniform(seed, WHO, f"{row.name}.delay")
    points = [
        (inside_value(row, point.at), point.delay_s.min + place * (point.delay_s.max - point.delay_s.min))
        for point in row.curve
    ]
    first_s = row.delay_s.min + place * (row.delay_s.max - row.delay_s.min)
    curve = ((unit.threshold_si, max(first_s, points[0][1])), *points)
    switch_s = profile.behaviour.switch_s if unit.opens else 0.0
    samples = max(1, int((curve[0][1] - switch_s - unit.filter_s) / unit.period_s + 0.5))
    return replace(unit, curve=curve, samples=samples, switch_s=switch_s)


def inside_value(row: Protection, value: float) -> float:
    """Convert a value in the row's unit into the inside unit; of a difference only the scale counts."""
    if not row.unit:
        return value
    unit = UNITS[row.unit]
    return value * unit.factor + (0.0 if row.about.difference else unit.offset)


def per_ampere_si(row: Protection) -> float:
    """By how much the watched quantity moves while the told limit falls by one ampere, in inside units."""
    fall = row.derating
    assert fall is not None
    return abs(inside_value(row, fall.ends) - inside_value(row, fall.begins)) / (fall.from_a - fall.to_a)


def finest(window: DelayWindow, base_s: float) -> float:
    """How often to look so that the phase of the sampling fits into a quarter of the window."""
    width_s = window.max - window.min
    return max(width_s / 4.0, _FASTEST_S if width_s > 0.0 else min(base_s, 1e-3))


def inside(window: DelayWindow, seed: int, what: str, period_s: float) -> float:
    """A mean in the middle half of the window, from which the sampling's phase does not lead out."""
    width_s = window.max - window.min
    room_s = max(0.0, 0.25 * width_s - period_s)
    if period_s == 0.0:
        room_s = 0.125 * width_s  # the phase takes up to another eighth
    return window.min + 0.5 * width_s + room_s * uniform(seed, WHO, what)
