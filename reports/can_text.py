"""The text forms of CAN recordings that python-can does not read, or reads without noticing a cut line.

candump's log (`can-utils`), candump's screen output and its relatives, Vector's lines without a header, and PCAN's
older text export.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import IO

from bench.frames import CanFrame

COMMENTS = ("#", ";", "//", "***")
EXTENDED_DIGITS = 3  # more hexadecimal digits than this make an extended identifier in candump's forms
ERROR_FLAG = 0x20000000  # CAN_ERR_FLAG of linux/can.h

_HEX = r"(?P<data>(?:[0-9A-Fa-f]{2}(?:\s+|$))*)"
# Each form of a line with a frame. Anchored at both ends: a cut line fits none of them.
FORMS: dict[str, re.Pattern[str]] = {
    "candump log": re.compile(
        r"\((?P<at>\d+(?:\.\d+)?)\)\s+(?P<channel>\S+)\s+(?P<id>[0-9A-Fa-f]{3,8})#(?:#[0-9A-Fa-f])?"
        r"(?P<data>(?:[0-9A-Fa-f]{2})*)(?P<remote>[Rr]\d?)?(?:\s+(?P<direction>[RT]))?"
    ),
    "candump text": re.compile(
        r"\((?P<at>\d+(?:\.\d+)?)\)\s+(?P<channel>\S+)\s+(?:(?P<direction>[RT]X)\s+(?:[-B]\s+[-E]\s+)?)?"
        rf"(?P<id>[0-9A-Fa-f]{{1,8}})\s+\[(?P<count>\d{{1,2}})\]\s*{_HEX}(?P<remote>remote request)?"
    ),
    "Vector text": re.compile(
        r"(?P<at>\d+\.\d+)\s+(?P<channel>\d+)\s+(?P<id>[0-9A-Fa-f]{1,8})(?P<extended>x?)\s+"
        rf"(?P<direction>Rx|Tx)\s+d\s+(?P<count>\d{{1,2}})\s*{_HEX}",
        re.IGNORECASE,
    ),
    "PCAN text": re.compile(
        r"Timestamp:\s*(?P<at>\d+\.\d+)\s+ID:\s*(?P<id>[0-9A-Fa-f]{1,8})\s+(?P<kind>[SX])\s+(?P<direction>Rx|Tx)\s+"
        rf"DL:\s*(?P<count>\d{{1,2}})\s*{_HEX}"
    ),
}

UNSTATED_LENGTH = "candump log"  # the one form whose lines do not say how many bytes they have


@dataclass(slots=True)
class Told:
    """What a recording is and what was odd about it; complete when all frames have been read."""

    form: str = ""
    frames: int = 0
    other_lines: int = 0
    first_other: str = ""
    remote_frames: int = 0
    steps_back: int = 0
    damage: str = ""
    last_at_s: float | None = field(default=None, repr=False)


class Incomplete(ValueError):
    """A line that looks like a frame but has not the bytes it states."""


def form_of(text: str) -> str | None:
    """Return the name of the form that a line has, or None."""
    return next((form for form, pattern in FORMS.items() if pattern.fullmatch(text)), None)


def parse_line(form: str, text: str) -> CanFrame | None:
    """Return the frame of a line in that form; None for a remote frame, which carries no data.

    Raises:
        Incomplete: the line has not the bytes it states.
        LookupError: the line has another form.
    """
    match = FORMS[form].fullmatch(text)
    if match is None:
        raise LookupError(text)
    parts = match.groupdict()
    if parts.get("remote"):
        return None
    data = bytes.fromhex(parts["data"])
    if parts.get("count") is not None and int(parts["count"]) != len(data):
        raise Incomplete(f"it states {parts['count']} bytes and has {len(data)}")
    can_id = int(parts["id"], 16)
    if parts.get("kind") is not None:
        extended = parts["kind"] == "X"
    elif parts.get("extended") is not None:
        extended = bool(parts["extended"])
    else:
        extended = len(parts["id"]) > EXTENDED_DIGITS
    direction = (parts.get("direction") or "").upper()
    channel = parts.get("channel") or ""
    return CanFrame(
        at_s=float(parts["at"]),
        can_id=can_id & 0x1FFFFFFF,
        data=data,
        extended=extended,
        outgoing=direction.startswith("T") or (not direction and channel.upper().startswith("TX")),
        error=form.startswith("candump") and bool(can_id & ERROR_FLAG),
        channel=channel,
    )


class CountedLines:
    """A text file for python-can's readers that knows which lines they have taken."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self.number = 0
        self.text = ""
        self.cut = False
        self.since_frame: list[str] = []

    def __iter__(self) -> CountedLines:
        return self

    def __next__(self) -> str:
        line = next(self._file)
        self.number += 1
        self.text = line.strip()
        self.cut = not line.endswith("\n")
        self.since_frame.append(line)
        return line

    def read(self, size: int = -1) -> str:
        """Readers look for this to tell a file from a path."""
        return self._file.read(size)

    def close(self) -> None:
        """The file is closed by who opened it."""
