"""What the guard's watch compares each sample with: the envelope, and the hard limits of the cells.

Pure book-keeping over samples: it returns what is wrong in words and numbers, and opens nothing itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from bench.envelope import ABOVE_LIMIT_S, CELL_STOP, WATCH_MARGIN, Envelope
from bench.profile import Profile
from bench.quantities import Direction, show

LONGEST_GAP_S = 5.0  # between two samples that still bound what flowed in between
SLOPE_OVER_S = 4.0  # a temperature's slope is taken over at least so long, so that noise is no slope


class SampleLimits:
    """Current, voltage, power, energy and time under power of one test against the envelope."""

    def __init__(self, envelope: Envelope, off_a: float) -> None:
        """`off_a`: below this magnitude, in amperes, the current counts as off."""
        self.envelope = envelope
        self.energy_wh = 0.0
        self.under_power_s = 0.0
        self._off_a = off_a
        self._last: tuple[float, float, bool] | None = None  # when, watts, whether current flowed

    def check(self, now_s: float, current_a: float | None, pack_v: float | None) -> str | None:
        """Take one sample of each (None: not due yet) and return what has left the envelope, or None."""
        envelope = self.envelope
        if current_a is not None:
            direction = Direction.CHARGE if current_a >= 0 else Direction.DISCHARGE
            # The instruments' own trips lie 10 % beyond the envelope; the watch acts a little before them.
            limit_a = WATCH_MARGIN * envelope.current_a(direction)
            if not abs(current_a) <= limit_a:  # a NaN lands here too
                return f"{show(current_a, 'A')}, the envelope allows {limit_a:.1f} A {direction.word}"
        if pack_v is not None and not envelope.min_v <= pack_v <= envelope.max_v:
            return f"pack at {pack_v:.2f} V, the envelope allows {envelope.min_v:g} to {envelope.max_v:g} V"
        if current_a is None or pack_v is None:
            return None
        power_w = abs(current_a * pack_v)
        if not power_w <= envelope.max_w:
            return f"{power_w:.0f} W, the envelope allows {envelope.max_w:g} W"
        return self._add(now_s, power_w, abs(current_a) >= self._off_a)

    def _add(self, now_s: float, power_w: float, flows: bool) -> str | None:
        if self._last is not None:
            at_s, before_w, flowed = self._last
            span_s = now_s - at_s
            self.energy_wh += max(power_w, before_w) * span_s / 3600.0  # the larger: never too little
            self.under_power_s += span_s if flows or flowed else 0.0
        self._last = (now_s, power_w, flows)
        if self.energy_wh > self.envelope.energy_wh:
            told = _beyond(self.energy_wh, self.envelope.energy_wh)
            return f"{told} Wh in this test, allowed are {self.envelope.energy_wh:g} Wh"
        if self.under_power_s > self.envelope.under_power_s:
            told = _beyond(self.under_power_s, self.envelope.under_power_s)
            return f"{told} s under power in this test, allowed are {self.envelope.under_power_s:g} s"
        return None

    def refuse_longer(self, level_a: float, seconds: float) -> str | None:
        """Return why a current may not flow so long in what is left of this test, or None where it may."""
        left_wh = self.envelope.energy_wh - self.energy_wh
        needed_wh = level_a * self.envelope.max_v * seconds / 3600.0
        if needed_wh > left_wh:
            return (
                f"{level_a:.1f} A x {self.envelope.max_v:g} V x {seconds:.1f} s = {needed_wh:.1f} Wh at most, but only "
                f"{left_wh:.1f} Wh of envelope.energy_wh = {self.envelope.energy_wh:g} Wh are left in this test"
            )
        left_s = self.envelope.under_power_s - self.under_power_s
        if seconds > left_s:
            return (
                f"{seconds:.1f} s under power, but only {left_s:.1f} s of envelope.under_power_s = "
                f"{self.envelope.under_power_s:g} s are left in this test"
            )
        return None


def _beyond(value: float, limit: float) -> str:
    """Return a value above its limit with as many digits, at least four, as it takes to see that it is."""
    digits = next((digits for digits in range(4, 17) if float(f"{value:.{digits}g}") > float(f"{limit:g}")), 17)
    return f"{value:.{digits}g}"


class CellLimits:
    """The bench's own cell voltages and temperatures against the cells' hard limits and the envelope."""

    def __init__(self, envelope: Envelope, profile: Profile) -> None:
        self.envelope = envelope
        self.cells = profile.bms.cells
        self.upper_v = profile.bms.upper_limit_cell_v
        self.lowest_v = profile.absolute.cell_low_v
        self.highest_v = min(CELL_STOP * self.upper_v, profile.absolute.cell_high_v)
        self.too_low: str | None = None  # from then on nothing charges this pack any more
        self._above_since_s: dict[int, float] = {}
        self._history: dict[str, list[tuple[float, float]]] = {}

    def check_voltages(self, now_s: float, cells_v: Sequence[float]) -> str | None:
        """Return which cell is outside its hard limits, or None. A cell found too low is remembered for good.

        Each text of this class names its cell or sensor first: it is told under "cells and temperatures".
        """
        if len(cells_v) != self.cells:
            return f"the cell monitor reads {len(cells_v)} cells, the BMS's profile declares {self.cells}"
        for number, cell_v in enumerate(cells_v, 1):
            if not math.isfinite(cell_v):
                return f"cell {number} reads {cell_v!r} V"
            if cell_v < self.lowest_v:
                self.too_low = f"cell {number} was found at {cell_v:.3f} V, below its minimum of {self.lowest_v:g} V"
                return self.too_low
            if cell_v > self.highest_v:
                return (
                    f"cell {number} at {cell_v:.3f} V; stopped at {self.highest_v:.3f} V (upper limit "
                    f"{self.upper_v:g} V x {CELL_STOP:g}, at most the absolute maximum)"
                )
            if cell_v <= self.upper_v:
                self._above_since_s.pop(number, None)
            elif now_s - self._above_since_s.setdefault(number, now_s) > ABOVE_LIMIT_S:
                return f"cell {number} at {cell_v:.3f} V for {ABOVE_LIMIT_S:g} s, above its {self.upper_v:g} V"
        return None

    def check_temperatures(self, now_s: float, sensors: Mapping[str, float]) -> str | None:
        """Return which sensor has left its limits or rises too fast, or None."""
        missing = sorted(set(self.envelope.sensors) - set(sensors))
        if missing:
            return f"sensor {missing[0]!r} of envelope.sensors is not measured; there are {', '.join(sorted(sensors))}"
        for name, degc in sensors.items():
            low, high = self.envelope.temperatures(name)
            if not low <= degc <= high:  # a NaN lands here too
                return f"sensor {name} at {degc:.1f} degC, the envelope allows {low:g} to {high:g} degC"
            history = self._history.setdefault(name, [])
            history.append((now_s, degc))
            while len(history) > 2 and now_s - history[1][0] >= SLOPE_OVER_S:
                del history[0]
            at_s, before = history[0]
            if now_s - at_s >= SLOPE_OVER_S and (degc - before) / (now_s - at_s) > self.envelope.slope_k_per_s:
                return (
                    f"sensor {name} rose from {before:.1f} to {degc:.1f} degC in {now_s - at_s:.1f} s, the envelope "
                    f"allows {self.envelope.slope_k_per_s:g} K/s"
                )
        return None
