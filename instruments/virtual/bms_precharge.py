"""Precharge by voltage: when a virtual BMS takes its bus for charged, and what it does if that does not come.

It closes the main contactor once bus and pack differ by less than 80 % of what the profile allows, and the current
through the precharge resistor is below 80 % of its limit; its own errors need the rest. A try that takes too long is
ended, the resistor cools for the declared pause, and after the last try it gives up for good.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.operation import Precharge

if TYPE_CHECKING:
    from instruments.virtual.bms import VirtualBms

_SHARE = 0.8


class PrechargeControl:
    """The precharge of one unit."""

    def __init__(self, bms: VirtualBms, declared: Precharge) -> None:
        self._bms, self._declared = bms, declared
        self._hasty = any(defect.precharges_without_waiting for defect in bms.defects)
        self._stubborn = any(defect.precharges_for_ever for defect in bms.defects)
        self.tries = 0
        self.began_s = 0.0

    def begin(self, now_s: float) -> None:
        """A try begins now."""
        if self.tries == 0:
            self.began_s = now_s
        self.tries += 1

    def charged(self) -> bool:
        """Whether the bus has come close enough to the pack."""
        if self._hasty:
            return True
        circuit, declared = self._bms.circuit, self._declared
        apart_v = abs(circuit.bench_side_v() - abs(circuit.pack_side_v()))
        if apart_v > _SHARE * declared.max_v:
            return False
        return declared.max_a is None or abs(circuit.precharge_current_a()) <= _SHARE * declared.max_a

    def late(self, since_s: float, now_s: float) -> bool:
        """Whether this try, begun at `since_s`, has taken too long."""
        return now_s - since_s >= self._declared.timeout_s - 1e-9

    def spent(self) -> bool:
        """Whether that was the last try."""
        return self.tries >= self._declared.tries and not self._stubborn

    def done(self) -> None:
        """It has succeeded, was called off, or is given up: the next one begins to count anew."""
        self.tries = 0
