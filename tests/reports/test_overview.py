"""The overview: on one screen how runs went, in words, without any request to the outside."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from reports.classify import Outcome
from reports.overview import summarise, write_overview
from reports.recorder import Recorder
from reports.run_folder import RunFolder


def test_counts_and_sentences_come_from_the_evidence(small_run: RunFolder) -> None:
    summary = summarise(small_run, "2  the same pack, its current sign inverted")
    assert dict(summary.counts) == {
        Outcome.PASSED: 1,
        Outcome.FAILED: 1,
        Outcome.BROKEN: 3,
        Outcome.INCONCLUSIVE: 1,
        Outcome.SKIPPED: 1,
    }
    assert summary.not_run == 1
    assert summary.simulated
    assert summary.worst is Outcome.BROKEN
    assert [finding.outcome for finding in summary.findings][:4] == [*[Outcome.BROKEN] * 3, Outcome.FAILED]


def test_the_page_says_what_failed_and_where_the_evidence_lies(small_run: RunFolder, tmp_path: Path) -> None:
    path = tmp_path / "demo" / "index.html"
    write_overview(path, "bmsbench demonstration", [summarise(small_run)], ["bmsbench lab   your own client <here>"])
    text = path.read_text("utf-8")
    for words in (
        "SIMULATED",
        "pack_current while charging: -20.000 A ± 0.030 A",
        "is the sign inverted?",
        "a positive pack current means <b>discharge</b> (declared)",
        "Defect given to the virtual BMS on purpose: <b>inverted</b>",
        "<b>3</b> broken (bench)",
        "<b>1</b> not tested",
        "<b>1</b> not run",
        "your own client &lt;here&gt;",
    ):
        assert words in text
    for target in re.findall(r'href="([^"]+)"', text):
        assert (path.parent / target).resolve().exists()
    assert not re.search(r"<script|https?://|@import|url\(", text)


def test_a_run_that_broke_off_and_one_that_is_unreadable_are_told(tmp_path: Path) -> None:
    recorder = Recorder(RunFolder(tmp_path / "run"))
    recorder.begin_test("a.py::test_x", "x")
    recorder.close()
    summary = summarise(recorder.folder)
    assert (summary.state, summary.interrupted_tests) == ("unreadable", 1)
    assert summary.worst is None
    write_overview(tmp_path / "index.html", "t", [summary], [])
    text = (tmp_path / "index.html").read_text("utf-8")
    assert "UNREADABLE" in text
    assert "run.json: is missing" in text
    assert "<b>1</b> interrupted" in text


def test_chromium_shows_it_and_it_asks_nothing(small_run: RunFolder, tmp_path: Path, page: Any) -> None:
    path = tmp_path / "index.html"
    write_overview(path, "bmsbench demonstration", [summarise(small_run)], [])
    page.open(path.as_uri(), settle_s=0.5)
    assert page.until("document.body.innerText.includes('SIMULATED')")
    assert page.requests() == [path.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_what_was_not_tested_for_one_reason_is_one_line_and_failures_never_are(
    small_run: RunFolder, tmp_path: Path
) -> None:
    summary = summarise(small_run)
    skipped = next(one for one in summary.findings if one.outcome is Outcome.SKIPPED)
    failed = next(one for one in summary.findings if one.outcome is Outcome.FAILED)
    other = replace(skipped, reason="no digitiser")
    many = replace(summary, findings=(failed, failed, skipped, skipped, other, skipped))
    write_overview(tmp_path / "index.html", "t", [many], [])
    text = (tmp_path / "index.html").read_text("utf-8")
    assert "3 tests" in text
    assert text.count(f"<dd>{skipped.reason}</dd>") == 1
    assert text.count("<dd>no digitiser</dd>") == 1
    assert text.count(failed.title) == 2
