"""What all tests of the framework share: the optional folder of real recordings, and a lab in its own process."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_COUNT = itertools.count()

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # So a shell starts what runs in its background, and every process that a test starts would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def _state_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(autouse=True)
def state_folder(_state_folders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a memory of its own: no lock or quarantine of a person, or of another test, has a say."""
    folder = _state_folders / f"{next(_COUNT)}"
    monkeypatch.setenv("BMSBENCH_STATE", str(folder))
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real databases and recordings, or skip: a plain clone does not have it."""
    beside = Path(__file__).resolve().parents[2]
    places = [Path(named)] if (named := os.environ.get("BMSBENCH_DATA")) else sorted(beside.glob("*/data/dbc/.."))
    for place in places:
        if (place / "logs").is_dir():
            return place.resolve()
    pytest.skip("no folder of recordings: set BMSBENCH_DATA to one that has dbc/ and logs/")


class LabProcess:
    """`bmsbench lab` in a process of its own: the circuit in it is the witness of what a runner really did."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.definition, self.witness = folder / "lab.toml", folder / "witness.jsonl"
        files = ["--write", str(self.definition), "--witness", str(self.witness)]
        command = [sys.executable, "-m", "bmsbench", "lab", "--json", "--control", "0", *files, *options]
        self.process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the lab did not start: {self.process.communicate()[1]}")
        self.told: dict[str, Any] = json.loads(line)
        self.ports = {served["name"]: served["port"] for served in self.told["served"]}
        self._control = socket.create_connection(("127.0.0.1", self.ports["control"]), timeout=10)

    def tell(self, line: str) -> str:
        """Say a line to the control face and return its answer."""
        self._control.sendall(line.encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            answer += self._control.recv(4096)
        return answer.decode().strip()

    def truth(self) -> dict[str, Any]:
        """What is really so now."""
        answer: dict[str, Any] = json.loads(self.tell("truth"))
        return answer

    def wait_for(self, reached: Callable[[dict[str, Any]], bool], within_s: float) -> float | None:
        """Return the time of day at which the truth was so, or None if it never was in time."""
        until_s = time.monotonic() + within_s
        while time.monotonic() < until_s:
            if reached(self.truth()):
                return time.time()
            time.sleep(0.01)
        return None

    def lines(self) -> list[dict[str, Any]]:
        """Return what the witness has written so far."""
        text = self.witness.read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines() if line.endswith("}")]

    def longest_stall_s(self, since_s: float) -> float:
        """Return how far the bench's time fell behind the wall since a time of day: a busy machine, not the bench."""
        lines = self.lines()
        least_s = min(line["unix_s"] - line["at_s"] for line in lines)
        return max(line["unix_s"] - line["at_s"] - least_s for line in lines if line["unix_s"] >= since_s - 0.1)

    def close(self) -> tuple[int, str]:
        """End it as Ctrl-C does; return its status and what it said to standard error."""
        self._control.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT if os.name == "posix" else signal.SIGTERM)
        try:
            _, said = self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            _, said = self.process.communicate()
        return self.process.returncode, said


@pytest.fixture(scope="session")
def lab_process() -> type[LabProcess]:
    """Return how to start a lab; whoever starts one closes it."""
    return LabProcess
