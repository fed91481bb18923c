"""`check`, `off`, and the lists of what there is."""

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

from bench.definition import DEFINITIONS
from bmsbench.__main__ import main

LISTS = ("benches", "profiles", "instruments", "defects")
SUITE = """
from pathlib import Path
from bench import stimulus

def test_it(stand):
    Path("guardian").write_text(str(stand.guard.guardian.pid))
    stimulus.force(stand, 50.0)
    stand.clock.sleep(60.0)
"""


@pytest.mark.parametrize("bench", ["virtual", "virtual_bidirectional"])
@pytest.mark.parametrize(("bms", "charging"), [("foxbms_2", "negative"), ("seplos_v3", "positive")])
def test_a_healthy_bench_may_run(bench: str, bms: str, charging: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--bench", bench, "--bms", bms]) == 0
    shown = capsys.readouterr().out
    assert f"{bench} may run (SIMULATED)." in shown
    assert "VIRTUAL-SHUNT_METER" in shown
    assert "calibrated to 2099-12-31" in shown
    assert "outputs          all off, current" in shown
    text = " ".join(shown.split())
    assert text.index(f"its own number is {charging}") < text.index("discharging: pack")
    assert all(len(line) <= 80 for line in shown.splitlines())


def test_check_as_json_has_every_part(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["remarks"] == []
    assert data["simulated"] is True
    assert {line["part"] for line in data["lines"]} >= {
        "supply", "load", "reference meter", "disconnect", "bms", "protection", "interlock", "polarity", "outputs",
    }  # fmt: skip


def test_an_overdue_calibration_is_a_remark(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (DEFINITIONS / "virtual.toml").read_text(encoding="utf-8")
    begin, end = text.split("[instruments.sink]")
    path = tmp_path / "old.toml"
    path.write_text(f"{begin}[instruments.sink]{end.replace('2099-12-31', '2020-01-31', 1)}", encoding="utf-8")
    assert main(["check", "--bench", str(path), "--bms", "seplos_v3"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "OVERDUE since 2020-01-31" in shown
    assert "1 remark: sink: calibration is overdue since 2020-01-31" in shown


def test_a_wrong_file_is_two_and_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--bench", "virtul"]) == 2
    assert "did you mean 'virtual'" in capsys.readouterr().err


def test_an_address_where_nothing_listens_is_ten(tmp_path: Path, lab_process: Any) -> None:
    lab = lab_process(tmp_path, "--bms", "seplos_v3")
    lab.close()
    command = [sys.executable, "-m", "bmsbench", "check", "--bench", str(lab.definition), "--bms", "seplos_v3"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert run.returncode == 10
    assert "Traceback" not in run.stderr
    assert "127.0.0.1" in run.stderr


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_stable_narrow_and_the_same_as_json(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name]) == 0
    first = capsys.readouterr().out
    assert main([name]) == 0
    assert capsys.readouterr().out == first
    assert all(len(line) <= 80 for line in first.splitlines())
    assert "\x1b" not in first
    assert main([name, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert len(data) > 1
    for entry in data:
        assert entry.get("name", entry.get("driver")) in first


def test_the_catalogue_says_what_was_never_seen(capsys: pytest.CaptureFixture[str]) -> None:
    main(["instruments"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "never seen on hardware" in shown


def test_a_profile_with_a_mistake_is_listed_with_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "mine.toml").write_text("schema_version = 1\n", encoding="utf-8")
    assert main(["profiles", "--lab", str(tmp_path)]) == 2
    assert "mine" in capsys.readouterr().out


def test_a_simulated_bench_has_nothing_to_switch_off(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["off", "--bench", "virtual"]) == 0
    assert "nothing is on" in capsys.readouterr().out


def _killed_run(lab: Any, folder: Path) -> None:
    """Begin a run and kill it and its guardian with `kill -9` while current flows: nothing leaves for them."""
    suite = folder / "test_killed.py"
    suite.write_text(SUITE, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(suite)]
    command += ["--bench", str(lab.definition), "--bms", "seplos_v3", "--run-folder", str(folder / "run")]
    runner = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert lab.wait_for(lambda truth: abs(truth["current_a"]) > 40, 30.0)
    os.kill(int((folder / "guardian").read_text(encoding="utf-8")), signal.SIGKILL)
    runner.kill()
    runner.wait()
    time.sleep(0.3)
    assert lab.truth()["current_a"] > 40, "nobody has switched it off"


@pytest.fixture
def killed(lab_process: Any, tmp_path: Path) -> Iterator[Any]:
    if os.name != "posix":
        pytest.skip("needs kill -9")
    lab = lab_process(tmp_path, "--bms", "seplos_v3")
    _killed_run(lab, tmp_path)
    yield lab
    assert lab.close()[0] == 0


def off(lab: Any, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bmsbench", "off", "--bench", str(lab.definition), *words]
    return subprocess.run(command, cwd=lab.folder, capture_output=True, text=True, timeout=60)


def test_off_makes_a_bench_safe_whose_run_was_killed(killed: Any) -> None:
    run = off(killed)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "is safe: current" in run.stdout
    truth = killed.truth()
    assert abs(truth["current_a"]) < 0.01
    assert truth["outputs_on"] == []
    assert truth["disconnect_closed"] is False


def test_off_goes_on_when_an_instrument_hangs_and_does_not_call_that_safe(killed: Any) -> None:
    killed.tell("fault charger silent")
    run = off(killed, "--json")
    data = json.loads(run.stdout)
    assert run.returncode == 10
    assert data["safe"] is False
    assert "not reached: supply" in data["text"]
    truth = killed.truth()
    assert truth["current_a"] == pytest.approx(0.0, abs=0.01)
    assert truth["disconnect_closed"] is False


@pytest.mark.skipif(os.name != "posix", reason="signals of other processes are those of POSIX")
def test_ctrl_c_during_check_leaves_the_bench_safely(lab_process: Any, tmp_path: Path) -> None:
    lab = lab_process(tmp_path, "--bms", "seplos_v3")
    try:
        command = [sys.executable, "-m", "bmsbench", "check", "--bench", str(lab.definition), "--bms", "seplos_v3"]
        check = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert lab.wait_for(lambda truth: abs(truth["current_a"]) > 5, 30.0)
        check.send_signal(signal.SIGTERM)
        _, errors = check.communicate(timeout=30)
        assert check.returncode == 130
        assert "made safe: current" in errors
        truth = lab.truth()
        assert truth["outputs_on"] == []
        assert truth["disconnect_closed"] is False
        assert abs(truth["current_a"]) < 0.2
    finally:
        lab.close()
