"""`bmsbench uncertainty`: the budgets of a bench for a BMS, and whether they suffice"""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command("uncertainty")
@click.option("--bench", default="virtual", show_default=True, help="definition: its name, or the path of a .toml file")
@click.option("--bms", default="foxbms_2", show_default=True, help="profile: its name, or the path of a .toml file")
@click.option("--lab", type=click.Path(path_type=Path), envvar="BMSBENCH_LAB", help="the lab's own folder")
@click.option(
    "--current", "currents_a", type=float, multiple=True, help="print the whole budget at this current, in amperes"
)
@click.option("--ramp", "slope", type=float, help="slope of a ramp, in A/s; that of the threshold search if not given")
@click.option(
    "--clock-offset",
    "clock_offset_s",
    type=float,
    help="limit of the offset between the clocks of instruments and bus, in seconds, as measured with one common edge",
)
@click.option("--json", "as_json", is_flag=True, help="print the budgets as JSON")
def command(
    bench: str,
    bms: str,
    lab: Path | None,
    currents_a: tuple[float, ...],
    slope: float | None,
    clock_offset_s: float | None,
    as_json: bool,
) -> int:
    """Print what this bench knows, and how well: reference current, pack voltage, thresholds and delays of a BMS.

    Nothing is opened. U covers 95.45 %. TUR is the promised tolerance against U: below 4 the guard band matters,
    below 1 this bench cannot judge the point. The exit status is 11 if there is such a point, or a calibration that
    has run out.
    """
    from bench.definition import find_definition, load_definition
    from bench.profile import find_profile, load_profile
    from bench.wall_clock import utc_now
    from bmsbench.uncertainty_report import as_text, survey

    definition = load_definition(find_definition(bench, lab))
    profile = load_profile(find_profile(bms, lab))
    report = survey(
        definition,
        profile,
        today=utc_now()[:10],
        currents_a=currents_a,
        slope_a_per_s=slope,
        clock_offset_s=clock_offset_s,
    )
    click.echo(json.dumps(report, indent=2, ensure_ascii=False) if as_json else as_text(report))
    return 11 if report["unjudgeable"] or report["calibration"] else 0
