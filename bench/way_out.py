"""The way out: always the same stages, each step with its chance and its deadline, and then measured.

Current to zero, BMS asked to open, outputs off, disconnect open, voltages and current measured. Stages in order;
inside a stage parallel on the wall clock (a hung instrument must not keep the others waiting), one after the other
in simulated time, where nothing of ours may talk from another thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.clock import Clock

STEP_DEADLINE_S = 3.0  # longer than an instrument's time-out, so that a silent one is named as such

Step = tuple[str, Callable[[], str | None]]


@dataclass(frozen=True, slots=True)
class StepResult:
    """What became of one step."""

    stage: str
    step: str
    done: bool
    text: str

    def __str__(self) -> str:
        return f"{self.stage:<18} {self.step:<14} {'ok' if self.done else 'FAILED'}   {self.text}".rstrip()


@dataclass(frozen=True, slots=True)
class SafeReport:
    """How the way out went. `safe` only if the current was measured to be off."""

    steps: tuple[StepResult, ...]
    safe: bool
    current_a: float | None
    text: str

    def lines(self) -> list[str]:
        """Return the steps and the measured end, a line each."""
        return [*(str(step) for step in self.steps), self.text]


def run_stage(clock: Clock, stage: str, steps: Sequence[Step]) -> list[StepResult]:
    """Give every step its chance, whatever happens to the others."""
    if clock.simulated or len(steps) < 2:
        return [_attempt(stage, name, action) for name, action in steps]
    results: dict[str, StepResult] = {}

    def run(name: str, action: Callable[[], str | None]) -> None:
        results[name] = _attempt(stage, name, action)

    threads = [threading.Thread(target=run, args=step, name=f"safe-{step[0]}", daemon=True) for step in steps]
    for thread in threads:
        thread.start()
    deadline_s = clock.now() + STEP_DEADLINE_S
    for thread in threads:
        thread.join(max(0.0, deadline_s - clock.now()))
    return [
        results.get(name, StepResult(stage, name, False, f"no end within {STEP_DEADLINE_S:g} s")) for name, _ in steps
    ]


def _attempt(stage: str, name: str, action: Callable[[], str | None]) -> StepResult:
    try:
        return StepResult(stage, name, True, action() or "")
    except Exception as problem:  # noqa: BLE001 - recorded, and the next step must get its chance
        return StepResult(stage, name, False, f"{type(problem).__name__}: {problem}")
