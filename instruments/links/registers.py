"""Registers and bits of a Modbus map: into few requests, and from words to numbers."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.errors import BadFrame
from bench.signals import ModbusSignal
from instruments.links.values import Decoded, decoded, not_implemented

MOST_REGISTERS = 125  # Modbus application protocol 1.1b3, 6.3
MOST_BITS = 2000  # the same, 6.1
# A hole of a few unused registers costs less than another request. Devices that refuse it are asked without.
SMALL_GAP = 8


@dataclass(slots=True)
class Group:
    """One request: neighbouring registers, or bits, of one unit."""

    unit_id: int
    function: int
    address: int
    count: int
    signals: list[tuple[str, ModbusSignal]] = field(default_factory=list)

    @property
    def key(self) -> tuple[int, int]:
        """Unit and function."""
        return self.unit_id, self.function

    def __str__(self) -> str:
        return f"unit {self.unit_id}, function {self.function:02}, 0x{self.address:04X} x {self.count}"


def width(signal: ModbusSignal) -> int:
    """Return how many registers (or bits, for functions 1 and 2) a signal takes."""
    return 2 if signal.type in ("int32", "uint32", "float32") else 1


def plan(signals: Mapping[str, ModbusSignal], unit_id: int, gap: int = SMALL_GAP) -> list[Group]:
    """Group signals into as few requests as unit, function, adjacency and the protocol's limits allow."""

    def place(item: tuple[str, ModbusSignal]) -> tuple[int, int, int, str]:
        unit = item[1].unit_id if item[1].unit_id is not None else unit_id
        return unit, item[1].function, item[1].address, item[0]

    groups: list[Group] = []
    for name, signal in sorted(signals.items(), key=place):
        unit, function, address, _ = place((name, signal))
        end = address + width(signal)
        last = groups[-1] if groups else None
        most = MOST_BITS if function in (1, 2) else MOST_REGISTERS
        if (
            last is not None
            and last.key == (unit, function)
            and address <= last.address + last.count + gap
            and end - last.address <= most
        ):
            last.count = max(last.count, end - last.address)
        else:
            last = Group(unit, function, address, width(signal))
            groups.append(last)
        last.signals.append((name, signal))
    return groups


def decode(group: Group, answer: Sequence[int] | Sequence[bool], where: str) -> list[Decoded]:
    """Turn the answer to one request into what it says about each signal."""
    if len(answer) != group.count:
        text = f"{len(answer)} values instead of {group.count} in the answer to {group} on {where}"
        return [Decoded(name, None, problem=BadFrame(f"{name}: {text}")) for name, _ in group.signals]
    results = []
    for name, signal in group.signals:
        start = signal.address - group.address
        words = [int(word) for word in answer[start : start + width(signal)]]
        results.append(_decode(name, signal, words, where))
    return results


def _decode(name: str, signal: ModbusSignal, words: list[int], where: str) -> Decoded:
    if any(not 0 <= word <= 0xFFFF for word in words):
        return Decoded(name, None, problem=BadFrame(f"{name}: {words} are no 16-bit words, on {where}"))
    if signal.type == "bit":
        raw = words[0] if signal.function in (1, 2) else words[0] >> (signal.bit or 0) & 1
        return decoded(name, signal, raw, raw)
    if signal.word_order == "low_first":
        words = words[::-1]
    pattern = int.from_bytes(b"".join(word.to_bytes(2, "big") for word in words), "big")
    bits = 16 * len(words)
    signed = pattern - (1 << bits) if pattern >> (bits - 1) else pattern
    # A profile may write 0x8000 or -32768: the same bits.
    if pattern in signal.not_implemented or signed in signal.not_implemented:
        return not_implemented(name, pattern, where)
    if signal.type == "float32":
        number = struct.unpack(">f", pattern.to_bytes(4, "big"))[0]
        return decoded(name, signal, number, (number - signal.zero) * signal.scale)
    raw = signed if signal.type in ("int16", "int32") else pattern
    return decoded(name, signal, raw, (raw - signal.zero) * signal.scale)
