"""What was recorded, read back: traces with every digit, judgements, events, results.

A folder may be half written, cut in the middle of a line, or edited. What can be read is read, and each thing
that cannot is a sentence in `problems`; nothing is guessed.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.traces import Mark, Traces
from reports.classify import Outcome
from reports.run_folder import RunFolder, read_lines

BDF_HEADER = "test_time_second,voltage_volt,current_ampere\n"


@dataclass(slots=True)
class StoredTraces:
    """The traces of a test and what was wrong with their file."""

    traces: Traces
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class StoredJudgement:
    """One judgement as it was written down."""

    name: str
    parameters: dict[str, Any]
    rule: str
    measurements: tuple[dict[str, Any], ...]
    error: str | None
    window: dict[str, int]
    marks: tuple[Mark, ...] | None  # None: those of events.jsonl within the window


@dataclass(frozen=True, slots=True)
class StoredTest:
    """One test of a run: its result and its folder."""

    folder: Path
    id: str
    title: str
    outcome: Outcome | None  # None: the run ended before the test did
    reason: str
    data: dict[str, Any]


def load_traces(folder: Path, judgement: StoredJudgement | None = None) -> StoredTraces:
    """Load the traces and marks of a test, whole or as a judgement saw them.

    Raises:
        BenchError: the trace file is missing.
    """
    path = folder / "trace.csv"
    window = None if judgement is None else judgement.window
    begin, end = (0, None) if window is None else (window["from_line"], window["to_line"])
    stored = StoredTraces(Traces())
    sample = stored.traces.sample
    try:
        with path.open("r", encoding="utf-8", errors="replace", newline="") as file:
            header = file.readline()
            if header != "test_time_second,channel,value\n":
                stored.problems.append(f"{path}: the first line is not the header of a trace")
            for number, line in enumerate(file):
                if number < begin:
                    continue
                if end is not None and number >= end:
                    break
                row = line.split(",") if '"' not in line else next(csv.reader([line]))
                try:
                    at_text, channel, value_text = row
                    if not line.endswith("\n"):
                        raise ValueError("cut")
                    sample(channel, float(at_text), float(value_text))
                except ValueError:
                    stored.problems.append(f"{path}, line {number + 2}: not a sample: {line.strip()[:60]!r}")
    except OSError as problem:
        raise BenchError(f"{path}: the trace cannot be read: {problem.strerror or problem}") from None
    expected = None if end is None else end - begin
    found = sum(len(trace) for trace in stored.traces.channels.values())
    if expected is not None and found + len(stored.problems) < expected:
        stored.problems.append(f"{path}: {found} samples where the judgement saw {expected}")
    if judgement is not None and judgement.marks is not None:
        stored.traces.marks.extend(judgement.marks)
    else:
        _load_marks(folder, stored, window)
    return stored


def _load_marks(folder: Path, stored: StoredTraces, window: dict[str, int] | None) -> None:
    events, problems = load_events(folder)
    marks = [event for event in events if event.get("kind") == "mark"]
    if window is not None:
        expected = window["to_mark"]
        if len(marks) < expected:
            problems.append(f"{folder / 'events.jsonl'}: {len(marks)} marks where the judgement saw {expected}")
        marks = marks[window["from_mark"] : expected]
    for mark in marks:
        detail = str(mark.get("data", {}).get("detail", ""))
        stored.traces.mark(float(mark["at_s"]), str(mark["text"]), detail)
    stored.problems.extend(problems)


def load_events(folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Load the events of a test, and what could not be read of them."""
    path = folder / "events.jsonl"
    events: list[dict[str, Any]] = []
    problems: list[str] = []
    if not path.is_file():
        return events, [f"{path}: is missing"]
    for number, data in read_lines(path):
        if data is None or not isinstance(data.get("at_s"), (int, float)) or "text" not in data:
            problems.append(f"{path}, line {number}: not an event")
        else:
            events.append(data)
    return events, problems


def load_judgements(folder: Path) -> tuple[list[StoredJudgement], list[str]]:
    """Load the judgements of a test, and what could not be read of them."""
    path = folder / "judgements.jsonl"
    judgements: list[StoredJudgement] = []
    if not path.is_file():
        return judgements, [f"{path}: is missing"]
    problems: list[str] = []
    for number, data in read_lines(path):
        try:
            if data is None:
                raise KeyError("judgement")
            judgements.append(
                StoredJudgement(
                    str(data["judgement"]),
                    dict(data["parameters"]),
                    str(data["rule"]),
                    tuple(dict(row) for row in data["measurements"]),
                    data["error"],
                    {key: int(data["window"][key]) for key in ("from_line", "to_line", "from_mark", "to_mark")},
                    _marks(data["marks"]),
                )
            )
        except (KeyError, TypeError, ValueError):
            problems.append(f"{path}, line {number}: not a judgement")
    return judgements, problems


def _marks(rows: Any) -> tuple[Mark, ...] | None:
    return None if rows is None else tuple(Mark(float(at_s), str(name), str(text)) for at_s, name, text in rows)


def load_test(folder: Path) -> StoredTest:
    """Load the result of a test; one that never ended has no outcome.

    Raises:
        BenchError: the file is missing or no result.
    """
    path = folder / "result.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        outcome = None if data["outcome"] is None else Outcome(data["outcome"])
        return StoredTest(folder, str(data["id"]), str(data["title"]), outcome, str(data["reason"]), data)
    except OSError as problem:
        raise BenchError(f"{path}: cannot be read: {problem.strerror or problem}") from None
    except (ValueError, KeyError, TypeError) as problem:
        raise BenchError(f"{path}: is no result of a test: {problem}") from None


def load_tests(run: RunFolder) -> tuple[list[StoredTest], list[str]]:
    """Load all tests of a run in the order of their ids and attempts, and what could not be read."""
    tests: list[StoredTest] = []
    problems: list[str] = []
    for folder in run.test_folders():
        try:
            tests.append(load_test(folder))
        except BenchError as problem:
            problems.append(str(problem))
    tests.sort(key=lambda test: (test.id, int(test.data.get("attempt", 1))))
    return tests, problems


def slice_of(run: RunFolder, part: dict[str, Any]) -> bytes:
    """Return the part of a shared log that belongs to a test (`frames` or `dialogue` of its result).

    Raises:
        BenchError: the log is missing or shorter than it was.
    """
    path = run.path / str(part["file"])
    begin, end = int(part["from_byte"]), part.get("to_byte")
    try:
        with path.open("rb") as file:
            file.seek(begin)
            data = file.read() if end is None else file.read(int(end) - begin)
    except OSError as problem:
        raise BenchError(f"{path}: cannot be read: {problem.strerror or problem}") from None
    if end is not None and len(data) < int(end) - begin:
        raise BenchError(f"{path}: is shorter than it was when the test ended")
    return data


def battery_data(traces: Traces) -> str:
    """Return the reference channels in the Battery Data Format: charging positive, V and A.

    One row per sample of the reference current, with the newest pack voltage at or before it; rows before the
    first voltage are left out, since nothing is put in the place of a missing reading.
    """
    rows = [BDF_HEADER]
    if "reference_current" in traces and "pack_side_voltage" in traces:
        volts = traces["pack_side_voltage"]
        index = -1
        for at_s, current_a in traces["reference_current"]:
            while index + 1 < len(volts) and volts.at_s[index + 1] <= at_s:
                index += 1
            if index >= 0:
                rows.append(f"{at_s!r},{volts.values[index]!r},{current_a!r}\n")
    return "".join(rows)
