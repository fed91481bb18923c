"""What the tortured run does: pytest collects this file by its path, `TORTURE` says where its plan is.

Each thing it comes to is told through a pipe at once, so that who tortures knows where the run is.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from bench import stimulus
from bench.stand import Stand

ORDER = json.loads(Path(os.environ["TORTURE"]).read_text(encoding="utf-8"))


def mark(word: str, **more: object) -> None:
    os.write(ORDER["fd"], (json.dumps({"mark": word, "unix_s": time.time(), **more}) + "\n").encode())


mark("starting")


@pytest.fixture
def announced() -> None:
    mark("opening")


@pytest.fixture
def opened(announced: None, stand: Stand) -> Stand:
    guardian: Any = stand.guard.guardian
    mark("open", guardian=guardian.pid, at_s=stand.clock.now())
    return stand


@pytest.mark.parametrize("number", range(len(ORDER["scripts"])))
def test_torture(opened: Stand, number: int) -> None:
    for index, step in enumerate(ORDER["scripts"][number]):
        text = f"step {number}.{index} {step[0]}"
        opened.note(text)
        mark("note", text=text)
        play(opened, step[0], *step[1:])
    mark("leaving")


def play(stand: Stand, kind: str, *values: float) -> None:
    clock = stand.clock
    match kind, values:
        case "force", (current_a, for_s):
            stimulus.force(stand, current_a)
            stimulus.settle(stand, current_a)
            clock.sleep(for_s)
        case "hold", (current_a, for_s):
            with stimulus.holding(stand, current_a):
                clock.sleep(for_s)
        case "ramp", (begin_a, end_a, for_s):
            stimulus.ramp(stand, begin_a, end_a, duration_s=for_s, step_s=0.1)
        case "provoke", (current_a, for_s):
            with stand.guard.provoke("torture", for_s), stimulus.stepping(stand, current_a):
                clock.sleep(for_s + 0.3)
            stand.guard.aborted = None  # the next step is no provocation
        case "read", (for_s,):
            until_s = clock.now() + for_s
            while clock.now() < until_s:
                stand.reference.current()
                stand.reference.pack_voltage()
        case "zero", (for_s,):
            stimulus.force(stand, 0.0)
            clock.sleep(for_s)
        case _:
            raise ValueError(kind)
