"""A page that says on one screen how one or several runs went: plain HTML, no script, no outside request."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

from bench.errors import BenchError
from reports.classify import Outcome
from reports.run_folder import RunFolder, write_text
from reports.run_record import RunRecord, SignEntry, read_record
from reports.stored import StoredTest, load_tests

CSS = Path(__file__).parent / "templates" / "overview.css"
ORDER = (Outcome.BROKEN, Outcome.FAILED, Outcome.INCONCLUSIVE, Outcome.SKIPPED, Outcome.PASSED)
WORDS = {
    Outcome.PASSED: "passed",
    Outcome.FAILED: "failed (product)",
    Outcome.BROKEN: "broken (bench)",
    Outcome.INCONCLUSIVE: "inconclusive",
    Outcome.SKIPPED: "not tested",
}
SHOWN = 8  # sentences per run; the rest is counted and in the report


@dataclass(frozen=True, slots=True)
class Finding:
    """A test that did not pass: its title, what was found, its evidence."""

    title: str
    outcome: Outcome
    reason: str
    folder: Path


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What the overview says of one run. `state` is `ended`, `interrupted` or `unreadable`."""

    title: str
    folder: Path
    bench: str
    bms: str
    begin: str
    state: str
    simulated: bool
    counts: Mapping[Outcome, int]
    interrupted_tests: int
    not_run: int
    findings: tuple[Finding, ...]
    signs: tuple[SignEntry, ...] = ()
    defects: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def worst(self) -> Outcome | None:
        """The worst outcome, None if nothing was judged."""
        return next((outcome for outcome in ORDER if self.counts.get(outcome) and outcome in WORDS), None)


def summarise(run: RunFolder, title: str = "") -> RunSummary:
    """Sum a run up from its folder; what cannot be read becomes a remark."""
    remarks: list[str] = []
    record: RunRecord | None = None
    try:
        record = read_record(run)
    except BenchError as problem:
        remarks.append(str(problem))
    tests, problems = load_tests(run)
    remarks += problems
    ended = [test for test in tests if test.outcome is not None]
    counts = Counter(test.outcome for test in ended if test.outcome is not None)
    simulated = record.simulated if record is not None else any(test.data.get("simulated") for test in tests)
    bms, bench = (record.profile.name, record.bench.name) if record is not None else ("unknown", "unknown")
    return RunSummary(
        title=title or f"{bms} on bench {bench}",
        folder=run.path,
        bench=bench,
        bms=bms,
        begin=record.begin if record is not None else "",
        state=record.state if record is not None else "unreadable",
        simulated=simulated,
        counts=counts,
        interrupted_tests=len(tests) - len(ended),
        not_run=len(record.not_run) if record is not None else 0,
        findings=tuple(_finding(test) for test in sorted(ended, key=_rank) if test.outcome is not Outcome.PASSED),
        signs=record.signs if record is not None else (),
        defects=record.defects if record is not None else (),
        remarks=tuple(remarks),
    )


def write_overview(path: Path, title: str, runs: Sequence[RunSummary], next_steps: Sequence[str]) -> None:
    """Write the page; links are relative to it.

    Raises:
        BenchError: the disk takes no more.
    """
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        "img-src data: 'self' file:\">",
        f"<title>{'SIMULATED · ' if any(run.simulated for run in runs) else ''}{escape(title)}</title>",
        f"<style>{CSS.read_text(encoding='utf-8')}</style></head><body><main>",
        f"<h1>{escape(title)}</h1>",
        '<p class="soft">A failure is the product. Broken is the bench. Inconclusive means that the bench cannot '
        "tell. Nothing untested is green.</p>",
    ]
    simulated = [run for run in runs if run.simulated]
    if simulated:
        which = "No hardware took part." if len(simulated) == len(runs) else f"{len(simulated)} of {len(runs)} runs."
        parts.append(
            f'<div class="simulated"><b>SIMULATED</b><span>Virtual instruments and a virtual pack. {which}</span></div>'
        )
    for run in runs:
        parts += _card(run, path.parent)
    if next_steps:
        parts.append("<h2>What next</h2>")
        parts.append(f'<pre class="next">{escape(chr(10).join(next_steps))}</pre>')
    parts.append("<footer>Functional evidence; relates only to the items tested. Charging is positive.</footer>")
    parts.append("</main></body></html>\n")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, "\n".join(parts))
    except OSError as problem:
        raise BenchError(f"{path}: cannot be written: {problem.strerror or problem}") from problem


def _card(run: RunSummary, base: Path) -> list[str]:
    worst = run.worst.value if run.worst is not None else "skipped"
    facts = " · ".join(filter(None, (f"BMS {run.bms}", f"bench {run.bench}", run.begin)))
    word = '<b class="inconclusive-ink">SIMULATED</b>' if run.simulated else ""
    out = [
        f'<section class="run {worst}">',
        f'<div class="head"><h2>{escape(run.title)}</h2>{word}</div>',
        f'<p class="soft">{escape(facts)}</p>',
    ]
    if run.defects:
        out.append(f"<p>Defect given to the virtual BMS on purpose: <b>{escape(', '.join(run.defects))}</b></p>")
    if run.state != "ended":
        out.append(f'<p class="broken-ink"><b>{escape(run.state.upper())}</b>: this run did not reach its end.</p>')
    out.append('<ul class="counts">')
    for outcome in reversed(ORDER):
        if run.counts.get(outcome):
            out.append(f'<li class="{outcome.value}-ink"><b>{run.counts[outcome]}</b> {escape(WORDS[outcome])}</li>')
    for number, label in ((run.interrupted_tests, "interrupted"), (run.not_run, "not run")):
        if number:
            out.append(f'<li class="inconclusive-ink"><b>{number}</b> {label}</li>')
    out.append("</ul>")
    for sign in run.signs:
        if sign.signal == "pack_current":
            out.append(
                f"<p>On this BMS a positive pack current means <b>{sign.positive_means}</b> ({sign.provenance}"
                f"{' ' + escape(sign.observed) if sign.observed else ''}).</p>"
            )
    if run.findings:
        out.append('<dl class="tests">')
        groups = _together(run.findings)
        for group in groups[:SHOWN]:
            first = group[0]
            what = _link(first.folder, base, first.title) if len(group) == 1 else f"{len(group)} tests"
            out.append(
                f'<dt><span class="{first.outcome.value}-ink">{first.outcome.words}</span> {what}</dt>'
                f"<dd>{escape(first.reason)}</dd>"
            )
        out.append("</dl>")
        left = sum(len(group) for group in groups[SHOWN:])
        if left:
            out.append(f'<p class="soft">and {left} more in the report</p>')
    out += [f'<p class="broken-ink">{escape(remark)}</p>' for remark in run.remarks]
    links = [(run.folder / "report.html", "report (Allure, one file)"), (run.folder, "evidence folder")]
    shown = [_link(target, base, text) for target, text in links if target.exists()]
    out += ['<p class="links">', *shown, "</p></section>"]
    return out


def _together(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Put what was not tested for one and the same reason together; everything else stands alone."""
    groups: list[list[Finding]] = []
    by_reason: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.outcome is Outcome.SKIPPED and finding.reason in by_reason:
            by_reason[finding.reason].append(finding)
            continue
        groups.append([finding])
        if finding.outcome is Outcome.SKIPPED:
            by_reason[finding.reason] = groups[-1]
    return groups


def _link(target: Path, base: Path, text: str) -> str:
    relative = os.path.relpath(target, base).replace(os.sep, "/")
    slash = "/" if target.is_dir() else ""
    return f'<a href="{quote(relative)}{slash}">{escape(text)}</a>'


def _finding(test: StoredTest) -> Finding:
    return Finding(test.title, test.outcome or Outcome.BROKEN, test.reason, test.folder)


def _rank(test: StoredTest) -> int:
    return ORDER.index(test.outcome) if test.outcome is not None else len(ORDER)
