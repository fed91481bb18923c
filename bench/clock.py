"""Time is handed in: one clock for hardware, one for the virtual bench, the same contract.

Nothing else in the project sleeps or reads a clock. Integer nanoseconds inside, seconds outside.

The contract of simulated time:

- Time moves only inside `sleep`, `sleep_until` and `spend`, in the thread that owns the clock, event by event
  in the order (due, rank, registration).
- `sleep` inside a callback, or from another thread, raises. A callback's exception reaches the caller at the
  latest at its next sleep, under both clocks.
- Before time moves, and before each callback, every byte already sent to a virtual instrument is served
  (`add_server`), so that a write-only command is never overtaken by time.
- The lock is held per event and released for callbacks, so that a foreign client is served in a long sleep.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Protocol, runtime_checkable

NS = 1_000_000_000


def to_ns(seconds: float) -> int:
    """Convert seconds into integer nanoseconds."""
    return round(seconds * NS)


class ClockMisuse(RuntimeError):
    """A programming mistake: sleeping inside a callback, or from a thread that does not own the clock."""


class Rank(IntEnum):
    """Order of events that are due at the same nanosecond."""

    PHYSICS = 0
    BMS = 1
    INSTRUMENT = 2
    CAN = 3
    CALLBACK = 4
    LINK = 5  # a poll of the BMS: in simulated time a callback like any other, on the wall one that may hang for itself
    SLOW = 6  # a look that takes tenths of a second, at the cells for instance: on the wall nobody waits for it


class Tick:
    """A scheduled callback. `cancel()` ends it; a periodic one keeps an absolute grid."""

    __slots__ = ("callback", "cancelled", "order", "period_ns", "rank")

    def __init__(self, callback: Callable[[], None], rank: Rank, period_ns: int, order: int) -> None:
        self.callback = callback
        self.rank = rank
        self.period_ns = period_ns
        self.order = order
        self.cancelled = False

    def cancel(self) -> None:
        """Let it never run again."""
        self.cancelled = True


@runtime_checkable
class Clock(Protocol):
    """What a bench, a driver and a suite may know of time."""

    @property
    def simulated(self) -> bool:
        """True when time is made by this program."""

    @property
    def in_callback(self) -> bool:
        """True while the calling thread is inside one of this clock's callbacks."""

    def now(self) -> float:
        """Return the seconds since the clock began."""

    def now_ns(self) -> int:
        """Return the nanoseconds since the clock began."""

    def sleep(self, seconds: float) -> None:
        """Let the given time pass.

        Raises:
            ClockMisuse: called inside a callback, or from a thread that does not own a simulated clock.
        """

    def sleep_until(self, at_s: float) -> None:
        """Let time pass until the given instant; one in the past returns at once."""

    def every(self, period_s: float, callback: Callable[[], None], *, rank: Rank = Rank.CALLBACK) -> Tick:
        """Call back on an absolute grid, first after one period."""

    def at(self, at_s: float, callback: Callable[[], None], *, rank: Rank = Rank.CALLBACK) -> Tick:
        """Call back once at the given instant."""

    def spend(self, seconds: float) -> None:
        """Account for time that the caller's own command took: a time-out, a spacing, an integration.

        Simulated time moves by it, but not inside a callback; on the wall it has passed already.
        """

    def settle(self) -> None:
        """Spend what virtual instruments said (`owe`) the last command would have taken."""

    def serve(self) -> None:
        """Serve the bytes already sent to virtual instruments of this process; nothing on the wall."""

    def forget_silence(self, port: int) -> None:
        """Before a query: forget what this port announced earlier."""

    def is_silent(self, port: int) -> bool:
        """Say whether the virtual instrument behind this loopback port announced that it will not answer."""

    def close(self) -> None:
        """End all callbacks and threads."""


def wait_until(clock: Clock, reached: Callable[[], bool], *, timeout_s: float, poll_s: float = 0.01) -> float | None:
    """Return how long it took until `reached()` was true, in seconds, or None if it never was in time."""
    start_s = clock.now()
    while not reached():
        if clock.now() - start_s >= timeout_s:
            return None
        clock.sleep(poll_s)
    return clock.now() - start_s
