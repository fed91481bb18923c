"""List the sequences of standards, or show one line by line with the origin of its numbers"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bench.profile import Profile
    from bench.sequence import Sequence, Step, Value


@click.command("sequences")
@click.argument("name", required=False)
@click.option("--lab", type=click.Path(path_type=Path), envvar="BMSBENCH_LAB", help="the lab's own folder")
@click.option("--bms", "bms", help="a BMS profile: say which sequences it lacks something for")
def command(name: str | None, lab: Path | None, bms: str | None) -> int:
    """List the sequences, or show one: each step with its number and the mark of that number.

    P: read in the standard; A: in an aligned national text; S: in one secondary source; U: to be confirmed. With
    `--bms`, the exit status is 3 if the profile lacks something for a sequence asked for by name.
    """
    from bench.profile import find_profile, load_profile
    from bench.sequence import find_sequence, load_sequence, sequence_names
    from bmsbench.columns import table

    profile = load_profile(find_profile(bms, lab)) if bms else None
    if name is not None:
        sequence = load_sequence(find_sequence(name, lab))
        click.echo("\n".join(_page(sequence, profile)))
        return 3 if profile is not None and sequence.lacking(profile) else 0
    rows = []
    for each in sequence_names(lab):
        sequence = load_sequence(find_sequence(each, lab))
        lacking = "; ".join(sequence.lacking(profile)) if profile is not None else ""
        about = f"{sequence.cited()}: {sequence.title}"
        rows.append((each, sequence.mark, "+".join(sequence.scope), str(sequence.runs), lacking or about))
    click.echo("\n".join(table(("sequence", "mark", "scope", "runs", "what it is, or what the BMS lacks"), rows)))
    return 0


def _page(sequence: Sequence, profile: Profile | None) -> list[str]:
    from bmsbench.columns import table

    lines = [f"{sequence.name}: {sequence.title}", sequence.evidence(), f"runs: {sequence.runs}"]
    if sequence.borrowed:
        lines.append(f"borrowed: {sequence.borrowed}")
    rows = [row for step in sequence.steps for row in _rows(step)]
    lines += ["", *table(("step", "do", "number", "mark", "what"), rows)]
    if profile is not None:
        lines += ["", *(sequence.lacking(profile) or (f"profile {profile.name!r} declares every protection it needs",))]
    return lines


def _rows(step: Step) -> list[tuple[str, str, str, str, str]]:
    first = (str(step.number), step.do)
    enough = f" (enough: {' or '.join(step.accept)})" if step.accept else ""
    if not step.values:
        return [(*first, "-", step.mark, step.what + enough)]
    rows = [(*first, _number(step.values[0]), step.values[0].mark, step.what + enough)]
    return rows + [("", "", _number(value), value.mark, value.name) for value in step.values[1:]]


def _number(value: Value) -> str:
    bound = {"exactly": "", "at_least": ">= ", "at_most": "<= "}[value.bound]
    text = f"{value.times:g} {value.unit}" if value.of == "one" else f"{value.times:g} x {value.of}"
    if value.plus:
        text += f" {value.plus:+g} {value.unit}"
    return bound + text + (f" ± {value.within:g} {value.unit}" if value.within is not None else "")
