"""Where an instrument is found: `tcp:HOST:PORT`, `visa:RESOURCE`, `serial:PORT[,BAUD]` or `file:PATH`."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Literal

from bench.errors import DefinitionError

Kind = Literal["tcp", "visa", "serial", "file"]

_EXAMPLES = (
    "write tcp:HOST:PORT (tcp:192.0.2.20:5025), visa:RESOURCE (visa:USB0::0x2A8D::0x0101::MY1::INSTR), "
    "serial:PORT,BAUD (serial:/dev/ttyUSB0,9600 or serial:COM3,9600) or file:PATH (file:/run/plc/interlock.txt)"
)


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed address; fields that its kind does not have are empty or None.

    There is no default port: manufacturers disagree about it. `baud` is None where none was given.
    """

    text: str
    kind: Kind
    host: str = ""
    port: int = 0
    resource: str = ""
    device: str = ""
    baud: int | None = None
    path: str = ""

    @property
    def is_loopback(self) -> bool:
        """True when the address cannot leave this machine by network; a serial port or a file never counts as that."""
        host = self.host
        if self.kind == "visa":
            parts = self.resource.split("::")
            host = parts[1] if parts[0].upper().startswith("TCPIP") and len(parts) > 2 else ""
        if host.lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return self.text


def parse_address(text: str) -> Address:
    """Parse an address as it stands in a bench definition.

    Raises:
        DefinitionError: it is none of the four forms, or a part of it is missing or impossible.
    """
    kind, separator, rest = text.strip().partition(":")
    if not separator or not rest:
        raise DefinitionError(f"address {text!r}: {_EXAMPLES}")
    if kind == "tcp":
        return _tcp(text, rest)
    if kind == "visa":
        if "::" not in rest:
            raise DefinitionError(f"address {text!r}: {rest!r} is not a VISA resource name; {_EXAMPLES}")
        return Address(text, "visa", resource=rest)
    if kind == "serial":
        return _serial(text, rest)
    if kind == "file":
        # Runner, guardian and commands may each have another folder to start from.
        if not (PurePosixPath(rest).is_absolute() or PureWindowsPath(rest).is_absolute()):
            raise DefinitionError(f"address {text!r}: {rest!r} is not an absolute path; {_EXAMPLES}")
        return Address(text, "file", path=rest)
    raise DefinitionError(f"address {text!r}: {kind!r} is not a way to an instrument; {_EXAMPLES}")


def _tcp(text: str, rest: str) -> Address:
    host, separator, port = rest.rpartition(":")
    if not separator:
        raise DefinitionError(f"address {text!r}: the port is missing, there is no default; {_EXAMPLES}")
    if ":" in host or "[" in host:
        raise DefinitionError(f"address {text!r}: IPv6 is not supported; write the IPv4 address or a host name")
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", host):
        raise DefinitionError(f"address {text!r}: {host!r} is not a host; {_EXAMPLES}")
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise DefinitionError(f"address {text!r}: port {port!r} is not a number from 1 to 65535")
    return Address(text, "tcp", host=host, port=int(port))


def _serial(text: str, rest: str) -> Address:
    device, separator, baud = rest.partition(",")
    if not device or device != device.strip():
        raise DefinitionError(f"address {text!r}: the serial port's name is missing; {_EXAMPLES}")
    if not separator:
        return Address(text, "serial", device=device)
    if not (baud.isascii() and baud.isdigit() and 50 <= int(baud) <= 12_000_000):
        raise DefinitionError(f"address {text!r}: baud rate {baud!r} is not a number from 50 to 12000000")
    return Address(text, "serial", device=device, baud=int(baud))
