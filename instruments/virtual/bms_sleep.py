"""Sleep: a virtual BMS that has seen neither current nor request for a while falls silent.

Asleep it measures and protects nothing but by its comparators, bleeds nothing, and leaves its switches as they are. It
looks for a current every tenth of a second; a request that wakes it is not answered. A power cycle always wakes.

Not simulated: the energy it saves, a sleep with open switches, wake lines and buttons.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.operation import Sleep

if TYPE_CHECKING:
    from instruments.virtual.bms import VirtualBms

CHECK_S = 0.1


class Sleeper:
    """Puts one unit to sleep and wakes it."""

    def __init__(self, bms: VirtualBms, declared: Sleep) -> None:
        self._bms, self._declared = bms, declared
        self._wakers: set[str] = set(declared.wakes_by)
        for defect in bms.defects:
            if defect.wakes_by is not None:
                self._wakers = set(defect.wakes_by)
        self._stays_awake = any(defect.never_sleeps for defect in bms.defects)
        self._active_at_s = bms.now_s()
        self.asleep = False

    def check(self) -> None:
        """Called every tenth of a second, asleep or not."""
        bms, now_s = self._bms, self._bms.now_s()
        if self.asleep:
            if "current" in self._wakers and abs(bms.readings.shunt_a()) > bms.readings.flows_a:
                self.wake()
            return
        if bms.flows() or (bms.heard_at_s is not None and now_s - bms.heard_at_s <= CHECK_S):
            self._active_at_s = now_s
        elif now_s - self._active_at_s >= self._declared.after_s - 1e-9 and not self._stays_awake:
            self.asleep = True
            bms.sleep_changed()

    def heard(self) -> None:
        """A request has arrived."""
        self._active_at_s = self._bms.now_s()
        if self.asleep and "request" in self._wakers:
            self.wake()

    def wake(self) -> None:
        """It measures and speaks again."""
        self.asleep = False
        self._active_at_s = self._bms.now_s()
        self._bms.sleep_changed()
