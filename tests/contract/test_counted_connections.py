"""A driver whose instrument takes one client, while the connection of somebody who died is still counted."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from bench.errors import ConnectionLost, InstrumentTimeout
from instruments import catalogue
from instruments.virtual.instruments import start_instrument

FOLDERS = {"ea_psi_9000": "supply", "ea_el_9000": "load", "ea_psb_9000": "bidirectional"}
TAKE_REMOTE = {  # what the other one said before it died, and how many bytes answer it
    "ea_psi_9000": (b"SYST:LOCK ON\n", 0),
    "ea_el_9000": (b"SYST:LOCK ON\n", 0),
    "ea_psb_9000": (bytes.fromhex("00 01 00 00 00 06 00 05 01 92 FF 00"), 12),
}


@pytest.fixture(params=FOLDERS)
def face(request: pytest.FixtureRequest) -> Iterator[Any]:
    with start_instrument(request.param) as started:
        yield request.param, started


def opened(face: Any) -> Any:
    name, started = face
    kind = catalogue.load(FOLDERS[name], name)
    return kind.open("dut", started.address, clock=started.clock, record=lambda _: None, timeout_s=1.0)


def test_it_is_opened_although_a_dead_client_is_still_counted(face: Any) -> None:
    name, started = face
    words, answered = TAKE_REMOTE[name]
    with socket.create_connection(("127.0.0.1", int(started.address.rpartition(":")[2])), timeout=5.0) as dead:
        dead.sendall(words)
        started.clock.serve()
        if answered:
            assert len(dead.recv(answered)) == answered
    begin_s = started.clock.now()
    driver = opened(face)
    assert 2.5 < started.clock.now() - begin_s <= 4.0
    assert driver.identify().serial == started.serial
    driver.close()


def test_one_that_was_closed_is_opened_again_at_once(face: Any) -> None:
    _, started = face
    for _ in range(2):
        begin_s = started.clock.now()
        driver = opened(face)
        assert started.clock.now() - begin_s < 0.5
        driver.take_control()
        driver.close()


def test_after_a_time_out_it_waits_until_it_is_taken_again(face: Any) -> None:
    _, started = face
    driver = opened(face)
    driver.take_control()
    started.fault("silent")
    with pytest.raises(InstrumentTimeout):
        driver.measure_voltage()
    started.fault("none")
    begin_s = started.clock.now()
    assert driver.measure_voltage() == pytest.approx(driver.measure_voltage(), abs=0.1)
    assert 2.5 < started.clock.now() - begin_s <= 4.5
    driver.close()


def test_in_a_callback_nobody_waits_for_it(face: Any) -> None:
    _, started = face
    driver = opened(face)
    driver.take_control()
    started.fault("silent")
    with pytest.raises(InstrumentTimeout):
        driver.measure_voltage()
    started.fault("none")
    started.clock.at(started.clock.now() + 0.1, driver.measure_voltage)
    begin_s = started.clock.now()
    with pytest.raises(ConnectionLost):
        started.clock.sleep(1.0)
    assert started.clock.now() - begin_s < 0.5
    driver.close()
