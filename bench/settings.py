"""What a BMS says about itself, and which of its settings a test may change: sections of a profile, roles of a link.

A limit of a current is a magnitude here as everywhere; the sign that it has on the link is said once, by
`positive_means`, and turned once, in `Setting.count` and `Setting.inside`.
"""

from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable

from pydantic import Field, model_validator

from bench.errors import OutOfRange
from bench.loading import Frozen, nearest
from bench.quantities import EVERYDAY, INSIDE_UNIT, UNITS, Direction, Unit

FACTS = ("serial", "firmware", "hardware")
BITS = {"int16": 16, "uint16": 16, "int32": 32, "uint32": 32}


@runtime_checkable
class ReadsIdentity(Protocol):
    """A link over which the BMS says who it is."""

    def read_identity(self, fact: str) -> str:
        """Read `serial`, `firmware` or `hardware` now, as text.

        Raises:
            ReadingError: silent, refused, empty or no text. LinkError: the link itself is broken.
        """


@runtime_checkable
class ReadsSettings(Protocol):
    """A link over which settings can be read."""

    def read_setting(self, name: str) -> float:
        """Read a setting now, in its inside unit; a limit of a current as a magnitude.

        Raises:
            ReadingError: silent or refused. LinkError: the link itself is broken.
        """


@runtime_checkable
class WritesSettings(Protocol):
    """A link over which settings can be written. Whether the BMS obeyed is for a later `read_setting` to tell."""

    def write_setting(self, name: str, value: float) -> None:
        """Write a setting, in its inside unit, once.

        Raises:
            OutOfRange: the register cannot hold it; nothing was sent.
            Missing: no answer; whether it was taken is not known.
            Inconclusive: the BMS refused. LinkError: the link itself is broken.
        """


class TextRegisters(Frozen):
    """Where a text stands: two characters a register, the first in the high byte, padded with zeros."""

    link: str = Field(description="name of a Modbus link")
    unit_id: int | None = Field(default=None, ge=0, le=255, description="if it differs from the link's")
    function: Literal[3, 4] = Field(default=3, description="Modbus function that reads it")
    address: int = Field(ge=0, le=0xFFFF, description="first register")
    words: int = Field(ge=1, le=125, description="registers")
    description: str = Field(default="", description="where this is known from")


class Identification(Frozen):
    """Who the unit is, as far as its links tell. A BMS without a serial number is told apart by the operator only."""

    serial: TextRegisters | None = Field(default=None, description="the number that no other unit has")
    firmware: TextRegisters | None = Field(default=None, description="version of its program")
    hardware: TextRegisters | None = Field(default=None, description="its board or revision")

    def place(self, fact: str) -> TextRegisters | None:
        """Return where a fact stands, None if the profile does not say."""
        found: TextRegisters | None = getattr(self, fact)
        return found


class Setting(Frozen):
    """One setting that a test may change, and that is put back."""

    link: str = Field(description="name of a Modbus link")
    unit_id: int | None = Field(default=None, ge=0, le=255, description="if it differs from the link's")
    function: Literal[3, 4] = Field(default=3, description="Modbus function that reads it")
    write_function: Literal[6, 16] = Field(default=16, description="Modbus function that writes it")
    address: int = Field(ge=0, le=0xFFFF, description="register")
    write_address: int | None = Field(default=None, ge=0, le=0xFFFF, description="if it is written elsewhere")
    type: Literal["int16", "uint16", "int32", "uint32"] = Field(description="how the registers are read")
    word_order: Literal["high_first", "low_first"] = Field(default="high_first", description="of 32 bit values")
    scale: float = Field(default=1.0, description="unit per count")
    zero: int = Field(default=0, description="raw count that means zero")
    unit: str = Field(default="1", description="what one unit of the number is")
    positive_means: Literal["charge", "discharge", "magnitude"] | None = Field(
        default=None, description="mandatory for currents: what a positive number on the link limits"
    )
    range: tuple[float, float] = Field(description="what may be written, in unit; a magnitude for currents")
    moves: str | tuple[str, ...] = Field(
        default=(), description="which promises it moves: NAME_OF_PROTECTION.threshold, .delay_s, .release.value, …"
    )
    description: str = Field(default="", description="anything a reader should know")

    @model_validator(mode="after")
    def _consistent(self) -> Setting:
        if self.unit not in UNITS:
            everyday = EVERYDAY.get(self.unit.lower())
            raise ValueError(
                f"unit {self.unit!r} is not known"
                + (f"; did you mean {everyday!r}?" if everyday else nearest(self.unit, UNITS))
            )
        if self.scale == 0:
            raise ValueError("scale 0 would make every setting zero")
        if not self.range[0] < self.range[1]:
            raise ValueError(f"range {list(self.range)} is empty: write [low, high]")
        current = self.about.quantity == "current"
        if current and self.positive_means is None:
            raise ValueError("positive_means is missing: write what a positive number on the link limits")
        if current and self.range[0] < 0:
            raise ValueError(f"range {list(self.range)}: a limit of a current is a magnitude")
        if not current and self.positive_means is not None:
            raise ValueError(f"positive_means does not apply to a {self.about.quantity}")
        return self

    @property
    def about(self) -> Unit:
        """The unit, with its quantity and factor."""
        return UNITS[self.unit]

    @property
    def inside_unit(self) -> str:
        """The unit that values have inside."""
        return INSIDE_UNIT[self.about.quantity]

    @property
    def moved(self) -> tuple[tuple[str, str], ...]:
        """Which promises it moves: name of the protection, key in it."""
        keys = (self.moves,) if isinstance(self.moves, str) else self.moves
        return tuple((name, key) for name, _, key in (text.partition(".") for text in keys))

    def _sign(self, limits: Direction | None) -> int:
        means = self.positive_means
        return 1 if means in (None, "magnitude") or (limits is not None and limits.word == means) else -1

    def inside(self, count: int, limits: Direction | None) -> float:
        """Return a count on the link in the inside unit; `limits` is the direction that a limit of current is for."""
        return self.about.to_si((count - self.zero) * self.scale * self._sign(limits))

    def count(self, value: float, limits: Direction | None) -> int:
        """Return the count on the link for an inside value. Nothing is rounded to fit.

        Raises:
            OutOfRange: not a whole number of steps, or more than the register can hold.
        """
        number = self.about.from_si(value)
        exact = number * self._sign(limits) / self.scale + self.zero
        if not abs(exact) < 1e12:  # a NaN lands here too
            raise OutOfRange(f"{number:g} {self.unit} cannot be written into {self.type}")
        nearby = round(exact)
        if abs(exact - nearby) > 1e-6 * max(1.0, abs(exact)):
            raise OutOfRange(f"{number:g} {self.unit} is no whole number of steps of {abs(self.scale):g} {self.unit}")
        bits, signed = BITS[self.type], self.type.startswith("int")
        low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
        if not low <= nearby <= high:
            raise OutOfRange(f"{number:g} {self.unit} is {nearby} counts, which {self.type} cannot hold")
        return nearby

    def allow(self, value: float, limits: Direction | None) -> float:
        """Return an inside value as a read-back would show it, if the profile allows a test to write it.

        Raises:
            OutOfRange: outside the declared range, no whole number of steps, or too large for the register.
        """
        number = self.about.from_si(value)
        slack = 1e-9 * max(1.0, *map(abs, self.range))
        if not self.range[0] - slack <= number <= self.range[1] + slack:  # a NaN lands here too
            raise OutOfRange(
                f"{number:g} {self.unit} is outside what may be written, {self.range[0]:g} to {self.range[1]:g} "
                f"{self.unit}"
            )
        return self.inside(self.count(value, limits), limits)
