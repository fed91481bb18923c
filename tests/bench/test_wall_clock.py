"""The same contract on the wall: real threads, short times, generous bounds."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable, Iterator

import pytest

from bench.clock import Clock, ClockMisuse, Rank, wait_until
from bench.wall_clock import WallClock, utc_now


@pytest.fixture
def clock() -> Iterator[WallClock]:
    clock = WallClock()
    yield clock
    clock.close()


def wait_for(clock: WallClock, reached: Callable[[], bool]) -> None:
    """Wait for what must come, however busy this machine is."""
    assert wait_until(clock, reached, timeout_s=20.0) is not None


def threads_of_clocks() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("bmsbench-")}


def sleep_in_bits(clock: WallClock) -> None:
    for _ in range(100):
        clock.sleep(0.01)


def test_it_is_a_clock_and_real(clock: WallClock) -> None:
    assert isinstance(clock, Clock)
    assert clock.simulated is False


def test_sleep_lets_at_least_the_given_time_pass(clock: WallClock) -> None:
    begin_s = clock.now()
    clock.sleep(0.05)
    assert clock.now() - begin_s >= 0.05
    begin_s = clock.now()
    clock.sleep_until(begin_s - 1.0)
    clock.sleep_until(begin_s + 0.05)
    assert clock.now() >= begin_s + 0.05


@pytest.mark.parametrize("seconds", [-0.1, float("nan")])
def test_a_sleep_that_is_no_duration_is_refused(clock: WallClock, seconds: float) -> None:
    with pytest.raises(ValueError, match="cannot sleep"):
        clock.sleep(seconds)


def test_a_period_that_is_not_positive_is_refused(clock: WallClock) -> None:
    with pytest.raises(ValueError, match="period"):
        clock.every(0.0, lambda: None)


def test_callbacks_never_come_before_their_grid_and_do_not_drift(clock: WallClock) -> None:
    ticks: list[float] = []
    begin_s = clock.now()
    clock.every(0.1, lambda: ticks.append(clock.now()))
    wait_for(clock, lambda: len(ticks) >= 8)
    offsets = [(at_s - begin_s) % 0.1 for at_s in ticks]
    late = [at_s for at_s in offsets if at_s < 0.075]  # a busy machine may be late, but not on average
    assert len(late) > len(offsets) / 2
    assert ticks[0] - begin_s >= 0.1


def test_a_callback_at_an_instant_runs_once(clock: WallClock) -> None:
    ran: list[float] = []
    at_s = clock.now() + 0.05
    clock.at(at_s, lambda: ran.append(clock.now()))
    wait_for(clock, lambda: bool(ran))
    clock.sleep(0.2)
    assert len(ran) == 1
    assert ran[0] >= at_s


@pytest.mark.parametrize("hang_s", [0.44, 0.48])
def test_missed_slots_are_skipped_not_sent_back_to_back(clock: WallClock, hang_s: float) -> None:
    ticks: list[float] = []

    def slow_once() -> None:
        ticks.append(clock.now())
        if len(ticks) == 1:
            threading.Event().wait(hang_s)

    begin_s = clock.now()
    clock.every(0.1, slow_once)
    wait_for(clock, lambda: len(ticks) >= 4)
    assert len(ticks) <= (clock.now() - begin_s) / 0.1 - 3  # at least three slots were missed
    gaps = [later - at_s for at_s, later in itertools.pairwise(ticks)]
    assert gaps[0] >= hang_s
    if hang_s == 0.48:  # just before a slot, which is the tempting moment for two in a row
        assert gaps[1] > 0.02


def test_a_hung_callback_does_not_starve_cyclic_can(clock: WallClock) -> None:
    sent: list[float] = []
    release = threading.Event()
    clock.every(0.01, release.wait)  # type: ignore[arg-type]
    clock.every(0.02, lambda: sent.append(clock.now()), rank=Rank.CAN)
    wait_for(clock, lambda: len(sent) >= 5)
    release.set()
    assert threads_of_clocks() >= {"bmsbench-clock", "bmsbench-can"}


def test_a_silent_link_keeps_neither_the_watch_nor_cyclic_can_waiting(clock: WallClock) -> None:
    watched: list[float] = []
    sent: list[float] = []
    release = threading.Event()
    clock.every(0.01, release.wait, rank=Rank.LINK)  # type: ignore[arg-type]
    clock.every(0.02, lambda: watched.append(clock.now()))
    clock.every(0.02, lambda: sent.append(clock.now()), rank=Rank.CAN)
    wait_for(clock, lambda: len(watched) >= 5 and len(sent) >= 5)
    release.set()


def test_a_slow_look_keeps_neither_the_watch_nor_links_nor_cyclic_can_waiting(clock: WallClock) -> None:
    ranks = (Rank.CALLBACK, Rank.LINK, Rank.CAN)
    called: dict[Rank, int] = dict.fromkeys(ranks, 0)
    started, release = threading.Event(), threading.Event()

    def scan() -> None:
        started.set()
        release.wait()

    clock.at(clock.now(), scan, rank=Rank.SLOW)
    wait_for(clock, started.is_set)
    for rank in ranks:
        clock.every(0.02, lambda rank=rank: called.update({rank: called[rank] + 1}), rank=rank)
    wait_for(clock, lambda: min(called.values()) >= 5)
    release.set()
    assert "bmsbench-slow" in threads_of_clocks()


def test_a_hung_can_message_does_not_starve_the_watch(clock: WallClock) -> None:
    watched: list[float] = []
    release = threading.Event()
    clock.every(0.01, release.wait, rank=Rank.CAN)  # type: ignore[arg-type]
    clock.every(0.02, lambda: watched.append(clock.now()))
    wait_for(clock, lambda: len(watched) >= 5)
    release.set()


def test_a_callbacks_exception_is_raised_at_the_next_sleep_once_and_wakes_a_sleeper(clock: WallClock) -> None:
    def fail() -> None:
        raise KeyError("meter")

    clock.at(clock.now() + 0.05, fail)
    begin_s = clock.now()
    with pytest.raises(KeyError, match="meter"):
        clock.sleep(30.0)
    assert clock.now() - begin_s < 10.0
    clock.sleep(0.01)


def test_an_exception_while_nobody_sleeps_is_kept_until_somebody_does(clock: WallClock) -> None:
    done = threading.Event()

    def fail() -> None:
        done.set()
        raise KeyError("meter")

    clock.at(clock.now(), fail)
    assert done.wait(5.0)
    with pytest.raises(KeyError):
        sleep_in_bits(clock)


def test_one_callback_that_raises_ends_the_others(clock: WallClock) -> None:
    ticks: list[float] = []

    def fail() -> None:
        raise KeyError("meter")

    clock.every(0.02, lambda: ticks.append(clock.now()))
    clock.at(clock.now() + 0.1, fail)
    with pytest.raises(KeyError):
        clock.sleep(5.0)
    count = len(ticks)
    clock.sleep(0.1)
    assert len(ticks) == count


def test_only_the_owner_is_told_what_a_callback_raised(clock: WallClock) -> None:
    """A driver that waits in a step of the way out would swallow it, and the test would never hear of it."""
    raised, slept = threading.Event(), threading.Event()

    def fail() -> None:
        raised.set()
        raise KeyError("the watch cannot see")

    def wait_elsewhere() -> None:
        raised.wait(10.0)
        for _ in range(20):
            clock.sleep(0.01)
        slept.set()

    thread = threading.Thread(target=wait_elsewhere)
    thread.start()
    clock.at(clock.now(), fail)
    assert slept.wait(10.0), "a sleep in another thread was interrupted by what is the owner's to hear"
    thread.join(10.0)
    with pytest.raises(KeyError, match="cannot see"):
        clock.sleep(10.0)


def test_a_long_sleep_is_waited_for_in_bits_and_ends_in_time(clock: WallClock) -> None:
    begin_s = clock.now()
    clock.sleep(1.2)
    assert clock.now() - begin_s >= 1.2


def test_a_cancelled_tick_never_runs_again(clock: WallClock) -> None:
    ticks: list[float] = []
    tick = clock.every(0.02, lambda: ticks.append(clock.now()))
    wait_for(clock, lambda: bool(ticks))
    tick.cancel()
    clock.sleep(0.05)
    count = len(ticks)
    clock.sleep(0.1)
    assert len(ticks) == count


def test_sleeping_inside_a_callback_raises_at_the_owners_next_sleep(clock: WallClock) -> None:
    inside: list[bool] = []

    def nap() -> None:
        inside.append(clock.in_callback)
        clock.sleep(0.01)

    clock.at(clock.now(), nap)
    with pytest.raises(ClockMisuse, match="must not sleep"):
        sleep_in_bits(clock)
    assert inside == [True]
    assert not clock.in_callback


def test_what_belongs_to_simulated_time_costs_nothing_here(clock: WallClock) -> None:
    begin_s = clock.now()
    clock.spend(100.0)
    clock.settle()
    clock.serve()
    clock.forget_silence(5025)
    assert clock.is_silent(5025) is False
    assert clock.now() - begin_s < 50.0


def test_closing_ends_the_threads_and_refuses_more() -> None:
    before = set(threading.enumerate())
    clock = WallClock()
    clock.every(0.01, lambda: None)
    clock.every(0.01, lambda: None, rank=Rank.CAN)
    mine = set(threading.enumerate()) - before
    assert len(mine) == 2
    clock.close()
    assert not any(thread.is_alive() for thread in mine)
    with pytest.raises(ClockMisuse, match="closed"):
        clock.every(1.0, lambda: None)


def test_closing_from_inside_a_callback_does_not_wait_for_itself() -> None:
    clock = WallClock()
    closed = threading.Event()
    clock.at(clock.now(), lambda: (clock.close(), closed.set()))  # type: ignore[arg-type,return-value]
    assert closed.wait(1.9)


def test_the_calendar_is_utc_in_iso_8601() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", utc_now())
