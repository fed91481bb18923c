"""What the first contact of a driver with its instrument came to, and where the evidence is kept.

Whoever wants to know whether a driver was ever seen on hardware asks here. A virtual instrument never counts.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from bench.definition_sections import InstrumentSection
from bench.errors import BenchError
from bench.state_folder import file_word, read_state, state_folder, write_state

Found = Literal["pass", "fail", "not tested"]
SCHEMA_VERSION = 1
# Without these nothing is known of a driver that matters: which way it counts, and that it stops.
NEEDED = {
    "supply": ("sign while charging", "stop while charging"),
    "load": ("sign while discharging", "stop while discharging"),
    "bidirectional": (
        "sign while charging",
        "stop while charging",
        "sign while discharging",
        "stop while discharging",
    ),
    "reference_meter": ("settings", "sign while charging"),
    "pack_meter": ("settings", "pack voltage"),
    "disconnect": ("moving", "conducting"),
    "interlock": ("clear", "opens"),
    "emergency_stop": ("clear", "opens"),
    "cell_monitor": ("cells", "temperatures"),
}


@dataclass(frozen=True, slots=True)
class ContactLine:
    """One judged line: what was looked at, what was found, and whether that is as it should be."""

    check: str
    verdict: Found
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Commissioning:
    """One first contact. `virtual`: the instrument or the bench is simulated, so hardware was not seen.

    `section_digest`: of the instrument's own section as it stood (`section_digest`); empty in evidence of before it
    was kept, which fits no section.
    """

    bench: str
    definition_digest: str
    role: str
    instrument: str
    driver: str
    driver_digest: str
    maker: str
    model: str
    serial: str
    firmware: str
    virtual: bool
    at: str
    connected: str
    lines: tuple[ContactLine, ...]
    figures: dict[str, float] = field(default_factory=dict)
    section_digest: str = ""
    schema_version: int = SCHEMA_VERSION

    @property
    def failed(self) -> tuple[ContactLine, ...]:
        """The lines that are not as they should be."""
        return tuple(line for line in self.lines if line.verdict == "fail")

    @property
    def not_tested(self) -> tuple[str, ...]:
        """What could not be looked at."""
        return tuple(line.check for line in self.lines if line.verdict == "not tested")

    @property
    def commissioned(self) -> bool:
        """Whether nothing failed and what matters most was looked at."""
        passed = {line.check for line in self.lines if line.verdict == "pass"}
        return not self.failed and passed.issuperset(NEEDED.get(self.role, ()))

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON, with the outcome spelt out."""
        return {**asdict(self), "commissioned": self.commissioned}


def section_digest(section: InstrumentSection) -> str:
    """Return the SHA-256 of what decides how an instrument is driven: driver, model and options.

    An address, a serial number that was learnt, a calibration are no reason to meet it again.
    """
    content = {"driver": section.driver, "model": section.model, "options": section.options}
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def store_commissioning(record: Commissioning) -> Path:
    """Keep the evidence; earlier evidence stays.

    Raises:
        BenchError: it cannot be written.
    """
    folder = state_folder() / "commissioning" / file_word(record.bench)
    stamp = re.sub(r"[^0-9TZ]", "", record.at)
    stem = f"{file_word(record.instrument)}-{stamp}"
    number = 1
    while (path := folder / f"{stem}-{number:02}.json").exists():
        number += 1
    write_state(path, record.as_dict())
    return path


def commissionings() -> tuple[Commissioning, ...]:
    """Return all evidence that is kept, oldest first.

    Raises:
        BenchError: a file is damaged; it is not taken for an absent one.
    """
    files = sorted((state_folder() / "commissioning").glob("*/*.json"))
    return tuple(sorted((_read(path) for path in files), key=lambda record: record.at))


def _read(path: Path) -> Commissioning:
    data = read_state(path)
    data.pop("commissioned", None)
    try:
        lines = tuple(ContactLine(**line) for line in data.pop("lines"))
        record = Commissioning(lines=lines, **data)
    except (KeyError, TypeError) as problem:
        raise BenchError(f"{path}: is no commissioning record ({problem}); look at it, and remove it") from None
    if record.schema_version != SCHEMA_VERSION or {line.verdict for line in lines} - {"pass", "fail", "not tested"}:
        raise BenchError(f"{path}: was written by another version of bmsbench; look at it, and remove it")
    return record


def seen_words(driver: str, driver_digest: str, records: tuple[Commissioning, ...]) -> str:
    """Say for one driver where it was commissioned on hardware, from the newest record of each bench."""
    newest: dict[str, Commissioning] = {}
    for record in records:
        if record.driver == driver and not record.virtual:
            newest[record.bench] = record
    parts = [_bench_words(record, driver_digest) for record in newest.values()]
    return "; ".join(parts) if parts else "never seen on hardware"


def _bench_words(record: Commissioning, driver_digest: str) -> str:
    date, who = record.at[:10], f"serial {record.serial or 'unknown'}"
    if not record.commissioned:
        lacking = ", ".join(line.check for line in record.failed)
        if not lacking:
            return f"never commissioned; tried on {record.bench}, {date}, {who}, too little could be tested"
        return f"FAILED its commissioning on {record.bench}, {date}, {who}: {lacking}"
    text = f"commissioned on {record.bench}, {date}, {who}"
    if record.not_tested:
        text += f" (without {', '.join(record.not_tested)})"
    if record.driver_digest != driver_digest:
        text += "; the driver has changed since, commission it again"
    return text
