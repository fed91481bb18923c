"""A board of electro-mechanical relays, one of which switches the bench's disconnect.

Source: "electro-mechanical relays need about 10 to 20 ms"; state is kept when the controller disappears.

The fault `welded` is the contact of that relay: it conducts although its coil is off. A hard-wired loop in series
(`circuit_disconnect.Disconnect`) still opens the path; against a welded contactor nothing helps.

Not simulated: contact bounce, arcing and welding by switching a live load; what hangs on the other relays.
"""

from __future__ import annotations

from collections.abc import Callable

from bench.clock import NS
from bench.simulated_clock import SimulatedClock
from instruments.virtual.behaviour_base import ActiveFault, Behaviour
from instruments.virtual.noise import uniform

RELAYS = 8


class RelayBoard(Behaviour):
    """Coils as commanded, and the contact that follows one of them; `move` is told whether the path is closed."""

    own_faults = frozenset({"stuck_output", "welded", "exception_7", "crc_error"})

    def __init__(
        self,
        name: str,
        serial: str,
        channel: int,
        normally_closed: bool,
        move: Callable[[bool], None],
        clock: SimulatedClock,
        seed: int,
        relays: int = RELAYS,
    ) -> None:
        super().__init__(name, serial, clock, seed)
        self.channel = channel
        self.normally_closed = normally_closed
        self.coils = [False] * relays
        self._move = move
        self._orders = [0] * relays  # a later order makes a pending flash void
        self._due_ns = 0
        self._follow()

    def power_cycle(self) -> None:
        """Mains off and on: all relays fall."""
        super().power_cycle()
        self._start([False] * len(self.coils))

    def _start(self, coils: list[bool]) -> None:
        """Begin anew with these coils, their contacts where they belong."""
        self.coils = coils
        self._orders = [0] * len(coils)
        self._due_ns = 0
        self._follow()

    @property
    def told_closed(self) -> bool:
        """Whether the coil of the disconnect's relay says "closed"; its contact may not have followed."""
        return self.coils[self.channel - 1] is not self.normally_closed

    def fault_changed(self, before: ActiveFault) -> None:
        """A contact welds at once, and one that is well again follows its coil."""
        if "welded" in (before.name, self.fault.name):
            self._follow()

    def set(self, relay: int, on: bool) -> None:
        """Energise or release a relay, counted from 0; its contact follows 10 to 20 ms later."""
        self._orders[relay] += 1
        self._set(relay, on)

    def flash(self, relay: int, on: bool, seconds: float) -> None:
        """Energise (or release) a relay for a time and then return it."""
        self.set(relay, on)
        order = self._orders[relay]

        def back() -> None:
            if order == self._orders[relay]:
                self._set(relay, not on)

        self.at_ns(self.clock.now_ns() + round(seconds * NS), back)

    def _set(self, relay: int, on: bool) -> None:
        self.coils[relay] = on
        if relay == self.channel - 1:
            now_ns = self.clock.now_ns()
            delay_ns = round(15e6 + 5e6 * uniform(self.seed, self.name, "armature", now_ns))
            self._due_ns = max(self._due_ns, now_ns + delay_ns)  # an armature does not overtake itself
            self.at_ns(self._due_ns, self._follow)

    def _follow(self) -> None:
        closed = self.told_closed or self.fault.name == "welded"
        if closed or self.fault.name != "stuck_output":
            self._move(closed)
