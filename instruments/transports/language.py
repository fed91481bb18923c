"""What a language adds to a conversation: how to connect, to ask who answers, and to look at what waits."""

from __future__ import annotations

from abc import ABC, abstractmethod

from bench.errors import ConnectionLost
from instruments.transports.address import Address


class Language(ABC):
    """The half of a `Wire` that differs between lines of text and Modbus frames."""

    name: str
    address: Address

    @property
    def where(self) -> str:
        """The instrument and its address, for messages."""
        return f"{self.name} at {self.address}"

    def lost(self, why: str) -> ConnectionLost:
        """Close, and make the error that says so."""
        self._disconnect()
        return ConnectionLost(f"{self.where}: {why}; is the instrument on, is the address right?")

    @property
    @abstractmethod
    def is_open(self) -> bool:
        """True while there is a connection that is in step."""

    @abstractmethod
    def _connect(self) -> None:
        """Open the connection, or raise `ConnectionLost` naming host and port."""

    @abstractmethod
    def _disconnect(self) -> None:
        """Close the connection if there is one; never raises for a broken one."""

    @abstractmethod
    def _who(self) -> str:
        """Ask who answers, with `exchange`; called right after connecting."""

    @abstractmethod
    def _is_quiet(self) -> bool:
        """True while there is a connection, and nothing waits there to be read."""

    @abstractmethod
    def _is_stale(self) -> bool:
        """Look at the connection before a message: drop unasked bytes, say whether the peer has closed."""

    @abstractmethod
    def _listen(self, seconds: float) -> None:
        """Drop what arrives in this time: the pause between two messages where the clock cannot be slept on."""
