"""Tables of the keys that a profile or a bench definition may have, from their pydantic models."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from bmsbench.suites import ROOT

SUFFIXES = {
    "_ppm_per_k": "ppm/K",
    "_a_per_s": "A/s",
    "_k_per_s": "K/s",
    "_degc": "°C",
    "_ohm": "Ω",
    "_pct": "%",
    "_wh": "Wh",
    "_ah": "Ah",
    "_k": "K",
    "_v": "V",
    "_a": "A",
    "_w": "W",
    "_s": "s",
}
WORDS = {float: "number", int: "integer", str: "text", bool: "true or false", Any: "any", Path: "path"}


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the lines of a Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in lines]


def first(thing: object) -> str:
    """Return the first paragraph of a docstring, on one line."""
    return (inspect.getdoc(thing) or "").partition("\n\n")[0].replace("\n", " ")


def profile_page() -> list[str]:
    """Return the lines about profiles."""
    from bench.profile import Profile
    from bench.quantities import UNITS

    lines = ["# Keys of a BMS profile", "", first(Profile), "", *_schema("profile"), *_models(Profile)]
    by_quantity: dict[str, list[str]] = {}
    for unit in UNITS.values():
        by_quantity.setdefault(unit.quantity, []).append(f"`{unit.name}`")
    rows = [(quantity, ", ".join(names)) for quantity, names in by_quantity.items()]
    return [*lines, "## Units", "", *table(("quantity", "may be written as"), rows)]


def definition_page() -> list[str]:
    """Return the lines about bench definitions."""
    from bench.definition import ROLES, Definition

    roles = ", ".join(f"`{role}`" for role in ROLES)
    head = ["# Keys of a bench definition", "", first(Definition), "", *_schema("definition")]
    return [*head, f"Roles: {roles}.", "", *_models(Definition)]


def _schema(name: str) -> list[str]:
    files = sorted((ROOT / "bench" / "schemas").glob(f"{name}*.json"))
    where = [f"../../{path.relative_to(ROOT).as_posix()}" for path in files]
    return [f"JSON Schema, for editors: [{Path(one).name}]({one})" for one in where] + ([""] if where else [])


def _models(top: type[BaseModel]) -> list[str]:
    lines: list[str] = []
    seen: set[type[BaseModel]] = set()
    waiting: list[tuple[str, type[BaseModel]]] = [("top level", top)]
    while waiting:
        path, model = waiting.pop(0)
        if model in seen:
            continue
        seen.add(model)
        rows: list[tuple[str, ...]] = []
        inner: list[tuple[str, type[BaseModel]]] = []
        for key, field in model.model_fields.items():
            if field.exclude:
                continue
            rows.append(
                (f"`{key}`", _words(_annotation(field)), unit_of(key), _default(field), field.description or "")
            )
            below = "" if path == "top level" else path.lstrip("[").partition("]")[0] + "."
            inner += [(place, found) for place, found in _inside(f"{below}{key}", _annotation(field))]
        lines += [f"## {path}", "", f"{first(model)}", ""]
        lines += [*table(("key", "type", "unit", "default", "meaning"), rows), ""]
        waiting = [*inner, *waiting]
    return lines


def _annotation(field: FieldInfo) -> Any:
    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation


def _inside(path: str, annotation: Any) -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield the models below a key, with the heading under which they stand in a file."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from _inside(path, arguments[0])
    elif origin is tuple:
        yield from ((f"[{place}]", model) for place, model in _inside(path, arguments[0]))
    elif origin is dict:
        yield from _inside(f"{path}.NAME", arguments[1])
    elif origin in (Union, UnionType):
        for one in arguments:
            for place, model in _inside(path, one):
                kind = next((model.model_fields[k] for k in ("kind", "medium") if k in model.model_fields), None)
                words = _words(kind.annotation) if kind is not None else ""
                yield (f"{place}, {words}" if words else place), model
    elif inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield f"[{path}]", annotation


def _words(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _words(arguments[0])
    if origin is Literal:
        return ", ".join(f"`{one}`" for one in arguments)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_words(one) for one in arguments if one is not NoneType))
    if origin is tuple:
        same = len(arguments) == 2 and arguments[1] is Ellipsis
        return f"list of {_words(arguments[0])}" if same else f"[{', '.join(_words(one) for one in arguments)}]"
    if origin is dict:
        return f"table of {_words(arguments[1])}"
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return "section"
    return WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)))


def unit_of(key: str) -> str:
    """Return the unit that a name ends with, or nothing."""
    if key in ("ohm",):
        return "Ω"
    return next((unit for suffix, unit in SUFFIXES.items() if key.endswith(suffix)), "")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**mandatory**"
    value = field.get_default(call_default_factory=True)
    if value in (None, "", (), {}, PydanticUndefined) or isinstance(value, BaseModel):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
