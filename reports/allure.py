"""Allure results: steps like a lab book, labels after standard, function and requirement, evidence attached.

Written for allure-pytest 2.16 and Allure Report 3.18. Two facts shape it (both tried): what `allure.dynamic`
says during a fixture is overwritten after set-up, so everything about a test is put onto its result just before
it is written; and allure-pytest calls an assertion in a fixture, or a time-out, *failed*, so our own
classification is put there too.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import allure as _allure
import allure_commons
from allure_commons.model2 import Label, StatusDetails

from bench.errors import BenchError, Inconclusive, ProductFailure
from bench.frames import CanFrame
from bench.observer import Event
from bench.roles import Dialogue
from reports.allure_page import TestDescription, describe, summary_html, table_html
from reports.classify import Outcome
from reports.run_folder import RunFolder
from reports.stored import load_test, slice_of

__all__ = ["AllureObserver", "TestDescription"]

allure: Any = _allure  # half of it is untyped
ATTACH_LIMIT = 150_000  # bytes; one file holds the whole report, so large evidence is named instead of embedded
STATUS = {
    Outcome.PASSED: "passed",
    Outcome.FAILED: "failed",
    Outcome.BROKEN: "broken",
    Outcome.INCONCLUSIVE: "broken",  # Allure knows no such status; the category and the tag tell it apart
    Outcome.SKIPPED: "skipped",
}


class AllureObserver:
    """An observer that turns events into steps of the running test, and hands a test's evidence to Allure.

    Register it once with `start()`; per test `begin_test`, events through `Observers.drain` in the test's own
    thread, `end_test` before pytest has finished the test (in `pytest_runtest_makereport` of the teardown).
    """

    def __init__(self) -> None:
        self._steps: list[tuple[str, Any]] = []
        self._description: TestDescription | None = None
        self._ending: tuple[Outcome, str, str] | None = None

    def start(self) -> None:
        """Let Allure ask this object before it writes a result."""
        allure_commons.plugin_manager.register(self)

    def stop(self) -> None:
        """End that."""
        allure_commons.plugin_manager.unregister(self)

    # -- the observer protocol ---------------------------------------------------------------------------

    def event(self, event: Event) -> None:
        """Open, close or write a step."""
        if event.kind == "step_begin":
            self._open(f"{event.text}   ({event.at_s:.3f} s)")
        elif event.kind == "step_end":
            self._close(_problem_of(event.data))
        elif event.kind == "measurement":
            first, _, more = event.text.partition("\n")
            self._open(first)
            if more:
                allure.attach(more, "what it looks like", allure.attachment_type.TEXT)
            self._close(_problem_of(event.data, event.text))
        elif event.kind in ("note", "mark", "safe"):
            word = {"mark": "mark: ", "safe": "safe state: "}.get(event.kind, "")
            self._open(f"{word}{event.text}   ({event.at_s:.3f} s)")
            self._close(None)

    def sample(self, channel: str, at_s: float, value: float) -> None:
        """Samples are in the trace."""

    def frame(self, frame: CanFrame) -> None:
        """Frames are in the log."""

    def dialogue(self, dialogue: Dialogue) -> None:
        """The dialogue is in its log."""

    # -- a test's beginning and end ----------------------------------------------------------------------

    def begin_test(self, description: TestDescription) -> None:
        """Remember what to say about the test that begins; the last description before its end counts."""
        self._description = description
        self._ending = None

    def close_steps(self, problem: BaseException | None = None) -> None:
        """Close the steps that an exception left open."""
        while self._steps:
            self._close(problem)

    def end_test(self, outcome: Outcome, reason: str, run: RunFolder, folder: Path) -> None:
        """Attach the evidence of a test and fix its status; plot first, then the table, then the raw files."""
        self.close_steps(None if outcome is Outcome.PASSED else _as_exception(outcome, reason))
        plot, table = folder / "plot.svg", table_html(folder)
        summary = summary_html(self._description, outcome, plot.read_text("utf-8") if plot.is_file() else "", table)
        if plot.is_file():
            allure.attach.file(str(plot), "plot", allure.attachment_type.SVG)
        if table:
            allure.attach(table, "measurements", allure.attachment_type.HTML)
        for name, kind in (("trace.csv", "CSV"), ("judgements.jsonl", "TEXT"), ("bdf.csv", "CSV")):
            if (folder / name).is_file():
                self._attach(name, (folder / name).read_bytes(), kind, folder / name)
        data = load_test(folder).data
        for name, word in (("dialogue", "instrument dialogue"), ("frames", "CAN frames (candump)")):
            try:
                text = slice_of(run, data[name])
            except BenchError as problem:
                text = str(problem).encode()
            if text:
                self._attach(word, text, "TEXT", run.path / data[name]["file"])
        self._ending = (outcome, reason, summary)

    @allure_commons.hookimpl(tryfirst=True)  # type: ignore[untyped-decorator,unused-ignore]
    def report_result(self, result: Any) -> None:
        """Put description, labels and our own classification onto a result that is about to be written."""
        if self._description is not None:
            describe(result, self._description)
        if self._ending is not None:
            outcome, reason, summary = self._ending
            result.status = STATUS[outcome]
            result.descriptionHtml = summary
            result.labels.append(Label("outcome", outcome.value))
            if outcome is Outcome.PASSED:
                result.statusDetails = None
            else:
                trace = result.statusDetails.trace if result.statusDetails is not None else None
                prefix = "Inconclusive: " if outcome is Outcome.INCONCLUSIVE else ""
                result.statusDetails = StatusDetails(message=prefix + reason, trace=trace)
            if outcome is Outcome.INCONCLUSIVE:
                result.labels.append(Label("tag", "inconclusive"))
        self._description = self._ending = None

    def _open(self, title: str) -> None:
        step = allure.step(title)
        step.__enter__()
        self._steps.append((title, step))

    def _close(self, problem: BaseException | None) -> None:
        if not self._steps:
            return  # a step that was closed by an exception before its own end was told
        _, step = self._steps.pop()
        kind: type[BaseException] | None = type(problem) if problem is not None else None
        trace: TracebackType | None = problem.__traceback__ if problem is not None else None
        step.__exit__(kind, problem, trace)

    def _attach(self, name: str, data: bytes, kind: str, path: Path) -> None:
        if len(data) > ATTACH_LIMIT:
            note = f"{len(data)} bytes, too many to embed: the whole lies at {path.name} in the run's folder\n"
            allure.attach(note, f"{name} (where it lies)", allure.attachment_type.TEXT)
            return
        allure.attach(data, name, getattr(allure.attachment_type, kind))


def _problem_of(data: Mapping[str, object], text: str = "") -> BaseException | None:
    verdict = data.get("verdict")
    if verdict == "fail":
        return ProductFailure(text)
    if verdict == "inconclusive":
        return Inconclusive(text)
    error = data.get("error")
    return BenchError(str(error)) if error else None


def _as_exception(outcome: Outcome, reason: str) -> BaseException:
    return ProductFailure(reason) if outcome is Outcome.FAILED else BenchError(reason)
