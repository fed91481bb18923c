"""Defects: the ways in which a virtual BMS can be broken on purpose, each for a suite to catch.

A defect is a transfer function on the measured value, a change in the encoder or in the protection logic, never a
byte edited by hand, so that several combine. Defects of the reported current leave the protections' own sense
alone unless they say so. Classes M01 to M41 are those of the catalogue of misreadings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

from bench.errors import DefinitionError
from bench.loading import nearest
from bench.profile import Profile
from bench.protection import Protection
from instruments.virtual.bms_encoding import Recode
from instruments.virtual.bms_unit_diagnosis import UnitDiagnosis
from instruments.virtual.bms_unit_protection import UnitProtection

Transfer = Callable[[float, float], float]  # pack current in A (charging positive) and s since power-on -> A
Values = Callable[[list[float], float], list[float]]  # all cells or sensors and s since power-on -> as it takes them


def _always(profile: Profile) -> str | None:
    return None


def has_direction(profile: Profile) -> str | None:
    """Say why a defect of the sign means nothing: the pack current has none."""
    if profile.signals["pack_current"].positive_means == "magnitude":
        return "its pack current carries no direction"
    return None


@dataclass(frozen=True, slots=True)
class Defect:
    """One way to be broken: what it is called, who catches it, and one hook or more that make the unit so.

    Readings. `sense` changes the shunt's current for everybody, `transfer` only the reported one, `recode` its integer
    on the link, `power` and `counter` what is worked out from it. `cells` and `temperatures` change what is measured in
    V or degC (so protections see it), `shown_cells` and `shown_temperatures` only what links tell; they get the whole
    list (sensors in the profile's order) and the time since power-on in s, and return a new list: exchange two, freeze
    one, scale. A hook with a memory keeps it for all units: make it from a factory where that matters.

    Protections. `protect` gets each row of the unit (warnings too) and returns it changed by `dataclasses.replace`; the
    fields are those of `UnitProtection`: threshold_si (also beyond the protection's: levels out of order), samples,
    period_s and switch_s (`later(s)` moves any kind of delay, negative is earlier), opens (another, all, none), dead,
    flags (False: none) and flag_as (another signal), both_directions, welds (contacts stay together when it opens),
    curve = () (one delay for every amplitude), filter_s, fast_s (short circuits, s from crossing to open), accumulates
    (pulses add up), ignored (cells or sensors nobody looks at, from 0), releases, release_shift_si and release_late_s
    (added to the declared; negative is sooner), hysteresis, latches, needs_action, clears_anyway, trips_once,
    lockout_count, counts_trips, keeps_lockout (over a power cycle), clear_unlocks, derates, derating_shift_si,
    derating_factor. `swaps_flags` exchanges the flags of charge and discharge over-current.

    Diagnoses. `diagnose` does the same for each `UnitDiagnosis`: dead, delay_s, switch_s, release_s, opens, flags,
    flag_as, releases, latches, clears_anyway. `reports_commands`: switch signals tell what was commanded although the
    contacts say otherwise (a weld is reported as open).

    Balancing: `bleed` gets the cells to be bled, counted from 0, and the number of cells, and returns those that are;
    `bleed_factor` multiplies the current. Precharge: `precharges_without_waiting`, `precharges_for_ever` (never gives
    up). `closes_after_dip`: after a lost supply it closes at once what was closed before. `releases_on_silence`: a lost
    link lets everything latched go. Sleep: `never_sleeps`, `wakes_by` (in place of the declared wakers). Settings:
    `keep` and `forgets_settings`.
    """

    name: str
    description: str
    classes: tuple[str, ...]
    caught_by: tuple[str, ...]
    reason: str
    applies_to: Callable[[Profile], str | None] = _always
    sense: Callable[[float], float] | None = None
    transfer: Callable[[Profile], Transfer] | None = None
    recode: Recode | None = None
    power: Callable[[float], float] | None = None
    counter: Callable[[float], float] | None = None
    protect: Callable[[UnitProtection, Profile], UnitProtection] | None = None
    swaps_flags: bool = False
    keep: Callable[[int, int], int] | None = None  # of a setting: what was there, what is written -> what is kept
    forgets_settings: bool = False
    cells: Values | None = None
    temperatures: Values | None = None
    shown_cells: Values | None = None
    shown_temperatures: Values | None = None
    diagnose: Callable[[UnitDiagnosis, Profile], UnitDiagnosis] | None = None
    bleed: Callable[[frozenset[int], int], frozenset[int]] | None = None
    bleed_factor: float = 1.0
    precharges_without_waiting: bool = False
    precharges_for_ever: bool = False
    closes_after_dip: bool = False
    releases_on_silence: bool = False
    reports_commands: bool = False
    never_sleeps: bool = False
    wakes_by: frozenset[str] | None = None


@cache
def registry() -> dict[str, Defect]:
    """Return all defects by name."""
    from instruments.virtual.bms_defect_encoding import ENCODING_DEFECTS
    from instruments.virtual.bms_defect_protections import PROTECTION_DEFECTS
    from instruments.virtual.bms_defect_readings import READING_DEFECTS
    from instruments.virtual.bms_defect_settings import SETTING_DEFECTS

    every = (*READING_DEFECTS, *ENCODING_DEFECTS, *PROTECTION_DEFECTS, *SETTING_DEFECTS)
    return {defect.name: defect for defect in every}


def find_defect(name: str) -> Defect:
    """Return the defect of that name.

    Raises:
        DefinitionError: there is none; the nearest spelling is given.
    """
    known = registry()
    if name not in known:
        raise DefinitionError(f"defect {name!r} is not known{nearest(name, known)}")
    return known[name]


def parse_defects(text: str) -> tuple[Defect, ...]:
    """Return the defects of a list as it is written on the command line: `inverted_sign,trips_late`.

    Raises:
        DefinitionError: an unknown or repeated name.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if names.count(name) > 1:
            raise DefinitionError(f"defect {name!r} is named twice")
    return tuple(find_defect(name) for name in names)


def choose_defects(defects: Iterable[str | Defect], profile: Profile) -> tuple[Defect, ...]:
    """Resolve names and check that each defect means something for this profile.

    Raises:
        DefinitionError: an unknown name, or a defect without meaning here, with the reason.
    """
    chosen = tuple(find_defect(defect) if isinstance(defect, str) else defect for defect in defects)
    for defect in chosen:
        reason = defect.applies_to(profile)
        if reason is not None:
            raise DefinitionError(
                f"defect {defect.name!r} does not apply to {profile.name or 'this profile'}: {reason}"
            )
    return chosen


def counterpart(profile: Profile, row: Protection) -> Protection | None:
    """Return the over-current protection of the same level and rank in the other direction, if there is one."""
    if row.about.quantity != "current":
        return None
    same = [other for other in profile.protections if other.kind == row.kind and other.level == row.level]
    other_kind = "discharge_overcurrent" if row.kind == "charge_overcurrent" else "charge_overcurrent"
    others = [other for other in profile.protections if other.kind == other_kind and other.level == row.level]
    index = same.index(row)
    return others[index] if index < len(others) else None
