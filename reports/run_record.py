"""The run record: what was tested, with what, by whom, how it ended. Versioned, checked on every write.

Written when a run begins (`state = "running"`) and replaced in one piece at its end, so that a crash leaves a
record that says so. The JSON Schema lies in `reports/schema/run_record_v1.json`. Contents follow ISO/IEC 17025
7.8 as far as a functional test has them. No clock is read here: times are handed in as text (UTC, ISO 8601).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.errors import BenchError
from reports.run_folder import RunFolder, write_json

SCHEMA_VERSION = 1
SCHEMA = Path(__file__).parent / "schema" / "run_record_v1.json"
NOT_ASKED = "not asked"


class Part(BaseModel):
    """A section of the record: closed, frozen, finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FileRef(Part):
    """A profile or definition, and the exact text that was used."""

    name: str
    title: str = ""
    sha256: str


class Dut(Part):
    """The unit under test, as read from it or as written on it."""

    maker: str
    model: str
    serial: str = NOT_ASKED
    firmware: str = NOT_ASKED
    hardware: str = NOT_ASKED


class InstrumentEntry(Part):
    """One instrument: who it says it is, and whether its calibration still counts."""

    role: str
    name: str
    driver: str
    address: str
    maker: str = NOT_ASKED
    model: str = NOT_ASKED
    serial: str = NOT_ASKED
    firmware: str = NOT_ASKED
    calibrated: str | None = None
    calibration_due: str | None = None
    certificate: str = ""
    overdue: bool = Field(default=False, description="the due date lay before the begin of the run")


class SignEntry(Part):
    """The sign convention of one signed signal of the BMS, and how it is known."""

    signal: str
    unit: str
    positive_means: Literal["charge", "discharge", "magnitude"]
    provenance: Literal["declared", "observed", "assumed"]
    observed: str = ""


class TestEntry(Part):
    """One attempt of one test."""

    __test__ = False

    id: str
    title: str
    outcome: Literal["passed", "failed", "broken", "inconclusive", "skipped", "interrupted"]
    reason: str = ""
    attempt: int = 1
    folder: str
    requirements: tuple[str, ...] = ()


class Environment(Part):
    """Ambient as declared in the bench definition; None is not known."""

    temperature_degc: float | None = None
    humidity_pct: float | None = None
    location: str = ""


class Versions(Part):
    """What ran. `commit` is None where git could not tell."""

    bmsbench: str
    python: str
    platform: str
    commit: str | None = None
    dirty: bool | None = None


class RunRecord(Part):
    """One run. `begin` and `end` are UTC in ISO 8601."""

    schema_version: Literal[1] = 1
    id: str
    state: Literal["running", "ended", "interrupted"]
    begin: str
    end: str | None = None
    simulated: bool
    simulated_because: str = ""
    bench: FileRef
    profile: FileRef
    dut: Dut
    instruments: tuple[InstrumentEntry, ...]
    topology: dict[str, Any] = Field(description="current path, shunt, fuse and wiring as the definition has them")
    environment: Environment = Environment()
    operator: str = ""
    seed: int
    defects: tuple[str, ...] = Field(default=(), description="defects given to a virtual BMS on purpose")
    decision_rule: str
    coverage_factor: float = 2.0
    sign_convention: str = "charging is positive"
    signs: tuple[SignEntry, ...]
    versions: Versions
    requested: tuple[str, ...] = ()
    tests: tuple[TestEntry, ...] = ()
    not_run: tuple[str, ...] = Field(default=(), description="asked for, never begun")
    safe_state: tuple[str, ...] = Field(default=(), description="what the way out measured and said")
    exit_status: int | None = None
    statement: str = "The results relate only to the item tested. Functional evidence; no certification is implied."


def write_record(folder: RunFolder, record: RunRecord) -> None:
    """Check a record and write it in one piece.

    Raises:
        BenchError: the disk takes no more.
    """
    checked = RunRecord.model_validate(record.model_dump(warnings=False))
    try:
        write_json(folder.run_json, checked.model_dump(mode="json"))
    except OSError as problem:
        raise BenchError(
            f"{folder.run_json}: the run record cannot be written: {problem.strerror or problem}; "
            "what the run wrote before is kept"
        ) from problem


def read_record(folder: RunFolder) -> RunRecord:
    """Read a record; one that never ended is returned as `interrupted`.

    Raises:
        BenchError: it is missing, cut, from a newer version, or not a run record.
    """
    path = folder.run_json
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BenchError(f"{path}: is missing; the run ended before its record was begun") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as problem:
        raise BenchError(f"{path}: cannot be read as JSON: {problem}") from None
    version = data.get("schema_version") if isinstance(data, dict) else None
    if not isinstance(version, int):
        raise BenchError(f"{path}: is no run record: schema_version is missing")
    if version > SCHEMA_VERSION:
        raise BenchError(
            f"{path}: has schema_version {version}, this bmsbench reads up to {SCHEMA_VERSION}; use the bmsbench "
            "that wrote it, or a newer one"
        )
    try:
        record = RunRecord.model_validate(data)
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BenchError(f"{path}: is no valid run record: {where}: {first['msg']}") from None
    return record.model_copy(update={"state": "interrupted"}) if record.state == "running" else record


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the record, as exported beside this package."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **RunRecord.model_json_schema()}


def export_schema(path: Path = SCHEMA) -> None:
    """Write the JSON Schema file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, schema())
