"""Balancing: which cells a virtual BMS bleeds, decided once a second.

A cell is bled while it stands above `begins_v` and by more than `spread_v` above the lowest, while the pack is charged
or always, as declared; a few millivolts more are wanted to begin, so that noise does not switch the bleeder. While a
diagnosis is active nothing is bled: a voltage that is none would be believed. The bleeder of this unit is off by at
most 60 % of what the profile allows.

Not simulated: alternating neighbours, duty cycles, the chip's temperature, pauses for measuring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from instruments.virtual.bms import VirtualBms

PERIOD_S = 1.0
_REFERENCE_V = 3.4  # the declared current is that at this voltage
_MORE_V = 2e-3


class Balancer:
    """The bleeders of one unit."""

    def __init__(self, bms: VirtualBms) -> None:
        self._bms = bms
        self._bled: frozenset[int] = frozenset()  # by the rule, from 0
        self.cells: frozenset[int] = frozenset()  # really on

    def check(self) -> None:
        """Decide anew."""
        declared = self._bms.profile.balancing
        if declared is None:
            return
        readings = self._bms.readings
        may = declared.while_ == "always" or readings.flows > 0
        if not may or any(watch.tripped for watch in self._bms.diagnoses):
            self._bled = frozenset()
        else:
            lowest_v = min(readings.cells_v)
            self._bled = frozenset(
                cell
                for cell, cell_v in enumerate(readings.cells_v)
                if cell_v > declared.begins_v + self._more_v(cell)
                and cell_v - lowest_v > declared.spread_v + self._more_v(cell)
            )
        wanted = self._bled
        for defect in self._bms.defects:
            if defect.bleed is not None:
                wanted = defect.bleed(wanted, len(readings.cells_v))
        self._switch(wanted)

    def off(self) -> None:
        """Bleed nothing: asleep, or without supply."""
        self._bled = frozenset()
        self._switch(frozenset())

    def _more_v(self, cell: int) -> float:
        return 0.0 if cell in self._bled else _MORE_V

    def _switch(self, wanted: frozenset[int]) -> None:
        declared = self._bms.profile.balancing
        if declared is None or wanted == self.cells:
            return
        factor = self._bms.unit.bleed_factor
        for defect in self._bms.defects:
            factor *= defect.bleed_factor
        ohm = _REFERENCE_V / (declared.current_a * factor)
        for cell in sorted(wanted ^ self.cells):
            self._bms.circuit.dut.balance(cell + 1, cell in wanted, ohm=ohm)
        self.cells = wanted
