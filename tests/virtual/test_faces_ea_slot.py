"""The one connection that a port of a virtual EA takes, and for how long a client that died is still counted."""

from __future__ import annotations

import socket
import struct

import pytest


@pytest.fixture
def supply(raw_bench):
    """A PSI 9000 and the first client of its SCPI port."""
    return raw_bench.add("supply", "ea_psi_9000")


def again(raw_bench, supply) -> bool:
    """Knock again and say whether the unit answers; a client that it answered leaves with a goodbye."""
    client = raw_bench.connect(f"tcp:127.0.0.1:{supply.port}")
    raw_bench.clock.serve()
    try:
        client.sock.sendall(b"*IDN?\n")
        raw_bench.clock.serve()
        answered = client.sock.recv(200) != b""
    except ConnectionError:
        answered = False
    client.sock.close()
    raw_bench.clock.serve()
    return answered


def test_a_client_that_leaves_without_remote_control_makes_room_at_once(raw_bench, supply) -> None:
    assert "VIRTUAL" in supply.ask("*IDN?")
    supply.sock.close()
    assert again(raw_bench, supply)


def test_a_client_that_gave_remote_control_back_makes_room_at_once(raw_bench, supply) -> None:
    supply.write("SYST:LOCK ON")
    supply.send("SYST:LOCK OFF")
    supply.sock.close()
    assert again(raw_bench, supply)


def test_a_client_that_died_in_remote_control_is_counted_for_three_seconds(raw_bench, supply) -> None:
    supply.write("SYST:LOCK ON")
    supply.sock.close()
    assert not again(raw_bench, supply)
    raw_bench.clock.sleep(2.99)
    assert not again(raw_bench, supply)
    raw_bench.clock.sleep(0.01)
    assert again(raw_bench, supply)


def test_a_knock_does_not_begin_the_three_seconds_anew(raw_bench, supply) -> None:
    supply.write("SYST:LOCK ON")
    supply.sock.close()
    for _ in range(6):
        assert not again(raw_bench, supply)
        raw_bench.clock.sleep(0.5)
    assert again(raw_bench, supply)


def test_a_reset_is_no_goodbye_whoever_holds_remote_control(raw_bench, supply) -> None:
    supply.ask("*IDN?")
    supply.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    supply.sock.close()
    assert not again(raw_bench, supply)
    raw_bench.clock.sleep(3.0)
    assert again(raw_bench, supply)


def test_a_power_cycle_frees_it(raw_bench, supply) -> None:
    supply.write("SYST:LOCK ON")
    supply.sock.close()
    assert not again(raw_bench, supply)
    raw_bench.instruments.fault("supply", "power_cycle")
    assert again(raw_bench, supply)


def test_what_the_unit_closed_itself_is_free(raw_bench, supply) -> None:
    """A connection in remote control that was silent for the unit's 5 s."""
    supply.write("SYST:LOCK ON")
    raw_bench.clock.sleep(5.1)
    assert supply.closed_by_peer()
    assert again(raw_bench, supply)


def test_the_two_ports_of_a_psb_count_for_themselves(raw_bench) -> None:
    tcp = raw_bench.add("psb", "ea_psb_9000")
    tcp.send(bytes.fromhex("00 01 00 00 00 06 00 05 01 92 FF 00"))  # remote control over Modbus TCP
    assert len(tcp.receive(12)) == 12
    scpi = raw_bench.connect(raw_bench.instruments.address("psb", "scpi"))
    tcp.sock.close()
    raw_bench.clock.serve()
    assert raw_bench.connect(f"tcp:127.0.0.1:{tcp.port}").closed_by_peer()
    assert "VIRTUAL" in scpi.ask("*IDN?")
    scpi.sock.close()
    assert again(raw_bench, scpi), "it had no remote control"
