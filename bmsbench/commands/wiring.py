"""Print how a bench is to be wired, as a drawing and a list to tick, and keep who confirmed it"""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command("wiring")
@click.option("--bench", default="virtual", show_default=True, metavar="B", help="bench definition, by name or path")
@click.option("--confirm", is_flag=True, help="the bench was compared with this sheet, line by line")
@click.option("--by", default="", metavar="NAME", help="who compared it")
@click.option("--svg", type=click.Path(path_type=Path, dir_okay=False), help="write the sheet as a drawing to print")
@click.option("--lab", type=click.Path(path_type=Path), envvar="BMSBENCH_LAB", help="the lab's own folder")
@click.option("--json", "as_json", is_flag=True, help="print the list and who confirmed it as JSON")
def command(bench: str, confirm: bool, by: str, svg: Path | None, lab: Path | None, as_json: bool) -> int:
    """Print the wiring sheet of a bench: every connection with polarity, references, fuse and cross-sections.

    Print it, compare it with the bench line by line, then confirm it by name. The confirmation holds for exactly this
    content of the definition; any change needs a new one. Nothing is opened. Exit status: 0, 2 a file is wrong,
    10 it cannot be confirmed (something is not declared).
    """
    from bench.definition import find_definition, load_definition
    from bench.wiring import require_complete, wiring_items
    from bench.wiring_confirmation import confirm_wiring, content_hash, find_confirmation
    from reports.wiring_sheet import sheet_lines, sheet_svg

    if confirm and not by.strip():
        raise click.UsageError("--confirm needs --by NAME: a wiring is confirmed by a person")
    if by and not confirm:
        raise click.UsageError("--by NAME goes with --confirm")
    definition = load_definition(find_definition(bench, lab))
    if confirm:
        items = require_complete(definition)
        confirm_wiring(definition, by, tuple(item.key for item in items))
    confirmation = find_confirmation(definition)
    if svg is not None:
        svg.write_text(sheet_svg(definition, confirmation), encoding="utf-8", newline="\n")
    if as_json:
        data = {
            "bench": definition.name,
            "content": content_hash(definition),
            "confirmed_by": confirmation.by if confirmation else None,
            "confirmed_at": confirmation.at if confirmation else None,
            "items": [
                {"key": i.key, "group": i.group, "text": i.text, "proposal": i.proposal, "missing": i.missing}
                for i in wiring_items(definition)
            ],
        }
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))
        return 0
    click.echo("\n".join(sheet_lines(definition, confirmation)))
    if svg is not None:
        click.echo(f"drawing: {svg}")
    return 0
