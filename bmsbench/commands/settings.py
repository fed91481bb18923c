"""Show the settings of the BMS on a bench, and put them back where a test left them changed"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from bench.profile import Profile
    from bmsbench.dut_report import DutReport, Row


@click.command("settings")
@click.option("--bench", default="virtual", show_default=True, metavar="B", help="bench definition, by name or path")
@click.option("--bms", default="foxbms_2", show_default=True, metavar="P", help="BMS profile, by name or path")
@click.option("--dut-serial", default="", metavar="SERIAL", help="serial number of a unit that does not say it itself")
@click.option("--restore", is_flag=True, help="write the snapshot back, compare, and lift the quarantine")
@click.option("--seed", default=1, show_default=True, type=int, metavar="N", help="of a virtual bench")
@click.option("--lab", type=click.Path(path_type=Path), envvar="BMSBENCH_LAB", help="the lab's own folder")
@click.option("--json", "as_json", is_flag=True, help="print what was read as JSON")
def command(bench: str, bms: str, dut_serial: str, restore: bool, seed: int, lab: Path | None, as_json: bool) -> int:
    """Read who the BMS is and how it is set; compare with the snapshot that a test took before it changed something.

    Only the links to the BMS are opened; no instrument is touched and no current flows. Exit status: 0 the unit may be
    tested, 2 a file is wrong or there is nothing to put back, 10 the unit is (or stays) quarantined.
    """
    from bench.definition import find_definition, load_definition
    from bench.profile import find_profile, load_profile
    from bmsbench import dut_report
    from instruments.dut_only import open_dut

    definition = load_definition(find_definition(bench, lab))
    profile = load_profile(find_profile(bms, lab))
    with open_dut(definition, profile, lab=lab, seed=seed) as dut:
        report = dut_report.look_at(dut, dut_serial)
        if not as_json:
            _print(definition.name, profile, report)
        if restore:
            if not as_json:
                back = [row for row in report.rows if row.differs]
                click.echo(f"\nwriting back: {', '.join(row.name for row in back) or 'nothing; all read as before'}")
            dut_report.restore(dut, report)
            report = dut_report.look_at(dut, dut_serial)
    if as_json:
        data = _data(definition.name, profile, report) | {"restored": restore}
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))
    elif restore:
        click.echo(f"BMS {report.serial} reads as before and may be tested again")
    return 0 if report.quarantine is None else 10


def _print(bench: str, profile: Profile, report: DutReport) -> None:
    from bmsbench.columns import paragraph, table
    from bmsbench.dut_report import show

    facts = [f"{fact} {text}" for fact, text in report.facts.items()]
    facts += [f"{fact} not known ({why})" for fact, why in report.unknown.items()]
    click.echo("\n".join(paragraph("", f"bench {bench}, BMS {profile.name}: {'; '.join(facts)}", indent=2)))
    if report.serial and "serial" not in report.facts:
        click.echo(f"serial {report.serial}, as told")
    if report.quarantine is not None:
        since, cause = report.quarantine.get("since", "an unknown time"), report.quarantine.get("cause", "not written")
        click.echo("\n".join(paragraph("QUARANTINED", f"since {since}: {cause}", indent=13)))
    if not report.rows:
        click.echo(f"\nprofile {profile.name} declares no setting that may be changed")
        return
    rows = [
        (
            row.name,
            show(profile, row.name, row.now),
            show(profile, row.name, row.snapshot),
            show(profile, row.name, row.profile),
            _remark(row),
        )
        for row in report.rows
    ]
    click.echo()
    click.echo("\n".join(table(("setting", "now", "snapshot", "profile", ""), rows)))


def _remark(row: Row) -> str:
    if row.now is None:
        return "in the snapshot, not in this profile"
    if row.differs:
        return "NOT PUT BACK"
    beside = row.profile is not None and abs(row.now - row.profile) > 1e-9 * max(1.0, abs(row.profile))
    return "not as the profile promises" if beside else ""


def _data(bench: str, profile: Profile, report: DutReport) -> dict[str, Any]:
    return {
        "bench": bench,
        "bms": profile.name,
        "serial": report.serial or None,
        "facts": dict(report.facts),
        "not_known": dict(report.unknown),
        "quarantine": None if report.quarantine is None else dict(report.quarantine),
        "settings": [
            {
                "name": row.name,
                "unit": row.unit,
                "now": row.now,
                "snapshot": row.snapshot,
                "profile": row.profile,
                "differs": row.differs,
            }
            for row in report.rows
        ],
    }
