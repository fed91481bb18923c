"""`bmsbench explain CURRENT --bms PROFILE`: what does this number mean on this BMS?"""

from __future__ import annotations

import json
from pathlib import Path

import click


# A negative number looks like an option; what is no option of ours is the current.
@click.command("explain", context_settings={"ignore_unknown_options": True})
@click.argument("current", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--bms", required=True, help="profile: its name, or the path of a .toml file")
@click.option("--lab", type=click.Path(path_type=Path), envvar="BMSBENCH_LAB", help="the lab's own folder")
@click.option("--json", "as_json", is_flag=True, help="print the answer as JSON")
def command(current: tuple[str, ...], bms: str, lab: Path | None, as_json: bool) -> None:
    """Say in one sentence what CURRENT means on this BMS, and how that is known.

    CURRENT is the number as the BMS shows it, with the BMS's own sign: -12.3, "+5 A", -800mA.
    """
    from bench.errors import OutOfRange
    from bench.explain import explain, parse_current
    from bench.profile import find_profile, load_profile

    text = " ".join(current)
    try:
        given_a = parse_current(text)
    except OutOfRange as problem:
        raise click.BadParameter(str(problem), param_hint="CURRENT") from None
    answer = explain(load_profile(find_profile(bms, lab)), given_a)
    click.echo(json.dumps(answer.as_dict(), indent=2, ensure_ascii=False) if as_json else answer.as_text())
