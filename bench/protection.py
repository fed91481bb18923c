"""Protections as declarations: what a BMS promises to do, one frozen row each.

This is only the declaration. How a virtual BMS behaves, and what a suite expects, are computed from it in two
places that share nothing else, so that one mistaken belief cannot confirm itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field, model_validator

from bench.loading import Frozen
from bench.quantities import UNITS, Direction

Level = Literal["information", "warning", "protection"]
KindName = Literal[
    "charge_overcurrent",
    "discharge_overcurrent",
    "cell_overvoltage",
    "cell_undervoltage",
    "pack_overvoltage",
    "pack_undervoltage",
    "charge_overtemperature",
    "discharge_overtemperature",
    "charge_undertemperature",
    "discharge_undertemperature",
]


@dataclass(frozen=True, slots=True)
class Kind:
    """What a kind of protection watches, and on which side of the threshold it acts."""

    name: KindName
    quantity: str
    above: bool
    direction: Direction

    def beyond(self, value: float, threshold: float) -> bool:
        """Say whether a value (a magnitude, for currents) lies beyond the threshold."""
        return value > threshold if self.above else value < threshold


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("charge_overcurrent", "current", True, Direction.CHARGE),
        Kind("discharge_overcurrent", "current", True, Direction.DISCHARGE),
        Kind("cell_overvoltage", "voltage", True, Direction.CHARGE),
        Kind("cell_undervoltage", "voltage", False, Direction.DISCHARGE),
        Kind("pack_overvoltage", "voltage", True, Direction.CHARGE),
        Kind("pack_undervoltage", "voltage", False, Direction.DISCHARGE),
        Kind("charge_overtemperature", "temperature", True, Direction.CHARGE),
        Kind("discharge_overtemperature", "temperature", True, Direction.DISCHARGE),
        Kind("charge_undertemperature", "temperature", False, Direction.CHARGE),
        Kind("discharge_undertemperature", "temperature", False, Direction.DISCHARGE),
    )
}
DEFAULT_UNIT = {"current": "A", "voltage": "V", "temperature": "degC"}


class DelayWindow(Frozen):
    """From the stimulus crossing the threshold to the end of the current, in seconds."""

    min: float = Field(ge=0.0, description="s, earliest")
    max: float = Field(gt=0.0, description="s, latest")

    @model_validator(mode="after")
    def _in_order(self) -> DelayWindow:
        if self.min > self.max:
            raise ValueError(f"min {self.min:g} s is larger than max {self.max:g} s")
        return self


class Release(Frozen):
    """How the protection lets go again.

    `time`: by itself `after_s` after the cause is gone. `value`: when the quantity is back at `value` (a magnitude
    for currents, in the protection's unit). `command`: on the profile's clear request, not before the cause is
    gone. `opposite_current`: on current of the other direction.
    """

    kind: Literal["time", "value", "command", "opposite_current"] = Field(
        description="by itself after a time, at a value, by command, or by current of the other direction"
    )
    after_s: float = Field(default=0.0, ge=0.0, description="for a release by time")
    value: float | None = Field(default=None, description="for a release by value, in the protection's unit")

    @model_validator(mode="after")
    def _complete(self) -> Release:
        if self.kind == "value" and self.value is None:
            raise ValueError("a release by value needs the value")
        if self.kind == "time" and self.after_s <= 0:
            raise ValueError("a release by time needs after_s > 0")
        return self


class Protection(Frozen):
    """One row of a profile: a promise with threshold, time, direction, switch, flag and release."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="how tests and reports call it")
    kind: KindName = Field(description="what it watches, and in which direction")
    level: Level = Field(default="protection", description="only a protection opens switches")
    threshold: float = Field(description="where it acts, in unit; a magnitude for currents")
    unit: str = Field(default="", description="of threshold, tolerance and release.value; default A, V or degC by kind")
    tolerance: float = Field(ge=0.0, description="how far the true threshold may be off, in unit")
    delay_s: DelayWindow = Field(description="from crossing the threshold to the end of the current")
    flag_delay_s: DelayWindow | None = Field(
        default=None, description="from crossing the threshold to the flag, where promised"
    )
    opens: tuple[str, ...] = Field(default=(), description="which switches it opens")
    release: Release = Field(description="how it lets go again")
    latched: bool = Field(default=False, description="stays tripped until it is released by command")
    lockout_count: int | None = Field(default=None, ge=1, description="locks after this many trips")
    flag: str | None = Field(default=None, description="signal that tells of it")
    requirements: tuple[str, ...] = Field(default=(), description="requirement ids it gives evidence for")

    @model_validator(mode="after")
    def _consistent(self) -> Protection:
        quantity = self.about.quantity
        if self.unit:
            known = [unit.name for unit in UNITS.values() if unit.quantity == quantity]
            if self.unit not in known:
                raise ValueError(f"unit {self.unit!r} does not measure a {quantity}; write one of {', '.join(known)}")
        if quantity == "current" and self.threshold <= 0:
            raise ValueError(
                f"threshold {self.threshold:g}: a current limit is a magnitude, its direction is in the kind"
            )
        if self.level == "protection" and not self.opens:
            raise ValueError("a protection must say which switches it opens")
        if self.release.kind == "value" and self.release.value is not None:
            beyond = self.about.beyond(self.release.value, self.threshold)
            if beyond:
                raise ValueError(f"release.value {self.release.value:g} lies beyond the threshold {self.threshold:g}")
        return self

    @property
    def about(self) -> Kind:
        """The kind, with its quantity, side and direction."""
        return KINDS[self.kind]

    def _si(self, value: float, *, difference: bool = False) -> float:
        unit = UNITS[self.unit or DEFAULT_UNIT[self.about.quantity]]
        return value * unit.factor if difference else unit.to_si(value)

    @property
    def threshold_si(self) -> float:
        """The threshold in inside units (A, V, degC); a magnitude for currents."""
        return self._si(self.threshold)

    @property
    def tolerance_si(self) -> float:
        """The tolerance in inside units."""
        return self._si(self.tolerance, difference=True)

    @property
    def release_value_si(self) -> float | None:
        """The release value in inside units, if the release is by value."""
        return None if self.release.value is None else self._si(self.release.value)
