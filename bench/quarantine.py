"""Memory of trouble: a bench that was not made safe, a BMS whose settings were not put back.

One JSON file each in the state folder, until a named person releases it. What was released stays in `history.jsonl`.
A bench is known by its name and by the addresses of its instruments: another definition of them is closed, too.
A file that cannot be read keeps closed whatever it may be about: nobody knows what it says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.bench_lock import things_of
from bench.definition import Definition
from bench.errors import BenchError, DefinitionError, SafetyError
from bench.quarantine_files import LOOK, causes, first_line, into_history, listed, looks, read_entry
from bench.quarantine_files import history as history  # both are asked for here
from bench.quarantine_files import quarantine_folder as quarantine_folder
from bench.state_folder import own_file_word, read_state, write_state
from bench.wall_clock import utc_now

SCHEMA_VERSION = 1
LOOK_CELLS = "the pack was taken away, or every cell found fit to be charged by somebody who may judge it"


def bench_file(name: str, folder: Path | None = None) -> Path:
    """Return the file that keeps a bench closed, if it exists."""
    return (folder or quarantine_folder()) / f"bench-{own_file_word(name)}.json"


def dut_file(serial: str) -> Path:
    """Return the file that keeps a BMS with a serial number away from tests, if it exists."""
    return quarantine_folder() / f"dut-{own_file_word(serial)}.json"


# --- benches -------------------------------------------------------------------------------------------------


def quarantine_bench(
    bench: str | Definition,
    cause: str,
    *,
    by: str,
    evidence: Sequence[str] = (),
    look: str = LOOK,
    folder: Path | None = None,
) -> str:
    """Close a bench, and with its definition every other bench that has an instrument in common with it.

    The first cause stays, later ones are added. `look` is what a person must have seen before it is released. Returns
    what was done in words and never raises: this is the way out.
    """
    name = _name(bench)
    path = bench_file(name, folder)
    said = f"bench {name} is quarantined until a person has looked: bmsbench release {name} --by NAME"
    trouble = {"since": utc_now(), "by": by, "cause": cause, "look": look, "evidence": list(evidence)}
    entry: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "bench": name, **trouble, "instruments": _keys(bench)}
    is_new = True
    try:
        is_new = not path.exists()
        if not is_new:
            before = read_state(path)
            keys = sorted({*listed(before, "instruments", str), *_keys(bench)})
            later = listed(before, "later", dict) + ([] if cause in causes(before) else [trouble])
            entry = {**before, "instruments": keys, "later": later}
        write_state(path, entry)
    except (BenchError, OSError) as problem:
        return f"bench {name} should be quarantined, but {problem}" if is_new else f"{said} (not added: {problem})"
    return said


def remember_low_cell(definition: Definition, too_low: str, *, evidence: Sequence[str] = ()) -> str | None:
    """Close a bench with real cells of which one was found below its minimum: the next run would charge it.

    `too_low` as `CellLimits.too_low` says it. Returns what was done in words, None in simulated time and with emulated
    cells, which nothing can harm. Never raises.
    """
    if definition.bench.clock != "wall" or definition.topology.cells != "pack":
        return None
    cause = f"{too_low}; nothing may charge this pack"
    return quarantine_bench(definition, cause, by="guard", evidence=evidence, look=LOOK_CELLS)


def check_bench(bench: str | Definition) -> None:
    """Let a bench pass that is not quarantined; with its definition also not by an instrument of another bench.

    Raises:
        SafetyError: it is; with the cause and how it is released. Or nobody can know.
    """
    name = _name(bench)
    for other, entry in closed_by(bench).items():
        if entry.get("unreadable") and other != name:
            raise SafetyError(
                f"whether bench {name} has an instrument of a quarantined bench is not known: {entry['cause']}"
            )
        why = f"bench {name} is"
        if other != name:
            shared = sorted({*listed(entry, "instruments", str)} & {*_keys(bench)})
            why = f"bench {name} has {', '.join(shared)} in common with bench {other}, which is"
        raise SafetyError(
            f"{why} quarantined since {entry.get('since', 'an unknown time')}: "
            f"{'; then: '.join(map(first_line, causes(entry)))}. See that {', and that '.join(looks(entry))}; then: "
            f"bmsbench release {other} --by NAME"
        )


def closed_by(bench: str | Definition) -> dict[str, dict[str, Any]]:
    """Return the entries that keep a bench closed, by the name of the bench that had the trouble: its own first.

    Raises:
        SafetyError: the folder cannot be looked into.
    """
    own, mine = bench_file(_name(bench)), set(_keys(bench))
    found: dict[str, dict[str, Any]] = {}
    try:
        if own.exists():
            found[_name(bench)] = read_entry(own)
        others = sorted(quarantine_folder().iterdir()) if mine and quarantine_folder().exists() else []
    except OSError as problem:
        raise SafetyError(f"nobody can know what is quarantined: {quarantine_folder()}: {problem}") from problem
    for path in others:
        if path != own and path.name.startswith("bench-"):
            entry = read_entry(path)
            if (entry.get("unreadable") and path.exists()) or mine & {*listed(entry, "instruments", str)}:
                found[str(entry.get("bench", path.name))] = entry
    return found


def quarantined_bench(name: str) -> dict[str, Any]:
    """Return what is known about a quarantined bench.

    Raises:
        DefinitionError: it is not quarantined.
    """
    path = bench_file(name)
    if not path.exists():
        raise DefinitionError(f"bench {name} is not quarantined; nothing to release")
    return read_entry(path)


def release_bench(name: str, by: str) -> None:
    """Open a bench again on the word of a person, and keep the story.

    Raises:
        DefinitionError: it is not quarantined, or nobody was named.
        SafetyError: the history cannot be written, so it stays closed.
    """
    if not by.strip():
        raise DefinitionError("--by: the name of the person who looked is missing")
    entry = quarantined_bench(name)
    into_history({**entry, "bench": name, "released": utc_now(), "released_by": by.strip()})
    bench_file(name).unlink()


def _name(bench: str | Definition) -> str:
    return bench if isinstance(bench, str) else bench.name


def _keys(bench: str | Definition) -> list[str]:
    """What two benches on the wall clock can have in common, in the words of their locks; in simulated time nothing."""
    if isinstance(bench, str) or bench.bench.clock != "wall":
        return []
    return [thing for thing in things_of(bench) if thing.startswith("address ")]


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
            f"BMS {serial} is quarantined since {entry.get('since', 'an unknown time')}: "
            f"{first_line(entry.get('cause'))}. Put its settings back ({names}): bmsbench settings --restore; it is "
            "released when they read as before"
        )


def quarantined_dut(serial: str) -> dict[str, Any] | None:
    """Return what is known about a quarantined BMS, None for any other."""
    path = dut_file(serial)
    return read_entry(path) if path.exists() else None


def quarantined_duts(profile: str) -> list[str]:
    """Return the serial numbers of quarantined BMSs of a profile, and of those whose profile is not known."""
    entries = [read_entry(path) for path in sorted(quarantine_folder().glob("dut-*.json"))]
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
    entry = read_entry(path)
    snapshot = entry.get("snapshot")
    if not isinstance(snapshot, dict):
        raise SafetyError(f"{path} holds no snapshot to compare with; compare by hand, then remove the file")
    wrong = differences(snapshot, read_back)
    if wrong:
        raise SafetyError(f"BMS {serial} stays quarantined: {'; '.join(wrong)}")
    into_history({**entry, "released": utc_now(), "released_by": "read-back equals the snapshot"})
    path.unlink()
