"""What a tortured run left on disk: how new the newest record is, what it claims, and whether it can be loaded."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reports.overview import summarise
from reports.rejudge import rejudge_run
from reports.run_folder import RunFolder
from reports.stored import load_events, load_traces

LATE_S = 1.25  # promised is one second; the watch adds its period, a busy machine a little


@dataclass
class Evidence:
    """What was found."""

    problems: list[str] = field(default_factory=list)
    gaps: dict[str, float] = field(default_factory=dict)  # from the newest record to the kill, in seconds
    said_safe: bool = False
    guardian_acted: bool = False
    failed_lines: list[str] = field(default_factory=list)

    def names(self, instrument: str, said: str) -> bool:
        """Say whether anybody says that this instrument did not obey, or was not reached."""
        role = {"charger": "supply", "sink": "load", "source_sink": "bidirectional", "relays": "disconnect"}
        words = re.compile(rf"\b({instrument}|{role[instrument]})\b")
        told = [line for line in said.splitlines() if "FAILED" in line or "not reached" in line or "output ON" in line]
        return any(words.search(line) for line in [*told, *self.failed_lines])


def read_evidence(run: Path, marks: list[dict[str, Any]], dead_s: float | None, *, alone: bool = True) -> Evidence:
    """Read a run's folder; `dead_s` is the time of day at which the run was killed or stopped, if it was.

    `alone`: nothing else had happened to it, so it sampled and talked until then.
    """
    found = Evidence()
    if not run.is_dir():
        return found
    _read_claims(run, found)
    opened = [mark for mark in marks if mark["mark"] == "open"]
    inside = bool(opened) and marks[-1]["mark"] not in ("leaving", "opening")
    if dead_s is not None and inside:
        _read_gaps(run, marks, opened[-1], dead_s, found, alone)
    folder = RunFolder(run)
    if not folder.test_folders():
        return found
    try:
        result = rejudge_run(folder)
        problems = list(result.problems) + [text for part in result.tests for text in part.problems]
        for test in folder.test_folders():
            problems += load_traces(test).problems
        if folder.run_json.exists():
            summarise(folder)
        found.problems += [f"evidence: {text.replace(str(run), 'RUN')}" for text in problems]
    except Exception as problem:  # noqa: BLE001 - whatever it is, evidence that cannot be opened is a finding
        found.problems.append(f"evidence cannot be opened: {type(problem).__name__}: {problem}")
    return found


def _read_claims(run: Path, found: Evidence) -> None:
    claims: list[bool] = []
    for path in [*run.glob("tests/*/events.jsonl"), *run.glob("events.*.jsonl")]:
        for event in load_events(path.parent)[0] if path.name == "events.jsonl" else _lines(path):
            if event.get("kind") == "safe":
                claims.append(bool(event["data"]["safe"]))
                found.failed_lines += [line for line in event["data"]["lines"] if "FAILED" in line or " ON," in line]
            if event.get("kind") == "mark":
                found.failed_lines += [line for line in str(event["data"]).split(";") if "FAILED" in line]
    for line in _lines(run / "guardian.jsonl"):
        found.guardian_acted = True
        if line["guardian"] == "way out":
            claims.append(bool(line["safe"]))
            found.failed_lines.append(f"not reached {line['text']}")
            found.failed_lines += [f"FAILED {step['step']}" for step in line["steps"] if not step["done"]]
            shown = [f"{step['step']} {step['text']}" for step in line["steps"]]
            found.failed_lines += [text for text in shown if "output ON" in text]
    found.said_safe = bool(claims) and claims[-1]


def _read_gaps(
    run: Path, marks: list[dict[str, Any]], opened: dict[str, Any], dead_s: float, found: Evidence, alone: bool
) -> None:
    """Compare the newest record of each kind with the kill; both in the bench's time."""
    dead_at_s = opened["at_s"] + dead_s - opened["unix_s"]
    newest = max(run.glob("tests/*"), key=lambda path: path.stat().st_mtime)
    if any(event.get("kind") == "safe" for event in load_events(newest)[0]):
        return  # it had left the bench by itself, and samples no more
    traced = [line.split(",")[0] for line in _text(newest / "trace.csv").splitlines()[1:]]
    spoken = [line.split()[0] for line in _text(run / "dialogue" / "main.log").splitlines() if line[:1] == " "]
    for name, times in (("trace", traced), ("dialogue", spoken)) if alone else ():
        latest_s = max((float(text) for text in times[-50:]), default=0.0)
        found.gaps[name] = round(dead_at_s - latest_s, 3)
        if found.gaps[name] > LATE_S:
            found.problems.append(f"evidence: the newest of the {name} is {found.gaps[name]:.2f} s older than the kill")
    kept = {event["text"] for event in load_events(newest)[0]}
    owed = [mark for mark in marks if mark["mark"] == "note" and mark["unix_s"] > opened["unix_s"]]
    lost = [mark for mark in owed if mark["text"] not in kept]
    if lost:
        found.gaps["note"] = round(dead_s - lost[0]["unix_s"], 3)
        if found.gaps["note"] > LATE_S:
            found.problems.append(f"evidence: a note of {found.gaps['note']:.2f} s before the kill is not there")


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in _text(path).splitlines() if line.endswith("}")]


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
