"""Serve an in-process CAN bus to other processes in the protocol of socketcand, over TCP on loopback.

python-can's `socketcand` interface, and any other client of that daemon, can so talk to the virtual BMS.
Written from the protocol description of that daemon: `< hi >`, `< open NAME >`, `< rawmode >`, `< echo >`,
`< send ID LENGTH BYTES >`, `< frame ID SECONDS.MICROSECONDS BYTES >`; an error on the bus is
`< error ID SECONDS.MICROSECONDS >` with the identifier that SocketCAN gives it. Stamps are the bench's clock.

It does not serve: broadcast-manager, ISO-TP and control mode, filters, statistics, the UDP beacon, CAN FD.
"""

from __future__ import annotations

import contextlib
import re
import selectors
import socket
import threading
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Self

from bench.can_hub import CanHub, CanNode
from bench.clock import Rank
from bench.frames import CanFrame
from bench.wall_clock import WallClock

LONGEST_COMMAND = 1000  # bytes without an end: not this protocol
MOST_WAITING = 1_000_000  # bytes a client may leave unread before it is dropped, so that it cannot stop the bus
# python-can reads the answer to `rawmode` with one recv and fails if a frame is glued to it.
QUIET_AFTER_RAWMODE_S = 0.1
NO_ACKNOWLEDGE = "20000020"  # CAN_ERR_FLAG | CAN_ERR_ACK of linux/can/error.h

_COMMAND = re.compile(rb"<\s*([^<>]*?)\s*>")


class SocketcandServer:
    """One bus for any number of clients; each client is a node of the hub."""

    def __init__(
        self, hub: CanHub, host: str = "127.0.0.1", port: int = 0, *, arrival_s: Callable[[], float] | None = None
    ) -> None:
        """Listen at once; port 0 takes a free one.

        `arrival_s` tells the bench's time at which a frame that has just been read arrives on the bus. Where the
        wall paces the clock, it may lag; a frame's own time must not, or a BMS would see gaps that nobody made.

        Raises:
            OSError: the port is in use.
        """
        self._hub = hub
        self._arrival_s = arrival_s or hub.clock.now
        self._wall = WallClock()
        self._listener = socket.create_server((host, port))
        self._listener.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        # A pair of sockets wakes the selector; unlike a pipe it works on Windows too.
        self._wake, self._woken = socket.socketpair()
        self._woken.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._clients: list[_Client] = []
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="socketcand", daemon=True)
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port it listens on."""
        host, port = self._listener.getsockname()[:2]
        return str(host), int(port)

    def close(self) -> None:
        """Close all connections and stop; twice is once."""
        if self._closing:
            return
        self._closing = True
        self._stir()
        self._thread.join(5.0)
        for client in self._clients:
            client.close()
        for each in (self._listener, self._wake, self._woken):
            each.close()
        self._selector.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _stir(self) -> None:
        with contextlib.suppress(OSError):  # closing: nobody needs to be woken any more
            self._wake.send(b"!")

    def _serve(self) -> None:
        while not self._closing:
            waits = [client.quiet_until_s - self._wall.now() for client in self._clients if client.waiting]
            quiet = [seconds for seconds in waits if seconds > 0]
            for key, _ in self._selector.select(min(quiet) if quiet else None):
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj is self._woken:
                    self._woken.recv(4096)
                elif isinstance(key.data, _Client):
                    key.data.read()
            for client in list(self._clients):
                client.write()
                if client.gone:
                    self._selector.unregister(client.socket)
                    self._clients.remove(client)
                    client.close()
                    continue
                wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if client.blocked else 0)
                self._selector.modify(client.socket, wanted, client)

    def _accept(self) -> None:
        try:
            peer, _ = self._listener.accept()
        except OSError:  # the client gave up before it was accepted
            return
        peer.setblocking(False)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = _Client(peer, self._hub, self._wall, self._stir, self._arrival_s)
        self._clients.append(client)
        self._selector.register(peer, selectors.EVENT_READ, client)


class _Client:
    """One connection. `read` and `write` run in the server's thread, `_from_bus` in whoever moves the clock."""

    def __init__(
        self,
        peer: socket.socket,
        hub: CanHub,
        wall: WallClock,
        stir: Callable[[], None],
        arrival_s: Callable[[], float],
    ) -> None:
        self.socket, self._hub, self._wall, self._stir = peer, hub, wall, stir
        self._arrival_s = arrival_s
        self.gone = False
        self.blocked = False
        self.quiet_until_s = 0.0
        self._node: CanNode | None = None
        self._opened = False
        self._unparsed = b""
        self._answers = bytearray(b"< hi >")
        self._frames = bytearray()
        self._lock = threading.Lock()

    @property
    def waiting(self) -> bool:
        """True while frames wait to be sent."""
        return bool(self._frames)

    def read(self) -> None:
        """Take what has come, however it was cut or glued, and obey each complete command."""
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.gone = True
            return
        self._unparsed += data
        end = 0
        for match in _COMMAND.finditer(self._unparsed):
            self._obey(match[1].decode("ascii", "replace"))
            end = match.end()
        self._unparsed = self._unparsed[end:]
        if len(self._unparsed) > LONGEST_COMMAND:
            self.gone = True

    def write(self) -> None:
        """Send as much as the client takes now."""
        with self._lock:
            if self._wall.now() >= self.quiet_until_s:
                self._answers += self._frames
                self._frames.clear()
            try:
                while self._answers:
                    sent = self.socket.send(self._answers)
                    del self._answers[:sent]
                self.blocked = False
            except BlockingIOError:
                self.blocked = True
            except OSError:
                self.gone = True

    def close(self) -> None:
        """Leave the bus and close the connection."""
        if self._node is not None:
            self._node.detach()
        self.socket.close()

    def _obey(self, command: str) -> None:
        word, _, rest = command.partition(" ")
        if word == "echo":
            self._answers += b"< echo >"
        elif word == "open" and rest.strip() == self._hub.name:
            self._opened = True
            self._answers += b"< ok >"
        elif word == "open":
            self._answers += f"< error no bus {rest.strip()!r}: this is {self._hub.name} >".encode()
        elif word == "rawmode" and self._opened:
            self.quiet_until_s = self._wall.now() + QUIET_AFTER_RAWMODE_S
            self._node = self._node or self._hub.attach("socketcand client", self._from_bus)
            self._answers += b"< ok >"
        elif word == "send" and self._node is not None:
            frame = parse_send(rest)
            if frame is None:
                self._answers += f"< error cannot send {rest.strip()!r} >".encode()
            else:
                # On the clock, so that the virtual BMS hears everything in the thread that moves its time.
                self._hub.clock.at(self._arrival_s(), partial(self._to_bus, frame), rank=Rank.CAN)
        else:
            self._answers += f"< error unknown command {word!r} >".encode()

    def _to_bus(self, frame: CanFrame) -> None:
        assert self._node is not None
        try:
            self._node.send(frame)
        except ConnectionError:
            if not self.gone:
                self._put(f"< error {NO_ACKNOWLEDGE} {self._hub.clock.now():.6f} >")

    def _from_bus(self, frame: CanFrame) -> None:
        ident = f"{frame.can_id:08X}" if frame.extended else f"{frame.can_id:03X}"
        self._put(f"< frame {ident} {frame.at_s:.6f} {frame.data.hex().upper()} >")

    def _put(self, text: str) -> None:
        with self._lock:
            if len(self._frames) + len(self._answers) > MOST_WAITING:
                self.gone = True
            else:
                self._frames += text.encode()
        self._stir()


def parse_send(text: str) -> CanFrame | None:
    """Read `ID LENGTH BYTES` in hexadecimal; three digits of ID are a standard frame, eight an extended one."""
    words = text.split()
    try:
        can_id, length = int(words[0], 16), int(words[1], 16)
        data = bytes(int(word, 16) for word in words[2:])
    except (IndexError, ValueError):
        return None
    extended = len(words[0]) == 8
    fits = 0 <= can_id <= (0x1FFFFFFF if extended else 0x7FF)
    if not fits or length != len(data) or length > 8:
        return None
    return CanFrame(0.0, can_id, data, extended=extended)
