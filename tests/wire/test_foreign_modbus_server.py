"""The Modbus transport against a server that is not ours: pymodbus's own simulator."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pymodbus.framer import FramerType
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from bench.errors import InstrumentError
from bench.wall_clock import WallClock
from instruments.transports.modbus import ModbusTransport


class Simulator:
    """pymodbus's server with 50 registers that hold their own number, in a thread of its own."""

    def __init__(self, framer: FramerType) -> None:
        self.framer = framer
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        self.port = 0
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        assert self.ready.wait(10)

    def run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self.serve())

    async def serve(self) -> None:
        device = SimDevice(
            1,
            simdata=[
                SimData(0, values=list(range(50)), datatype=DataType.REGISTERS),
                SimData(200, values=[7], datatype=DataType.REGISTERS, readonly=True),
                SimData(50, values=[False] * 32, datatype=DataType.BITS),
                SimData(300, values=[0x41C8, 0x0000], datatype=DataType.REGISTERS),
            ],
            use_bit_addressing=True,
        )
        self.server = ModbusTcpServer(device, framer=self.framer, address=("127.0.0.1", 0))
        await self.server.listen()
        transport: Any = self.server.transport
        self.port = transport.sockets[0].getsockname()[1]
        self.stop = asyncio.Event()
        self.ready.set()
        await self.stop.wait()
        await self.server.shutdown()  # type: ignore[no-untyped-call]

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join(10)


@pytest.fixture(params=[FramerType.SOCKET, FramerType.RTU], ids=["modbus-tcp", "rtu-over-tcp"])
def link(request: pytest.FixtureRequest) -> Iterator[ModbusTransport]:
    """A transport to the simulator, in both framings."""
    simulator = Simulator(request.param)
    clock = WallClock()
    transport = ModbusTransport(
        "foreign",
        f"tcp:127.0.0.1:{simulator.port}",
        clock=clock,
        record=lambda _: None,
        framing="rtu" if request.param is FramerType.RTU else "tcp",
        timeout_s=3.0,
    )
    transport.connect()
    yield transport
    transport.close()
    clock.close()
    simulator.close()


def test_registers_are_read_one_and_many(link: ModbusTransport) -> None:
    assert link.read_holding_registers(42) == [42]
    assert link.read_holding_registers(10, 40) == list(range(10, 50))
    assert link.read_input_registers(5, 3) == [5, 6, 7]


def test_registers_are_written_one_and_many(link: ModbusTransport) -> None:
    link.write_register(20, 52428)
    link.write_registers(21, [1, 2, 3])
    assert link.read_holding_registers(19, 6) == [19, 52428, 1, 2, 3, 24]


def test_a_float_has_its_high_word_first(link: ModbusTransport) -> None:
    assert link.read_float(300) == 25.0


def test_coils_are_written_and_read_lowest_bit_first(link: ModbusTransport) -> None:
    first = [on == "1" for on in "1011"]
    link.write_coils(50 * 16, first)
    link.write_coil(50 * 16 + 6, True)
    assert link.read_coils(50 * 16, 8) == [*first, False, False, True, False]
    assert link.read_discrete_inputs(50 * 16, 4) == first


def test_a_refusal_carries_the_name_and_code_of_its_exception(link: ModbusTransport) -> None:
    with pytest.raises(InstrumentError, match=r"function 03 at 5000.*exception 2 \(illegal data address\)"):
        link.read_holding_registers(5000)
    with pytest.raises(InstrumentError, match=r"function 06 at 200, value 1 with exception"):
        link.write_register(200, 1)
    assert link.read_holding_registers(200) == [7]
