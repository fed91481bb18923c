"""The BMS's own switches: what opens and closes the path, each contact with faults of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from instruments.virtual.circuit_node import Branch

if TYPE_CHECKING:
    from instruments.virtual.circuit import Circuit


@dataclass(slots=True)
class Contact:
    """One contactor or MOSFET; its mirror contact follows the main one and tells the truth, or inverted."""

    commanded: bool = False
    welded: bool = False
    stuck_open: bool = False
    feedback_inverted: bool = False

    @property
    def closed(self) -> bool:
        """Whether it conducts; one that is welded does, whatever its coil does or fails to do."""
        return self.welded or (self.commanded and not self.stuck_open)


class Switches:
    """The BMS's own switches, commanded by its behaviour; all open at the start.

    `separate`: two MOSFETs back to back, `charge` and `discharge`, each with a body diode: with the charge switch open
    a discharge still flows through its diode, and the reverse. `common`: contactors in series, `main_plus` and
    `main_minus`; the path conducts when both are closed, and `precharge` is a contact with a resistor across main plus
    alone. With MOSFETs the precharge lies across both. `set` takes charge for main plus, discharge for main minus.

    Each has its own faults, which act at once: a weld conducts also where it was open. Not simulated: closing and
    opening times, bounce, arcs, welds that a current makes, contact resistance of a bad weld. A MOSFET has no auxiliary
    contact; its feedback stands for the voltage that a front end senses across it.
    """

    def __init__(self, circuit: Circuit, topology: Literal["separate", "common"]) -> None:
        self._circuit = circuit
        self.topology = topology
        names = ("charge", "discharge") if topology == "separate" else ("main_plus", "main_minus")
        self._plus, self._minus, self._precharge = Contact(), Contact(), Contact()
        self._contacts = {**dict(zip(names, (self._plus, self._minus), strict=True)), "precharge": self._precharge}
        self._welded = self._resistor_open = False

    @property
    def names(self) -> tuple[str, ...]:
        """The switches of this topology."""
        return tuple(self._contacts)

    def set(self, *, charge: bool | None = None, discharge: bool | None = None, precharge: bool | None = None) -> None:
        """Command switches now (True closes); what is not named stays."""
        wanted = ((self._plus, charge), (self._minus, discharge), (self._precharge, precharge))
        changed = [
            (contact, value) for contact, value in wanted if value is not None and contact.commanded is not value
        ]
        if not changed:
            return
        self._circuit.catch_up()
        for contact, value in changed:
            contact.commanded = value
        self._circuit.changed()

    # -- faults of one contact -------------------------------------------------------------------------------

    def weld(self, name: str, welded: bool = True) -> None:
        """Weld a switch: it conducts whatever is commanded. False parts it again."""
        self._spoil(name, "welded", welded)

    def stick_open(self, name: str, stuck: bool = True) -> None:
        """Let a switch stay open whatever is commanded: no coil, no gate drive. A weld is stronger."""
        self._spoil(name, "stuck_open", stuck)

    def invert_feedback(self, name: str, inverted: bool = True) -> None:
        """Let the auxiliary contact of a switch tell the opposite."""
        self._spoil(name, "feedback_inverted", inverted)

    def repair(self) -> None:
        """Take every fault of every contact away; commands stay."""
        for name in self._contacts:
            for fault in ("welded", "stuck_open", "feedback_inverted"):
                self._spoil(name, fault, False)

    def mended(self, name: str) -> bool:
        """Whether a contact has no fault of its own."""
        contact = self._contact(name)
        return not (contact.welded or contact.stuck_open or contact.feedback_inverted)

    def commanded(self, name: str) -> bool:
        """Whether a switch is told to be closed."""
        return self._contact(name).commanded

    def feedback(self, name: str) -> bool:
        """Return what the auxiliary contact of a switch says: closed."""
        contact = self._contact(name)
        return self.really_closed(name) is not contact.feedback_inverted

    def really_closed(self, name: str) -> bool:
        """Whether the main contact of a switch conducts."""
        return self._conducts(self._contact(name))

    def _conducts(self, contact: Contact) -> bool:
        return contact.closed or (self._welded and contact is not self._precharge)

    def _spoil(self, name: str, fault: str, value: bool) -> None:
        contact = self._contact(name)
        if getattr(contact, fault) is value:
            return
        self._circuit.catch_up()
        setattr(contact, fault, value)
        self._circuit.changed()

    def _contact(self, name: str) -> Contact:
        if name not in self._contacts:
            raise ValueError(f"virtual circuit: no switch {name!r} in this path; there are {', '.join(self._contacts)}")
        return self._contacts[name]

    # -- the path --------------------------------------------------------------------------------------------

    @property
    def charge_closed(self) -> bool:
        """Whether the charge switch, or main plus, is told to be closed."""
        return self._plus.commanded

    @property
    def discharge_closed(self) -> bool:
        """Whether the discharge switch, or main minus, is told to be closed."""
        return self._minus.commanded

    @property
    def precharge_closed(self) -> bool:
        """Whether the contact of the precharge is told to be closed."""
        return self._precharge.commanded

    @property
    def welded(self) -> bool:
        """Defect: the whole path conducts whatever is commanded."""
        return self._welded

    @welded.setter
    def welded(self, value: bool) -> None:
        self._circuit.catch_up()
        self._welded = value
        self._circuit.changed()

    @property
    def precharge_open(self) -> bool:
        """Fault: the precharge resistor, or its fuse, is open."""
        return self._resistor_open

    @precharge_open.setter
    def precharge_open(self, value: bool) -> None:
        self._circuit.catch_up()
        self._resistor_open = value
        self._circuit.changed()

    @property
    def precharges(self) -> bool:
        """Whether current can pass through the precharge resistor."""
        passes = self._precharge.closed and not self._resistor_open
        return passes and (self.topology == "separate" or self._conducts(self._minus))

    def branch(self, series_ohm: float, on_ohm: float, precharge_ohm: float, diode_v: float, leak_ohm: float) -> Branch:
        """Return how the branch conducts each way with `series_ohm` in line with the switches.

        `precharge_ohm` is the whole of that path, its contact included; closed beside the main one it helps a little.
        """
        charge, discharge, precharges = self._conducts(self._plus), self._conducts(self._minus), self.precharges
        through_s = 1.0 / (series_ohm + on_ohm)
        if charge and discharge:
            if precharges:
                through_s = 1.0 / (series_ohm + beside_ohm(on_ohm, precharge_ohm))
            return Branch(through_s, 0.0, through_s, 0.0)
        blocked_s = 1.0 / (series_ohm + (precharge_ohm if precharges else leak_ohm))
        if self.topology == "common" or not (charge or discharge):
            return Branch(blocked_s, 0.0, blocked_s, 0.0)
        if charge:  # discharge switch open: charging goes through its diode
            return Branch(through_s, diode_v, blocked_s, 0.0)
        return Branch(blocked_s, 0.0, through_s, diode_v)

    def precharge_share(self, current_a: float, on_ohm: float, precharge_ohm: float) -> float:
        """Return which part of a current passes through the precharge resistor."""
        if not self.precharges:
            return 0.0
        charge, discharge = self._conducts(self._plus), self._conducts(self._minus)
        if charge and discharge:
            return beside_ohm(on_ohm, precharge_ohm) / precharge_ohm
        by_diode = self.topology == "separate" and ((charge and current_a > 0.0) or (discharge and current_a < 0.0))
        return 0.0 if by_diode else 1.0

    def rest_drop_v(self, diode_v: float) -> float | None:
        """Return what the open bench side stands below the pack with nothing attached, or None if it floats."""
        if (self._conducts(self._plus) and self._conducts(self._minus)) or self.precharges:
            return 0.0
        return diode_v if self.topology == "separate" and self._conducts(self._minus) else None


def beside_ohm(one_ohm: float, other_ohm: float) -> float:
    """Return the resistance of two in parallel, in ohms."""
    return one_ohm * other_ohm / (one_ohm + other_ohm)
