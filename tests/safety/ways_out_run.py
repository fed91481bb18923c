"""What `test_ways_out` plays with: a run in a process of its own, its cables to the lab, and its disk."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RUN_S = 90.0
BROKEN = 10

SUITE = """
import ctypes, os, resource, time
from pathlib import Path

import pytest

import fixtures.time_limit
from bench import stimulus

HERE, RUN = Path(__file__).parent, Path({run})
fixtures.time_limit.LEAVE_WITHIN_S = 2.0  # 20 s otherwise, which this test need not wait for


def happens(name="happened"):
    (HERE / "writing").write_text(repr(time.time()))
    (HERE / "writing").replace(HERE / name)


def wait_for(name):
    while not (HERE / name).exists():
        time.sleep(0.02)


def fill(folder):
    with (folder / "ballast").open("wb", buffering=0) as file:
        for size in (65536, 512, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass


def hang(library):
    mutex = ctypes.create_string_buffer(256)
    library.pthread_mutex_lock(mutex)
    library.pthread_mutex_lock(mutex)  # waits for itself, and no signal interrupts it


@pytest.fixture
def flowing(stand):
    (HERE / "pids").write_text(f"{os.getpid()} {stand.guard.guardian.pid}")
    stimulus.force(stand, {current})
    stimulus.settle(stand, {current})
    return stand

"""
BODIES = {
    "flows": """
def test_it(flowing):
    happens("ready")
    flowing.clock.sleep(40.0)
""",
    "idles": """
def test_it(stand):
    (HERE / "pids").write_text(f"{os.getpid()} {stand.guard.guardian.pid}")
    happens("ready")
    stand.clock.sleep(20.0)
""",
    "between tests": """
def test_one(flowing):
    pass

def test_nothing_is_open():
    happens("ready")
    wait_for("go on")

def test_two(flowing):
    happens("went on")
""",
    "fills the disk": """
def test_it(flowing):
    fill(RUN.parent)
    happens()
    happens("ready")
    flowing.clock.sleep(40.0)
""",
    "may write no more": """
def test_it(flowing):
    happens()
    happens("ready")
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1))
    flowing.clock.sleep(40.0)
""",
    "hangs in C code": """
@pytest.mark.timeout(10)
def test_it(flowing):
    happens("ready")
    hang(ctypes.CDLL(None))
""",
    "hangs in C code with the interpreter": """
def test_it(flowing):
    happens()
    happens("ready")
    hang(ctypes.PyDLL(None))
""",
}


@dataclass(frozen=True)
class Way:
    """What happens while a run has a bench open, and what it must come to."""

    name: str
    body: str = "flows"
    events: tuple[tuple[float, str], ...] = ()  # seconds after the first, what: see `Run.do`
    status: int = BROKEN
    within_s: float = 6.0
    current_a: float = 50.0
    bench: str = "virtual"
    left_on: tuple[str, ...] = ()  # what cannot be reached, so that it stays on behind the open disconnect
    disconnect_left: bool = False  # the disconnect itself cannot be reached
    safe: bool = True  # the bench can know that it is safe; otherwise it is quarantined
    by_guardian: bool = False
    perhaps_by_guardian: bool = False  # two time-outs in a row may be longer than the guardian waits
    tiny_disk: bool = False
    terminal: bool = False  # it runs on a terminal, not into a pipe
    log_too: bool = False  # what the run says goes into a file that is full, too
    says: str = ""


class Cable:
    """A cable between the runner and one instrument of the lab, which can be pulled."""

    def __init__(self, port: int) -> None:
        self._target, self._lock = port, threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._pulled = self._closed = False
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._closed:
            for key, _ in self._selector.select(0.02):
                with self._lock, contextlib.suppress(OSError):
                    if self._pulled or self._closed:
                        continue
                    if key.fileobj is self._listener:
                        self._accept()
                    elif isinstance(key.fileobj, socket.socket):
                        self._pass_on(key.fileobj, key.data)

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        far = socket.create_connection(("127.0.0.1", self._target))
        for one, other in ((near, far), (far, near)):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(one, selectors.EVENT_READ, other)
        self._pairs.append((near, far))

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        data = b""
        with contextlib.suppress(ConnectionError):
            data = source.recv(65536)
        if data:
            sink.sendall(data)
            return
        for end in (source, sink):
            self._selector.unregister(end)
            end.close()

    def pull(self) -> None:
        """Nothing comes through any more, and nobody is told."""
        with self._lock:
            self._pulled = True
            for sock in [key.fileobj for key in self._selector.get_map().values()]:
                self._selector.unregister(sock)

    def vanish(self) -> None:
        """Every connection is reset, and a new one refused."""
        with self._lock:
            self._pulled = True
            for sock in [key.fileobj for key in self._selector.get_map().values()]:
                self._selector.unregister(sock)
                assert isinstance(sock, socket.socket)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.close()

    def close(self) -> None:
        """End it."""
        self._closed = True
        self._thread.join(5.0)
        for pair in self._pairs:
            for sock in pair:
                sock.close()
        self._listener.close()
        self._selector.close()


class Run:
    """One run in a process of its own, its guardian, and its cables to the lab."""

    def __init__(self, lab: Any, folder: Path, way: Way) -> None:
        self.lab, self.folder, self.way = lab, folder, way
        self.suites = folder / "suites"
        self.suites.mkdir(parents=True)
        self.cables: dict[str, Cable] = {}
        self.kept = folder / "kept"  # where the evidence can be read afterwards
        self.disk = folder / "disk"
        self.disk.mkdir()
        self.run_folder = self.disk / "run"
        text = SUITE + BODIES[way.body]
        text = text.replace("{current}", str(way.current_a)).replace("{run}", repr(str(self.run_folder)))
        (self.suites / "test_way.py").write_text(text, encoding="utf-8")
        words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(self.suites)]
        words += ["--bench", str(self._definition()), "--bms", "seplos_v3", "--run-folder", str(self.run_folder)]
        self.lines: list[str] = []
        self.env = {**os.environ, "BMSBENCH_STATE": str(self.disk / "state")}
        self.terminal = -1
        if way.terminal:
            self.process = self._on_a_terminal(words)
        else:
            self.process = subprocess.Popen(
                self._on_its_disk(words), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                start_new_session=True, env=self.env,
            )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        if self.process.stdout is None:
            return
        self.lines.extend(self.process.stdout)

    def _definition(self) -> Path:
        text = self.lab.definition.read_text(encoding="utf-8")
        wanted = {word for _, event in self.way.events for word in event.split()[1:]}
        for name, port in self.lab.ports.items():
            if f":{port}" in text and (name in wanted or "everything" in wanted):
                self.cables[name] = Cable(port)
                text = text.replace(f":{port}", f":{self.cables[name].port}")
        path = self.folder / "bench.toml"
        path.write_text(text, encoding="utf-8")
        return path

    def _on_a_terminal(self, words: list[str]) -> subprocess.Popen[str]:
        """A terminal of its own, which the kernel hangs up when it is closed."""
        self.terminal, inside = os.openpty()
        try:
            return subprocess.Popen(
                words, cwd=self.folder, stdin=inside, stdout=inside, stderr=inside, text=True, start_new_session=True,
                env=self.env, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            )  # fmt: skip
        finally:
            os.close(inside)

    def _on_its_disk(self, words: list[str]) -> list[str]:
        """A disk of two megabytes that only this run sees; what it kept is copied away before it is gone."""
        kept = f"cp -rp {self.disk} {self.kept}"
        if not self.way.tiny_disk:
            into = f" > {self.folder}/said.txt 2>&1" if self.way.log_too else ""
            return ["sh", "-c", f'"$@"{into}; status=$?; {kept}; exit $status', "run", *words]
        mount = f"mount -t tmpfs -o size=2m tmpfs {self.disk}"
        # What the guardian writes after the run has ended is to be seen, too.
        script = f'{mount} && {{ "$@"; status=$?; sleep 6; {kept}; exit $status; }}'
        return ["unshare", "-rm", "sh", "-c", script, "run", *words]

    def said(self) -> str:
        if self.process.poll() is not None:
            self._reader.join(5.0)
        return "".join(self.lines)

    def wait_for(self, name: str) -> None:
        until_s = time.monotonic() + RUN_S
        while not (self.suites / name).exists():
            assert self.process.poll() is None and time.monotonic() < until_s, self.said()
            time.sleep(0.01)

    def pid(self, whom: str) -> int:
        pids = (self.suites / "pids").read_text(encoding="utf-8").split()
        return int(pids[0 if whom == "runner" else 1])

    def do(self, event: str) -> None:
        """`fault NAME FAULT`, `vanish NAME`, `unplug NAME`, `close terminal`, or a signal's name and whom."""
        verb, *rest = event.split()
        if verb == "fault":
            assert self.lab.tell(event) == "ok"
        elif verb in ("vanish", "unplug"):
            for name, cable in self.cables.items():
                if rest[0] in (name, "everything"):
                    cable.pull() if verb == "unplug" else cable.vanish()
        elif verb == "close":
            os.close(self.terminal)
        else:
            os.kill(self.pid(rest[0]), getattr(signal, f"SIG{verb}"))

    def happen(self) -> float:
        """Wait until the run is there, let everything happen, and return when the first did."""
        self.wait_for("ready")
        time.sleep(0.2)
        begun_s = time.time()
        for after_s, event in self.way.events:
            time.sleep(max(0.0, begun_s + after_s - time.time()))
            self.do(event)
        (self.suites / "go on").touch()
        self.process.wait(RUN_S)
        happened = self.suites / "happened"
        if self.way.terminal:
            shutil.copytree(self.disk, self.kept)
        return float(happened.read_text(encoding="utf-8")) if happened.exists() else begun_s

    def guardian_lines(self) -> list[dict[str, Any]]:
        path = self.kept / "run" / "guardian.jsonl"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []

    def quarantines(self) -> list[str]:
        return [path.read_text(encoding="utf-8") for path in self.kept.glob("state/quarantine/bench-*.json")]

    def close(self) -> None:
        pids = (self.suites / "pids").read_text(encoding="utf-8").split() if (self.suites / "pids").exists() else []
        for pid in map(int, pids):
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for cable in self.cables.values():
            cable.close()


def is_alive(pid: int) -> bool:
    try:
        return " Z" not in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2][:3]
    except OSError:
        return False
