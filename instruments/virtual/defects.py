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
from instruments.virtual.bms_unit import UnitProtection

Transfer = Callable[[float, float], float]  # pack current in A (charging positive) and s since power-on -> A


def _always(profile: Profile) -> str | None:
    return None


def has_direction(profile: Profile) -> str | None:
    """Say why a defect of the sign means nothing: the pack current has none."""
    if profile.signals["pack_current"].positive_means == "magnitude":
        return "its pack current carries no direction"
    return None


@dataclass(frozen=True, slots=True)
class Defect:
    """One way to be broken."""

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
