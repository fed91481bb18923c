"""Let a quarantined bench run again, on the word of a named person who has looked at it"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click


@click.command("release")
@click.argument("bench")
@click.option("--by", required=True, metavar="NAME", help="who has looked at the bench")
@click.option("--yes", is_flag=True, help="do not ask; the person named by --by has looked")
@click.option("--lab", type=click.Path(path_type=Path), envvar="BMSBENCH_LAB", help="the lab's own folder")
@click.option("--json", "as_json", is_flag=True, help="print what was released as JSON; needs --yes")
def command(bench: str, by: str, yes: bool, lab: Path | None, as_json: bool) -> int:
    """Release BENCH, by name or by the path of its definition, after a run that could not make it safe.

    Shows the cause and the evidence first and asks. What was released, when and by whom is kept. A BMS whose settings
    were changed is released by nobody's word, only by its own: bmsbench settings --restore.
    """
    from bench.definition import find_definition, load_definition
    from bench.errors import DefinitionError
    from bench.quarantine import bench_file, closed_by, quarantined_bench, quarantined_dut, release_bench
    from bench.quarantine_files import looks

    definition = load_definition(find_definition(bench, lab)) if bench.endswith(".toml") else None
    name = bench if definition is None else definition.name
    if definition is not None and not bench_file(name).exists() and (others := closed_by(definition)):
        raise DefinitionError(
            f"bench {name} is not quarantined itself, but has instruments of: {', '.join(others)}; look at that bench, "
            "then release it by its name"
        )
    if not bench_file(name).exists() and quarantined_dut(name) is not None:
        raise DefinitionError(
            f"{name} is no bench but a BMS, and is released when its settings read as before, not by anybody's word: "
            "bmsbench settings --restore"
        )
    entry = quarantined_bench(name)
    if as_json and not yes:
        raise click.UsageError("--json asks nothing; add --yes when the person named by --by has looked")
    if not as_json:
        _show(name, entry)
    question = f"\n{by}: did you see that {', and that '.join(looks(entry))}?"
    if not yes and not click.confirm(question, default=False):
        click.echo(f"bench {name} stays quarantined")
        return 10
    release_bench(name, by)
    if as_json:
        click.echo(json.dumps({"bench": name, "released_by": by, "was": entry}, indent=2, ensure_ascii=False))
    else:
        click.echo(f"bench {name} is released by {by}; it may run again")
    return 0


def _show(name: str, entry: Mapping[str, Any]) -> None:
    from bench.quarantine_files import listed

    for number, trouble in enumerate([entry, *listed(entry, "later", dict)]):
        begin = (
            f"\nlater, {trouble.get('since', '?')}"
            if number
            else f"bench {name}, quarantined since {trouble.get('since', '?')}"
        )
        click.echo(f"{begin} by {trouble.get('by', '?')}")
        click.echo(f"cause   {trouble.get('cause', '?')}")
        for line in listed(trouble, "evidence", str):
            click.echo(f"        {line}")
