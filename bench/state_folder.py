"""Where the bench keeps what outlives a run: confirmations, commissioning records, memory of trouble."""

from __future__ import annotations

import functools
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
RESERVE = ".reserve"
RESERVE_BYTES = 65536


def state_folder() -> Path:
    """Return the folder, which need not exist yet: that of `BMSBENCH_STATE`, or the platform's own for state.

    A relative one is taken from where this process stood when it asked first: a program that goes to another folder
    must not find other locks there.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return _resolved(named)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "bmsbench"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "bmsbench"
    return _resolved(os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")) / "bmsbench"


@functools.cache
def _resolved(named: str) -> Path:
    return Path(named).expanduser().resolve()


def file_word(text: str) -> str:
    """Return a name as a word that any file system takes; different names may give one word."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._") or "unnamed"


def own_file_word(text: str) -> str:
    """Return a name as a word that any file system takes, and that no other name gives."""
    return f"{file_word(text)[:60]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def keep_reserve(folder: Path) -> None:
    """Set room aside in a folder, so that `write_state` can write one more file there when the disk is full.

    Where a file system never writes in place (btrfs, ZFS) a full disk may refuse all the same.

    Raises:
        BenchError: the folder cannot be made or written.
    """
    path = folder / RESERVE
    try:
        if path.is_file() and path.stat().st_size >= RESERVE_BYTES:
            return
        folder.mkdir(parents=True, exist_ok=True)
        _write_whole(path, os.urandom(RESERVE_BYTES))  # nothing that a file system could store without taking room
    except OSError as problem:
        raise _cannot(path, problem) from problem


def write_state(path: Path, data: Mapping[str, Any]) -> None:
    """Write a file whole or not at all; on a full disk into the room that `keep_reserve` has set aside.

    Raises:
        BenchError: the folder cannot be made or written.
    """
    text = (json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode(errors="backslashreplace")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write_whole(path, text)
        except OSError:
            if not _is_written_into_reserve(path, text):
                raise
    except OSError as problem:
        raise _cannot(path, problem) from problem


def _write_whole(path: Path, data: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _is_written_into_reserve(path: Path, data: bytes) -> bool:
    reserve = path.parent / RESERVE
    try:
        with reserve.open("r+b") as file:  # in place, which takes no room; what is left over is filled with blanks
            size = os.fstat(file.fileno()).st_size
            if len(data) > size:
                return False
            file.write(data.ljust(size))
            file.flush()
            os.fsync(file.fileno())
        reserve.replace(path)
    except OSError:
        return False  # the first problem is the one to be told
    return True


def _cannot(path: Path, problem: OSError) -> BenchError:
    return BenchError(f"{path}: cannot be written ({problem.strerror or problem}); see {VARIABLE}")


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
