"""Read a TOML file into a pydantic model; every mistake names file, key path, value and what to try."""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails

from bench.errors import DefinitionError


class Frozen(BaseModel):
    """A section of a file: every key is known, nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _numbers_are_numbers(cls, data: Any) -> Any:
        """Refuse `true` and "110" where a number belongs; pydantic would read them as 1 and 110."""
        for name, value in data.items() if isinstance(data, dict) else ():
            field = cls.model_fields.get(str(name))
            if field is None or not isinstance(value, (bool, str)):
                continue
            if _plain(field.annotation) in (int, float):
                raise ValueError(f"{name} = {value!r} is not a number; write it without quotes")
        return data


Model = TypeVar("Model", bound=BaseModel)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the nearest known spelling, or a list of what is known."""
    choices = sorted(known)
    # A close match is trusted when most letters agree: 'positve_means' yes, 'sign' no.
    match = difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    if match:
        return f"; did you mean {match[0]!r}?"
    return f"; known are {', '.join(choices)}" if choices else ""


def find_named(what: str, name: str, folders: Sequence[Path]) -> Path:
    """Return the file given by path, or by name in the first of some folders that has it.

    Raises:
        DefinitionError: there is none of that name; with the nearest spelling.
    """
    if name.endswith(".toml"):
        return Path(name)
    for folder in folders:
        if (folder / f"{name}.toml").is_file():
            return folder / f"{name}.toml"
    known = [path.stem for folder in folders if folder.is_dir() for path in folder.glob("*.toml")]
    raise DefinitionError(f"no {what} called {name!r}{nearest(name, known)}")


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
    if "source" in data:  # a field that the loader fills in, not a key of the file
        raise DefinitionError(
            f"{source}, source: the top level has no key 'source'{nearest('source', _keys_of(model))}"
        )
    try:
        return model.model_validate(data)
    except ValidationError as problem:
        errors = problem.errors(include_url=False)
        # A list whose only item is wrong is called too short as well: that is no second mistake.
        inner = {error["loc"][: len(error["loc"]) - up] for error in errors for up in range(1, len(error["loc"]))}
        told = [error for error in errors if not (error["type"] == "too_short" and error["loc"] in inner)]
        lines = [_sentence(model, error, source) for error in told]
        shown = list(dict.fromkeys(lines))[:6]
        more = len(set(lines)) - len(shown)
        if more > 0:
            shown.append(f"{source}: and {more} more")
        raise DefinitionError("\n".join(shown)) from None


def content_hash(path: Path) -> str:
    """Return the SHA-256 of a file, so that a run record can say which text it used."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _sentence(model: type[BaseModel], error: ErrorDetails, source: str) -> str:
    keys, here = _follow(model, error["loc"])
    path = ".".join(keys)
    kind, value = error["type"], error["input"]
    context: dict[str, Any] = error.get("ctx") or {}
    if kind == "extra_forbidden":
        key = keys[-1]
        where = ".".join(keys[:-1]) or "the top level"
        _, parent = _follow(model, error["loc"][:-1])
        return f"{source}, {path}: {where} has no key {key!r}{nearest(key, _keys_of(parent))}"
    if kind == "missing":
        return f"{source}, {path}: is missing and has no default"
    if kind == "literal_error":
        return f"{source}, {path}: {value!r} is not valid{nearest(str(value), _words(str(context['expected'])))}"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        tag = str(context["discriminator"]).strip("'")
        path = f"{path}.{tag}" if path else tag
        if kind == "union_tag_not_found":
            return f"{source}, {path}: is missing and has no default; write one of {', '.join(_tags_of(here, tag))}"
        word = str(context["tag"])
        return f"{source}, {path}: {word!r} is not valid{nearest(word, _words(str(context['expected_tags'])))}"
    message = error["msg"].removeprefix("Value error, ")
    if kind == "value_error":
        return f"{source}, {path}: {message}" if path else f"{source}: {message}"
    shown = "" if isinstance(value, (dict, list)) else f" {value!r}:"
    return f"{source}, {path}:{shown} {message[0].lower()}{message[1:]}"


def _words(expected: str) -> list[str]:
    return [word.strip(" '") for word in expected.replace(" or ", ", ").split(",")]


def _follow(model: type[BaseModel], location: tuple[int | str, ...]) -> tuple[list[str], Any]:
    """Follow a location through the models: the keys as they stand in the file, and the annotation found there.

    Between the keys a location has the tags of discriminated unions; a reader of the file does not know them.
    """
    keys: list[str] = []
    here: Any = model
    for part in location:
        here = _plain(here)
        member = _member(here, part)
        if member is not None:
            here = member
            continue
        if part == "[key]":  # the key itself is wrong, and stands in the location already
            continue
        keys.append(str(part))
        here = _inside(here, part)
    return keys, _plain(here)


def _plain(annotation: Any) -> Any:
    """Take `Annotated` and `| None` away."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
        return _plain(members[0]) if len(members) == 1 else annotation
    return annotation


def _members(annotation: Any) -> list[type[BaseModel]]:
    if get_origin(annotation) not in (Union, UnionType):
        return []
    return [member for member in get_args(annotation) if _is_model(member)]


def _member(annotation: Any, tag: int | str) -> Any:
    """Return the member of a union of models that a tag selects, or None."""
    for member in _members(annotation):
        if any(tag in get_args(field.annotation) for field in member.model_fields.values()):
            return member
    return None


def _inside(annotation: Any, part: int | str) -> Any:
    if _is_model(annotation):
        field = annotation.model_fields.get(str(part))
        return None if field is None else field.annotation
    arguments = get_args(annotation)
    if get_origin(annotation) is dict and len(arguments) == 2:
        return arguments[1]
    return arguments[0] if get_origin(annotation) in (tuple, list) and arguments else None


def _keys_of(annotation: Any) -> list[str]:
    models = [annotation] if _is_model(annotation) else _members(annotation)
    hidden = ("source",)  # where the file was found is no key of the file
    return [name for model in models for name in model.model_fields if name not in hidden]


def _tags_of(annotation: Any, key: str) -> list[str]:
    return [str(tag) for member in _members(annotation) for tag in get_args(member.model_fields[key].annotation)]


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
