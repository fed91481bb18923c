"""List the BMS profiles, with what a positive current means on each"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click


@click.command("profiles")
@click.option("--lab", type=click.Path(path_type=Path), envvar="BMSBENCH_LAB", help="the lab's own folder")
@click.option("--json", "as_json", is_flag=True, help="print the list as JSON")
def command(lab: Path | None, as_json: bool) -> int:
    """List profiles: name, cells, what a positive current means and how that is known, model.

    A profile that cannot be loaded is listed with its mistake; the exit status is then 2.
    """
    from bench.profile import PROFILES
    from bmsbench.columns import table

    folders = ([lab / "profiles"] if lab else []) + [PROFILES]
    found = [_facts(path) for folder in folders for path in sorted(folder.glob("*.toml"))]
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        rows = [
            (facts["name"], str(facts["cells"] or "-"), _sign(facts), facts["problem"] or facts["model"])
            for facts in found
        ]
        click.echo("\n".join(table(("profile", "cells", "positive means", "model"), rows)))
    return 2 if any(facts["problem"] for facts in found) else 0


def _sign(facts: dict[str, Any]) -> str:
    return f"{facts['positive_means']} ({facts['provenance']})" if facts["positive_means"] else "-"


def _facts(path: Path) -> dict[str, Any]:
    from bench.errors import DefinitionError
    from bench.profile import load_profile

    facts: dict[str, Any] = {"name": path.stem, "file": str(path), "maker": None, "model": None, "cells": None}
    facts |= {"positive_means": None, "provenance": None, "links": [], "protections": [], "problem": None}
    try:
        profile = load_profile(path)
    except DefinitionError as problem:
        return {**facts, "problem": f"cannot be loaded: {problem}"}
    current = profile.signals.get("pack_current")
    return {
        **facts,
        "maker": profile.bms.maker,
        "model": profile.bms.model,
        "cells": profile.bms.cells,
        "positive_means": current.positive_means if current is not None else None,
        "provenance": current.provenance if current is not None else None,
        "links": list(profile.links),
        "protections": [row.name for row in profile.protections],
    }
