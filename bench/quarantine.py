"""Memory of trouble: a bench that was not made safe, a BMS whose settings were not put back.

One JSON file each in the state folder, until a named person releases it. What was released stays in `history.jsonl`.
A file that cannot be read keeps its bench closed: nobody knows what it says.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.errors import BenchError, DefinitionError, SafetyError
from bench.state_folder import own_file_word, read_state, state_folder, write_state
from bench.wall_clock import utc_now

SCHEMA_VERSION = 1


def quarantine_folder() -> Path:
    """Return the folder of the files."""
    return state_folder() / "quarantine"


def bench_file(name: str, folder: Path | None = None) -> Path:
    """Return the file that keeps a bench closed, if it exists."""
    return (folder or quarantine_folder()) / f"bench-{own_file_word(name)}.json"


def dut_file(serial: str) -> Path:
    """Return the file that keeps a BMS with a serial number away from tests, if it exists."""
    return quarantine_folder() / f"dut-{own_file_word(serial)}.json"


# --- benches -------------------------------------------------------------------------------------------------


def quarantine_bench(
    name: str, cause: str, *, by: str, evidence: Sequence[str] = (), folder: Path | None = None
) -> str:
    """Close a bench; the first cause stays. Returns what was done in words and never raises: this is the way out."""
    path = bench_file(name, folder)
    said = f"bench {name} is quarantined until a person has looked: bmsbench release {name} --by NAME"
    if path.exists():
        return said
    entry = {"schema_version": SCHEMA_VERSION, "bench": name, "since": utc_now(), "by": by, "cause": cause}
    try:
        write_state(path, {**entry, "evidence": list(evidence)})
    except BenchError as problem:
        return f"bench {name} should be quarantined, but {problem}"
    return said


def check_bench(name: str) -> None:
    """Let a bench pass that is not quarantined.

    Raises:
        SafetyError: it is; with the cause and how it is released.
    """
    path = bench_file(name)
    if not path.exists():
        return
    entry = _read(path)
    raise SafetyError(
        f"bench {name} is quarantined since {entry.get('since', 'an unknown time')}: {_first_line(entry)}. Look at it "
        f"(is every output off, the disconnect open, nothing warm?), then: bmsbench release {name} --by NAME"
    )


def quarantined_bench(name: str) -> dict[str, Any]:
    """Return what is known about a quarantined bench.

    Raises:
        DefinitionError: it is not quarantined.
    """
    path = bench_file(name)
    if not path.exists():
        raise DefinitionError(f"bench {name} is not quarantined; nothing to release")
    return _read(path)


def release_bench(name: str, by: str) -> None:
    """Open a bench again on the word of a person, and keep the story.

    Raises:
        DefinitionError: it is not quarantined, or nobody was named.
        SafetyError: the history cannot be written, so it stays closed.
    """
    if not by.strip():
        raise DefinitionError("--by: the name of the person who looked is missing")
    entry = quarantined_bench(name)
    _into_history({**entry, "bench": name, "released": utc_now(), "released_by": by.strip()})
    bench_file(name).unlink()


def history() -> list[dict[str, Any]]:
    """Return what was released so far, oldest first."""
    path = quarantine_folder() / "history.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


# --- BMSs ----------------------------------------------------------------------------------------------------


def quarantine_dut(
    serial: str, snapshot: Mapping[str, float | str], *, cause: str, profile: str = "", bench: str = ""
) -> None:
    """Note, before the first setting is written, what a BMS had; a snapshot that is there already is not replaced.

    The file is on the disk when this returns (`write_state` flushes it through).

    Raises:
        DefinitionError: without a serial number nobody could recognise it again.
        SafetyError: it cannot be kept, so nothing may be written to the BMS.
    """
    if not serial.strip():
        raise DefinitionError("a BMS whose settings are to be changed needs a serial number; none was given")
    path = dut_file(serial)
    if path.exists():
        return
    entry = {"schema_version": SCHEMA_VERSION, "serial": serial, "profile": profile, "bench": bench}
    entry |= {"since": utc_now(), "cause": cause}
    try:
        write_state(path, {**entry, "snapshot": dict(snapshot)})
    except BenchError as problem:
        raise SafetyError(f"{problem}; no setting was changed") from problem


def check_dut(serial: str) -> None:
    """Let a BMS pass whose settings are its own.

    Raises:
        SafetyError: settings of it were changed and never seen to be put back.
    """
    entry = quarantined_dut(serial)
    if entry is not None:
        names = ", ".join(entry.get("snapshot", {})) or "its settings"
        raise SafetyError(
            f"BMS {serial} is quarantined since {entry.get('since', 'an unknown time')}: {_first_line(entry)}. "
            f"Put its settings back ({names}): bmsbench settings --restore; it is released when they read as before"
        )


def quarantined_dut(serial: str) -> dict[str, Any] | None:
    """Return what is known about a quarantined BMS, None for any other."""
    path = dut_file(serial)
    return _read(path) if path.exists() else None


def quarantined_duts(profile: str) -> list[str]:
    """Return the serial numbers of quarantined BMSs of a profile, and of those whose profile is not known."""
    entries = [_read(path) for path in sorted(quarantine_folder().glob("dut-*.json"))]
    return [str(one.get("serial", "unknown")) for one in entries if one.get("profile", "") in ("", profile)]


def differences(snapshot: Mapping[str, float | str], read_back: Mapping[str, float | str]) -> list[str]:
    """Return in words what of a snapshot reads otherwise, or was not read."""
    return [
        f"{name} = {read_back[name]!r} instead of {value!r}" if name in read_back else f"{name} was not read"
        for name, value in snapshot.items()
        if read_back.get(name) != value
    ]


def release_dut(serial: str, read_back: Mapping[str, float | str]) -> None:
    """Release a BMS whose settings read as in the snapshot taken before the first write.

    Raises:
        DefinitionError: it is not quarantined.
        SafetyError: a setting reads otherwise or was not read; it stays quarantined.
    """
    path = dut_file(serial)
    if not path.exists():
        raise DefinitionError(f"BMS {serial} is not quarantined")
    entry = _read(path)
    snapshot = entry.get("snapshot")
    if not isinstance(snapshot, dict):
        raise SafetyError(f"{path} holds no snapshot to compare with; compare by hand, then remove the file")
    wrong = differences(snapshot, read_back)
    if wrong:
        raise SafetyError(f"BMS {serial} stays quarantined: {'; '.join(wrong)}")
    _into_history({**entry, "released": utc_now(), "released_by": "read-back equals the snapshot"})
    path.unlink()


# --- files ---------------------------------------------------------------------------------------------------


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_state(path)
    except BenchError as problem:
        return {"cause": str(problem)}


def _first_line(entry: Mapping[str, Any]) -> str:
    return (str(entry.get("cause") or "no cause was written").splitlines() or [""])[0].rstrip(".")


def _into_history(entry: Mapping[str, object]) -> None:
    path = quarantine_folder() / "history.jsonl"
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as problem:
        raise SafetyError(f"{path} cannot be written ({problem.strerror or problem}); it stays closed") from None
