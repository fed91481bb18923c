"""A board of eight digital inputs, one of which watches a safety loop: an interlock, an emergency stop.

The loop is closed (input on) until somebody opens it. Where it is hard-wired, it also takes the coil of the bench's
contactor away (`circuit_disconnect.Disconnect.loop`), with no board and no program between: a board without mains, a
stuck input or a hung link changes nothing about that.

Faults: `flickers` is the loop itself, which opens for a moment now and then; `stuck_closed` and `stuck_open` are the
board's input, which tells the same whatever the loop does. The other seven inputs have nothing on them and are off.

Not simulated: debouncing by the board, and thresholds of the input.
"""

from __future__ import annotations

from collections.abc import Callable

from bench.clock import NS
from bench.simulated_clock import SimulatedClock
from instruments.virtual.behaviour_base import ActiveFault, Behaviour
from instruments.virtual.noise import uniform

INPUTS = 8


class InputBoard(Behaviour):
    """One loop and the input that reads it; `wired` is told whenever the loop opens or closes."""

    own_faults = frozenset({"flickers", "stuck_closed", "stuck_open", "crc_error"})

    def __init__(
        self, name: str, serial: str, channel: int, wired: Callable[[bool], None], clock: SimulatedClock, seed: int
    ) -> None:
        super().__init__(name, serial, clock, seed)
        self.channel = channel
        self._wired = wired
        self._closed = True
        self._apart = False  # for the moment of a flicker
        self._flickering = 0  # a later fault makes the earlier one's moments void

    @property
    def closed(self) -> bool:
        """Whether the loop is closed: the truth, whatever the input tells."""
        return self._closed and not self._apart

    def set_closed(self, closed: bool) -> None:
        """Open or close the loop now: a door, a button."""
        self._closed = closed
        self._tell()

    def inputs(self) -> list[bool]:
        """Return what the eight inputs tell, on or off."""
        told = {"stuck_closed": True, "stuck_open": False}.get(self.fault.name, self.closed)
        return [told and number == self.channel for number in range(1, INPUTS + 1)]

    def reset(self, seed: int) -> None:
        """Close the loop, healthy, with new noise."""
        super().reset(seed)
        self._flickering += 1
        self._closed, self._apart = True, False
        self._tell()

    def fault_changed(self, before: ActiveFault) -> None:
        """A loop begins to flicker, or is whole again."""
        del before
        self._flickering += 1
        self._apart = False
        self._tell()
        if self.fault.name == "flickers":
            self._come_apart_later(self._flickering)

    def _tell(self) -> None:
        self._wired(self.closed)

    def _come_apart_later(self, flickering: int) -> None:
        now_ns = self.clock.now_ns()
        share = 1.0 + 0.5 * uniform(self.seed, self.name, "flicker", now_ns)
        self._flicker(flickering, now_ns + round(share * self.fault.options["every_s"] * NS), apart=True)

    def _flicker(self, flickering: int, due_ns: int, *, apart: bool) -> None:
        def act() -> None:
            if flickering != self._flickering:
                return
            self._apart = apart
            self._tell()
            if apart:
                length_ns = round(self.fault.options["s"] * NS)
                self._flicker(flickering, self.clock.now_ns() + length_ns, apart=False)
            else:
                self._come_apart_later(flickering)

        self.at_ns(due_ns, act)
