"""Watch it work: two healthy BMSs, one with an inverted sign, one with a dead protection"""

from __future__ import annotations

import click


@click.command()
@click.option("--bench", default="virtual", show_default=True, metavar="B", help="virtual or virtual_bidirectional")
@click.option("--seed", default=1, show_default=True, type=int, metavar="N", help="seed of the runs")
@click.option("--open", "open_page", is_flag=True, help="open the overview in a browser at the end")
@click.option("--json", "as_json", is_flag=True, help="print what happened as JSON")
def command(bench: str, seed: int, open_page: bool, as_json: bool) -> int:
    """Run the suites on two healthy BMSs with opposite sign conventions, then on broken ones, and show the reports.

    Everything is virtual: no hardware is touched. Exit status 0 if the healthy ones pass and the broken ones are
    caught, else 10.
    """
    from bmsbench.demonstration import demonstrate

    return demonstrate(bench, seed, open_page=open_page, as_json=as_json)
