"""Memory of trouble: what was not made safe or not put back stays closed until somebody has looked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import quarantine
from bench.errors import DefinitionError, SafetyError

EVIDENCE = ["outputs off  supply  FAILED  no answer", "current still +12.0 A"]


def close_bench(name: str = "table") -> str:
    return quarantine.quarantine_bench(name, "current still +12.0 A\nmore", by="runner", evidence=EVIDENCE)


def test_a_bench_without_trouble_passes(state_folder: Path) -> None:
    quarantine.check_bench("table")
    assert not state_folder.exists()


def test_a_quarantined_bench_is_refused_with_cause_and_the_way_back() -> None:
    assert "bmsbench release table --by NAME" in close_bench()
    with pytest.raises(SafetyError, match=r"since 20.*: current still \+12\.0 A\. .*bmsbench release table --by"):
        quarantine.check_bench("table")
    quarantine.check_bench("another")


def test_names_that_look_alike_in_a_file_system_are_kept_apart() -> None:
    close_bench("lab 3")
    quarantine.check_bench("lab_3")
    quarantine.check_bench("lab/3")


def test_the_first_cause_stays() -> None:
    close_bench()
    quarantine.quarantine_bench("table", "something later", by="guardian")
    assert quarantine.quarantined_bench("table")["cause"].startswith("current still")


def test_a_named_person_releases_it_and_the_story_is_kept() -> None:
    close_bench()
    quarantine.release_bench("table", "A. Person")
    quarantine.check_bench("table")
    [entry] = quarantine.history()
    assert entry["released_by"] == "A. Person"
    assert entry["evidence"] == EVIDENCE
    assert entry["since"] <= entry["released"]


@pytest.mark.parametrize("by", ["", "  "])
def test_nobody_cannot_release_it(by: str) -> None:
    close_bench()
    with pytest.raises(DefinitionError, match="--by"):
        quarantine.release_bench("table", by)
    with pytest.raises(SafetyError):
        quarantine.check_bench("table")


def test_what_is_not_quarantined_cannot_be_released() -> None:
    with pytest.raises(DefinitionError, match="not quarantined"):
        quarantine.release_bench("table", "A. Person")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cause": null}', '{"cause": 7}'])
def test_a_file_that_nobody_can_read_keeps_the_bench_closed(text: str) -> None:
    close_bench()
    quarantine.bench_file("table").write_text(text, encoding="utf-8")
    with pytest.raises(SafetyError, match="bench table is quarantined"):
        quarantine.check_bench("table")


def test_a_quarantine_that_cannot_be_written_says_so_and_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("BMSBENCH_STATE", str(tmp_path / "file"))
    assert "should be quarantined, but" in close_bench()


# --- BMSs ----------------------------------------------------------------------------------------------------

BEFORE = {"discharge_overcurrent_a": 120.0, "mode": "storage"}


def test_a_bms_stays_away_until_its_settings_read_as_before() -> None:
    quarantine.quarantine_dut("00412", BEFORE, cause="a suite lowered discharge_overcurrent_a")
    with pytest.raises(SafetyError, match=r"BMS 00412 .*lowered.*Put its settings back \(discharge_overcurrent_a, mode\)"):
        quarantine.check_dut("00412")
    with pytest.raises(SafetyError, match=r"discharge_overcurrent_a = 60\.0 instead of 120\.0"):
        quarantine.release_dut("00412", {**BEFORE, "discharge_overcurrent_a": 60.0})
    with pytest.raises(SafetyError, match="mode was not read"):
        quarantine.release_dut("00412", {"discharge_overcurrent_a": 120.0})
    quarantine.release_dut("00412", BEFORE)
    quarantine.check_dut("00412")
    assert quarantine.history()[0]["snapshot"] == BEFORE


def test_the_first_snapshot_stays() -> None:
    quarantine.quarantine_dut("00412", BEFORE, cause="first")
    quarantine.quarantine_dut("00412", {**BEFORE, "mode": "changed"}, cause="second")
    assert json.loads(quarantine.dut_file("00412").read_text(encoding="utf-8"))["snapshot"] == BEFORE


def test_without_a_serial_number_no_setting_may_be_changed() -> None:
    with pytest.raises(DefinitionError, match="serial number"):
        quarantine.quarantine_dut(" ", BEFORE, cause="none")


def test_a_snapshot_that_cannot_be_kept_forbids_the_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("BMSBENCH_STATE", str(tmp_path / "file"))
    with pytest.raises(SafetyError, match="no setting was changed"):
        quarantine.quarantine_dut("00412", BEFORE, cause="none")


def test_a_damaged_snapshot_releases_nothing() -> None:
    quarantine.quarantine_dut("00412", BEFORE, cause="none")
    quarantine.dut_file("00412").write_text("{}", encoding="utf-8")
    with pytest.raises(SafetyError, match="no snapshot"):
        quarantine.release_dut("00412", BEFORE)
