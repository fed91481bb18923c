"""Where suites and runs lie."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SUITES = ROOT / "test_suites"


def suite_paths(words: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Split words into paths and options of pytest; a suite of ours may be called by its folder's name alone.

    Without any path all suites are meant.
    """
    paths: list[str] = []
    options: list[str] = []
    takes_value = False
    for word in words:
        if takes_value:
            options.append(word)
            takes_value = False
        elif word.startswith("-"):
            options.append(word)
            takes_value = word in ("-k", "-m", "-n", "-p", "-c", "-o", "-W", "--junitxml", "--alluredir", "--rootdir")
        else:
            own = SUITES / word.partition("::")[0]
            here = Path(word.partition("::")[0])
            paths.append(str(SUITES / word) if own.exists() and not here.exists() else word)
    return paths or [str(SUITES)], options


def run_parents(lab: str | None = None) -> list[Path]:
    """Return the folders in which runs land: the lab's, then the checkout's."""
    where = lab or os.environ.get("BMSBENCH_LAB")
    return ([Path(where) / "runs"] if where else []) + [ROOT / "reports" / "output"]


def newest_record(run_folder: object, lab: object) -> str:
    """Return the text of the newest run's record."""
    from reports.run_folder import RunFolder, find_run

    parents = run_parents(str(lab) if lab else None)
    folder = RunFolder(Path(str(run_folder)).resolve()) if run_folder else find_run("last", parents)
    return folder.run_json.read_text(encoding="utf-8")
