"""What it costs to have bmsbench: `bmsbench --help` beside `python -c pass`, and an empty pytest with and without it.

    python -m benchmarks.startup [ROUNDS]

The commands take turns within each round, so that a busy machine slows all of them alike; medians are compared.
Aims: help at most 6 times the bare interpreter, an empty test at most 15 % slower with the plugin than without.
"""

from __future__ import annotations

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


def measure(rounds: int) -> dict[str, float]:
    """Return the median wall time of each command in seconds; each is run once before, for the disk's sake."""
    times: dict[str, list[float]] = {name: [] for name in commands()}
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "test_empty.py").write_text("def test_empty(): pass\n", encoding="utf-8")
        for number in range(rounds + 1):
            for name, command in commands().items():
                begin = time.perf_counter()
                subprocess.run(command, cwd=scratch, env=environment(), capture_output=True, check=True)
                if number:
                    times[name].append(time.perf_counter() - begin)
    return {name: statistics.median(values) for name, values in times.items()}


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
    median_s = measure(rounds)
    for name, value in median_s.items():
        print(f"{name:34}{value * 1000:8.0f} ms")
    figures = {
        "help_times_bare": median_s["bmsbench --help"] / median_s["python -c pass"],
        "plugin_pct": 100 * (median_s["pytest, empty"] / median_s["pytest, empty, -p no:bmsbench"] - 1),
        "plugin_alone_pct": 100
        * (median_s["pytest, empty, bmsbench alone"] / median_s["pytest, empty, no plugin at all"] - 1),
    }
    print(f"help against python -c pass      {figures['help_times_bare']:6.1f} x   aim at most {HELP_AIM:g} x")
    print(f"plugin against without           {figures['plugin_pct']:+6.1f} %   aim at most {PLUGIN_AIM_PCT:g} %")
    print(f"the same, no other plugins       {figures['plugin_alone_pct']:+6.1f} %")
    print(f"heavy libraries loaded by --help  {', '.join(loaded_by_help()) or 'none'}")
    return figures


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
