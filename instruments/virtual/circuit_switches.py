"""What opens and closes the path: the BMS's own switches, and the bench's disconnect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from instruments.virtual.circuit_node import Branch

if TYPE_CHECKING:
    from instruments.virtual.circuit import Circuit


class Switches:
    """The BMS's own switches, commanded by its behaviour; both open at the start.

    `separate`: two MOSFETs back to back, each with a body diode: with the charge switch open a discharge still
    flows through its diode, and the reverse. `common`: contactors in series (charge = main plus, discharge =
    main minus), the path conducts when both are closed, and precharge is a resistor across main plus alone. With
    MOSFETs the precharge resistor lies across both.
    """

    def __init__(self, circuit: Circuit, topology: Literal["separate", "common"]) -> None:
        self._circuit = circuit
        self.topology = topology
        self.charge_closed = False
        self.discharge_closed = False
        self.precharge_closed = False
        self._welded = False

    def set(self, *, charge: bool | None = None, discharge: bool | None = None, precharge: bool | None = None) -> None:
        """Command switches now (True closes); what is not named stays."""
        wanted = {"charge_closed": charge, "discharge_closed": discharge, "precharge_closed": precharge}
        changed = {k: v for k, v in wanted.items() if v is not None and getattr(self, k) is not v}
        if not changed:
            return
        self._circuit.catch_up()
        for key, value in changed.items():
            setattr(self, key, value)
        self._circuit.changed()

    @property
    def welded(self) -> bool:
        """Defect: the path conducts whatever is commanded."""
        return self._welded

    @welded.setter
    def welded(self, value: bool) -> None:
        self._circuit.catch_up()
        self._welded = value
        self._circuit.changed()

    @property
    def _precharges(self) -> bool:
        return self.precharge_closed and (self.topology == "separate" or self.discharge_closed)

    def branch(self, series_ohm: float, on_ohm: float, precharge_ohm: float, diode_v: float, leak_ohm: float) -> Branch:
        """Return how the branch conducts each way with `series_ohm` in line with the switches."""
        through_s = 1.0 / (series_ohm + on_ohm)
        charge, discharge = self.charge_closed, self.discharge_closed
        if self._welded or (charge and discharge):
            return Branch(through_s, 0.0, through_s, 0.0)
        blocked_s = 1.0 / (series_ohm + (precharge_ohm if self._precharges else leak_ohm))
        if self.topology == "common" or not (charge or discharge):
            return Branch(blocked_s, 0.0, blocked_s, 0.0)
        if charge:  # discharge switch open: charging goes through its diode
            return Branch(through_s, diode_v, blocked_s, 0.0)
        return Branch(blocked_s, 0.0, through_s, diode_v)

    def rest_drop_v(self, diode_v: float) -> float | None:
        """Return what the open bench side stands below the pack with nothing attached, or None if it floats."""
        if self._welded or (self.charge_closed and self.discharge_closed) or self._precharges:
            return 0.0
        return diode_v if self.topology == "separate" and self.discharge_closed else None


class Disconnect:
    """The bench's own contactor between bus and device; open at the start, as an unpowered one is.

    Its coil hangs on a relay (`set`) in series with hard-wired loops (`loop`): an interlock, an emergency stop. When a
    loop opens, the contactor falls at once, whatever the relay says, and stays down until every loop is closed *and*
    the relay has been switched on anew: its holding contact does not pull it in again by itself.
    """

    def __init__(self, circuit: Circuit) -> None:
        self._circuit = circuit
        self.closed = False
        self._open_loops: set[str] = set()
        self._fallen = False
        self._stuck = False

    def set(self, *, closed: bool) -> None:
        """The relay opens or closes now; closing it with every loop closed pulls the contactor in."""
        if closed is self.closed:
            return
        self._circuit.catch_up()
        self.closed = closed
        if closed:
            self._fallen = bool(self._open_loops)
        self._circuit.changed()

    def loop(self, name: str, *, closed: bool) -> None:
        """A hard-wired loop opens or closes now; one that nobody has named is closed."""
        if closed:
            self._open_loops.discard(name)
            return
        self._circuit.catch_up()
        self._open_loops.add(name)
        self._fallen = True
        self._circuit.changed()

    @property
    def open_loops(self) -> tuple[str, ...]:
        """The hard-wired loops that are open now."""
        return tuple(sorted(self._open_loops))

    @property
    def fallen(self) -> bool:
        """Whether a loop has taken the contactor's coil away since the relay was last switched on."""
        return self._fallen

    @property
    def stuck(self) -> bool:
        """Defect: its main contact is welded; it conducts whatever relay and loops say."""
        return self._stuck

    @stuck.setter
    def stuck(self, value: bool) -> None:
        self._circuit.catch_up()
        self._stuck = value
        self._circuit.changed()

    @property
    def conducts(self) -> bool:
        """Whether current can pass."""
        return (self.closed and not self._fallen) or self._stuck
