"""List the instruments that there are drivers for, and which were seen on hardware"""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command("instruments")
@click.option("--lab", type=click.Path(path_type=Path), envvar="BMSBENCH_LAB", help="the lab's own folder")
@click.option("--json", "as_json", is_flag=True, help="print the list as JSON")
def command(lab: Path | None, as_json: bool) -> None:
    """List the catalogue: driver, role, how it is spoken to, and whether it was ever seen on hardware."""
    from bmsbench.columns import table
    from instruments import catalogue

    facts = catalogue.scan(lab / "drivers" if lab else None)
    if as_json:
        data = [
            {
                "driver": entry.name,
                "role": entry.role,
                "family": entry.family,
                "models": list(entry.models),
                "transport": entry.transport,
                "seen_on_hardware": entry.commissioned,
                "watchdog": entry.watchdog,
                "summary": entry.summary,
            }
            for entry in facts
        ]
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))
        return
    rows = [
        (entry.name, entry.role, entry.transport, "yes" if entry.watchdog else "none",
         f"{entry.family}: {_seen(entry.commissioned)}")
        for entry in facts
    ]  # fmt: skip
    click.echo("\n".join(table(("driver", "role", "spoken", "watchdog", "family"), rows)))


def _seen(commissioned: bool) -> str:
    return "commissioned on hardware" if commissioned else "never seen on hardware"
