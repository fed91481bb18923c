"""The SCPI transport and drivers against line servers that are not ours: asyncio, in the manner of a LAN bridge."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from bench.errors import InstrumentError
from bench.wall_clock import WallClock
from instruments.meters.keysight_34465a import Keysight34465A
from instruments.scpi import Scpi
from instruments.transports.visa import ScpiTransport

ANSWERS = {
    "*IDN?": "Keysight Technologies,34465A,MY00000001,A.02.16",
    "MEAS:VOLT?": "+5.25000000E+01",
    "READ?": "-1.49988503E-02",
    "SENS:VOLT:DC:RANG?": "+1.00000000E-01",
    "SENS:VOLT:DC:NPLC?": "+1.00000000E+01",
    "SYST:ERR?": '+0,"No error"',
}


class Bridge:
    """An asyncio server that answers in a manner of its own: `whole`, `fragments` or `with a second line`."""

    def __init__(self, manner: str) -> None:
        self.manner = manner
        self.heard: list[str] = []
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        self.port = 0
        self.thread = threading.Thread(target=lambda: self.loop.run_until_complete(self.serve()), daemon=True)
        self.thread.start()
        assert self.ready.wait(10)

    async def serve(self) -> None:
        self.stop = asyncio.Event()
        server = await asyncio.start_server(self.talk, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self.ready.set()
        await self.stop.wait()
        server.close()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            command = line.decode().strip()
            self.heard.append(command)
            if command in ANSWERS:
                answer = ANSWERS[command].encode() + b"\r\n"
                if self.manner == "with a second line":
                    answer += b"0\r\n"
                if self.manner != "fragments":
                    writer.write(answer)
                    continue
                for byte in answer:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(0.001)
        writer.close()

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join(10)


@pytest.fixture(params=["whole", "fragments", "with a second line"])
def bridge(request: pytest.FixtureRequest) -> Iterator[Bridge]:
    """One bridge of each manner."""
    made = Bridge(request.param)
    yield made
    made.close()


@pytest.fixture
def clock() -> Iterator[WallClock]:
    """Real time."""
    clock = WallClock()
    yield clock
    clock.close()


def test_numbers_arrive_whole_whatever_the_manner(bridge: Bridge, clock: WallClock) -> None:
    link = ScpiTransport("foreign", f"tcp:127.0.0.1:{bridge.port}", clock=clock, record=lambda _: None)
    link.connect()
    scpi = Scpi(link)
    assert [scpi.query_float("MEAS:VOLT?", "V") for _ in range(20)] == [52.5] * 20
    link.close()


def test_a_driver_works_with_a_foreign_server(bridge: Bridge, clock: WallClock) -> None:
    meter = Keysight34465A.open(
        "meter", f"tcp:127.0.0.1:{bridge.port}", clock=clock, record=lambda _: None, timeout_s=2.0
    )
    meter.set_range(0.1)
    assert meter.measure_voltage() == pytest.approx(-0.0149988503)
    with pytest.raises(InstrumentError, match="not a number"):
        meter.link.query_float("*IDN?", "V")
    meter.close()
