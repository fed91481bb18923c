"""Addresses as they stand in bench definitions."""

from __future__ import annotations

import pytest

from bench.errors import DefinitionError
from instruments.transports.address import parse_address


def test_a_tcp_address_names_host_and_port() -> None:
    address = parse_address("tcp:192.0.2.20:5025")
    assert (address.kind, address.host, address.port) == ("tcp", "192.0.2.20", 5025)
    assert str(address) == "tcp:192.0.2.20:5025"


def test_a_serial_address_names_port_and_perhaps_baud() -> None:
    assert parse_address("serial:/dev/ttyUSB0,9600").baud == 9600
    assert parse_address("serial:COM3").baud is None
    assert parse_address("serial:COM3").device == "COM3"


def test_a_visa_address_is_handed_on_as_it_is() -> None:
    assert parse_address("visa:USB0::0x2A8D::0x0101::MY1::INSTR").resource == "USB0::0x2A8D::0x0101::MY1::INSTR"


@pytest.mark.parametrize("path", ["/run/plc/interlock.txt", r"C:\bench\interlock.txt", "/a path/with:colon,comma"])
def test_a_file_s_address_names_a_path_from_the_root(path: str) -> None:
    address = parse_address(f"file:{path}")
    assert (address.kind, address.path) == ("file", path)


@pytest.mark.parametrize(
    ("text", "loopback"),
    [
        ("tcp:127.0.0.1:1", True),
        ("tcp:127.8.0.1:1", True),
        ("tcp:localhost:1", True),
        ("visa:TCPIP0::127.0.0.1::5025::SOCKET", True),
        ("tcp:192.0.2.20:1", False),
        ("tcp:127.0.0.1.example.org:1", False),
        ("visa:TCPIP0::192.0.2.20::5025::SOCKET", False),
        ("visa:USB0::0x2A8D::0x0101::MY1::INSTR", False),
        ("serial:/dev/ttyUSB0", False),
        ("file:/run/plc/interlock.txt", False),
    ],
)
def test_only_what_cannot_leave_this_machine_is_loopback(text: str, loopback: bool) -> None:
    assert parse_address(text).is_loopback is loopback


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "write tcp:HOST:PORT"),
        ("192.0.2.20", "write tcp:HOST:PORT"),
        ("tcp:", "write tcp:HOST:PORT"),
        ("tcp:192.0.2.20", "no default"),
        ("tcp:192.0.2.20:", "port"),
        ("tcp:192.0.2.20:http", "port"),
        ("tcp:192.0.2.20:0", "port"),
        ("tcp:192.0.2.20:65536", "port"),
        ("tcp::5025", "not a host"),
        ("tcp:two words:5025", "not a host"),
        ("tcp:[::1]:5025", "IPv6"),
        ("tcp:fe80::1:5025", "IPv6"),
        ("visa:GPIB", "VISA resource"),
        ("serial:,9600", "missing"),
        ("serial:COM3,fast", "baud"),
        ("serial:COM3,", "baud"),
        ("file:interlock.txt", "not an absolute path"),
        ("file:~/interlock.txt", "not an absolute path"),
        ("file:", "write tcp:HOST:PORT"),
        ("telnet:192.0.2.20:23", "telnet"),
    ],
)
def test_nonsense_is_refused_with_what_to_write(text: str, complaint: str) -> None:
    with pytest.raises(DefinitionError, match=complaint):
        parse_address(text)
