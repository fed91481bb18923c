"""List the defects that a virtual BMS can be given, and which suite catches each"""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command("defects")
@click.option("--bms", metavar="P", help="only those that mean something for this BMS")
@click.option("--lab", type=click.Path(path_type=Path), envvar="BMSBENCH_LAB", help="the lab's own folder")
@click.option("--json", "as_json", is_flag=True, help="print the list as JSON")
def command(bms: str | None, lab: Path | None, as_json: bool) -> None:
    """List defects: name, what is wrong, misreading classes (M01 to M41), and the suite that is to catch it.

    Use one with --defect NAME of run or lab; several are written NAME,NAME.
    """
    from bench.profile import find_profile, load_profile
    from bmsbench.columns import table
    from instruments.virtual.defects import registry

    profile = load_profile(find_profile(bms, lab)) if bms else None
    chosen = [d for d in registry().values() if profile is None or d.applies_to(profile) is None]
    if as_json:
        data = [
            {
                "name": defect.name,
                "description": defect.description,
                "classes": list(defect.classes),
                "caught_by": list(defect.caught_by),
                "reason": defect.reason,
            }
            for defect in chosen
        ]
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))
        return
    rows = [
        (defect.name, defect.caught_by[0] if defect.caught_by else "-", _described(defect.description, defect.classes))
        for defect in chosen
    ]
    click.echo("\n".join(table(("defect", "caught by", "what is wrong (misreading classes)"), rows)))


def _described(description: str, classes: tuple[str, ...]) -> str:
    return f"{description} ({', '.join(classes)})" if classes else description
