"""Relays whose contacts put faults into the wiring of the BMS.

Source: the board's relays as in `behaviour_relays`: contacts follow their coils 10 to 20 ms later. What each fault does
is the circuit's: sense wires (`sense_wires`), the BMS's shunt and switches, a short and a capacitor across the bus.

The fault `stuck_output` of this instrument: coils obey, contacts stay where they are.

Not simulated: contact bounce (a short closes once), arcing, and that an exchange of two wires passes through a moment
at which both are open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bench.simulated_clock import SimulatedClock
from instruments.virtual.behaviour_base import ActiveFault
from instruments.virtual.behaviour_relays import RelayBoard
from instruments.virtual.noise import uniform


class FaultBoards(RelayBoard):
    """Boards of relays of which some put a fault in while they are on; `wired` maps a relay, from 1, to its fault."""

    own_faults = frozenset({"stuck_output", "exception_7", "crc_error"})

    def __init__(
        self,
        name: str,
        serial: str,
        wired: Mapping[int, tuple[str, Callable[[bool], None]]],
        relays: int,
        clock: SimulatedClock,
        seed: int,
    ) -> None:
        self._wired = dict(wired)
        self.contacts = [False] * relays
        self._moves_ns = [0] * relays
        super().__init__(name, serial, 1, False, lambda closed: None, clock, seed, relays)

    def inserted(self) -> tuple[str, ...]:
        """Return the faults that are really in."""
        return tuple(fault for relay, (fault, _) in self._wired.items() if self.contacts[relay - 1])

    def fault_changed(self, before: ActiveFault) -> None:
        """Contacts that are free again go where their coils want them."""
        if before.name == "stuck_output":
            self._follow()

    def _set(self, relay: int, on: bool) -> None:
        self.coils[relay] = on
        now_ns = self.clock.now_ns()
        delay_ns = round(15e6 + 5e6 * uniform(self.seed, self.name, f"armature {relay}", now_ns))
        self._moves_ns[relay] = max(self._moves_ns[relay], now_ns + delay_ns)
        self.at_ns(self._moves_ns[relay], lambda: self._move_to(relay, self.coils[relay]))

    def _follow(self) -> None:
        """Every contact where its coil says."""
        self._moves_ns = [self.clock.now_ns()] * len(self.coils)
        for relay, on in enumerate(self.coils):
            self._move_to(relay, on)

    def _move_to(self, relay: int, on: bool) -> None:
        if self.fault.name == "stuck_output" or self.contacts[relay] is on:
            return
        self.contacts[relay] = on
        if relay + 1 in self._wired:
            self._wired[relay + 1][1](on)
