"""One CAN frame, as a word that everybody shares."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CanFrame:
    """A CAN frame with the time at which it was on the bus.

    `at_s` counts from the start of the clock that is in use (recordings: as written in the file).
    `outgoing` frames were sent by the bench.
    """

    at_s: float
    can_id: int
    data: bytes
    extended: bool = False
    outgoing: bool = False
    error: bool = False
    channel: str = ""

    def __str__(self) -> str:
        ident = f"{self.can_id:08X}" if self.extended else f"{self.can_id:03X}"
        return f"{ident}  {self.data.hex(' ').upper()}"
