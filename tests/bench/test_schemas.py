"""The JSON Schemas are those of the models, and the shipped files obey them as an editor would see it."""

from __future__ import annotations

import datetime
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from bench.definition import DEFINITIONS
from bench.profile import PROFILES
from bench.schemas import MODELS, path_of, text_of

FOLDERS = {"profile": PROFILES, "definition": DEFINITIONS}
SHIPPED = [(name, path) for name, folder in FOLDERS.items() for path in sorted(folder.glob("*.toml"))]


def mistakes(value: Any, schema: dict[str, Any], root: dict[str, Any], path: str = "") -> list[str]:
    """Check a value against the part of JSON Schema that pydantic writes; return what is wrong."""
    if "$ref" in schema:
        return mistakes(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, path)
    for word, few in (("oneOf", 1), ("anyOf", None)):
        if word in schema:
            fits = [one for one in schema[word] if not mistakes(value, one, root, path)]
            if not fits or (few is not None and len(fits) != few):
                return [f"{path}: {len(fits)} of {len(schema[word])} alternatives fit"]
    if "const" in schema and value != schema["const"]:
        return [f"{path}: {value!r} is not {schema['const']!r}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{path}: {value!r} is none of {schema['enum']}"]
    kinds: dict[str, Any] = {
        "object": dict, "array": list, "string": (str, datetime.date), "number": (int, float), "integer": int,
        "boolean": bool, "null": type(None),
    }  # fmt: skip
    kind = schema.get("type")
    if kind and (not isinstance(value, kinds[kind]) or (isinstance(value, bool) and kind != "boolean")):
        return [f"{path}: {value!r} is no {kind}"]
    found: list[str] = []
    if isinstance(value, dict) and kind == "object":
        properties, more = schema.get("properties", {}), schema.get("additionalProperties", True)
        found += [f"{path}.{key}: is missing" for key in schema.get("required", []) if key not in value]
        for key, item in value.items():
            if key in properties:
                found += mistakes(item, properties[key], root, f"{path}.{key}")
            elif more is False:
                found.append(f"{path}.{key}: unknown key")
            elif isinstance(more, dict):
                found += mistakes(item, more, root, f"{path}.{key}")
    if isinstance(value, list):
        parts = schema.get("prefixItems", []) or [schema.get("items", {})] * len(value)
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 10**9):
            found.append(f"{path}: {len(value)} items")
        found += [m for n, (item, one) in enumerate(zip(value, parts, strict=False))
                  for m in mistakes(item, one, root, f"{path}.{n}")]  # fmt: skip
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if value < schema.get("minimum", value) or value > schema.get("maximum", value):
            found.append(f"{path}: {value} is outside")
        if value <= schema.get("exclusiveMinimum", value - 1):
            found.append(f"{path}: {value} is outside")
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        found.append(f"{path}: {value!r} does not match")
    return found


def kept(name: str) -> dict[str, Any]:
    """Return the schema as it lies in the folder."""
    schema: dict[str, Any] = json.loads(path_of(name).read_text(encoding="utf-8"))
    return schema


@pytest.mark.parametrize("name", list(MODELS))
def test_the_kept_schema_is_that_of_the_model(name: str) -> None:
    assert path_of(name).read_text(encoding="utf-8") == text_of(name), "run: python -m bench.schemas"


@pytest.mark.parametrize(("name", "path"), SHIPPED, ids=lambda part: part.stem if isinstance(part, Path) else part)
def test_a_shipped_file_obeys_its_schema(name: str, path: Path) -> None:
    schema = kept(name)
    assert mistakes(tomllib.loads(path.read_text(encoding="utf-8")), schema, schema) == []


def spoilt(path: str, value: Any) -> list[str]:
    schema = kept("profile")
    tree = tomllib.loads((PROFILES / "seplos_v3.toml").read_text(encoding="utf-8"))
    *above, last = path.split(".")
    here: Any = tree
    for key in above:
        here = here[int(key)] if isinstance(here, list) else here[key]
    here[last] = value
    return mistakes(tree, schema, schema)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("signal", {}),
        ("bms.cels", 16),
        ("bms.cells", "sixteen"),
        ("bms.cells", 0),
        ("signals.pack_current.positve_means", "charge"),
        ("signals.pack_current.positive_means", "chrge"),
        ("protections.0.kind", "charge_overcurent"),
        ("protections.0.treshold", 1.0),
        ("protections.0.name", "Over Current"),
        ("operation.kind", "always"),
        ("links.modbus.kind", "modbuss"),
    ],
)
def test_an_editor_sees_the_common_mistakes(path: str, value: Any) -> None:
    assert spoilt(path, value) != []


def test_the_kind_of_a_signal_is_not_demanded_and_the_source_is_not_offered() -> None:
    schema = kept("profile")
    assert "kind" not in schema["$defs"]["CanSignal"]["required"]
    assert "kind" not in schema["$defs"]["ModbusSignal"]["required"]
    assert "source" not in schema["properties"]
    assert "source" not in kept("definition")["properties"]


@pytest.mark.parametrize("name", list(MODELS))
def test_a_schema_names_its_dialect_and_what_it_describes(name: str) -> None:
    assert kept(name)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert kept(name)["title"].startswith("bmsbench: ")
