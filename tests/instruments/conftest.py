"""A server that follows a script to the letter, for tests of what a driver says on the wire."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from bench.errors import BenchError
from bench.roles import Dialogue
from bench.wall_clock import WallClock


class Script:
    """Expects messages in strict order over any number of connections, one at a time, and answers each.

    A step is (expected bytes, answer): bytes to send, None for silence, `("close",)` to hang up, or a list
    of (pause in seconds, bytes). A last step with the answer `("always", bytes)` may be asked any number of
    times. What was unexpected, and what was left over, fails the test.
    """

    def __init__(self, steps: Sequence[tuple[bytes, Any]], *, lines: bool) -> None:
        self.steps = list(steps)
        self.lines = lines
        self.problems: list[str] = []
        self.connections = 0
        self.repeated = False
        self._ended = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Stop listening."""
        self._ended.set()
        with socket.socket() as wake:
            wake.connect_ex(("127.0.0.1", self.port))
        self._thread.join(5)
        self._server.close()

    def check(self) -> None:
        """Fail if anything was unexpected or is left over."""
        assert not self.problems, self.problems
        if self.repeated:
            self.steps.pop()
        assert not self.steps, f"never said: {[expected for expected, _ in self.steps]}"

    def _run(self) -> None:
        while not self._ended.is_set():
            connection, _ = self._server.accept()
            with connection:
                if not self._ended.is_set():
                    self.connections += 1
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(0.05)
        data = b""
        while not self._ended.is_set():
            try:
                more = connection.recv(4096)
            except TimeoutError:
                continue
            except OSError:
                return
            if not more:
                if data:
                    self.problems.append(f"an unfinished message: {data!r}")
                return
            data += more
            while data:
                length = data.find(b"\n") + 1 if self.lines else len(self.steps[0][0] if self.steps else data)
                if not 0 < length <= len(data):
                    break
                message, data = data[:length], data[length:]
                if not self._answer(connection, message):
                    return

    def _answer(self, connection: socket.socket, message: bytes) -> bool:
        if not self.steps or self.steps[0][0] != message:
            expected = self.steps[0][0] if self.steps else "nothing more"
            self.problems.append(f"heard {message!r}, expected {expected!r}")
            return False
        _, answer = self.steps[0]
        if isinstance(answer, tuple) and answer[0] == "always":
            self.repeated = True
            answer = answer[1]
        else:
            self.steps.pop(0)
        if answer == ("close",):
            return False
        for pause_s, data in answer if isinstance(answer, list) else [(0.0, answer)]:
            if data is not None:
                if pause_s:
                    self._ended.wait(pause_s)
                connection.sendall(data)
        return True


def _line(step: tuple[str, Any]) -> tuple[bytes, Any]:
    return step[0].encode() + b"\n", _each(step[1], lambda text: text.encode() + b"\n")


def _frames(step: tuple[str, Any]) -> tuple[bytes, Any]:
    return bytes.fromhex(step[0]), _each(step[1], bytes.fromhex)


def _each(answer: Any, encode: Callable[[str], bytes]) -> Any:
    if isinstance(answer, str):
        return encode(answer)
    if isinstance(answer, tuple) and answer[0] == "always":
        return "always", encode(answer[1])
    return answer


@pytest.fixture
def clock() -> Iterator[WallClock]:
    """Real time: a foreign server knows no other."""
    clock = WallClock()
    yield clock
    clock.close()


@pytest.fixture
def dialogue() -> list[Dialogue]:
    """Everything that was recorded."""
    return []


@pytest.fixture
def script() -> Iterator[Callable[..., Script]]:
    """Start a scripted server of text lines (`lines=True`) or of frames in hex; its script must be used up."""
    started: list[Script] = []

    def start(*steps: tuple[str, Any], lines: bool = True) -> Script:
        started.append(Script([_line(step) if lines else _frames(step) for step in steps], lines=lines))
        return started[-1]

    yield start
    for each in started:
        each.finish()
    for each in started:
        each.check()


@pytest.fixture
def conversation(clock: WallClock, dialogue: list[Dialogue]) -> Callable[..., Any]:
    """`with conversation(Driver, opening, *steps, …) as driver`: the exact words, and nothing left over.

    The opening dialogue and the driver's own farewell belong to the script.
    """

    @contextmanager
    def converse(
        driver: Any,
        *steps: tuple[str, Any],
        lines: bool = True,
        timeout_s: float = 2.0,
        options: dict[str, object] | None = None,
    ) -> Iterator[Any]:
        server = Script([_line(step) if lines else _frames(step) for step in steps], lines=lines)
        try:
            opened = driver.open(
                "dut",
                f"tcp:127.0.0.1:{server.port}",
                clock=clock,
                record=dialogue.append,
                timeout_s=timeout_s,
                options=options or {},
            )
        except BenchError:  # what the test expects: then nothing else may have been said
            server.finish()
            server.check()
            raise
        try:
            yield opened
            opened.close()
        finally:
            opened.close()
            server.finish()
        server.check()

    return converse
