"""The Modbus registers of the virtual EA 9000 family, for RTU frames on port 5025 and for Modbus TCP.

Source: EA programming guide and the PSB 9000 register list: functions 01, 03, 05, 06, 16; 52428 counts are 100 %;
actual values are unsigned and the direction is bit 12 of register 505; one read may span several entries only if
they have the same data type; in Limited compliance (the default) function 01 answers FF 00 or 00 00.

A refused span is answered with exception 2 and function 16 on a set value with exception 1; which code real units
give is not known. Not simulated: register 0 (device class of the 9000 series), network settings, battery test,
generator tables, and what `behaviour_ea` leaves out.
"""

from __future__ import annotations

import struct

from instruments.virtual.behaviour_ea import EaDevice
from instruments.virtual.ea_register_list import EaRegisterList
from instruments.virtual.instrument_errors import Refused
from instruments.virtual.modbus_face import (
    DENIED,
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    ILLEGAL_VALUE,
    ModbusRefusal,
)


class EaRegisters:
    """The register map of one unit as one interface (`location`) sees it."""

    def __init__(self, device: EaDevice, identity: dict[str, str], location: int, *, mbap: bool = False) -> None:
        self.device = device
        self.location = location
        self._mbap = mbap
        registers = EaRegisterList(device, identity, location)
        self._entries = registers.entries
        self._coils = registers.coils

    def answer(self, unit: int, pdu: bytes) -> bytes:
        """Answer one request; see `ModbusUnit`."""
        device = self.device
        if unit > (1 if self._mbap or device.full_compliance else 0):
            raise ModbusRefusal(ILLEGAL_ADDRESS)
        device.feed(self.location)
        function = pdu[0]
        if device.fault.name == "exception_7" and function in (5, 6, 15, 16):
            raise ModbusRefusal(DENIED)
        if function not in (1, 3, 5, 6, 16):
            raise ModbusRefusal(ILLEGAL_FUNCTION)
        if len(pdu) < 5:
            raise ModbusRefusal(ILLEGAL_VALUE)
        address, value = struct.unpack_from(">HH", pdu, 1)
        try:
            if function == 3:
                return self._read(address, value)
            if function == 1:
                return self._read_coil(address, value)
            if function == 5:
                self._write_coil(address, value)
                return pdu
            if function == 6:
                self._write(address, value)
                return pdu
            return self._write_many(address, value, pdu[5:])
        except Refused as refusal:
            raise ModbusRefusal(refusal.modbus) from refusal

    def _read(self, address: int, count: int) -> bytes:
        if not 1 <= count <= 125:
            raise ModbusRefusal(ILLEGAL_VALUE)
        data, kind, end = b"", None, address + count
        while address < end:
            entry = self._entries.get(address)
            if entry is None or (kind or entry.kind) != entry.kind or address + entry.count > end:
                raise ModbusRefusal(ILLEGAL_ADDRESS)
            data += entry.read()
            kind = entry.kind
            address += entry.count
        return bytes((3, len(data))) + data

    def _read_coil(self, address: int, count: int) -> bytes:
        if address not in self._coils:
            raise ModbusRefusal(ILLEGAL_ADDRESS)
        if count != 1:
            raise ModbusRefusal(ILLEGAL_VALUE)
        on = self._coils[address][0]()
        if self.device.full_compliance:
            return bytes((1, 1, on))
        return bytes((1, 2, 0xFF if on else 0, 0))

    def _write_coil(self, address: int, value: int) -> None:
        if address not in self._coils:
            raise ModbusRefusal(ILLEGAL_ADDRESS)
        if value not in (0x0000, 0xFF00):
            raise ModbusRefusal(ILLEGAL_VALUE)
        self._coils[address][1](value == 0xFF00)

    def _write(self, address: int, value: int) -> None:
        entry = self._entries.get(address)
        if entry is None or entry.write is None:
            raise ModbusRefusal(ILLEGAL_ADDRESS)
        self.device.require(self.location)
        entry.write(value)

    def _write_many(self, address: int, count: int, data: bytes) -> bytes:
        if address != 171:
            raise ModbusRefusal(ILLEGAL_FUNCTION if address in self._entries else ILLEGAL_ADDRESS)
        if not 1 <= count <= 20 or len(data) != 1 + 2 * count or data[0] != 2 * count:
            raise ModbusRefusal(ILLEGAL_VALUE)
        self.device.require(self.location)
        self.device.user_text = data[1:].rstrip(b"\x00").decode("latin-1")
        return struct.pack(">BHH", 16, address, count)
