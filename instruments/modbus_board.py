"""What small boards on Modbus RTU have in common when they are opened: a channel, a contact, a first question."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bench.clock import Clock
from bench.errors import DefinitionError
from bench.roles import Record
from instruments.driver import option
from instruments.transports.modbus import ModbusTransport


def channel_of(name: str, options: Mapping[str, object], channels: int, what: str) -> int:
    """Return the option `channel`, as printed on the board; `what` it counts is named in the error.

    Raises:
        DefinitionError: it is missing, or beyond the board.
    """
    channel = option(name, options, "channel", 0)
    if not 1 <= channel <= channels:
        raise DefinitionError(f"{name}: option 'channel' must be {what}'s number, 1 to {channels}")
    return channel


def closed_when_on(name: str, options: Mapping[str, object]) -> bool:
    """Return whether the contact that is wired (option `contact`) is closed while the relay is on.

    Raises:
        DefinitionError: it is neither `normally_open` nor `normally_closed`.
    """
    contact = option(name, options, "contact", "normally_open")
    if contact not in ("normally_open", "normally_closed"):
        raise DefinitionError(
            f"{name}: option 'contact' is {contact!r}, but must be 'normally_open' or 'normally_closed'"
        )
    return contact == "normally_open"


def rtu_link(
    name: str,
    address: str,
    *,
    clock: Clock,
    record: Record,
    options: Mapping[str, object],
    timeout_s: float,
    spacing_s: float,
) -> ModbusTransport:
    """Return the board's conversation, not yet begun; option `device_id` (1)."""
    return ModbusTransport(
        name,
        address,
        clock=clock,
        record=record,
        device_id=option(name, options, "device_id", 1),
        framing="rtu",
        timeout_s=timeout_s,
        spacing_s=spacing_s,
    )


def greet(link: ModbusTransport, ask: Callable[[], object]) -> None:
    """Connect and put a first question; where it is not answered the conversation is closed again.

    Raises:
        ConnectionLost, InstrumentTimeout, InstrumentError: nothing usable answers there.
    """
    try:
        link.connect()
        ask()
    except BaseException:
        link.close()
        raise
