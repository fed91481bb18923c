"""The eight inputs of a Waveshare Modbus RTU Relay (D), behind a gateway that passes RTU frames over TCP.

Source: the maker's command list: function 02 on inputs 0 to 7, address 1. Another address or a wrong checksum is not
answered. The loop that is read, and its faults: `behaviour_inputs`.

Not simulated: the board's eight relays and everything else than function 02 (refused as an illegal function), boards
before September 2021 (protocol V1), setting address and speed, serial timing. The board has no identity.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from bench.errors import DefinitionError
from bench.simulated_clock import SimulatedClock
from instruments.virtual.behaviour_inputs import INPUTS, InputBoard
from instruments.virtual.circuit import Circuit
from instruments.virtual.face import Face
from instruments.virtual.modbus_face import (
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    ILLEGAL_VALUE,
    ModbusRefusal,
    RtuSession,
)
from instruments.virtual.wire import Session

MAKER, MODEL = "Waveshare", "Modbus RTU Relay (D)"
UNIT = 1
READ_INPUTS = 0x02
REPLY_S = 0.004  # about 16 bytes at 9600 baud, there and back


class InputCommands:
    """The board's requests."""

    def __init__(self, board: InputBoard, unit: int) -> None:
        self.board = board
        self.unit = unit

    def answer(self, unit: int, pdu: bytes) -> bytes | None:
        """Answer one request; see `ModbusUnit`."""
        if unit != self.unit:
            return None
        if pdu[0] != READ_INPUTS:
            raise ModbusRefusal(ILLEGAL_FUNCTION)
        address, count = struct.unpack_from(">HH", pdu, 1)
        if not 1 <= count <= INPUTS:
            raise ModbusRefusal(ILLEGAL_VALUE)
        if address + count > INPUTS:
            raise ModbusRefusal(ILLEGAL_ADDRESS)
        states = self.board.inputs()[address : address + count]
        return bytes((READ_INPUTS, 1, sum(on << n for n, on in enumerate(states))))


def make(
    name: str, options: Mapping[str, object], circuit: Circuit, clock: SimulatedClock, seed: int, serial: str
) -> Face:
    """Make the board.

    Options: `channel` (1 to 8) is the input that reads the loop, `unit` the Modbus address (1), `opens_disconnect`
    (false) says that the loop is also hard-wired into the coil of the bench's contactor.
    """
    channel, unit, wired = options.get("channel"), options.get("unit", UNIT), options.get("opens_disconnect", False)
    if not isinstance(channel, int) or not 1 <= channel <= INPUTS:
        raise DefinitionError(
            f"virtual inputs {name!r}: option channel = {channel!r} must be an input from 1 to {INPUTS}"
        )
    if not isinstance(unit, int) or not 1 <= unit <= 247:
        raise DefinitionError(f"virtual inputs {name!r}: option unit = {unit!r} must be from 1 to 247")
    if not isinstance(wired, bool):
        raise DefinitionError(f"virtual inputs {name!r}: option opens_disconnect = {wired!r}; write true or false")

    def move(closed: bool) -> None:
        if wired:
            circuit.disconnect.loop(name, closed=closed)

    board = InputBoard(name, serial, channel, move, clock, seed)
    commands = InputCommands(board, unit)

    def session() -> Session:
        return RtuSession(commands, reply_s=REPLY_S)

    return Face(board, MAKER, MODEL, {"modbus_rtu": session})
