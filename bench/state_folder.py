"""Where the bench keeps what outlives a run: confirmations, commissioning records, memory of trouble."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.errors import BenchError

VARIABLE = "BMSBENCH_STATE"


def state_folder() -> Path:
    """Return the folder, which need not exist yet: that of `BMSBENCH_STATE`, or the platform's own for state."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser().resolve()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "bmsbench"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "bmsbench"
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "bmsbench"


def file_word(text: str) -> str:
    """Return a name as a word that any file system takes; different names may give one word."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._") or "unnamed"


def own_file_word(text: str) -> str:
    """Return a name as a word that any file system takes, and that no other name gives."""
    return f"{file_word(text)[:60]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def write_state(path: Path, data: Mapping[str, Any]) -> None:
    """Write a file whole or not at all.

    Raises:
        BenchError: the folder cannot be made or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
                json.dump(data, file, indent=2, ensure_ascii=False, allow_nan=False)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as problem:
        raise BenchError(f"{path}: cannot be written ({problem.strerror or problem}); see {VARIABLE}") from problem


def read_state(path: Path) -> dict[str, Any]:
    """Read a file that `write_state` wrote.

    Raises:
        BenchError: it cannot be read or is no JSON object; it is not taken for an absent one.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise BenchError(f"{path}: cannot be read ({problem}); look at it, and remove it if it is damaged") from problem
    if not isinstance(data, dict):
        raise BenchError(f"{path}: is no record; look at it, and remove it if it is damaged")
    return data
