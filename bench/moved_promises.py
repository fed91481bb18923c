"""What a setting has to do with the promises of a profile: which ones it moves, how far, and what may not be.

Protections stay frozen declarations; moving one gives another row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from bench.errors import DefinitionError, OutOfRange
from bench.loading import nearest
from bench.protection import DEFAULT_UNIT, DelayWindow, Protection
from bench.quantities import UNITS, Direction
from bench.settings import FACTS, Identification, Setting

MOVABLE = ("threshold", "delay_s", "release.value", "release.after_s", "lockout_count")
_QUANTITIES = {"delay_s": "time", "release.after_s": "time", "lockout_count": "none"}


def limited_direction(setting: Setting, rows: Mapping[str, Protection]) -> Direction | None:
    """Return the direction of the current that a setting limits; None for anything else."""
    if setting.about.quantity != "current":
        return None
    return next((rows[name].about.direction for name, _ in setting.moved if name in rows), None)


def promised(row: Protection, key: str) -> float | None:
    """Return what a profile promises under a key that a setting moves, in the inside unit; of a delay the middle."""
    values: dict[str, float | None] = {
        "threshold": row.threshold_si,
        "delay_s": (row.delay_s.min + row.delay_s.max) / 2.0,
        "release.value": row.release_value_si,
        "release.after_s": row.release.after_s if row.release.kind == "time" else None,
        "lockout_count": None if row.lockout_count is None else float(row.lockout_count),
    }
    return values[key]


def moved_row(row: Protection, key: str, value: float) -> Protection:
    """Return a protection with one promise moved to an inside value; a delay's window keeps its width.

    Several keys of a row may be moved one after the other; `require_sound` looks at the result.
    """
    unit = UNITS[row.unit or DEFAULT_UNIT[row.about.quantity]]
    if key == "delay_s":
        half_s = (row.delay_s.max - row.delay_s.min) / 2.0
        window = DelayWindow(min=max(0.0, value - half_s), max=value + half_s)
        return row.model_copy(update={"delay_s": window})
    if key == "release.value":
        return row.model_copy(update={"release": row.release.model_copy(update={"value": unit.from_si(value)})})
    if key == "release.after_s":
        return row.model_copy(update={"release": row.release.model_copy(update={"after_s": value})})
    return row.model_copy(update={key: unit.from_si(value) if key == "threshold" else round(value)})


def require_sound(row: Protection) -> None:
    """See that a moved protection does not contradict itself.

    Raises:
        DefinitionError: it does.
    """
    try:
        Protection.model_validate(row.model_dump())
    except ValidationError as problem:
        text = "; ".join(str(error["msg"]).removeprefix("Value error, ") for error in problem.errors())
        raise DefinitionError(f"{row.name} would contradict itself: {text}") from None


# --- checks of a profile -----------------------------------------------------------------------------------------


def check_sections(
    identity: Identification,
    settings: Mapping[str, Setting],
    links: Mapping[str, Any],
    rows: Mapping[str, Protection],
) -> None:
    """Check what identity and settings of a profile say about its links and protections.

    Raises:
        ValueError: with key path, value and what to try.
    """
    for fact in FACTS:
        place = identity.place(fact)
        if place is not None:
            _check_link(f"identity.{fact}", place.link, links)
    taken: dict[object, str] = {}
    for name, setting in settings.items():
        where = f"settings.{name}"
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise ValueError(f"{where}: a name is written in small letters, digits and underscores")
        _check_link(where, setting.link, links)
        place_of = (setting.link, setting.unit_id, setting.address)
        if place_of in taken:
            raise ValueError(f"{where}.address: {setting.address:#06x} is that of settings.{taken[place_of]}")
        taken[place_of] = name
        for promise in setting.moved:
            if promise in taken:
                raise ValueError(f"{where}.moves: {'.'.join(promise)} is moved by settings.{taken[promise]}")
            taken[promise] = name
            _check_move(where, setting, promise, rows)
        limits = limited_direction(setting, rows)
        if setting.positive_means in ("charge", "discharge") and limits is None:
            raise ValueError(
                f"{where}.positive_means: {setting.positive_means!r} needs moves = an over-current protection, so that "
                "it is known which direction is limited; or write 'magnitude'"
            )
        if any(rows[name].about.direction is not limits for name, _ in setting.moved if limits is not None):
            raise ValueError(f"{where}.moves: one limit of current cannot be for both directions")
        for end in setting.range:
            try:
                setting.count(setting.about.to_si(end), limits)
            except OutOfRange as problem:
                raise ValueError(f"{where}.range: {problem}") from None


def _check_link(where: str, name: str, links: Mapping[str, Any]) -> None:
    if name not in links:
        raise ValueError(f"{where}.link: {name!r} is not a link{nearest(name, links)}")
    if links[name].kind != "modbus":
        raise ValueError(f"{where}.link: {name!r} is a {links[name].kind} link; only Modbus links read registers")


def _check_move(where: str, setting: Setting, promise: tuple[str, str], rows: Mapping[str, Protection]) -> None:
    name, key = promise
    if name not in rows:
        raise ValueError(f"{where}.moves: {name!r} is no protection{nearest(name, rows)}")
    if key not in MOVABLE:
        raise ValueError(f"{where}.moves: {name}.{key} is nothing that can be moved{nearest(key, MOVABLE)}")
    quantity = _QUANTITIES.get(key, rows[name].about.quantity)
    if setting.about.quantity != quantity:
        raise ValueError(f"{where}.unit: {setting.unit!r} does not measure a {quantity}, as {name}.{key} does")
    if promised(rows[name], key) is None:
        raise ValueError(f"{where}.moves: {name} promises no {key}")
