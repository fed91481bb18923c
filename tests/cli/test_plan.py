"""`bmsbench plan`: what cannot be tested and why, trips, time; drive cycles checked; the same said before a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.definition import DEFINITIONS
from bmsbench.__main__ import main


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    status = main(["plan", *words])
    return status, capsys.readouterr().out


def plan(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(said(capsys, "--json", *words)[1])
    return found


def test_rows_that_cannot_be_tested_are_told_with_reason_and_status(capsys: pytest.CaptureFixture[str]) -> None:
    status, text = said(capsys)
    assert status == 11
    assert text.startswith("bench virtual (simulated), BMS foxbms_2: nothing is opened\n")
    assert "NOT TESTED: needs emulated cells;" in text
    assert "4 of 6 rows cannot be tested here" in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_trips_are_counted_against_the_lock_out(capsys: pytest.CaptureFixture[str]) -> None:
    found = plan(capsys, "--bms", "seplos_v3", "--suite", "protections/test_overcurrent.py")
    rows = {row["row"]: row for row in found["rows"]}
    assert rows["charge_overcurrent_1"]["cases"] == ["OC-QUIET", "OC-TRIP", "OC-RELEASE"]
    assert (rows["charge_overcurrent_1"]["trips"], rows["charge_overcurrent_1"]["trips_in_one_test"]) == (2, 1)
    assert rows["charge_overcurrent_1"]["lockout_count"] == 5
    assert rows["charge_overcurrent_alarm"]["tests"] == 0
    assert found["estimate"]["tests"] == 6
    assert found["estimate"]["trips"]["charge_overcurrent_1"]["total"] == 2


def test_a_smaller_envelope_is_a_reason(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    text = (DEFINITIONS / "virtual.toml").read_text(encoding="utf-8")
    path.write_text(text.replace("charge_a = 130.0", "charge_a = 100.0", 1), encoding="utf-8")
    found = plan(capsys, "--bench", str(path), "--suite", "reference")
    rows = {row["row"]: row for row in found["rows"]}
    assert "envelope.charge_a allows 100 A" in rows["charge_overcurrent_msl"]["reasons"][0]
    assert rows["discharge_overcurrent_msl"]["testable"]


def test_a_suite_that_is_nowhere_is_a_wrong_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--suite", "protektions"]) == 2
    assert "protections" in capsys.readouterr().err


def test_a_drive_cycle_is_checked_and_scaled(capsys: pytest.CaptureFixture[str]) -> None:
    status, text = said(capsys, "--cycle", "hilly_town", "--soc", "50")
    assert status == 0
    assert "it stays inside: it can be played here" in text
    assert "estimated: SOC 50.0 % ->" in text
    status, text = said(capsys, "--cycle", "hilly_town", "--peak", "140")
    assert status == 11
    assert "REFUSED   140 A discharge, envelope.discharge_a allows 130 A" in text
    assert "cells not estimated: give --soc to estimate them" in text
    found = plan(capsys, "--cycle", "hilly_town", "--repeat", "3")
    assert found["foreseen"]["duration_s"] == pytest.approx(3 * 711.0)


def test_a_cycle_with_a_mistake_names_line_and_column(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("time [s],current [A]\n0,1\n1,0\n", encoding="utf-8")
    assert main(["plan", "--cycle", str(path)]) != 0
    assert "mine.csv, line 1, column 2" in capsys.readouterr().err
