"""The signals of a profile: what one number on a link means, and how it is encoded there."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from bench.loading import Frozen, nearest
from bench.quantities import EVERYDAY, INSIDE_UNIT, UNITS, Direction, Unit
from bench.uncertainty import Accuracy

Provenance = Literal["declared", "observed", "assumed"]
# Quantities whose sign says which way something flows: the convention must be written down for each signal.
SIGNED = ("current", "power", "charge", "energy")


class Observed(Frozen):
    """When and on what a sign was observed with an injected current."""

    date: str = Field(description="when it was observed")
    firmware: str = Field(default="", description="on which firmware")
    bench: str = Field(default="", description="on which bench")


class SignalBase(Frozen):
    """What every link has in common."""

    link: str = Field(description="name of one of the links")
    unit: str = Field(default="1", description="what one unit of the decoded number is")
    positive_means: Literal["charge", "discharge", "magnitude"] | None = Field(
        default=None, description="mandatory for current, power, charge and energy"
    )
    provenance: Provenance | None = Field(
        default=None, description="how the sign is known; mandatory with positive_means"
    )
    observed: Observed | None = Field(default=None, description="mandatory with provenance = observed")
    period_s: float = Field(gt=0.0, description="how often the BMS renews the value")
    stale_after_s: float | None = Field(
        default=None, gt=0.0, description="older values are refused; default three periods"
    )
    accuracy: Accuracy | None = Field(default=None, description="in the signal's unit")
    dead_band: float = Field(default=0.0, ge=0.0, description="reads 0 below this, in the signal's unit")
    range: tuple[float, float] | None = Field(default=None, description="plausible values, in the signal's unit")
    values: dict[int, str] = Field(default_factory=dict, description="words for the values of an enumeration")
    active_low: bool = Field(default=False, description="for flags: 0 on the wire means active")
    description: str = Field(default="", description="anything a reader should know")

    @model_validator(mode="after")
    def _sign_is_declared(self) -> SignalBase:
        if self.unit not in UNITS:
            everyday = EVERYDAY.get(self.unit.lower())
            hint = f"; did you mean {everyday!r}?" if everyday else nearest(self.unit, UNITS)
            raise ValueError(f"unit {self.unit!r} is not known{hint}")
        if self.quantity in SIGNED:
            if self.positive_means is None:
                raise ValueError(
                    f"positive_means is missing: a {self.quantity} has no sign by itself; write 'charge', "
                    "'discharge' or, for a number without direction, 'magnitude'"
                )
            if self.provenance is None:
                raise ValueError(
                    "provenance is missing: write 'declared' (the maker says so), 'observed' (measured here) "
                    "or 'assumed'"
                )
            if self.provenance == "observed" and self.observed is None:
                raise ValueError("provenance 'observed' needs observed = { date = ..., firmware = ... }")
        elif self.positive_means is not None:
            raise ValueError(f"positive_means does not apply to a {self.quantity}")
        if self.range is not None and not self.range[0] < self.range[1]:
            raise ValueError(f"range {list(self.range)} is empty: write [low, high]")
        return self

    @property
    def about(self) -> Unit:
        """The unit, with its quantity and factor."""
        return UNITS[self.unit]

    @property
    def quantity(self) -> str:
        """What is measured: `current`, `voltage`, ..., `none` for flags and states."""
        return self.about.quantity

    @property
    def inside_unit(self) -> str:
        """The unit that decoded values have."""
        return INSIDE_UNIT[self.quantity]

    @property
    def sign(self) -> int:
        """+1, or -1 where a positive number on the link means discharge."""
        return -1 if self.positive_means == "discharge" else 1

    @property
    def positive_direction(self) -> Direction | None:
        """The direction a positive number on the link means, None for numbers without direction."""
        if self.positive_means in (None, "magnitude"):
            return None
        return Direction.of(str(self.positive_means))

    @property
    def max_age_s(self) -> float:
        """How old the newest value may be; three periods unless the profile says otherwise."""
        return self.stale_after_s if self.stale_after_s is not None else 3.0 * self.period_s

    def to_inside(self, value: float) -> float:
        """Convert a number in the signal's unit and sign into inside unit and pack sign. The only such place."""
        return self.sign * self.about.to_si(value)

    def to_link(self, value: float) -> float:
        """Convert a number in inside unit and pack sign into the signal's unit and sign."""
        return self.about.from_si(self.sign * value)

    def accuracy_si(self, value: float) -> float | None:
        """The promised limit of error at an inside value, in the inside unit; None if nothing is promised."""
        if self.accuracy is None:
            return None
        factor = self.about.factor
        return self.accuracy.half_width(value / factor) * factor

    def accuracy_parameters(self) -> dict[str, float] | None:
        """The promised accuracy in inside units, as parameters of a judgement; None if nothing is promised."""
        if self.accuracy is None:
            return None
        factor = self.about.factor
        return {
            "reading_pct": self.accuracy.reading_pct,
            "range_pct": self.accuracy.range_pct,
            "range": self.accuracy.range * factor,
            "offset": self.accuracy.offset * factor,
            "resolution": self.accuracy.resolution * factor,
        }


class CanSignal(SignalBase):
    """A signal in a message of the link's database."""

    kind: Literal["can_dbc"] = Field(default="can_dbc", description="taken from the link")
    message: str = Field(description="message name in the database")
    signal: str = Field(description="signal name in the database")
    mux: int | None = Field(default=None, description="the multiplexer value the signal is sent under")
    not_implemented: tuple[int, ...] = Field(default=(), description="raw patterns that mean 'no value'")


class ModbusSignal(SignalBase):
    """A register, or bits of one."""

    kind: Literal["modbus"] = Field(default="modbus", description="taken from the link")
    unit_id: int | None = Field(default=None, ge=0, le=255, description="if it differs from the link's")
    function: Literal[1, 2, 3, 4] = Field(default=4, description="Modbus function that reads it")
    address: int = Field(ge=0, le=0xFFFF, description="register or bit number")
    type: Literal["int16", "uint16", "int32", "uint32", "float32", "bit"] = Field(
        description="how the registers are read"
    )
    word_order: Literal["high_first", "low_first"] = Field(default="high_first", description="of 32 bit values")
    bit: int | None = Field(default=None, ge=0, le=15, description="bit of a register, 0 is the least")
    scale: float = Field(default=1.0, description="signal's unit per count")
    zero: float = Field(default=0.0, description="raw count that means zero (offset binary)")
    not_implemented: tuple[int, ...] = Field(default=(), description="raw patterns that mean 'no value'")

    @model_validator(mode="after")
    def _bits_fit(self) -> ModbusSignal:
        if self.function in (1, 2) and self.type != "bit":
            raise ValueError(f"function {self.function} reads bits: write type = 'bit'")
        if self.function in (3, 4) and self.type == "bit" and self.bit is None:
            raise ValueError("a bit of a register needs bit = 0..15")
        if self.scale == 0:
            raise ValueError("scale 0 would make every reading zero")
        return self


Signal = Annotated[CanSignal | ModbusSignal, Field(discriminator="kind")]
