"""Make a bench safe that nobody has open: outputs off, disconnect open, measured"""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command("off")
@click.option("--bench", required=True, metavar="B", help="bench definition, by name or path")
@click.option("--lab", type=click.Path(path_type=Path), envvar="BMSBENCH_LAB", help="the lab's own folder")
@click.option("--json", "as_json", is_flag=True, help="print what was done as JSON")
def command(bench: str, lab: Path | None, as_json: bool) -> int:
    """Take the way out on a bench: current to zero, outputs off, disconnect open, then measure.

    Goes on whatever does not answer. Exit status: 0 safe and measured, 2 a file is wrong, 10 NOT known to be safe.
    """
    from dataclasses import asdict

    from bench.definition import find_definition, load_definition, refuse_hardware
    from bench.shield import shielded
    from bmsbench.columns import paragraph
    from instruments.making_safe import make_safe

    definition = load_definition(find_definition(bench, lab))
    refuse_hardware(definition)
    if definition.bench.clock == "simulated":
        text = f"bench {definition.name} exists only while something runs on it; nothing is on"
        click.echo(json.dumps({"bench": definition.name, "safe": True, "text": text, "steps": []}) if as_json else text)
        return 0
    if not as_json:
        names = ", ".join(definition.roles)
        click.echo(f"bench {definition.name}: switching off {names}", err=True)
    with shielded():
        report = make_safe(definition, lab=lab)
    if as_json:
        data = {"bench": definition.name, **asdict(report)}
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))
    else:
        for step in report.steps:
            click.echo("\n".join(paragraph(step.stage, f"{step.step}: {_outcome(step.done, step.text)}", indent=19)))
        click.echo(
            f"\nbench {definition.name} {'is safe' if report.safe else 'is NOT known to be safe'}: {report.text}"
        )
    return 0 if report.safe else 10


def _outcome(done: bool, text: str) -> str:
    return (text or "done") if done else f"FAILED, {text}"
