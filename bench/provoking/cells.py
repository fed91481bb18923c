"""Provoking by voltage: one emulated cell, or all of them; what the emulator measures at its terminals shows it.

The other cells follow as far as they must, so that the spread between cells and the pack's own limits do not act
first. Where no such place for them exists, the provocation is refused with the arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.definition import Definition
from bench.emulation import NEUTRAL_CELL_V
from bench.errors import OutOfRange
from bench.kinds import Kind
from bench.profile import Profile
from bench.protection import Protection
from bench.provoking.accuracy import cell_accuracy, cell_budget
from bench.stand import Stand
from bench.verdict import StimulusLevels, trip_levels

SET_STEP_V = 1e-3  # of an emulator's setting
SPREAD_SHARE = 0.6  # of the smallest spread that acts, between the provoked cell and the others


def refusal(definition: Definition, profile: Profile, protection: Protection, place: str) -> str | None:
    """Say that there is no cell emulator, or that something else would act before."""
    if not definition.emulated:
        return f"{protection.name} needs emulated cells; bench {definition.name} has no cell_emulator"
    watching = _Watching(profile, protection, place)
    if watching.all:
        return (
            f"{protection.name}: the pack's voltage moves by all cells at once, and a cell emulator sets one after the "
            "other; no edge that a delay could be told from"
        )
    try:
        watching.cells_at(watching.levels(definition).must_trip)
    except OutOfRange as problem:
        return str(problem)
    return None


class _Watching:
    """What a protection of voltage watches, and which cell voltages put that at a level."""

    def __init__(self, profile: Profile, protection: Protection, place: str) -> None:
        self.profile, self.protection, self.place = profile, protection, place
        self.all = protection.about.observable == "pack_voltage"
        self.spread = protection.about.observable == "cell_voltage_spread"
        self.neutral_v = NEUTRAL_CELL_V[profile.bms.chemistry]

    def expanded(self, definition: Definition, level_si: float) -> float:
        """Return the uncertainty of what is measured, in volts.

        Errors of the cells are taken to be one error of the instrument (its gain, its reference): of a sum they add
        up; that a difference cancels them is not counted on.
        """
        if self.all:
            count = self.profile.bms.cells
            return count * cell_budget(definition, level_si / count).expanded
        one_v = cell_budget(definition, self.neutral_v if self.spread else level_si).expanded
        return 2**0.5 * one_v if self.spread else one_v

    def levels(self, definition: Definition) -> StimulusLevels:
        """Return threshold ± tolerance ± U, and what the emulator's setting may be off."""
        off_v = cell_accuracy(definition).half_width(self.neutral_v) + SET_STEP_V
        ripple_v = off_v * (self.profile.bms.cells if self.all else 2 if self.spread else 1)
        return trip_levels(self.protection, self.expanded(definition, self.protection.threshold_si), ripple_v)

    def cells_at(self, level_si: float) -> tuple[float, ...]:
        """Return all cell voltages that put the watched voltage at a level and nothing else beyond its own limit.

        Raises:
            OutOfRange: there are none; a cell would leave the absolute maxima, or another protection acts first.
        """
        count = self.profile.bms.cells
        if self.all:
            cells_v = [level_si / count] * count
        elif self.spread:
            # Half up, half down around neutral, so that neither cell comes near a limit of its own.
            cells_v = [self.neutral_v] * count
            index = _number(self.place, count) - 1
            cells_v[index] += level_si / 2
            cells_v[index - 1] -= level_si / 2
        else:
            cells_v = [companions_v(self.profile, self.protection, level_si, self.neutral_v)] * count
            cells_v[_number(self.place, count) - 1] = level_si
        _require_alone(self.profile, self.protection, cells_v)
        return tuple(cells_v)


class CellProvocation:
    """A protection of cell or pack voltage on a bench whose cells are emulated."""

    def __init__(self, stand: Stand, protection: Protection, place: str) -> None:
        self._stand = stand
        self.protection = protection
        self.place = place
        self._watching = _Watching(stand.profile, protection, place)
        self._now_v: list[float] | None = None  # what this provocation has set; the first setting sets them all
        self.channel = "cells.sum" if self._watching.all else "cells.spread" if self._watching.spread else place

    def refusal(self) -> str | None:
        """Say why this bench cannot provoke it, None if it can."""
        return refusal(self._stand.definition, self._stand.profile, self.protection, self.place)

    def expanded(self, level_si: float) -> float:
        """Return the uncertainty of what the emulator measures, in volts."""
        return self._watching.expanded(self._stand.definition, level_si)

    def levels(self) -> StimulusLevels:
        """Return threshold ± tolerance ± U, and what the emulator's setting may be off."""
        return self._watching.levels(self._stand.definition)

    def approach(self, level_si: float) -> None:
        """Put the cells that only follow where the level needs them; the provoked one stays neutral."""
        cells_v = list(self._watching.cells_at(level_si))
        for index in self._leading(cells_v):
            cells_v[index] = self._watching.neutral_v
        self._set(cells_v)

    def step(self, level_si: float, *, towards_trip: bool = True) -> float:
        """Set the cells so that the watched voltage is at the level; the provoked cell last."""
        del towards_trip  # the levels allow for how exactly it can be set
        return self._set(self._watching.cells_at(level_si))

    def normal(self) -> float:
        """Set every cell to its neutral voltage."""
        return self._set((self._watching.neutral_v,) * self._stand.profile.bms.cells)

    def _leading(self, cells_v: Sequence[float]) -> list[int]:
        """Which cells carry the stimulus: the provoked one, or both that a spread lies between."""
        index = int(self.place.removeprefix("cell_")) - 1
        return [index, (index - 1) % len(cells_v)] if self._watching.spread else [index]

    def _set(self, cells_v: Sequence[float]) -> float:
        """Set only what changes, one cell after the other: an emulator takes a quarter of a second for each."""
        emulator = self._stand.cell_emulator
        if emulator is None:
            raise OutOfRange(f"bench {self._stand.definition.name} has no cell_emulator")
        if self._now_v is None:
            emulator.set_cell_voltages((self._watching.neutral_v,) * len(cells_v))
            self._now_v = [self._watching.neutral_v] * len(cells_v)
        leading = self._leading(cells_v)
        order = [index for index in range(len(cells_v)) if index not in leading] + leading
        at_s = self._stand.clock.now()
        for index in order:
            if cells_v[index] != self._now_v[index]:
                at_s = self._stand.clock.now()
                emulator.set_cell_voltage(index + 1, cells_v[index])
                self._now_v[index] = cells_v[index]
        return at_s


def companions_v(profile: Profile, protection: Protection, level_v: float, neutral_v: float) -> float:
    """Return where the other cells stand while one is provoked: neutral, or as near to it as the spread demands."""
    spreads = [row.threshold_si for row in _acting(profile, "cell_voltage_spread")]
    if not spreads:
        return neutral_v
    room_v = SPREAD_SHARE * min(spreads)
    return max(neutral_v, level_v - room_v) if protection.about.above else min(neutral_v, level_v + room_v)


def _acting(profile: Profile, observable: str) -> list[Protection]:
    return [row for row in profile.protections if row.level == "protection" and row.about.observable == observable]


def _number(place: str, count: int) -> int:
    number = int(place.removeprefix("cell_"))
    if not 1 <= number <= count:
        raise OutOfRange(f"{place}: there are cell_1 to cell_{count}")
    return number


def watched(kind: Kind, cells_v: list[float]) -> float | None:
    """Return what a kind of protection sees in these cell voltages, None if it watches something else."""
    return {
        "cell_voltage_max": max(cells_v),
        "cell_voltage_min": min(cells_v),
        "cell_voltage_spread": max(cells_v) - min(cells_v),
        "pack_voltage": sum(cells_v),
    }.get(kind.observable)


def _require_alone(profile: Profile, protection: Protection, cells_v: list[float]) -> None:
    """See that every cell stays within its absolute maxima, and that no other protection has reason to act."""
    low_v, high_v = profile.absolute.cell_low_v, profile.absolute.cell_high_v
    for number, cell_v in enumerate(cells_v, 1):
        if not low_v <= cell_v <= high_v:
            raise OutOfRange(
                f"{protection.name}: cell {number} would need {cell_v:.3f} V, section [absolute] allows {low_v:g} to "
                f"{high_v:g} V"
            )
    for row in profile.protections:
        if row.level != "protection" or row.about.observable == protection.about.observable:
            continue
        found = watched(row.about, cells_v)
        edge = row.about.further(row.threshold_si, -row.tolerance_si)
        if found is not None and row.about.beyond(found, edge):
            raise OutOfRange(
                f"{protection.name} cannot be provoked alone: {row.name} would see {found:.3f} V and may act from "
                f"{edge:.3f} V on"
            )
