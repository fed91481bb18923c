"""The switches of a virtual BMS as it commands them, and what it says about them.

Where the profile declares a diagnosis of contacts, switch signals tell what the auxiliary contacts say, otherwise what
was commanded. Contactors with a supervised precharge open one after the other, main plus first, so that only one of
them breaks the current; all others open together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.clock import Rank
from bench.operation import StateRequest
from instruments.virtual.bms_faults import CONTACT_KINDS

if TYPE_CHECKING:
    from instruments.virtual.bms import VirtualBms

_NEXT_S = 0.02  # from the first contactor to the second
_MAIN = ("charge", "discharge", "main_plus", "main_minus")


class Switching:
    """What one unit commands."""

    def __init__(self, bms: VirtualBms) -> None:
        self._bms = bms
        profile = bms.profile
        self._plus, self._minus = ("charge", "discharge") if profile.bms.separate_switches else _MAIN[2:]
        self._in_order = isinstance(profile.operation, StateRequest) and profile.operation.precharge is not None
        self._asks_contacts = any(row.kind in CONTACT_KINDS for row in profile.diagnoses) and not any(
            defect.reports_commands for defect in bms.defects
        )
        self.begin()

    def begin(self) -> None:
        """Command nothing, the power having come."""
        self.closed: frozenset[str] = frozenset()
        self._wanted: tuple[str, ...] = ()
        self.closed_at_ns = 0  # when it last closed a switch, on the clock

    def want(self, *names: str) -> None:
        """Close exactly these switches, except those that a protection holds open."""
        self._wanted = names
        self.apply()

    def apply(self) -> None:
        """Command what is wanted and not held open."""
        held = self._bms.held()
        before = self.closed
        self.closed = frozenset(name for name in self._wanted if name not in held)
        if self.closed - before:
            self.closed_at_ns = self._bms.clock.now_ns()
        # A switch that this product does not have is a piece of wire; the precharge resistor is not.
        fuse = self._conducts("fuse")
        plus, minus = fuse and self._conducts(self._plus), fuse and self._conducts(self._minus)
        switches = self._bms.circuit.switches
        together = not self._in_order or plus or minus or not self._bms.powered
        if together or not (switches.commanded(self._plus) and switches.commanded(self._minus)):
            switches.set(charge=plus, discharge=minus, precharge=fuse and "precharge" in self.closed)
            return
        switches.set(charge=False, precharge=fuse and "precharge" in self.closed)
        clock = self._bms.clock
        clock.at(clock.now() + _NEXT_S, self._open_second, rank=Rank.BMS)

    def _open_second(self) -> None:
        if not self._conducts(self._minus):
            self._bms.circuit.switches.set(discharge=False)

    def _conducts(self, name: str) -> bool:
        return name in self.closed or name not in self._bms.switches

    def told(self, name: str) -> bool:
        """Whether the unit says that a switch is closed."""
        if self._asks_contacts and name in self._bms.circuit.switches.names:
            return self._bms.circuit.switches.feedback(name)
        return name in self.closed

    @property
    def path_closed(self) -> bool:
        """Whether the unit believes its main path to be closed in both directions."""
        return all(self.told(name) for name in self._bms.switches if name in _MAIN)
