"""The runner's end of the guardian: starts it, beats while samples are good, says the clean word at the end."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO, Any

from bench.clock import Clock, wait_until
from bench.definition import Definition
from bench.errors import BenchError, SafetyError
from bench.quarantine import quarantine_folder
from bench.state_folder import VARIABLE, keep_reserve, own_file_word, state_folder
from bench.wall_clock import machine_time_s
from instruments import catalogue
from instruments.checks import FOLDER_OF_ROLE

ARMED_WITHIN_S = 15.0  # it takes half a second on an idle machine
HEARD_WITHIN_S = 2.0  # how old its last answer may be while words are sent
ENDED_WITHIN_S = 2.0
HAND_OVER_S = 30.0  # its own way out, with its patience for an EA that counts a closed connection
COMMAND = (sys.executable, "-m", "instruments.guardian")
_ROOT = Path(__file__).resolve().parents[1]  # where `instruments` is found, installed or not


class GuardianProcess:
    """A guardian of one open bench (`bench.guard.Guardian`). Made before anything is opened, armed before power."""

    def __init__(self, definition: Definition, *, lab: Path | None, evidence: Path | None) -> None:
        self.stall_s = definition.safety.stall_s
        self._armed = False
        self._saying = threading.Lock()
        self._last_s: float | None = None
        self._heard_s = self._asked_s = 0.0
        self._left = True  # nothing was energised yet
        try:
            keep_reserve(quarantine_folder())
        except BenchError as problem:
            raise SafetyError(
                f"trouble could not be remembered ({problem}); without it nothing is switched on"
            ) from None
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with it
        detached: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            detached = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        try:
            folder = Path.cwd()
            self._process = subprocess.Popen(
                COMMAND, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True,
                encoding="utf-8", bufsize=1, env={**os.environ, VARIABLE: str(state_folder())}, **detached,
            )  # fmt: skip
        except OSError as problem:
            self._log.close()
            raise SafetyError(f"the guardian cannot start ({problem}); without it nothing is switched on") from problem
        threading.Thread(target=self._listen, daemon=True, name="bmsbench-guardian").start()
        where = state_folder() / "guardian" / f"{own_file_word(definition.name)}.jsonl"
        order = {
            "definition": definition.model_dump(mode="json"),
            "source": str(definition.source),
            "lab": None if lab is None else str(lab),
            "runner": os.getpid(),
            "exclusive": is_exclusive(definition, lab),
            "stall_s": self.stall_s,
            "evidence": str((evidence or where).absolute()),
            "quarantine": str(quarantine_folder()),
            "folder": str(folder),
        }
        with contextlib.suppress(OSError):  # it died at once: `wait_armed` says why
            self._say(json.dumps(order))

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def wait_armed(self, clock: Clock) -> None:
        """Wait until it has loaded everything; from here on only `leave` keeps it from taking over.

        Raises:
            SafetyError: it does not say so in time; the run does not start.
        """

        def ready() -> bool:
            return self._armed or self._process.poll() is not None

        wait_until(clock, ready, timeout_s=ARMED_WITHIN_S)
        if not self._armed or self._process.poll() is not None:
            self._process.kill()
            self._log.seek(0)
            said = self._log.read().decode(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
            raise SafetyError(
                f"the guardian did not arm within {ARMED_WITHIN_S:g} s ({said[0]}); without it nothing is switched on"
            )
        self._left = False

    def beat(self) -> None:
        """Say that a sample was good; see `bench.guard.Guardian`."""
        now_s = machine_time_s()
        gap_s = 0.0 if self._last_s is None else now_s - self._last_s
        if gap_s > self.stall_s:
            raise SafetyError(f"this machine or this program stood still for {gap_s:.1f} s while current could flow")
        try:
            self._say("beat")
        except OSError as problem:
            raise SafetyError(f"the guardian (process {self.pid}) is gone ({problem})") from problem
        if self._asked_s > self._heard_s and now_s - self._asked_s > HEARD_WITHIN_S:
            raise SafetyError(f"the guardian (process {self.pid}) has not answered for {now_s - self._asked_s:.1f} s")
        if self._heard_s >= self._asked_s:
            self._asked_s = now_s
        self._last_s = now_s

    def acting(self) -> None:
        """Say that the way out is being taken; a guardian that is gone is not needed for it."""
        self._last_s = None
        with contextlib.suppress(OSError, ValueError):
            self._say("acting")

    def opened(self) -> None:
        """Say that everything was told to go off."""
        self._last_s = None
        with contextlib.suppress(OSError, ValueError):
            self._say("opened")

    def leave(self) -> None:
        """Say the clean word: the way out was taken and judged, and what follows is tidying up."""
        self._left = True
        with contextlib.suppress(OSError, ValueError):
            self._say("close")

    def hand_over(self) -> bool:
        """Let it take the way out with its own connections, after this process's own did not work and were closed.

        Returns whether it made the bench safe; what it did stands in its own file.
        """
        self._left = True  # whatever comes of it, this process has nothing to add
        try:
            self._say("unsafe")
            return self._process.wait(HAND_OVER_S) == 0
        except (OSError, ValueError, subprocess.TimeoutExpired):
            return False

    def close(self) -> None:
        """End it with the clean word, if the bench was left; otherwise it sees the pipe end and takes over."""
        if self._left:
            self.leave()
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        if self._left:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(ENDED_WITHIN_S)
            if self._process.poll() is None:
                self._process.kill()  # stopped or hung; it has nothing left to guard
                self._process.wait()
        self._log.close()

    def _say(self, word: str) -> None:
        if self._process.stdin is None or self._process.poll() is not None:
            raise BrokenPipeError(f"it ended with status {self._process.poll()}")
        with self._saying:  # the watch and a slow look may find something at once
            self._process.stdin.write(word + "\n")

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            self._heard_s = machine_time_s()
            self._armed = self._armed or line.strip() == "armed"


def is_exclusive(definition: Definition, lab: Path | None) -> bool:
    """Say whether an instrument takes one client only; a driver that does not say `exclusive = False` counts as one."""
    kinds = (
        catalogue.load(FOLDER_OF_ROLE[role], definition.instruments[name].driver, lab / "drivers" if lab else None)
        for role, name in definition.roles.items()
    )
    return any(getattr(kind, "exclusive", True) for kind in kinds)
