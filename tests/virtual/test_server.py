"""The one server of all faces: nothing overtaken by time, nobody starved, nothing left behind."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from time import perf_counter

import pytest

from bench.simulated_clock import SimulatedClock
from instruments.virtual.server import FaceServer, Wire

WALL_LIMIT_S = 5.0


class Echo:
    """Answers each line with the simulated time at which it was served; `!` is not answered."""

    max_connections = 8
    wire: Wire

    def __init__(self, clock: SimulatedClock, log: list[tuple[str, int]]) -> None:
        self.clock = clock
        self.log = log
        self.buffer = b""
        self.ended = False

    def feed(self, data: bytes) -> bytes:
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        reply = b""
        for line in lines:
            self.log.append((line.decode(), self.clock.now_ns()))
            if line == b"bug":
                raise ZeroDivisionError("the face is broken")
            if line == b"drop":
                self.wire.drop()
            elif not line.startswith(b"!"):
                reply += b"%d\n" % self.clock.now_ns()
        return reply

    def closed(self) -> None:
        self.ended = True


class Bench:
    def __init__(self) -> None:
        self.clock = SimulatedClock()
        self.server = FaceServer(self.clock)
        self.log: list[tuple[str, int]] = []
        self.sessions: list[Echo] = []
        self.sockets: list[socket.socket] = []
        self.port = self.listen("echo")

    def make(self) -> Echo:
        self.sessions.append(Echo(self.clock, self.log))
        return self.sessions[-1]

    def listen(self, name: str, port: int = 0, make: Callable[[], Echo] | None = None) -> int:
        return self.server.listen(name, make or self.make, port=port)

    def connect(self, port: int | None = None) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", port or self.port), timeout=WALL_LIMIT_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sockets.append(sock)
        return sock


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    for sock in made.sockets:
        sock.close()
    made.server.close()


def line(sock: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\n"):
        got = sock.recv(4096)
        if not got:
            break
        data += got
    return data


@pytest.mark.parametrize("nodelay", [True, False])
def test_a_command_without_answer_is_never_overtaken_by_time(bench: Bench, nodelay: bool) -> None:
    client = bench.connect()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, int(nodelay))
    for n in range(2000):
        client.sendall(b"!%d\n" % n)
        bench.clock.sleep(0.001)
    assert bench.log == [(f"!{n}", n * 1_000_000) for n in range(2000)]


def test_what_a_callback_writes_is_served_before_time_moves_on(bench: Bench) -> None:
    client = bench.connect()
    bench.clock.every(0.01, lambda: client.sendall(b"!tick\n"))
    bench.clock.sleep(0.1)
    assert [at_ns for _, at_ns in bench.log] == [n * 10_000_000 for n in range(1, 11)]


def test_half_sent_and_glued_lines_are_each_served_once(bench: Bench) -> None:
    client = bench.connect()
    client.sendall(b"on")
    bench.clock.sleep(0.5)
    assert bench.log == []
    client.sendall(b"e\ntwo\nthr")
    bench.clock.serve()
    client.sendall(b"ee\n")
    bench.clock.serve()
    assert [text for text, _ in bench.log] == ["one", "two", "three"]


def test_it_answers_a_client_that_never_calls_the_clock(bench: Bench) -> None:
    client = bench.connect()
    for _ in range(200):
        client.sendall(b"now\n")
        assert line(client) == b"0\n"


def test_it_answers_whoever_served_it_before(bench: Bench) -> None:
    """A connection served by the clock's owner may at any time rely on the server's thread again."""
    client = bench.connect()
    for n in range(100):
        client.sendall(b"now\n")
        if n % 2:
            bench.clock.serve()
        assert line(client) == b"0\n"


def test_a_foreign_client_is_served_during_a_long_sleep(bench: Bench) -> None:
    worst_s = [0.0]
    done = threading.Event()

    def ask() -> None:
        client = bench.connect()
        while not done.is_set():
            start = perf_counter()
            client.sendall(b"now\n")
            line(client)
            worst_s[0] = max(worst_s[0], perf_counter() - start)

    foreign = threading.Thread(target=ask)
    foreign.start()
    ticks: list[float] = []
    bench.clock.every(0.02, lambda: ticks.append(bench.clock.now()))
    bench.clock.sleep(3600.0)
    done.set()
    foreign.join(WALL_LIMIT_S)
    assert len(ticks) == 180_000
    assert len(bench.log) > 10
    assert worst_s[0] < 5.0


def test_a_client_that_leaves_in_the_middle_harms_nobody(bench: Bench) -> None:
    leaving, staying = bench.connect(), bench.connect()
    leaving.sendall(b"half a li")
    leaving.close()
    staying.sendall(b"now\n")
    assert line(staying) == b"0\n"
    bench.clock.sleep(0.1)
    assert [session.ended for session in bench.sessions] == [True, False]


def test_connections_beyond_the_limit_are_closed_at_once_and_free_places_are_given_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Echo, "max_connections", 1)
    first = bench.connect()
    bench.clock.serve()
    second = bench.connect()
    assert line(second) == b""
    first.sendall(b"now\n")
    assert line(first) == b"0\n"
    first.close()
    third = bench.connect()  # at once: the first one's farewell and the third one's knock arrive together
    third.sendall(b"now\n")
    assert line(third) == b"0\n"


def test_a_face_can_close_its_connection(bench: Bench) -> None:
    client = bench.connect()
    client.sendall(b"drop\n")
    assert line(client) == b""
    assert bench.sessions[0].ended


def test_a_broken_face_is_reported_to_whoever_moves_time_and_the_others_go_on(bench: Bench) -> None:
    broken, healthy = bench.connect(), bench.connect()
    broken.sendall(b"bug\n")
    with pytest.raises((ConnectionResetError, AssertionError)):
        assert line(broken) != b""
    with pytest.raises(ZeroDivisionError, match="the face is broken"):
        bench.clock.sleep(0.1)
    healthy.sendall(b"now\n")
    assert line(healthy).endswith(b"\n")
    bench.clock.sleep(0.1)


def test_a_client_that_never_reads_loses_its_connection_and_stops_nobody(bench: Bench) -> None:
    class Flood(Echo):
        def feed(self, data: bytes) -> bytes:
            return b"x" * 64_000_000

    flood = Flood(bench.clock, bench.log)
    greedy = bench.connect(bench.listen("flood", make=lambda: flood))
    greedy.sendall(b"all\n")
    bench.clock.sleep(1.0)
    assert flood.ended
    other = bench.connect()
    other.sendall(b"now\n")
    assert line(other).endswith(b"\n")


def test_a_face_that_cannot_start_a_session_is_reported(bench: Bench) -> None:
    def fail() -> Echo:
        raise RuntimeError("no session today")

    client = bench.connect(bench.listen("failing", make=fail))
    assert client.recv(1) == b""
    with pytest.raises(RuntimeError, match="no session today"):
        bench.clock.sleep(0.1)


def test_a_port_in_use_is_named_with_its_instrument(bench: Bench) -> None:
    with pytest.raises(OSError, match=f"'supply' cannot listen on 127.0.0.1:{bench.port}"):
        bench.listen("supply", bench.port)


def test_closing_leaves_no_thread_no_port_and_no_open_socket(bench: Bench) -> None:
    before = threading.active_count()
    other = Bench()
    client = other.connect()
    client.sendall(b"now\n")
    line(client)
    other.server.close()
    other.server.close()
    assert threading.active_count() == before
    assert client.recv(1) == b""
    assert other.sessions[0].ended
    client.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", other.port), timeout=1.0)
    other.clock.sleep(1.0)  # the clock goes on without its server
    again = FaceServer(SimulatedClock())
    assert again.listen("again", bench.make, port=other.port) == other.port
    again.close()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="counts open files the way Linux does")
def test_nothing_leaks_over_many_benches() -> None:
    def files() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count, not paths

    Bench().server.close()
    before = files()
    for _ in range(20):
        made = Bench()
        made.connect().close()
        made.clock.serve()
        made.server.close()
    assert files() <= before
