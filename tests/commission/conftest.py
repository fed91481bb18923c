"""First contacts on the virtual bench, with the evidence in a folder of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.commissioning import Commissioning
from bench.definition import find_definition, load_definition
from bench.profile import find_profile, load_profile
from bmsbench.commissioning import commission
from bmsbench.commissioning_world import Wanted

Meet = Callable[..., Commissioning]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep what these tests store out of the person's own state folder."""
    monkeypatch.setenv("BMSBENCH_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def meet() -> Meet:
    """Return a function that meets an instrument of a shipped bench, with or without a planted fault."""

    def run(bench: str, target: str, fault: str = "none", *, resistor: float | None = None, short: bool = False):
        connected = "short" if short else "resistor" if resistor else "pack"
        definition = load_definition(find_definition(bench))
        return commission(
            definition, load_profile(find_profile("seplos_v3")), Wanted(target, connected, resistor, fault)
        )

    return run
