"""`bmsbench replay LOG --bms PROFILE`: what does a recording say about its currents?"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click


@click.command("replay")
@click.argument("log", type=click.Path(path_type=Path))
@click.option("--bms", required=True, help="profile: its name, or the path of a .toml file")
@click.option("--lab", type=click.Path(path_type=Path), envvar="BMSBENCH_LAB", help="the lab's own folder")
@click.option("--json", "as_json", is_flag=True, help="print the result as JSON")
@click.option("--plot", "plot", type=click.Path(path_type=Path, dir_okay=False), help="write a picture (SVG) here")
def command(log: Path, bms: str, lab: Path | None, as_json: bool, plot: Path | None) -> None:
    """Decode a recording with a profile and say, for each current, whether the BMS agrees with itself.

    LOG is a CAN recording (candump, PCAN, ASC, BLF, CSV, MF4 with asammdf, text forms) or a dump of a Modbus
    conversation. Exit status: 0 nothing contradicts a declared sign, 1 something does, 11 no current was found.
    A damaged recording is used as far as it goes, and is an error at the end.
    """
    from bench.errors import DefinitionError
    from bench.profile import find_profile, load_profile
    from bmsbench.replay_decoding import decode_recording
    from bmsbench.replay_report import make_report
    from bmsbench.replay_text import as_svg, as_text

    profile = load_profile(find_profile(bms, lab))
    report = make_report(profile, log.name, decode_recording(profile, log))
    click.echo(json.dumps(report.as_dict(), indent=2, ensure_ascii=False) if as_json else as_text(report))
    if plot is not None:
        try:
            plot.write_text(as_svg(profile, report), encoding="utf-8")
        except OSError as problem:
            raise DefinitionError(f"--plot {plot}: cannot be written: {problem}") from None
        if not as_json:
            click.echo(f"\nplot            {plot}")
    if report.decoding.damage:
        raise DefinitionError(report.decoding.damage)
    sys.exit(report.exit_status)
