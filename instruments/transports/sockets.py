"""Bytes from a TCP socket, on the wall and in simulated time."""

from __future__ import annotations

import select
import socket

from bench.clock import Clock

_SLICE_S = 0.005
# A busy neighbour must never look like a silent instrument, so a simulated run waits at least this long on
# the wall before it believes in a silence that was not announced.
_SIMULATED_WALL_S = 5.0


def tune_socket(sock: socket.socket) -> None:
    """Send at once (Nagle against a delayed acknowledge costs 44 ms), and let the system probe idle links."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 3), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def unasked(sock: socket.socket) -> bytes | None:
    """Return bytes that nobody asked for, `b""` if the peer has closed, None if all is quiet."""
    readable, _, _ = select.select((sock,), (), (), 0)
    return sock.recv(65536) if readable else None


def receive(sock: socket.socket, clock: Clock, port: int, timeout_s: float) -> bytes:
    """Wait for bytes and return them; `b""` means that the peer has closed.

    Raises:
        TimeoutError: nothing came, or the virtual instrument announced that nothing will come.
    """
    if not clock.simulated:
        sock.settimeout(timeout_s)
        return sock.recv(65536)
    announced = False
    for _ in range(int(max(timeout_s, _SIMULATED_WALL_S) / _SLICE_S)):
        if select.select((sock,), (), (), 0)[0]:
            return sock.recv(65536)
        if clock.is_silent(port):
            announced = True
            break
        select.select((sock,), (), (), _SLICE_S)
    clock.spend(timeout_s)
    # An answer that the instrument gave while this time passed came in time.
    if announced and select.select((sock,), (), (), 0)[0]:
        return sock.recv(65536)
    raise TimeoutError
