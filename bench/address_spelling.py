"""One spelling for every way to write the same address: two roles or two runs at one instrument must not be missed.

Nothing is asked of a network, so a host name and its number stay two addresses; write one of them everywhere. What is
no address at all keeps its own text: the transports refuse it (`instruments.transports.address`).
"""

from __future__ import annotations

import os
import re
import socket

_WINDOWS_PORT = re.compile(r"(?:\\\\\.\\)?(COM\d+)", re.IGNORECASE)
_NUMERIC_HOST = re.compile(r"[0-9a-fx.]*[0-9][0-9a-fx.]*")
_BOARD = re.compile(r"(TCPIP|USB|GPIB|ASRL)(\d*)")


def one_spelling(address: str) -> str:
    """Return the spelling that all spellings of an address share; only for comparing, never for opening.

    Case of host and VISA resource, `localhost`, numbers with zeros, the baud rate of a serial port, its symbolic links
    and VISA's names for a socket (`TCPIP::HOST::PORT::SOCKET`) or a serial port (`ASRL3::INSTR`) do not count.
    """
    text = address.strip()
    kind, _, rest = text.partition(":")
    kind = kind.lower()
    if kind == "tcp":
        host, _, port = rest.rpartition(":")
        return f"tcp:{_host(host)}:{_number(port)}"
    if kind == "serial":
        return f"serial:{_device(rest.partition(',')[0])}"
    if kind == "file":
        return f"file:{_path(rest)}"
    if kind == "visa":
        return _visa(rest)
    return text.lower()


def _host(text: str) -> str:
    host = text.strip().lower()
    if host == "localhost":
        return "127.0.0.1"
    if _NUMERIC_HOST.fullmatch(host):
        try:
            return socket.inet_ntoa(socket.inet_aton(host))  # 127.1 and 127.0.0.1 are one host
        except OSError:
            return host
    return host


def _number(text: str) -> str:
    digits = text.strip()
    return digits.lstrip("0") or "0" if digits.isascii() and digits.isdigit() else digits.lower()


def _device(text: str) -> str:
    device = text.strip()
    if match := _WINDOWS_PORT.fullmatch(device):
        return match[1].upper()
    return _path(device)


def _path(text: str) -> str:
    try:
        return os.path.normcase(os.path.realpath(text))  # /dev/serial/by-id/... is /dev/ttyUSB0
    except (OSError, ValueError):
        return text


def _visa(resource: str) -> str:
    parts = [part.strip() for part in resource.strip().split("::")]
    upper = [part.upper() for part in parts]
    if upper[0].startswith("ASRL"):
        device = parts[0][len("ASRL") :]
        return f"serial:{_device(f'COM{device}' if device.isdigit() else device)}"
    if upper[-1] == "SOCKET" and upper[0].startswith("TCPIP") and len(parts) == 4:
        return f"tcp:{_host(parts[1])}:{_number(parts[2])}"
    if match := _BOARD.fullmatch(upper[0]):
        upper[0] = f"{match[1]}{int(match[2] or 0)}"
    if upper[-1] == "INSTR":  # as where nothing is written
        del upper[-1]
    if upper[0].startswith("TCPIP") and len(upper) > 1:
        upper[1] = _host(parts[1]).upper()
        if upper[2:] == ["INST0"]:
            del upper[2]
    if upper[0].startswith("USB"):
        upper[1:3] = [_usb_number(part) for part in upper[1:3]]
        if len(upper) == 5 and upper[4] == "0":
            del upper[4]
    return f"visa:{'::'.join(upper)}"


def _usb_number(text: str) -> str:
    try:
        return f"0X{int(text, 0):04X}"
    except ValueError:
        return text
