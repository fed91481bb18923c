"""What a face sees of its connection: bytes in, bytes out, and a few things beside answering."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from bench.simulated_clock import SimulatedClock


class Wire:
    """What a session may do beside answering. The server hands it over as `session.wire`."""

    def __init__(
        self,
        clock: SimulatedClock,
        port: int,
        send: Callable[[bytes], None],
        drop: Callable[[bool], None],
    ) -> None:
        self._clock = clock
        self._send = send
        self._drop = drop
        self.port = port
        # How the client ended it, set before the session is told; empty: the instrument ended it itself.
        self.ended: Literal["", "closed", "reset"] = ""

    def silence(self) -> None:
        """Announce that the message just read will not be answered."""
        self._clock.announce_silence(self.port)

    def owe(self, seconds: float) -> None:
        """Say that a real instrument would have taken this long."""
        self._clock.owe(seconds)

    def send(self, data: bytes) -> None:
        """Send something later than the message that asked for it; nothing if the client has gone."""
        self._send(data)

    def drop(self, *, reset: bool = False) -> None:
        """Close the connection, with `reset` as a crashed instrument does."""
        self._drop(reset)


class Session(Protocol):
    """One connection to one face."""

    wire: Wire  # set by the server before the first byte

    @property
    def max_connections(self) -> int:
        """How many connections the port takes now; further ones are closed at once."""

    def feed(self, data: bytes) -> bytes:
        """Take what was received and return what is to be sent; called under the clock's lock."""

    def closed(self) -> None:
        """The connection has ended, by either side."""
