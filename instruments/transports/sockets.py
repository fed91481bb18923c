"""A TCP socket as the bench uses it: with a time-out, on the wall and in simulated time."""

from __future__ import annotations

import functools
import os
import select
import socket
import struct
from collections.abc import Callable

from bench.clock import Clock

_CHUNK = 4096  # more is allocated anew for every read
_SLICE_S = 0.005
# A busy neighbour must never look like a silent instrument, so a simulated run waits at least this long on
# the wall before it believes in a silence that was not announced.
_SIMULATED_WALL_S = 5.0


class TimedSocket:
    """A connected socket. `waits()` is true when reading would return at once: bytes, or a closed connection."""

    def __init__(self, sock: socket.socket, clock: Clock, timeout_s: float) -> None:
        self._sock = sock
        self._clock = clock
        self._simulated = clock.simulated
        self._port: int = sock.getpeername()[1]
        self._timeout_s = 0.0
        _tune(sock)
        self._set_timeout(timeout_s)
        self.waits: Callable[[], object] = self._select
        if hasattr(select, "poll"):  # not on Windows; costs half of select
            poll = select.poll()
            poll.register(sock, select.POLLIN)
            self.waits = functools.partial(poll.poll, 0)

    def send(self, data: bytes) -> None:
        """Send all bytes; in a simulated run they are served before this returns."""
        try:
            self._sock.sendall(data)
        except BlockingIOError as problem:
            raise TimeoutError from problem
        if self._simulated:
            self._clock.serve()

    def receive(self, timeout_s: float) -> bytes:
        """Wait for bytes and return them; `b""` means that the peer has closed.

        Raises:
            TimeoutError: nothing came, or the virtual instrument announced that nothing will come.
        """
        if self._simulated:
            return self._receive_simulated(timeout_s)
        if timeout_s != self._timeout_s:
            self._set_timeout(timeout_s)
        try:
            return self._sock.recv(_CHUNK)
        except BlockingIOError:
            raise TimeoutError from None

    def unasked(self) -> bytes | None:
        """Return bytes that nobody asked for, `b""` if the peer has closed, None if all is quiet."""
        return self._sock.recv(_CHUNK) if self.waits() else None

    def _receive_simulated(self, timeout_s: float) -> bytes:
        clock = self._clock
        announced = False
        for _ in range(int(max(timeout_s, _SIMULATED_WALL_S) / _SLICE_S)):
            if self.waits():
                return self._sock.recv(_CHUNK)
            if clock.is_silent(self._port):
                announced = True
                break
            select.select((self._sock,), (), (), _SLICE_S)
        clock.spend(timeout_s)
        # An answer that the instrument gave while this time passed came in time.
        if announced and self.waits():
            return self._sock.recv(_CHUNK)
        raise TimeoutError

    def _select(self) -> object:
        return select.select((self._sock,), (), (), 0)[0]

    def _set_timeout(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        if os.name != "posix":
            self._sock.settimeout(timeout_s)
            return
        # Python's own time-out costs one more system call per message; the kernel's costs nothing.
        self._sock.setblocking(True)
        value = struct.pack("ll", int(timeout_s), max(1, int(timeout_s % 1.0 * 1e6)))
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)


def _tune(sock: socket.socket) -> None:
    """Send at once (Nagle against a delayed acknowledge costs 44 ms), and let the system probe idle links."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 3), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
