"""What a virtual instrument calls its refusals, and the queue it keeps them in.

Numbers: SCPI 1999 volume 2, as far as the families served here use them.
"""

from __future__ import annotations

from collections import deque

from bench.errors import BenchError


class Refused(BenchError):
    """The virtual instrument does not do what it was told; `code` is the SCPI number it queues."""

    def __init__(self, code: int, modbus: int = 4) -> None:
        super().__init__(f"{code},{TEXTS.get(code, 'Execution error')}")
        self.code = code
        self.modbus = modbus  # what the same refusal is called on Modbus


TEXTS = {
    0: "No error",
    -100: "Command error",
    -102: "Syntax error",
    -108: "Parameter not allowed",
    -109: "Missing parameter",
    -113: "Undefined header",
    -115: "Cannot query",
    -131: "Invalid suffix",
    -200: "Execution error",
    -201: "Invalid while in local",
    -104: "Data type error",
    -211: "Trigger ignored",
    -213: "Init ignored",
    -214: "Trigger deadlock",
    -220: "Parameter error",
    -221: "Settings conflict",
    -222: "Data out of range",
    -223: "Too much data",
    -224: "Illegal parameter value",
    -225: "Out of memory",
    -230: "Data corrupt or stale",
    -350: "Queue overflow",
    -363: "Input buffer overrun",
    -410: "Query INTERRUPTED",
    -420: "Query UNTERMINATED",
}

_ESR_BIT = {1: 5, 2: 4, 3: 3, 4: 2}  # hundreds of the error number -> bit of the standard event register


class ErrorQueue:
    """First in, first out, of limited depth: what does not fit is lost and -350 takes the last place."""

    def __init__(self, depth: int, zero: str = '0,"No error"') -> None:
        self.depth = depth
        self.zero = zero
        self.event_status = 1 << 7  # power on
        self._codes: deque[int] = deque()

    def __len__(self) -> int:
        return len(self._codes)

    def push(self, code: int) -> None:
        """Queue an error number and set its bit of the standard event register."""
        self.event_status |= 1 << _ESR_BIT.get(-code // 100, 3)
        if len(self._codes) < self.depth:
            self._codes.append(code)
        else:
            self._codes[-1] = -350

    def take(self) -> str:
        """Return and remove the oldest entry, as text."""
        if not self._codes:
            return self.zero
        code = self._codes.popleft()
        return f'{code},"{TEXTS.get(code, "Device error")}"'

    def take_all(self) -> str:
        """Return and remove all entries, oldest first, as one text."""
        return ",".join([self.take() for _ in range(len(self._codes))]) or self.zero

    def take_event_status(self) -> int:
        """Return and clear the standard event register."""
        value, self.event_status = self.event_status, 0
        return value

    def clear(self) -> None:
        """Forget everything (`*CLS`)."""
        self._codes.clear()
        self.event_status = 0
