"""How the Modbus transport takes late, wrong, broken and missing answers; frames typed from the standard."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bench.errors import ConnectionLost, DefinitionError, InstrumentError, InstrumentTimeout
from bench.roles import Dialogue
from bench.simulated_clock import SimulatedClock
from bench.wall_clock import WallClock
from instruments.transports.modbus import ModbusTransport

# Register 11, 22 and 33, each holding its own number (device 1, RTU).
ASK_11, SAY_11 = "01 03 00 0B 00 01 F5 C8", "01 03 02 00 0B F9 83"
ASK_22, SAY_22 = "01 03 00 16 00 01 65 CE", "01 03 02 00 16 39 8A"


@pytest.fixture
def modbus(clock: WallClock, dialogue: list[Dialogue]) -> Iterator[Callable[..., ModbusTransport]]:
    """Open transports to scripted servers; all are closed at the end."""
    opened: list[ModbusTransport] = []

    def open_transport(server: Any, **settings: Any) -> ModbusTransport:
        settings = {"timeout_s": 1.0, "framing": "rtu", **settings}
        made = ModbusTransport("dut", f"tcp:127.0.0.1:{server.port}", clock=clock, record=dialogue.append, **settings)
        opened.append(made)
        made.connect()
        return made

    yield open_transport
    for each in opened:
        each.close()


def test_frames_are_recorded_as_hex(script: Any, modbus: Any, dialogue: list[Dialogue]) -> None:
    link = modbus(script((ASK_11, SAY_11), lines=False))
    assert link.read_holding_registers(11) == [11]
    assert [(each.sent, each.text) for each in dialogue] == [(True, ASK_11.lower()), (False, SAY_11.lower())]


def test_a_late_answer_over_rtu_on_tcp_never_answers_the_next_request(script: Any, modbus: Any) -> None:
    late = (ASK_11, [(1.6, bytes.fromhex(SAY_11))])
    server = script(late, (ASK_22, SAY_22), lines=False)
    link = modbus(server)
    with pytest.raises(InstrumentTimeout, match="function 03 at 11"):
        link.read_holding_registers(11)
    time.sleep(0.8)
    assert link.read_holding_registers(22) == [22]
    assert server.connections == 2


def test_a_second_unasked_answer_means_out_of_step_and_answers_nothing(script: Any, modbus: Any) -> None:
    twice = (ASK_11, [(0, bytes.fromhex(SAY_11)), (0.05, bytes.fromhex(SAY_11))])
    link = modbus(script(twice, (ASK_22, SAY_22), lines=False))
    assert link.read_holding_registers(11) == [11]
    for _ in range(1000):
        if not link._is_quiet():
            break
        time.sleep(0.01)
    with pytest.raises(InstrumentError, match="nobody asked for"):
        link.read_holding_registers(22)
    assert link.read_holding_registers(22) == [22]
    assert any("not asked for" in each.text for each in link.trace)


def test_an_answer_to_another_function_is_out_of_step(script: Any, modbus: Any) -> None:
    link = modbus(script((ASK_11, "01 05 00 00 FF 00 8C 3A"), lines=False))
    with pytest.raises(InstrumentError, match=r"got an answer to function 5.*out of step"):
        link.read_holding_registers(11)
    assert not link.is_open


def test_another_number_of_registers_is_out_of_step(script: Any, modbus: Any) -> None:
    link = modbus(script((ASK_11, "01 03 04 00 0B 00 16 0A 3F"), lines=False))
    with pytest.raises(InstrumentError):
        link.read_holding_registers(11)
    assert not link.is_open


def test_a_write_that_is_echoed_with_another_value_is_out_of_step(script: Any, modbus: Any) -> None:
    # Register 1 := 3 is answered as register 1 = 4.
    link = modbus(script(("01 06 00 01 00 03 98 0B", "01 06 00 01 00 04 D9 C9"), lines=False))
    with pytest.raises(InstrumentError, match="out of step"):
        link.write_register(1, 3)


def test_another_device_s_answer_is_refused_at_once(script: Any, modbus: Any, clock: WallClock) -> None:
    link = modbus(script((ASK_11, "02 03 02 00 0B BD 83"), lines=False), timeout_s=30.0)
    begin_s = clock.now()
    with pytest.raises(InstrumentError, match="garbled"):
        link.read_holding_registers(11)
    assert clock.now() - begin_s < 15.0  # at once, compared with the time-out


def test_a_refusal_leaves_the_conversation_in_step(script: Any, modbus: Any) -> None:
    server = script((ASK_11, "01 83 07 00 F2"), (ASK_22, SAY_22), lines=False)
    link = modbus(server)
    with pytest.raises(InstrumentError, match="refused function 03 at 11, count 1 with exception 7"):
        link.read_holding_registers(11)
    assert link.read_holding_registers(22) == [22]
    assert server.connections == 1


def test_a_peer_that_closes_is_recognised_at_once(script: Any, modbus: Any, clock: WallClock) -> None:
    link = modbus(script((ASK_11, ("close",)), lines=False), timeout_s=30.0)
    begin_s = clock.now()
    with pytest.raises(ConnectionLost):
        link.read_holding_registers(11)
    assert clock.now() - begin_s < 15.0  # at once, compared with the time-out


def test_a_connection_closed_while_idle_is_opened_again(script: Any, modbus: Any) -> None:
    answered_and_closed = (ASK_11, SAY_11)
    server = script(answered_and_closed, (ASK_22, ("close",)), (ASK_22, SAY_22), lines=False)
    link = modbus(server)
    assert link.read_holding_registers(11) == [11]
    with pytest.raises(ConnectionLost):
        link.read_holding_registers(22)
    assert link.read_holding_registers(22) == [22]


def test_after_reopening_another_instrument_is_refused(script: Any, modbus: Any) -> None:
    server = script((ASK_11, SAY_11), (ASK_22, None), (ASK_11, "01 03 02 00 0C B8 41"), lines=False)
    link = modbus(server, who=lambda link: str(link.read_holding_registers(11)))
    with pytest.raises(InstrumentTimeout):
        link.read_holding_registers(22)
    with pytest.raises(InstrumentError, match=r"\[12\].*\[11\]"):
        link.read_holding_registers(22)


def test_the_driver_looks_at_its_state_after_reopening(script: Any, modbus: Any) -> None:
    server = script((ASK_22, None), (ASK_11, SAY_11), (ASK_22, SAY_22), lines=False)
    link = modbus(server)
    looked: list[list[int]] = []
    link.on_reopen = lambda: looked.append(link.read_holding_registers(11))
    with pytest.raises(InstrumentTimeout):
        link.read_holding_registers(22)
    assert link.read_holding_registers(22) == [22]
    assert looked == [[11]]


def ctrl_c_at(link: Any, register: int) -> None:
    """Ask, and be interrupted before the answer is read."""
    wire = link._client.wire
    really = wire.receive

    def interrupted(seconds: float) -> bytes:
        wire.receive = really
        raise KeyboardInterrupt

    wire.receive = interrupted
    with pytest.raises(KeyboardInterrupt):
        link.read_holding_registers(register)


def test_a_ctrl_c_between_request_and_answer_leaves_an_open_conversation_in_step(script: Any, modbus: Any) -> None:
    server = script((ASK_11, SAY_11), (ASK_22, SAY_22), (ASK_11, SAY_11), (ASK_22, SAY_22), lines=False)
    link = modbus(server, who=lambda link: str(link.read_holding_registers(11)), timeout_s=10.0)
    ctrl_c_at(link, 22)
    assert link.is_open
    assert link.read_holding_registers(22) == [22]
    assert server.connections == 1


def test_a_ctrl_c_closes_the_conversation_with_a_device_that_cannot_say_who_it_is(script: Any, modbus: Any) -> None:
    server = script((ASK_22, SAY_22), (ASK_22, SAY_22), lines=False)
    link = modbus(server)
    ctrl_c_at(link, 22)
    assert not link.is_open
    assert link.read_holding_registers(22) == [22]
    assert server.connections == 2


def test_nothing_listening_is_named(clock: WallClock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    link = ModbusTransport("dut", f"tcp:127.0.0.1:{port}", clock=clock, record=lambda _: None)
    with pytest.raises(ConnectionLost, match=rf"dut at tcp:127\.0\.0\.1:{port}"):
        link.connect()


@pytest.mark.parametrize(("answer", "on"), [("00 01 02 FF 00 C5 CC", True), ("00 01 02 00 00 84 3C", False)])
def test_ea_s_coil_in_limited_compliance_is_understood(script: Any, modbus: Any, answer: str, on: bool) -> None:
    # EA programming guide: device 0, one coil answered with two bytes FF 00 or 00 00.
    link = modbus(script(("00 01 01 92 00 01 5C 0A", answer), lines=False), device_id=0)
    assert link.read_coils(402) == [on]


def test_modbus_tcp_takes_the_answer_with_its_own_transaction_only(script: Any, modbus: Any) -> None:
    ask = "00 01 00 00 00 06 01 03 00 0B 00 01"
    stale_then_right = bytes.fromhex("00 07 00 00 00 05 01 03 02 00 63 00 01 00 00 00 05 01 03 02 00 0B")
    link = modbus(script((ask, [(0, stale_then_right)]), lines=False), framing="tcp")
    assert link.read_holding_registers(11) == [11]


def test_visa_is_no_way_to_modbus(clock: WallClock) -> None:
    with pytest.raises(DefinitionError, match="Modbus needs"):
        ModbusTransport("dut", "visa:GPIB0::3::INSTR", clock=clock, record=lambda _: None)


def test_a_serial_port_that_does_not_exist_is_named_with_those_that_do(clock: WallClock) -> None:
    link = ModbusTransport("dut", "serial:no-such-port,9600", clock=clock, record=lambda _: None)
    with pytest.raises(ConnectionLost, match="ports of this machine"):
        link.connect()


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo terminals on this system")
def test_rtu_on_a_serial_line_reads_and_closes_after_silence(clock: WallClock) -> None:
    controller, line = os.openpty()
    port = os.ttyname(line)
    replies = {bytes.fromhex(ASK_11): bytes.fromhex(SAY_11)}
    heard: list[bytes] = []

    def board() -> None:
        while len(heard) < 2:
            request = os.read(controller, 8)
            while len(request) < 8:
                request += os.read(controller, 8 - len(request))
            heard.append(request)
            if request in replies:
                os.write(controller, replies[request])

    thread = threading.Thread(target=board, daemon=True)
    thread.start()
    link = ModbusTransport("dut", f"serial:{port},115200", clock=clock, record=lambda _: None, timeout_s=1.0)
    link.connect()
    assert link.read_holding_registers(11) == [11]
    with pytest.raises(InstrumentTimeout):
        link.read_holding_registers(22)
    assert not link.is_open
    thread.join(5)
    link.close()
    os.close(controller)
    os.close(line)


def test_an_announced_silence_costs_simulated_time_only() -> None:
    clock = SimulatedClock()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        clock.add_server(lambda: clock.announce_silence(port))
        link = ModbusTransport("dut", f"tcp:127.0.0.1:{port}", clock=clock, record=lambda _: None, timeout_s=3.0)
        link.connect()
        begin_wall = time.monotonic()
        with pytest.raises(InstrumentTimeout):
            link.read_holding_registers(11)
        assert clock.now() == 3.0
        assert time.monotonic() - begin_wall < 4.5  # a silence that was not announced is waited for: 5 s
        link.close()
