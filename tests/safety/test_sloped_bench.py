"""A bench that declares how fast a current may rise is a bench like any other: real drivers, simulated time."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import stimulus
from bench.clock import Rank
from bench.definition import find_definition, load_definition
from bench.errors import SafetyError
from bench.profile import find_profile, load_profile
from bmsbench.__main__ import main
from instruments.stand import open_stand
from instruments.virtual.bench import VirtualBench

SLOPE = 200.0


def sloped(folder: Path, bench: str, slope_a_per_s: float = SLOPE) -> Path:
    """A copy of a shipped bench with a slope in its envelope."""
    text = find_definition(bench).read_text(encoding="utf-8")
    path = folder / "sloped.toml"
    path.write_text(text.replace("[envelope]\n", f"[envelope]\nslope_a_per_s = {slope_a_per_s}\n"), encoding="utf-8")
    assert load_definition(path).envelope.slope_a_per_s == slope_a_per_s
    return path


@pytest.fixture
def virtual(monkeypatch: pytest.MonkeyPatch) -> list[VirtualBench]:
    """Every virtual bench that is opened, with its circuit."""
    made: list[VirtualBench] = []
    plain = VirtualBench.__init__

    def keep(self: VirtualBench, *arguments: Any, **options: Any) -> None:
        plain(self, *arguments, **options)
        made.append(self)

    monkeypatch.setattr(VirtualBench, "__init__", keep)
    return made


@pytest.mark.parametrize("bench", ["virtual", "virtual_bidirectional", "virtual_guarded"])
@pytest.mark.parametrize("way", [1.0, -1.0])
def test_the_current_rises_as_declared(tmp_path: Path, virtual: list[VirtualBench], bench: str, way: float) -> None:
    definition = load_definition(sloped(tmp_path, bench, 50.0))
    seen: list[float] = []
    with open_stand(definition, load_profile(find_profile("seplos_v3"))) as stand:
        stand.clock.every(0.1, lambda: seen.append(way * virtual[0].circuit.pack_current_a()), rank=Rank.CAN)
        with stimulus.holding(stand, way * 60.0) as found_a:
            assert found_a == pytest.approx(way * 60.0, abs=0.5)
            stimulus.force(stand, way * 80.0)  # from a level that is read back from the instrument
            stimulus.settle(stand, way * 80.0)
    rises = [later - before for before, later in itertools.pairwise(seen)]
    assert 3.0 < max(rises) <= 5.0 + 2 * 50.0 * 0.02, "50 A/s over 0.1 s, and the steps at both ends"


@pytest.mark.parametrize("slope", [0.5, 2.0])
def test_a_very_slow_bench_connects_its_pack_and_forces_small_currents(tmp_path: Path, slope: float) -> None:
    definition = load_definition(sloped(tmp_path, "virtual", slope))
    with open_stand(definition, load_profile(find_profile("seplos_v3"))) as stand:
        assert stand.disconnect is not None
        assert stand.disconnect.is_closed()
        with stimulus.holding(stand, 1.0):
            for level_a in (1.3, 1.37, 1.5, 2.0):
                stimulus.force(stand, level_a)
                stimulus.settle(stand, level_a)


@pytest.mark.parametrize("bench", ["virtual", "virtual_bidirectional"])
def test_a_welded_disconnect_is_found_with_a_slope_too_and_a_wrong_contact_is_named_as_a_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bench: str
) -> None:
    plain = VirtualBench.__init__

    def spoil(self: VirtualBench, *arguments: Any, **options: Any) -> None:
        plain(self, *arguments, **options)
        self.instruments.fault("relays", "welded")

    monkeypatch.setattr(VirtualBench, "__init__", spoil)
    definition = load_definition(sloped(tmp_path, bench))
    with (
        pytest.raises(SafetyError, match=r"welded or bridged, or instruments\.relays\.options\.contact names"),
        open_stand(definition, load_profile(find_profile("seplos_v3"))),
    ):
        pytest.fail("connected")


def test_check_lets_it_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--bench", str(sloped(tmp_path, "virtual")), "--bms", "seplos_v3"]) == 0
    assert "may run (SIMULATED)" in capsys.readouterr().out


def test_the_sign_is_judged_on_it(tmp_path: Path) -> None:
    words = ["run", "current_sign", "--bench", str(sloped(tmp_path, "virtual")), "--bms", "seplos_v3"]
    command = [sys.executable, "-m", "bmsbench", *words, "--run-folder", str(tmp_path / "evidence")]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stdout[-3000:]
    record = json.loads((tmp_path / "evidence" / "run.json").read_text(encoding="utf-8"))
    assert {test["outcome"] for test in record["tests"]} == {"passed", "skipped"}
