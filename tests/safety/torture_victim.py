"""The tortured run as a process, its guardian, and what it tells of itself."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torture_plan import Plan

HERE = Path(__file__).resolve().parent
PHASE_WITHIN_S = 30.0


@dataclass
class Victim:
    """The run and its guardian, and what the run has told of itself."""

    process: subprocess.Popen[bytes]
    pipe: int
    state: str  # the folder that it was given for its state, unlike any other's
    marks: list[dict[str, Any]] = field(default_factory=list)
    guardian: int | None = None
    _cut: bytes = b""
    _ended: bool = False

    def listen(self, for_s: float) -> bool:
        """Take what it tells within this time; False once it has ended."""
        if self._ended:
            return False
        if select.select([self.pipe], [], [], max(0.0, for_s))[0]:
            data = os.read(self.pipe, 65536)
            self._ended = not data
            *lines, self._cut = (self._cut + data).split(b"\n")
            self.marks += [json.loads(line) for line in lines]
        return not self._ended

    def find_guardian(self) -> int | None:
        """Return the guardian's process, as soon as there is one; a second test has one of its own.

        It is known by its environment: one that was just started may outlive a run that was killed in that moment.
        """
        if self.guardian is None or not is_alive(self.guardian):
            found = [pid for pid in _guardians() if self.state in _environment(pid)]
            self.guardian = max(found, default=self.guardian)
        return self.guardian

    def send(self, whom: str, number: int) -> bool:
        """Send a signal; False if nobody was there."""
        if whom == "run":
            if self.process.poll() is not None:
                return False
            self.process.send_signal(number)
            return True
        pid = self.find_guardian()
        return pid is not None and is_alive(pid) and send_signal(pid, number)

    def wait_for(self, word: str) -> bool:
        """Wait until it comes to a phase; False if it ended before."""
        until_s = time.monotonic() + PHASE_WITHIN_S
        while not any(mark["mark"] == word for mark in self.marks):
            if not self.listen(until_s - time.monotonic()) or time.monotonic() > until_s:
                return False
        return True

    def pause(self, until_unix_s: float) -> None:
        """Listen until this time of day."""
        while (left_s := until_unix_s - time.time()) > 0:
            if not self.listen(left_s):
                time.sleep(max(0.0, until_unix_s - time.time()))


@contextlib.contextmanager
def tortured(plan: Plan, definition: Path, folder: Path) -> Iterator[Victim]:
    """Start the run; whatever is left of it and its guardian is ended at the end."""
    reading, writing = os.pipe()
    order = folder / "order.json"
    order.write_text(json.dumps({"fd": writing, "scripts": plan.scripts}), encoding="utf-8")
    suite = folder / "test_torture.py"  # a copy: where it lies no conftest of ours has a say
    suite.write_text((HERE / "torture_suite.py").read_text(encoding="utf-8"), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(suite), "--rootdir", str(folder)]
    command += ["--bench", str(definition), "--bms", plan.bms, "--run-folder", str(folder / "run")]
    env = {**os.environ, "TORTURE": str(order), "BMSBENCH_STATE": str(folder / "state")}
    env.pop("PYTEST_XDIST_WORKER", None)
    with (folder / "said.txt").open("wb") as said:
        process = subprocess.Popen(
            command, cwd=folder, env=env, stdout=said, stderr=subprocess.STDOUT, pass_fds=[writing],
            start_new_session=True,
        )  # fmt: skip
    os.close(writing)
    victim = Victim(process, reading, str(folder / "state"))
    try:
        yield victim
    finally:
        for pid in (victim.find_guardian(), process.pid):
            if pid is not None and is_alive(pid):
                send_signal(pid, signal.SIGKILL)
        process.wait()
        os.close(reading)


def send_signal(pid: int, number: int) -> bool:
    """Send it; False where there is no such process."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def state_of(pid: int | None) -> str:
    """Return the letter of `/proc`: R, S, T (stopped), Z; nothing where there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""


def is_alive(pid: int) -> bool:
    """Say whether it is there, stopped or not; one that only waits to be collected is not."""
    return state_of(pid) not in ("", "Z", "X")


def _guardians() -> list[int]:
    return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if b"guardian" in _bytes(path)]


def _environment(pid: int) -> str:
    return _bytes(Path(f"/proc/{pid}/environ")).decode(errors="replace")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended meanwhile
        return b""
