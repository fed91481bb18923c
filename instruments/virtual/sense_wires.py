"""The wires between a stack of cells and the inputs of the BMS's monitoring chips.

::

    node n  ──[R_n]──┬── input n        wire k leads from node k (node 0 is B-) to input k;
                   [R_in]               between neighbouring inputs lies what the chip draws, R_in,
    node n-1 ─[R]────┴── input n-1      and perhaps a bridge. Cell k is read between inputs k-1 and k.

An open inner wire leaves its input to the divider of the two R_in beside it: with equal ones both cells read the mean
of the two. An open top or bottom wire lets its input fall to its neighbour: the cell reads 0 V. Two wires exchanged
make a cell read the sum, another the negative (the chain of inputs does not care).

Bleeders hang on the wires before the resistors R_n, which belong to the chip's filters: a bleeder takes its current
from the cells between its two wires and leaves the readings alone (the copper's millivolts are left out). Where one of
its wires is open it lies across the inputs instead and pulls the loose one to its neighbour.

Values are typical: the reference marks open-wire behaviour of monitoring chips as unverified. Not simulated: currents
of an open-wire test, input filters, clamping diodes, the end of the chip's measuring range (a negative cell is read as
negative), and that many real chips die of what is possible here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from math import inf

from instruments.virtual.pack_bleeding import Bleeder

WIRE_OHM, INPUT_OHM = 10.0, 1e6


class SenseWires:
    """Wires 0 (B-) to `cells` (B+), each connected to its node until it is opened or exchanged."""

    def __init__(self, cells: int, *, wire_ohm: float = WIRE_OHM, input_ohm: float = INPUT_OHM) -> None:
        self.cells = cells
        self.after_change: Callable[[], None] = lambda: None
        self._wire_ohm, self._input_ohm = wire_ohm, input_ohm
        self._bleeders_ohm: dict[int, float] = {}
        self.repair()

    def repair(self) -> None:
        """Put every wire where it belongs, whole, without bridges; bleeders are no fault and stay."""
        self._open: set[int] = set()
        self._node = list(range(self.cells + 1))
        self._wires_ohm = [self._wire_ohm] * (self.cells + 1)
        self._inputs_ohm = [self._input_ohm] * self.cells
        self._bridges_ohm: dict[int, float] = {}
        self.touched = False  # an untouched harness is left out: its 10 ppm belong to the unit's own error
        self.after_change()

    def open(self, wire: int) -> None:
        """Interrupt a wire: 0 is the bottom one, `cells` the top one."""
        self._open.add(self._wire(wire))
        self._changed()

    def close(self, wire: int) -> None:
        """Mend a wire."""
        self._open.discard(self._wire(wire))
        self._changed()

    def swap(self, wire: int, other: int) -> None:
        """Exchange two wires at the cells' side; once more puts them back."""
        node = self._node
        node[self._wire(wire)], node[self._wire(other)] = node[other], node[wire]
        self._changed()

    def set_wire(self, wire: int, ohm: float) -> None:
        """Give a wire another resistance, in ohms: a bad crimp."""
        self._wires_ohm[self._wire(wire)] = _positive(ohm, f"sense wire {wire}")
        self._changed()

    def set_input(self, cell: int, ohm: float) -> None:
        """Give the chip's input of a cell (counted from 1) another resistance, in ohms."""
        self._inputs_ohm[self._cell(cell)] = _positive(ohm, f"input of cell {cell}")
        self._changed()

    def bridge(self, cell: int, ohm: float) -> None:
        """Short both inputs of a cell (counted from 1) by a resistance, in ohms; infinite takes it away."""
        if ohm == inf:
            self._bridges_ohm.pop(self._cell(cell), None)
        else:
            self._bridges_ohm[self._cell(cell)] = _positive(ohm, f"bridge over cell {cell}")
        self._changed()

    def bleed(self, cell: int, ohm: float | None) -> None:
        """Switch the bleeder of a cell (counted from 1) on with a resistance, in ohms; None switches it off."""
        if ohm is None:
            self._bleeders_ohm.pop(self._cell(cell), None)
        else:
            self._bleeders_ohm[self._cell(cell)] = _positive(ohm, f"bleeder of cell {cell}")
        self.after_change()

    @property
    def balancing(self) -> tuple[int, ...]:
        """The cells, counted from 1, whose bleeders are on."""
        return tuple(sorted(cell + 1 for cell in self._bleeders_ohm))

    def bleeders(self) -> tuple[Bleeder, ...]:
        """Return where the bleeders that are on really lie: those whose two wires are whole."""
        found = []
        for cell, ohm in sorted(self._bleeders_ohm.items()):
            if not self._open & {cell, cell + 1}:
                low, high = sorted((self._node[cell], self._node[cell + 1]))
                found.append(Bleeder(low, high, ohm))
        return tuple(found)

    @property
    def open_wires(self) -> tuple[int, ...]:
        """The wires that are open now."""
        return tuple(sorted(self._open))

    def nodes_v(self, cells_v: Sequence[float]) -> list[float]:
        """Return the voltage of every node against B-, in volts."""
        return list(accumulate(cells_v, initial=0.0))

    def cells_seen_v(self, cells_v: Sequence[float]) -> list[float]:
        """Return what stands at the chip's inputs of every cell, in volts, while the cells have these voltages."""
        return [high - low for low, high in pairwise(self._inputs_v(self.nodes_v(cells_v)))]

    def cell_currents_a(self, cells_v: Sequence[float]) -> list[float]:
        """Return what the wires draw from every cell, in amperes, positive when it discharges the cell."""
        nodes = self.nodes_v(cells_v)
        drawn_a = [0.0] * (self.cells + 1)
        for wire, input_v in enumerate(self._inputs_v(nodes)):
            node = self._node[wire]
            drawn_a[node] += self._conductance(wire) * (nodes[node] - input_v)
        for low, high, ohm in self.bleeders():
            drawn_a[high] += (nodes[high] - nodes[low]) / ohm
            drawn_a[low] -= (nodes[high] - nodes[low]) / ohm
        return list(accumulate(reversed(drawn_a[1:])))[::-1]  # what leaves above a cell has passed through it

    def _inputs_v(self, nodes_v: Sequence[float]) -> list[float]:
        """Solve the chain of inputs (Thomas' algorithm); nothing connected means nothing there."""
        count = self.cells + 1
        if len(self._open) == count:
            return [0.0] * count
        across = [
            1.0 / ohm + (1.0 / self._bridges_ohm[cell] if cell in self._bridges_ohm else 0.0)
            for cell, ohm in enumerate(self._inputs_ohm)
        ]
        for cell, ohm in self._bleeders_ohm.items():
            if self._open & {cell, cell + 1}:
                across[cell] += 1.0 / ohm
        wires = [self._conductance(wire) for wire in range(count)]
        # From the bottom, each input becomes one conductance and one source as seen by the input above it.
        seen_s, seen_v = wires[0], nodes_v[self._node[0]]
        chain = [(seen_s, seen_v)]
        for wire in range(1, count):
            below_s = seen_s * across[wire - 1] / (seen_s + across[wire - 1]) if seen_s else 0.0
            here_s, here_v = wires[wire], nodes_v[self._node[wire]]
            seen_s = below_s + here_s
            seen_v = (below_s * seen_v + here_s * here_v) / seen_s if seen_s else 0.0
            chain.append((seen_s, seen_v))
        inputs_v = [chain[-1][1]]
        for wire in range(count - 2, -1, -1):
            seen_s, seen_v = chain[wire]
            inputs_v.append((seen_s * seen_v + across[wire] * inputs_v[-1]) / (seen_s + across[wire]))
        return inputs_v[::-1]

    def _conductance(self, wire: int) -> float:
        return 0.0 if wire in self._open else 1.0 / self._wires_ohm[wire]

    def _changed(self) -> None:
        self.touched = True
        self.after_change()

    def _wire(self, wire: int) -> int:
        if not 0 <= wire <= self.cells:
            raise ValueError(f"sense wire {wire}: there are 0 (B-) to {self.cells} (B+)")
        return wire

    def _cell(self, cell: int) -> int:
        if not 1 <= cell <= self.cells:
            raise ValueError(f"cell {cell}: there are 1 to {self.cells}")
        return cell - 1


def _positive(ohm: float, what: str) -> float:
    if not 0.0 < ohm < inf:  # a NaN lands here too
        raise ValueError(f"{what}: {ohm!r} Ω is not a resistance above 0; an open wire has a word of its own")
    return ohm
