"""`report`, `rejudge` and `verify` as a person calls them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.errors import BenchError
from bmsbench.commands.rejudge import command as rejudge
from bmsbench.commands.report import command as report
from bmsbench.commands.verify import command as verify
from reports.manifest import write_manifest
from reports.run_folder import RunFolder


@pytest.fixture
def run(small_run: RunFolder, tmp_path: Path) -> RunFolder:
    copy = RunFolder(Path(shutil.copytree(small_run.path, tmp_path / "lab" / "runs" / "one")))
    write_manifest(copy)
    return copy


def call(command, *arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(command, [str(one) for one in arguments], catch_exceptions=True)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def test_verify_tells_an_intact_run_from_an_edited_one(run: RunFolder) -> None:
    assert call(verify, run.path)[0] == 0
    (run.test_folders()[0] / "trace.csv").write_text("")
    status, text = call(verify, run.path)
    assert status == 1
    assert "changed   tests/" in text and "NOT as the run left them" in text
    status, text = call(verify, run.path, "--json")
    assert json.loads(text)["changed"] == [f"tests/{run.test_folders()[0].name}/trace.csv"]


def test_a_run_is_found_by_its_name_in_the_lab_and_as_the_last(run: RunFolder) -> None:
    lab = run.path.parents[1]
    assert "one: " in call(verify, "one", "--lab", lab)[1]
    with pytest.raises(BenchError, match="no such run folder"):
        call(verify, "two", "--lab", lab)


def test_rejudge_prints_each_verdict_and_the_difference_from_the_record(run: RunFolder) -> None:
    status, text = call(rejudge, run.path)
    # The stored rows of the small run have a current that state_flag does not judge: a difference, and named.
    assert "differences from what was recorded" in text
    assert "2 measurements then, 1 now" in text
    assert "charging is set: yes, must be yes (rule: guarded)" in text
    assert status == 11  # without another rule every verdict must come out as recorded
    status, text = call(rejudge, run.path, "--json", "--rule", "simple")
    data = json.loads(text)
    assert data["exit_status"] == status == 0
    assert {one["judgements"][0]["rule"] for one in data["tests"] if one["judgements"]} == {"simple"}


def test_report_draws_both_pages(run: RunFolder, allure_tools: Path) -> None:
    status, text = call(report, run.path)
    assert status == 0
    assert str(run.report_html) in text
    assert run.report_html.stat().st_size > 1_000_000
    assert "report (Allure, one file)" in run.index_html.read_text("utf-8")


def test_report_without_node_still_draws_the_overview(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BenchError, match=r"install Node\.js"):
        call(report, run.path)
    assert "SIMULATED" in run.index_html.read_text("utf-8")
