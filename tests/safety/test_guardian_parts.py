"""The guardian's parts: what it loads, whom it ends, what it takes for a stall, and that it is not in a hurry."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.wall_clock import WallClock
from instruments import guardian
from instruments.guardian import Heard, Runner, watch
from instruments.guarding import COMMAND

ROOT = Path(__file__).resolve().parents[2]
LOADS = """
import sys
from pathlib import Path
from bench.definition import DEFINITIONS, load_definition
from instruments.guardian import load_drivers
load_drivers(load_definition(DEFINITIONS / "virtual.toml"))
before = set(sys.modules)
unwanted = {"numpy", "pytest", "can", "cantools", "reports", "fixtures"}
print(*sorted({name.partition(".")[0] for name in before} & unwanted))
"""


@pytest.fixture
def clock() -> Iterator[WallClock]:
    clock = WallClock()
    yield clock
    clock.close()


class Pipe:
    """Both ends of the runner's words."""

    def __init__(self, stall_s: float) -> None:
        out, into = os.pipe()
        self.words = os.fdopen(into, "w", buffering=1)
        self.answers = io.StringIO()
        self.heard = Heard(os.fdopen(out, "r"), self.answers, stall_s)


def test_it_loads_no_pytest_and_no_numpy() -> None:
    done = subprocess.run([sys.executable, "-c", LOADS], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_it_can_be_read_in_one_sitting() -> None:
    assert len(Path(guardian.__file__).read_text(encoding="utf-8").splitlines()) <= 250


def test_the_clean_word_ends_the_watch(clock: WallClock) -> None:
    pipe = Pipe(10.0)
    pipe.words.write("beat\nclose\n")
    assert watch(pipe.heard, clock) is None
    assert pipe.answers.getvalue() == "heard\n"


def test_a_pipe_that_ends_without_it_is_a_death(clock: WallClock) -> None:
    pipe = Pipe(10.0)
    pipe.words.write("beat\n")
    pipe.words.close()
    assert "died" in str(watch(pipe.heard, clock))


def test_silence_after_a_beat_is_a_stall(clock: WallClock) -> None:
    pipe = Pipe(0.3)
    pipe.words.write("beat\n")
    begin_s = clock.now()
    assert "stalled" in str(watch(pipe.heard, clock))
    assert 0.25 < clock.now() - begin_s < 10.0


@pytest.mark.parametrize("word", ["acting", "opened"])
def test_a_runner_that_is_switching_off_gets_longer(clock: WallClock, word: str) -> None:
    pipe = Pipe(0.3)
    pipe.words.write(f"beat\n{word}\n")
    closing = threading.Timer(1.0, pipe.words.write, ("close\n",))
    closing.start()
    assert watch(pipe.heard, clock) is None
    closing.join()


def test_before_the_first_beat_nobody_is_in_a_hurry(clock: WallClock) -> None:
    pipe = Pipe(0.1)
    closing = threading.Timer(0.6, pipe.words.write, ("close\n",))
    closing.start()
    assert watch(pipe.heard, clock) is None
    closing.join()


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="this system has no handles of processes")
def test_it_ends_a_stopped_process_and_only_that_one(clock: WallClock) -> None:
    mine = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    runner = Runner(mine.pid)
    try:
        assert runner.is_alive()
        mine.send_signal(signal.SIGSTOP)
        assert runner.end(clock) == "ended by the guardian"
        assert mine.wait() == -signal.SIGKILL
        assert runner.end(clock) == "had ended"
    finally:
        if mine.poll() is None:
            mine.kill()
            mine.wait()


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="this system has no handles of processes")
def test_a_number_that_was_given_to_another_process_is_not_ended(clock: WallClock) -> None:
    mine = subprocess.Popen([sys.executable, "-c", ""])
    runner = Runner(mine.pid)
    mine.wait()
    runner.pid = os.getpid()  # as if the number had been given to somebody else: this test
    assert not runner.is_alive()
    assert runner.end(clock) == "had ended"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to see what a process ignores")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_are_the_runner_s_to_answer(number: int) -> None:
    process = subprocess.Popen(
        COMMAND, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        while "SigIgn" not in (status := Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")):
            pass
        ignored = 0
        while not ignored & 1 << (number - 1):
            assert process.poll() is None
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
            ignored = int(status.partition("SigIgn:")[2].split()[0], 16)
        process.send_signal(number)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.2)
    finally:
        process.kill()
        process.communicate()
