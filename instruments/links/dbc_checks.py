"""What a profile and its CAN database may not disagree about; checked before anything is opened.

The worst of them was found in a published database of an electric car: a battery current declared unsigned
although its own range is -400 ... 200. Every reader of that file shows +1024 A for a small negative current.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.errors import DefinitionError
from bench.loading import nearest
from bench.quantities import UNITS
from bench.signals import CanSignal

if TYPE_CHECKING:
    from cantools.database.can import Message, Signal

# Spellings found in published databases, and the bench's own.
SPELLINGS = {
    "°c": "degC",
    "degc": "degC",
    "deg c": "degC",
    "c": "degC",
    "celsius": "degC",
    "volt": "V",
    "volts": "V",
    "amp": "A",
    "amps": "A",
    "ampere": "A",
    "percent": "%",
    "ohms": "ohm",
    "kohm": "kohm",
    "mohm": "mohm",
    "watt": "W",
    "°k": "K",
}
PERIOD_TOLERANCE = 0.05


def check_signal(message: Message, signal: CanSignal, key_path: str, file_name: str, warnings: list[str]) -> Signal:
    """Return the database's entry for a signal of the profile, after comparing the two.

    Raises:
        DefinitionError: not in the message, multiplexed otherwise than the profile says, declared unsigned
            with a negative range, or in another unit.
    """
    entries: dict[str, Signal] = {entry.name: entry for entry in message.signals}
    entry = entries.get(signal.signal)
    here = f"{file_name}, message {message.name}"
    if entry is None:
        raise DefinitionError(
            f"{key_path}.signal: {here} has no signal {signal.signal!r}{nearest(signal.signal, entries)}"
        )
    here = f"{here}, signal {entry.name}"
    _check_multiplexer(entry, signal, key_path, here)
    if (low := unreachable_minimum(entry)) is not None:
        raise DefinitionError(
            f"{key_path}: {here} is declared unsigned although its own range begins at {low:g}: a negative value "
            f"would read as a large positive one; correct the database ('-' after the byte order) or its range"
        )
    _check_unit(entry, signal, key_path, here, warnings)
    return entry


def unreachable_minimum(entry: Signal) -> float | None:
    """Return the declared minimum of an unsigned signal that no raw value can reach, otherwise None."""
    if entry.is_signed or entry.is_float or entry.minimum is None:
        return None
    ends = (entry.offset, entry.offset + entry.scale * ((1 << entry.length) - 1))
    # Half a step of slack: ranges in databases are rounded to what people like to read.
    return float(entry.minimum) if entry.minimum < min(ends) - abs(entry.scale) / 2 else None


def period_warning(message: Message, signal: CanSignal, key_path: str) -> str | None:
    """Say so when the database states another period than the profile."""
    if not message.cycle_time:
        return None
    database_s = message.cycle_time / 1000
    if abs(database_s - signal.period_s) <= PERIOD_TOLERANCE * signal.period_s:
        return None
    rotation = "; is one a full rotation of the multiplexer?" if message.is_multiplexed() else ""
    return (
        f"{key_path}.period_s: {signal.period_s:g} s, but the database says that {message.name} comes every "
        f"{database_s:g} s{rotation}"
    )


def unit_of(entry: Signal) -> str | None:
    """Return the bench's name of the database's unit; None where it says nothing or nothing known."""
    written = (entry.unit or "").strip()
    if written in UNITS and written != "C":  # a database's C is a temperature, not a coulomb
        return written
    return SPELLINGS.get(written.lower())


def _check_multiplexer(entry: Signal, signal: CanSignal, key_path: str, here: str) -> None:
    values = sorted(entry.multiplexer_ids or [])
    if values and signal.mux is None:
        raise DefinitionError(
            f"{key_path}.mux: is missing: {here} is sent under multiplexer value {', '.join(map(str, values))}"
        )
    if signal.mux is not None and signal.mux not in values:
        says = f"is sent under {', '.join(map(str, values))}" if values else "is not multiplexed"
        raise DefinitionError(f"{key_path}.mux: {signal.mux}, but {here} {says}")


def _check_unit(entry: Signal, signal: CanSignal, key_path: str, here: str, warnings: list[str]) -> None:
    written = (entry.unit or "").strip()
    if not written:
        return
    unit = unit_of(entry)
    if unit is None:
        warnings.append(f"{key_path}.unit: {here} has unit {written!r}, which cannot be compared")
    elif unit != signal.unit:
        raise DefinitionError(
            f"{key_path}.unit: {signal.unit!r}, but {here} has unit {written!r}; the profile takes the "
            "database's number as it is, so write the database's unit"
        )
