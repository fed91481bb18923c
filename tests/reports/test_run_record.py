"""The run record: versioned, checked, honest about what is simulated, unknown or unfinished."""

from __future__ import annotations

import datetime
import json
import shutil
from pathlib import Path

import pytest

from bench.definition import find_definition, load_definition
from bench.errors import BenchError
from bench.profile import find_profile, load_profile
from bench.roles import Identity
from reports.classify import Outcome
from reports.provenance import begin_record, end_record, versions
from reports.recorder import Recorder
from reports.run_folder import RunFolder
from reports.run_record import SCHEMA, RunRecord, read_record, schema, write_record


def begun(tmp_path: Path, **changes: object) -> tuple[RunFolder, RunRecord]:
    run = RunFolder(tmp_path)
    record = begin_record(
        run,
        load_definition(find_definition("virtual")),
        load_profile(find_profile("foxbms_2")),
        begin="2026-11-24T22:15:03Z",
        seed=7,
        rule="guarded",
        operator="someone",
        requested=["a.py::test_x", "a.py::test_y"],
    ).model_copy(update=changes)
    write_record(run, record)
    return run, record


def test_the_exported_schema_is_the_one_of_the_code() -> None:
    assert json.loads(SCHEMA.read_text("utf-8")) == schema(), "run reports.run_record.export_schema()"


def test_a_run_that_began_and_never_ended_is_interrupted(tmp_path: Path) -> None:
    run, record = begun(tmp_path)
    assert json.loads(run.run_json.read_text())["state"] == "running"
    assert read_record(run) == record.model_copy(update={"state": "interrupted"})


def test_signs_are_listed_with_their_provenance(tmp_path: Path) -> None:
    _, record = begun(tmp_path)
    sign = next(sign for sign in record.signs if sign.signal == "pack_current")
    assert (sign.positive_means, sign.provenance) == ("discharge", "declared")


def test_files_are_known_by_their_text(tmp_path: Path) -> None:
    _, record = begun(tmp_path)
    assert len(record.bench.sha256) == len(record.profile.sha256) == 64
    assert (record.bench.name, record.profile.name) == ("virtual", "foxbms_2")


def test_what_was_asked_for_and_not_run_is_told(tmp_path: Path) -> None:
    run, record = begun(tmp_path)
    recorder = Recorder(run)
    recorder.begin_test("a.py::test_x", "x")
    recorder.end_test(Outcome.FAILED, "reads -20 A", requirements=["R-1"])
    recorder.begin_test("a.py::test_z", "z")
    recorder.close()
    ended = end_record(run, record, end="2026-11-24T22:16:00Z", exit_status=1)
    write_record(run, ended)
    again = read_record(run)
    assert [(test.id, test.outcome, test.reason) for test in again.tests] == [
        ("a.py::test_x", "failed", "reads -20 A"),
        ("a.py::test_z", "interrupted", ""),
    ]
    assert again.not_run == ("a.py::test_y",)
    assert (again.state, again.exit_status) == ("ended", 1)


def test_a_virtual_serial_number_makes_a_run_simulated_whatever_the_definition_claims(tmp_path: Path) -> None:
    run, record = begun(tmp_path, simulated=False, simulated_because="")
    recorder = Recorder(run, "gw3")
    recorder.identified("reference_meter", Identity("Keysight", "34465A", "VIRTUAL0003", "A.03"))
    recorder.dut(serial="00412", firmware="2.14")
    recorder.close()
    ended = end_record(run, record, end="2026-11-24T22:16:00Z", exit_status=0)
    assert ended.simulated
    assert "claims hardware" in ended.simulated_because
    meter = next(entry for entry in ended.instruments if entry.role == "reference_meter")
    assert (meter.maker, meter.serial) == ("Keysight", "VIRTUAL0003")
    assert (ended.dut.serial, ended.dut.firmware, ended.dut.hardware) == ("00412", "2.14", "not asked")


def test_an_identity_of_hardware_leaves_the_run_real(tmp_path: Path) -> None:
    run, record = begun(tmp_path, simulated=False, simulated_because="")
    recorder = Recorder(run)
    recorder.identified("reference_meter", Identity("Keysight", "34465A", "MY60012345", "A.03"))
    recorder.close()
    assert not end_record(run, record, end="2026-11-24T22:16:00Z", exit_status=0).simulated


def test_an_overdue_calibration_is_flagged_by_the_date_of_the_run(tmp_path: Path) -> None:
    definition = load_definition(find_definition("virtual"))
    name = definition.roles["reference_meter"]
    meter = definition.instruments[name].model_copy(update={"calibration_due": datetime.date(2026, 11, 23)})
    late = definition.model_copy(update={"instruments": {**definition.instruments, name: meter}})
    for begin, overdue in (("2026-11-23T10:00:00Z", False), ("2026-11-24T10:00:00Z", True)):
        record = begin_record(
            RunFolder(tmp_path), late, load_profile(find_profile("foxbms_2")), begin=begin, seed=1, rule="guarded"
        )
        assert next(one.overdue for one in record.instruments if one.role == "reference_meter") is overdue


def test_the_way_out_is_in_the_record(small_run: RunFolder) -> None:
    assert read_record(small_run).safe_state == ("outputs off, reference current +0.000 A",)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "cannot be read as JSON"),
        ('{"schema_version": 1, "id": "x"', "cannot be read as JSON"),
        ("[]", "schema_version is missing"),
        ('{"schema_version": 2}', "reads up to 1; use the bmsbench that wrote it, or a newer one"),
        ('{"schema_version": 1, "id": "x"}', "no valid run record: state: "),
    ],
)
def test_a_record_that_is_none_is_refused_with_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(BenchError, match=sentence):
        read_record(RunFolder(tmp_path))


def test_a_missing_record_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"run\.json: is missing"):
        read_record(RunFolder(tmp_path))


def test_a_wrong_value_is_not_written(tmp_path: Path) -> None:
    run, record = begun(tmp_path)
    before = run.run_json.read_bytes()
    with pytest.raises(ValueError, match="seed"):
        write_record(run, record.model_copy(update={"seed": "many"}))
    assert run.run_json.read_bytes() == before


def test_the_commit_is_unknown_where_git_cannot_tell(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).parents[2] / "pyproject.toml", tmp_path)
    told = versions(tmp_path)
    assert (told.commit, told.dirty) == (None, None)
    assert told.python.count(".") == 2
