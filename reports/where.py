"""Where runs lie: under `reports/output` of the checkout, and under `runs` of a lab's own folder."""

from __future__ import annotations

from pathlib import Path

from reports.run_folder import OUTPUT


def run_parent(lab: Path | None) -> Path:
    """Return the folder in which a new run gets its folder."""
    return OUTPUT if lab is None else lab / "runs"


def run_parents(lab: Path | None) -> list[Path]:
    """Return the folders in which runs are looked for."""
    return [run_parent(lab)] if lab is None else [lab / "runs", OUTPUT]
