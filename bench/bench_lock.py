"""One run per bench: a lock of the operating system per bench and per instrument address.

It is dropped with the process that holds it, however that ends; the file that stays behind blocks nobody.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from bench.address_spelling import one_spelling
from bench.definition import Definition
from bench.definition_sections import ModbusBinding
from bench.errors import Occupied, SafetyError
from bench.state_folder import own_file_word, state_folder
from bench.wall_clock import utc_now

_BYTE = 1 << 20  # which byte Windows locks: far behind the text, so that others can still read who holds it
_held: dict[Path, tuple[IO[str], int]] = {}  # of this process, with how often: a run holds its bench, its tests too


@contextlib.contextmanager
def hold_bench(definition: Definition) -> Iterator[None]:
    """Hold a bench on the wall clock and everything that it reaches; one in simulated time is nobody else's.

    Raises:
        Occupied: another process holds the bench or one of its addresses; the message names it.
        SafetyError: the locks cannot be made, so nobody can know.
    """
    with contextlib.ExitStack() as stack:
        if definition.bench.clock == "wall":
            for what in things_of(definition):
                stack.enter_context(_hold(what))
        yield


def things_of(definition: Definition) -> list[str]:
    """Return what a run on this bench must have for itself, in words; all spellings of an address are one."""
    addresses = [part.address for part in definition.instruments.values()]
    addresses += [part.address for part in definition.links.values() if isinstance(part, ModbusBinding)]
    spelt = {f"address {one_spelling(address)}" for address in addresses}
    return [f"bench {definition.name}", *sorted(spelt)]


def lock_file(what: str) -> Path:
    """Return the file of a lock."""
    return state_folder() / "locks" / f"{own_file_word(what)}.lock"


@contextlib.contextmanager
def _hold(what: str) -> Iterator[None]:
    path = lock_file(what)
    file, count = _held.get(path) or (_take(what, path), 0)
    _held[path] = (file, count + 1)
    try:
        yield
    finally:
        file, count = _held.pop(path)
        if count > 1:
            _held[path] = (file, count - 1)
        else:
            _write(file, "")
            file.close()  # and with it the lock


def _take(what: str, path: Path) -> IO[str]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    except OSError as problem:
        raise SafetyError(f"{what} cannot be locked: {path}: {problem.strerror or problem}") from problem
    try:
        if not _lock(file.fileno()):
            raise Occupied(f"{what} is in use by {_holder(path)}; wait for it or end it, nothing was opened")
        holder = {"what": what, "pid": os.getpid(), "command": " ".join(sys.argv)[:300], "since": utc_now()}
        _write(file, json.dumps(holder, ensure_ascii=False))
    except BaseException:
        file.close()
        raise
    return file


def _lock(number: int) -> bool:
    """Try to lock an open file without waiting."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(number, _BYTE, os.SEEK_SET)
            msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _write(file: IO[str], text: str) -> None:
    with contextlib.suppress(OSError):  # a full disk: the lock holds all the same, only its holder has no name
        file.seek(0)
        file.truncate()
        file.write(text)
        file.flush()


def _holder(path: Path) -> str:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return f"process {holder['pid']} ({holder['command']}) since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process, which has not said its name"
