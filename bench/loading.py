"""Read a TOML file into a pydantic model; every mistake names file, key path, value and what to try."""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from bench.errors import DefinitionError


class Frozen(BaseModel):
    """A section of a file: every key is known, nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=BaseModel)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the nearest known spelling, or a list of what is known."""
    choices = sorted(known)
    # A close match is trusted when most letters agree: 'positve_means' yes, 'sign' no.
    match = difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    if match:
        return f"; did you mean {match[0]!r}?"
    return f"; known are {', '.join(choices)}" if choices else ""


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        DefinitionError: the file is missing, unreadable or not TOML (with line and column).
    """
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        siblings = [p.stem for p in path.parent.glob("*.toml")] if path.parent.is_dir() else []
        raise DefinitionError(f"{path}: there is no such file{nearest(path.stem, siblings)}") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise DefinitionError(f"{path}: cannot be read: {problem}") from None
    except tomllib.TOMLDecodeError as problem:
        raise DefinitionError(f"{path}: this is not TOML: {problem}") from None


def validate(model: type[Model], data: dict[str, Any], source: str) -> Model:
    """Check the content of a file against its model.

    Raises:
        DefinitionError: one line per mistake, the first few of them.
    """
    try:
        return model.model_validate(data)
    except ValidationError as problem:
        lines = [_sentence(model, error, source) for error in problem.errors(include_url=False)]
        shown = list(dict.fromkeys(lines))[:6]
        more = len(set(lines)) - len(shown)
        if more > 0:
            shown.append(f"{source}: and {more} more")
        raise DefinitionError("\n".join(shown)) from None


def content_hash(path: Path) -> str:
    """Return the SHA-256 of a file, so that a run record can say which text it used."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _sentence(model: type[BaseModel], error: ErrorDetails, source: str) -> str:
    # Discriminator tags stand in the location like keys; a reader of the file does not know them.
    tags = {"can_dbc", "modbus", "serial"}
    parts = [part for part in error["loc"] if not (isinstance(part, str) and part in tags)]
    path = ".".join(str(part) for part in parts)
    kind, value = error["type"], error["input"]
    if kind == "extra_forbidden":
        key = str(parts[-1])
        where = ".".join(str(part) for part in parts[:-1]) or "the top level"
        return f"{source}, {path}: {where} has no key {key!r}{nearest(key, _fields_at(model, error['loc'][:-1]))}"
    if kind == "missing":
        return f"{source}, {path}: is missing and has no default"
    if kind == "literal_error":
        expected = [word.strip(" '") for word in str(error["ctx"]["expected"]).replace(" or ", ", ").split(",")]
        return f"{source}, {path}: {value!r} is not valid{nearest(str(value), expected)}"
    message = error["msg"].removeprefix("Value error, ")
    if kind == "value_error":
        return f"{source}, {path}: {message}" if path else f"{source}: {message}"
    shown = "" if isinstance(value, (dict, list)) else f" {value!r}:"
    return f"{source}, {path}:{shown} {message[0].lower()}{message[1:]}"


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Follow a location through nested models and return the keys that are known there."""
    candidates: list[Any] = [model]
    for part in location:
        following: list[Any] = []
        for candidate in candidates:
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                field = candidate.model_fields.get(str(part))
                following.extend(_models_in(field.annotation) if field else [])
            if isinstance(candidate, type) and candidate.__name__.lower().startswith(str(part)[:3]):
                following.append(candidate)
        candidates = following or candidates
    return [
        name
        for candidate in candidates
        if isinstance(candidate, type) and issubclass(candidate, BaseModel)
        for name in candidate.model_fields
        if not name.startswith("_")
    ]


def _models_in(annotation: Any) -> list[Any]:
    found: list[Any] = []
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        found.append(annotation)
    for argument in getattr(annotation, "__args__", ()):
        found.extend(_models_in(argument))
    return found
