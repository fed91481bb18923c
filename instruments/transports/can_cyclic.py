"""Cyclic CAN messages on the bench's clock.

python-can uses a thread per message, and after a stall sends the missed frames back to back, which a BMS that
supervises the cycle time rightly calls a fault. Here a missed slot is skipped, and counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bench.clock import Clock, Rank, to_ns
from bench.frames import CanFrame


class CyclicMessage:
    """A message that is sent every period until `stop()`. A missed slot is skipped and counted."""

    def __init__(self, try_send: Callable[[CanFrame], bool], clock: Clock, frame: CanFrame, period_s: float) -> None:
        self._try_send, self._clock = try_send, clock
        self._frame = frame
        self._period_ns = to_ns(period_s)
        self._start_ns = clock.now_ns()
        self._slot = 0
        self.sent = 0
        self.skipped = 0
        self.refused = 0
        self._send()
        self._tick = clock.every(period_s, self._on_grid, rank=Rank.CAN)

    def update(self, data: bytes) -> None:
        """Send this from the next slot on; the grid stays."""
        self._frame = replace(self._frame, data=data)

    def stop(self) -> None:
        """Send no more."""
        self._tick.cancel()

    def _on_grid(self) -> None:
        slot = (self._clock.now_ns() - self._start_ns) // self._period_ns
        self.skipped += max(0, slot - self._slot - 1)
        self._slot = max(slot, self._slot + 1)
        self._send()

    def _send(self) -> None:
        # A send that fails (no other node yet, or the BMS is off) is evidence for `prove`, not the end of the run.
        if self._try_send(self._frame):
            self.sent += 1
        else:
            self.refused += 1
