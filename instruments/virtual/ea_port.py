"""The TCP ports of the virtual EA family: SCPI text and Modbus RTU frames in one stream, and Modbus TCP.

Source: EA programming guide. On port 5025 the first byte decides (below 0x2A it is Modbus RTU); one client at a
time; a socket that stays silent for 5 s is closed unless `SYST:COMM:LAN:TIM` says otherwise; messages and joined
replies longer than 256 bytes are refused.

A bench report on a PSB 10080-60 says: one socket at a time, allow about 3 s before reconnecting. It does not say after
which ends. On the wire a client that was killed closes as one that meant to; here the unit counts a connection for
those 3 s where it was reset, or ended while its interface still held remote control: nobody said goodbye.

Not simulated: the gap between bytes that cuts a message in two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from bench.clock import NS
from instruments.virtual.behaviour_ea import EaDevice
from instruments.virtual.behaviour_ea_remote import ETHERNET
from instruments.virtual.ea_scpi import EaCommands
from instruments.virtual.modbus_face import MbapSession, ModbusUnit
from instruments.virtual.scpi_face import ScpiSession
from instruments.virtual.wire import Wire

REPLY_S = 0.002  # "reply < 5 ms typical"
COUNTED_S = 3.0  # how long a connection is still counted whose client has gone without a goodbye


class Slot:
    """The one connection that a port takes, as the unit counts it. A power cycle frees it."""

    def __init__(self, device: EaDevice, location: int) -> None:
        self._device = device
        self._location = location
        self._until_ns = 0
        self._generation = device.generation

    @property
    def free(self) -> int:
        """How many connections the port takes now: one or none."""
        device = self._device
        counted = self._generation == device.generation and device.clock.now_ns() < self._until_ns
        return 0 if counted else 1

    def ended(self, wire: Wire | None) -> None:
        """A connection has ended; None if it was refused and never counted."""
        device = self._device
        if wire is None or not wire.ended:
            return
        if wire.ended == "reset" or device.owner == self._location:
            self._until_ns = device.clock.now_ns() + round(COUNTED_S * NS)
            self._generation = device.generation


class IdleWatch:
    """Closes a connection that was silent for the unit's socket time-out, in simulated time."""

    def __init__(self, device: EaDevice, drop: Callable[[], None]) -> None:
        self._device = device
        self._drop = drop
        self._last_ns = device.clock.now_ns()
        self._stopped = False
        self._look()

    def touch(self) -> None:
        """A message came."""
        self._last_ns = self._device.clock.now_ns()

    def stop(self) -> None:
        """The connection has ended."""
        self._stopped = True

    def _look(self) -> None:
        device = self._device
        timeout_ns = round(device.lan_timeout_s * NS)
        if self._stopped:
            return
        if timeout_ns and device.clock.now_ns() - self._last_ns >= timeout_ns:
            self._drop()
            return
        # 0 means never: look again later, in case somebody sets a time-out
        device.at_ns(self._last_ns + timeout_ns if timeout_ns else device.clock.now_ns() + NS, self._look)


class RtuPart(Protocol):
    """The Modbus RTU half of the port."""

    def feed(self, data: bytes, wire: Wire) -> tuple[bytes, bytes]:
        """Take the stream from the start of a frame; return the answer and what is left over."""


class EaPort(ScpiSession):
    """One connection to port 5025."""

    undefined_header = -100
    max_commands = 5
    max_message: int = 256
    max_reply = 256
    follows_path = False

    def __init__(self, device: EaDevice, commands: EaCommands, rtu: RtuPart, slot: Slot) -> None:
        super().__init__(commands.table, commands.errors)
        self._slot = slot
        self._device = device
        self._commands = commands
        self._rtu = rtu
        self._idle = IdleWatch(device, lambda: self.wire.drop())

    @property
    def max_connections(self) -> int:
        """One, and none while the last one is still counted."""
        return self._slot.free

    def report(self, code: int) -> None:
        """Queue an error, shortly after the message."""
        self._commands.later(code)

    def closed(self) -> None:
        """The connection has ended."""
        self._idle.stop()
        self._slot.ended(getattr(self, "wire", None))

    def feed(self, data: bytes) -> bytes:
        """Answer every complete message; see `ScpiSession`."""
        self._idle.touch()
        self._device.feed(ETHERNET)
        reply = b""
        data, self._buffer = self._buffer + data, b""
        while data := data.lstrip(b"\r\n"):
            if data[0] < 0x2A:
                answer, rest = self._rtu.feed(data, self.wire)
                incomplete = rest == data
                reply += answer
            else:
                line, end, rest = data.partition(b"\n")
                incomplete = not end
                if not incomplete:
                    reply += self.message(line)
                elif len(line) > self.max_message:
                    self.report(-363)
                    return reply
            if incomplete:
                self._buffer = data
                break
            data = rest
        if reply:
            self.wire.owe(REPLY_S)
        return reply


class EaModbusTcp(MbapSession):
    """One connection to the Modbus TCP port, closed when it stays silent like the other."""

    def __init__(self, device: EaDevice, registers: ModbusUnit, slot: Slot) -> None:
        super().__init__(registers, reply_s=REPLY_S)
        self._slot = slot
        self._idle = IdleWatch(device, lambda: self.wire.drop())

    @property
    def max_connections(self) -> int:
        """One, and none while the last one is still counted."""
        return self._slot.free

    def closed(self) -> None:
        """The connection has ended."""
        self._idle.stop()
        self._slot.ended(getattr(self, "wire", None))

    def feed(self, data: bytes) -> bytes:
        """Answer every complete request; see `MbapSession`."""
        self._idle.touch()
        return super().feed(data)
