"""Comparators: tell somebody at the very moment at which the current comes through a level.

Between two changes the current is a closed formula, so the moment is worked out (to 0.1 ns), put on the clock, and the
callback runs at the first whole nanosecond at which the level is passed, before anybody else does anything then. Where
the current jumps (a switch closes onto a short) that is the same nanosecond. Nobody polls: a watch costs one event per
stretch of the circuit's solution, and changes nothing in it.

Not simulated: delay, hysteresis, filter and offset of a real comparator; who uses it adds its own. An excursion that
begins and ends inside one nanosecond is not seen.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, inf, nextafter
from typing import TYPE_CHECKING, Literal

from bench.clock import NS, Clock, Rank, Tick, to_ns
from instruments.virtual.circuit_history import Piece, crossing_s

if TYPE_CHECKING:
    from instruments.virtual.circuit_flow import Flow

Way = Literal["both", "charge", "discharge"]


class CurrentWatch:
    """One level, a magnitude in amperes. It is `above` from the moment of a callback until it falls below again."""

    def __init__(
        self,
        owner: Watches,
        level_a: float,
        rises: Callable[[], None],
        falls: Callable[[], None] | None,
        way: Way,
    ) -> None:
        if not 0.0 < level_a < inf:
            raise ValueError(f"virtual circuit, watch: {level_a!r} A is not a magnitude above 0")
        if way not in ("both", "charge", "discharge"):
            raise ValueError(f"virtual circuit, watch: direction {way!r} is none of both, charge, discharge")
        self._owner = owner
        self.level_a, self.rises, self.falls = level_a, rises, falls
        self.signs = {"both": (1.0, -1.0), "charge": (1.0,), "discharge": (-1.0,)}[way]
        self.above = False
        self.since_ns: int | None = None  # when it rose, while it is above

    def cancel(self) -> None:
        """Watch no longer; twice is once."""
        self._owner.drop(self)

    def passed(self, current_a: float) -> bool:
        """Whether a current reaches the level."""
        return any(sign * current_a >= self.level_a for sign in self.signs)

    def next_s(self, piece: Piece, from_s: float) -> float:
        """Return when inside a piece it will change sides, in seconds from the piece's start, or infinity."""
        moments = (crossing_s(piece, sign * self.level_a, self._towards(sign), from_s) for sign in self.signs)
        return min((moment for moment in moments if moment is not None), default=inf)

    def _towards(self, sign: float) -> bool:
        """Whether the current rises when it comes to the other side of this sign's level."""
        return (sign > 0.0) is not self.above


class Watches:
    """All levels that somebody watches in one circuit."""

    def __init__(self, flow: Flow, clock: Clock) -> None:
        self._flow, self._clock = flow, clock
        self._watches: list[CurrentWatch] = []
        self._tick: Tick | None = None

    def add(
        self, level_a: float, rises: Callable[[], None], falls: Callable[[], None] | None, way: Way
    ) -> CurrentWatch:
        """Watch a level from now on; a current that is beyond it already calls at once, in this nanosecond."""
        watch = CurrentWatch(self, level_a, rises, falls, way)
        self._watches.append(watch)
        self.plan()
        return watch

    def drop(self, watch: CurrentWatch) -> None:
        """Watch a level no longer."""
        if watch in self._watches:
            self._watches.remove(watch)
            self.plan()

    def plan(self) -> None:
        """Put the next moment at which somebody must look on the clock; the circuit calls it after every change."""
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        if not self._watches:
            return
        now_ns, flow = self._clock.now_ns(), self._flow
        flow.catch_up()
        if any(watch.passed(flow.current_a) is not watch.above for watch in self._watches):
            due_ns = now_ns
        else:
            piece, end_ns = flow.ahead()
            from_s = min(piece.at_s(now_ns), piece.length_s)
            next_s = min(watch.next_s(piece, from_s) for watch in self._watches)
            due_ns = end_ns
            if next_s < piece.length_s:
                due_ns = min(due_ns, piece.start_ns + ceil((piece.start_s + next_s) * 1e9))
            due_ns = max(due_ns, now_ns + 1)
        at_s = due_ns / NS
        while to_ns(at_s) < due_ns:  # after months of simulated time seconds no longer tell every nanosecond
            at_s = nextafter(at_s, inf)
        self._tick = self._clock.at(at_s, self._look, rank=Rank.PHYSICS)

    def _look(self) -> None:
        self._tick = None
        flow, now_ns = self._flow, self._clock.now_ns()
        flow.catch_up()
        for watch in list(self._watches):
            # Asked anew for each: what an earlier callback changed is so for the later ones too.
            above = watch.passed(flow.current_a)
            if watch not in self._watches or above is watch.above:
                continue
            watch.above, watch.since_ns = above, now_ns if above else None
            call = watch.rises if above else watch.falls
            if call is not None:
                call()
        self.plan()
