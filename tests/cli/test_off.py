"""`bmsbench off` beside a run that has the bench, after one that died, and where nobody can know."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.bench_lock import hold_bench, lock_file, things_of
from bench.definition import load_definition
from bench.errors import InstrumentError, SafetyError
from bench.quarantine import check_bench, quarantined_bench

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of other processes are those of POSIX")

SUITE = """
from pathlib import Path
from bench import stimulus

def test_it(stand):
    Path("guardian").write_text(str(stand.guard.guardian.pid))
    stimulus.force(stand, 50.0)
    stand.clock.sleep(60.0)
"""


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


@pytest.fixture
def runner(lab: Any, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A run that has the bench, and lets 50 A flow."""
    suite = tmp_path / "test_running.py"
    suite.write_text(SUITE, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(suite)]
    command += ["--bench", str(lab.definition), "--bms", "seplos_v3", "--run-folder", str(tmp_path / "run")]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    flows = lab.wait_for(lambda truth: truth["current_a"] > 40.0 or process.poll() is not None, 60.0)
    assert flows is not None and process.poll() is None, process.communicate()[0]
    yield process
    if process.poll() is None:
        process.kill()
        process.communicate()


def off(lab: Any, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bmsbench", "off", "--bench", str(lab.definition), *words]
    return subprocess.run(command, cwd=lab.folder, capture_output=True, text=True, timeout=60)


def test_a_bench_that_a_run_has_is_left_to_it(lab: Any, runner: subprocess.Popen[str]) -> None:
    done = off(lab)
    assert done.returncode == 10
    assert done.stdout == ""
    assert f"in use by process {runner.pid} (" in done.stderr
    assert "--force" in done.stderr
    assert lab.truth()["current_a"] > 40.0, "the run was disturbed"
    assert runner.poll() is None


def test_force_goes_ahead_and_says_what_it_cannot_reach(lab: Any, runner: subprocess.Popen[str]) -> None:
    done = off(lab, "--force", "--json")
    assert lab.wait_for(lambda truth: abs(truth["current_a"]) < 0.2 and not truth["disconnect_closed"], 10.0)
    assert f"in use by process {runner.pid} (" in done.stderr
    assert "one client (EA) may refuse" in done.stderr
    data = json.loads(done.stdout)
    assert data["safe"] is (data["quarantine"] is None)
    assert [step["step"] for step in data["steps"] if step["stage"] == "disconnect open" and step["done"]]
    runner.communicate(timeout=60)
    assert runner.returncode == 10, "it ends by itself: its guard sees that the bench was opened under it"
    assert off(lab).returncode == 0
    assert lab.truth()["outputs_on"] == []


def test_what_a_dead_run_left_is_no_obstacle(lab: Any, runner: subprocess.Popen[str], tmp_path: Path) -> None:
    """Its EA still count its connections, and its lock file still names it."""
    os.kill(int((tmp_path / "guardian").read_text(encoding="utf-8")), signal.SIGKILL)
    runner.kill()
    runner.communicate()
    assert str(runner.pid) in lock_file(things_of(load_definition(lab.definition))[0]).read_text(encoding="utf-8")
    done = off(lab)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is safe: current" in done.stdout
    truth = lab.truth()
    assert abs(truth["current_a"]) < 0.2
    assert truth["outputs_on"] == []
    assert truth["disconnect_closed"] is False


def test_a_bench_that_is_not_known_to_be_safe_is_quarantined(lab: Any) -> None:
    assert lab.tell("fault charger silent") == "ok"
    try:
        done = off(lab)
    finally:
        assert lab.tell("fault charger none") == "ok"
    assert done.returncode == 10, done.stdout + done.stderr
    definition = load_definition(lab.definition)
    assert f"bmsbench release {definition.name} --by NAME" in done.stdout
    entry = quarantined_bench(definition.name)
    assert entry["by"] == "bmsbench off"
    assert "not reached: supply" in entry["cause"]
    assert off(lab).returncode == 0
    with pytest.raises(SafetyError, match="not reached: supply"):
        check_bench(definition)  # that it is safe now is measured, that somebody looked is not


def test_a_way_out_that_fails_itself_leaves_the_bench_quarantined(
    lab: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from bmsbench.__main__ import main
    from instruments import making_safe

    def fail(*_: Any, **__: Any) -> Any:
        raise InstrumentError("an inverted relay")

    monkeypatch.setattr(making_safe, "make_safe", fail)
    assert main(["off", "--bench", str(lab.definition), "--json"]) == 10
    assert "an inverted relay" in capsys.readouterr().err
    assert "an inverted relay" in quarantined_bench(load_definition(lab.definition).name)["cause"]


def test_no_run_begins_while_it_switches_off(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from bmsbench.__main__ import main
    from instruments import making_safe

    really = making_safe.make_safe
    holders = []

    def look(*arguments: Any, **options: Any) -> Any:
        holders.append(lock_file(things_of(load_definition(lab.definition))[0]).read_text(encoding="utf-8"))
        return really(*arguments, **options)

    monkeypatch.setattr(making_safe, "make_safe", look)
    assert main(["off", "--bench", str(lab.definition)]) == 0
    assert json.loads(holders[0])["pid"] == os.getpid()
    with hold_bench(load_definition(lab.definition)):
        pass


def test_it_switches_off_where_nothing_can_be_locked(
    lab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from bmsbench.__main__ import main

    (tmp_path / "file").touch()
    monkeypatch.setenv("BMSBENCH_STATE", str(tmp_path / "file" / "state"))
    assert main(["off", "--bench", str(lab.definition)]) == 0
    shown = capsys.readouterr()
    assert "going ahead without" in shown.err
    assert "is safe: current" in shown.out
