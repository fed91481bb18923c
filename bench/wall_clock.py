"""Real time, with the same callbacks on scheduler threads; the contract is written in `bench.clock`."""

from __future__ import annotations

import datetime
import heapq
import threading
import time
from collections.abc import Callable

from bench.clock import NS, ClockMisuse, Rank, Tick, to_ns

# All other callbacks share one thread.
THREADS = {Rank.CAN: "bmsbench-can", Rank.LINK: "bmsbench-link", Rank.SLOW: "bmsbench-slow"}

LONGEST_WAIT_S = 0.5  # on Windows nothing interrupts a wait for a lock: Ctrl-C is seen between two of them


def utc_now() -> str:
    """Return the date and time in UTC, ISO 8601, for records: the only reading of the calendar."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def unix_time_s() -> float:
    """Return the time of day in seconds, for what several processes must be able to compare."""
    return time.time()


def machine_time_s() -> float:
    """Return this machine's time since it was started, in seconds: the same in all its processes, never set back.

    Where the platform can tell (Linux, Windows) it goes on while the machine sleeps.
    """
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


class WallClock:
    """Real time. Callbacks run on one scheduler thread; cyclic CAN messages, polls of links and slow looks on one each.

    A hung instrument can so block the bench's own sampling, but never starve the BMS of its state request; and neither
    a silent BMS, whose every poll lasts until its time-out, nor a scan of the cells keeps the guard's watch waiting.
    A callback that raises stops all callbacks of its thread, and its exception is raised at the owner's next sleep;
    so a watch that fails leaves the BMS its state request until the way out has asked it to open. The owner is the
    thread that made the clock: another one that sleeps, in a step of the way out, must not take the news from it.
    """

    simulated = False

    def __init__(self) -> None:
        self._zero_ns = time.monotonic_ns()
        self._changed = threading.Condition()
        self._heaps: dict[str, list[tuple[int, int, int, Tick]]] = {}  # thread -> what it is to call
        self._threads: dict[str, threading.Thread] = {}
        self._order = 0
        self._problem: BaseException | None = None
        self._closed = False
        self._owner = threading.get_ident()
        self._inside = threading.local()

    @property
    def in_callback(self) -> bool:
        """True while the calling thread is inside one of this clock's callbacks."""
        return bool(getattr(self._inside, "callback", False))

    def now(self) -> float:
        """Return the seconds since the clock began."""
        return self.now_ns() / NS

    def now_ns(self) -> int:
        """Return the nanoseconds since the clock began."""
        return time.monotonic_ns() - self._zero_ns

    def sleep(self, seconds: float) -> None:
        """Wait; see `Clock.sleep`."""
        if not seconds >= 0:
            raise ValueError(f"cannot sleep for {seconds!r} s")
        self._wait_until(self.now_ns() + to_ns(seconds))

    def sleep_until(self, at_s: float) -> None:
        """Wait until the given instant; see `Clock.sleep_until`."""
        self._wait_until(to_ns(at_s))

    def every(self, period_s: float, callback: Callable[[], None], *, rank: Rank = Rank.CALLBACK) -> Tick:
        """Call back on an absolute grid, first after one period."""
        period_ns = to_ns(period_s)
        if period_ns <= 0:
            raise ValueError(f"a period must be positive, not {period_s!r} s")
        return self._push(self.now_ns() + period_ns, callback, rank, period_ns)

    def at(self, at_s: float, callback: Callable[[], None], *, rank: Rank = Rank.CALLBACK) -> Tick:
        """Call back once at the given instant."""
        return self._push(to_ns(at_s), callback, rank, 0)

    def spend(self, seconds: float) -> None:
        """Nothing: on the wall the time has passed already."""

    def settle(self) -> None:
        """Nothing: on the wall the time has passed already."""

    def serve(self) -> None:
        """Nothing: virtual instruments in another process serve themselves."""

    def forget_silence(self, port: int) -> None:
        """Nothing: real instruments do not announce their silence."""

    def is_silent(self, port: int) -> bool:
        """Real instruments do not announce their silence."""
        return False

    def close(self) -> None:
        """Stop the scheduler threads; a callback that hangs is left behind after 2 s."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads.values():
            if thread is not threading.current_thread():
                thread.join(2.0)

    def take_problem(self) -> BaseException | None:
        """Return what a callback raised and nobody has been told yet; it is then told."""
        with self._changed:
            problem, self._problem = self._problem, None
            return problem

    def _push(self, due_ns: int, callback: Callable[[], None], rank: Rank, period_ns: int) -> Tick:
        name = THREADS.get(rank, "bmsbench-clock")
        with self._changed:
            if self._closed:
                raise ClockMisuse("the clock is closed")
            self._order += 1
            tick = Tick(callback, rank, period_ns, self._order)
            heapq.heappush(self._heaps.setdefault(name, []), (due_ns, int(rank), tick.order, tick))
            if name not in self._threads:
                thread = threading.Thread(target=self._schedule, args=(self._heaps[name],), name=name, daemon=True)
                self._threads[name] = thread
                thread.start()
            self._changed.notify_all()
            return tick

    def _wait_until(self, target_ns: int) -> None:
        if self.in_callback:
            raise ClockMisuse("a callback must not sleep: leave the rest to the next tick")
        owner = threading.get_ident() == self._owner
        with self._changed:
            while True:
                if owner and (problem := self.take_problem()) is not None:
                    raise problem
                remaining_ns = target_ns - self.now_ns()
                if remaining_ns <= 0:
                    return
                self._changed.wait(min(remaining_ns / NS, LONGEST_WAIT_S))

    def _schedule(self, heap: list[tuple[int, int, int, Tick]]) -> None:
        self._inside.callback = True
        while True:
            with self._changed:
                if self._closed:
                    return
                if not heap:
                    self._changed.wait()
                    continue
                due_ns, rank, order, tick = heap[0]
                wait_ns = due_ns - self.now_ns()
                if wait_ns > 0 and not tick.cancelled:
                    self._changed.wait(wait_ns / NS)
                    continue
                heapq.heappop(heap)
                if tick.cancelled:
                    continue
                if tick.period_ns:
                    # A missed slot is skipped, never sent back to back: a supervised BMS would object.
                    missed = max(0, -wait_ns // tick.period_ns)
                    due_ns += (missed + 1) * tick.period_ns
                    if due_ns - self.now_ns() < tick.period_ns // 2:  # it runs late now: not again at once
                        due_ns += tick.period_ns
                    heapq.heappush(heap, (due_ns, rank, order, tick))
            try:
                tick.callback()
            except BaseException as problem:  # noqa: BLE001 - handed to the owner at its next sleep
                with self._changed:
                    self._problem = self._problem or problem
                    for _, _, _, other in heap:
                        other.cancelled = True
                    heap.clear()
                    self._changed.notify_all()
