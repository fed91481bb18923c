"""A run can be judged again without a bench: the same verdicts, or another rule, or a clear word why not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bench.evidence import Measurement
from bench.judgements import judge
from bench.traces import Traces
from bench.verdict import DecisionRule
from reports.classify import Outcome
from reports.recorder import Recorder
from reports.rejudge import rejudge_run
from reports.run_folder import RunFolder


def record(tmp_path: Path, read_a: float, rule: str = "guarded") -> RunFolder:
    """Record one test of a BMS that reads `read_a` while the reference shows 20 A charging."""
    run = RunFolder(tmp_path / "run")
    recorder = Recorder(run)
    recorder.begin_test("current_sign/test_sign.py::test_charging", "Charging is reported as charging")
    traces = Traces()
    for tick in range(100):
        for name, value in (
            ("reference_current", 20.0 + 0.001 * (tick % 3)),
            ("bms.pack_current", read_a + 0.01 * (tick % 5)),
            ("bms.charging", float(read_a > 0)),
        ):
            traces.sample(name, tick * 0.1, value)
            recorder.sample(name, tick * 0.1, value)
    parameters = {
        "signal": "pack_current",
        "begin_s": 1.0,
        "end_s": 9.0,
        "accuracy": {"reading_pct": 1.0, "offset": 0.1},
        "reference_u_a": 0.012,
    }
    rows: list[Measurement] = []
    for name, given in (
        ("current_reading", parameters),
        ("state_flag", {"signal": "charging", "begin_s": 1.0, "end_s": 9.0, "expected": True}),
    ):
        rows = judge(name, traces, DecisionRule(rule), given)
        recorder.judged(name, given, DecisionRule(rule), rows, traces=traces)
    recorder.sample("bms.pack_current", 10.0, 0.0)  # what follows a judgement must not change it
    recorder.end_test(Outcome.PASSED if read_a > 0 else Outcome.FAILED)
    recorder.close()
    return run


@pytest.fixture
def good(tmp_path: Path) -> RunFolder:
    return record(tmp_path, 20.0)


def only_folder(run: RunFolder) -> Path:
    (folder,) = run.test_folders()
    return folder


def test_a_good_run_is_good_again_to_the_last_digit(good: RunFolder) -> None:
    result = rejudge_run(good)
    assert result.differences == []
    assert result.exit_status == 0
    assert [judged.outcome for judged in result.tests[0].judgements] == [Outcome.PASSED, Outcome.PASSED]


def test_a_failure_stays_a_failure(tmp_path: Path) -> None:
    result = rejudge_run(record(tmp_path, -20.0))
    assert result.differences == []
    assert result.exit_status == 1
    assert result.tests[0].outcome is Outcome.FAILED


def test_another_rule_gives_another_verdict_and_the_difference_is_named(tmp_path: Path) -> None:
    run = record(tmp_path, 20.28)  # the mean reads 0.299 A too much, the limit is 0.3 A
    assert rejudge_run(run).tests[0].outcome is Outcome.INCONCLUSIVE
    assert rejudge_run(run).exit_status == 11
    simple = rejudge_run(run, "simple")
    assert simple.exit_status == 0
    assert any("verdict was inconclusive, now pass" in line for line in simple.differences)
    assert rejudge_run(run, "binary").exit_status == 1


def test_an_edited_trace_changes_the_verdict_and_is_named(good: RunFolder) -> None:
    path = only_folder(good) / "trace.csv"
    path.write_text(path.read_text().replace("bms.pack_current,20.0", "bms.pack_current,-20.0"))
    result = rejudge_run(good)
    assert result.exit_status == 1
    assert any("verdict was pass, now fail" in line for line in result.differences)


def test_a_line_of_garbage_is_named_and_the_rest_is_judged(good: RunFolder) -> None:
    path = only_folder(good) / "trace.csv"
    lines = path.read_text().splitlines(keepends=True)
    lines[5] = "gar,bage\n"
    path.write_text("".join(lines))
    result = rejudge_run(good)
    assert len(result.tests[0].judgements) == 2
    assert any("line 6: not a sample" in problem for problem in result.tests[0].problems)
    assert result.exit_status == 11


def test_a_trace_cut_in_the_middle_of_a_line_is_named(good: RunFolder) -> None:
    path = only_folder(good) / "trace.csv"
    path.write_bytes(path.read_bytes()[:3000])
    problems = "\n".join(rejudge_run(good).tests[0].problems)
    assert "not a sample" in problems
    assert "samples where the judgement saw 300" in problems


def test_removed_files_are_named_and_other_tests_are_judged(good: RunFolder) -> None:
    folder = only_folder(good)
    for name, word in (("trace.csv", "cannot be read"), ("judgements.jsonl", "is missing")):
        copy = Path(shutil.copytree(folder, folder.with_name(f"without_{name}")))
        (copy / name).unlink()
        result = rejudge_run(good)
        part = next(part for part in result.tests if part.test.folder == copy)
        assert any(name in problem and word in problem for problem in part.problems)
        assert result.exit_status == 11
        assert any(len(part.judgements) == 2 and not part.problems for part in result.tests)
        shutil.rmtree(copy)


def test_a_test_without_a_result_is_named(good: RunFolder) -> None:
    (good.tests / "stray").mkdir()
    result = rejudge_run(good)
    assert any("stray" in problem for problem in result.problems)
    assert len(result.tests) == 1
    assert result.exit_status == 11


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("judgement", "current_readin", "did you mean 'current_reading'"),
        ("parameters", {"signal": "pack_current"}, "missing"),
        ("rule", "lenient", "no decision rule 'lenient'"),
        ("window", {}, "line 1: not a judgement"),
    ],
)
def test_a_spoilt_judgement_is_named(good: RunFolder, key: str, value: object, word: str) -> None:
    path = only_folder(good) / "judgements.jsonl"
    first, second = path.read_text().splitlines()
    path.write_text(json.dumps({**json.loads(first), key: value}) + "\n" + second + "\n")
    part = rejudge_run(good).tests[0]
    assert any(word in problem for problem in part.problems)
    assert [judged.judgement for judged in part.judgements] == ["state_flag"]


def test_a_run_in_which_nothing_was_judged_cannot_tell(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    recorder = Recorder(run)
    recorder.begin_test("a.py::test_x", "x")
    recorder.end_test(Outcome.SKIPPED, "no digitiser")
    recorder.close()
    assert rejudge_run(run).exit_status == 11
