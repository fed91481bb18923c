"""`bmsbench docs`: write the reference pages from the code, or check that they are current."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click


@click.command("docs")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="folder (default: docs/reference)")
@click.option("--check", is_flag=True, help="write nothing; exit status 1 if a page is not what the code says")
@click.option("--json", "as_json", is_flag=True, help="print the pages' names as JSON")
def command(out: Path | None, check: bool, as_json: bool) -> None:
    """Write the reference pages: keys of profiles and definitions, commands, judgements, fixtures, drivers, defects."""
    from bmsbench.reference_pages import pages
    from bmsbench.suites import ROOT

    folder = out if out is not None else ROOT / "docs" / "reference"
    stale = []
    made = pages()
    for name, text in made.items():
        path = folder / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if not check:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
    if as_json:
        click.echo(json.dumps({"folder": str(folder), "pages": list(made), "changed": stale}, indent=2))
    elif check:
        for name in stale:
            click.echo(f"{folder / name}: not what the code says; run 'bmsbench docs'")
    else:
        click.echo(f"{len(made)} pages in {folder}, {len(stale)} changed")
    sys.exit(1 if check and stale else 0)
