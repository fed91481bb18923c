"""A piece of cable that can go wrong: a relay of TCP connections, in a thread of the process that tortures.

Healthy it passes every byte on. `cut` ends all connections without a farewell and lets nobody in; `swallow` keeps
them and passes nothing more, in either direction; `garbage` spoils bytes of what comes from the instrument.
"""

from __future__ import annotations

import contextlib
import random
import selectors
import socket
import struct
import threading

SPOILT = 0.5  # share of the answers in which a byte is wrong


class Proxy:
    """One listener on loopback in front of one port of the lab."""

    def __init__(self, upstream: tuple[str, int], seed: int) -> None:
        self.mode = "pass"
        self._upstream = upstream
        self._rng = random.Random(f"torture proxy {seed}")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._other: dict[socket.socket, tuple[socket.socket, bool]] = {}  # the other end, and whether this is a client
        self._closing = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True, name="torture-proxy")
        self._thread.start()

    def set(self, mode: str) -> None:
        """Go wrong, or be whole again (`pass`)."""
        with self._lock:
            self.mode = mode
            if mode == "cut":
                for sock in list(self._other):
                    self._drop(sock)

    def close(self) -> None:
        """End every connection."""
        self._closing = True
        self._thread.join(5.0)
        with self._lock:
            for sock in list(self._other):
                self._drop(sock)
        self._listener.close()
        self._selector.close()

    def _run(self) -> None:
        while not self._closing:
            for key, _ in self._selector.select(0.05):
                with self._lock:
                    if key.fileobj is self._listener:
                        self._accept()
                    elif isinstance(key.fileobj, socket.socket) and key.fileobj in self._other:
                        self._pass_on(key.fileobj)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        if self.mode == "cut":
            _reset(client)
            return
        try:
            there = socket.create_connection(self._upstream, timeout=2.0)
        except OSError:
            _reset(client)
            return
        for sock, other, is_client in ((client, there, True), (there, client, False)):
            sock.settimeout(2.0)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._other[sock] = (other, is_client)
            self._selector.register(sock, selectors.EVENT_READ)

    def _pass_on(self, sock: socket.socket) -> None:
        other, is_client = self._other[sock]
        try:
            data = sock.recv(65536)
            if not data:
                self._drop(sock)
                return
            if self.mode == "swallow":
                return
            if self.mode == "garbage" and not is_client and self._rng.random() < SPOILT:
                spoilt = bytearray(data)
                for _ in range(self._rng.choice((1, 1, 2, len(data)))):
                    spoilt[self._rng.randrange(len(data))] = self._rng.randrange(256)
                data = bytes(spoilt)
            other.sendall(data)
        except OSError:
            self._drop(sock)

    def _drop(self, sock: socket.socket) -> None:
        if sock not in self._other:  # went with its other end
            return
        for end in (sock, self._other[sock][0]):
            if self._other.pop(end, None) is not None:
                self._selector.unregister(end)
                _reset(end)


def _reset(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
