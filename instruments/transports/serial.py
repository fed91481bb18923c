"""The one door of pyserial: opening a serial port so that what is wrong can be understood."""

from __future__ import annotations

import serial
from serial.tools import list_ports

from bench.errors import ConnectionLost, DefinitionError
from instruments.transports.address import Address


def ports_here() -> tuple[str, ...]:
    """Return the names of the serial ports of this machine, sorted."""
    return tuple(sorted(port.device for port in list_ports.comports()))


def open_port(
    name: str,
    address: Address,
    *,
    default_baud: int,
    timeout_s: float,
    parity: str = "N",
    stop_bits: int = 1,
    gap_s: float | None = None,
) -> serial.Serial:
    """Open a serial port for one user only, 8 data bits; reads end after `timeout_s`, or at a gap of `gap_s`.

    Raises:
        DefinitionError: the address is not a serial port.
        ConnectionLost: there is no such port, it is in use, or may not be opened.
    """
    if address.kind != "serial":
        raise DefinitionError(f"{name} at {address}: a serial port is needed here, serial:PORT,BAUD")
    try:
        return serial.Serial(
            address.device,
            baudrate=address.baud or default_baud,
            parity=parity,
            stopbits=stop_bits,
            timeout=timeout_s,
            write_timeout=timeout_s,
            inter_byte_timeout=gap_s,
            exclusive=True,
        )
    except (OSError, ValueError) as problem:
        here = ", ".join(ports_here()) or "none"
        raise ConnectionLost(
            f"{name} at {address}: the port cannot be opened ({problem}); ports of this machine: {here}; "
            "is it plugged in, is another program using it, may this user open it?"
        ) from problem
