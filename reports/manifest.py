"""The manifest of a run: SHA-256 of every file, in the format that `sha256sum -c` reads.

The reports that can be drawn again from the evidence (`report.html`, `index.html`) are not part of it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError
from reports.run_folder import RunFolder, write_text

DRAWN = ("manifest.sha256", "report.html", "index.html")
LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


@dataclass(frozen=True, slots=True)
class Difference:
    """What is no longer as it was; paths are relative to the run's folder, with forward slashes."""

    changed: tuple[str, ...]
    missing: tuple[str, ...]
    new: tuple[str, ...]
    files: int

    @property
    def intact(self) -> bool:
        """True if every file is there and the same."""
        return not (self.changed or self.missing or self.new)


def write_manifest(folder: RunFolder) -> int:
    """Write the sums of all files and return their number.

    Raises:
        BenchError: a file cannot be read, or the disk takes no more.
    """
    try:
        lines = [f"{_sum(path)}  {name}\n" for name, path in _files(folder).items()]
        write_text(folder.manifest, "".join(lines))
    except OSError as problem:
        raise BenchError(f"{folder.manifest}: cannot be written: {problem.strerror or problem}") from problem
    return len(lines)


def compare(folder: RunFolder) -> Difference:
    """Compare the files of a run with its manifest.

    Raises:
        BenchError: there is no manifest, or it is cut or garbled.
    """
    try:
        text = folder.manifest.read_text(encoding="utf-8")
    except OSError as problem:
        raise BenchError(
            f"{folder.manifest}: cannot be read: {problem.strerror or problem}; a run that did not end has none"
        ) from None
    known: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        match = LINE.fullmatch(line.rstrip("\r\n"))
        if match is None or not line.endswith("\n"):
            raise BenchError(f"{folder.manifest}, line {number}: is no sum and name: {line.strip()[:50]!r}")
        known[match[2]] = match[1]
    present = _files(folder)
    changed = [name for name, path in present.items() if name in known and _sum(path) != known[name]]
    return Difference(
        changed=tuple(changed),
        missing=tuple(sorted(known.keys() - present.keys())),
        new=tuple(sorted(present.keys() - known.keys())),
        files=len(known),
    )


def _files(folder: RunFolder) -> dict[str, Path]:
    found = {path.relative_to(folder.path).as_posix(): path for path in folder.path.rglob("*") if path.is_file()}
    return {name: found[name] for name in sorted(found) if name not in DRAWN}


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
