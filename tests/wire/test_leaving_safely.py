"""Leaving safely, with real processes: the runner in one, the virtual bench in real time in another.

The witness is the circuit in the other process. In each case 40 A or more flow when it happens; then the true
current must end in time, nothing may be left on, and the run must say what became of the bench.
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

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of other processes are those of POSIX")

OFF_A = 0.2  # 0.1 % of the reference's range of 200 A
FLOWS_A = 38.0
RUN_S = 60.0
PRODUCT, BROKEN, INTERRUPTED = 1, 10, 2

SUITE = """
import time
from pathlib import Path

import pytest

from bench import stimulus

HERE = Path(__file__).parent


def happens():
    (HERE / "happened").write_text(repr(time.time()))


def flow(stand, current_a={current}):
    stimulus.force(stand, current_a)
    stimulus.settle(stand, current_a)


@pytest.fixture
def flowing(stand):
    flow(stand)
    return stand

"""
BODIES = {
    "end of the test": """
def test_it(flowing):
    happens()
""",
    "failed test": """
def test_it(flowing):
    happens()
    assert not flowing, "the product is to blame"
""",
    "exception in a fixture": """
@pytest.fixture
def worse(flowing):
    happens()
    raise RuntimeError("a fixture went wrong")

def test_it(worse):
    pass
""",
    "exception in teardown": """
@pytest.fixture
def worse(flowing):
    yield flowing
    happens()
    raise RuntimeError("a teardown went wrong")

def test_it(worse):
    pass
""",
    "failed test, and another": """
def test_it(flowing):
    happens()
    assert not flowing, "the product is to blame"

def test_never(stand):
    (HERE / "went on").touch()
""",
    "longer than its limit": """
def test_it(flowing):
    try:
        flowing.clock.sleep(40.0)
    except BaseException:
        happens()
        raise
""",
    "longer than its limit, in its teardown": """
@pytest.fixture
def slow(flowing):
    yield flowing
    time.sleep(LIMIT_S)
    happens()

def test_it(slow):
    pass
""",
    "waits": """
def test_it(flowing):
    flowing.clock.sleep(40.0)
""",
    "waits and releases": """
def test_it(stand):
    with stimulus.holding(stand, {current}):
        stand.clock.sleep(40.0)
""",
}


@dataclass(frozen=True)
class Case:
    """One way in which a run can end while current flows."""

    name: str
    body: str
    status: int
    signals: tuple[tuple[float, int], ...] = ()  # seconds after the first, signal
    fault: str = ""
    current_a: float = 50.0
    left_on: tuple[str, ...] = ()  # what cannot be switched off, so that the disconnect must open
    within_s: float = 2.0
    safe: bool = True  # the bench can know that it is safe
    options: tuple[str, ...] = ()  # of pytest


INT, TERM = signal.SIGINT, signal.SIGTERM
CHARGER, SINK = ("charger",), ("sink",)
LIMIT_S = 8.0  # opening the bench counts, too
STOP_IT = ((0.3, signal.SIGINT),)


def fault(name: str, fault: str, *, body: str = "waits", **more: Any) -> Case:
    """A case in which an instrument goes wrong: the bench broke, whatever the test says."""
    return Case(name, body, BROKEN, fault=fault, within_s=6.0, **more)


CASES = [
    Case("end of the test", "end of the test", 0),
    Case("failed test", "failed test", PRODUCT),
    Case("pytest -x", "failed test, and another", PRODUCT, options=("-x",)),
    Case("time limit", "longer than its limit", BROKEN, options=("--timeout", str(LIMIT_S))),
    Case(
        "time limit during teardown", "longer than its limit, in its teardown", 0, options=("--timeout", str(LIMIT_S))
    ),
    Case("exception in a fixture", "exception in a fixture", BROKEN),
    Case("exception in teardown", "exception in teardown", BROKEN),
    Case("Ctrl-C", "waits and releases", INTERRUPTED, signals=((0.0, INT),)),
    Case("Ctrl-C twice", "waits", INTERRUPTED, signals=((0.0, INT), (0.03, INT))),
    Case("Ctrl-C three times", "waits and releases", INTERRUPTED, signals=((0.0, INT), (0.01, INT), (0.06, INT))),
    Case("SIGTERM", "waits", INTERRUPTED, signals=((0.0, TERM),)),
    Case("SIGTERM, discharging", "waits and releases", INTERRUPTED, signals=((0.0, TERM),), current_a=-50.0),
    Case("Ctrl-C, then SIGTERM", "waits and releases", INTERRUPTED, signals=((0.0, INT), (0.05, TERM))),
    fault("supply hangs", "charger silent", left_on=CHARGER),
    fault("supply hangs while held", "charger silent", left_on=CHARGER, body="waits and releases"),
    fault("load hangs", "sink silent", left_on=SINK, current_a=-50.0),
    fault("reference meter hangs", "shunt_meter silent", safe=False),
    fault("pack meter hangs", "pack_meter silent"),
    fault("supply cuts every connection", "charger connection_reset", left_on=CHARGER),
    fault("load cuts every connection", "sink connection_reset", left_on=SINK, current_a=-50.0),
    fault("supply loses its mains", "charger power_cycle"),
    fault("load loses its mains", "sink power_cycle", current_a=-50.0),
    fault("supply does not switch off", "charger stuck_output", left_on=CHARGER, signals=STOP_IT),
    fault("load does not switch off", "sink stuck_output", left_on=SINK, signals=STOP_IT, current_a=-50.0),
]
QUICK = ("failed test", "pytest -x", "exception in teardown", "Ctrl-C twice", "SIGTERM", "supply loses its mains")


@dataclass
class Ended:
    """What became of a run."""

    status: int
    latency_s: float
    said: str
    record: dict[str, Any]
    truth: dict[str, Any]
    went_on: bool  # a test began that must not

    @property
    def safe_lines(self) -> list[str]:
        """What the record says about the way out."""
        found: list[str] = []
        for test in self.record["tests"]:
            found += test.get("safe_state", [])
        return found


@pytest.fixture(scope="module")
def lab(lab_process: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    started = lab_process(tmp_path_factory.mktemp("lab"), "--bms", "seplos_v3")
    yield started
    status, said = started.close()
    assert status == 0, said


def play(lab: Any, folder: Path, case: Case, bms: str = "seplos_v3") -> Ended:
    """Let a run begin, let it happen, and see how it ends."""
    suites = folder / "suites"
    suites.mkdir(parents=True)
    suite = suites / "test_leaving.py"
    text = SUITE + BODIES[case.body]
    suite.write_text(text.replace("{current}", str(case.current_a)).replace("LIMIT_S", str(LIMIT_S)), encoding="utf-8")
    run_folder = folder / "run"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(suite)]
    command += ["--bench", str(lab.definition), "--bms", bms, "--run-folder", str(run_folder), *case.options]
    runner = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "BMSBENCH_STATE": str(folder / "state")},  # what one leaves in quarantine is its own
    )  # fmt: skip
    try:
        happened_s = _let_it_happen(lab, runner, case, suites / "happened")
        said, _ = runner.communicate(timeout=RUN_S)
    finally:
        if runner.poll() is None:
            runner.kill()
            runner.communicate()
    truth = lab.truth()
    latency_s = _off_since(lab, happened_s) - happened_s
    record = json.loads((run_folder / "run.json").read_text(encoding="utf-8"))
    return Ended(runner.returncode, latency_s, said, record, truth, (suites / "went on").exists())


def _let_it_happen(lab: Any, runner: subprocess.Popen[str], case: Case, happened: Path) -> float:
    flows = lab.wait_for(lambda truth: abs(truth["current_a"]) > FLOWS_A or runner.poll() is not None, RUN_S)
    assert flows is not None, "no current ever flowed"
    if case.signals or case.fault:
        assert runner.poll() is None, runner.communicate()[0]
    if not case.signals and not case.fault:
        runner.wait(RUN_S)
        assert happened.exists(), runner.communicate()[0]
        return float(happened.read_text(encoding="utf-8"))
    time.sleep(0.2)
    begun_s = time.time()
    if case.fault:
        assert lab.tell(f"fault {case.fault}") == "ok"
    for after_s, number in case.signals:
        time.sleep(max(0.0, begun_s + after_s - time.time()))
        if after_s == case.signals[0][0]:
            begun_s += after_s
        runner.send_signal(number)
    return begun_s


def _off_since(lab: Any, happened_s: float) -> float:
    """Return the time of day from which on the true current was off for good."""
    lines = [line for line in lab.lines() if line["unix_s"] >= happened_s - 0.2]
    on = [index for index, line in enumerate(lines) if abs(line["current_a"]) >= OFF_A]
    assert on, "the witness saw no current when it happened"
    assert on[-1] + 1 < len(lines), "the current still flows"
    return float(lines[on[-1] + 1]["unix_s"])


def judge(case: Case, ended: Ended) -> None:
    """What every way of leaving must come to."""
    assert 0.0 <= ended.latency_s <= case.within_s, f"{ended.latency_s:.2f} s\n{ended.said}"
    assert abs(ended.truth["current_a"]) < OFF_A
    assert ended.truth["disconnect_closed"] is False
    assert set(ended.truth["outputs_on"]) <= set(case.left_on), ended.said
    assert ended.status == case.status, ended.said
    assert not ended.went_on, "a test began after the run was told to stop"


@pytest.fixture
def healthy(lab: Any) -> Any:
    """The lab, everything in it as after power-up, and its BMS closed."""
    make_healthy(lab)
    return lab


def make_healthy(lab: Any) -> None:
    assert lab.tell("reset 1") == "ok"
    assert lab.wait_for(lambda truth: bool(truth["bms_closed"]), 10.0)


@pytest.mark.parametrize("case", [case for case in CASES if case.name in QUICK], ids=lambda case: case.name)
def test_the_current_ends_and_nothing_is_left_on(healthy: Any, tmp_path: Path, case: Case) -> None:
    judge(case, play(healthy, tmp_path, case))


@pytest.mark.full
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_way_of_leaving_three_times(healthy: Any, tmp_path: Path, case: Case, record_property: Any) -> None:
    latencies_s = []
    for number in range(3):
        make_healthy(healthy)
        ended = play(healthy, tmp_path / str(number), case)
        judge(case, ended)
        latencies_s.append(ended.latency_s)
    row = f"| {case.name} | {statistics.median(latencies_s):.2f} s | {max(latencies_s):.2f} s | {ended.status} |"
    record_property("leaving", row)
    print(row)
