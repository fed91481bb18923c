"""A relay board that fails safe by itself: a host watchdog, safe values, power-on values.

Source: the maker's list for the tM and M-7000 modules. After a time-out of the host watchdog the outputs take their
safe values. What the list leaves open, and how it is played here:

- any frame with the board's address and a right checksum feeds the watchdog, a refused one too (unverified);
- mode 0 ("as the I-7000 modules"): outputs stay at their safe values, and commands to them are answered and have no
  effect, until the status is cleared; mode 1: a command to an output clears the status and acts (maker's list; that
  a command without effect is *answered* is unverified);
- an expired watchdog stays enabled, and runs anew from the moment its status is cleared (unverified);
- status, safe and power-on values, mode, enabling and time outlive a power cycle. With the status still set the
  outputs take their safe values at power-on, otherwise their power-on values (maker's manual of the M-7022 series);
- clearing the status moves no output: each keeps its safe value until it is commanded (unverified);
- a time of 0 never expires (unverified);
- the number of time-outs begins at 0 after a power cycle (unverified).

Without mains every relay falls. Not simulated: the module's own hardware watchdog, and what `behaviour_relays` leaves
out.
"""

from __future__ import annotations

from collections.abc import Callable

from bench.clock import NS
from bench.simulated_clock import SimulatedClock
from instruments.virtual.behaviour_base import ActiveFault
from instruments.virtual.behaviour_relays import RelayBoard

OUTPUTS = 5
STEP_NS = NS // 10  # of the watchdog's time
LONGEST = 255  # steps


class SafeRelayBoard(RelayBoard):
    """Five relays with a host watchdog."""

    own_faults = RelayBoard.own_faults | {"watchdog_dead"}

    def __init__(
        self,
        name: str,
        serial: str,
        channel: int,
        normally_closed: bool,
        move: Callable[[bool], None],
        clock: SimulatedClock,
        seed: int,
    ) -> None:
        super().__init__(name, serial, channel, normally_closed, move, clock, seed, relays=OUTPUTS)
        self._as_delivered()

    def _as_delivered(self) -> None:
        self.safe_values = [False] * OUTPUTS
        self.power_on_values = [False] * OUTPUTS
        self.commands_clear = False  # mode 1
        self.enabled = False
        self.steps = 0
        self.expired = False
        self.timeouts = 0
        self.reset_flag = True  # until it is read: the module was powered on
        self._fed_ns = self.clock.now_ns()
        self._watches = 0  # a later one makes the earlier ones void

    def reset(self, seed: int) -> None:
        """Return to the state as delivered, healthy, with new noise."""
        self._as_delivered()
        super().reset(seed)

    def power_cycle(self) -> None:
        """Mains off and on; after `mains_loss` the second half comes when the fault ends."""
        super().power_cycle()  # all relays fall
        self.timeouts = 0
        self.reset_flag = True
        if self.fault.name == "mains_loss":
            return
        self._start(list(self.safe_values if self.expired else self.power_on_values))
        self._watch()

    def fault_changed(self, before: ActiveFault) -> None:
        """The mains return."""
        super().fault_changed(before)
        if before.name == "mains_loss" and self.fault.name != "mains_loss":
            self.power_cycle()

    # -- outputs -----------------------------------------------------------------------------------------------

    def command(self, relay: int, on: bool) -> None:
        """Do a command to an output, counted from 0; see above for what an expired watchdog makes of it."""
        if self.expired and self.commands_clear:
            self.clear_status()
        if not self.expired:
            self.set(relay, on)

    # -- host watchdog -----------------------------------------------------------------------------------------

    def feed(self) -> None:
        """The host spoke."""
        self._fed_ns = self.clock.now_ns()

    def enable(self, on: bool) -> None:
        """Switch the host watchdog; switched on it starts anew."""
        self.enabled = on
        self._watch()

    def set_time(self, steps: int) -> None:
        """Set its time in tenths of a second; it starts anew."""
        self.steps = steps
        self._watch()

    def clear_status(self) -> None:
        """Forget that it expired: outputs may be commanded again."""
        self.expired = False
        self._watch()

    def _watch(self) -> None:
        self._watches += 1
        self.feed()
        if self.enabled and self.steps and not self.expired:
            self._look_later(self._watches)

    def _look_later(self, watch: int) -> None:
        self.at_ns(self._fed_ns + self.steps * STEP_NS, lambda: self._look(watch))

    def _look(self, watch: int) -> None:
        if watch != self._watches:
            return
        if self.fault.name == "watchdog_dead":
            self.feed()
        if self.clock.now_ns() - self._fed_ns < self.steps * STEP_NS:
            self._look_later(watch)
            return
        self.expired = True
        self.timeouts += 1
        for relay, on in enumerate(self.safe_values):
            self.set(relay, on)
