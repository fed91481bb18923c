"""Spellings of one address are one address; different addresses stay different."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.address_spelling import one_spelling


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tcp:localhost:5025", "tcp:127.0.0.1:5025"),
        ("tcp:LOCALHOST:5025", "tcp:localhost:05025"),
        ("tcp:127.1:5025", "tcp:127.0.0.1:5025"),
        ("tcp:PSU-3.lab:5025", " tcp:psu-3.LAB:5025"),
        ("visa:TCPIP0::192.0.2.20::5025::SOCKET", "tcp:192.0.2.20:5025"),
        ("visa:tcpip::LocalHost::5025::socket", "tcp:127.0.0.1:5025"),
        ("visa:TCPIP::192.0.2.20::INSTR", "visa:TCPIP0::192.0.2.20::inst0::INSTR"),
        ("visa:USB::0x2A8D::0x0101::my1", "visa:USB0::10893::257::MY1::0::INSTR"),
        ("visa:GPIB::12", "visa:GPIB0::12::INSTR"),
        ("visa:ASRL3::INSTR", "serial:com3"),
        ("serial:COM3,9600", r"serial:\\.\com3,115200"),
    ],
)
def test_spellings_of_one_address_are_one(one: str, other: str) -> None:
    assert one_spelling(one) == one_spelling(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tcp:127.0.0.1:5025", "tcp:127.0.0.1:5026"),
        ("tcp:127.0.0.1:5025", "tcp:127.0.0.2:5025"),
        ("tcp:192.0.2.20:5025", "visa:TCPIP0::192.0.2.20::INSTR"),
        ("visa:USB0::0x2A8D::0x0101::MY1::INSTR", "visa:USB0::0x2A8D::0x0101::MY2::INSTR"),
        ("visa:GPIB0::12::INSTR", "visa:GPIB1::12::INSTR"),
        ("serial:COM3", "serial:COM4"),
        ("virtual:sink", "virtual:charger"),
    ],
)
def test_different_addresses_stay_different(one: str, other: str) -> None:
    assert one_spelling(one) != one_spelling(other)


@pytest.mark.skipif(sys.platform == "win32", reason="a link needs a right of its own there, ports are no files")
def test_a_port_is_the_same_by_its_link_and_whatever_its_speed(tmp_path: Path) -> None:
    port, link = tmp_path / "ttyUSB0", tmp_path / "usb-maker_adapter-if00"
    port.touch()
    link.symlink_to(port)
    spelt = one_spelling(f"serial:{port}")
    assert spelt == one_spelling(f"serial:{link},9600") == one_spelling(f"visa:ASRL{port}::INSTR")
    assert spelt != one_spelling(f"serial:{tmp_path / 'ttyusb0'}"), "here, case counts"
    assert one_spelling(f"file:{port}") == one_spelling(f"file:{tmp_path}/./ttyUSB0")


@given(st.text(max_size=20), st.sampled_from(["", "tcp:", "visa:", "serial:", "file:", "visa:TCPIP::", "visa:USB::"]))
@settings(max_examples=200, deadline=None)
def test_no_text_makes_it_fall(text: str, kind: str) -> None:
    assert one_spelling(kind + text) == one_spelling(f" {kind}{text} ")
