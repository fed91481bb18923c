"""What a provocation demands, as parameters of judgements, and which other flags may or must not rise with it."""

from __future__ import annotations

from typing import Any

from bench.profile import Profile
from bench.protection import Protection
from bench.provoking import Provocation


def stimulus_of(provocation: Provocation, level_si: float, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the parameters that say what the stimulus is and from where on a trip is due."""
    row = provocation.protection
    known = {
        "protection": row.name if provocation.place == "pack" else f"{row.name} at {provocation.place}",
        "channel": provocation.channel,
        "above": row.about.above,
        "threshold": row.threshold_si,
        "demand": row.about.further(row.threshold_si, row.tolerance_si),
        "unit": row.unit_si,
        "stimulus_u": provocation.expanded(level_si),
    }
    return {name: value for name, value in known.items() if name not in without}


def worded(provocation: Provocation, level_si: float) -> str:
    """Return place and level in words, for the screen."""
    unit = provocation.protection.unit_si
    digits = {"V": 3, "degC": 1, "K": 1}.get(unit, 1)
    return f"{provocation.place} at {level_si:.{digits}f} {unit}"


def foreign_flags(profile: Profile, protection: Protection, level_si: float) -> list[str]:
    """Return flags that must not rise: of rows of another observable, and of rows whose threshold is not reached.

    A row that watches the same quantity and whose own threshold (with its tolerance) the level passes rises rightly.
    Between tolerance and tolerance nothing is demanded of it. What the other cells do meanwhile (they follow as far
    as the spread demands) is left out: rows of cells and pack may be reached there too.
    """
    own = protection.about
    found = set()
    for row in profile.protections:
        if row.flag is None or row.flag == protection.flag or row.name == protection.name:
            continue
        if row.about.observable == own.observable:
            first = row.about.further(row.threshold_si, -row.tolerance_si)
            if own.beyond(level_si, first) or level_si == first:
                continue
        elif row.level != "protection" and row.about.quantity == own.quantity:
            continue
        found.add(row.flag)
    reached = {row.flag for row in profile.protections if row.flag and row.kind == protection.kind}
    return sorted(found - reached)


def opened_at(profile: Profile, protection: Protection, level_si: float) -> set[str]:
    """Return the switches that are to be open at a level: those of every row of this observable that it passes."""
    own = protection.about
    rows = [row for row in profile.protections if row.level == "protection" and row.about.observable == own.observable]
    reached = [row for row in rows if row is protection or own.beyond(level_si, row.threshold_si)]
    return {switch for row in reached for switch in row.opens}


def excusing(profile: Profile, protection: Protection) -> list[str]:
    """Return the flags of other protections that may rightly end this one's stimulus before it acts.

    Their own stimulus would have to be exceeded: those of another observable that open a switch.
    """
    rows = [
        row
        for row in profile.protections
        if row.level == "protection" and row.flag is not None and row.about.observable != protection.about.observable
    ]
    return sorted({str(row.flag) for row in rows} - {protection.flag or ""})
