"""Registers and coils of a Modbus device: every answer is compared with its request."""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from bench.errors import InstrumentError

# Modbus application protocol 1.1b3, section 7
EXCEPTIONS: Mapping[int, str] = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "acknowledge, still working",
    6: "device busy",
    7: "negative acknowledge",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target does not answer",
}


class Registers(ABC):
    """Reads and writes; what carries them asks with `_ask` and hangs up with `_disconnect`."""

    where: Any  # the instrument and its address, for messages

    @abstractmethod
    def _ask(self, function: int, call: str, address: int, **values: Any) -> Any:
        """Send one request, by the name that the Modbus library has for it, and return its answer."""

    @abstractmethod
    def _disconnect(self) -> None:
        """Close the connection."""

    def read_holding_registers(self, address: int, count: int = 1) -> list[int]:
        """Read registers with function 03."""
        return self._registers(3, "read_holding_registers", address, count)

    def read_input_registers(self, address: int, count: int = 1) -> list[int]:
        """Read registers with function 04."""
        return self._registers(4, "read_input_registers", address, count)

    def read_coils(self, address: int, count: int = 1, *, device_id: int | None = None) -> list[bool]:
        """Read coils with function 01; the lowest bit of the first byte is the first coil.

        `device_id`: of another device on the same line than the usual one.
        """
        return self._bits(1, "read_coils", address, count, device_id)

    def read_discrete_inputs(self, address: int, count: int = 1) -> list[bool]:
        """Read inputs with function 02."""
        return self._bits(2, "read_discrete_inputs", address, count)

    def write_coil(self, address: int, on: bool, *, device_id: int | None = None) -> None:
        """Write one coil with function 05; the answer must repeat the request."""
        answer = self._ask(5, "write_coil", address, value=on, **_other(device_id))
        if answer.address != address or list(answer.bits[:1]) != [on]:
            raise self._out_of_step(5, address, f"coil {answer.address} {answer.bits[:1]}")

    def write_register(self, address: int, value: int) -> None:
        """Write one register with function 06; the answer must repeat the request."""
        answer = self._ask(6, "write_register", address, value=value)
        if answer.address != address or list(answer.registers) != [value]:
            raise self._out_of_step(6, address, f"register {answer.address} {answer.registers}")

    def write_coils(self, address: int, values: Sequence[bool]) -> None:
        """Write neighbouring coils with function 15."""
        answer = self._ask(15, "write_coils", address, values=list(values))
        if answer.address != address or answer.count != len(values):
            raise self._out_of_step(15, address, f"{answer.count} coils from {answer.address}")

    def write_registers(self, address: int, values: Sequence[int]) -> None:
        """Write neighbouring registers with function 16."""
        answer = self._ask(16, "write_registers", address, values=list(values))
        if answer.address != address or answer.count != len(values):
            raise self._out_of_step(16, address, f"{answer.count} registers from {answer.address}")

    def read_float(self, address: int) -> float:
        """Read an IEEE-754 float from two holding registers, high word first."""
        return float(struct.unpack(">f", struct.pack(">HH", *self.read_holding_registers(address, 2)))[0])

    def read_text(self, address: int, count: int) -> str:
        """Read a text of `count` holding registers, two characters each, ended by a zero or padded with it."""
        raw = struct.pack(f">{count}H", *self.read_holding_registers(address, count))
        return raw.split(b"\0", 1)[0].decode("latin-1").strip()

    def _registers(self, function: int, call: str, address: int, count: int) -> list[int]:
        registers = list(self._ask(function, call, address, count=count).registers)
        if len(registers) != count:
            raise self._out_of_step(function, address, f"{len(registers)} registers instead of {count}")
        return registers

    def _bits(self, function: int, call: str, address: int, count: int, device_id: int | None = None) -> list[bool]:
        bits = list(self._ask(function, call, address, count=count, **_other(device_id)).bits)
        # EA in Limited compliance answers one coil with the two bytes FF 00 or 00 00 (guide, function 01).
        if len(bits) not in ((count + 7) // 8 * 8, 16 if count == 1 else -1):
            raise self._out_of_step(function, address, f"{len(bits)} bits instead of {count}")
        return bits[:count]

    def _out_of_step(self, function: int, address: int, found: str) -> InstrumentError:
        self._disconnect()
        return InstrumentError(
            f"{self.where}: asked function {function:02} at {address} but got {found}: the conversation is out "
            "of step and was closed"
        )


def _other(device_id: int | None) -> dict[str, int]:
    return {} if device_id is None else {"device_id": device_id}
