"""In real time: a unit whose settings were changed is refused everywhere until they read as before the first write."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.definition import load_definition
from bench.dut_identity import check_dut
from bench.dut_settings import changed, read_settings
from bench.errors import Missing, ProductFailure, SafetyError
from bench.observer import Observers
from bench.profile import find_profile, load_profile
from bench.quarantine import dut_file, history, quarantine_dut, quarantine_folder
from bench.roles import Dialogue
from bench.settings import Identification
from instruments.stand import open_stand

SUITE = """
from pathlib import Path
from bench.dut_settings import changed

def test_with_other_settings(stand):
    with changed(stand, {"charge_overcurrent": 60.0, "discharge_overcurrent": 70.0}):
        Path("changed").write_text(stand.dut.serial)
        stand.clock.sleep(60.0)
"""
QUICK = """
from pathlib import Path

def test_something(stand):
    Path("opened").touch()
"""
SEPLOS = load_profile(find_profile("seplos_v3"))
posix = pytest.mark.skipif(os.name != "posix", reason="signals of other processes are those of POSIX")


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


@contextmanager
def opened(lab: Any, profile: Any = SEPLOS, *, told: str = "", **more: Any) -> Iterator[Any]:
    with open_stand(load_definition(lab.definition), profile, **more) as stand:
        check_dut(stand, told)
        yield stand


def start(lab: Any, folder: Path, suite: str) -> subprocess.Popen[str]:
    folder.mkdir()
    path = folder / "test_dut.py"
    path.write_text(suite, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(path)]
    command += ["--bench", str(lab.definition), "--bms", "seplos_v3", "--run-folder", str(folder / "run")]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def settings(lab: Any, *words: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "bmsbench",
        "settings",
        "--bench",
        str(lab.definition),
        "--bms",
        "seplos_v3",
        *words,
    ]
    return subprocess.run(command, cwd=lab.folder, capture_output=True, text=True, timeout=60, check=False)


def wait_for_file(path: Path, runner: subprocess.Popen[str]) -> None:
    until_s = time.monotonic() + 40.0
    while not path.exists() and time.monotonic() < until_s:
        if runner.poll() is not None:
            pytest.fail(runner.communicate()[0])
        time.sleep(0.05)
    assert path.exists()
    time.sleep(0.2)  # the text is there too


def run(lab: Any, folder: Path) -> tuple[int, str, bool]:
    """Run the quick suite: status, output, and whether it got a stand. The guardian of a dead run leaves first."""
    until_s = time.monotonic() + 60.0
    for attempt in itertools.count():
        place = folder.with_name(f"{folder.name}{attempt}")
        runner = start(lab, place, QUICK)
        said, _ = runner.communicate(timeout=60)
        if "is in use by process" not in said or time.monotonic() > until_s:
            return runner.returncode, said, (place / "opened").exists()
    raise AssertionError("itertools.count ended")


def kill_between_write_and_restore(lab: Any, folder: Path) -> str:
    """Return the serial number of the unit that was left changed."""
    runner = start(lab, folder, SUITE)
    try:
        wait_for_file(folder / "changed", runner)
        os.kill(runner.pid, signal.SIGKILL)
        runner.communicate(timeout=30)
    finally:
        if runner.poll() is None:
            runner.kill()
            runner.communicate()
    return (folder / "changed").read_text(encoding="utf-8")


# --- killed between write and restore -------------------------------------------------------------------------------


@posix
def test_a_run_killed_between_write_and_restore_leaves_the_unit_quarantined_until_it_reads_as_before(
    lab: Any, tmp_path: Path
) -> None:
    serial = kill_between_write_and_restore(lab, tmp_path / "killed")
    entry = json.loads(dut_file(serial).read_text(encoding="utf-8"))
    assert entry["snapshot"]["charge_overcurrent"] == 110.0
    assert set(entry["snapshot"]) == set(SEPLOS.settings)
    assert "charge_overcurrent, discharge_overcurrent" in entry["cause"]

    status, said, got_a_stand = run(lab, tmp_path / "refused")
    assert status == 10, said
    assert f"BMS {serial} is quarantined since" in said and "bmsbench settings --restore" in said
    assert not got_a_stand

    shown = settings(lab)
    assert shown.returncode == 10, shown.stderr
    assert "QUARANTINED" in shown.stdout and shown.stdout.count("NOT PUT BACK") == 2
    data = json.loads(settings(lab, "--json").stdout)
    assert {row["name"]: row["now"] for row in data["settings"] if row["differs"]} == {
        "charge_overcurrent": 60.0,
        "discharge_overcurrent": 70.0,
    }

    restored = settings(lab, "--restore")
    assert restored.returncode == 0, restored.stdout + restored.stderr
    assert "writing back: charge_overcurrent, discharge_overcurrent" in restored.stdout
    assert "may be tested again" in restored.stdout
    assert history()[-1]["released_by"] == "read-back equals the snapshot"
    assert settings(lab).returncode == 0

    status, said, got_a_stand = run(lab, tmp_path / "allowed")
    assert got_a_stand, said
    record = json.loads(max(tmp_path.glob("allowed*/run/run.json")).read_text(encoding="utf-8"))
    assert record["dut"]["serial"] == serial
    assert record["dut"]["firmware"] == "10"


@posix
def test_the_unit_is_refused_on_another_bench_too_before_power(lab: Any, tmp_path: Path) -> None:
    kill_between_write_and_restore(lab, tmp_path / "killed")
    run(lab, tmp_path / "refused")
    first = load_definition(lab.definition)
    definition = first.model_copy(update={"bench": first.bench.model_copy(update={"name": "another_table"})})
    assert definition.name == "another_table"
    with pytest.raises(SafetyError, match=rf"is quarantined since .*on bench {first.name} changed"):
        with open_stand(definition, SEPLOS) as stand:
            check_dut(stand)
    assert not any(line["disconnect_closed"] for line in lab.lines()[-20:])
    assert settings(lab, "--restore").returncode == 0


def test_nothing_to_put_back_is_said(lab: Any) -> None:
    ended = settings(lab, "--restore")
    assert ended.returncode == 2
    assert "is not quarantined; there is nothing to put back" in ended.stderr


# --- the order ------------------------------------------------------------------------------------------------------


class AtFirstWrite:
    """Looks at the quarantine when the first setting is sent."""

    def __init__(self) -> None:
        self.kept: list[list[str]] = []

    def event(self, event: object) -> None:
        """Not looked at."""

    def sample(self, channel: str, at_s: float, value: float) -> None:
        """Not looked at."""

    def frame(self, frame: object) -> None:
        """Not looked at."""

    def dialogue(self, dialogue: Dialogue) -> None:
        if dialogue.sent and dialogue.text.startswith("e0 10"):
            self.kept.append([path.name for path in quarantine_folder().glob("dut-*.json")])


def test_the_quarantine_is_on_the_disk_before_the_first_write_and_gone_after_the_last(lab: Any) -> None:
    eyes = AtFirstWrite()
    with opened(lab, observers=Observers(eyes)) as stand:
        mine = dut_file(stand.dut.serial)
        with changed(stand, {"charge_overcurrent": 60.0}):
            pass
        assert eyes.kept == [[mine.name], [mine.name]], "once for the test, once to put it back"
        assert not mine.exists()


def test_a_snapshot_that_cannot_be_kept_forbids_the_first_write(
    lab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    eyes = AtFirstWrite()
    with opened(lab, observers=Observers(eyes)) as stand:
        with monkeypatch.context() as patch:
            (tmp_path / "file").touch()
            patch.setenv("BMSBENCH_STATE", str(tmp_path / "file"))
            with pytest.raises(SafetyError, match="no setting was changed"):
                with changed(stand, {"charge_overcurrent": 60.0}):
                    pytest.fail("it was changed")
    assert eyes.kept == []


def test_a_run_has_the_bench_and_nobody_else_writes_settings(lab: Any) -> None:
    with opened(lab):
        ended = settings(lab, "--restore")
    assert ended.returncode == 10
    assert "is in use by process" in ended.stderr


# --- units that lose their supply, or do not say who they are ------------------------------------------------------


def power_cycle(lab: Any) -> None:
    assert lab.tell("power 0") == "ok"
    assert lab.tell("power 1") == "ok"


def test_settings_outlive_a_power_cycle_of_a_healthy_unit_and_are_put_back(lab: Any) -> None:
    with opened(lab) as stand:
        before = read_settings(stand.dut)
        with changed(stand, {"charge_overcurrent": 60.0}):
            power_cycle(lab)
        assert read_settings(stand.dut) == before
        assert not dut_file(stand.dut.serial).exists()


def test_a_unit_that_forgets_in_a_power_cycle_is_named(lab_process: Any, tmp_path: Path) -> None:
    forgetful = lab_process(tmp_path, "--bms", "seplos_v3", "--defect", "setting_lost_on_power_cycle")
    try:
        assert forgetful.wait_for(lambda truth: bool(truth["bms_closed"]), 10.0)
        with opened(forgetful) as stand:
            with pytest.raises(ProductFailure, match=r"at the end, .*: charge_overcurrent reads 110 A, should be 60 A"):
                with changed(stand, {"charge_overcurrent": 60.0}):
                    power_cycle(forgetful)
            assert not dut_file(stand.dut.serial).exists(), "it reads as before"
    finally:
        forgetful.close()


def test_a_unit_that_keeps_another_value_stays_quarantined(lab_process: Any, tmp_path: Path) -> None:
    stubborn = lab_process(tmp_path, "--bms", "seplos_v3", "--defect", "setting_written_wrong")
    try:
        assert stubborn.wait_for(lambda truth: bool(truth["bms_closed"]), 10.0)
        with pytest.raises(SafetyError, match=r"stays quarantined: charge_overcurrent = 111\.0 instead of 110\.0"):
            with opened(stubborn) as stand, changed(stand, {"charge_overcurrent": 60.0}):
                pytest.fail("it was changed")
        ended = settings(stubborn, "--restore")
        assert ended.returncode == 10
        assert "stays quarantined: charge_overcurrent = 111.0 instead of 110.0" in ended.stderr
    finally:
        stubborn.close()


def test_a_unit_that_dies_in_between_stays_quarantined_and_is_put_back_when_it_lives(lab: Any) -> None:
    with pytest.raises(SafetyError, match=r"could not be put back: .*stays quarantined: bmsbench settings --restore"):
        with opened(lab) as stand, changed(stand, {"charge_overcurrent": 60.0}):
            assert lab.tell("power 0") == "ok"
    [kept] = quarantine_folder().glob("dut-*.json")
    assert settings(lab, "--restore").returncode == 10, "it is silent"
    assert lab.tell("power 1") == "ok"
    restored = settings(lab, "--restore")
    assert restored.returncode == 0, restored.stdout + restored.stderr
    assert not kept.exists()


def test_a_silent_unit_is_not_changed(lab: Any) -> None:
    with opened(lab) as stand:
        assert lab.tell("power 0") == "ok"
        with pytest.raises(Missing):
            with changed(stand, {"charge_overcurrent": 60.0}):
                pytest.fail("it was changed")
        assert not dut_file(stand.dut.serial).exists()


def test_a_unit_that_does_not_say_who_it_is_may_be_the_quarantined_one(lab: Any) -> None:
    nameless = SEPLOS.model_copy(update={"identity": Identification()})
    quarantine_dut("A-16", {"charge_overcurrent": 110.0}, cause="earlier", profile="another_product")
    with opened(lab, nameless) as stand:
        assert stand.dut.serial == ""
    quarantine_dut("A-17", {"charge_overcurrent": 110.0}, cause="earlier", profile="seplos_v3")
    with open_stand(load_definition(lab.definition), SEPLOS) as stand:
        bare = stand.dut.profile
        stand.dut.profile = nameless
        with pytest.raises(SafetyError, match=r"does not say who it is .*may be A-17.*--dut-serial"):
            check_dut(stand)
        check_dut(stand, "A-18")
        assert stand.dut.serial == "A-18"
        with pytest.raises(SafetyError, match="BMS A-17 is quarantined"):
            check_dut(stand, "A-17")
        stand.dut.profile = bare
