"""`bmsbench rejudge RUN`: the verdicts again, from the evidence alone."""

from __future__ import annotations

import json as json_text
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from reports.rejudge import RejudgedRun


@click.command("rejudge")
@click.argument("run", default="last")
@click.option(
    "--rule",
    type=click.Choice(["guarded", "simple", "binary"]),
    help="judge by this decision rule instead of the one chosen before the test",
)
@click.option("--lab", type=click.Path(path_type=Path), envvar="BMSBENCH_LAB", help="the lab's own folder")
@click.option("--json", "as_json", is_flag=True, help="print the result as JSON")
def command(run: str, rule: str | None, lab: Path | None, as_json: bool) -> None:
    """Judge a recorded run again, without a bench.

    RUN is a run folder, its name, or 'last'. Exit status as of a run: 0 judged and passed, 1 the product failed,
    11 inconclusive, nothing judged, or evidence unreadable. Differences from the recorded verdicts are named.
    """
    from reports.rejudge import rejudge_run
    from reports.run_folder import find_run
    from reports.where import run_parents

    folder = find_run(run, run_parents(lab))
    result = rejudge_run(folder, rule)  # type: ignore[arg-type]
    if as_json:
        click.echo(json_text.dumps(_as_json(folder.path, result), indent=2, ensure_ascii=False))
    else:
        _print(folder.path, result)
    sys.exit(result.exit_status)


def _print(path: Path, result: RejudgedRun) -> None:
    from reports.table import value_words

    click.echo(f"{path.name}: judged again from its evidence, no bench took part\n")
    for part in result.tests:
        then = part.test.outcome.words if part.test.outcome is not None else "INTERRUPTED"
        now = part.outcome.words if part.outcome is not None else "nothing was judged"
        click.echo(f"{now:<20}{part.test.title}   (then {then})")
        for judged in part.judgements:
            if judged.error is not None:
                click.echo(f"    {judged.judgement}: {judged.error}")
            for row in judged.now:
                value, expanded, limits = value_words(row)
                wide = f"{value} ± {expanded}" if expanded else value
                click.echo(f"    {row['verdict']:<13} {row['name']}: {wide}, {limits} (rule: {judged.rule})")
        for problem in part.problems:
            click.echo(f"    evidence      {problem}")
    for problem in result.problems:
        click.echo(f"evidence            {problem}")
    differences = result.differences
    click.echo("")
    if differences:
        click.echo(f"{len(differences)} differences from what was recorded:")
        for line in differences:
            click.echo(f"    {line}")
    else:
        count = sum(len(part.judgements) for part in result.tests)
        click.echo(f"{count} judgements, each as it was recorded")


def _as_json(path: Path, result: RejudgedRun) -> dict[str, Any]:
    return {
        "run": path.name,
        "exit_status": result.exit_status,
        "tests": [
            {
                "id": part.test.id,
                "then": part.test.outcome.value if part.test.outcome is not None else None,
                "now": part.outcome.value if part.outcome is not None else None,
                "judgements": [
                    {
                        "judgement": judged.judgement,
                        "rule": judged.rule,
                        "measurements": list(judged.now),
                        "error": judged.error,
                        "differences": list(judged.differences),
                    }
                    for judged in part.judgements
                ],
                "problems": part.problems,
            }
            for part in result.tests
        ],
        "problems": list(result.problems),
        "differences": result.differences,
    }
