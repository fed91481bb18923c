"""The one door of pyvisa: SCPI over sockets, and over whatever else VISA reaches (USB, VXI-11, serial).

For a raw socket the connection is opened by pyvisa-py and then used directly (`sessions[...].interface`),
because its own read path costs 2.5 times a raw socket, spins at full load until the time-out when the peer
has closed, reports that as a time-out, and leaves Nagle's algorithm on (44 ms for two writes and a query).
"""

from __future__ import annotations

import functools
import os
import socket
from collections.abc import Callable
from typing import Any, Protocol

import pyvisa
from pyvisa.constants import StatusCode
from pyvisa.resources import MessageBasedResource, SerialInstrument

from bench.clock import Clock
from bench.errors import ConnectionLost, DefinitionError, InstrumentError, InstrumentTimeout
from bench.roles import Record
from instruments.transports.address import parse_address
from instruments.transports.sockets import TimedSocket
from instruments.transports.wire import Wire

_LONGEST_LINE = 1 << 20


@functools.cache
def resource_manager() -> pyvisa.ResourceManager:
    """Return the one shared resource manager; nobody closes it, that would close every instrument."""
    return pyvisa.ResourceManager("@py")


def serial_of(identification: str) -> str:
    """Return maker, model and serial number of an `*IDN?` answer: who it is, whatever its firmware."""
    return ",".join(field.strip() for field in identification.split(",")[:3])


class _Channel(Protocol):
    """Bytes to and from an open VISA resource."""

    @property
    def waits(self) -> Callable[[], object]: ...

    def send(self, data: bytes) -> None: ...

    def receive(self, timeout_s: float) -> bytes: ...

    def unasked(self) -> bytes | None: ...


class _ResourceChannel:
    """Any other VISA resource, through pyvisa's own calls."""

    def __init__(self, resource: Any) -> None:
        self._resource = resource

    def send(self, data: bytes) -> None:
        self._call(self._resource.write_raw, data)

    def receive(self, timeout_s: float) -> bytes:
        self._resource.timeout = timeout_s * 1000.0
        return bytes(self._call(self._resource.read_raw))

    @staticmethod
    def waits() -> object:
        return False

    def unasked(self) -> bytes | None:
        return None  # VISA offers no look at what waits; after a time-out the connection is closed anyway

    @staticmethod
    def _call(function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except pyvisa.VisaIOError as problem:
            if problem.error_code == StatusCode.error_timeout:
                raise TimeoutError from problem
            raise OSError(str(problem)) from problem


class ScpiTransport(Wire):
    """Lines of text to and from one instrument."""

    def __init__(
        self,
        name: str,
        address: str,
        *,
        clock: Clock,
        record: Record,
        timeout_s: float = 2.0,
        write_termination: str = "\n",
        read_termination: str = "\n",
        spacing_s: float = 0.0,
        reopen_within_s: float = 0.0,
    ) -> None:
        super().__init__(
            name,
            parse_address(address),
            clock=clock,
            record=record,
            timeout_s=timeout_s,
            spacing_s=spacing_s,
            reopen_within_s=reopen_within_s,
        )
        if self.address.kind == "file":
            raise DefinitionError(f"{self.where}: SCPI needs tcp:HOST:PORT, visa:RESOURCE or serial:PORT,BAUD")
        self.identification = ""
        self._write_end = write_termination.encode("ascii")
        self._read_end = read_termination.encode("ascii")
        self._resource: MessageBasedResource | None = None
        self._channel: _Channel | None = None
        self._forget_port = self.address.port

    def write(self, command: str) -> None:
        """Send a command that has no answer; whether it was accepted must be asked separately."""
        self.exchange(self._send, command, what=command)

    def query(self, command: str, *, timeout_s: float | None = None, retry_until_s: float | None = None) -> str:
        """Send a question and return the first line of the answer, without its end.

        A question that changes nothing may be asked a second time, over a new connection, if the caller gives
        an instant of the clock until which a whole time-out still fits.
        """
        patience_s = self.timeout_s if timeout_s is None else timeout_s
        try:
            return self.exchange(self._ask, command, patience_s, what=command, patience_s=patience_s)
        except (InstrumentTimeout, ConnectionLost):
            in_time = retry_until_s is not None and self.clock.now() + patience_s <= retry_until_s
            if not in_time or self.clock.in_callback:
                raise
        return self.exchange(self._ask, command, patience_s, what=command, patience_s=patience_s)

    @property
    def is_open(self) -> bool:
        """True while there is a connection that is in step."""
        return self._channel is not None

    def _send(self, command: str) -> None:
        assert self._channel is not None
        self.note(True, command)
        self._channel.send(command.encode("ascii") + self._write_end)

    def _ask(self, command: str, timeout_s: float) -> str:
        channel = self._channel
        assert channel is not None
        clock = self.clock
        if clock.simulated:
            clock.forget_silence(self._forget_port)
        self._send(command)
        data = channel.receive(timeout_s)
        line, end, extra = data.partition(self._read_end)
        if not end:
            data = self._rest(channel, data, clock.now() + timeout_s, command)
            line, _, extra = data.partition(self._read_end)
        if not line and not data:
            raise self.lost(f"the instrument closed the connection instead of answering {command}")
        answer = line.decode("ascii", "backslashreplace").rstrip("\r")
        self.note(False, answer)
        if extra:
            self.note(False, f"(dropped, not asked for: {extra!r})")
        return answer

    def _rest(self, channel: _Channel, data: bytes, until_s: float, command: str) -> bytes:
        """Collect an answer that comes in pieces."""
        while data and self._read_end not in data:
            if len(data) > _LONGEST_LINE:
                self._disconnect()
                raise InstrumentError(f"{self.where}: the answer to {command} does not end")
            remaining_s = until_s - self.clock.now()
            if remaining_s <= 0:
                raise TimeoutError
            try:
                more = channel.receive(remaining_s)
            except TimeoutError:
                self.note(False, f"(without an end: {data!r})")
                raise
            data = data + more if more else b""
        return data

    def _who(self) -> str:
        self.identification = self.query("*IDN?")
        return serial_of(self.identification)

    def _is_quiet(self) -> bool:
        return self._channel is not None and not self._channel.waits()

    def _is_stale(self) -> bool:
        assert self._channel is not None
        try:
            while (data := self._channel.unasked()) is not None:
                if not data:
                    return True
                self._unasked = repr(data)
                self.note(False, f"(dropped, not asked for: {data!r})")
        except OSError as problem:  # reset by the peer
            self.note(False, f"({problem})")
            return True
        return False

    def _listen(self, seconds: float) -> None:
        assert self._channel is not None
        try:
            data = self._channel.receive(seconds)
        except TimeoutError:
            return
        self.note(False, f"(dropped, not asked for: {data!r})")

    def _disconnect(self) -> None:
        resource, self._resource, self._channel = self._resource, None, None
        if resource is not None:
            resource.close()

    def _connect(self) -> None:
        address = self.address
        resource_name = address.resource
        if address.kind == "tcp":
            resource_name = f"TCPIP0::{address.host}::{address.port}::SOCKET"
        elif address.kind == "serial":
            resource_name = f"ASRL{address.device}::INSTR"
        manager = resource_manager()
        try:
            resource = manager.open_resource(resource_name, open_timeout=int(self.timeout_s * 1000))
        except Exception as problem:  # pyvisa-py raises bare Exception, too
            raise self.lost(f"cannot be reached ({problem})") from problem
        if not isinstance(resource, MessageBasedResource):
            resource.close()
            raise InstrumentError(f"{self.where}: not a resource that exchanges messages")
        if address.baud is not None and isinstance(resource, SerialInstrument):
            resource.baud_rate = address.baud
        self._resource = resource
        library: Any = manager.visalib
        sock = getattr(library.sessions[resource.session], "interface", None)
        if not (isinstance(sock, socket.socket) and resource_name.upper().endswith("::SOCKET")):
            self._channel = _ResourceChannel(resource)
            return
        # pyvisa-py calls a refused connection open: ask the socket itself.
        try:
            error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error, os.strerror(error))
            self._channel = TimedSocket(sock, self.clock, self.timeout_s)
        except OSError as problem:
            raise self.lost(f"no connection ({problem})") from problem
