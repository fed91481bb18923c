"""Who may command a virtual EA unit: remote ownership and interface monitoring.

Source: EA programming guide, `SYST:LOCK`, `SYST:COMM:MON`, register 505 bits 0 to 4. Remote is never taken by
itself; one interface holds it; the monitoring watches that interface only and any message feeds it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from bench.clock import NS
from bench.simulated_clock import SimulatedClock
from instruments.virtual.behaviour_base import Behaviour
from instruments.virtual.instrument_errors import Refused

FREE, LOCAL, ETHERNET, MODBUS_TCP, EXPIRED = 0x00, 0x01, 0x06, 0x12, 0x1C  # register 505, bits 0 to 4


class EaRemote(Behaviour, ABC):
    """Remote control of one unit, shared by all its interfaces (`location` is the one that speaks)."""

    def __init__(self, name: str, serial: str, clock: SimulatedClock, seed: int) -> None:
        super().__init__(name, serial, clock, seed)
        self._free()

    def _free(self) -> None:
        self.owner = FREE
        self.after_remote_off = False
        self.monitoring = False
        self.monitoring_s = 5.0
        self._series = 0  # of watches: switching off and on again starts a new one
        self.monitor_expired = False
        self._fed_ns = self.clock.now_ns()

    @abstractmethod
    def dc_off(self) -> None:
        """Disconnect the terminals at once."""

    def take_remote(self, location: int) -> None:
        """Give remote control to an interface, unless the panel or another interface holds it."""
        if self.fault.name == "remote_lost" and self.fault.options["locked"]:
            raise Refused(-221, 0x17)
        if self.owner not in (FREE, LOCAL, EXPIRED, location):
            raise Refused(-221, 7)
        self.owner = location
        self.monitor_expired = False
        self.feed(location)

    def leave_remote(self, location: int, to: int = FREE) -> None:
        """Take it back; DC goes off if it is set so."""
        if self.owner == location:
            self.owner = to
            if self.after_remote_off:
                self.dc_off()

    def remote_lost(self) -> None:
        """The operator pressed LOCAL: DC as after leaving remote."""
        self.leave_remote(self.owner, LOCAL)
        self.owner = LOCAL

    def require(self, location: int) -> None:
        """Refuse unless this interface holds remote control."""
        if self.owner != location:
            if self.owner == LOCAL:
                raise Refused(-201, 0x17)
            raise Refused(-201 if self.owner in (FREE, EXPIRED) else -221, 7)

    @property
    def remote(self) -> bool:
        """Whether any interface holds remote control."""
        return self.owner not in (FREE, LOCAL, EXPIRED)

    def feed(self, location: int) -> None:
        """A message came: the interface monitoring starts anew."""
        if self.owner == location:
            self._fed_ns = self.clock.now_ns()

    def monitor(self, location: int, *, on: bool) -> None:
        """Switch the interface monitoring; when it expires, remote is left and the DC follows that setting."""
        self.require(location)
        if on and not self.monitoring:
            self._series += 1
            self._watch(self._series)
        self.monitoring = on

    def _watch(self, series: int) -> None:
        due_ns = self._fed_ns + round(self.monitoring_s * NS)
        self.at_ns(due_ns, lambda: self._look_at_monitor(series))

    def _look_at_monitor(self, series: int) -> None:
        if not self.monitoring or series != self._series:
            return
        if not self.remote or self.fault.name == "watchdog_dead":
            self._fed_ns = self.clock.now_ns()
        elif self.clock.now_ns() - self._fed_ns >= round(self.monitoring_s * NS):
            self.monitor_expired = True
            self.leave_remote(self.owner, EXPIRED)
            self._fed_ns = self.clock.now_ns()
        self._watch(series)
