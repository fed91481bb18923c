"""What the BMS is wired to beside the power path: cells or their emulation, sense wires, sensors, its own supply."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from instruments.virtual.dut_shunt import DutShunt
from instruments.virtual.dut_supply import DutSupply
from instruments.virtual.emulated_cells import EmulatedCells
from instruments.virtual.pack import Pack
from instruments.virtual.sense_wires import SenseWires
from instruments.virtual.sensors import Sensors

BLEEDER_OHM = 33.0  # 0.1 A at 3.4 V: typical of passive balancing


class DutWiring:
    """The small wires of the device under test.

    With `emulated` cells the BMS's inputs see the emulator's channels, and so does its pack voltage; the power path
    keeps the pack, which then only carries the current. As long as nobody touches wires or sensors, the BMS sees the
    pack's cells to the last digit.
    """

    def __init__(self, pack: Pack, *, now_ns: Callable[[], int], cells: Literal["pack", "emulated"] = "pack") -> None:
        if cells not in ("pack", "emulated"):
            raise ValueError(f"virtual circuit: cells '{cells}' are neither 'pack' nor 'emulated'")
        self._pack = pack
        self.sense = SenseWires(len(pack.cells))
        self.emulated = EmulatedCells(self.sense) if cells == "emulated" else None
        self.sensors = Sensors(len(pack.cells))
        if self.emulated is None:
            self.sense.after_change = self._rewired
        self.supply = DutSupply(now_ns)
        self.shunt = DutShunt()

    def cells_v(self, current_a: float) -> list[float]:
        """Return the voltage of every cell, real or emulated, at its own terminals, in volts."""
        return self._pack.cell_voltages_v(current_a) if self.emulated is None else self.emulated.cells_v()

    def cells_seen_v(self, current_a: float) -> list[float]:
        """Return the voltage of every cell at the BMS's inputs, in volts, while this current flows."""
        if self.emulated is not None:
            return self.emulated.cells_seen_v()
        cells_v = self._pack.cell_voltages_v(current_a)
        return self.sense.cells_seen_v(cells_v) if self.sense.touched else cells_v

    def balance(self, cell: int, on: bool, ohm: float = BLEEDER_OHM) -> None:
        """Switch the bleeder of a cell (counted from 1), which really takes `ohm`'s current from it.

        In the pack that cell loses charge; an emulated one has to give the current (`emulated.currents_a`).
        """
        self.sense.bleed(cell, ohm if on else None)

    @property
    def balancing(self) -> tuple[int, ...]:
        """The cells, counted from 1, whose bleeders are on."""
        return self.sense.balancing

    def _rewired(self) -> None:
        bleeders = self.sense.bleeders()
        if bleeders != self._pack.bleeding.bleeders:
            self._pack.bleed(bleeders)

    def stack_v(self, current_a: float) -> float:
        """Return the voltage of the whole stack that the BMS sits on, in volts."""
        return self._pack.terminal_v(current_a) if self.emulated is None else sum(self.emulated.cells_v())

    def sensors_degc(self) -> list[float]:
        """Return what the BMS's sensors say without errors of the BMS itself, in degrees Celsius."""
        return self.sensors.shown_degc(self._pack.temperatures_degc())
