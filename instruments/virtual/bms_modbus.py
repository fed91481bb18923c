"""The virtual BMS on Modbus: its registers and bits as a session of the virtual bench's server.

Answers functions 1 to 4 for every unit id that the profile names, and 6 and 16 where it declares settings (see
`bms_modbus_settings`); other functions get exception 1, addresses outside its map exception 2, impossible counts
exception 3. A wrong checksum or another unit's id gets silence.
Unknown addresses in a gap of up to 16 registers (32 bits) between known ones read 0, as reserved places of a block
do. A field that cannot hold its value saturates (see `bms_encoding`).

Not simulated: broadcast, exceptions while busy, 3.5 characters of silence as the end of a frame (a frame
ends where its length says), values that change between the two halves of a 32-bit number.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from bench.errors import DefinitionError
from bench.loading import nearest
from bench.profile import ModbusLink
from bench.signals import ModbusSignal
from instruments.virtual.bms import VirtualBms
from instruments.virtual.bms_encoding import make_encoder
from instruments.virtual.bms_modbus_settings import SettingWrites, spots
from instruments.virtual.bms_values import source_of
from instruments.virtual.wire import Wire

_BITS_GAP, _REGISTERS_GAP = 32, 16
_MOST_BITS, _MOST_REGISTERS, _MOST_WRITTEN = 2000, 125, 123
_THINKING_S = 0.005
Place = Callable[[], int]


class RegisterMap:
    """The registers and bits of one virtual BMS on one link."""

    def __init__(self, bms: VirtualBms, link_name: str) -> None:
        self._tables: dict[tuple[int, int], dict[int, list[Place]]] = {}
        link = bms.profile.links[link_name]
        if not isinstance(link, ModbusLink):
            raise DefinitionError(f"{bms.profile.source.name}, links.{link_name}: kind {link.kind!r} is no Modbus link")
        recodes = tuple(defect.recode for defect in bms.defects if defect.recode is not None)
        for name, signal in bms.profile.signals.items():
            if isinstance(signal, ModbusSignal) and signal.link == link_name:
                unit_id = signal.unit_id if signal.unit_id is not None else link.unit_id
                table = self._tables.setdefault((unit_id, signal.function), {})
                encode = make_encoder(bms.profile, name, signal, source_of(bms, name, signal), recodes)
                self._add(table, name, signal, encode)
        for unit_id, function, address, place in spots(bms, link_name, link.unit_id):
            table = self._tables.setdefault((unit_id, function), {})
            if address in table:
                raise DefinitionError(
                    f"{bms.profile.source.name}: register {address:#06x} of unit {unit_id} is declared twice"
                )
            table[address] = [place]
        self.writes = SettingWrites(bms, link_name, link.unit_id)
        self.unit_ids = frozenset(unit_id for unit_id, _ in self._tables) | {link.unit_id} | self.writes.units
        for (_, function), table in self._tables.items():
            _fill_gaps(table, _BITS_GAP if function in (1, 2) else _REGISTERS_GAP)

    @staticmethod
    def _add(table: dict[int, list[Place]], name: str, signal: ModbusSignal, encode: Place) -> None:
        if signal.type == "bit":
            bit = (signal.bit or 0) if signal.function in (3, 4) else 0
            table.setdefault(signal.address, []).append(lambda: encode() << bit)
            return
        if signal.type in ("int16", "uint16"):
            places: list[Place] = [encode]
        else:
            places = [lambda: encode() >> 16, lambda: encode() & 0xFFFF]
            if signal.word_order == "low_first":
                places.reverse()
        for index, place in enumerate(places):
            if signal.address + index in table:
                raise DefinitionError(
                    f"signals.{name}.address: {signal.address + index:#06x} is taken by another signal"
                )
            table[signal.address + index] = [place]

    def read(self, unit_id: int, function: int, address: int, count: int) -> list[int] | int:
        """Return the values of these places now, or the number of a Modbus exception."""
        most = _MOST_BITS if function in (1, 2) else _MOST_REGISTERS
        if not 1 <= count <= most:
            return 3
        table = self._tables.get((unit_id, function))
        if table is None or any(place not in table for place in range(address, address + count)):
            return 2
        values = []
        for place in range(address, address + count):
            value = 0
            for part in table[place]:
                value |= part()
            values.append(value)
        return values


class ModbusSession:
    """One client's connection."""

    max_connections = 4
    wire: Wire

    def __init__(self, bms: VirtualBms, registers: RegisterMap, *, framing: str, baudrate: int) -> None:
        self._bms = bms
        self._registers = registers
        self._rtu = framing == "rtu"
        self._byte_s = 10.0 / baudrate if self._rtu else 0.0
        self._buffer = b""

    def feed(self, data: bytes) -> bytes:
        """Take bytes, answer every complete request."""
        self._buffer += data
        out = b""
        while self._buffer:
            taken, reply = self._next_rtu() if self._rtu else self._next_tcp()
            if taken == 0:
                break
            request, self._buffer = self._buffer[:taken], self._buffer[taken:]
            talks = self._bms.talks  # the request that wakes it is not answered
            if reply is not None and self._bms.powered:
                self._bms.heard()
            if reply is None or not talks:
                self.wire.silence()
                continue
            self.wire.owe(_THINKING_S + self._byte_s * (len(request) + len(reply)))
            out += reply
        return out

    def closed(self) -> None:
        """The connection has ended; what was half received is gone."""
        self._buffer = b""

    def _next_rtu(self) -> tuple[int, bytes | None]:
        """How many bytes belong to the next request, and the reply (None: silence). 0 waits for more."""
        buffer = self._buffer
        if len(buffer) < 2:
            return 0, None
        length = 8
        if buffer[1] in (15, 16):
            if len(buffer) < 7:
                return 0, None
            length = 9 + buffer[6]
        elif buffer[1] not in range(1, 7):
            length = max(4, len(buffer))  # a function of unknown length: what came at once
        if len(buffer) < length:
            return 0, None
        frame = buffer[:length]
        if crc16(frame[:-2]) != int.from_bytes(frame[-2:], "little"):
            return len(buffer), None  # out of step: a real unit hears nothing until the line is quiet
        if frame[0] not in self._registers.unit_ids:
            return length, None
        reply = bytes([frame[0]]) + self._answer(frame[0], frame[1:-2])
        return length, reply + crc16(reply).to_bytes(2, "little")

    def _next_tcp(self) -> tuple[int, bytes | None]:
        buffer = self._buffer
        if len(buffer) < 7:
            return 0, None
        length = int.from_bytes(buffer[4:6], "big")
        if buffer[2:4] != b"\0\0" or not 2 <= length <= 254:
            return len(buffer), None
        if len(buffer) < 6 + length:
            return 0, None
        unit_id = buffer[6]
        if unit_id not in self._registers.unit_ids:
            return 6 + length, None
        reply = self._answer(unit_id, buffer[7 : 6 + length])
        return 6 + length, buffer[:4] + (len(reply) + 1).to_bytes(2, "big") + bytes([unit_id]) + reply

    def _answer(self, unit_id: int, request: bytes) -> bytes:
        function = request[0]
        if function in (6, 16):
            return self._write(unit_id, function, request)
        if function not in (1, 2, 3, 4):
            return bytes([function | 0x80, 1])
        if len(request) != 5:
            return bytes([function | 0x80, 3])
        address, count = int.from_bytes(request[1:3], "big"), int.from_bytes(request[3:5], "big")
        values = self._registers.read(unit_id, function, address, count)
        if isinstance(values, int):
            return bytes([function | 0x80, values])
        if function in (1, 2):
            size = (count + 7) // 8
            bits = sum((value & 1) << index for index, value in enumerate(values))
            return bytes([function, size]) + bits.to_bytes(size, "little")
        return bytes([function, 2 * count]) + b"".join(value.to_bytes(2, "big") for value in values)

    def _write(self, unit_id: int, function: int, request: bytes) -> bytes:
        words = [
            int.from_bytes(request[at : at + 2], "big") for at in range(6 if function == 16 else 3, len(request), 2)
        ]
        if function == 16:
            count = int.from_bytes(request[3:5], "big")
            right = len(request) == 6 + 2 * count and 1 <= count <= _MOST_WRITTEN and request[5] == 2 * count
        else:
            right = len(request) == 5
        problem = 3
        if right:
            problem = self._registers.writes.write(unit_id, function, int.from_bytes(request[1:3], "big"), words)
        return bytes([function | 0x80, problem]) if problem else request[:5]


def crc16(data: bytes) -> int:
    """Return the checksum of a Modbus RTU frame: polynomial 0xA001, start 0xFFFF, sent low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0xA001 if crc & 1 else 0)
    return crc


def _fill_gaps(table: dict[int, list[Place]], widest: int) -> None:
    known = sorted(table)
    for low, high in pairwise(known):
        if high - low - 1 <= widest:
            for address in range(low + 1, high):
                table[address] = []


def make_modbus_session_factory(bms: VirtualBms, link_name: str | None = None) -> Callable[[], ModbusSession]:
    """Return what makes a session per connection, for the server of the virtual bench.

    Raises:
        DefinitionError: the profile has no such Modbus link, or two signals share a register.
    """
    links = [name for name, link in bms.profile.links.items() if isinstance(link, ModbusLink)]
    name = link_name if link_name is not None else (links[0] if links else "")
    link = bms.profile.links.get(name)
    if not isinstance(link, ModbusLink):
        raise DefinitionError(f"{bms.profile.source.name}: {name!r} is no Modbus link{nearest(name, links)}")
    registers = RegisterMap(bms, name)
    framing, baudrate = link.framing, link.baudrate
    return lambda: ModbusSession(bms, registers, framing=framing, baudrate=baudrate)
