"""One diagnosis at work: how long a fault must be seen, what happens then, and when it lets go again."""

from __future__ import annotations

from collections.abc import Callable

from instruments.virtual.bms_unit_diagnosis import UnitDiagnosis

_NS = 1_000_000_000


class DiagnosisWatch:
    """The state of one diagnosis. `tripped` is what its flag shows."""

    locked = False

    def __init__(
        self,
        unit: UnitDiagnosis,
        *,
        seen_after_s: float,
        on_trip: Callable[[DiagnosisWatch], None],
        on_release: Callable[[DiagnosisWatch], None],
        acted: Callable[[], bool],
    ) -> None:
        """`seen_after_s`: from the fault until the samples can show it; it belongs to the promised time."""
        self.unit = unit
        self.on_trip, self.on_release, self._acted = on_trip, on_release, acted
        release = unit.row.release
        self._by_command = unit.latches and (release.kind == "command" or release.action == "reset")
        self._by_action = unit.latches and release.kind == "action"
        # n + 1 faulty samples end between n and n + 1 periods after the fault: on average n + 1/2.
        samples = max(0, round((unit.delay_s - seen_after_s) / unit.period_s - 0.5))
        self._hold_ns = round(samples * unit.period_s * _NS)
        self._after_ns = round(unit.release_s * _NS)
        self.tripped = self.faulty = False
        self.trips = 0
        self._since_ns: int | None = None
        self._gone_since_ns: int | None = None

    def sample(self, now_ns: int, faulty: bool) -> None:
        """Take one look at the fault."""
        if self.unit.dead:
            return
        self.faulty = faulty
        if self.tripped:
            self._maybe_release(now_ns)
        elif not faulty:
            self._since_ns = None
        else:
            if self._since_ns is None:
                self._since_ns = now_ns
            if now_ns - self._since_ns >= self._hold_ns:
                self.trip()

    def trip(self) -> None:
        """It is called a fault: from here on its flag is up."""
        self.tripped = True
        self.trips += 1
        self._since_ns = self._gone_since_ns = None
        self.on_trip(self)

    def command_clear(self) -> None:
        """The clear request: releases what waits for it, unless the fault is still there."""
        unit = self.unit
        if self.tripped and self._by_command and unit.releases and (not self.faulty or unit.clears_anyway):
            self.release()

    def _maybe_release(self, now_ns: int) -> None:
        if self._by_command or not self.unit.releases:
            return
        if self.faulty or (self._by_action and not self._acted()):
            self._gone_since_ns = None
            return
        if self._gone_since_ns is None:
            self._gone_since_ns = now_ns
        if now_ns - self._gone_since_ns >= self._after_ns:
            self.release()

    def release(self) -> None:
        """It lets go."""
        self.tripped = False
        self.on_release(self)
