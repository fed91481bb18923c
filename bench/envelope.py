"""The safety envelope: what nothing may leave, and what it takes to stop in time.

The numbers of a definition are checked against one another when it is loaded (`check_arithmetic`) and against a BMS
when both are known (`check_against_profile`): limits of the instruments' own protections, of fuse, wiring and
disconnect, and of the cells. What does not fit is refused with the arithmetic shown, before anything is opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pydantic import Field, model_validator

from bench.errors import DefinitionError
from bench.loading import Frozen
from bench.profile import Profile
from bench.quantities import Direction

OVERVOLTAGE_MARGIN = 1.03  # instruments' own over-voltage trip, beyond the envelope
OVERCURRENT_MARGIN = 1.10  # instruments' own over-current trip, beyond the envelope: the BMS acts first
WATCH_MARGIN = 1.05  # where the watch acts: before the instruments' own trips, after every setting in tolerance
OVERTEMPERATURE_K = 5.0  # how far beyond a cell's maximum a provocation may go
CELL_STOP = 1.03  # of the upper limit charging voltage: there the program stops at once ...
ABOVE_LIMIT_S = 60.0  # ... and after so long above the limit itself
# Beyond these a number is in another unit.
HIGHEST_V = 1500.0  # where low voltage ends (IEC 61140, direct current)
POWER_BEYOND = 1.5 * 10  # of the largest voltage times the largest current
HOURS_A_YEAR = 8760.0


class SensorLimit(Frozen):
    """The limits of one temperature sensor, where they differ from those of the envelope."""

    max_degc: float | None = Field(default=None, description="hottest it may read; none: the envelope's")
    min_degc: float | None = Field(default=None, description="coldest it may read; none: the envelope's")


class Envelope(Frozen):
    """What nothing may leave."""

    max_v: float = Field(gt=0, description="of the pack")
    min_v: float = Field(ge=0, description="of the pack")
    charge_a: float = Field(gt=0, description="magnitude")
    discharge_a: float = Field(gt=0, description="magnitude")
    max_w: float = Field(gt=0, description="magnitude")
    max_degc: float = Field(default=60.0, description="of every temperature sensor of the bench")
    min_degc: float = Field(default=0.0, description="of every temperature sensor of the bench")
    sensors: dict[str, SensorLimit] = Field(
        default_factory=dict, description="sensors with limits of their own, by the name the cell monitor gives them"
    )
    energy_wh: float = Field(gt=0, description="per test, either direction")
    under_power_s: float = Field(default=7200.0, gt=0, description="per test: how long current may flow, in all")
    slope_a_per_s: float | None = Field(
        default=None, gt=0, description="fastest change of a setting of current; none: steps are allowed"
    )
    slope_k_per_s: float = Field(default=1.0, gt=0, description="fastest rise of a temperature sensor")

    @model_validator(mode="after")
    def _in_order(self) -> Envelope:
        if self.min_v >= self.max_v:
            raise ValueError(f"min_v: {self.min_v:g} V must be below max_v = {self.max_v:g} V")
        for name, sensor in {"": SensorLimit(), **self.sensors}.items():
            low, high = self.temperatures(name) if name else (self.min_degc, self.max_degc)
            if low >= high:
                where = f"sensors.{name}.min_degc" if name and sensor.min_degc is not None else "min_degc"
                raise ValueError(f"{where}: {low:g} degC must be below {high:g} degC")
        return self

    def current_a(self, direction: Direction) -> float:
        """Return the largest current in a direction, a magnitude in amperes."""
        return self.charge_a if direction is Direction.CHARGE else self.discharge_a

    def temperatures(self, sensor: str) -> tuple[float, float]:
        """Return the lowest and the highest temperature a sensor may read, in degrees Celsius."""
        own = self.sensors.get(sensor, SensorLimit())
        low = self.min_degc if own.min_degc is None else own.min_degc
        high = self.max_degc if own.max_degc is None else own.max_degc
        return low, high


class StopLatency(Frozen):
    """How long each way of stopping takes, from the decision to |current| < 0.1 % of range: measured, then declared.

    `bmsbench commission` measures them; every abort measures again, and the longer one counts for the rest of its test.
    """

    outputs_off_s: float = Field(gt=0, le=60.0, description="the run switches all outputs off")
    disconnect_s: float = Field(gt=0, le=60.0, description="the run opens the disconnect")


class CurrentParts(Protocol):
    """The parts of a current path that a current must not exceed (`bench.definition.Topology`)."""

    @property
    def fuse_a(self) -> float:
        """Rating of the fuse, in amperes."""

    @property
    def wiring_a(self) -> float:
        """Rating of the power leads, in amperes."""

    @property
    def disconnect_a(self) -> float:
        """Rating of the disconnect, in amperes."""


def check_arithmetic(envelope: Envelope, parts: CurrentParts) -> None:
    """See that the instruments' own trips fit between the envelope and what the path can carry.

    Raises:
        ValueError: with the arithmetic; for a model's validator.
    """
    _check_units(envelope)
    for direction in Direction:
        limit_a = envelope.current_a(direction)
        trip_a = OVERCURRENT_MARGIN * limit_a
        for key in ("fuse_a", "wiring_a", "disconnect_a"):
            rating_a: float = getattr(parts, key)
            if trip_a > rating_a:
                raise ValueError(
                    f"envelope.{direction.word}_a: {limit_a:g} A x {OVERCURRENT_MARGIN:g} (the instruments' own trip, "
                    f"so that the BMS acts first) = {trip_a:g} A is above topology.{key} = {rating_a:g} A; at most "
                    f"{rating_a / OVERCURRENT_MARGIN:.4g} A fit, or fit a larger part"
                )
    _check_power(envelope)


def _check_units(envelope: Envelope) -> None:
    """See that no number is so large that it must be in another unit. The voltage first: the others follow from it."""
    if envelope.max_v > HIGHEST_V:
        raise ValueError(
            f"envelope.max_v: {envelope.max_v:g} V is above {HIGHEST_V:g} V, where low voltage ends; is it in "
            f"millivolts? Write volts ({envelope.max_v / 1000.0:g} V)"
        )


def _check_power(envelope: Envelope) -> None:
    """See that power and energy fit voltages and currents, once these are known to be right."""
    most_a = max(envelope.charge_a, envelope.discharge_a)
    most_w = envelope.max_v * most_a
    arithmetic = f"{envelope.max_v:g} V x {most_a:g} A"
    if envelope.max_w > POWER_BEYOND * most_w:
        raise ValueError(
            f"envelope.max_w: {envelope.max_w:g} W is more than {POWER_BEYOND:g} x {arithmetic} = "
            f"{POWER_BEYOND * most_w:g} W; is it in milliwatts? Write watts"
        )
    if envelope.energy_wh > HOURS_A_YEAR * most_w:
        raise ValueError(
            f"envelope.energy_wh: {envelope.energy_wh:g} Wh in one test is more than a year of {arithmetic} = "
            f"{HOURS_A_YEAR * most_w:g} Wh; is it in another unit? Write watt hours"
        )
    reachable_w = envelope.min_v * min(envelope.charge_a, envelope.discharge_a)
    if envelope.max_w < 0.01 * reachable_w:
        raise ValueError(
            f"envelope.max_w: {envelope.max_w:g} W is less than a hundredth of {envelope.min_v:g} V x "
            f"{min(envelope.charge_a, envelope.discharge_a):g} A = {reachable_w:g} W; is it in kilowatts? Write watts"
        )


def check_against_profile(envelope: Envelope, profile: Profile, where: str) -> None:
    """See that the envelope leaves the cells of a BMS inside their hard limits.

    Raises:
        DefinitionError: naming key, value and arithmetic; nothing was opened.
    """
    absolute, cells = profile.absolute, profile.bms.cells
    for direction, most_a in ((Direction.CHARGE, absolute.charge_a), (Direction.DISCHARGE, absolute.discharge_a)):
        limit_a = envelope.current_a(direction)
        if limit_a > most_a:
            raise DefinitionError(
                f"{where}, envelope.{direction.word}_a: {limit_a:g} A is more than {profile.name} may see, {most_a:g} A"
            )
    upper_v = profile.bms.upper_limit_cell_v * cells
    if envelope.max_v > upper_v:
        raise DefinitionError(
            f"{where}, envelope.max_v: {envelope.max_v:g} V is more than {profile.name} may see, {cells} cells x "
            f"{profile.bms.upper_limit_cell_v:g} V = {upper_v:g} V"
        )
    trip_v, hard_v = OVERVOLTAGE_MARGIN * envelope.max_v, absolute.cell_high_v * cells
    if trip_v > hard_v:
        raise DefinitionError(
            f"{where}, envelope.max_v: {envelope.max_v:g} V x {OVERVOLTAGE_MARGIN:g} (the instruments' own trip) = "
            f"{trip_v:.2f} V, {trip_v / cells:.3f} V a cell, is beyond {profile.name}'s absolute.cell_high_v = "
            f"{absolute.cell_high_v:g} V x {cells} = {hard_v:g} V; at most {hard_v / OVERVOLTAGE_MARGIN:.4g} V fit"
        )
    low_v = absolute.cell_low_v * cells
    if envelope.min_v < low_v:
        raise DefinitionError(
            f"{where}, envelope.min_v: {envelope.min_v:g} V is {envelope.min_v / cells:.3f} V a cell, below "
            f"{profile.name}'s absolute.cell_low_v = {absolute.cell_low_v:g} V; write at least {low_v:g} V"
        )
    hottest = absolute.temperature_high_degc + OVERTEMPERATURE_K
    for sensor in ("", *envelope.sensors):
        key = f"sensors.{sensor}.max_degc" if sensor else "max_degc"
        _, high = envelope.temperatures(sensor)
        if high > hottest:
            raise DefinitionError(
                f"{where}, envelope.{key}: {high:g} degC is beyond {profile.name}'s absolute.temperature_high_degc = "
                f"{absolute.temperature_high_degc:g} degC + {OVERTEMPERATURE_K:g} K"
            )


@dataclass(frozen=True, slots=True)
class Approach:
    """How a provocation moves towards a limit: where it is meant to end, how fast it moves, and what must hold.

    `level` and `limit` are in `unit` (magnitudes, for currents); `per_s` is how fast the level moves when it is to be
    stopped, a magnitude. What is held at its level by an instrument has slope 0; the charge of a current still flows
    while it is being stopped. `falling`: it moves down towards a lowest value.
    """

    what: str
    unit: str
    level: float
    per_s: float
    limit: float
    falling: bool = False

    def arithmetic(self, latency_s: float) -> str | None:
        """Return why it could not be stopped inside its limit, in words and numbers, or None where it can."""
        beyond = self.per_s * latency_s
        margin = self.level - self.limit if self.falling else self.limit - self.level
        if beyond <= margin:
            return None
        return (
            f"{self.what}: {self.per_s:g} {self.unit}/s x {latency_s:g} s to stop = {beyond:.4g} {self.unit}, but from "
            f"{self.level:.4g} to {self.limit:.4g} {self.unit} only {margin:.4g} {self.unit} are left; go slower, "
            "provoke less, or stop faster"
        )
