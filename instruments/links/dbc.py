"""A profile's CAN signals, found in its database file and ready to decode.

cantools is imported when a database is loaded: it imports python-can, which no command line should pay for.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import BadFrame, DefinitionError
from bench.loading import nearest
from bench.profile import CanDbcLink, Profile
from bench.signals import CanSignal
from instruments.links.dbc_checks import check_signal, period_warning
from instruments.links.values import Decoded, decoded, not_implemented

if TYPE_CHECKING:
    from cantools.database.can import Database, Message

FrameKey = tuple[int, bool]  # identifier, extended


KEPT_FRAMES = 64  # per message, whose meaning is remembered


class MessageDecoder:
    """Decodes one message of the database, for the signals of the profile that it carries."""

    def __init__(self, message: Message, wanted: list[tuple[str, CanSignal, Any]]) -> None:
        from cantools.database import DecodeError

        self.message = message
        self.name: str = message.name
        self.length: int = message.length
        self.signals = [name for name, _, _ in wanted]
        self._wanted = [(name, signal, entry, (entry.minimum, entry.maximum)) for name, signal, entry in wanted]
        self._decode_error = DecodeError
        self._known: dict[bytes, list[Decoded]] = {}

    def decode(self, data: bytes) -> list[Decoded]:
        """Return what the frame says about each signal; a multiplexer value that is not ours says nothing.

        The same bytes say the same again: flags and states repeat for minutes, and are looked up.
        """
        results = self._known.get(data)
        if results is None:
            if len(self._known) >= KEPT_FRAMES:
                self._known.clear()
            results = self._known[data] = self._decode(data)
        return results

    def _decode(self, data: bytes) -> list[Decoded]:
        if len(data) != self.length:
            text = f"{self.name} has {len(data)} bytes instead of {self.length}: {data.hex(' ').upper() or 'none'}"
            return [Decoded(name, None, problem=BadFrame(f"{name}: {text}")) for name in self.signals]
        try:
            raws: dict[str, Any] = self.message.decode_simple(data, decode_choices=False, scaling=False)
        except self._decode_error:
            # The length is right, so only an undeclared multiplexer value is left: another part's frame.
            return []
        results = []
        for name, signal, entry, declared in self._wanted:
            raw = raws.get(entry.name)
            if raw is None:
                continue
            if raw in signal.not_implemented or _unsigned(raw, entry.length) in signal.not_implemented:
                results.append(not_implemented(name, _unsigned(raw, entry.length), f"message {self.name}"))
            else:
                number = float(entry.raw_to_scaled(raw, decode_choices=False))
                results.append(decoded(name, signal, raw, number, declared))
        return results


class DbcMap:
    """The database of one link of a profile; checked when it is made, before anything is opened."""

    def __init__(self, profile: Profile, link_name: str) -> None:
        link = profile.links[link_name]
        if not isinstance(link, CanDbcLink):
            raise DefinitionError(f"{profile.source.name}, links.{link_name}: {link.kind!r} is not a CAN link")
        self.link_name = link_name
        self.path = profile.source.parent / link.dbc
        self.where = f"{profile.source.name}, links.{link_name}"
        self.database = load_database(self.path, f"{self.where}.dbc")
        self.signals: dict[str, CanSignal] = {
            name: signal
            for name, signal in profile.signals.items()
            if isinstance(signal, CanSignal) and signal.link == link_name
        }
        self.warnings: list[str] = []
        wanted: dict[str, list[tuple[str, CanSignal, Any]]] = {}
        for name, signal in self.signals.items():
            key_path = f"{profile.source.name}, signals.{name}"
            message = self.message(signal.message, f"{key_path}.message")
            entry = check_signal(message, signal, key_path, self.path.name, self.warnings)
            wanted.setdefault(message.name, []).append((name, signal, entry))
            if (warning := period_warning(message, signal, key_path)) is not None:
                self.warnings.append(warning)
        self.decoders: dict[FrameKey, MessageDecoder] = {}
        for message in self.database.messages:
            if message.name in wanted:
                key = (message.frame_id, message.is_extended_frame)
                self.decoders[key] = MessageDecoder(message, wanted[message.name])
        self.known: set[FrameKey] = {(m.frame_id, m.is_extended_frame) for m in self.database.messages}

    def message(self, name: str, key_path: str) -> Message:
        """Return a message of the database.

        Raises:
            DefinitionError: there is none of that name; says the nearest.
        """
        for message in self.database.messages:
            if message.name == name:
                return message
        names = [message.name for message in self.database.messages]
        raise DefinitionError(f"{key_path}: {self.path.name} has no message {name!r}{nearest(name, names)}")

    def encode(self, message: Message, values: dict[str, float], key_path: str) -> bytes:
        """Encode a message; signals that are not named are sent with raw value 0.

        Raises:
            DefinitionError: a name that the message does not have, or a value that its signal cannot hold.
        """
        entries = {entry.name: entry for entry in message.signals}
        raws: dict[str, Any] = dict.fromkeys(entries, 0)
        for name, value in values.items():
            if name not in entries:
                raise DefinitionError(f"{key_path}: {message.name} has no signal {name!r}{nearest(name, entries)}")
            entry = entries[name]
            raw = round(entry.scaled_to_raw(value))
            low = -(1 << entry.length - 1) if entry.is_signed else 0
            high = (1 << entry.length - (1 if entry.is_signed else 0)) - 1
            if not low <= raw <= high:
                raise DefinitionError(f"{key_path}: {name} = {value:g} does not fit into {entry.length} bits")
            raws[name] = raw
        return bytes(message.encode(raws, scaling=False, strict=False))


def _unsigned(raw: float, bits: int) -> int:
    """Return the bits of a raw number as they stand in the frame; a profile may write 0x8000 or -32768."""
    return int(raw) & ((1 << bits) - 1)


def load_database(path: Path, key_path: str) -> Database:
    """Load a database file; overlapping signals are tolerated, as several makers ship them.

    Raises:
        DefinitionError: missing, unreadable, or not a database; with file and what the reader objected to.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        siblings = [file.name for file in path.parent.glob("*.dbc")]
        raise DefinitionError(f"{key_path}: there is no file {path}{nearest(path.name, siblings)}") from None
    except OSError as problem:
        raise DefinitionError(f"{key_path}: {path} cannot be read: {problem}") from None
    return _parse(content, path.name, key_path)


@lru_cache(maxsize=16)
def _parse(content: bytes, file_name: str, key_path: str) -> Database:
    import cantools

    try:
        text = content.decode("cp1252")  # the code page of the tools that write these files
        database = cantools.database.can.Database(strict=False)
        database.add_dbc_string(text)
    except Exception as problem:  # noqa: BLE001 - whatever the parsers of a foreign file come up with
        raise DefinitionError(f"{key_path}: {file_name} is not a usable CAN database: {problem}") from None
    return database
