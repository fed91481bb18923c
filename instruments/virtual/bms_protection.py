"""One protection at work: debounce, trip, release, lock-out. Written from the profile's words alone.

It shares nothing with the suites' expectations but the declaration (`bench.protection`). Strictly beyond the
threshold counts; a sample that is not beyond resets the debounce, or in units that count (foxBMS) lowers it by one.
"""

from __future__ import annotations

from collections.abc import Callable

from instruments.virtual.bms_unit import UnitProtection

NS = 1_000_000_000
_UPWARD = ("overcurrent", "overvoltage", "overtemperature")


class Watch:
    """The state of one protection. `tripped` is what its flag shows."""

    __slots__ = (
        "_above",
        "_after_ns",
        "_gone_since_ns",
        "_needs_command",
        "_release_kind",
        "_release_value",
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
    ) -> None:
        """`counts_down`: the flag clears by itself sample by sample, the latch is the unit's error state."""
        self.counts_down = counts_down
        self.on_trip = on_trip
        self.on_release = on_release
        self.follow(unit)
        self.power_cycle()

    def follow(self, unit: UnitProtection) -> None:
        """Take over what a setting has changed; what was counted so far stays counted."""
        self.unit = unit
        row = unit.row
        self._above = row.kind.endswith(_UPWARD)
        self._after_ns = round(row.release.after_s * NS)
        self._release_kind = row.release.kind
        self._release_value = row.release_value_si
        self._needs_command = row.latched or row.release.kind == "command"

    def power_cycle(self) -> None:
        """Forget everything, the lock-out too."""
        self.tripped = self.locked = self.beyond = False
        self.count = self.trips = 0
        self._gone_since_ns: int | None = None

    def sample(self, now_ns: int, value: float, opposite: bool, evaluated: bool = True) -> None:
        """Take one sample: the watched quantity, and whether current of the other direction flows. Where the unit
        does not look at the quantity now (limits of the other direction), nothing counts up or down."""
        unit = self.unit
        if unit.dead or not evaluated:
            return
        beyond = value > unit.threshold_si if self._above else value < unit.threshold_si
        self.beyond = beyond
        if self.tripped:
            self._maybe_release(now_ns, value, opposite)
        elif beyond:
            self.count += 1
            if self.count >= unit.samples:
                self._trip()
        elif self.count:
            self.count = self.count - 1 if self.counts_down else 0

    def command_clear(self) -> None:
        """The clear request: releases what waits for it, unless the cause is still there or the unit is locked."""
        if self.tripped and self._needs_command and not (self.beyond or self.locked) and self.unit.releases:
            self._release()

    def _trip(self) -> None:
        self.tripped = True
        self.trips += 1
        self._gone_since_ns = None
        limit = self.unit.lockout_count
        self.locked = limit is not None and self.trips >= limit
        self.on_trip(self)

    def _maybe_release(self, now_ns: int, value: float, opposite: bool) -> None:
        if self.locked or not self.unit.releases:
            return
        if self._needs_command:
            if self.counts_down:
                self.count = min(self.count + 1, self.unit.samples) if self.beyond else self.count - 1
                if self.count <= 0:
                    self._release()
            return
        if not self._condition(value, opposite):
            self._gone_since_ns = None
            return
        if self._gone_since_ns is None:
            self._gone_since_ns = now_ns
        if now_ns - self._gone_since_ns >= self._after_ns:
            self._release()

    def _condition(self, value: float, opposite: bool) -> bool:
        if self._release_kind == "opposite_current":
            return opposite
        if self._release_kind == "value" and self._release_value is not None:
            return value <= self._release_value if self._above else value >= self._release_value
        return not self.beyond

    def _release(self) -> None:
        self.tripped = False
        self.count = 0
        self.on_release(self)
