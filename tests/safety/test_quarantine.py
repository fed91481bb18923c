"""Memory of trouble: what was not made safe or not put back stays closed until somebody has looked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import quarantine
from bench.definition import Definition, find_definition, load_definition
from bench.errors import BenchError, DefinitionError, SafetyError

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


# --- the same instruments under another name -----------------------------------------------------------------


def wall_bench(name: str, first_port: int = 9000, *, cells: str = "pack") -> Definition:
    """Return a bench on the wall clock whose instruments have the ports from `first_port` on."""
    plain = load_definition(find_definition("virtual"))
    instruments = {
        each: section.model_copy(update={"address": f"tcp:127.0.0.1:{first_port + number}"})
        for number, (each, section) in enumerate(plain.instruments.items())
    }
    on_wall = plain.bench.model_copy(update={"clock": "wall", "name": name})
    topology = plain.topology.model_copy(update={"cells": cells})
    return plain.model_copy(update={"bench": on_wall, "instruments": instruments, "topology": topology, "links": {}})


def test_another_definition_of_the_same_instruments_is_closed_too() -> None:
    quarantine.quarantine_bench(wall_bench("one"), "current still +12.0 A", by="runner")
    with pytest.raises(
        SafetyError, match=r"bench two has address .*9000.* in common with bench one, which is quarantined"
    ):
        quarantine.check_bench(wall_bench("two"))
    with pytest.raises(SafetyError, match=r"bmsbench release one --by NAME"):
        quarantine.check_bench(wall_bench("two"))
    quarantine.check_bench(wall_bench("three", 9500))
    quarantine.release_bench("one", "A. Person")
    quarantine.check_bench(wall_bench("two"))


def test_one_instrument_in_common_is_enough() -> None:
    quarantine.quarantine_bench(wall_bench("one", 9000), "current still +12.0 A", by="runner")
    last = 9000 + len(wall_bench("one").instruments) - 1
    with pytest.raises(SafetyError, match=f":{last} in common"):
        quarantine.check_bench(wall_bench("two", last))


def test_benches_in_simulated_time_have_nothing_in_common() -> None:
    plain = load_definition(find_definition("virtual"))
    quarantine.quarantine_bench(plain, "something", by="test")
    quarantine.check_bench(plain.model_copy(update={"bench": plain.bench.model_copy(update={"name": "another"})}))
    with pytest.raises(SafetyError):
        quarantine.check_bench(plain)


def test_a_file_that_nobody_can_read_may_be_about_these_instruments() -> None:
    close_bench()
    quarantine.bench_file("table").write_text("{", encoding="utf-8")
    with pytest.raises(SafetyError, match=r"whether bench two has .* is not known: .*cannot be read"):
        quarantine.check_bench(wall_bench("two"))


def test_an_entry_by_name_learns_the_instruments_and_later_causes() -> None:
    close_bench("one")
    quarantine.check_bench(wall_bench("two"))
    quarantine.quarantine_bench(wall_bench("one"), "a relay stuck", by="guardian", evidence=["relay FAILED"])
    quarantine.quarantine_bench(wall_bench("one"), "a relay stuck", by="guardian")
    with pytest.raises(
        SafetyError, match=r"current still \+12\.0 A; then: a relay stuck\. See that every output is off"
    ):
        quarantine.check_bench(wall_bench("two"))
    entry = quarantine.quarantined_bench("one")
    assert entry["evidence"] == EVIDENCE
    assert [later["evidence"] for later in entry["later"]] == [["relay FAILED"]]


def test_what_cannot_be_added_leaves_the_bench_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    close_bench()

    def refuse(*_: object) -> None:
        raise BenchError("the disk is full")

    monkeypatch.setattr(quarantine, "write_state", refuse)
    said = quarantine.quarantine_bench("table", "a relay stuck", by="guardian")
    assert "bench table is quarantined" in said and "not added: the disk is full" in said


def test_garbage_from_an_instrument_can_be_written_down() -> None:
    assert "is quarantined" in quarantine.quarantine_bench("table", "it answered \udcff", by="runner")
    assert quarantine.quarantined_bench("table")["cause"] == "it answered \udcff"


# --- cells ---------------------------------------------------------------------------------------------------

LOW = "cell 4 was found at 1.900 V, below its minimum of 2 V"


def test_a_cell_that_was_found_too_low_is_not_charged_by_the_next_run_either() -> None:
    assert "is quarantined" in str(quarantine.remember_low_cell(wall_bench("one"), LOW))
    with pytest.raises(SafetyError, match=r"cell 4 was found at 1\.900 V.*See that the pack was taken away"):
        quarantine.check_bench(wall_bench("two"))


def test_a_low_cell_is_told_beside_what_else_is_wrong() -> None:
    close_bench("one")
    quarantine.remember_low_cell(wall_bench("one"), LOW)
    with pytest.raises(SafetyError, match=r"\+12\.0 A; then: cell 4 was .* every output is off.*, and that the pack"):
        quarantine.check_bench("one")


def test_emulated_cells_and_simulated_time_harm_nobody(state_folder: Path) -> None:
    assert quarantine.remember_low_cell(wall_bench("one", cells="emulated"), LOW) is None
    assert quarantine.remember_low_cell(load_definition(find_definition("virtual")), LOW) is None
    assert not state_folder.exists()


# --- BMSs ----------------------------------------------------------------------------------------------------

BEFORE = {"discharge_overcurrent_a": 120.0, "mode": "storage"}


def test_a_bms_stays_away_until_its_settings_read_as_before() -> None:
    quarantine.quarantine_dut("00412", BEFORE, cause="a suite lowered discharge_overcurrent_a")
    with pytest.raises(
        SafetyError, match=r"BMS 00412 .*lowered.*Put its settings back \(discharge_overcurrent_a, mode\)"
    ):
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
