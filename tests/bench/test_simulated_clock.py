"""The contract of simulated time, a sentence a test (bench.clock)."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.clock import Clock, ClockMisuse, Rank, to_ns, wait_until
from bench.simulated_clock import SimulatedClock


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


def test_it_is_a_clock_and_simulated(clock: SimulatedClock) -> None:
    assert isinstance(clock, Clock)
    assert clock.simulated is True
    assert clock.now() == 0.0


def test_six_thousand_tenths_of_a_second_are_exactly_six_thousand_ticks(clock: SimulatedClock) -> None:
    ticks: list[int] = []
    clock.every(0.1, lambda: ticks.append(clock.now_ns()))
    for _ in range(6000):
        clock.sleep(0.1)
    assert clock.now_ns() == 600_000_000_000
    assert ticks == [k * 100_000_000 for k in range(1, 6001)]


def test_one_long_sleep_has_the_same_ticks_as_many_short_ones(clock: SimulatedClock) -> None:
    ticks: list[int] = []
    clock.every(0.1, lambda: ticks.append(clock.now_ns()))
    clock.sleep(600.0)
    assert len(ticks) == 6000
    assert ticks[-1] == 600_000_000_000


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=30))
def test_time_is_the_sum_of_the_sleeps_in_whole_nanoseconds(parts: list[int]) -> None:
    clock = SimulatedClock()
    for part in parts:
        clock.sleep(part / 1e9)
    assert clock.now_ns() == sum(parts)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from(list(Rank))), min_size=1, max_size=25),
    st.lists(st.integers(1, 3), min_size=1, max_size=6),
)
def test_events_run_by_due_time_then_rank_then_registration(events: list[tuple[int, Rank]], sleeps: list[int]) -> None:
    clock = SimulatedClock()
    ran: list[tuple[int, int, int]] = []
    for number, (due_s, rank) in enumerate(events):
        key = (due_s, min(rank, Rank.CALLBACK), number)
        clock.at(due_s, lambda key=key: ran.append(key), rank=rank)  # type: ignore[misc]
    for seconds in sleeps:
        clock.sleep(seconds)
    clock.sleep(6)
    assert ran == sorted((due_s, min(rank, Rank.CALLBACK), number) for number, (due_s, rank) in enumerate(events))


def test_the_ranks_are_physics_bms_instruments_can_callbacks() -> None:
    assert [rank.name for rank in sorted(Rank)] == ["PHYSICS", "BMS", "INSTRUMENT", "CAN", "CALLBACK", "LINK", "SLOW"]


def test_an_event_sees_its_own_due_time(clock: SimulatedClock) -> None:
    seen: list[float] = []
    clock.at(0.25, lambda: seen.append(clock.now()))
    clock.sleep(1.0)
    assert seen == [0.25]
    assert clock.now() == 1.0


def test_an_event_due_exactly_at_the_end_of_a_sleep_runs_in_it(clock: SimulatedClock) -> None:
    seen: list[float] = []
    clock.at(0.5, lambda: seen.append(clock.now()))
    clock.sleep(0.5)
    assert seen == [0.5]


def test_an_event_in_the_past_runs_at_the_next_sleep_and_time_does_not_go_back(clock: SimulatedClock) -> None:
    clock.sleep(2.0)
    seen: list[float] = []
    clock.at(1.0, lambda: seen.append(clock.now()))
    assert seen == []
    clock.sleep(0.0)
    assert seen == [2.0]


def test_sleeping_until_the_past_returns_at_once(clock: SimulatedClock) -> None:
    clock.sleep(2.0)
    clock.sleep_until(1.0)
    assert clock.now() == 2.0
    clock.sleep_until(2.5)
    assert clock.now() == 2.5


def test_the_grid_of_every_does_not_care_when_the_caller_sleeps(clock: SimulatedClock) -> None:
    ticks: list[float] = []
    clock.sleep(0.03)
    clock.every(0.1, lambda: ticks.append(clock.now()))
    for seconds in (0.07, 0.13, 0.011, 0.2):
        clock.sleep(seconds)
    assert ticks == [0.13, 0.23, 0.33, 0.43]


def test_a_command_that_takes_time_does_not_shift_an_absolute_grid(clock: SimulatedClock) -> None:
    seen = []
    for step in range(1, 6):
        clock.spend(0.013)
        clock.sleep_until(step * 0.1)
        seen.append(clock.now())
    assert seen == [0.1, 0.2, 0.3, 0.4, 0.5]


def test_a_cancelled_tick_never_runs_again(clock: SimulatedClock) -> None:
    ticks: list[float] = []
    tick = clock.every(1.0, lambda: ticks.append(clock.now()))
    clock.sleep(2.5)
    tick.cancel()
    clock.sleep(5.0)
    assert ticks == [1.0, 2.0]


def test_a_tick_may_cancel_itself(clock: SimulatedClock) -> None:
    ticks: list[float] = []

    def once() -> None:
        ticks.append(clock.now())
        tick.cancel()

    tick = clock.every(1.0, once)
    clock.sleep(5.0)
    assert ticks == [1.0]


def test_what_a_callback_schedules_for_now_still_runs_in_this_sleep(clock: SimulatedClock) -> None:
    seen: list[float] = []
    clock.at(1.0, lambda: clock.at(1.0, lambda: seen.append(clock.now())))  # type: ignore[arg-type]
    clock.sleep(1.0)
    assert seen == [1.0]


@pytest.mark.parametrize("rank", list(Rank))
def test_sleeping_inside_a_callback_of_any_rank_raises(clock: SimulatedClock, rank: Rank) -> None:
    clock.at(1.0, lambda: clock.sleep(0.1), rank=rank)
    with pytest.raises(ClockMisuse, match="must not sleep"):
        clock.sleep(2.0)
    assert clock.now() == 1.0


def test_sleeping_until_inside_a_callback_raises_too(clock: SimulatedClock) -> None:
    clock.every(1.0, lambda: clock.sleep_until(9.0))
    with pytest.raises(ClockMisuse):
        clock.sleep(1.0)


def in_thread(action: object) -> BaseException | None:
    problems: list[BaseException] = []

    def run() -> None:
        try:
            action()  # type: ignore[operator]
        except BaseException as problem:  # noqa: BLE001 - looked at by the test
            problems.append(problem)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(5.0)
    assert not thread.is_alive()
    return problems[0] if problems else None


def test_sleeping_from_a_second_thread_raises_and_moves_nothing(clock: SimulatedClock) -> None:
    assert isinstance(in_thread(lambda: clock.sleep(1.0)), ClockMisuse)
    assert clock.now() == 0.0


def test_a_thread_that_adopts_the_clock_may_sleep_and_the_former_owner_may_not(clock: SimulatedClock) -> None:
    assert in_thread(lambda: (clock.adopt(), clock.sleep(1.0))) is None
    with pytest.raises(ClockMisuse):
        clock.sleep(1.0)
    assert clock.now() == 1.0


@pytest.mark.parametrize("rank", list(Rank))
def test_a_callbacks_exception_reaches_the_sleeper_and_time_goes_on_afterwards(
    clock: SimulatedClock, rank: Rank
) -> None:
    def fail() -> None:
        raise KeyError("meter")

    clock.at(1.0, fail, rank=rank)
    ticks: list[float] = []
    clock.every(1.0, lambda: ticks.append(clock.now()))
    with pytest.raises(KeyError, match="meter"):
        clock.sleep(3.0)
    assert clock.now() == 1.0
    assert not clock.in_callback
    clock.sleep(2.0)
    assert ticks == [1.0, 2.0, 3.0]


def test_in_callback_is_true_only_inside_and_only_for_the_owner(clock: SimulatedClock) -> None:
    seen: list[bool] = []
    foreign: list[bool] = []

    def look() -> None:
        seen.append(clock.in_callback)
        in_thread(lambda: foreign.append(clock.in_callback))

    clock.at(1.0, look)
    clock.sleep(1.0)
    assert (seen, foreign, clock.in_callback) == ([True], [False], False)


@pytest.mark.parametrize("seconds", [-0.1, float("nan")])
def test_a_sleep_that_is_no_duration_is_refused(clock: SimulatedClock, seconds: float) -> None:
    with pytest.raises(ValueError, match="cannot sleep"):
        clock.sleep(seconds)


@pytest.mark.parametrize("period_s", [0.0, -1.0, 1e-10])
def test_a_period_that_is_not_positive_is_refused(clock: SimulatedClock, period_s: float) -> None:
    with pytest.raises(ValueError, match="period"):
        clock.every(period_s, lambda: None)


# -- spend, owe, settle, silence ---------------------------------------------------------------------------------


def test_spending_moves_time_outside_callbacks_only(clock: SimulatedClock) -> None:
    clock.spend(0.5)
    assert clock.now() == 0.5
    clock.at(1.0, lambda: clock.spend(10.0))
    clock.sleep(1.0)
    assert clock.now() == 1.5
    clock.spend(0.0)
    clock.spend(-1.0)
    assert clock.now() == 1.5


def test_what_instruments_are_owed_is_spent_once_and_together(clock: SimulatedClock) -> None:
    clock.owe(0.02)
    clock.owe(0.03)
    assert clock.now() == 0.0
    clock.settle()
    assert clock.now_ns() == to_ns(0.05)
    clock.settle()
    assert clock.now_ns() == to_ns(0.05)


def test_what_is_owed_inside_a_callback_is_forgiven_not_carried_over(clock: SimulatedClock) -> None:
    def command() -> None:
        clock.owe(0.2)
        clock.settle()

    clock.at(1.0, command)
    clock.sleep(1.0)
    clock.settle()
    assert clock.now() == 1.0


def test_silence_is_announced_per_port_until_it_is_forgotten(clock: SimulatedClock) -> None:
    clock.announce_silence(5025)
    assert clock.is_silent(5025)
    assert not clock.is_silent(5026)
    clock.forget_silence(5025)
    clock.forget_silence(5099)
    assert not clock.is_silent(5025)


# -- servers and the lock ----------------------------------------------------------------------------------------


def test_servers_are_served_before_time_moves_and_before_what_follows_each_callback(clock: SimulatedClock) -> None:
    log: list[str] = []
    clock.add_server(lambda: log.append(f"serve {clock.now():g}"))
    clock.at(1.0, lambda: log.append("physics"), rank=Rank.PHYSICS)
    clock.at(1.0, lambda: log.append("callback 1"))
    clock.at(2.0, lambda: log.append("callback 2"))
    clock.sleep(3.0)
    assert log == ["serve 0", "physics", "callback 1", "serve 1", "callback 2", "serve 2"]


def test_a_write_only_command_is_not_overtaken_by_time(clock: SimulatedClock) -> None:
    wire: list[str] = []
    taken: list[tuple[float, str]] = []

    def serve() -> None:
        taken.extend((clock.now(), command) for command in wire)
        wire.clear()

    clock.add_server(serve)
    wire.append("CURR 10")
    clock.every(0.5, lambda: wire.append("MEAS?"))
    clock.sleep(1.0)
    assert taken == [(0.0, "CURR 10"), (0.5, "MEAS?"), (1.0, "MEAS?")]


def test_bytes_can_be_served_without_moving_time(clock: SimulatedClock) -> None:
    served: list[float] = []
    clock.add_server(lambda: served.append(clock.now()))
    clock.serve()
    assert served == [0.0]


def lock_is_free(clock: SimulatedClock) -> bool:
    taken: list[bool] = []

    def take() -> None:
        taken.append(clock.lock.acquire(timeout=0.05))
        if taken[0]:
            clock.lock.release()

    in_thread(take)
    return taken[0]


def test_the_lock_is_free_for_a_foreign_thread_during_callbacks_but_not_during_physics(clock: SimulatedClock) -> None:
    free: dict[str, bool] = {}
    clock.at(1.0, lambda: free.update(physics=lock_is_free(clock)), rank=Rank.PHYSICS)
    clock.at(1.0, lambda: free.update(can=lock_is_free(clock)), rank=Rank.CAN)
    clock.at(2.0, lambda: free.update(callback=lock_is_free(clock)))
    clock.sleep(3.0)
    assert free == {"physics": False, "can": False, "callback": True}


def test_a_foreign_thread_takes_the_lock_in_the_middle_of_a_long_sleep(clock: SimulatedClock) -> None:
    seen: list[float] = []
    wanted, done = threading.Event(), threading.Event()

    def foreign() -> None:
        wanted.wait(5.0)
        with clock.lock:
            seen.append(clock.now())
        done.set()

    thread = threading.Thread(target=foreign)
    thread.start()
    clock.at(10.0, lambda: (wanted.set(), done.wait(5.0)))  # type: ignore[arg-type,return-value]
    clock.sleep(1000.0)
    thread.join(5.0)
    assert seen == [10.0]


def test_closing_drops_every_event_and_server(clock: SimulatedClock) -> None:
    log: list[str] = []
    clock.every(1.0, lambda: log.append("tick"))
    clock.add_server(lambda: log.append("served"))
    clock.close()
    clock.sleep(5.0)
    assert log == []


# -- wait_until --------------------------------------------------------------------------------------------------


def test_waiting_tells_how_long_it_took(clock: SimulatedClock) -> None:
    clock.sleep(3.0)
    assert wait_until(clock, lambda: clock.now() >= 3.25, timeout_s=1.0, poll_s=0.05) == pytest.approx(0.25)


def test_waiting_in_vain_ends_at_the_time_out(clock: SimulatedClock) -> None:
    assert wait_until(clock, lambda: False, timeout_s=1.0, poll_s=0.3) is None
    assert clock.now() == pytest.approx(1.2)


def test_what_is_reached_already_takes_no_time(clock: SimulatedClock) -> None:
    assert wait_until(clock, lambda: True, timeout_s=1.0) == 0.0
    assert clock.now() == 0.0


def test_a_links_poll_and_a_slow_look_are_callbacks_like_any_other(clock: SimulatedClock) -> None:
    log: list[str] = []
    clock.at(1.0, lambda: log.append("poll"), rank=Rank.LINK)
    clock.at(1.0, lambda: log.append("watch"))
    clock.at(1.0, lambda: log.append("scan"), rank=Rank.SLOW)
    clock.at(1.0, lambda: log.append("poll again"), rank=Rank.LINK)
    clock.sleep(1.0)
    assert log == ["poll", "watch", "scan", "poll again"]
