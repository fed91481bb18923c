"""One protection at work: debounce, trip, release, lock-out. Written from the profile's words alone.

It shares nothing with the suites' expectations but the declaration (`bench.protection`). Strictly beyond the
threshold counts; a sample that is not beyond resets the debounce, or in units that count (foxBMS) lowers it by one.
With an inverse-time curve each bad sample counts by what the curve allows at its level.

A lock-out comes with the trip that makes the count full, within `lockout_window_s` where that is declared; what is
locked stays so, only a power cycle ends it. A comparator (`fast_s`) trips it from outside, by `trip`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from instruments.virtual.bms_unit_protection import UnitProtection

NS = 1_000_000_000
_FULL = 1.0 - 1e-9  # of a debounce by a curve, but for rounding


def _never() -> bool:
    return False


class Watch:
    """The state of one protection. `tripped` is what its flag shows."""

    __slots__ = (
        "_above",
        "_acted",
        "_after_ns",
        "_curved",
        "_gone_since_ns",
        "_needs_command",
        "_release_kind",
        "_release_value",
        "_times_ns",
        "beyond",
        "count",
        "counts_down",
        "locked",
        "on_release",
        "on_trip",
        "tripped",
        "trips",
        "unit",
    )

    def __init__(
        self,
        unit: UnitProtection,
        *,
        counts_down: bool,
        on_trip: Callable[[Watch], None],
        on_release: Callable[[Watch], None],
        acted: Callable[[], bool] = _never,
    ) -> None:
        """`counts_down`: the flag clears by itself sample by sample, the latch is the unit's error state.

        `acted` says, for a release by action, whether the action is done.
        """
        self.counts_down = counts_down
        self.on_trip = on_trip
        self.on_release = on_release
        self._acted = acted
        self.follow(unit)
        self.tripped = self.locked = False
        self.trips = 0
        self._times_ns: deque[int] = deque()
        self.power_cycle()

    def follow(self, unit: UnitProtection) -> None:
        """Take over what a setting has changed; what was counted so far stays counted."""
        self.unit = unit
        row = unit.row
        release = row.release
        self._above = row.about.above
        self._curved = bool(unit.curve)
        self._after_ns = round((release.after_s + unit.release_late_s) * NS)
        self._release_kind = release.kind
        value = row.release_value_si
        self._release_value = None if value is None or not unit.hysteresis else value + unit.release_shift_si
        by_command = release.kind == "command" or release.action == "reset"
        self._needs_command = unit.latches and (by_command or (row.latched and release.kind != "action"))

    @property
    def release_value(self) -> float | None:
        """At which measured value it lets go, in inside units; None where it waits for something else."""
        return self._release_value if self._release_kind == "value" and not self._needs_command else None

    def power_cycle(self) -> None:
        """Forget everything, the lock-out too, unless this unit keeps it."""
        self.beyond = False
        self.count: float = 0
        self._gone_since_ns: int | None = None
        if not (self.unit.keeps_lockout and self.locked):
            self.tripped = self.locked = False
            self.trips = 0
            self._times_ns.clear()

    def sample(self, now_ns: int, value: float, opposite: bool, evaluated: bool = True) -> None:
        """Take one sample: the watched quantity, and whether current of the other direction flows. Where the unit
        does not look at the quantity now (limits of the other direction), nothing counts up or down; what has tripped
        is looked at all the same, so that a clear request finds out and a release by itself comes."""
        unit = self.unit
        if unit.dead or not (evaluated or self.tripped):
            return
        beyond = value > unit.threshold_si if self._above else value < unit.threshold_si
        self.beyond = beyond
        if not evaluated and self._needs_command:
            return
        if self.tripped:
            self._maybe_release(now_ns, value, opposite)
        elif beyond:
            if unit.fast_s is not None:
                return
            if self._curved:
                full = self._advance(value)
            else:
                self.count += 1
                full = self.count >= unit.samples
            if full:
                self.trip(now_ns)
        elif self.count and not unit.accumulates:
            step = unit.period_s / (unit.curve[0][1]) if self._curved else 1
            self.count = max(0, self.count - step) if self.counts_down else 0

    def _advance(self, value: float) -> bool:
        """Count one bad sample by its level, so that a constant level takes its time of the curve."""
        unit = self.unit
        delay_s = unit.delay_at(value) - unit.switch_s - unit.filter_s
        self.count += unit.period_s / max(delay_s, unit.period_s)
        return self.count >= _FULL

    def command_clear(self) -> None:
        """The clear request: releases what waits for it, unless the cause is still there or the unit is locked."""
        unit = self.unit
        if self.locked and unit.clear_unlocks:
            self.locked = False
            self.trips = 0
            self._times_ns.clear()
        gone = not self.beyond or unit.clears_anyway
        if self.tripped and self._needs_command and gone and not self.locked and unit.releases:
            self.release()

    def trip(self, now_ns: int) -> None:
        """It has acted: from here on its flag is up."""
        if self.tripped or (self.unit.trips_once and self.trips):
            return
        self.tripped = True
        self.trips += 1
        self._gone_since_ns = None
        if self._curved or self.unit.fast_s is not None:
            self.count = self.unit.samples  # from here it counts down like any other
        self.locked = self._is_full(now_ns)
        self.on_trip(self)

    def _is_full(self, now_ns: int) -> bool:
        limit, window_s = self.unit.lockout_count, self.unit.row.lockout_window_s
        times = self._times_ns
        times.append(now_ns)
        if window_s is not None:
            while times and now_ns - times[0] > window_s * NS:
                times.popleft()
        return self.unit.counts_trips and limit is not None and len(times) >= limit

    def _maybe_release(self, now_ns: int, value: float, opposite: bool) -> None:
        if self.locked or not self.unit.releases:
            return
        if self._needs_command:
            if self.counts_down:
                self.count = min(self.count + 1, self.unit.samples) if self.beyond else self.count - 1
                if self.count <= 0:
                    self.release()
            return
        if not self._condition(value, opposite):
            self._gone_since_ns = None
            return
        if self._gone_since_ns is None:
            self._gone_since_ns = now_ns
        if now_ns - self._gone_since_ns >= self._after_ns:
            self.release()

    def _condition(self, value: float, opposite: bool) -> bool:
        if self._release_kind == "opposite_current":
            return opposite
        if self._release_kind == "action" and self.unit.needs_action:
            return not self.beyond and self._acted()
        if self._release_kind == "value" and self._release_value is not None:
            return value <= self._release_value if self._above else value >= self._release_value
        return not self.beyond

    def release(self) -> None:
        """It lets go."""
        self.tripped = False
        self.count = 0
        self.on_release(self)
