"""Where a run's evidence lies: one folder per run, one folder per test in it.

RUN/run.json                    the run record (`reports.run_record`)
RUN/events.WORKER.jsonl         what happened outside any test: opening the bench, the way out
RUN/outside.WORKER.csv          samples taken outside any test
RUN/tests/SLUG/…                trace.csv events.jsonl judgements.jsonl bdf.csv plot.svg result.json
RUN/can/WORKER.log              raw frames, candump log text
RUN/dialogue/WORKER.log         what was said to instruments and what they answered
RUN/junit.xml, RUN/allure-results/, RUN/manifest.sha256, RUN/report.html
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import BenchError

OUTPUT = Path(__file__).parent / "output"
SLUG_LENGTH = 48  # Windows allows 260 characters for the whole path; a lab's folder needs some of them


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of one run and the names of what is in it."""

    path: Path

    @property
    def run_json(self) -> Path:
        """The run record."""
        return self.path / "run.json"

    @property
    def tests(self) -> Path:
        """The parent of the tests' folders."""
        return self.path / "tests"

    @property
    def junit_xml(self) -> Path:
        """The JUnit file that pytest writes and `reports.junit` corrects."""
        return self.path / "junit.xml"

    @property
    def allure_results(self) -> Path:
        """What allure-pytest writes (`--alluredir`)."""
        return self.path / "allure-results"

    @property
    def manifest(self) -> Path:
        """The SHA-256 sums."""
        return self.path / "manifest.sha256"

    @property
    def report_html(self) -> Path:
        """The Allure report as one file."""
        return self.path / "report.html"

    @property
    def index_html(self) -> Path:
        """The overview."""
        return self.path / "index.html"

    def can_log(self, worker: str) -> Path:
        """The raw frames of one worker."""
        return self.path / "can" / f"{worker}.log"

    def dialogue_log(self, worker: str) -> Path:
        """The instrument dialogue of one worker."""
        return self.path / "dialogue" / f"{worker}.log"

    def test_folders(self) -> list[Path]:
        """The folders of the tests, in the order of their names."""
        return sorted(folder for folder in self.tests.glob("*") if folder.is_dir()) if self.tests.is_dir() else []

    def make_test_folder(self, test_id: str) -> tuple[Path, int]:
        """Make the folder of a test; a repeated attempt gets its own. Returns it and the number of the attempt."""
        slug = test_slug(test_id)
        self.tests.mkdir(parents=True, exist_ok=True)
        attempt = 1
        while True:
            folder = self.tests / (slug if attempt == 1 else f"{slug}.attempt{attempt}")
            try:
                folder.mkdir()
            except FileExistsError:
                attempt += 1
            else:
                return folder, attempt


def test_slug(test_id: str) -> str:
    """Return a folder name for a test id: safe on Windows too, unique, and still readable.

    The letters come from the last part of the id, the eight hex digits from a SHA-256 of all of it.
    """
    words = re.sub(r"[^A-Za-z0-9]+", "_", test_id.rsplit("::", 1)[-1]).strip("_").lower()
    digest = hashlib.sha256(test_id.encode("utf-8")).hexdigest()[:8]
    return f"{words[:SLUG_LENGTH].strip('_') or 'test'}-{digest}"


def create_run_folder(parent: Path, stamp: str, bench: str, bms: str) -> RunFolder:
    """Make a new folder `PARENT/STAMP-BENCH-BMS`; two that start in the same second get different ones.

    `stamp` is the wall time in UTC as text, for example `2026-11-24T22-15-03Z`.

    Raises:
        BenchError: the folder cannot be made (rights, full disk).
    """
    name = "-".join(re.sub(r"[^A-Za-z0-9_.T-]+", "-", part) for part in (stamp, bench, bms))
    attempt = 1
    while True:
        path = parent / (name if attempt == 1 else f"{name}-{attempt}")
        try:
            parent.mkdir(parents=True, exist_ok=True)
            path.mkdir()
        except FileExistsError:
            if path.is_dir():
                attempt += 1
                continue
            raise BenchError(f"{path}: cannot be made, a file of that name lies in the way") from None
        except OSError as problem:
            raise BenchError(
                f"{path}: the folder of the run cannot be made: {problem.strerror or problem}; "
                "free the disk or give another folder with --lab"
            ) from None
        return RunFolder(path)


def find_run(name: str, parents: list[Path]) -> RunFolder:
    """Return the run folder given as a path, as its name under one of the parents, or as `last`.

    Raises:
        BenchError: there is no such run, with what there is.
    """
    known = list_runs(parents)
    if name == "last":
        if not known:
            raise BenchError(f"there is no run yet in {', '.join(map(str, parents))}; start one with 'bmsbench run'")
        return known[-1]
    for path in (Path(name), *(parent / name for parent in parents)):
        if path.name == "run.json":
            path = path.parent
        if path.is_dir():
            folder = RunFolder(path.resolve())
            if folder.run_json.exists() or folder.tests.is_dir():
                return folder
            raise BenchError(f"{path}: is no run folder: it has neither run.json nor tests/")
    newest = f"; the newest is {known[-1].path.name} ('last')" if known else ""
    raise BenchError(f"{name}: there is no such run folder{newest}")


def list_runs(parents: list[Path]) -> list[RunFolder]:
    """Return the runs below some folders (at most two levels down), the newest record last."""
    found: set[Path] = set()
    for parent in parents:
        for pattern in ("*/run.json", "*/*/run.json"):
            found.update(path.parent.resolve() for path in parent.glob(pattern))
    return [
        RunFolder(path) for path in sorted(found, key=lambda path: ((path / "run.json").stat().st_mtime_ns, path.name))
    ]


def new_result(test_id: str, title: str, worker: str) -> dict[str, Any]:
    """Return what `result.json` says of a test that has just begun."""
    return {
        "schema_version": 1,
        "id": test_id,
        "title": title,
        "state": "running",
        "outcome": None,
        "reason": "",
        "requirements": [],
        "seed": None,
        "attempt": 1,
        "simulated": True,
        "worker": worker,
        "begin_s": 0.0,
        "end_s": None,
        "frames": {"file": f"can/{worker}.log", "from_byte": 0},
        "dialogue": {"file": f"dialogue/{worker}.log", "from_byte": 0},
    }


def write_text(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the new one, never a part."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with scratch.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        scratch.replace(path)
    except OSError:
        scratch.unlink(missing_ok=True)
        raise


def write_json(path: Path, data: Any) -> None:
    """Write plain data as JSON, in one piece; NaN is refused (there is no such number in JSON)."""
    write_text(path, json.dumps(data, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Yield the line numbers and objects of a JSON-lines file; None for a line that is not an object."""
    with path.open("r", encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                data = json.loads(line)
            except json.JSONDecodeError:
                data = None
            yield number, data if isinstance(data, dict) else None
