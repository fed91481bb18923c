"""Stages of the way out in both kinds of time, and the shield against impatience."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from bench.errors import SafetyError
from bench.shield import leaving_on_signals, shielded
from bench.simulated_clock import SimulatedClock
from bench.wall_clock import WallClock
from bench.way_out import StepResult, run_stage


@pytest.fixture
def wall() -> Iterator[WallClock]:
    clock = WallClock()
    yield clock
    clock.close()


def fail() -> None:
    raise OSError("gone")


def test_in_simulated_time_steps_run_in_order_and_in_this_thread() -> None:
    ran: list[tuple[str, bool]] = []
    me = threading.get_ident()

    def step(name: str) -> None:
        ran.append((name, threading.get_ident() == me))

    results = run_stage(
        SimulatedClock(), "outputs off", [("a", lambda: step("a")), ("b", fail), ("c", lambda: step("c"))]
    )
    assert ran == [("a", True), ("c", True)]
    assert [(result.step, result.done) for result in results] == [("a", True), ("b", False), ("c", True)]
    assert results[1].text == "OSError: gone"


@pytest.mark.parametrize("others", [0, 2])
def test_on_the_wall_a_hung_step_is_named_and_keeps_no_other_waiting(wall: WallClock, others: int) -> None:
    release = threading.Event()
    done: list[int] = []
    steps = [("hung", lambda: release.wait(30) and None)]
    steps += [(f"good {number}", lambda: done.append(1)) for number in range(others)]  # type: ignore[misc]
    begin_s = wall.now()
    results = run_stage(wall, "outputs off", steps, deadline_s=0.3)  # type: ignore[arg-type]
    assert wall.now() - begin_s < 5.0
    release.set()
    assert (results[0].done, results[0].text) == (False, "no end within 0.3 s")
    assert [result.done for result in results[1:]] == [True] * others
    assert len(done) == others


def test_on_the_wall_the_steps_of_a_stage_run_side_by_side(wall: WallClock) -> None:
    meet = threading.Barrier(3, timeout=5.0)
    results = run_stage(wall, "outputs off", [(name, lambda: meet.wait() and None) for name in "abc"])
    assert [result.done for result in results] == [True, True, True]


def test_a_stage_without_steps_is_nothing(wall: WallClock) -> None:
    assert run_stage(wall, "outputs off", []) == []


def test_a_step_is_told_in_a_line() -> None:
    assert str(StepResult("outputs off", "supply", True, "")) == "outputs off        supply         ok"
    assert str(StepResult("outputs off", "load", False, "gone")) == "outputs off        load           FAILED   gone"


# -- signals -------------------------------------------------------------------------------------------------------


def test_ctrl_c_is_held_back_until_the_bench_is_safe() -> None:
    steps: list[str] = []

    def leave() -> None:
        with shielded():
            steps.append("outputs off")
            signal.raise_signal(signal.SIGINT)
            steps.append("disconnect open")

    with pytest.raises(KeyboardInterrupt):
        leave()
    assert steps == ["outputs off", "disconnect open"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process on SIGTERM without asking it")
def test_sigterm_is_held_back_too_and_several_signals_act_once() -> None:
    steps: list[str] = []

    def leave() -> None:
        with shielded():
            for _ in range(3):
                signal.raise_signal(signal.SIGTERM)
                signal.raise_signal(signal.SIGINT)
            steps.append("safe")

    with pytest.raises(KeyboardInterrupt, match="SIGTERM"):
        leave()
    assert steps == ["safe"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_bench_that_is_not_safe_outranks_ctrl_c() -> None:
    def leave() -> None:
        with shielded():
            signal.raise_signal(signal.SIGINT)
            raise SafetyError("bench virtual is NOT safe")

    with pytest.raises(SafetyError, match="NOT safe"):
        leave()


def test_without_a_signal_nothing_happens_and_handlers_are_given_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with shielded():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_outside_the_main_thread_the_shield_is_only_a_block() -> None:
    ran: list[bool] = []

    def run() -> None:
        with shielded():
            ran.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(5.0)
    assert ran == [True]


def test_the_first_signal_leaves_and_the_second_is_told_to_wait() -> None:
    steps: list[str] = []

    def run() -> None:
        with leaving_on_signals():
            try:
                signal.raise_signal(signal.SIGINT)
            finally:
                signal.raise_signal(signal.SIGINT)
                steps.append("made safe")

    with pytest.raises(KeyboardInterrupt, match="SIGINT"):
        run()
    assert steps == ["made safe"]
