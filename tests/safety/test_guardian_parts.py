"""The guardian's parts: what it loads, whom it ends, what it takes for a stall, and that it is not in a hurry."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.clock import Clock
from bench.definition import find_definition, load_definition
from bench.quarantine import quarantine_folder, quarantined_bench
from bench.wall_clock import WallClock
from bench.way_out import SafeReport
from instruments import guardian, guarding
from instruments.guardian import Heard, Order, Runner, take_over, watch
from instruments.guarding import COMMAND, GuardianProcess

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


# --- taking over ---------------------------------------------------------------------------------------------

DEFINITION = load_definition(find_definition("virtual"))


class Watched(Runner):
    """A runner of which it is only kept that it was ended."""

    def __init__(self, refuses: bool = False) -> None:
        super().__init__(os.getpid())
        self.refuses, self.ended = refuses, 0

    def is_alive(self) -> bool:
        return not self.ended

    def end(self, clock: Clock) -> str:
        self.ended += 1
        if self.refuses:
            raise ProcessLookupError("no such process")
        return "ended by the test"


def order(folder: Path, *, exclusive: bool) -> Order:
    return Order(DEFINITION, None, 1, exclusive, 3.0, folder / "guardian.jsonl", quarantine_folder(), folder)


def notes(folder: Path) -> dict[str, dict[str, object]]:
    lines = (folder / "guardian.jsonl").read_text(encoding="utf-8").splitlines()
    return {note["guardian"]: note for note in map(json.loads, lines)}


@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize("problem", [RuntimeError("an inverted relay"), SystemExit(3)])
def test_a_guardian_that_fails_itself_says_so_closes_the_bench_and_ends_the_runner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: WallClock, exclusive: bool, problem: BaseException
) -> None:
    def fail(*_: object, **__: object) -> SafeReport:
        raise problem

    monkeypatch.setattr(guardian, "make_safe", fail)
    runner = Watched()
    assert take_over(order(tmp_path, exclusive=exclusive), {}, runner, "the runner died", clock) is False
    assert runner.ended == 1
    entry = quarantined_bench(DEFINITION.name)
    assert entry["by"] == "guardian"
    assert entry["cause"] == f"the runner died; the guardian itself failed: {type(problem).__name__}: {problem}"
    assert type(problem).__name__ in str(notes(tmp_path)["failed"]["trace"])


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_runner_that_cannot_be_ended_keeps_nobody_from_switching_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: WallClock, exclusive: bool
) -> None:
    monkeypatch.setattr(guardian, "make_safe", lambda *_, **__: SafeReport((), True, 0.0, "off"))
    assert take_over(order(tmp_path, exclusive=exclusive), {}, Watched(refuses=True), "it stalled", clock) is True
    said = notes(tmp_path)
    assert said["way out"]["safe"] is True
    assert said["runner"]["became"] == "could not be ended: ProcessLookupError: no such process"


def test_it_has_the_runner_s_state_folder_wherever_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: WallClock
) -> None:
    relative = f"state-of-{tmp_path.name}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BMSBENCH_STATE", relative)
    told = "import os, pathlib, json, sys; order = json.loads(input()); "
    told += "pathlib.Path(order['evidence']).write_text(os.environ['BMSBENCH_STATE']); "
    told += "print('armed', flush=True); sys.stdin.read()"
    monkeypatch.setattr(guarding, "COMMAND", (sys.executable, "-c", told))
    process = GuardianProcess(DEFINITION, lab=None, evidence=tmp_path / "seen")
    process.wait_armed(clock)
    process.leave()
    process.close()
    assert (tmp_path / "seen").read_text(encoding="utf-8") == str(tmp_path.resolve() / relative)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to see where a process stands")
def test_it_stands_where_the_runner_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: WallClock) -> None:
    monkeypatch.chdir(tmp_path)
    process = GuardianProcess(DEFINITION, lab=Path("lab"), evidence=None)
    try:
        process.wait_armed(clock)
        assert Path(f"/proc/{process.pid}/cwd").resolve() == tmp_path.resolve()
    finally:
        process.leave()
        process.close()


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
