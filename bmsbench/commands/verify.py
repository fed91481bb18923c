"""`bmsbench verify RUN`: is the evidence of a run still what it was when the run ended?"""

from __future__ import annotations

import json as json_text
import sys
from pathlib import Path

import click


@click.command("verify")
@click.argument("run", default="last")
@click.option("--lab", type=click.Path(path_type=Path), envvar="BMSBENCH_LAB", help="the lab's own folder")
@click.option("--json", "as_json", is_flag=True, help="print the result as JSON")
def command(run: str, lab: Path | None, as_json: bool) -> None:
    """Compare every file of a run with its manifest of SHA-256 sums.

    RUN is a run folder, its name, or 'last'. Exit status: 0 all as it was, 1 something changed, is missing or new.
    """
    from reports.manifest import compare
    from reports.run_folder import find_run
    from reports.where import run_parents

    folder = find_run(run, run_parents(lab))
    difference = compare(folder)
    if as_json:
        data = {
            "run": folder.path.name,
            "intact": difference.intact,
            "files": difference.files,
            "changed": difference.changed,
            "missing": difference.missing,
            "new": difference.new,
        }
        click.echo(json_text.dumps(data, indent=2))
    else:
        for word, names in (
            ("changed", difference.changed),
            ("missing", difference.missing),
            ("new", difference.new),
        ):
            for name in names:
                click.echo(f"{word:<10}{name}")
        verdict = "as they were when the run ended" if difference.intact else "compared: NOT as the run left them"
        click.echo(f"{folder.path.name}: {difference.files} files, {verdict}")
    sys.exit(0 if difference.intact else 1)
