"""Protections as declarations: what a BMS promises to do, one frozen row each.

This is only the declaration. How a virtual BMS behaves, and what a suite expects, are computed from it in two
places that share nothing else, so that one mistaken belief cannot confirm itself.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from bench.kinds import KINDS, Kind
from bench.loading import Frozen, nearest
from bench.quantities import UNITS

Level = Literal["information", "warning", "protection"]
DEFAULT_UNIT = {"current": "A", "voltage": "V", "temperature": "degC"}


def _known_kind(name: str) -> str:
    if name not in KINDS:
        raise ValueError(f"{name!r} is not valid{nearest(name, KINDS)}")
    return name


KindName = Annotated[str, AfterValidator(_known_kind), WithJsonSchema({"type": "string", "enum": sorted(KINDS)})]


class DelayWindow(Frozen):
    """From the stimulus crossing the threshold to the end of the current, in seconds."""

    min: float = Field(ge=0.0, description="s, earliest")
    max: float = Field(gt=0.0, description="s, latest")

    @model_validator(mode="after")
    def _in_order(self) -> DelayWindow:
        if self.min > self.max:
            raise ValueError(f"min {self.min:g} s is larger than max {self.max:g} s")
        return self


Action = Literal["load_removal", "charger_connection", "reset", "power_cycle"]


class Release(Frozen):
    """How the protection lets go again.

    `time`: by itself `after_s` after the cause is gone. `value`: when the quantity is back at `value` (a magnitude
    for currents, in the protection's unit). `command`: on the profile's clear request, not before the cause is
    gone. `opposite_current`: on current of the other direction. `action`: once somebody has done what `action` names.
    """

    kind: Literal["time", "value", "command", "opposite_current", "action"] = Field(
        description="by itself after a time, at a value, by command, by current of the other direction, or by an action"
    )
    after_s: float = Field(default=0.0, ge=0.0, description="how long its condition must hold; for a release by time")
    value: float | None = Field(default=None, description="for a release by value, in the protection's unit")
    tolerance: float | None = Field(
        default=None, ge=0.0, description="how far the true release value may be off; default the protection's own"
    )
    window_s: DelayWindow | None = Field(
        default=None, description="when it closes again, from its condition being met; judged where promised"
    )
    action: Action | None = Field(default=None, description="for a release by action: what must be done")

    @model_validator(mode="after")
    def _complete(self) -> Release:
        if self.kind == "value" and self.value is None:
            raise ValueError("a release by value needs the value")
        if self.kind == "time" and self.after_s <= 0:
            raise ValueError("a release by time needs after_s > 0")
        if (self.kind == "action") != (self.action is not None):
            raise ValueError("action and kind = 'action' belong together")
        return self


class CurvePoint(Frozen):
    """One point of an inverse-time curve: at this amplitude the protection acts within this window."""

    at: float = Field(gt=0, description="amplitude of the stimulus, in the protection's unit")
    delay_s: DelayWindow = Field(description="from crossing the threshold to the end of the current, at this amplitude")


class Derating(Frozen):
    """How a limit of current falls before the protection acts: in a straight line, between two values."""

    begins: float = Field(description="value of the watched quantity at which the limit begins to fall")
    ends: float = Field(description="value at which it has arrived")
    signal: str = Field(description="signal that tells the limit, a magnitude")
    from_a: float = Field(gt=0, description="A, before")
    to_a: float = Field(ge=0, description="A, at the end")
    tolerance_a: float = Field(gt=0, description="A, how far the told limit may be off")


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
    curve: tuple[CurvePoint, ...] = Field(
        default=(), description="inverse time: points of amplitude and delay, the smallest amplitude first"
    )
    filter_s: float = Field(default=0.0, ge=0.0, description="time constant with which it smooths what it watches")
    derating: Derating | None = Field(default=None, description="the limit of current that falls before it acts")
    latched: bool = Field(default=False, description="stays tripped until it is released by command or action")
    lockout_count: int | None = Field(default=None, ge=1, description="locks after this many trips")
    lockout_window_s: float | None = Field(
        default=None, gt=0, description="trips longer ago than this are forgotten; none: only a power cycle forgets"
    )
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
        if self.level != "protection" and self.opens:
            raise ValueError(f"level {self.level!r} opens nothing; write level = 'protection', or no opens")
        if self.level != "protection" and self.flag is None and self.derating is None:
            raise ValueError(f"level {self.level!r} without a flag or a derating cannot be seen")
        self._check_curve()
        self._check_derating()
        if self.lockout_window_s is not None and self.lockout_count is None:
            raise ValueError("lockout_window_s without lockout_count forgets what nobody counts")
        return self

    def _check_curve(self) -> None:
        for point in self.curve:
            if not self.about.beyond(point.at, self.threshold):
                raise ValueError(f"curve: the point at {point.at:g} is not beyond the threshold {self.threshold:g}")
        for one, other in pairwise(self.curve):
            if not self.about.beyond(other.at, one.at):
                raise ValueError(f"curve: {other.at:g} after {one.at:g}; write the smallest amplitude first")
            if other.delay_s.max > one.delay_s.max or other.delay_s.min > one.delay_s.min:
                raise ValueError(f"curve: the delay at {other.at:g} is longer than that at {one.at:g}")
        if self.curve and self.curve[0].delay_s.max > self.delay_s.max:
            raise ValueError(
                f"curve: {self.curve[0].delay_s.max:g} s at {self.curve[0].at:g} is longer than delay_s.max "
                f"{self.delay_s.max:g}, which holds at the threshold"
            )

    def _check_derating(self) -> None:
        fall = self.derating
        if fall is None:
            return
        if not self.about.beyond(fall.ends, fall.begins):
            raise ValueError(f"derating: ends {fall.ends:g} does not lie beyond begins {fall.begins:g}")
        if fall.to_a >= fall.from_a:
            raise ValueError(f"derating: to_a {fall.to_a:g} is not below from_a {fall.from_a:g}")

    @property
    def about(self) -> Kind:
        """The kind, with its quantity, side and direction."""
        return KINDS[self.kind]

    def _si(self, value: float, *, difference: bool = False) -> float:
        unit = UNITS[self.unit or DEFAULT_UNIT[self.about.quantity]]
        return value * unit.factor if difference or self.about.difference else unit.to_si(value)

    @property
    def unit_si(self) -> str:
        """The inside unit of threshold and tolerance: A, V, degC, or K for a difference of temperatures."""
        unit = DEFAULT_UNIT[self.about.quantity]
        return "K" if self.about.difference and unit == "degC" else unit

    def delay_at(self, level_si: float) -> DelayWindow:
        """Return within which window it acts at a stimulus of this level (inside unit).

        Between two points of an inverse-time curve only the wider window is promised: not earlier than the later
        point says, not later than the earlier one. Beyond the last point its earliest is no promise any more.
        """
        window = self.delay_s
        points = [(self._si(point.at), point.delay_s) for point in self.curve]
        for index, (at, promised) in enumerate(points):
            if level_si == at:
                return promised
            if self.about.beyond(level_si, at):
                following = points[index + 1][1].min if index + 1 < len(points) else 0.0
                window = DelayWindow(min=following, max=promised.max)
            elif index == 0:
                return DelayWindow(min=promised.min, max=window.max) if self.curve else window
        return window

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

    @property
    def release_tolerance_si(self) -> float:
        """How far the true release value may be off, in inside units; the protection's tolerance unless declared."""
        own = self.release.tolerance
        return self.tolerance_si if own is None else self._si(own, difference=True)
