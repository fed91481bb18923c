"""The base of drivers that speak SCPI: say something, ask whether it was accepted, read numbers with care."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bench.errors import InstrumentError
from bench.quantities import UNITS
from bench.roles import Identity
from instruments.transports.visa import ScpiTransport

_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?(\d*)|\.(\d+))(?:[eE]([+-]?\d+))?)\s*([A-Za-z%]*)\s*")
_ERROR = re.compile(r'\s*([+-]?\d+)\s*,?\s*"?(.*?)"?\s*')
# 9.9E37 is SCPI's infinity (overload), 9.91E37 its "not a number" (SCPI-99, section 7.2.1)
_NO_READING = 9.8e37
_QUEUE_DEPTH = 20
_PLAIN = "0123456789.+-eE "  # no letter of nan or inf, no underscore


@dataclass(frozen=True, slots=True)
class Number:
    """A number as an instrument wrote it, in inside units, and the value of its last digit."""

    value: float
    resolution: float


def parse_number(text: str, unit: str, what: str) -> Number:
    """Read `12.5`, `+1.250000E+01`, `12.5V` or `2.5kW` as a number in an inside unit.

    Raises:
        InstrumentError: not a number, a unit of another quantity, or a reading that the instrument calls missing.
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise InstrumentError(f"{what}: {text!r} is not a number in {unit}")
    digits, decimals, bare_decimals, exponent, suffix = match.groups()
    value = float(digits)
    if abs(value) >= _NO_READING:
        raise InstrumentError(f"{what}: {text.strip()} means overload or no reading")
    resolution = 10.0 ** (int(exponent or 0) - len(decimals or bare_decimals or ""))
    if not suffix or suffix == unit:
        return Number(value, resolution)
    found = UNITS.get(suffix)
    if found is None or found.quantity != UNITS[unit].quantity or found.offset:
        raise InstrumentError(f"{what}: {text!r} carries the unit {suffix!r}, expected {unit}")
    return Number(found.to_si(value), found.to_si(resolution))


def _float_or_none(plain: str) -> float | None:
    try:
        return float(plain)
    except ValueError:
        return None


def parse_switch(text: str, what: str) -> bool:
    """Read `ON`, `OFF`, `1` or `0`.

    Raises:
        InstrumentError: anything else.
    """
    word = text.strip().upper()
    if word in ("ON", "1"):
        return True
    if word in ("OFF", "0"):
        return False
    raise InstrumentError(f"{what}: {text!r} is neither ON nor OFF")


def parse_identity(text: str) -> Identity:
    """Read the four fields of an `*IDN?` answer; commas beyond the third belong to the firmware."""
    maker, model, serial, firmware = ([field.strip() for field in text.split(",", 3)] + [""] * 4)[:4]
    return Identity(maker, model, serial, firmware)


class Scpi:
    """A SCPI transport with questions that have numbers for answers, and commands that are checked."""

    def __init__(self, transport: ScpiTransport) -> None:
        self.transport = transport
        self.name = transport.name

    def write(self, command: str) -> None:
        """Send a command without asking for errors."""
        self.transport.write(command)

    def write_checked(self, command: str) -> None:
        """Send a command, then read the error queue in a separate message.

        Raises:
            InstrumentError: with the command, code and text of what the instrument objected to.
        """
        self.transport.write(command)
        self.check_errors(command)

    def check_errors(self, command: str) -> None:
        """Read the error queue until it is empty; raise what was in it."""
        found = self.drain_errors()
        if found:
            raise InstrumentError(f"{self.transport.where}: refused {command!r}: {'; '.join(found)}")

    def drain_errors(self) -> list[str]:
        """Read the error queue until it is empty, and return what was in it."""
        found: list[str] = []
        for _ in range(_QUEUE_DEPTH):
            code, text = self._next_error()
            if code == 0:
                return found
            found.append(f"{code} {text}")
        return [*found, f"and more: its error queue is not empty after {_QUEUE_DEPTH} entries"]

    def query(self, command: str, *, timeout_s: float | None = None) -> str:
        """Ask for a line of text."""
        return self.transport.query(command, timeout_s=timeout_s)

    def query_number(self, command: str, unit: str, *, timeout_s: float | None = None) -> Number:
        """Ask for a number in the given inside unit, and keep the resolution of the answer."""
        return parse_number(self.query(command, timeout_s=timeout_s), unit, f"{self.name}, {command}")

    def query_float(self, command: str, unit: str, *, timeout_s: float | None = None) -> float:
        """Ask for a number in the given inside unit."""
        text = self.transport.query(command, timeout_s=timeout_s)
        plain = text.removesuffix(unit) if unit.isalpha() else text  # "1" would take a digit of the exponent
        if plain and not plain.strip(_PLAIN):  # the everyday answer, at a fifth of the pattern's price
            value = _float_or_none(plain)
            if value is not None and -_NO_READING < value < _NO_READING:
                return value
        return parse_number(text, unit, f"{self.name}, {command}").value

    def query_switch(self, command: str) -> bool:
        """Ask for `ON` or `OFF`."""
        return parse_switch(self.query(command), f"{self.name}, {command}")

    def query_bits(self, command: str) -> int:
        """Ask for a register of bits."""
        text = self.query(command).strip()
        if not re.fullmatch(r"\+?\d+", text):
            raise InstrumentError(f"{self.name}, {command}: {text!r} is not a register of bits")
        return int(text)

    def _next_error(self) -> tuple[int, str]:
        text = self.query("SYST:ERR?")
        match = _ERROR.fullmatch(text)
        if match is None:
            raise InstrumentError(f"{self.name}, SYST:ERR?: {text!r} is not an error message")
        return int(match[1]), match[2]
