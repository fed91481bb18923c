"""`bmsbench uncertainty`: budgets as tables and as JSON, points that cannot be judged, calibration that has run out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.definition import DEFINITIONS
from bmsbench.__main__ import main

ADDRESSES = ("charger", "sink", "shunt_meter", "pack_meter", "relays")
TEXT = (DEFINITIONS / "virtual.toml").read_text(encoding="utf-8")


def changed(folder: Path, *pairs: tuple[str, str]) -> str:
    text = TEXT
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    path = folder / "table.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def report(capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    main(["uncertainty", "--json", *options])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_the_worked_budget_is_printed_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["uncertainty", "--current", "50"]) == 0
    text = capsys.readouterr().out
    assert "bench virtual (simulated), BMS foxbms_2: nothing is opened" in text
    assert "reference current +50.0 A" in text
    rows = [" ".join(line.split()) for line in text.splitlines()]
    assert "shunt calibration 1e-07 ohm normal -1e+05 0.005 inf" in rows
    assert "meter 4.75e-06 V rectangular 2000 0.0055 inf" in rows
    assert "combined 0.011 A, k = 2.00, U = 0.022 A = 0.044 %" in rows
    assert all(len(line) <= 80 for line in text.splitlines())


def test_json_carries_everything_in_inside_units(capsys: pytest.CaptureFixture[str]) -> None:
    found = report(capsys, "--bms", "seplos_v3")
    [budget] = found["budgets"]
    assert budget["what"] == "reference current +75.0 A"
    assert sum(line["standard"] ** 2 for line in budget["lines"]) == pytest.approx(budget["combined"] ** 2)
    assert {point["what"] for point in found["points"]} >= {
        "pack_current",
        "pack voltage",
        "charge_overcurrent_1",
    }
    assert found["unjudgeable"] == found["calibration"] == []
    assert "cell_overvoltage_1" in found["no_budget"]


def test_a_point_that_this_bench_cannot_judge_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    bench = changed(tmp_path, ("{ reading_pct = 0.005, range_pct = 0.0035, range = 0.1 }", "{ offset = 0.0005 }"))
    assert main(["uncertainty", "--bench", bench]) == 11
    text = capsys.readouterr().out
    assert "CANNOT BE JUDGED" in " ".join(text.split())
    assert "pack_current 0.0 A" in report(capsys, "--bench", bench)["unjudgeable"]


def test_a_fast_ramp_is_the_worse_way_to_a_threshold(capsys: pytest.CaptureFixture[str]) -> None:
    slow, fast = (
        next(one for one in report(capsys, "--ramp", slope)["points"] if "ramp" in one["point"])
        for slope in ("0.1", "10")
    )
    assert fast["expanded"] > 20 * slow["expanded"]


def test_a_calibration_that_has_run_out_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    bench = changed(tmp_path, ("calibration_due = 2099-12-31", "calibration_due = 2020-01-31"))
    assert main(["uncertainty", "--bench", bench]) == 11
    text = " ".join(capsys.readouterr().out.split())
    assert "the reference current rests on shunt_meter, whose calibration was due on 2020-01-31" in text
    assert "verdicts that ask it are inconclusive" in text


def test_a_flag_needs_the_clock_offset_where_there_are_two_clocks(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pairs = [("simulated = true", "simulated = false"), ('clock = "simulated"', 'clock = "wall"')]
    pairs += [(f'"virtual:{name}"', f'"tcp:192.0.2.{n}:5025"') for n, name in enumerate(ADDRESSES, 1)]
    bench = changed(tmp_path, *pairs)
    told = report(capsys, "--bench", bench)
    flag = next(one for one in told["points"] if one["point"] == "delay to t_flag")
    assert flag["expanded"] is None
    assert "--clock-offset" in flag["note"]
    told = report(capsys, "--bench", bench, "--clock-offset", "0.005")
    assert next(one for one in told["points"] if one["point"] == "delay to t_flag")["expanded"] > 0.05


def test_a_run_with_an_instrument_out_of_calibration_is_inconclusive_and_so_is_its_rejudgement(tmp_path: Path) -> None:
    bench = changed(tmp_path, ("calibration_due = 2099-12-31", "calibration_due = 2020-01-31"))

    def bmsbench(*words: str) -> subprocess.CompletedProcess[str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "BMSBENCH_LAB"))}
        command = [sys.executable, "-m", "bmsbench", *words]
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False)

    ran = bmsbench("run", "current_sign", "-k", "charge and 10pct", "--bench", bench, "--run-folder", "run", "-q")
    assert ran.returncode == 11, ran.stdout + ran.stderr
    assert "whose calibration was due on 2020-01-31: calibrate it and measure again" in ran.stdout
    assert "as measured: inside the limits by at least U" in ran.stdout
    again = bmsbench("rejudge", "run")
    assert again.returncode == 11, again.stdout + again.stderr
    assert "2 judgements, each as it was recorded" in again.stdout
