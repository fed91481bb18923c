"""Arguments of SCPI as the meters of one maker read them: numbers with MIN and MAX, channel lists `(@101,103:105)`."""

from __future__ import annotations

import re

from instruments.virtual.instrument_errors import Refused
from instruments.virtual.scpi_face import parse_number

_SUFFIX = re.compile(r":?([A-Za-z]+)(\d+)(.*)")
_LIST = re.compile(r"\(@([\d:,\s]*)\)")


def parse_bounded(text: str, units: dict[str, float], low: float, high: float) -> float:
    """Read a number with or without its unit, or MIN or MAX, inside its limits.

    Raises:
        Refused: nothing there, no number, a strange unit, or out of range.
    """
    word = text.strip().upper()
    if not word:
        raise Refused(-109)
    if word in ("MIN", "MINIMUM", "MAX", "MAXIMUM"):
        return low if word.startswith("MIN") else high
    value = parse_number(word, units, syntax=-104, suffix=-131)
    if not low <= value <= high:
        raise Refused(-222)
    return value


def split_suffix(header: str) -> tuple[str, str]:
    """Return a header without the number after its first word, and that number: `SOUR3:VOLT` is `SOUR:VOLT` and `3`."""
    match = _SUFFIX.fullmatch(header)
    return (header, "") if match is None else (match[1] + match[3], match[2])


def split_channels(text: str, known: range) -> tuple[list[str], list[int] | None]:
    """Return the arguments before the channel list, and its channels in ascending order; None if there is no list.

    Raises:
        Refused: a list that is not one, or a channel that is not `known`.
    """
    match = _LIST.search(text)
    if match is None:
        if "@" in text:
            raise Refused(-102)
        return _words(text), None
    if text[match.end() :].strip():
        raise Refused(-102)
    channels: set[int] = set()
    for part in filter(None, (part.strip() for part in match[1].split(","))):
        first, colon, last = part.partition(":")
        if not first.isdigit() or (colon and not last.isdigit()):
            raise Refused(-102)
        low, high = int(first), int(last or first)
        if low > high or low not in known or high not in known:
            raise Refused(-224)
        channels.update(range(low, high + 1))
    return _words(text[: match.start()].strip().removesuffix(",")), sorted(channels)


def _words(text: str) -> list[str]:
    return [word.strip().upper() for word in text.split(",") if word.strip()]
