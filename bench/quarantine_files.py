"""The files in which trouble is remembered: where they are, what one says, and the story of those released."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.errors import BenchError, SafetyError
from bench.state_folder import read_state, state_folder

LOOK = "every output is off, the disconnect open, and nothing is warm"


def quarantine_folder() -> Path:
    """Return the folder of the files."""
    return state_folder() / "quarantine"


def history() -> list[dict[str, Any]]:
    """Return what was released so far, oldest first."""
    path = quarantine_folder() / "history.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def read_entry(path: Path) -> dict[str, Any]:
    """Return what a file says; one that cannot be read says so as its cause, and is `unreadable`."""
    try:
        return read_state(path)
    except BenchError as problem:
        return {"cause": str(problem), "unreadable": True}


def first_line(cause: object) -> str:
    """Return the first line of a cause, for a sentence."""
    return (str(cause or "no cause was written").splitlines() or [""])[0].rstrip(".")


def listed(entry: Mapping[str, Any], key: str, kind: type) -> list[Any]:
    """Return those of a list in an entry that are of a kind; files written before it was known have none."""
    found = entry.get(key)
    return [one for one in found if isinstance(one, kind)] if isinstance(found, list) else []


def causes(entry: Mapping[str, Any]) -> list[object]:
    """Return the causes for which a bench is closed, the first one first."""
    return [one.get("cause") for one in (entry, *listed(entry, "later", dict))]


def looks(entry: Mapping[str, Any]) -> list[str]:
    """Return what a person must have seen before a bench with this entry is released."""
    asked = [str(one.get("look", LOOK)) for one in (entry, *listed(entry, "later", dict))]
    return list(dict.fromkeys(asked))


def into_history(entry: Mapping[str, object]) -> None:
    """Keep what is released.

    Raises:
        SafetyError: it cannot be kept.
    """
    path = quarantine_folder() / "history.jsonl"
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as problem:
        raise SafetyError(f"{path} cannot be written ({problem.strerror or problem}); it stays closed") from None
