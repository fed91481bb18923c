"""The bench's own contactor between bus and device."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from instruments.virtual.circuit import Circuit


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
