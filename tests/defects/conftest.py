"""Runs suites on a virtual BMS in a process of its own, and reads what became of each test."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 240


@dataclass(frozen=True)
class SuiteRun:
    """What a run came to: its exit status, and outcome and reason per test id."""

    status: int
    outcomes: dict[str, str]
    reasons: dict[str, str]
    output: str

    def failed(self) -> dict[str, str]:
        """The reasons of the tests that failed the product."""
        return {name: self.reasons[name] for name, outcome in self.outcomes.items() if outcome == "failed"}

    def share(self, outcome: str) -> float:
        """The share of an outcome among the tests that judged something."""
        judged = [one for one in self.outcomes.values() if one != "skipped"]
        return judged.count(outcome) / len(judged)


@pytest.fixture
def run_suite(tmp_path: Path) -> Callable[..., SuiteRun]:
    """Call `run_suite(paths, bms=..., defect=..., seed=..., select=...)`."""

    def run(
        paths: tuple[str, ...], *, bms: str, defect: str = "", seed: int = 1, select: str = "", bench: str = "virtual"
    ) -> SuiteRun:
        nth = len(list(tmp_path.iterdir()))  # the same defect may be shown to several tests
        folder = tmp_path / f"{nth}-{Path(bms).stem}-{defect or 'healthy'}-{seed}"
        command = [sys.executable, "-m", "pytest", *(str(ROOT / "test_suites" / path) for path in paths)]
        command += ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--bench", bench, "--bms", bms]
        command += ["--seed", str(seed), "--run-folder", str(folder)]
        command += ["--defect", defect] if defect else []
        command += ["-k", select] if select else []
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=TIMEOUT_S, check=False)
        results = [json.loads(path.read_text("utf-8")) for path in folder.glob("tests/*/result.json")]
        assert results, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        outcomes = {result["id"]: result["outcome"] for result in results}
        reasons = {result["id"]: result["reason"] for result in results}
        return SuiteRun(done.returncode, outcomes, reasons, done.stdout + done.stderr)

    return run
