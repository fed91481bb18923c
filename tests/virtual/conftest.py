"""A bench of virtual instruments, and raw sockets to talk to them: no driver, no instrument library."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import pytest

from bench.simulated_clock import SimulatedClock
from instruments.virtual.circuit import Circuit
from instruments.virtual.instruments import VirtualInstruments
from instruments.virtual.modbus_face import crc16
from instruments.virtual.pack import Pack
from instruments.virtual.server import FaceServer


class RawClient:
    """A socket that sends text or frames and moves simulated time only where it is told to."""

    def __init__(self, address: str, clock: SimulatedClock) -> None:
        _, host, port = address.split(":")
        self.clock = clock
        self.port = int(port)
        self.sock = socket.create_connection((host, self.port), timeout=5.0)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: bytes | str) -> None:
        """Send bytes, or a line of text."""
        self.sock.sendall(data.encode() + b"\n" if isinstance(data, str) else data)

    def write(self, text: str, wait_s: float = 0.01) -> None:
        """Send a line and let time pass, so that it is executed."""
        self.send(text)
        self.clock.sleep(wait_s)

    def receive(self, length: int | None = None) -> bytes:
        """Receive a line, or a number of bytes; fewer mean that the other side closed."""
        self.clock.serve()
        data = b""
        while not data.endswith(b"\n") if length is None else len(data) < length:
            got = self.sock.recv(1 if length is None else length - len(data))
            if not got:
                break
            data += got
        return data

    def ask(self, text: str) -> str:
        """Send a query and return the answer without its end."""
        self.send(text)
        answer = self.receive()
        assert answer.endswith(b"\n"), f"{text} was answered with {answer!r}"
        self.clock.settle()
        return answer.decode().removesuffix("\n")

    def exchange(self, frame: str, length: int) -> str:
        """Send a frame written in hex and return `length` bytes of the answer in hex."""
        self.send(bytes.fromhex(frame))
        return self.receive(length).hex(" ").upper()

    def rtu(self, frame: str, length: int) -> str:
        """Send a frame without checksum; return the answer without checksum, which was right."""
        data = bytes.fromhex(frame)
        self.send(data + crc16(data))
        answer = self.receive(length + 2)
        assert crc16(answer[:-2]) == answer[-2:], answer.hex(" ")
        self.clock.settle()
        return answer[:-2].hex(" ").upper()

    def quiet(self) -> bool:
        """Say whether nothing was sent to us; everything pending is served first."""
        self.clock.serve()
        self.sock.setblocking(False)
        try:
            return self.sock.recv(1, socket.MSG_PEEK) is None
        except BlockingIOError:
            return True
        finally:
            self.sock.settimeout(5.0)

    def closed_by_peer(self) -> bool:
        """Say whether the other side closed the connection."""
        self.clock.serve()
        try:
            return self.sock.recv(1) == b""
        except ConnectionError:
            return True


@dataclass
class RawBench:
    """A circuit with a healthy pack and closed switches, and whatever instruments are added."""

    clock: SimulatedClock
    circuit: Circuit
    server: FaceServer
    instruments: VirtualInstruments
    clients: list[RawClient] = field(default_factory=list)

    def connect(self, address: str) -> RawClient:
        """Open a raw connection."""
        client = RawClient(address, self.clock)
        self.clients.append(client)
        return client

    def add(self, name: str, driver: str, **options: object) -> RawClient:
        """Add an instrument and connect to it."""
        return self.connect(self.instruments.add(name, driver, options))


def make_bench(seed: int = 1, cells: Literal["pack", "emulated"] = "pack") -> RawBench:
    """Build a bench; the caller ends it."""
    clock = SimulatedClock()
    circuit = Circuit(Pack.demonstration(seed=seed), now_ns=clock.now_ns, topology="separate", cells=cells)
    circuit.switches.set(charge=True, discharge=True)
    circuit.disconnect.set(closed=True)
    clock.sleep(0.1)  # the capacitors at the terminals fill
    server = FaceServer(clock)
    return RawBench(clock, circuit, server, VirtualInstruments(circuit, clock, server, seed))


def end_bench(bench: RawBench) -> None:
    """Close sockets and server."""
    for client in bench.clients:
        client.sock.close()
    bench.server.close()


@pytest.fixture
def new_raw_bench() -> Iterator[Callable[..., RawBench]]:
    """Return a maker of benches by seed, with the pack's own cells or emulated ones; all are closed afterwards."""
    made: list[RawBench] = []

    def make(seed: int, cells: Literal["pack", "emulated"] = "pack") -> RawBench:
        made.append(make_bench(seed, cells))
        return made[-1]

    yield make
    for bench in made:
        end_bench(bench)


@pytest.fixture
def raw_bench(new_raw_bench: Callable[..., RawBench]) -> RawBench:
    """Return one bench."""
    return new_raw_bench(1)
