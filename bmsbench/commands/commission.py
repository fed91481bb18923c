"""Meet an instrument for the first time, at low limits, and keep the evidence"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click


@click.command("commission")
@click.argument("target", metavar="ROLE|INSTRUMENT")
@click.option("--bench", required=True, metavar="B", help="bench definition, by name or path")
@click.option(
    "--bms", default="foxbms_2", show_default=True, metavar="P", help="BMS profile, where a pack is connected"
)
@click.option("--resistor", type=float, metavar="OHM", help="a known resistor is connected in the pack's place")
@click.option("--short", is_flag=True, help="a short is connected in the pack's place")
@click.option("--fault", default="none", metavar="F", help="plant a fault in a virtual instrument, to see it named")
@click.option("--seed", default=1, show_default=True, type=int, metavar="N", help="of a virtual bench")
@click.option("--lab", type=click.Path(path_type=Path), envvar="BMSBENCH_LAB", help="the lab's own folder")
@click.option("--json", "as_json", is_flag=True, help="print the record as JSON")
def command(
    target: str,
    bench: str,
    bms: str,
    resistor: float | None,
    short: bool,
    fault: str,
    seed: int,
    lab: Path | None,
    as_json: bool,
) -> int:
    """Meet one instrument of a bench: who it is, what it obeys, which way it counts, how it stops and trips.

    At most 10 A flow, and 100 W into a resistor. Every line is judged; the evidence is kept with serial number and
    firmware, and 'bmsbench instruments' says so. Exit status: 0 commissioned, 2 a file or the command is wrong,
    10 something is not as it should be, or too little could be tested.
    """
    from bench.commissioning import store_commissioning
    from bench.definition import find_definition, load_definition
    from bench.profile import find_profile, load_profile
    from bmsbench.at_the_bench import admit_here
    from bmsbench.columns import paragraph, table
    from bmsbench.commissioning import commission, role_of
    from bmsbench.commissioning_world import Wanted

    if short and resistor is not None:
        raise click.UsageError("--resistor and --short: only one of them can be connected")
    if resistor is not None and not 0.0 < resistor < 1e6:
        raise click.UsageError(f"--resistor {resistor:g}: must be above 0 and below 1e6 Ohm; for 0 Ohm say --short")
    definition = load_definition(find_definition(bench, lab))
    profile = load_profile(find_profile(bms, lab))
    passive = Wanted(target, "short" if short else "resistor", resistor, fault, seed)
    wanted = passive if short or resistor is not None else Wanted(target, "pack", None, fault, seed)
    role = role_of(definition, target)
    admission = admit_here(definition, profile, named=True, lab=lab, first_contact=True)
    if not as_json:
        kind = "simulated: no hardware is touched" if definition.bench.simulated else "HARDWARE"
        name = definition.roles[role]
        click.echo(f"bench {definition.name} ({kind}): meeting {name} ({role}) on {wanted}, at most 10 A", err=True)
    watched = sys.stdin.isatty() and definition.bench.clock == "wall"
    record = commission(
        definition,
        profile,
        wanted,
        lab=lab,
        press_local=_press_local if watched else None,
        move_loop=_move_loop if watched else None,
        admission=admission,
    )
    path = store_commissioning(record)
    status = 0 if record.commissioned else 10
    if as_json:
        click.echo(json.dumps({**record.as_dict(), "evidence": str(path)}, indent=2, ensure_ascii=False))
        return status
    rows = [
        (line.check, line.verdict.upper() if line.verdict == "fail" else line.verdict, line.found)
        for line in record.lines
    ]
    click.echo("\n".join(table(("check", "verdict", "found"), rows)))
    failed = ", ".join(line.check for line in record.failed)
    kind = " (SIMULATED: this counts for no hardware)" if record.virtual else ""
    if record.commissioned:
        without = f"; not tested: {', '.join(record.not_tested)}" if record.not_tested else ""
        told = f"commissioned{kind}{without}"
    else:
        told = f"NOT commissioned{kind}: {failed or 'too little could be tested'}"
    click.echo("\n" + "\n".join(paragraph("", f"{record.instrument} is {told}.", indent=0)))
    if (stop_s := record.figures.get("stop_latency_s")) is not None:
        key = "disconnect_s" if record.role == "disconnect" else "outputs_off_s"
        click.echo(f"measured: {stop_s:.3f} s to stop; [safety.stop_latency] {key} must not be less on this bench")
    click.echo(f"evidence: {path}")
    return status


def _press_local() -> None:
    click.pause("press LOCAL at the instrument, then any key here ", err=True)


def _move_loop(closed: bool) -> None:
    done = "close the loop again (door, button)" if closed else "open the loop (open the door, press the button)"
    click.pause(f"{done}, then any key here ", err=True)
