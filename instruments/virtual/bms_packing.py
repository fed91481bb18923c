"""The virtual BMS's own bit packer for CAN: start, length and byte order of a database entry to bytes.

Only the table comes from the database file; cantools' encoder has no part in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.errors import DefinitionError
from bench.frames import CanFrame

Encoder = Callable[[], int]


def place(start: int, length: int, big_endian: bool, size: int) -> int:
    """Return how far a field is shifted in a message of `size` bytes, read as one integer in its byte order.

    DBC counts bits of a byte from the least significant one. A big-endian field starts at its most significant
    bit and goes on in the next byte's most significant bit.
    """
    if not big_endian:
        return start
    first = 8 * (start // 8) + (7 - start % 8)
    return 8 * size - (first + length)


class Payload:
    """One message with one multiplexer value: what to put where."""

    __slots__ = ("_big", "_fixed_big", "_fixed_little", "_little", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self._big: list[tuple[Encoder, int]] = []
        self._little: list[tuple[Encoder, int]] = []
        self._fixed_big = self._fixed_little = 0

    def add(self, entry: Any, encode: Encoder) -> None:
        """Put a signal of the database where it belongs.

        Raises:
            DefinitionError: it does not fit into the message.
        """
        big = entry.byte_order == "big_endian"
        shift = place(entry.start, entry.length, big, self.size)
        if shift < 0 or shift + entry.length > 8 * self.size:
            raise DefinitionError(f"database: signal {entry.name!r} does not fit into its {self.size} bytes")
        (self._big if big else self._little).append((encode, shift))

    def add_fixed(self, entry: Any, raw: int) -> None:
        """Put a number that never changes: the multiplexer."""
        big = entry.byte_order == "big_endian"
        shifted = (raw & ((1 << entry.length) - 1)) << place(entry.start, entry.length, big, self.size)
        if big:
            self._fixed_big |= shifted
        else:
            self._fixed_little |= shifted

    def pack(self) -> bytes:
        """Return the bytes with the values of now."""
        bits = self._fixed_big
        for encode, shift in self._big:
            bits |= encode() << shift
        if not (self._little or self._fixed_little):
            return bits.to_bytes(self.size, "big")
        low = self._fixed_little
        for encode, shift in self._little:
            low |= encode() << shift
        return bytes(
            a | b for a, b in zip(bits.to_bytes(self.size, "big"), low.to_bytes(self.size, "little"), strict=True)
        )


class Message:
    """A cyclic message: its payloads in turn."""

    def __init__(self, entry: Any, period_s: float) -> None:
        self.can_id: int = entry.frame_id
        self.extended: bool = entry.is_extended_frame
        self.name: str = entry.name
        self.period_s = period_s
        self.payloads: list[Payload] = []
        self.turn = 0

    @property
    def interval_s(self) -> float:
        """From one frame to the next, so that each multiplexer value renews once per period."""
        return self.period_s / len(self.payloads)

    def next_frame(self) -> CanFrame:
        """Return the next frame of the rotation."""
        payload = self.payloads[self.turn]
        self.turn = (self.turn + 1) % len(self.payloads)
        return CanFrame(0.0, self.can_id, payload.pack(), extended=self.extended)
