"""The torture run: kill, stall, cut and corrupt at random moments, and read the current on the other side.

    python tests/safety/torture.py --seeds 17            one trial, and what happened in it
    python tests/safety/torture.py --seeds 0-499 --jobs 2 --results FILE
    python tests/safety/torture.py --table FILE [FILE…]  the table of the documentation

The same seed is the same trial: bench, currents, moment and blow. Results are JSON lines, one a trial.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:  # its parts lie beside it, and tests are no package
    sys.path.insert(0, str(HERE))

from torture_plan import BLOCK, Plan, plan_for  # noqa: E402
from torture_table import summary  # noqa: E402
from torture_trial import Outcome, TortureLab, play  # noqa: E402

TRIALS_PER_LAB = 40


def lab_process() -> Any:
    """Return how to start a lab: what all tests use."""
    spec = importlib.util.spec_from_file_location("torture_conftest", HERE.parent / "conftest.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.LabProcess


def run_trials(seeds: Sequence[int], folder: Path, make_lab: Any, *, keep: bool = False) -> Iterator[Outcome]:
    """Play the trials of some seeds, one after the other; folders of trials without a finding are removed."""
    lab: TortureLab | None = None
    served: tuple[str, str] | None = None
    try:
        for seed in seeds:
            plan = plan_for(seed)
            if lab is None or served != (plan.bench, plan.bms) or lab.trials >= TRIALS_PER_LAB:
                if lab is not None:
                    lab.lab.close()
                lab, served = _start_lab(plan, folder / f"lab-{seed}", make_lab), (plan.bench, plan.bms)
            trial = folder / f"trial-{seed}"
            outcome = play(plan, lab, trial)
            if not outcome.problems and not keep:
                shutil.rmtree(trial, ignore_errors=True)
            yield outcome
    finally:
        if lab is not None:
            lab.lab.close()


def _start_lab(plan: Plan, folder: Path, make_lab: Any) -> TortureLab:
    folder.mkdir(parents=True)
    return TortureLab(make_lab(folder, "--bench", plan.bench, "--bms", plan.bms))


def tell(outcome: Outcome) -> str:
    """Return a line about a trial."""
    data, plan = outcome.data, outcome.plan
    blows = " + ".join(f"{blow.kind} ({blow.target})" for blow in plan.blows)
    was = "went on" if data["went_on"] else f"{data['latency_s']:.2f} s" if data["flowed"] else "no current"
    found = "; ".join(data["problems"]) or ("UNCOVERED, stayed on" if data["stayed_on"] else "ok")
    line = f"{plan.seed:5} {plan.bench:22} {data['current_a'][-1]:+7.1f} A  at {data['at']:8} {blows}: {was}, "
    return f"{line}status {data['status']}, lag {data['lag_s']:.2f} s: {found}"


def parse_seeds(text: str) -> list[int]:
    """Return the seeds of `3`, `0-499` or `1,5,9-12`."""
    seeds: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        seeds += range(int(first), int(last or first) + 1)
    return seeds


def main(words: Sequence[str] | None = None) -> int:
    """Run as told; exit status 1 if anything was found that must not be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", default="", help="for instance 17, or 0-499")
    parser.add_argument("--jobs", type=int, default=1, help="so many trials at once, each with a lab of its own")
    parser.add_argument("--results", type=Path, help="add the results to this file")
    parser.add_argument("--folder", type=Path, help="where the trials work (default: a new one)")
    parser.add_argument("--keep", action="store_true", help="keep the folders of trials without a finding too")
    parser.add_argument("--table", nargs="+", type=Path, default=[], help="print the table of result files")
    options = parser.parse_args(words)
    if options.table:
        print(summary(options.table))
        return 0
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what is ignored here (nohup, &) a run would ignore too
    seeds = parse_seeds(options.seeds)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="torture-"))
    print(f"{len(seeds)} trials in {folder}", flush=True)
    if options.jobs > 1:
        return _in_parallel(seeds, options, folder)
    found = 0
    for outcome in run_trials(seeds, folder, lab_process(), keep=options.keep or len(seeds) == 1):
        found += bool(outcome.problems)
        print(tell(outcome), flush=True)
        if options.results is not None:
            with options.results.open("a", encoding="utf-8") as file:
                file.write(outcome.as_json() + "\n")
        elif len(seeds) == 1:
            print(outcome.as_json())
    return 1 if found else 0


def _in_parallel(seeds: list[int], options: argparse.Namespace, folder: Path) -> int:
    """Deal whole blocks out to processes of our own: one block has one bench."""
    hands: list[list[int]] = [[] for _ in range(options.jobs)]
    blocks = sorted({seed // BLOCK for seed in seeds})
    for number, block in enumerate(blocks):
        hands[number * options.jobs // len(blocks)] += [seed for seed in seeds if seed // BLOCK == block]
    processes = []
    for number, hand in enumerate(hands):
        command = [sys.executable, str(Path(__file__).resolve()), "--seeds", ",".join(map(str, hand))]
        command += ["--folder", str(folder / f"job-{number}"), *(["--keep"] if options.keep else [])]
        if options.results is not None:
            command += ["--results", str(options.results)]
        processes.append(subprocess.Popen(command))
    return max(process.wait() for process in processes)


if __name__ == "__main__":
    sys.exit(main())
