"""What the checked conversation costs beside a raw socket: one SCPI measurement, one Modbus read.

The server is a process of its own and shares one core with the client where the system allows that (a second
core would add its own wake-up times). The contestants take turns; a figure is the median over the rounds of the
ratio within each round. Real time: this is about the wire, not about the bench.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import statistics
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from bench.roles import Dialogue
from bench.wall_clock import WallClock
from instruments.scpi import Scpi
from instruments.transports.modbus import ModbusTransport
from instruments.transports.visa import ScpiTransport, resource_manager

ROUNDS = 40
PER_ROUND = 200
REGISTERS = 10
_QUESTION = b"MEAS:CURR?\n"
_MODBUS_QUESTION = struct.pack(">HHHBBHH", 1, 0, 6, 1, 3, 0, REGISTERS)
_MODBUS_ANSWER_LENGTH = 9 + 2 * REGISTERS


def scpi_answer(data: bytes) -> bytes:
    """Answer any question like an instrument that is never busy."""
    return b"Nobody,Nothing,0,0\n" if data.startswith(b"*IDN?") else b"+1.000300E+01\n"


def modbus_answer(data: bytes) -> bytes:
    """Answer any function 03 with zeros."""
    return data[:4] + struct.pack(">HBBB", 3 + 2 * REGISTERS, data[6], 3, 2 * REGISTERS) + bytes(2 * REGISTERS)


def serve(answer: Callable[[bytes], bytes], port_to: Connection) -> None:
    """Answer three clients, one thread each, until the process is ended."""
    import threading

    server = socket.create_server(("127.0.0.1", 0))
    port_to.send(server.getsockname()[1])

    def talk(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection:
            while data := connection.recv(4096):
                connection.sendall(answer(data))

    while True:
        connection, _ = server.accept()
        threading.Thread(target=talk, args=(connection,), daemon=True).start()


@contextmanager
def served(answer: Callable[[bytes], bytes]) -> Iterator[int]:
    """Run a server in a process of its own and give its port."""
    spawn = multiprocessing.get_context("spawn")
    receiver, sender = spawn.Pipe(duplex=False)
    process = spawn.Process(target=serve, args=(answer, sender), daemon=True)
    process.start()
    try:
        yield int(receiver.recv())
    finally:
        process.terminate()
        process.join()


def compare(contestants: dict[str, Callable[[], object]]) -> dict[str, tuple[float, float]]:
    """Return microseconds and the ratio to the first contestant, each a median over rounds in rotation."""
    micros: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    for turn in range(ROUNDS + 1):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            ask = contestants[name]
            start_ns = time.perf_counter_ns()
            for _ in range(PER_ROUND):
                ask()
            if turn:  # the first round warms up
                micros[name].append((time.perf_counter_ns() - start_ns) / PER_ROUND / 1000.0)
    limit = micros[names[0]]
    return {
        name: (statistics.median(own), statistics.median(a / b for a, b in zip(own, limit, strict=True)))
        for name, own in micros.items()
    }


def scpi(clock: WallClock) -> dict[str, tuple[float, float]]:
    """Compare a raw socket, this bench's checked measurement, and pyvisa-py by itself."""
    dialogue: list[Dialogue] = []
    with served(scpi_answer) as port, socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport = ScpiTransport("bench", f"tcp:127.0.0.1:{port}", clock=clock, record=dialogue.append)
        transport.connect()
        link = Scpi(transport)
        resource = resource_manager().open_resource(
            f"TCPIP0::127.0.0.1::{port}::SOCKET", read_termination="\n", write_termination="\n"
        )

        def raw() -> float:
            sock.sendall(_QUESTION)
            return float(sock.recv(4096))

        def checked() -> float:
            dialogue.clear()  # whoever records it decides where to; the list must not grow here
            return link.query_float("MEAS:CURR?", "A")

        def pyvisa_py() -> float:
            return float(resource.query("MEAS:CURR?"))  # type: ignore[attr-defined]

        try:
            return compare({"raw socket": raw, "bmsbench, checked": checked, "pyvisa-py alone": pyvisa_py})
        finally:
            resource.close()
            transport.close()


def modbus(clock: WallClock) -> dict[str, tuple[float, float]]:
    """Compare a raw socket, this bench's checked read, and pymodbus by itself."""
    from pymodbus.client import ModbusTcpClient

    dialogue: list[Dialogue] = []
    with served(modbus_answer) as port, socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport = ModbusTransport("bench", f"tcp:127.0.0.1:{port}", clock=clock, record=dialogue.append)
        transport.connect()
        client = ModbusTcpClient("127.0.0.1", port=port, retries=0, timeout=1)

        def raw() -> tuple[int, ...]:
            sock.sendall(_MODBUS_QUESTION)
            answer = b""
            while len(answer) < _MODBUS_ANSWER_LENGTH:
                answer += sock.recv(4096)
            return struct.unpack(f">{REGISTERS}H", answer[9:])

        def checked() -> list[int]:
            dialogue.clear()
            return transport.read_holding_registers(0, REGISTERS)

        def pymodbus() -> list[int]:
            return list(client.read_holding_registers(0, count=REGISTERS).registers)

        try:
            return compare({"raw socket": raw, "bmsbench, checked": checked, "pymodbus alone": pymodbus})
        finally:
            client.close()  # type: ignore[no-untyped-call]
            transport.close()


def main() -> None:
    """Print both tables."""
    pinned = "not pinned: this system cannot"
    if hasattr(os, "sched_setaffinity"):
        core = min(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {core})
        pinned = f"both ends on core {core}"
    clock = WallClock()
    for title, measured in (
        ("SCPI measurement: lock, time-out, stale check, parsing, dialogue record", scpi(clock)),
        (f"Modbus TCP read of {REGISTERS} registers: lock, time-out, comparison, dialogue record", modbus(clock)),
    ):
        print(f"{title} ({pinned}; median of {ROUNDS} rounds of {PER_ROUND})")
        for name, (micros, ratio) in measured.items():
            print(f"  {name:<20} {micros:7.1f} us   x{ratio:.2f}")
    clock.close()


if __name__ == "__main__":
    main()
