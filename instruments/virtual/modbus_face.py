"""The Modbus language: frames with a checksum (RTU) or with a header (MBAP), requests and refusals.

Source: Modbus application protocol V1.1b3 and the worked frames of the families served. An instrument gives
`answer(unit, pdu)`; this module cuts the stream into requests and packs the answers. Written here, not taken from
a library, so that it is independent of the client under test and quick.

Not simulated: the silent gap of 3.5 characters that ends an RTU frame (the length follows from the function),
broadcast, and functions other than the instrument's own.
"""

from __future__ import annotations

from typing import Protocol

from instruments.virtual.wire import Wire

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, FAILURE, BAD_CRC, DENIED = 1, 2, 3, 4, 5, 7


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ 0xA001 if value & 1 else value >> 1
        table.append(value)
    return table


_TABLE = _crc_table()


def crc16(data: bytes) -> bytes:
    """Return the checksum of an RTU frame, low byte first as it travels."""
    value = 0xFFFF
    for byte in data:
        value = (value >> 8) ^ _TABLE[(value ^ byte) & 0xFF]
    return value.to_bytes(2, "little")


def with_crc(frame: bytes) -> bytes:
    """Return the frame followed by its checksum."""
    return frame + crc16(frame)


class ModbusRefusal(Exception):
    """The request is answered with an exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"Modbus exception {code}")
        self.code = code


class ModbusUnit(Protocol):
    """An instrument's register map."""

    def answer(self, unit: int, pdu: bytes) -> bytes | None:
        """Return the response PDU, or None to stay silent (another unit is meant).

        Raises:
            ModbusRefusal: answered with that exception code.
        """


def respond(modbus: ModbusUnit, unit: int, pdu: bytes) -> bytes | None:
    """Return the response PDU, an exception response included."""
    try:
        return modbus.answer(unit, pdu)
    except ModbusRefusal as refusal:
        return bytes((pdu[0] | 0x80, refusal.code))


def rtu_length(data: bytes) -> int | None:
    """Return the length of the request at the start of `data`, or None while that is not known.

    A function nobody serves is taken to have the usual eight bytes.
    """
    if len(data) < 2:
        return None
    if data[1] in (0x0F, 0x10):
        return 9 + data[6] if len(data) > 6 else None
    return 8


class RtuFramer:
    """Cuts RTU requests out of a stream. `answers_bad_crc`: EA answers exception 5, others stay silent."""

    def __init__(self, modbus: ModbusUnit, *, answers_bad_crc: bool = False) -> None:
        self._modbus = modbus
        self._answers_bad_crc = answers_bad_crc

    def feed(self, data: bytes, wire: Wire) -> tuple[bytes, bytes]:
        """Take one request from the start of the stream; return the answer and the rest of the stream.

        An answer of nothing with a rest means that the request is not complete yet.
        """
        length = rtu_length(data)
        if length is None or len(data) < length:
            return b"", data
        frame, rest = data[:length], data[length:]
        if crc16(frame[:-2]) != frame[-2:]:
            # What follows cannot be trusted either: a real unit waits for the next gap.
            if self._answers_bad_crc:
                return with_crc(bytes((frame[0], frame[1] | 0x80, BAD_CRC))), b""
            wire.silence()
            return b"", b""
        response = respond(self._modbus, frame[0], frame[1:-2])
        if response is None:
            wire.silence()
            return b"", rest
        return with_crc(frame[:1] + response), rest


class RtuSession:
    """A connection that carries RTU frames, as a serial gateway does."""

    max_connections = 4
    wire: Wire

    def __init__(self, modbus: ModbusUnit, *, reply_s: float = 0.0) -> None:
        self._framer = RtuFramer(modbus)
        self._reply_s = reply_s
        self._buffer = b""

    def feed(self, data: bytes) -> bytes:
        """Answer every complete request."""
        data, reply = self._buffer + data, b""
        while data:
            answer, rest = self._framer.feed(data, self.wire)
            reply += answer
            if rest == data:
                break
            data = rest
        self._buffer = data
        if reply and self._reply_s:
            self.wire.owe(self._reply_s)
        return reply

    def closed(self) -> None:
        """Nothing is kept beyond a connection."""


class MbapSession:
    """A connection that carries Modbus TCP frames."""

    wire: Wire

    def __init__(self, modbus: ModbusUnit, *, reply_s: float = 0.0) -> None:
        self._modbus = modbus
        self._reply_s = reply_s
        self._buffer = b""

    @property
    def max_connections(self) -> int:
        """How many connections the port takes now."""
        return 4

    def feed(self, data: bytes) -> bytes:
        """Answer every complete request; a header that is no Modbus ends the connection."""
        data, reply = self._buffer + data, b""
        while len(data) >= 8:
            length = 6 + int.from_bytes(data[4:6], "big")
            if data[2:4] != b"\x00\x00" or not 8 <= length <= 260:
                self._buffer = b""
                self.wire.drop()
                return reply
            if len(data) < length:
                break
            response = respond(self._modbus, data[6], data[7:length])
            if response is None:
                self.wire.silence()
            else:
                reply += data[:4] + (len(response) + 1).to_bytes(2, "big") + data[6:7] + response
            data = data[length:]
        self._buffer = data
        if reply and self._reply_s:
            self.wire.owe(self._reply_s)
        return reply

    def closed(self) -> None:
        """Nothing is kept beyond a connection."""
