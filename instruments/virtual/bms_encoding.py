"""From a value in inside units to the raw bits of a field: the virtual BMS's own encoder.

It is written from the profile and the database alone and shares nothing with the bench's decoders.

Device rules: a value that a field cannot hold saturates at the field's end (real devices wrap, clamp or send
nonsense; wrapping is a defect here). Numbers are rounded to the nearest count, except a current in coarser steps
than the unit's finest current word, which is cut toward zero as Seplos does (-1.37 A appears as -1.3 A).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from bench.errors import DefinitionError
from bench.loading import nearest
from bench.profile import CanDbcLink, Profile
from bench.quantities import UNITS
from bench.signals import CanSignal, ModbusSignal, Signal

Recode = Callable[[int, "Word"], int]


@dataclass(frozen=True, slots=True)
class Field:
    """A number on a link: `value = raw * factor + offset`, in the signal's unit."""

    bits: int
    signed: bool
    factor: float
    offset: float = 0.0
    floating: bool = False

    @property
    def lowest(self) -> int:
        """The lowest count."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def highest(self) -> int:
        """The highest count."""
        return (1 << (self.bits - (1 if self.signed else 0))) - 1

    def saturate(self, count: int) -> int:
        """Return the count, at the field's end if it does not fit."""
        return min(self.highest, max(self.lowest, count))

    def bits_of(self, count: int) -> int:
        """Return the raw bits of a count that fits, two's complement."""
        return count & ((1 << self.bits) - 1)


@dataclass(frozen=True, slots=True)
class Word:
    """The firmware's own integer of the pack current: width in bits, and amperes per count."""

    bits: int
    step_a: float


@lru_cache(maxsize=16)
def _load(path: Path, changed_ns: int) -> Any:
    import cantools  # heavy, and only wanted for units on a CAN bus

    try:
        return cantools.database.load_file(str(path), strict=False)
    except Exception as problem:
        raise DefinitionError(f"{path}: this CAN database cannot be read: {problem}") from problem


def database(profile: Profile, link_name: str) -> Any:
    """Return the CAN database of a link, from the file beside the profile.

    Raises:
        DefinitionError: the link is no CAN link, or the file is missing or unreadable.
    """
    link = profile.links[link_name]
    if not isinstance(link, CanDbcLink):
        raise DefinitionError(f"{profile.source.name}, links.{link_name}: kind {link.kind!r} has no database")
    path = profile.source.parent / link.dbc
    try:
        return _load(path, path.stat().st_mtime_ns)
    except FileNotFoundError:
        raise DefinitionError(f"{profile.source.name}, links.{link_name}.dbc: {path} does not exist") from None


def message_of(profile: Profile, link_name: str, message: str, where: str) -> Any:
    """Return a message of the link's database.

    Raises:
        DefinitionError: it is not there; the nearest name is given.
    """
    table = {entry.name: entry for entry in database(profile, link_name).messages}
    if message not in table:
        raise DefinitionError(
            f"{profile.source.name}, {where}: the database has no message {message!r}{nearest(message, table)}"
        )
    return table[message]


def dbc_signal(profile: Profile, name: str, signal: CanSignal) -> Any:
    """Return the database's entry for a profile signal.

    Raises:
        DefinitionError: message or signal is not there.
    """
    message = message_of(profile, signal.link, signal.message, f"signals.{name}.message")
    table = {entry.name: entry for entry in message.signals}
    if signal.signal not in table:
        raise DefinitionError(
            f"{profile.source.name}, signals.{name}.signal: message {signal.message!r} has no signal "
            f"{signal.signal!r}{nearest(signal.signal, table)}"
        )
    return table[signal.signal]


def field_of(profile: Profile, name: str, signal: Signal) -> Field:
    """Return how a profile's signal is encoded.

    Raises:
        DefinitionError: the database does not know it.
    """
    if isinstance(signal, ModbusSignal):
        bits = {"int16": 16, "uint16": 16, "int32": 32, "uint32": 32, "float32": 32, "bit": 1}[signal.type]
        signed, floating = signal.type.startswith("int"), signal.type == "float32"
        return Field(bits, signed, signal.scale, -signal.zero * signal.scale, floating)
    entry = dbc_signal(profile, name, signal)
    return Field(entry.length, entry.is_signed, float(entry.scale), float(entry.offset), entry.is_float)


def is_measured_current(name: str, signal: Signal) -> bool:
    """Say whether a signal carries the pack current (and not, say, a limit)."""
    return signal.quantity == "current" and name.endswith("_current")


def pack_word(profile: Profile) -> Word:
    """Return the integer that the firmware keeps for the pack current: that of the signal `pack_current`."""
    signal = profile.signals["pack_current"]
    field = field_of(profile, "pack_current", signal)
    step = 1e-3 if field.floating else abs(field.factor * UNITS[signal.unit].factor)
    return Word(field.bits, step)


def make_encoder(
    profile: Profile, name: str, signal: Signal, source: Callable[[], float], recodes: tuple[Recode, ...] = ()
) -> Callable[[], int]:
    """Return a function that gives the raw bits of a signal now, as an unsigned integer.

    `source` gives the value in inside units, charging positive (flags 0 or 1, states their raw value).
    """
    field = field_of(profile, name, signal)
    unit = UNITS[signal.unit]
    turn = -1.0 if signal.positive_means == "discharge" else 1.0
    magnitude = signal.positive_means == "magnitude"
    if is_measured_current(name, signal) and not field.floating:
        return _current_encoder(profile, field, unit.factor, turn, magnitude, source, recodes)
    if field.floating:
        layout = {16: ">e", 32: ">f", 64: ">d"}[field.bits]

        def floating() -> int:
            number = turn * (abs(source()) if magnitude else source())
            packed = struct.pack(layout, ((number - unit.offset) / unit.factor - field.offset) / field.factor)
            return int.from_bytes(packed, "big")

        return floating
    if unit.quantity == "none":
        flip = 1 if signal.active_low else 0
        return lambda: field.bits_of(field.saturate(int(source()) ^ flip))
    factor, offset = unit.factor, unit.offset

    def plain() -> int:
        value = source()
        number = (turn * (abs(value) if magnitude else value) - offset) / factor
        return field.bits_of(field.saturate(round((number - field.offset) / field.factor)))

    return plain


def _current_encoder(
    profile: Profile,
    field: Field,
    unit_factor: float,
    turn: float,
    magnitude: bool,
    source: Callable[[], float],
    recodes: tuple[Recode, ...],
) -> Callable[[], int]:
    word = pack_word(profile)
    step_a = field.factor * unit_factor
    coarse = max(1, round(abs(step_a) / word.step_a))
    coarse = coarse if abs(coarse * word.step_a - abs(step_a)) < 1e-9 * abs(step_a) else 0
    negative = -1 if step_a < 0 else 1
    zero = round(field.offset / field.factor)

    def current() -> int:
        value = source()
        count = round(turn * (abs(value) if magnitude else value) / word.step_a)
        for recode in recodes:
            count = recode(count, word)
        if coarse:
            count = count // coarse if count >= 0 else -(-count // coarse)
        else:  # a step that is no multiple of the firmware's own: worked out anew
            count = round(count * word.step_a / abs(step_a))
        return field.bits_of(field.saturate(negative * count - zero))

    return current
