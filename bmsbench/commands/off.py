"""Make a bench safe that nobody has open: outputs off, disconnect open, measured"""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bench.definition import Definition


@click.command("off")
@click.option("--bench", required=True, metavar="B", help="bench definition, by name or path")
@click.option("--force", is_flag=True, help="go ahead although a run has the bench; nothing is ended by that")
@click.option("--lab", type=click.Path(path_type=Path), envvar="BMSBENCH_LAB", help="the lab's own folder")
@click.option("--json", "as_json", is_flag=True, help="print what was done as JSON")
def command(bench: str, force: bool, lab: Path | None, as_json: bool) -> int:
    """Take the way out on a bench: current to zero, outputs off, disconnect open, then measure.

    Goes on whatever does not answer. A bench that a run has now is left to that run, which is named; --force goes
    ahead all the same. A bench that is not known to be safe afterwards is quarantined (see 'bmsbench release').
    Exit status: 0 safe and measured, 2 a file is wrong, 10 NOT known to be safe, or left alone.
    """
    from dataclasses import asdict

    from bench.definition import check_simulated, find_definition, load_definition
    from bench.errors import DefinitionError
    from bench.quarantine import quarantine_bench
    from bench.shield import shielded
    from bmsbench.columns import paragraph
    from instruments.making_safe import make_safe

    definition = load_definition(find_definition(bench, lab))
    check_simulated(definition)
    if definition.bench.clock == "simulated":
        text = f"bench {definition.name} exists only while something runs on it; nothing is on"
        data = {"bench": definition.name, "safe": True, "text": text, "steps": [], "quarantine": None}
        click.echo(json.dumps(data) if as_json else text)
        return 0
    with ExitStack() as stack:
        _hold(stack, definition, lab, force=force)
        if not as_json:
            click.echo(f"bench {definition.name}: switching off {', '.join(definition.roles)}", err=True)
        stack.enter_context(shielded())
        kept = None
        try:
            report = make_safe(definition, lab=lab, patience_s=_REACH_S)
        except DefinitionError:
            raise  # nothing was opened
        except BaseException as problem:
            quarantine_bench(definition, f"{type(problem).__name__}: {problem}", by=_BY)
            raise
        if not report.safe:
            kept = quarantine_bench(definition, report.text, by=_BY, evidence=report.lines())
    if as_json:
        data = {"bench": definition.name, **asdict(report), "quarantine": kept}
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))
    else:
        for step in report.steps:
            click.echo("\n".join(paragraph(step.stage, f"{step.step}: {_outcome(step.done, step.text)}", indent=19)))
        click.echo(
            f"\nbench {definition.name} {'is safe' if report.safe else 'is NOT known to be safe'}: {report.text}"
        )
        if kept is not None:
            click.echo(kept)
    return 0 if report.safe else 10


_BY = "bmsbench off"
_REACH_S = 6.0  # an EA may count the connection of a run that died for about 3 s


def _hold(stack: ExitStack, definition: Definition, lab: Path | None, *, force: bool) -> None:
    """Take the bench's locks, so that no run begins meanwhile; what a dead process left behind is no obstacle.

    Raises:
        Occupied: somebody has it, and `force` was not said.
    """
    from bench.bench_lock import hold_bench
    from bench.errors import Occupied, SafetyError
    from instruments.guarding import is_exclusive

    try:
        stack.enter_context(hold_bench(definition))
    except SafetyError as problem:  # nobody can know who has it; the current goes first
        click.echo(f"{problem}; going ahead without", err=True)
    except Occupied as problem:
        if not force:
            raise Occupied(
                f"{problem}. End that run and it leaves the bench safely by itself (Ctrl-C there, or SIGTERM); "
                "'bmsbench off --force' goes ahead beside it"
            ) from None
        click.echo(f"{problem}: going ahead all the same, that run is not ended", err=True)
        if is_exclusive(definition, lab):
            click.echo(
                "instruments that take one client (EA) may refuse while that run is their client: then only the "
                "disconnect and the others obey, and the bench is not known to be safe before that run has ended",
                err=True,
            )


def _outcome(done: bool, text: str) -> str:
    return (text or "done") if done else f"FAILED, {text}"
