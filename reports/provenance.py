"""Fill a run record: from profile and definition at its begin, from the evidence itself at its end."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import platform
import shutil
import subprocess
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.definition import Definition
from bench.loading import content_hash
from bench.profile import Profile
from reports.run_folder import RunFolder, read_lines
from reports.run_record import (
    Dut,
    Environment,
    FileRef,
    InstrumentEntry,
    RunRecord,
    SignEntry,
    TestEntry,
    Versions,
)
from reports.stored import load_tests

ROOT = Path(__file__).parent.parent


def begin_record(
    folder: RunFolder,
    definition: Definition,
    profile: Profile,
    *,
    begin: str,
    seed: int,
    rule: str,
    operator: str = "",
    defects: Sequence[str] = (),
    requested: Sequence[str] = (),
) -> RunRecord:
    """Return the record of a run that begins. `begin` is UTC in ISO 8601, with a date in its first ten places."""
    topology = definition.topology.model_dump(mode="json")
    return RunRecord(
        id=folder.path.name,
        state="running",
        begin=begin,
        simulated=definition.bench.simulated,
        simulated_because="the definition says so" if definition.bench.simulated else "",
        bench=FileRef(name=definition.name, title=definition.bench.title, sha256=content_hash(definition.source)),
        profile=FileRef(name=profile.name, title=profile.bms.model, sha256=content_hash(profile.source)),
        dut=Dut(maker=profile.bms.maker, model=profile.bms.model),
        instruments=_instruments(definition, datetime.date.fromisoformat(begin[:10])),
        topology=topology,
        environment=Environment(
            temperature_degc=definition.environment.temperature_degc,
            humidity_pct=definition.environment.humidity_pct,
            location=definition.bench.location,
        ),
        operator=operator,
        seed=seed,
        defects=tuple(defects),
        decision_rule=rule,
        signs=tuple(signs_of(profile)),
        versions=versions(),
        requested=tuple(requested),
    )


def end_record(
    folder: RunFolder,
    record: RunRecord,
    *,
    end: str,
    exit_status: int | None,
    requested: Sequence[str] | None = None,
    interrupted: bool = False,
) -> RunRecord:
    """Return the record of a run that ended: tests, identities and safe state are read from the run's folder.

    An instrument whose serial number begins with VIRTUAL makes the run simulated, whatever the definition claims.
    """
    asked = tuple(record.requested if requested is None else requested)
    tests = collect_tests(folder)
    begun = {test.id for test in tests}
    told = _told(folder)
    identities = {str(event["text"]): event["data"] for event in told if event["kind"] == "identity"}
    dut: dict[str, str] = {}
    for event in told:
        if event["kind"] == "dut":
            dut.update({key: str(value) for key, value in event["data"].items()})
    instruments = tuple(entry.model_copy(update=identities.get(entry.role, {})) for entry in record.instruments)
    virtual = [entry.name for entry in instruments if entry.serial.upper().startswith("VIRTUAL")]
    because = record.simulated_because
    if virtual and not record.simulated:
        because = f"the definition claims hardware, but {', '.join(virtual)} has a VIRTUAL serial number"
    elif virtual:
        because = f"serial numbers begin with VIRTUAL: {', '.join(virtual)}"
    return record.model_copy(
        update={
            "state": "interrupted" if interrupted else "ended",
            "end": end,
            "simulated": record.simulated or bool(virtual),
            "simulated_because": because,
            "dut": record.dut.model_copy(update=dut),
            "instruments": instruments,
            "requested": asked,
            "tests": tests,
            "not_run": tuple(test_id for test_id in asked if test_id not in begun),
            "safe_state": tuple(str(event["text"]) for event in told if event["kind"] == "safe"),
            "exit_status": exit_status,
        }
    )


def collect_tests(folder: RunFolder) -> tuple[TestEntry, ...]:
    """Return the tests of a run as their folders tell, of all workers together."""
    tests, _ = load_tests(folder)
    return tuple(
        TestEntry(
            id=test.id,
            title=test.title,
            outcome=test.outcome.value if test.outcome is not None else "interrupted",
            reason=test.reason,
            attempt=int(test.data.get("attempt", 1)),
            folder=f"tests/{test.folder.name}",
            requirements=tuple(test.data.get("requirements", ())),
        )
        for test in tests
    )


def signs_of(profile: Profile) -> Iterable[SignEntry]:
    """Yield the convention of each signed signal, with how it is known."""
    for name, signal in profile.signals.items():
        if signal.positive_means is None or signal.provenance is None:
            continue
        seen = signal.observed
        yield SignEntry(
            signal=name,
            unit=signal.unit,
            positive_means=signal.positive_means,
            provenance=signal.provenance,
            observed="" if seen is None else " ".join(filter(None, (seen.date, seen.firmware, seen.bench))),
        )


def versions(root: Path = ROOT) -> Versions:
    """Return what is running; the commit is asked of git where there is one."""
    commit = _git(root, "rev-parse", "HEAD")
    changed = _git(root, "status", "--porcelain", "--untracked-files=no") if commit else None
    return Versions(
        bmsbench=_own_version(root),
        python=platform.python_version(),
        platform=platform.platform(),
        commit=commit or None,
        dirty=None if changed is None else bool(changed),
    )


def _own_version(root: Path) -> str:
    try:
        return importlib.metadata.version("bmsbench")
    except importlib.metadata.PackageNotFoundError:  # a checkout that is on the path without being installed
        with (root / "pyproject.toml").open("rb") as file:
            return f"{tomllib.load(file)['project']['version']} (not installed)"


def _instruments(definition: Definition, day: datetime.date) -> tuple[InstrumentEntry, ...]:
    entries: list[InstrumentEntry] = []
    for role, name in definition.roles.items():
        section = definition.instruments[name]
        due = section.calibration_due
        entries.append(
            InstrumentEntry(
                role=role,
                name=name,
                driver=section.driver,
                address=section.address,
                calibrated=None if section.calibrated is None else section.calibrated.isoformat(),
                calibration_due=None if due is None else due.isoformat(),
                certificate=section.certificate,
                overdue=due is not None and due < day,
            )
        )
    return tuple(entries)


def _told(folder: RunFolder) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    for path in (*sorted(folder.path.glob("events.*.jsonl")), *sorted(folder.tests.glob("*/events.jsonl"))):
        told += [
            data
            for _, data in read_lines(path)
            if data is not None and {"kind", "text", "data"} <= data.keys() and isinstance(data["data"], dict)
        ]
    unique: dict[str, dict[str, Any]] = {}
    for event in told:  # several workers and tests say the same; once is enough
        unique.setdefault(json.dumps([event["kind"], event["text"], event["data"]]), event)
    return list(unique.values())


def _git(root: Path, *words: str) -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    try:
        done = subprocess.run([git, "-C", str(root), *words], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
