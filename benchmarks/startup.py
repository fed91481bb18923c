"""What it costs to have bmsbench: `bmsbench --help` beside `python -c pass`, and an empty pytest with and without it.

    python -m benchmarks.startup [ROUNDS]

The commands take turns, and a ratio is the median of the ratios within each round. Processor time stands beside
wall time where the system tells it (not on Windows): on a busy machine it is the one to believe.
Aims: help at most 6 times the bare interpreter, an empty test at most 15 % slower with the plugin than without.
"""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 15
HELP_AIM = 6.0
PLUGIN_AIM_PCT = 15.0
HEAVY = ("can", "cantools", "pyvisa", "pymodbus", "serial", "numpy", "pydantic", "allure_commons", "asammdf", "rich")
BARE = ("-p", "no:allure_pytest", "-p", "no:xdist", "-p", "no:timeout", "-p", "no:hypothesispytest")


def commands() -> dict[str, list[str]]:
    """Return what is timed, by name."""
    python, empty = sys.executable, ["-m", "pytest", "-q", "-p", "no:cacheprovider"]
    return {
        "python -c pass": [python, "-c", "pass"],
        "bmsbench --help": [python, "-m", "bmsbench", "--help"],
        "bmsbench run --help": [python, "-m", "bmsbench", "run", "--help"],
        "bmsbench --version": [python, "-m", "bmsbench", "--version"],
        "pytest, empty": [python, *empty],
        "pytest, empty, -p no:bmsbench": [python, *empty, "-p", "no:bmsbench"],
        "pytest, empty, bmsbench alone": [python, *empty, *BARE],
        "pytest, empty, no plugin at all": [python, *empty, *BARE, "-p", "no:bmsbench"],
    }


def environment() -> dict[str, str]:
    """Return the environment without a surrounding pytest's settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}


def processor_s() -> float:
    """Return the processor time of all children so far in seconds; nan where the system does not tell."""
    if sys.platform == "win32":
        return math.nan
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Return wall and processor time of each command and round in seconds; a first round is for the disk's sake."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands()}
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "test_empty.py").write_text("def test_empty(): pass\n", encoding="utf-8")
        for number in range(rounds + 1):
            for name, command in commands().items():
                begin_s, used_s = time.perf_counter(), processor_s()
                subprocess.run(command, cwd=scratch, env=environment(), capture_output=True, check=True)
                if number:
                    times[name].append((time.perf_counter() - begin_s, processor_s() - used_s))
    return times


def ratio(times: dict[str, list[tuple[float, float]]], name: str, base: str, which: int) -> float:
    """Return the median over the rounds of one command's time against another's: wall (0) or processor (1)."""
    pairs = zip(times[name], times[base], strict=True)
    return statistics.median(one[which] / other[which] for one, other in pairs)


def loaded_by_help() -> list[str]:
    """Return the heavy libraries that `bmsbench --help` imports; there should be none."""
    code = f"""
import contextlib, io, sys
from bmsbench.__main__ import main
with contextlib.redirect_stdout(io.StringIO()):
    main(["--help"])
print(" ".join(name for name in {HEAVY!r} if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment())
    return done.stdout.split()


def main(rounds: int = ROUNDS) -> dict[str, float]:
    """Measure, print the comparison, and return the figures."""
    times = measure(rounds)
    print(f"{'':34}{'wall':>8}   {'processor':>9}")
    for name, values in times.items():
        wall_ms, used_ms = (1000 * statistics.median(value[which] for value in values) for which in (0, 1))
        print(f"{name:34}{wall_ms:5.0f} ms   {used_ms:6.0f} ms")
    figures: dict[str, float] = {}
    for which, kind in enumerate(("wall", "processor")):
        help_x = ratio(times, "bmsbench --help", "python -c pass", which)
        plugin = 100 * (ratio(times, "pytest, empty", "pytest, empty, -p no:bmsbench", which) - 1)
        alone = 100 * (ratio(times, "pytest, empty, bmsbench alone", "pytest, empty, no plugin at all", which) - 1)
        print(f"{kind:10} help {help_x:.1f} x python -c pass (aim at most {HELP_AIM:g} x);", end=" ")
        print(f"plugin {plugin:+.1f} % (aim at most {PLUGIN_AIM_PCT:g} %), without other plugins {alone:+.1f} %")
        figures |= {f"help_times_{kind}": help_x, f"plugin_pct_{kind}": plugin, f"alone_pct_{kind}": alone}
    print(f"heavy libraries loaded by --help  {', '.join(loaded_by_help()) or 'none'}")
    return figures


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
