"""The Waveshare Modbus RTU relay board with eight relays, behind a gateway that passes RTU frames over TCP.

Source: the maker's command list: functions 01, 05, 0F on coils 0
to 7, 02 on inputs 0 to 7 (all open here), 05 on 0x00FF for all relays, 05 on 0x0200+n (on) and 0x0400+n (off) for a
flash in steps of 100 ms. Another address or a wrong checksum is not answered.

Not simulated: boards before September 2021 (protocol V1), setting address and speed, toggling, serial timing, and
what `behaviour_relays` leaves out. The board has no identity: no register tells maker or serial number.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Protocol

from bench.errors import DefinitionError
from bench.simulated_clock import SimulatedClock
from instruments.virtual.behaviour_base import ActiveFault
from instruments.virtual.behaviour_relays import RELAYS, RelayBoard
from instruments.virtual.circuit import Circuit
from instruments.virtual.face import Face
from instruments.virtual.modbus_face import (
    DENIED,
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    ILLEGAL_VALUE,
    ModbusRefusal,
    RtuSession,
)
from instruments.virtual.wire import Session

MAKER, MODEL = "Waveshare", "Modbus RTU Relay"
UNIT = 1
ALL, FLASH_ON, FLASH_OFF = 0x00FF, 0x0200, 0x0400
REPLY_S = 0.004  # about 16 bytes at 9600 baud, there and back


class Relays(Protocol):
    """What the requests need of a board of relays."""

    @property
    def fault(self) -> ActiveFault:
        """The fault it has now."""

    @property
    def coils(self) -> list[bool]:
        """Which relays are on."""

    def set(self, relay: int, on: bool) -> None:
        """Switch a relay."""

    def flash(self, relay: int, on: bool, seconds: float) -> None:
        """Switch a relay for a time."""


class RelayCommands:
    """The board's requests."""

    def __init__(self, board: Relays, unit: int) -> None:
        self.board = board
        self.unit = unit

    def answer(self, unit: int, pdu: bytes) -> bytes | None:
        """Answer one request; see `ModbusUnit`."""
        if unit != self.unit:
            return None
        function = pdu[0]
        if function not in (0x01, 0x02, 0x05, 0x0F):
            raise ModbusRefusal(ILLEGAL_FUNCTION)
        if self.board.fault.name == "exception_7" and function in (0x05, 0x0F):
            raise ModbusRefusal(DENIED)
        address, value = struct.unpack_from(">HH", pdu, 1)
        if function in (0x01, 0x02):
            return self._read(function, address, value)
        if function == 0x05:
            self._write(address, value)
            return pdu
        self._write_many(address, value, pdu[5:])
        return pdu[:5]

    def _read(self, function: int, address: int, count: int) -> bytes:
        self._check_span(address, count)
        states = self.board.coils if function == 0x01 else [False] * RELAYS
        bits = sum(on << n for n, on in enumerate(states[address : address + count]))
        return bytes((function, 1, bits))

    def _write(self, address: int, value: int) -> None:
        board = self.board
        kind, relay = address & 0xFF00, address & 0x00FF
        if kind in (FLASH_ON, FLASH_OFF) and relay < RELAYS:
            if not 0 < value <= 0x7FFF:
                raise ModbusRefusal(ILLEGAL_VALUE)
            board.flash(relay, kind == FLASH_ON, value / 10.0)
            return
        if address >= RELAYS and address != ALL:
            raise ModbusRefusal(ILLEGAL_ADDRESS)
        if value not in (0x0000, 0xFF00):
            raise ModbusRefusal(ILLEGAL_VALUE)
        for each in range(RELAYS) if address == ALL else (address,):
            board.set(each, value == 0xFF00)

    def _write_many(self, address: int, count: int, data: bytes) -> None:
        self._check_span(address, count)
        if len(data) != 2 or data[0] != 1:
            raise ModbusRefusal(ILLEGAL_VALUE)
        for n in range(count):
            self.board.set(address + n, bool(data[1] >> n & 1))

    def _check_span(self, address: int, count: int) -> None:
        if not 1 <= count <= RELAYS:
            raise ModbusRefusal(ILLEGAL_VALUE)
        if address + count > RELAYS:
            raise ModbusRefusal(ILLEGAL_ADDRESS)


def make(
    name: str, options: Mapping[str, object], circuit: Circuit, clock: SimulatedClock, seed: int, serial: str
) -> Face:
    """Make the board.

    Options: `channel` (1 to 8) is the relay of the disconnect, `contact` is `normally_open` (the default: relay on
    closes the path) or `normally_closed`, `unit` the Modbus address (1).
    """
    channel, contact, unit = (
        options.get("channel"),
        options.get("contact", "normally_open"),
        options.get("unit", UNIT),
    )
    if not isinstance(channel, int) or not 1 <= channel <= RELAYS:
        raise DefinitionError(
            f"virtual relay board {name!r}: option channel = {channel!r} must be a relay from 1 to {RELAYS}"
        )
    if contact not in ("normally_open", "normally_closed"):
        raise DefinitionError(
            f"virtual relay board {name!r}: option contact = {contact!r}; write normally_open or normally_closed"
        )
    if not isinstance(unit, int) or not 1 <= unit <= 247:
        raise DefinitionError(f"virtual relay board {name!r}: option unit = {unit!r} must be from 1 to 247")

    def move(closed: bool) -> None:
        circuit.disconnect.set(closed=closed)

    board = RelayBoard(name, serial, channel, contact == "normally_closed", move, clock, seed)
    commands = RelayCommands(board, unit)

    def session() -> Session:
        return RtuSession(commands, reply_s=REPLY_S)

    return Face(board, MAKER, MODEL, {"modbus_rtu": session})
