"""What a virtual BMS makes of its supply: off without it, and what it still knows when it comes back soon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from instruments.virtual.bms_faults import DIP_S

if TYPE_CHECKING:
    from instruments.virtual.bms import VirtualBms


class SupplyWatch:
    """Follows the supply terminals of one BMS."""

    def __init__(self, bms: VirtualBms) -> None:
        self._bms = bms
        self._lost_at_s: float | None = None
        self._closed: frozenset[str] = frozenset()
        bms.circuit.dut.supply.watch(bms.clock, self._changed)

    def _changed(self, fed: bool) -> None:
        bms = self._bms
        if not fed:
            self._closed = bms.closed
            self._lost_at_s = bms.clock.now() if bms.powered else None
            bms.power_off()
            return
        dip = self._lost_at_s is not None and bms.clock.now() - self._lost_at_s < DIP_S
        self._lost_at_s = None
        bms.power_on()
        if dip:
            self._after_a_dip()

    def _after_a_dip(self) -> None:
        for found in self._bms.diagnoses:
            row = found.unit.row
            if row.kind == "supply_low" and row.release.action != "power_cycle" and not found.unit.dead:
                found.trip()
        if any(defect.closes_after_dip for defect in self._bms.defects):
            self._bms.want(*self._closed)
