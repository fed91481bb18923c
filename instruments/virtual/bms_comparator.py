"""The fast comparators of a virtual BMS: short circuits, seen by an event of the circuit and not by sampling.

The comparator has the threshold of its unit, referred to the true current by the unit's own errors, but no noise. It
looks at the sense lines of the shunt: open ones show it nothing, exchanged ones the other direction. The current must
stay beyond for the whole delay; then flag and switches follow in the same instant. After the unit has closed a switch
itself it waits somewhat longer, since the bus's capacitors take a current like a short's at first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.clock import Rank, Tick
from instruments.virtual.bms_protection import Watch

if TYPE_CHECKING:
    from instruments.virtual.bms import VirtualBms

_INRUSH_NS, _AFTER_CLOSING_NS = 200_000, 1_000_000  # how much longer, and until when after closing


class Comparator:
    """One protection of microseconds, armed from the beginning until `disarm`."""

    def __init__(self, bms: VirtualBms, watch: Watch) -> None:
        self._bms, self._watch = bms, watch
        self._pending: Tick | None = None
        self.arm()

    def arm(self) -> None:
        """Watch the circuit at this unit's threshold."""
        unit, protection = self._bms.unit, self._watch.unit
        self._turn = 1.0 if protection.row.about.observable == "charge_current" else -1.0
        level_a = (protection.threshold_si - self._turn * unit.offset_a) / unit.gain
        self._handle = self._bms.circuit.watch_current(level_a, self._rises, falls=self._falls)

    def disarm(self) -> None:
        """Watch no longer."""
        self._handle.cancel()
        self._falls()

    def rearm(self) -> None:
        """Follow a threshold that has moved."""
        self.disarm()
        self.arm()

    def _rises(self) -> None:
        protection = self._watch.unit
        seen_a = self._bms.readings.shunt_a()
        if not protection.both_directions:
            seen_a = max(0.0, self._turn * seen_a)
        if protection.dead or protection.fast_s is None or seen_a == 0.0 or self._watch.tripped:
            return
        clock = self._bms.clock
        due_ns = clock.now_ns() + round(protection.fast_s * 1e9)
        if clock.now_ns() - self._bms.switching.closed_at_ns < _AFTER_CLOSING_NS:
            due_ns += _INRUSH_NS
        self._pending = clock.at(due_ns * 1e-9, self._due, rank=Rank.BMS)

    def _falls(self) -> None:
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None

    def _due(self) -> None:
        self._pending = None
        self._watch.trip(self._bms.now_ns())
