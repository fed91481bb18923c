"""What else can be put across the bus: a short, and a large capacitor."""

from __future__ import annotations

from math import inf, isfinite
from typing import TYPE_CHECKING

from instruments.virtual.circuit_node import Step
from instruments.virtual.circuit_stages import Stage

if TYPE_CHECKING:
    from instruments.virtual.circuit import Circuit


class ShortStage(Stage):
    """A shorting contactor across the bus: a small resistor while it is closed. Its leads are off until then.

    With the bus capacitors C the current through the pack rises with C (R_short || R_branch). Not simulated: the
    inductance of the loop, which slows a real short down, bounce, arc, heat.
    """

    def __init__(self, circuit: Circuit) -> None:
        super().__init__(circuit, "short", 0.0, bleeder_ohm=inf)
        self._disconnected = True
        self.ohm = 1e-3

    def close(self, ohm: float = 1e-3) -> None:
        """Short the bus by a resistance, in ohms."""
        if not 0.0 < ohm < inf:
            raise ValueError(f"virtual circuit, short: {ohm!r} Ω is not a resistance above 0")
        self._change(on=True, ohm=ohm, _disconnected=False)

    def open(self) -> None:
        """Take the short away."""
        self._change(on=False, _disconnected=True)

    def step(self) -> Step:
        """Return what it pushes into the bus (never above zero) over the bus voltage."""
        return Step(-inf, 0.0, 0.0, 0.0, 1.0 / self.ohm)


class CapacitorStage(Stage):
    """A capacitor as of an inverter's input, across the bus while it has a size; discharged whenever it is put there.

    Put onto a bus that stands at V, it takes its part of the charge at once: C V = (C + Cnew) Vnew. The energy that is
    lost in that is the contact's, and in no balance. Not simulated: its series resistance, its leakage, and what is
    still in it after it was taken away (a bleeder on the bench's side empties it).
    """

    def __init__(self, circuit: Circuit) -> None:
        super().__init__(circuit, "capacitor", 0.0, bleeder_ohm=inf)
        self._disconnected = True

    def set(self, farad: float) -> None:
        """Make it this large, in farads; 0 takes it away."""
        if not (isfinite(farad) and farad >= 0.0):
            raise ValueError(f"virtual circuit, bus capacitor: {farad!r} F is not a finite magnitude")
        if farad == self.capacitance_f:
            return
        self._circuit.catch_up()
        if farad > self.capacitance_f:
            self._circuit.bus.share_charge(farad - self.capacitance_f)
        self._change(capacitance_f=farad, _disconnected=farad == 0.0)

    def step(self) -> Step:
        """Return what it pushes into the bus at rest: nothing."""
        return self._idle()
