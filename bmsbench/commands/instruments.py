"""List the instruments that there are drivers for, and which were seen on hardware"""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command("instruments")
@click.option("--lab", type=click.Path(path_type=Path), envvar="BMSBENCH_LAB", help="the lab's own folder")
@click.option("--json", "as_json", is_flag=True, help="print the list as JSON")
def command(lab: Path | None, as_json: bool) -> None:
    """List the catalogue: driver, role, how it is spoken to, and where it was commissioned on hardware.

    What 'bmsbench commission' found on this machine's benches is read from the state folder (BMSBENCH_STATE). Virtual
    instruments never count as hardware.
    """
    from bench.commissioning import commissionings, seen_words
    from bmsbench.columns import table
    from instruments import catalogue
    from instruments.driver_digest import driver_digest

    drivers = lab / "drivers" if lab else None
    facts = catalogue.scan(drivers)
    records = commissionings()
    seen = {
        entry.name: seen_words(entry.name, driver_digest(catalogue.load(entry.folder, entry.name, drivers)), records)
        for entry in facts
    }
    if as_json:
        data = [
            {
                "driver": entry.name,
                "role": entry.role,
                "family": entry.family,
                "models": list(entry.models),
                "transport": entry.transport,
                "seen_on_hardware": entry.commissioned or seen[entry.name].startswith("commissioned"),
                "seen": _seen(entry.commissioned, seen[entry.name]),
                "watchdog": entry.watchdog,
                "summary": entry.summary,
            }
            for entry in facts
        ]
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))
        return
    rows = [
        (
            entry.name,
            entry.role,
            entry.transport,
            f"{entry.family}, {'with' if entry.watchdog else 'no'} watchdog: "
            f"{_seen(entry.commissioned, seen[entry.name])}",
        )
        for entry in facts
    ]
    click.echo("\n".join(table(("driver", "role", "spoken", "family"), rows)))


def _seen(commissioned: bool, here: str) -> str:
    """Say what this lab's own evidence says, or else what the driver's author says."""
    return "commissioned on hardware elsewhere" if commissioned and here.startswith("never") else here
