"""One line of text per frame, message and channel name, as the evidence files have them."""

from __future__ import annotations

from bench.frames import CanFrame
from bench.roles import Dialogue


def candump_line(frame: CanFrame) -> str:
    """Return a frame as one line of a candump log; frames of the bench itself end in `T` (can-utils log format)."""
    if frame.error:
        ident = f"{0x20000000 | frame.can_id:08X}"
    else:
        ident = f"{frame.can_id:08X}" if frame.extended else f"{frame.can_id:03X}"
    separator = "##0" if len(frame.data) > 8 else "#"
    direction = " T" if frame.outgoing else ""
    channel = frame.channel.replace(" ", "_") or "can0"
    return f"({frame.at_s:017.6f}) {channel} {ident}{separator}{frame.data.hex().upper()}{direction}\n"


def dialogue_line(dialogue: Dialogue) -> str:
    """Return a message to or from an instrument as one line; line ends inside it become visible."""
    return str(dialogue).replace("\r", "\\r").replace("\n", "\\n") + "\n"


def csv_word(name: str) -> str:
    """Return a name as a field of a CSV file, on one line."""
    if any(mark in name for mark in ',"\r\n'):
        return '"' + name.replace('"', '""').replace("\r", " ").replace("\n", " ") + '"'
    return name
