"""The bench definition that a lab writes: the same bench, on the wall clock, at the addresses it is served on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from bench.errors import DefinitionError
from instruments.virtual.lab import Lab, Served

MARK = "# Written by bmsbench lab"


def bench_name(lab: Lab, wanted: str | None = None) -> str:
    """Return what a lab's bench is called: as wanted, or by its first port, which no other lab on this machine has.

    Locks and quarantine go by this name, so two labs must not share one.
    """
    return f"{lab.definition.name}_lab_{lab.served[0].port}" if wanted is None else wanted


def write_definition(lab: Lab, path: Path, name: str | None = None) -> None:
    """Write the definition; an older one of a lab is replaced, any other file is left alone.

    Raises:
        DefinitionError: there is a file that no lab wrote.
        OSError: it cannot be written.
    """
    if path.exists():
        with path.open(encoding="utf-8", errors="replace") as file:
            if not file.readline().startswith(MARK):
                raise DefinitionError(
                    f"{path}: exists, and no lab wrote it; it was left alone. Choose another name with --write"
                )
    path.write_text(definition_text(lab, name), encoding="utf-8", newline="\n")


def definition_text(lab: Lab, name: str | None = None) -> str:
    """Return the definition as TOML; `name` is the bench's, see `bench_name`."""
    where = {served.name: served for served in lab.served}
    data = lab.definition.model_dump(mode="python", exclude_none=True, exclude_defaults=True)
    data["bench"] = {
        "name": bench_name(lab, name),
        "title": f"{lab.definition.bench.title or lab.definition.name}, served in real time",
        "clock": "wall",
        "simulated": True,
    }
    for name, section in data["instruments"].items():
        section.pop("virtual", None)
        if name in where:
            section["address"] = where[name].address
    data["links"] = {name: _binding(lab, where[name]) for name in lab.profile.links if name in where}
    unbound = set(lab.definition.links) - set(data["links"])  # for other BMSs than the one that is connected
    references = data["topology"].get("references", {})
    data["topology"]["references"] = {part: to for part, to in references.items() if part not in unbound}
    lines = [
        f"{MARK}: valid as long as that lab runs.",
        f"# A {lab.profile.name} is connected; everything listens on this machine only, nothing is hardware.",
        "schema_version = 1",
        *_top_level(data),
        *_tables(data),
    ]
    return "\n".join(lines) + "\n"


def _binding(lab: Lab, served: Served) -> dict[str, Any]:
    if served.protocol == "socketcand":
        options = {"host": served.host, "port": served.port}
        return {"medium": "can", "interface": "socketcand", "channel": lab.can_name, "options": options}
    return {"medium": "modbus", "address": served.address}


def _top_level(data: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {_value(value)}" for key, value in data.items() if not isinstance(value, Mapping)]


def _tables(data: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    for name, table in data.items():
        if not isinstance(table, Mapping):
            continue
        if name in ("instruments", "links"):
            for key, section in table.items():
                lines += ["", f"[{name}.{key}]", *(f"{word} = {_value(value)}" for word, value in section.items())]
        else:
            lines += ["", f"[{name}]", *(f"{word} = {_value(value)}" for word, value in table.items())]
    return lines


def _value(value: object) -> str:
    """Write one value; a table is written inline."""
    if isinstance(value, Mapping):
        inside = ", ".join(f"{json.dumps(key)} = {_value(part)}" for key, part in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_value(part) for part in value)}]"
    return json.dumps(str(value), ensure_ascii=False)
