"""Time that moves only when somebody sleeps; the contract is written in `bench.clock`."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable

from bench.clock import NS, ClockMisuse, Rank, Tick, to_ns


class SimulatedClock:
    """Time that moves only when somebody sleeps, in the sleeper's thread."""

    simulated = True

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._now_ns = 0
        self._heap: list[tuple[int, int, int, Tick]] = []
        self._order = 0
        self._owner = threading.get_ident()
        self._in_callback = False
        self._servers: list[Callable[[], None]] = []
        self._owed_ns = 0
        self._silent: set[int] = set()

    @property
    def in_callback(self) -> bool:
        """True while the calling thread is inside one of this clock's callbacks."""
        return self._in_callback and threading.get_ident() == self._owner

    def adopt(self) -> None:
        """Make the calling thread the one that moves time."""
        self._owner = threading.get_ident()

    def now(self) -> float:
        """Return the simulated seconds since the clock began."""
        return self._now_ns / NS

    def now_ns(self) -> int:
        """Return the simulated nanoseconds since the clock began."""
        return self._now_ns

    def sleep(self, seconds: float) -> None:
        """Let simulated time pass; see `Clock.sleep`."""
        if not seconds >= 0:
            raise ValueError(f"cannot sleep for {seconds!r} s")
        self._run_until(self._now_ns + to_ns(seconds))

    def sleep_until(self, at_s: float) -> None:
        """Let simulated time pass until the given instant; see `Clock.sleep_until`."""
        self._run_until(max(self._now_ns, to_ns(at_s)))

    def every(self, period_s: float, callback: Callable[[], None], *, rank: Rank = Rank.CALLBACK) -> Tick:
        """Call back on an absolute grid, first after one period."""
        period_ns = to_ns(period_s)
        if period_ns <= 0:
            raise ValueError(f"a period must be positive, not {period_s!r} s")
        return self._push(self._now_ns + period_ns, callback, rank, period_ns)

    def at(self, at_s: float, callback: Callable[[], None], *, rank: Rank = Rank.CALLBACK) -> Tick:
        """Call back once at the given instant; one in the past runs at the next sleep."""
        return self._push(max(self._now_ns, to_ns(at_s)), callback, rank, 0)

    def spend(self, seconds: float) -> None:
        """Let time pass for the caller's own command, but not inside a callback."""
        if seconds > 0 and not self.in_callback:
            self.sleep(seconds)

    def owe(self, seconds: float) -> None:
        """Called by a virtual instrument while it serves: the command would have taken this long."""
        with self.lock:
            self._owed_ns += to_ns(seconds)

    def settle(self) -> None:
        """Spend what the virtual instruments of this process are owed since the last call."""
        with self.lock:
            owed_ns, self._owed_ns = self._owed_ns, 0
        if owed_ns:
            self.spend(owed_ns / NS)

    def add_server(self, serve_pending: Callable[[], None]) -> None:
        """Register what serves the bytes already sent to virtual instruments."""
        self._servers.append(serve_pending)

    def serve(self) -> None:
        """Serve every byte already sent."""
        for serve_pending in self._servers:
            serve_pending()

    def announce_silence(self, port: int) -> None:
        """Called by a virtual instrument that will not answer the query it just read."""
        with self.lock:
            self._silent.add(port)

    def forget_silence(self, port: int) -> None:
        """Forget an announcement made before the query that comes now."""
        with self.lock:
            self._silent.discard(port)

    def is_silent(self, port: int) -> bool:
        """Say whether this port announced that no answer will come."""
        with self.lock:
            return port in self._silent

    def close(self) -> None:
        """Drop all events."""
        with self.lock:
            self._heap.clear()
            self._servers.clear()

    def _push(self, due_ns: int, callback: Callable[[], None], rank: Rank, period_ns: int) -> Tick:
        rank = min(rank, Rank.CALLBACK)  # here neither a link's poll nor a slow look can hold anybody up
        with self.lock:
            self._order += 1
            tick = Tick(callback, rank, period_ns, self._order)
            heapq.heappush(self._heap, (due_ns, int(rank), tick.order, tick))
            return tick

    def _run_until(self, target_ns: int) -> None:
        if threading.get_ident() != self._owner:
            raise ClockMisuse("simulated time moves only in the thread that owns the clock")
        if self._in_callback:
            raise ClockMisuse("a callback must not sleep: leave the rest to the next tick")
        unserved = True  # only the caller's thread and callbacks write, so nothing new comes in between
        while True:
            if unserved:
                self.serve()
                unserved = False
            with self.lock:
                tick = self._next_until(target_ns)
                if tick is None:
                    self._now_ns = target_ns
                    return
                if tick.rank is not Rank.CALLBACK:
                    self._call(tick)
                    continue
            self._call(tick)
            unserved = True

    def _call(self, tick: Tick) -> None:
        self._in_callback = True
        try:
            tick.callback()
        finally:
            self._in_callback = False

    def _next_until(self, target_ns: int) -> Tick | None:
        """Take the next event that is due, move time to it and put its successor on the grid."""
        heap = self._heap
        while heap and heap[0][0] <= target_ns:
            due_ns, rank, order, tick = heap[0]
            if tick.cancelled:
                heapq.heappop(heap)
                continue
            if tick.period_ns:
                heapq.heapreplace(heap, (due_ns + tick.period_ns, rank, order, tick))
            else:
                heapq.heappop(heap)
            self._now_ns = max(self._now_ns, due_ns)
            return tick
        return None
