"""`bmsbench report RUN`: draw the report of a run as one HTML file."""

from __future__ import annotations

import json as json_text
from pathlib import Path

import click


@click.command("report")
@click.argument("run", default="last")
@click.option("--open", "open_it", is_flag=True, help="open the report in the browser")
@click.option("--lab", type=click.Path(path_type=Path), envvar="BMSBENCH_LAB", help="the lab's own folder")
@click.option("--json", "as_json", is_flag=True, help="print the paths as JSON")
def command(run: str, open_it: bool, lab: Path | None, as_json: bool) -> None:
    """Draw report.html (Allure, one file, asks nothing of the network) and index.html (overview) of a run.

    RUN is a run folder, its name, or 'last'. The overview is drawn also where Node.js is missing; then the exit
    status is 10 and a sentence says what to install.
    """
    from reports.html import build_allure
    from reports.overview import summarise, write_overview
    from reports.run_folder import find_run
    from reports.where import run_parents

    folder = find_run(run, run_parents(lab))
    try:
        report = build_allure(folder, say=lambda text: click.echo(f"{text} …", err=True))
    finally:
        summary = summarise(folder)
        write_overview(folder.index_html, summary.title, [summary], [])
    if as_json:
        click.echo(json_text.dumps({"report": str(report), "overview": str(folder.index_html)}, indent=2))
    else:
        click.echo(f"report     {report}")
        click.echo(f"overview   {folder.index_html}")
    if open_it:
        click.launch(report.as_uri())
