"""First contacts over real sockets with a bench in another process, whose circuit is the witness."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def lab(tmp_path: Path, lab_process: Any) -> Iterator[Any]:
    started = lab_process(tmp_path, "--bms", "seplos_v3")
    yield started
    started.close()


def command(lab: Any, *words: str) -> list[str]:
    bench = ["--bench", str(lab.definition), "--bms", "seplos_v3"]
    return [sys.executable, "-m", "bmsbench", "commission", *words, *bench]


def run(lab: Any, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(lab, *words), cwd=lab.folder, capture_output=True, text=True, timeout=90, stdin=subprocess.DEVNULL
    )


def is_off(truth: dict[str, Any]) -> bool:
    return abs(truth["current_a"]) < 0.2 and not truth["disconnect_closed"]


def test_a_disconnect_is_met_in_real_time(lab: Any) -> None:
    done = run(lab, "disconnect", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["commissioned"] is True
    assert is_off(lab.truth())


def test_a_pack_where_a_short_was_told_is_seen_before_anything_closes(lab: Any, state: Path) -> None:
    done = run(lab, "supply", "--short")
    assert done.returncode == 10
    assert "Nothing was closed" in " ".join(done.stdout.split())
    closed = [line for line in lab.lines() if line.get("disconnect_closed")]
    assert closed == []
    assert is_off(lab.truth())
    assert len(list((state / "commissioning").rglob("*.json"))) == 1


def test_faults_are_planted_only_in_simulated_time(lab: Any, state: Path) -> None:
    done = run(lab, "supply", "--fault", "stuck_output")
    assert done.returncode == 2
    assert "only a bench in simulated time" in done.stderr
    assert not (state / "commissioning").exists()


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C reaches a whole console on Windows")
def test_ctrl_c_leaves_the_bench_safely_and_no_evidence(lab: Any, state: Path) -> None:
    process = subprocess.Popen(
        command(lab, "load"), cwd=lab.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        text=True, start_new_session=True,
    )  # fmt: skip
    flows = lab.wait_for(lambda truth: truth["current_a"] < -4.0, within_s=30.0)
    process.send_signal(signal.SIGINT)
    at_s = time.time()
    off_s = lab.wait_for(is_off, within_s=10.0)
    out, err = process.communicate(timeout=30)
    assert flows is not None, out + err
    assert off_s is not None
    assert off_s - at_s < 5.0
    assert process.returncode == 130, out + err
    assert "Traceback" not in err
    assert not (state / "commissioning").exists()


def begin(lab: Any, target: str) -> subprocess.Popen[str]:
    """Begin a first contact in a process group of its own, and wait until current flows."""
    process = subprocess.Popen(
        command(lab, target), cwd=lab.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL, text=True, start_new_session=True,
    )  # fmt: skip
    flows = lab.wait_for(lambda truth: abs(truth["current_a"]) > 4.0 or process.poll() is not None, within_s=60.0)
    assert flows is not None and process.poll() is None, process.communicate()[0]
    return process


def guardian_of(process: subprocess.Popen[str]) -> int:
    """Return the process number of its guardian."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="utf-8").split()
    lines = {pid: Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ") for pid in children}
    [found] = [int(pid) for pid, line in lines.items() if b"instruments.guardian" in line]
    return found


def guardian_lines(state: Path) -> list[dict[str, Any]]:
    """Return what the guardian wrote."""
    [path] = (state / "guardian").glob("*.jsonl")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


linux = pytest.mark.skipif(sys.platform != "linux", reason="kills and stops processes, and reads /proc")


@linux
@pytest.mark.parametrize("target", ["supply", "load"])
def test_kill_9_in_the_middle_leaves_nothing_on(lab: Any, state: Path, target: str) -> None:
    process = begin(lab, target)
    at_s = time.time()
    process.kill()
    process.communicate()
    off_s = lab.wait_for(is_off, within_s=15.0)
    ended = lab.wait_for(lambda _: any(line["guardian"] == "way out" for line in guardian_lines(state)), within_s=30.0)
    assert off_s is not None
    print(f"{target}: off after {off_s - at_s:.2f} s")
    assert off_s - at_s < 6.0, "an EA may be counted for 3 s; the disconnect does not wait for it"
    assert ended is not None
    assert [line["safe"] for line in guardian_lines(state) if line["guardian"] == "way out"] == [True]
    assert lab.truth()["outputs_on"] == []
    assert is_off(lab.truth())
    assert not (state / "quarantine").exists() or not list((state / "quarantine").glob("bench-*"))
    assert not (state / "commissioning").exists(), "half a contact is no evidence"


@linux
def test_a_contact_that_is_stopped_is_ended_by_the_guardian(lab: Any, state: Path) -> None:
    process = begin(lab, "load")
    process.send_signal(signal.SIGSTOP)
    off_s = lab.wait_for(is_off, within_s=15.0)
    process.communicate(timeout=30)
    assert off_s is not None
    assert process.returncode == -signal.SIGKILL
    assert "stalled" in guardian_lines(state)[0]["why"]


@linux
def test_without_its_guardian_a_contact_opens_everything_and_says_so(lab: Any) -> None:
    process = begin(lab, "load")
    os.kill(guardian_of(process), signal.SIGKILL)
    off_s = lab.wait_for(is_off, within_s=15.0)
    said, _ = process.communicate(timeout=60)
    assert off_s is not None
    assert process.returncode == 10
    assert "is gone" in " ".join(said.split())
    assert "the watch opened everything" in " ".join(said.split())
    assert is_off(lab.truth())


@pytest.mark.full
def test_a_bus_that_still_holds_its_voltage_is_no_reading_that_stands_still(lab: Any) -> None:
    assert run(lab, "disconnect").returncode == 0
    done = run(lab, "supply", "--json")
    found = {line["check"]: line for line in json.loads(done.stdout)["lines"]}
    assert done.returncode == 0, done.stdout + done.stderr
    assert found["open terminals"]["verdict"] == "not tested"
    assert "still hold" in found["open terminals"]["found"]


@linux
@pytest.mark.full
def test_without_either_the_watchdog_ends_the_current(lab: Any) -> None:
    process = begin(lab, "load")
    os.kill(guardian_of(process), signal.SIGKILL)
    process.kill()
    process.communicate()
    assert lab.wait_for(lambda truth: abs(truth["current_a"]) < 0.2, within_s=10.0)
    assert lab.truth()["outputs_on"] == []


@pytest.mark.full
@pytest.mark.parametrize(
    ("target", "instrument", "fault", "words"),
    [
        ("supply", "charger", "none", "is commissioned"),
        ("supply", "charger", "sign_inverted", "has the other sign"),
        ("supply", "charger", "watchdog_dead", "did nothing"),
        ("load", "sink", "clear_reenables", "switched its output on again"),
    ],
)
def test_faults_are_named_in_real_time_too(lab: Any, target: str, instrument: str, fault: str, words: str) -> None:
    lab.tell(f"fault {instrument} {fault}")
    done = run(lab, target)
    assert words in " ".join(done.stdout.split()), done.stdout + done.stderr
    assert done.returncode == (0 if fault == "none" else 10)
    assert is_off(lab.truth())


@pytest.mark.full
@pytest.mark.parametrize("fault", ["silent", "mains_loss", "connection_reset", "stuck_output"])
def test_an_instrument_that_fails_while_current_flows_is_cut_off_and_reported(lab: Any, fault: str) -> None:
    process = subprocess.Popen(
        command(lab, "load"), cwd=lab.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        text=True,
    )  # fmt: skip
    flows = lab.wait_for(lambda truth: truth["current_a"] < -4.0, within_s=30.0)
    lab.tell(f"fault sink {fault}")
    at_s = time.time()
    off_s = lab.wait_for(is_off, within_s=10.0)
    out, err = process.communicate(timeout=60)
    assert flows is not None, out + err
    assert off_s is not None, out + err
    print(f"{fault}: off after {off_s - at_s:.2f} s")
    assert off_s - at_s < 6.0, "a time-out of 2 s to notice, 2 s to try, and the disconnect"
    assert process.returncode == 10, out + err
    assert "sink is NOT commissioned" in " ".join(out.split()), out + err
    assert is_off(lab.truth())
