"""A definition that calls itself hardware, led to a lab on loopback: refused until everything is there, then it runs.

The lab's faces stand in for instruments on a table; tested is what `bmsbench` asks for before it energises them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.commissioning import NEEDED, Commissioning, ContactLine, section_digest, store_commissioning
from bench.definition import Definition, load_definition
from bench.wiring_confirmation import confirm_wiring
from instruments.driver_digest import driver_digests

USAGE, BROKEN = 4, 10


@pytest.fixture
def table(lab_process: Any, tmp_path: Path) -> Iterator[tuple[Any, Path]]:
    """A lab in real time, and a definition that says that it is no lab."""
    lab = lab_process(tmp_path, "--bench", "virtual_guarded", "--bms", "seplos_v3", "--name", "table")
    path = tmp_path / "table.toml"
    text = lab.definition.read_text(encoding="utf-8")
    assert "simulated = true" in text
    path.write_text(text.replace("simulated = true", "simulated = false"), encoding="utf-8")
    yield lab, path
    assert lab.close()[0] == 0


def commissioned(definition: Definition, **changes: Any) -> None:
    """Keep the evidence that a person would have made in an hour with `bmsbench commission`."""
    digests = driver_digests(definition)
    for role, name in definition.roles.items():
        serial = definition.instruments[name].serial or f"VIRTUAL-{name.upper()}"
        facts: dict[str, Any] = {
            "bench": definition.name,
            "definition_digest": "",
            "role": role,
            "instrument": name,
            "driver": definition.instruments[name].driver,
            "driver_digest": digests[name],
            "maker": "",
            "model": "",
            "serial": serial,
            "firmware": "",
            "virtual": True,
            "at": "2026-11-20T08:00:00Z",
            "connected": "a pack",
            "lines": tuple(ContactLine(check, "pass", "") for check in NEEDED[role]),
            "figures": {"stop_latency_s": 0.3},
            "section_digest": section_digest(definition.instruments[name]),
        }
        store_commissioning(Commissioning(**{**facts, **changes}))


def run(lab: Any, path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bmsbench", "run", "reference", "-q", "--bench", str(path), "--bms", "seplos_v3"]
    return subprocess.run(
        [*command, *words], cwd=lab.folder, capture_output=True, text=True, timeout=240, stdin=subprocess.DEVNULL
    )


def touched(lab: Any) -> bool:
    """Whether anybody has commanded anything: an output on, a contact closed, a current."""
    return any(line.get("outputs_on") or line.get("disconnect_closed") for line in lab.lines())


def test_it_is_refused_with_everything_that_is_missing_and_nothing_is_touched(table: tuple[Any, Path]) -> None:
    lab, path = table
    refused = run(lab, path)
    assert refused.returncode == USAGE
    words = " ".join((refused.stdout + refused.stderr).split())
    assert "table.toml: is hardware (bench.simulated = false) and was not energised; missing:" in words
    assert "nobody is at the bench (no terminal)" in words
    assert "nobody has confirmed its wiring" in words
    assert "charger was never commissioned on this bench" in words
    assert not touched(lab)


@pytest.mark.full
def test_confirmed_commissioned_and_unattended_it_runs_and_says_so(table: tuple[Any, Path]) -> None:
    lab, path = table
    definition = load_definition(path)
    confirm_wiring(definition, "Ada", ("everything",))
    commissioned(definition)
    folder = lab.folder / "run"
    done = run(lab, path, "--unattended", "--run-folder", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert [test["outcome"] for test in record["tests"]] == ["passed", "passed"]
    assert record["simulated"] is True, "instruments whose serial begins with VIRTUAL make every page say so"
    events = (folder / "tests").rglob("events.jsonl")
    assert any("hardware admitted: unattended; wiring confirmed by Ada" in path.read_text() for path in events)
    truth = lab.truth()
    assert truth["outputs_on"] == []
    assert truth["disconnect_closed"] is False


@pytest.mark.full
def test_another_unit_than_the_one_that_was_commissioned_is_refused(table: tuple[Any, Path]) -> None:
    lab, path = table
    definition = load_definition(path)
    confirm_wiring(definition, "Ada", ("everything",))
    commissioned(definition, serial="SN-4711")
    done = run(lab, path, "--unattended")
    assert done.returncode == BROKEN, done.stdout + done.stderr
    assert "but 'SN-4711' was commissioned on this bench" in " ".join(done.stdout.split())
    assert not touched(lab)


@pytest.mark.full
def test_a_wiring_that_changed_after_it_was_confirmed_is_refused(table: tuple[Any, Path]) -> None:
    lab, path = table
    confirm_wiring(load_definition(path), "Ada", ("everything",))
    text = path.read_text(encoding="utf-8")
    assert "fuse_a = 160" in text
    path.write_text(text.replace("fuse_a = 160", "fuse_a = 150"), encoding="utf-8")
    commissioned(load_definition(path))
    done = run(lab, path, "--unattended")
    assert done.returncode == USAGE
    assert "its definition has changed since Ada confirmed the wiring" in " ".join((done.stdout + done.stderr).split())
    assert not touched(lab)
