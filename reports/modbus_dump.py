"""Read dumps of a Modbus RTU conversation: `>>>` a request, `<<<` its answer, bytes in hexadecimal.

Such dumps carry no times. Frames whose checksum does not fit are told, never used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.errors import DefinitionError

_LINE = re.compile(r"(?P<way>>>>|<<<)\s*(?P<bytes>[0-9A-Fa-f]{2}(?:[.\s:]?[0-9A-Fa-f]{2})*)")


@dataclass(frozen=True, slots=True)
class Answer:
    """One answered request for registers (functions 3, 4) or bits (1, 2)."""

    index: int
    unit_id: int
    function: int
    address: int
    values: tuple[int, ...]


def is_dump(path: Path) -> bool:
    """Say whether a file begins like such a dump."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            first = next((line for line in file if line.strip() and not line.startswith("#")), "")
    except OSError:
        return False
    return _LINE.fullmatch(first.strip()) is not None


class ModbusDump:
    """A file with a conversation. Iterate once; then `remarks` and `damage` know what was odd."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.remarks: list[str] = []
        self.damage = ""
        self.answers = 0

    def __iter__(self) -> Iterator[Answer]:
        """Yield the answers in the order of the file.

        Raises:
            DefinitionError: the file cannot be read, or holds no usable answer.
        """
        try:
            lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as problem:
            raise DefinitionError(f"{self.path}: cannot be read: {problem}") from None
        request = b""
        refused = 0
        for number, line in enumerate(lines, 1):
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            match = _LINE.fullmatch(text)
            frame = bytes.fromhex(re.sub(r"[.\s:]", "", match["bytes"])) if match else b""
            if match is None or len(frame) < 5 or crc16(frame[:-2]) != frame[-2:]:
                self._damaged(number, text)
                request = b""
            elif match["way"] == ">>>":
                request = frame
            elif request and frame[:2] == bytes((request[0], request[1] | 0x80)):
                refused += 1
            elif request and frame[:2] == request[:2] and request[1] in (1, 2, 3, 4) and frame[2] == len(frame) - 5:
                self.answers += 1
                yield self._answer(request, frame)
        if refused:
            self.remarks.append(f"{refused} requests were refused by the unit")
        if not self.answers:
            raise DefinitionError(
                f"{self.path}: no answer with registers or bits in it; {self.damage or 'it is empty'}"
            )

    def _answer(self, request: bytes, frame: bytes) -> Answer:
        data = frame[3:-2]
        if request[1] in (1, 2):
            count = int.from_bytes(request[4:6], "big")
            bits = [byte >> bit & 1 for byte in data for bit in range(8)]
            values = tuple(bits[:count])
        else:
            values = tuple(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data) - 1, 2))
        return Answer(self.answers - 1, request[0], request[1], int.from_bytes(request[2:4], "big"), values)

    def _damaged(self, number: int, text: str) -> None:
        if not self.damage:
            self.damage = (
                f"{self.path}:{number}: this line is no whole frame (checksum or length): {text[:60]!r}; the other "
                "frames were used"
            )


def crc16(data: bytes) -> bytes:
    """Return the checksum of an RTU frame as it is sent (Modbus over serial line 1.02, 6.2.2)."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value.to_bytes(2, "little")
