"""List the bench definitions, and whether each may be used"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click


@click.command("benches")
@click.option("--lab", type=click.Path(path_type=Path), envvar="BMSBENCH_LAB", help="the lab's own folder")
@click.option("--json", "as_json", is_flag=True, help="print the list as JSON")
def command(lab: Path | None, as_json: bool) -> int:
    """List definitions: name for --bench, clock, what stands on it.

    One that cannot be loaded is listed with its mistake; the exit status is then 2.
    """
    from bench.definition import DEFINITIONS
    from bmsbench.columns import table

    folders = ([lab / "definitions"] if lab else []) + [DEFINITIONS]
    found = [_facts(path) for folder in folders for path in sorted(folder.glob("*.toml"))]
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        rows = [(facts["name"], facts["clock"] or "-", _described(facts)) for facts in found]
        click.echo("\n".join(table(("bench", "clock", "what it is"), rows)))
    return 2 if any(facts["problem"] for facts in found) else 0


def _described(facts: dict[str, Any]) -> str:
    if facts["problem"]:
        return f"cannot be loaded: {facts['problem']}"
    hint = f". Refused: {facts['refused']}" if facts["refused"] else ""
    return f"{facts['title']}: {', '.join(facts['drivers'])}{hint}"


def _facts(path: Path) -> dict[str, Any]:
    from bench.definition import check_simulated, load_definition
    from bench.errors import DefinitionError

    facts: dict[str, Any] = {"name": path.stem, "file": str(path), "title": "", "clock": None, "simulated": None}
    facts |= {"drivers": [], "refused": None, "problem": None}
    try:
        definition = load_definition(path)
    except DefinitionError as problem:
        return {**facts, "problem": str(problem)}
    drivers = list(dict.fromkeys(definition.instruments[name].driver for name in definition.roles.values()))
    facts |= {
        "title": definition.bench.title or definition.name,
        "clock": definition.bench.clock,
        "simulated": definition.bench.simulated,
        "drivers": drivers,
    }
    try:
        check_simulated(definition)
    except DefinitionError as problem:
        facts["refused"] = str(problem)
    return facts
