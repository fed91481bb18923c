"""Nobody is left to switch off: the runner, its guardian or both die or stop while current flows.

Real processes; the witness is the circuit of a lab in a process of its own. In each case the true current must end
for good within its time, and stay off.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kills and stops processes, and reads /proc")

OFF_A = 0.2  # 0.1 % of the reference's range of 200 A
FLOWS_A = 38.0
RUN_S = 60.0
STALL_S = 3.0  # the definition's default
BROKEN, INTERRUPTED = 10, 2

SUITE = """
from pathlib import Path
from bench import stimulus

def test_it(stand):
    Path("guardian").write_text(str(stand.guard.guardian.pid))
    stimulus.force(stand, {current})
    stimulus.settle(stand, {current})
    stand.clock.sleep(40.0)

def test_following(stand):
    pass
"""
KILL, STOP, CONT, HUP = signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT, signal.SIGHUP


@dataclass(frozen=True)
class Case:
    """What happens to whom, how soon the current must have ended, and how the runner ends (None: it is killed)."""

    name: str
    sent: tuple[tuple[float, str, int], ...]  # seconds after the first, "runner" or "guardian", signal
    within_s: float
    status: int | None
    by_guardian: bool
    current_a: float = 50.0
    bench: str = "virtual"


CASES = [
    Case("kill -9 of the runner", ((0, "runner", KILL),), 2.0, None, True),
    Case("kill -9 of the runner, discharging", ((0, "runner", KILL),), 2.0, None, True, -50.0),
    Case("kill -9 of the runner, PSB", ((0, "runner", KILL),), 5.0, None, True, 50.0, "virtual_bidirectional"),
    Case("kill -9 of the runner, PSB discharging", ((0, "runner", KILL),), 5.0, None, True, -50.0,
         "virtual_bidirectional"),
    Case("the runner is stopped", ((0, "runner", STOP),), STALL_S + 2.0, None, True),
    Case("the runner is stopped, PSB", ((0, "runner", STOP),), STALL_S + 5.0, None, True, 50.0,
         "virtual_bidirectional"),
    Case("kill -9 of the guardian", ((0, "guardian", KILL),), 2.0, BROKEN, False),
    Case("the guardian is stopped", ((0, "guardian", STOP),), 4.0, BROKEN, False),
    Case("kill -9 of both", ((0, "guardian", KILL), (0, "runner", KILL)), STALL_S + 2.0, None, False),
    Case("kill -9 of both, discharging", ((0, "guardian", KILL), (0, "runner", KILL)), STALL_S + 2.0, None, False,
         -50.0),
    Case("kill -9 of both, PSB", ((0, "guardian", KILL), (0, "runner", KILL)), STALL_S + 2.0, None, False, 50.0,
         "virtual_bidirectional"),
    Case("kill -9 of both, PSB discharging", ((0, "guardian", KILL), (0, "runner", KILL)), STALL_S + 2.0, None, False,
         -50.0, "virtual_bidirectional"),
    Case("both sleep for 5 s", ((0, "guardian", STOP), (0, "runner", STOP), (5.0, "runner", CONT),
                                (5.0, "guardian", CONT)), 8.0, BROKEN, False),
    Case("both sleep for 5 s, the guardian wakes first", ((0, "guardian", STOP), (0, "runner", STOP),
                                (5.0, "guardian", CONT), (5.3, "runner", CONT)), 8.0, BROKEN, False),
    Case("SIGHUP", ((0, "runner", HUP),), 2.0, INTERRUPTED, False),
]  # fmt: skip
QUICK = ("kill -9 of the runner", "kill -9 of the guardian", "kill -9 of both")


class Session:
    """One run in a process of its own, and its guardian."""

    def __init__(self, lab: Any, folder: Path, case: Case, bms: str) -> None:
        folder.mkdir(parents=True)
        suite = folder / "test_guarded.py"
        suite.write_text(SUITE.replace("{current}", str(case.current_a)), encoding="utf-8")
        self.run_folder = folder / "run"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(suite)]
        command += ["--bench", str(lab.definition), "--bms", bms, "--run-folder", str(self.run_folder)]
        self.log = folder / "said.txt"
        with self.log.open("w", encoding="utf-8") as out:
            self.process = subprocess.Popen(
                command, cwd=folder, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
                env={**os.environ, "BMSBENCH_STATE": str(folder / "state")},
            )  # fmt: skip
        flows = lab.wait_for(lambda truth: abs(truth["current_a"]) > FLOWS_A or self.process.poll() is not None, RUN_S)
        assert flows is not None and self.process.poll() is None, self.said()
        time.sleep(0.3)
        self.guardian = int((folder / "guardian").read_text(encoding="utf-8"))

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def send(self, whom: str, number: int) -> None:
        os.kill(self.process.pid if whom == "runner" else self.guardian, number)

    def guardian_lines(self) -> list[dict[str, Any]]:
        path = self.run_folder / "guardian.jsonl"
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    def wait_for_the_guardian(self, within_s: float = 20.0) -> None:
        until_s = time.monotonic() + within_s
        while _alive(self.guardian) and time.monotonic() < until_s:
            time.sleep(0.02)
        assert not _alive(self.guardian), "the guardian does not end"

    def close(self) -> None:
        for pid in (self.process.pid, self.guardian):
            if pid == self.guardian or self.process.poll() is None:
                _kill(pid)
        self.process.wait()


def _kill(pid: int) -> None:
    if _alive(pid):
        os.kill(pid, KILL)


def _alive(pid: int) -> bool:
    try:
        return " Z" not in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2][:3]
    except OSError:
        return False


def off_since(lab: Any, happened_s: float) -> float:
    """Return the time of day from which on the true current was off for good."""
    lines = [line for line in lab.lines() if line["unix_s"] >= happened_s - 0.2]
    on = [index for index, line in enumerate(lines) if abs(line["current_a"]) >= OFF_A]
    assert on, "the witness saw no current when it happened"
    assert on[-1] + 1 < len(lines), "the current still flows"
    return float(lines[on[-1] + 1]["unix_s"])


def play(lab: Any, folder: Path, case: Case, bms: str) -> float:
    """Let it happen, judge everything that must be so, and return how long current flowed after it."""
    session = Session(lab, folder, case, bms)
    try:
        happened_s = time.time()
        for after_s, whom, number in case.sent:
            time.sleep(max(0.0, happened_s + after_s - time.time()))
            session.send(whom, number)
        session.process.wait(RUN_S)
        if case.by_guardian:
            session.wait_for_the_guardian()
        else:
            time.sleep(max(0.0, happened_s + case.within_s - time.time()) if case.status is None else 0.2)
        latency_s = off_since(lab, happened_s) - happened_s
        assert latency_s <= case.within_s, f"{latency_s:.2f} s\n{session.said()}\n{session.guardian_lines()}"
        truth = lab.truth()
        assert abs(truth["current_a"]) < OFF_A
        expected = -signal.SIGKILL if case.status is None else case.status
        assert session.process.returncode == expected, f"{session.said()}\n{session.guardian_lines()}"
        ends = [line for line in session.guardian_lines() if line["guardian"] == "way out"]
        assert [line["safe"] for line in ends] == ([True] if case.by_guardian else []), session.guardian_lines()
        if case.by_guardian or case.status is not None:
            assert truth["outputs_on"] == []
            assert truth["disconnect_closed"] is False
        return latency_s
    finally:
        session.close()


BMS = {"virtual": "seplos_v3", "virtual_bidirectional": "seplos_v3"}


@pytest.fixture(scope="module")
def labs(lab_process: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A lab of each bench, started when it is first asked for."""

    class Labs(dict[str, Any]):
        def __missing__(self, bench: str) -> Any:
            folder = tmp_path_factory.mktemp(bench)
            self[bench] = lab_process(folder, "--bench", bench, "--bms", BMS[bench])
            return self[bench]

    started = Labs()
    yield started
    for lab in started.values():
        status, said = lab.close()
        assert status == 0, said


def make_healthy(lab: Any) -> Any:
    assert lab.tell("reset 1") == "ok"
    assert lab.wait_for(lambda truth: bool(truth["bms_closed"]), 10.0)
    return lab


@pytest.mark.parametrize("case", [case for case in CASES if case.name in QUICK], ids=lambda case: case.name)
def test_the_current_ends_although_nobody_is_left(labs: Any, tmp_path: Path, case: Case) -> None:
    play(make_healthy(labs[case.bench]), tmp_path / "run", case, BMS[case.bench])


@pytest.mark.full
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_way_to_die_three_times(labs: Any, tmp_path: Path, case: Case, record_property: Any) -> None:
    latencies_s = []
    for number in range(3):
        latencies_s.append(play(make_healthy(labs[case.bench]), tmp_path / str(number), case, BMS[case.bench]))
    row = f"| {case.name} | {statistics.median(latencies_s):.2f} s | {max(latencies_s):.2f} s |"
    record_property("dying", row)
    print(row)
