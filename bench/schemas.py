"""JSON Schemas of profiles and definitions, so that an editor completes and checks them while they are written.

`python -m bench.schemas` writes them anew; a test holds the kept files to the models. An editor finds them by a first
line such as `#:schema ../schemas/profile.schema.json` (Even Better TOML, taplo). What only the loader can see (two
roles on one address, a threshold outside the absolute maxima) is not in them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.definition import Definition
from bench.loading import Frozen
from bench.profile import Profile

SCHEMAS = Path(__file__).parent / "schemas"
MODELS: dict[str, type[Frozen]] = {"profile": Profile, "definition": Definition}


def schema_of(name: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of `profile` or `definition`.

    A signal's `kind` is not demanded: the loader takes it from the signal's link.
    """
    titles = {"profile": "bmsbench: BMS profile", "definition": "bmsbench: bench definition"}
    schema = MODELS[name].model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": titles[name]}


def path_of(name: str) -> Path:
    """Return where the schema of that name is kept."""
    return SCHEMAS / f"{name}.schema.json"


def text_of(name: str) -> str:
    """Return a schema as it stands in its file."""
    return json.dumps(schema_of(name), indent=1, ensure_ascii=False) + "\n"


def write_schemas() -> list[Path]:
    """Write all schemas to their files; return the paths."""
    SCHEMAS.mkdir(exist_ok=True)
    for name in MODELS:
        path_of(name).write_text(text_of(name), encoding="utf-8", newline="\n")
    return [path_of(name) for name in MODELS]


if __name__ == "__main__":
    for path in write_schemas():
        print(path)
