"""From an adapter's time stamps to the bench's clock.

An adapter, or another computer that serves a bus, stamps frames with a clock of its own: better spaced than our
time of reading, but with an unknown zero. A frame is never read before it was on the bus, so the smallest
difference (reading minus stamp) of the last seconds is the best estimate of that zero.
"""

from __future__ import annotations

WINDOW_S = 10.0  # two clocks that differ by 100 ppm drift 1 ms apart in this time


class StampConverter:
    """Converts stamps; keeps the smallest difference of the present and the previous window."""

    def __init__(self) -> None:
        self._current: float | None = None
        self._previous: float | None = None
        self._window_ends_s = 0.0

    def to_bench(self, stamp_s: float | None, now_s: float) -> float:
        """Return when the frame was on the bus, in seconds of the bench's clock.

        A missing stamp (None or 0, which is what adapters without a clock give) means the time of reading.
        """
        if not stamp_s:
            return now_s
        difference = now_s - stamp_s
        if self._current is None or now_s >= self._window_ends_s:
            self._previous, self._current = self._current, difference
            self._window_ends_s = now_s + WINDOW_S
        self._current = min(self._current, difference)
        zero = self._current if self._previous is None else min(self._current, self._previous)
        return min(stamp_s + zero, now_s)
