"""Ways out that come from outside the test: instruments that restart or vanish, a full disk, a computer that slept.

Real processes; the witness is the circuit of a lab in a process of its own. In each case the true current must end in
time and stay off, nothing that can be reached may be left on, and the run must say what became of the bench.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.definition import find_definition, load_definition
from bench.errors import SafetyError
from instruments.guarding import GuardianProcess

HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))  # tests have no packages, so what they share is found by its folder

from ways_out_run import BROKEN, Run, Way, is_alive  # noqa: E402

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="stops processes, fills disks, and reads /proc")

OFF_A = 0.2  # 0.1 % of the reference's range of 200 A
STALL_S = 3.0  # the definition's default
INTERRUPTED, KILLED = 2, -9
ROUNDS = 3


def restarts(instrument: str, body: str = "flows", **more: Any) -> Way:
    """A way in which an instrument loses its mains for a second."""
    events = ((0.0, f"fault {instrument} mains_loss"), (1.0, f"fault {instrument} none"))
    where = {"flows": "", "idles": ", nothing flows", "between tests": ", between two tests"}[body]
    return Way(f"{instrument} loses its mains for 1 s{where}", body, events, **more)


def vanishes(instrument: str, **more: Any) -> Way:
    """A way in which an instrument is gone: its connections end, and nobody answers at its address any more."""
    return Way(f"{instrument} vanishes", events=((0.0, f"vanish {instrument}"),), **more)


BOTH_STOP = ((0.0, "STOP guardian"), (0.0, "STOP runner"))
WAYS = [
    restarts("charger"),
    restarts("sink", current_a=-50.0),
    restarts("shunt_meter"),
    restarts("pack_meter"),
    restarts("relays"),
    restarts("charger", "idles"),
    restarts("sink", "idles"),
    restarts("shunt_meter", "idles"),
    restarts("pack_meter", "idles"),
    restarts("relays", "idles"),
    restarts("charger", "between tests", status=0),
    restarts("sink", "between tests", status=0),
    restarts("shunt_meter", "between tests", status=0),
    restarts("relays", "between tests", status=0),
    vanishes("charger", left_on=("charger",)),
    vanishes("sink", current_a=-50.0, left_on=("sink",)),
    vanishes("shunt_meter", safe=False),
    vanishes("pack_meter"),
    vanishes("relays", disconnect_left=True),
    vanishes("everything", disconnect_left=True, safe=False, within_s=STALL_S + 3.0),
    Way("cable of everything unplugged", events=((0.0, "unplug everything"),), disconnect_left=True, safe=False,
        within_s=STALL_S + 3.0, perhaps_by_guardian=True),
    Way("terminal closed", events=((0.0, "close terminal"),), status=INTERRUPTED, terminal=True, within_s=2.0),
    Way("full disk", "fills the disk", tiny_disk=True, says="disk full"),
    Way("full disk, and the reference meter hangs", "fills the disk", ((0.0, "fault shunt_meter silent"),), safe=False,
        tiny_disk=True),
    Way("full disk, then kill -9 of the run", "fills the disk", ((0.0, "KILL runner"),), KILLED, 4.0, by_guardian=True,
        tiny_disk=True),
    Way("no file may grow any more", "may write no more", says="evidence cannot be written"),
    Way("no file may grow any more, nor the log", "may write no more", log_too=True),
    Way("hangs in C code", "hangs in C code", by_guardian=True, within_s=4.0, says="could not be interrupted"),
    Way("hangs in C code, with the interpreter", "hangs in C code with the interpreter", status=KILLED,
        by_guardian=True, within_s=STALL_S + 2.0),
    Way("the computer sleeps for 10 s", "flows", (*BOTH_STOP, (10.0, "CONT runner"), (10.0, "CONT guardian")),
        within_s=STALL_S + 2.0),
    Way("the computer sleeps for 10 s, discharging", "flows",
        (*BOTH_STOP, (10.0, "CONT guardian"), (10.0, "CONT runner")), within_s=STALL_S + 2.0, current_a=-50.0),
    Way("the computer sleeps for 10 s, nothing flows", "idles",
        (*BOTH_STOP, (10.0, "CONT runner"), (10.0, "CONT guardian"))),
    Way("the computer sleeps for 10 s, PSB", "flows", (*BOTH_STOP, (10.0, "CONT runner"), (10.0, "CONT guardian")),
        within_s=STALL_S + 2.0, bench="virtual_bidirectional"),
]  # fmt: skip
QUICK = (
    "charger loses its mains for 1 s, nothing flows",
    "relays vanishes",
    "no file may grow any more",
)


def can_mount() -> bool:
    """Say whether a process may have a disk of its own here."""
    words = ["unshare", "-rm", "sh", "-c", "mount -t tmpfs -o size=64k tmpfs /tmp"]
    return (
        shutil.which("unshare") is not None and subprocess.run(words, capture_output=True, check=False).returncode == 0
    )


def off_since(lab: Any, happened_s: float) -> float | None:
    """Return the time of day from which on the true current was off for good, or None if none flowed."""
    lines = [line for line in lab.lines() if line["unix_s"] >= happened_s - 0.2]
    on = [index for index, line in enumerate(lines) if abs(line["current_a"]) >= OFF_A]
    if not on:
        return None
    assert on[-1] + 1 < len(lines), "the current still flows"
    return float(lines[on[-1] + 1]["unix_s"])


def play(lab: Any, folder: Path, way: Way) -> float:
    """Let it happen, judge everything that must be so, and return how long current flowed after it."""
    if way.tiny_disk and not can_mount():
        pytest.skip("no disk of its own for a process here (unshare -rm)")
    run = Run(lab, folder, way)
    try:
        happened_s = run.happen()
        by_guardian = way.by_guardian or (way.perhaps_by_guardian and run.process.returncode != BROKEN)
        if by_guardian:
            assert _wait_until_gone(run.pid("guardian")), "the guardian does not end"
            shutil.copytree(run.disk, run.kept, dirs_exist_ok=True)
        if way.body == "hangs in C code":  # the process ends itself
            happened_s = (run.run_folder / "time_limit.txt").stat().st_mtime
        time.sleep(0.2)
        off_s = off_since(lab, happened_s)
        shown = f"{run.said()}\n{run.guardian_lines()}"
        truth = lab.truth()
        status = run.process.returncode
        killed = by_guardian and (way.perhaps_by_guardian or way.status == KILLED)
        assert status in ((KILLED, 128 - KILLED) if killed else (way.status,)), f"status {status}\n{shown}"
        assert abs(truth["current_a"]) < OFF_A
        assert set(truth["outputs_on"]) <= set(way.left_on), shown
        assert truth["disconnect_closed"] is False or way.disconnect_left, shown
        assert bool(run.quarantines()) is not way.safe, f"{run.quarantines()}\n{shown}"
        ends = [line["safe"] for line in run.guardian_lines() if line["guardian"] == "way out"]
        assert ends == ([way.safe] if by_guardian and not way.tiny_disk else []), shown
        assert way.says in run.said(), shown
        if status == BROKEN and "could not be interrupted" not in way.says:
            _check_record(run)
        if way.body == "between tests":
            assert (run.suites / "went on").exists(), shown
            return 0.0
        assert way.body == "idles" or off_s is not None, "the witness saw no current when it happened"
        assert off_s is None or way.body != "idles", "current flowed although nothing was to flow"
        latency_s = max(0.0, (off_s or happened_s) - happened_s)
        assert latency_s <= way.within_s, f"{latency_s:.2f} s\n{shown}"
        return latency_s
    finally:
        run.close()


def _check_record(run: Run) -> None:
    """What was written is kept and can be read; the way out is in it unless the disk was full."""
    record = json.loads((run.kept / "run" / "run.json").read_text(encoding="utf-8"))
    full = run.way.body in ("fills the disk", "may write no more")
    if not full:
        assert record["exit_status"] == BROKEN
        assert any("made safe" in line for line in record["safe_state"]), record["safe_state"]
    traces = [path.read_text(encoding="utf-8") for path in (run.kept / "run").glob("tests/*/trace.csv")]
    assert any("reference_current" in trace for trace in traces)


def _wait_until_gone(pid: int, within_s: float = 30.0) -> bool:
    until_s = time.monotonic() + within_s
    while is_alive(pid) and time.monotonic() < until_s:
        time.sleep(0.02)
    return not is_alive(pid)


@pytest.fixture(scope="module")
def labs(lab_process: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A lab of each bench, started when it is first asked for."""

    class Labs(dict[str, Any]):
        def __missing__(self, bench: str) -> Any:
            self[bench] = lab_process(tmp_path_factory.mktemp(bench), "--bench", bench, "--bms", "seplos_v3")
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


@pytest.mark.parametrize("way", [way for way in WAYS if way.name in QUICK], ids=lambda way: way.name)
def test_the_bench_is_left(labs: Any, tmp_path: Path, way: Way) -> None:
    play(make_healthy(labs[way.bench]), tmp_path / "run", way)


def test_a_run_that_could_not_remember_trouble_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("BMSBENCH_STATE", str(tmp_path / "file" / "state"))
    with pytest.raises(SafetyError, match=r"trouble could not be remembered .*nothing is switched on"):
        GuardianProcess(load_definition(find_definition("virtual")), lab=None, evidence=None)


@pytest.mark.full
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_every_other_way_out_3x(labs: Any, tmp_path: Path, way: Way, record_property: Any) -> None:
    latencies_s = [play(make_healthy(labs[way.bench]), tmp_path / str(number), way) for number in range(ROUNDS)]
    row = f"| {way.name} | {statistics.median(latencies_s):.2f} s | {max(latencies_s):.2f} s |"
    record_property("leaving", row)
    print(row)
