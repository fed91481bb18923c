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
