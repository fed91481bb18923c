"""Simulated seconds per wall second over the suites, and where the time goes.

Rests longer than 60 s (waiting for a release) are left out of both sides: they cost next to nothing and would
flatter the figure. The stolen time of the host is printed beside it (see /proc/stat).
"""

from __future__ import annotations

import contextlib
import cProfile
import io
import pstats
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from bench.simulated_clock import SimulatedClock
from bmsbench.suites import ROOT, SUITES

REST_S = 60.0
ROUNDS = 3


class _Rests:
    """Counts the simulated and the wall seconds of long sleeps."""

    def __init__(self) -> None:
        self.simulated_s = self.wall_s = self.all_simulated_s = 0.0
        self._plain = SimulatedClock._run_until

    def __enter__(self) -> _Rests:
        rests, plain = self, self._plain

        def measured(clock: SimulatedClock, target_ns: int) -> None:
            simulated_s = (target_ns - clock.now_ns()) / 1e9
            begin_s = time.perf_counter()
            plain(clock, target_ns)
            rests.all_simulated_s += simulated_s
            if simulated_s > REST_S:
                rests.simulated_s += simulated_s
                rests.wall_s += time.perf_counter() - begin_s

        SimulatedClock._run_until = measured  # type: ignore[method-assign]
        return self

    def __exit__(self, *problem: object) -> None:
        SimulatedClock._run_until = self._plain  # type: ignore[method-assign]


def _run(bms: str, bench: str, profiler: cProfile.Profile | None = None) -> tuple[float, float]:
    """Run all suites once; return simulated and wall seconds without long rests and without pytest's start."""
    with tempfile.TemporaryDirectory() as scratch, _Rests() as rests, contextlib.redirect_stdout(io.StringIO()):
        arguments = [str(SUITES), "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--bms", bms, "--bench", bench]
        arguments += ["--run-folder", str(Path(scratch) / "run")]
        timer = _Timer()
        if profiler is not None:
            profiler.enable()
        status = pytest.main(arguments, plugins=[timer])
        if profiler is not None:
            profiler.disable()
    if status != 0:
        raise RuntimeError(f"the suites on {bms} ended with {status}; a benchmark of red suites says nothing")
    return rests.all_simulated_s - rests.simulated_s, timer.total_s - rests.wall_s


class _Timer:
    def __init__(self) -> None:
        self.total_s = 0.0

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Any:
        begin_s = time.perf_counter()
        yield
        self.total_s += time.perf_counter() - begin_s


def _stolen_s() -> float:
    try:
        return int(Path("/proc/stat").read_text().split()[8]) / 100.0
    except (OSError, IndexError, ValueError):
        return 0.0


def _room(filename: str) -> str:
    path = Path(filename)
    if ROOT in path.parents:
        parts = path.relative_to(ROOT).parts
        if parts[0] == ".venv":
            inside = parts[parts.index("site-packages") + 1] if "site-packages" in parts else "environment"
            return f"library {inside}"
        return "/".join(parts[: 2 if parts[0] == "instruments" else 1])
    return "python and sockets"


def main() -> None:
    """Print the figures and the shares."""
    print(f"{'BMS':<12} {'bench':<22} {'simulated s':>11} {'wall s':>8} {'ratio':>8}   stolen")
    for bench in ("virtual", "virtual_bidirectional"):
        for bms in ("foxbms_2", "seplos_v3"):
            best = (0.0, 0.0, 0.0)
            stolen_s = _stolen_s()
            for _ in range(ROUNDS):
                simulated_s, wall_s = _run(bms, bench)
                best = max(best, (simulated_s / wall_s, simulated_s, wall_s))
            ratio, simulated_s, wall_s = best
            stolen_s = _stolen_s() - stolen_s
            print(f"{bms:<12} {bench:<22} {simulated_s:>11.0f} {wall_s:>8.2f} {ratio:>7.0f}x   {stolen_s:.1f} s")
    profiler = cProfile.Profile()
    _run("foxbms_2", "virtual", profiler)
    shares: dict[str, float] = defaultdict(float)
    for (filename, _, _), (_, _, own_s, _, _) in pstats.Stats(profiler).stats.items():  # type: ignore[attr-defined]
        shares[_room(filename)] += own_s
    total_s = sum(shares.values())
    print("\nwhere the time goes (foxbms_2, own time under the profiler)")
    for room, own_s in sorted(shares.items(), key=lambda item: -item[1])[:14]:
        print(f"  {room:<34} {100 * own_s / total_s:5.1f} %")


if __name__ == "__main__":
    main()
