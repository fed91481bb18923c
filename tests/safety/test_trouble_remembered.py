"""Before and after: a guardian that cannot start, two runs at once, a bench that was left unsafe, a lost instrument."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.definition import load_definition
from bench.errors import Occupied, SafetyError
from bench.observer import Event, Observers
from bench.profile import find_profile, load_profile
from bench.quarantine import bench_file, release_bench
from instruments import guarding
from instruments.stand import open_stand

SUITE = """
import time
from pathlib import Path
from bench import stimulus

def test_first(stand):
    Path("guardian").write_text(str(stand.guard.guardian.pid))
    stimulus.force(stand, 50.0)
    stimulus.settle(stand, 50.0)
    stand.clock.sleep(30.0)

def test_second(stand):
    pass

def test_third(stand):
    pass

def test_without_a_bench():
    pass
"""
posix = pytest.mark.skipif(os.name != "posix", reason="signals of other processes are those of POSIX")


class Notes:
    """An observer that keeps what was noted."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def event(self, event: Event) -> None:
        self.texts.append(event.text)

    def sample(self, channel: str, at_s: float, value: float) -> None:
        """Not looked at."""

    def frame(self, frame: object) -> None:
        """Not looked at."""

    def dialogue(self, dialogue: object) -> None:
        """Not looked at."""


@pytest.fixture(scope="module")
def shared_lab(lab_process: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    started = lab_process(tmp_path_factory.mktemp("lab"), "--bms", "seplos_v3")
    yield started
    status, said = started.close()
    assert status == 0, said


@pytest.fixture
def lab(shared_lab: Any) -> Any:
    assert shared_lab.tell("reset 1") == "ok"
    assert shared_lab.wait_for(lambda truth: bool(truth["bms_closed"]), 10.0)
    return shared_lab


def opened(lab: Any, **more: Any) -> Any:
    return open_stand(load_definition(lab.definition), load_profile(find_profile("seplos_v3")), **more)


def start(lab: Any, folder: Path) -> subprocess.Popen[str]:
    """Start a run in a process of its own."""
    folder.mkdir(exist_ok=True)
    suite = folder / "test_trouble.py"
    suite.write_text(SUITE, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(suite)]
    command += ["--bench", str(lab.definition), "--bms", "seplos_v3", "--run-folder", str(folder / "run")]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_until_it_flows(lab: Any, runner: subprocess.Popen[str]) -> None:
    flows = lab.wait_for(lambda truth: abs(truth["current_a"]) > 40 or runner.poll() is not None, 30.0)
    assert flows is not None and runner.poll() is None, runner.communicate()[0]
    time.sleep(0.2)


# --- a guardian that cannot be there -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (("no-such-program",), "cannot start"),
        ((sys.executable, "-c", "raise RuntimeError('broken')"), "RuntimeError: broken"),
        ((sys.executable, "-c", "import sys; sys.stdin.read()"), "did not arm within"),
        ((sys.executable, "-c", "print('hello'); import sys; sys.stdin.read()"), "did not arm within"),
    ],
    ids=["is missing", "dies", "says nothing", "says something else"],
)
def test_without_a_guardian_the_run_does_not_start(
    lab: Any, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], why: str
) -> None:
    monkeypatch.setattr(guarding, "COMMAND", command)
    monkeypatch.setattr(guarding, "ARMED_WITHIN_S", 1.0)
    notes = Notes()
    with pytest.raises(SafetyError, match=why):
        with opened(lab, observers=Observers(notes)):
            pytest.fail("it was opened")
    assert not any("disconnect closed" in text for text in notes.texts)
    assert lab.truth()["disconnect_closed"] is False


def test_watchdogs_are_armed_before_power_and_disarmed_at_the_end(lab: Any) -> None:
    notes = Notes()
    with opened(lab, observers=Observers(notes)) as stand:
        for part in stand.guard.drivers.values():
            assert part.is_watchdog_armed()
    armed = [index for index, text in enumerate(notes.texts) if text.startswith("watchdog")]
    closed = [index for index, text in enumerate(notes.texts) if text.startswith("disconnect closed")]
    said = {notes.texts[index].partition(":")[0]: notes.texts[index] for index in armed}
    assert sorted(said) == ["watchdog disconnect", "watchdog load", "watchdog supply"]
    assert "it has none" in said["watchdog disconnect"]
    assert max(armed) < min(closed)
    with opened(lab, observers=Observers(again := Notes())):
        pass
    assert not any("armed already" in text for text in again.texts)


# --- one run per bench ---------------------------------------------------------------------------------------


@posix
def test_a_second_run_is_refused_and_a_killed_one_blocks_nobody(lab: Any, tmp_path: Path) -> None:
    runner = start(lab, tmp_path / "first")
    try:
        wait_until_it_flows(lab, runner)
        with pytest.raises(Occupied, match=rf"in use by process {runner.pid} \(.*pytest"):
            with opened(lab):
                pytest.fail("it was opened")
        second = start(lab, tmp_path / "second")
        said, _ = second.communicate(timeout=30)
        assert second.returncode == 4, said
        assert f"in use by process {runner.pid}" in said
        assert lab.truth()["current_a"] > 40, "the first run was disturbed"
        for pid in (int((tmp_path / "first" / "guardian").read_text(encoding="utf-8")), runner.pid):
            os.kill(pid, signal.SIGKILL)
        runner.communicate()
    finally:
        if runner.poll() is None:
            runner.kill()
            runner.communicate()
    notes = Notes()
    with opened(lab, observers=Observers(notes)) as stand:
        assert stand.reference.current() == pytest.approx(0.0, abs=0.2)
    # A dead client is counted for 3 s, and its watchdog waits no longer: nothing is on any more when this one comes in.
    assert any("its watchdog was armed already" in text for text in notes.texts)


def test_an_output_that_somebody_left_on_is_switched_off_and_told_of(lab: Any) -> None:
    with socket.create_connection(("127.0.0.1", lab.ports["charger"]), timeout=10) as somebody:
        for command in ("SYST:LOCK ON", "VOLT 12", "CURR 1", "OUTP ON"):
            somebody.sendall(command.encode() + b"\n")
        assert lab.wait_for(lambda truth: bool(truth["outputs_on"]), 10.0)
        somebody.sendall(b"SYST:LOCK OFF\n")  # as delivered, the output then stays as it is
        somebody.sendall(b"SYST:LOCK:OWN?\n")
        assert somebody.recv(100) == b"NONE\n"
    assert lab.truth()["outputs_on"]
    notes = Notes()
    with opened(lab, observers=Observers(notes)):
        pass
    assert any("was on when the bench was opened" in text for text in notes.texts)
    assert lab.truth()["outputs_on"] == []


# --- memory ---------------------------------------------------------------------------------------------------


@posix
@pytest.mark.full
def test_what_the_guardian_could_not_make_safe_stays_closed(lab: Any, tmp_path: Path) -> None:
    runner = start(lab, tmp_path / "run")
    try:
        wait_until_it_flows(lab, runner)
        runner.send_signal(signal.SIGSTOP)
        assert lab.tell("fault charger silent") == "ok"
        name = load_definition(lab.definition).name
        until_s = time.monotonic() + 40.0
        while not bench_file(name).exists() and time.monotonic() < until_s:
            time.sleep(0.05)
        runner.communicate()
    finally:
        if runner.poll() is None:
            runner.kill()
            runner.communicate()
    assert runner.returncode == -signal.SIGKILL, "the guardian did not end it"
    truth = lab.truth()
    assert abs(truth["current_a"]) < 0.2
    assert truth["disconnect_closed"] is False
    entry = json.loads(bench_file(name).read_text(encoding="utf-8"))
    assert entry["by"] == "guardian"
    assert "not reached: supply" in entry["cause"]
    assert lab.tell("fault charger none") == "ok"
    second = start(lab, tmp_path / "second")
    said, _ = second.communicate(timeout=30)
    assert second.returncode == 4, said
    assert "is quarantined since" in said and "bmsbench release" in said
    with pytest.raises(SafetyError, match=r"the runner stalled"):
        with opened(lab):
            pytest.fail("it was opened")
    release_bench(name, "A. Person")
    with opened(lab):
        pass


@posix
def test_after_an_instrument_is_lost_the_rest_is_skipped_with_the_cause(lab: Any, tmp_path: Path) -> None:
    runner = start(lab, tmp_path / "run")
    try:
        wait_until_it_flows(lab, runner)
        assert lab.tell("fault charger connection_reset") == "ok"
        said, _ = runner.communicate(timeout=60)
    finally:
        if runner.poll() is None:
            runner.kill()
            runner.communicate()
    assert runner.returncode == 10, said
    record = json.loads((tmp_path / "run" / "run" / "run.json").read_text(encoding="utf-8"))
    outcomes = {test["id"].rpartition("::")[2]: test for test in record["tests"]}
    assert outcomes["test_first"]["outcome"] == "broken"
    for name in ("test_second", "test_third"):
        assert outcomes[name]["outcome"] == "skipped"
        assert "the bench failed before" in outcomes[name]["reason"]
        assert "charger" in outcomes[name]["reason"]
    assert outcomes["test_without_a_bench"]["outcome"] == "passed"
