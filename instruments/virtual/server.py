"""The sockets of all virtual instruments of one bench, on one thread.

A face is a session: bytes in, bytes out. The server's own thread serves whoever writes at any time; the thread
that moves simulated time serves every byte already sent before time moves (`serve_pending`), so that a command
that expects no answer is never overtaken by time. Both do the same under the clock's lock.

Not simulated: bandwidth, fragmentation by a network, and anything below TCP.
"""

from __future__ import annotations

import errno
import os
import select
import selectors
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from bench.simulated_clock import SimulatedClock
from instruments.virtual.wire import Session, Wire

__all__ = ["FaceServer", "Session", "Wire"]

_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)
_ROUNDS = 1000  # a client that never stops writing must not stop time for ever
_LOOK_S = 0.02  # how often the thread looks after clients that the caller usually serves by himself


class _Listener:
    __slots__ = ("connections", "make_session", "name", "port", "sock")

    def __init__(self, name: str, sock: socket.socket, make_session: Callable[[], Session]) -> None:
        self.name = name
        self.sock = sock
        self.port: int = sock.getsockname()[1]
        self.make_session = make_session
        self.connections: set[_Connection] = set()


class _Connection:
    __slots__ = ("gone", "listener", "served_by_caller", "session", "sock")

    def __init__(self, listener: _Listener, sock: socket.socket, session: Session) -> None:
        self.listener = listener
        self.sock = sock
        self.session = session
        self.gone = False
        self.served_by_caller = False


class FaceServer:
    """Serves all faces of one bench: in its own thread, and in the thread that moves time."""

    def __init__(self, clock: SimulatedClock, *, host: str = "127.0.0.1") -> None:
        self.clock = clock
        self.host = host
        self._selector = selectors.DefaultSelector()
        self._waker, self._woken = socket.socketpair()
        self._woken.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ, None)
        # What the thread waits for: the same without the clients that whoever moves time serves by himself, and
        # faster. Waking up for each of their messages would cost as much as serving them.
        self._foreign = selectors.DefaultSelector()
        self._foreign.register(self._woken, selectors.EVENT_READ, None)
        self._listeners: dict[int, _Listener] = {}
        self._closing = threading.Event()
        self._problem: BaseException | None = None
        self._thread: threading.Thread | None = None
        clock.add_server(self.serve_pending)

    def listen(self, name: str, make_session: Callable[[], Session], *, port: int = 0) -> int:
        """Open a port for a face and return its number; 0 takes any free one.

        Raises:
            OSError: the port is in use or not allowed; the message names instrument, host and port.
        """
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            if os.name == "posix":  # on Windows this option would let two servers share one port
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((self.host, port))
            sock.listen(16)
        except OSError as problem:
            sock.close()
            raise OSError(
                problem.errno or errno.EADDRINUSE,
                f"virtual instrument {name!r} cannot listen on {self.host}:{port} ({problem.strerror}); "
                "is another bench running? Choose another port, or 0 for any free one",
            ) from problem
        sock.setblocking(False)
        listener = _Listener(name, sock, make_session)
        with self.clock.lock:
            self._listeners[listener.port] = listener
            self._selector.register(sock, selectors.EVENT_READ, listener)
            self._foreign.register(sock, selectors.EVENT_READ, listener)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="bmsbench-faces", daemon=True)
            self._thread.start()
        self._wake()
        return listener.port

    def serve_pending(self) -> None:
        """Serve every byte already sent, in the caller's thread.

        Raises:
            Exception: whatever a face raised since the last call, in either thread.
        """
        if self._closing.is_set():
            return
        with self.clock.lock:
            self._serve_ready(by_caller=True)
            if self._problem is not None:
                problem, self._problem = self._problem, None
                raise problem

    def drop_all(self, port: int) -> None:
        """Close every connection to a port as a power cut does: without a farewell where that is possible."""
        with self.clock.lock:
            for connection in list(self._listeners[port].connections):
                self.drop(connection, reset=True)

    def send(self, connection: _Connection, data: bytes) -> None:
        """Send bytes; a client that reads nothing for a second loses its connection, as with an instrument."""
        if connection.gone:
            return
        view = memoryview(data)
        while view:
            try:
                view = view[connection.sock.send(view) :]
            except BlockingIOError:
                if not select.select([], [connection.sock], [], 1.0)[1]:
                    self.drop(connection, reset=True)
                    return
            except OSError:  # the client has gone: nobody is left to be told
                connection.session.wire.ended = "reset"
                self.drop(connection)
                return

    def drop(self, connection: _Connection, reset: bool = False) -> None:
        """End a connection and tell its session; `reset` ends it without a farewell."""
        if connection.gone:
            return
        connection.gone = True
        connection.listener.connections.discard(connection)
        self._selector.unregister(connection.sock)
        if not connection.served_by_caller:
            self._foreign.unregister(connection.sock)
        if reset:
            linger = struct.pack("ii" if os.name == "posix" else "hh", 1, 0)
            with suppress(OSError):  # the client was quicker
                connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        try:
            connection.session.closed()  # before the client can see the end: what it then asks of the face holds
        finally:
            connection.sock.close()

    def close(self) -> None:
        """Stop the thread and close every socket; a second call does nothing."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._wake()
        if self._thread is not None:
            self._thread.join(5.0)
        with self.clock.lock:
            for listener in self._listeners.values():
                for connection in list(listener.connections):
                    self.drop(connection)
                self._selector.unregister(listener.sock)
                self._foreign.unregister(listener.sock)
                listener.sock.close()
            self._listeners.clear()
            self._selector.close()
            self._foreign.close()
            self._waker.close()
            self._woken.close()

    def _wake(self) -> None:
        self._waker.send(b"!")

    def _run(self) -> None:
        waiting = False
        while not self._closing.is_set():
            try:
                ready = self._foreign.select(_LOOK_S)
                # A client that the caller left waiting for two looks has become a foreign one.
                left = not ready and bool(self._selector.select(0))
            except OSError:  # Windows: another thread closed one of the sockets meanwhile
                continue
            if ready or (left and waiting):
                with self.clock.lock:
                    if not self._closing.is_set():
                        self._serve_ready(by_caller=False)
            waiting = left and not waiting

    def _serve_ready(self, *, by_caller: bool) -> None:
        """Serve until nothing is ready: first what was sent, then who wants to connect."""
        for _ in range(_ROUNDS):
            ready = self._selector.select(0)
            if not ready:
                return
            for key, _ in sorted(ready, key=lambda item: isinstance(item[0].data, _Listener)):
                data = key.data
                if isinstance(data, _Listener):
                    self._accept(data)
                elif data is None:
                    self._woken.recv(4096)
                elif not data.gone:
                    if data.served_by_caller is not by_caller:
                        self._hand_over(data, by_caller)
                    self._receive(data)

    def _hand_over(self, connection: _Connection, to_caller: bool) -> None:
        """Let the thread wait for a connection's bytes, or leave them to whoever moves time."""
        connection.served_by_caller = to_caller
        if to_caller:
            self._foreign.unregister(connection.sock)
        else:
            self._foreign.register(connection.sock, selectors.EVENT_READ, connection)

    def _accept(self, listener: _Listener) -> None:
        try:
            sock, _ = listener.sock.accept()
        except OSError:  # whoever knocked has left again, or the other thread let him in
            return
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            session = listener.make_session()
        except Exception as problem:  # noqa: BLE001 - a fault of the face: raised to whoever moves time next
            self._problem = self._problem or problem
            sock.close()
            return
        for other in list(listener.connections):  # a client that has left makes room for the next
            if len(listener.connections) >= session.max_connections:
                self._receive(other)
        if len(listener.connections) >= session.max_connections:
            sock.close()
            session.closed()
            return
        connection = _Connection(listener, sock, session)
        session.wire = Wire(self.clock, listener.port, partial(self.send, connection), partial(self.drop, connection))
        listener.connections.add(connection)
        self._selector.register(sock, selectors.EVENT_READ, connection)
        self._foreign.register(sock, selectors.EVENT_READ, connection)
        self._wake()  # a selector that copies its list (Windows) would not see the newcomer

    def _receive(self, connection: _Connection) -> None:
        try:
            data = connection.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            connection.session.wire.ended = "reset"
            self.drop(connection)
            return
        if not data:
            connection.session.wire.ended = "closed"
            self.drop(connection)
            return
        if _QUICKACK is not None:  # otherwise Nagle's rule hides the client's next bytes from `serve_pending`
            connection.sock.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        try:
            reply = connection.session.feed(data)
        except Exception as problem:  # noqa: BLE001 - a fault of the face: raised to whoever moves time next
            self._problem = self._problem or problem
            self.drop(connection, reset=True)
            return
        if reply and not connection.gone:
            self.send(connection, reply)
