"""The ICP DAS tM-R5, five relays with a host watchdog, behind a gateway that passes Modbus RTU frames over TCP.

Source: the maker's list for tM and M-7000 modules, whose numbers count from 1 (on the wire one less): coils 1 to 5
outputs, 129 to 133 safe values, 161 to 165 power-on values, 257 protocol, 258 RTU or ASCII, 260 mode of the host
watchdog, 261 host watchdog on, 270 its status (write 1 to clear), 273 reset flag (1 on the first read after
power-up); holding registers 40485 address, 40489 time of the watchdog in 0.1 s (0 to 255), 40492 number of
time-outs. Functions 01, 03, 05, 06, 0F and 10. Another address or a wrong checksum is not answered, and does not
feed the watchdog. What the list leaves open, and what is assumed: `behaviour_safe_relays`.

Not simulated: DCON and ASCII, setting the address, speed and parity, the registers for the module's name and
firmware version (a maker's list has them, the sources used here do not say how they are coded), serial timing.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from functools import partial

from bench.errors import DefinitionError
from bench.simulated_clock import SimulatedClock
from instruments.virtual.behaviour_safe_relays import LONGEST, OUTPUTS, SafeRelayBoard
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

MAKER, MODEL = "ICP DAS", "tM-R5"
UNIT = 1
REPLY_S = 0.004  # about 16 bytes at 9600 baud, there and back
# The maker's numbers, which count from 1.
FIRST_OUTPUT, FIRST_SAFE, FIRST_POWER_ON = 1, 129, 161
PROTOCOL, ASCII, MODE, ENABLE, STATUS, RESET_FLAG = 257, 258, 260, 261, 270, 273
ADDRESS, TIME, COUNT = 485, 489, 492  # of the holding registers 40001 and up
WRITES = (0x05, 0x06, 0x0F, 0x10)


class SafeRelayCommands:
    """The board's requests."""

    def __init__(self, board: SafeRelayBoard, unit: int) -> None:
        self.board = board
        self.unit = unit

    def answer(self, unit: int, pdu: bytes) -> bytes | None:
        """Answer one request; see `ModbusUnit`."""
        if unit != self.unit:
            return None
        self.board.feed()
        function = pdu[0]
        if function not in (0x01, 0x03, *WRITES):
            raise ModbusRefusal(ILLEGAL_FUNCTION)
        if self.board.fault.name == "exception_7" and function in WRITES:
            raise ModbusRefusal(DENIED)
        address, value = struct.unpack_from(">HH", pdu, 1)
        if function == 0x01:
            states = [self._coil(address + 1 + n) for n in self._span(value, 2000)]
            packed = sum(on << n for n, on in enumerate(states)).to_bytes((value + 7) // 8, "little")
            if address < RESET_FLAG <= address + value:
                self.board.reset_flag = False
            return bytes((0x01, len(packed))) + packed
        if function == 0x03:
            registers = [self._register(address + 1 + n) for n in self._span(value, 125)]
            return bytes((0x03, 2 * value)) + struct.pack(f">{value}H", *registers)
        if function == 0x05:
            if value not in (0x0000, 0xFF00):
                raise ModbusRefusal(ILLEGAL_VALUE)
            self._write_coil(address + 1)(value == 0xFF00)
            return pdu
        if function == 0x06:
            self._write_register(address + 1, value)(value)
            return pdu
        self._write_many(function, address, value, pdu[5:])
        return pdu[:5]

    def _span(self, count: int, most: int) -> range:
        if not 1 <= count <= most:
            raise ModbusRefusal(ILLEGAL_VALUE)
        return range(count)

    # -- what is read ------------------------------------------------------------------------------------------

    def _coil(self, number: int) -> bool:
        board = self.board
        for first, values in self._blocks().items():
            if first <= number < first + OUTPUTS:
                return values[number - first]
        single = {
            PROTOCOL: True,  # Modbus
            ASCII: False,
            MODE: board.commands_clear,
            ENABLE: board.enabled,
            STATUS: board.expired,
            RESET_FLAG: board.reset_flag,
        }
        if number not in single:
            raise ModbusRefusal(ILLEGAL_ADDRESS)
        return single[number]

    def _blocks(self) -> dict[int, list[bool]]:
        board = self.board
        return {FIRST_OUTPUT: board.coils, FIRST_SAFE: board.safe_values, FIRST_POWER_ON: board.power_on_values}

    def _register(self, number: int) -> int:
        registers = {ADDRESS: self.unit, TIME: self.board.steps, COUNT: self.board.timeouts}
        if number not in registers:
            raise ModbusRefusal(ILLEGAL_ADDRESS)
        return registers[number]

    # -- what is written: each returns what does it, so that a refused part leaves the rest undone ----------------

    def _write_many(self, function: int, address: int, count: int, data: bytes) -> None:
        coils = function == 0x0F
        span = self._span(count, 1968 if coils else 123)
        size = (count + 7) // 8 if coils else 2 * count
        if len(data) != 1 + size or data[0] != size:
            raise ModbusRefusal(ILLEGAL_VALUE)
        todo: list[Callable[[], None]] = []
        for n in span:
            if coils:
                on = bool(data[1 + n // 8] >> n % 8 & 1)
                todo.append(partial(self._write_coil(address + 1 + n), on))
            else:
                value = int.from_bytes(data[1 + 2 * n : 3 + 2 * n], "big")
                todo.append(partial(self._write_register(address + 1 + n, value), value))
        for each in todo:
            each()

    def _write_coil(self, number: int) -> Callable[[bool], None]:
        board = self.board
        if FIRST_OUTPUT <= number < FIRST_OUTPUT + OUTPUTS:
            return lambda on: board.command(number - FIRST_OUTPUT, on)
        for first, values in self._blocks().items():
            if first <= number < first + OUTPUTS:
                return lambda on: values.__setitem__(number - first, on)
        if number == MODE:
            return lambda on: setattr(board, "commands_clear", on)
        if number == ENABLE:
            return board.enable
        if number == STATUS:
            return lambda on: board.clear_status() if on else None
        raise ModbusRefusal(ILLEGAL_VALUE if number in (PROTOCOL, ASCII) else ILLEGAL_ADDRESS)

    def _write_register(self, number: int, value: int) -> Callable[[int], None]:
        board = self.board
        if number == TIME and value <= LONGEST:
            return board.set_time
        if number == COUNT and value == 0:
            return lambda none: setattr(board, "timeouts", none)
        raise ModbusRefusal(ILLEGAL_VALUE if number in (ADDRESS, TIME, COUNT) else ILLEGAL_ADDRESS)


def make(
    name: str, options: Mapping[str, object], circuit: Circuit, clock: SimulatedClock, seed: int, serial: str
) -> Face:
    """Make the board.

    Options: `channel` (1 to 5) is the relay of the disconnect, `contact` is `normally_open` (the default: relay on
    closes the path) or `normally_closed`, `unit` the Modbus address (1).
    """
    channel, contact, unit = options.get("channel"), options.get("contact", "normally_open"), options.get("unit", UNIT)
    if not isinstance(channel, int) or not 1 <= channel <= OUTPUTS:
        raise DefinitionError(
            f"virtual relay board {name!r}: option channel = {channel!r} must be an output from 1 to {OUTPUTS}"
        )
    if contact not in ("normally_open", "normally_closed"):
        raise DefinitionError(
            f"virtual relay board {name!r}: option contact = {contact!r}; write normally_open or normally_closed"
        )
    if not isinstance(unit, int) or not 1 <= unit <= 247:
        raise DefinitionError(f"virtual relay board {name!r}: option unit = {unit!r} must be from 1 to 247")

    def move(closed: bool) -> None:
        circuit.disconnect.set(closed=closed)

    board = SafeRelayBoard(name, serial, channel, contact == "normally_closed", move, clock, seed)
    commands = SafeRelayCommands(board, unit)

    def session() -> Session:
        return RtuSession(commands, reply_s=REPLY_S)

    return Face(board, MAKER, MODEL, {"modbus_rtu": session})
