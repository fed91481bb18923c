"""The recorder: an observer that writes everything down as it arrives, so that a crash keeps it.

One recorder per process (a pytest worker); tests of several workers lie side by side in one run folder.
Memory stays flat: samples, frames and dialogue wait for at most one second of simulated time, events not at all. As an
observer it never raises; trouble with the disk is kept and raised by `check()`, which is called between steps.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.evidence import Measurement
from bench.frames import CanFrame
from bench.observer import Event
from bench.roles import Dialogue, Identity
from bench.traces import Traces
from bench.verdict import DecisionRule
from reports.appending import Growing, disk_problem
from reports.classify import Outcome
from reports.log_lines import candump_line, csv_word, dialogue_line
from reports.run_folder import RunFolder, new_result, write_json

TRACE_HEADER = "test_time_second,channel,value\n"


class Recorder:
    """Writes traces, events, judgements, frames and dialogue of one worker into a run folder."""

    def __init__(
        self, folder: RunFolder, worker: str = "main", *, simulated: bool = True, prompt: bool = False
    ) -> None:
        """Begin to record. `prompt`, on the wall clock: whatever arrives is on disk at once."""
        self.folder = folder
        self.prompt = prompt
        self.worker = worker
        self.simulated = simulated
        self.safe_lines: list[str] = []  # what the way out said, for the run record
        self._frames = Growing(folder.can_log(worker), prompt=prompt)
        self._dialogue = Growing(folder.dialogue_log(worker), prompt=prompt)
        self._outside = Growing(folder.path / f"outside.{worker}.csv", TRACE_HEADER, prompt=prompt)
        self._outside_events = Growing(folder.path / f"events.{worker}.jsonl")
        self._trace = self._outside
        self._events = self._outside_events
        self._judgements: Growing | None = None
        self._test: dict[str, Any] = {}
        self._test_folder: Path | None = None
        self._window = (0, 0)
        self._marks = 0
        self._channels: dict[str, str] = {}
        self._last_s = 0.0
        self._problem: OSError | None = None

    # -- what the observer protocol asks for ------------------------------------------------------------

    def event(self, event: Event) -> None:
        """Write an event down; progress is for the screen and is left out."""
        if event.kind == "progress":
            return
        self._last_s = max(self._last_s, event.at_s)
        if event.kind == "safe":
            self.safe_lines.append(event.text)
        if event.kind == "mark":
            self._marks += 1
        line = {"at_s": event.at_s, "kind": event.kind, "text": event.text, "data": event.data}
        # Whatever cannot be said in JSON is written as its text: an observer never raises.
        self._events.add(json.dumps(line, default=str, ensure_ascii=False) + "\n", event.at_s)
        self._events.flush()  # the next event, which would write this one, may be long in coming
        self._trace.flush()

    def sample(self, channel: str, at_s: float, value: float) -> None:
        """Append one sample; repr keeps every digit, so that a run can be judged again to the same verdict."""
        name = self._channels.get(channel)
        if name is None:
            name = self._channels[channel] = csv_word(channel)
        self._last_s = max(self._last_s, at_s)
        self._trace.add(f"{float(at_s)!r},{name},{float(value)!r}\n", at_s)

    def frame(self, frame: CanFrame) -> None:
        """Append one CAN frame as a line of a candump log."""
        self._frames.add(candump_line(frame), frame.at_s)

    def dialogue(self, dialogue: Dialogue) -> None:
        """Append one message to or from an instrument."""
        self._dialogue.add(dialogue_line(dialogue), dialogue.at_s)

    # -- what the fixtures ask for ----------------------------------------------------------------------

    def begin_test(self, test_id: str, title: str, seed: int | None = None, *, at_s: float = 0.0) -> Path:
        """Open the evidence of a test and return its folder.

        Raises:
            BenchError: the disk takes no more, or the previous test was not ended.
        """
        if self._test_folder is not None:
            raise BenchError(f"recorder: {test_id} begins before {self._test['id']} was ended")
        self.check()
        try:
            folder, attempt = self.folder.make_test_folder(test_id)
            self._test = new_result(test_id, title, self.worker)
            self._test.update(seed=seed, attempt=attempt, simulated=self.simulated, begin_s=at_s)
            self._test["frames"]["from_byte"] = self._frames.flush()
            self._test["dialogue"]["from_byte"] = self._dialogue.flush()
            write_json(folder / "result.json", self._test)
            self._trace = Growing(folder / "trace.csv", TRACE_HEADER, prompt=self.prompt)
            self._events = Growing(folder / "events.jsonl")
            self._judgements = Growing(folder / "judgements.jsonl")
        except OSError as problem:
            self._problem = self._problem or problem
            self._back_outside()
            self.check()
            raise
        self._test_folder = folder
        self._marks = 0
        self._last_s = at_s
        self._window = (0, 0)
        return folder

    def begin_recording(self) -> None:
        """Note that the test began a fresh `Traces`: later judgements see only samples and marks from here on."""
        self._window = (self._trace.lines, self._marks)

    def threshold(self, name: str, value: float, unit: str) -> None:
        """Draw a level into the test's plot (inside unit, pack sign); any note with such data does the same."""
        self._tell(self._events, "note", name, {"threshold": float(value), "unit": unit})

    def identified(self, role: str, identity: Identity) -> None:
        """Note who plays a role, for the run record; several workers may say the same."""
        self._tell(self._outside_events, "identity", role, asdict(identity))
        self._outside_events.flush()

    def dut(self, **facts: str) -> None:
        """Note what was read from the unit under test: serial, firmware, hardware."""
        self._tell(self._outside_events, "dut", "unit under test", dict(facts))
        self._outside_events.flush()

    def judged(
        self,
        name: str,
        parameters: Mapping[str, Any],
        rule: DecisionRule,
        measurements: Sequence[Measurement],
        error: str | None = None,
        *,
        traces: Traces | None = None,
    ) -> None:
        """Write a judgement down with all that is needed to repeat it; called before the verdict is acted upon.

        With `traces` its marks are kept with the judgement; without, those drained as events so far count.

        Raises:
            BenchError: no test is running, or a parameter is nothing that JSON can say.
        """
        if self._judgements is None:
            raise BenchError(f"recorder: judgement {name} outside a test")
        line = {
            "judgement": name,
            "parameters": dict(parameters),
            "rule": rule.name,
            "measurements": [measurement.as_dict() for measurement in measurements],
            "error": error,
            "marks": None if traces is None else [[mark.at_s, mark.name, mark.detail] for mark in traces.marks],
            # Which part of trace.csv and of the marks the judgement saw; later samples must not change it.
            "window": {
                "from_line": self._window[0],
                "to_line": self._trace.lines,
                "from_mark": self._window[1],
                "to_mark": self._marks,
            },
        }
        try:
            text = json.dumps(line, allow_nan=False, ensure_ascii=False)
        except (TypeError, ValueError) as problem:
            raise BenchError(f"recorder: judgement {name} cannot be written as JSON: {problem}") from problem
        self._judgements.add(text + "\n", self._last_s)
        self._judgements.flush()
        self._trace.flush()

    def end_test(
        self,
        outcome: Outcome,
        reason: str = "",
        *,
        requirements: Sequence[str] = (),
        at_s: float | None = None,
        title: str | None = None,
        traces: Traces | None = None,
    ) -> Path:
        """Close the evidence of the running test, draw its plot, and return its folder.

        `traces` of the test itself save reading them back, and bring marks that were set without an event.
        Trouble with the disk is kept for `check()`, so that the way out comes first.

        Raises:
            BenchError: no test is running.
        """
        folder = self._test_folder
        if folder is None:
            raise BenchError("recorder: a test is ended that was not begun")
        self._test.update(
            outcome=outcome.value,
            reason=reason,
            state="ended",
            requirements=list(requirements),
            end_s=self._last_s if at_s is None else at_s,
        )
        if title is not None:
            self._test["title"] = title
        self._test["frames"]["to_byte"] = self._frames.flush()
        self._test["dialogue"]["to_byte"] = self._dialogue.flush()
        self._back_outside()
        try:
            write_json(folder / "result.json", self._test)
            # Imported here: a run that only starts need not load what draws.
            from reports.picture import write_derived

            write_derived(folder, traces, simulated=self.simulated)
        except (OSError, BenchError) as problem:
            self._problem = self._problem or (problem if isinstance(problem, OSError) else OSError(str(problem)))
        return folder

    def check(self) -> None:
        """Raise what went wrong with the disk since the last test; called where raising is safe.

        Raises:
            BenchError: the disk is full or cannot be written. What was written is kept.
        """
        for growing in (self._trace, self._events, self._judgements, self._frames, self._dialogue):
            if growing is not None and growing.problem is not None:
                self._problem = self._problem or growing.problem
        if self._problem is None:
            return
        raise disk_problem(self.folder.path, self._problem) from self._problem

    def close(self) -> None:
        """Write what is waiting and close all files; a test that is still open stays marked as interrupted."""
        self._back_outside()
        for growing in (self._outside, self._outside_events, self._frames, self._dialogue):
            growing.close()
            self._problem = self._problem or growing.problem

    def _tell(self, where: Growing, kind: str, text: str, data: dict[str, Any]) -> None:
        line = {"at_s": self._last_s, "kind": kind, "text": text, "data": data}
        where.add(json.dumps(line, allow_nan=False, ensure_ascii=False) + "\n", self._last_s)

    def _back_outside(self) -> None:
        for growing in (self._trace, self._events, self._judgements):
            if growing is not None and growing not in (self._outside, self._outside_events):
                growing.close()
                self._problem = self._problem or growing.problem
        self._trace, self._events, self._judgements = self._outside, self._outside_events, None
        self._test_folder = None
