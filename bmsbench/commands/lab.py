"""Serve the virtual bench in real time to anybody's SCPI, Modbus or CAN client"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bench.definition import Definition
    from bench.profile import Profile
    from instruments.virtual.lab import Lab


@click.command("lab")
@click.option("--bench", "bench_name", default="virtual", show_default=True, metavar="B", help="which bench to play")
@click.option("--bms", default="foxbms_2", show_default=True, metavar="P", help="which BMS is connected to it")
@click.option("--defect", default="", metavar="D[,D]", help="defects of that BMS; see: bmsbench defects")
@click.option("--fault", default="", metavar="NAME=FAULT[,…]", help="faults of instruments, on from the start")
@click.option("--seed", default=1, show_default=True, type=int, metavar="N", help="which unit, which noise")
@click.option("--soc", default=50.0, show_default=True, type=click.FloatRange(0, 100), help="state of charge in %")
@click.option(
    "--port-base", type=click.IntRange(1, 65535), metavar="N", help="ports from N upwards, in the table's order"
)
@click.option("--ports", default="", metavar="NAME=PORT[,…]", help="single ports; the others are any free ones")
@click.option(
    "--write", type=click.Path(path_type=Path, dir_okay=False), default=Path("lab.toml"), show_default=True,
    metavar="FILE", help="the bench definition that reaches this lab",
)  # fmt: skip
@click.option("--name", metavar="NAME", help="what the bench is called there; left out: by its first port")
@click.option("--no-write", is_flag=True, help="write no bench definition")
@click.option(
    "--witness",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="write the true current and voltages (JSON lines)",
)
@click.option(
    "--control", type=click.IntRange(0, 65535), metavar="PORT", help="a port for truth and faults (0: any free one)"
)
@click.option("--for", "for_s", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="end by itself")
@click.option(
    "--lab", "lab_folder", type=click.Path(path_type=Path), envvar="BMSBENCH_LAB", help="the lab's own folder"
)
@click.option("--json", "as_json", is_flag=True, help="print addresses and examples as one line of JSON")
def command(
    bench_name: str,
    bms: str,
    defect: str,
    fault: str,
    seed: int,
    soc: float,
    port_base: int | None,
    ports: str,
    write: Path,
    name: str | None,
    no_write: bool,
    witness: Path | None,
    control: int | None,
    for_s: float | None,
    lab_folder: Path | None,
    as_json: bool,
) -> int:
    """Serve the virtual bench in real time on this machine, until Ctrl-C.

    Whoever connects shares one circuit: what a supply pushes, a meter measures and the BMS reports. Prints a table
    of addresses, lines that work when pasted, and writes a bench definition for `bmsbench run --bench lab.toml`.
    """
    from bench.definition import find_definition, load_definition
    from bench.profile import find_profile, load_profile
    from instruments.checks import check_fit
    from instruments.virtual.lab import CONTROL, Lab, servable
    from instruments.virtual.lab_file import write_definition
    from instruments.virtual.witness import Witness

    if name is not None and not name.strip():
        raise click.UsageError("--name: is empty; leave it out to have it called by its first port")
    definition = load_definition(find_definition(bench_name, lab_folder))
    profile = load_profile(find_profile(bms, lab_folder))
    check_fit(definition, profile)
    fixed = {each: _port(each, text) for each, text in _pairs(ports, "--ports").items()}
    if port_base is not None:
        fixed = {**{each: port_base + index for index, each in enumerate(servable(definition, profile))}, **fixed}
    if control is not None:
        fixed.setdefault(CONTROL, control)
    lab = Lab(
        definition,
        profile,
        seed=seed,
        defects=[name.strip() for name in defect.split(",") if name.strip()],
        soc_pct=soc,
        ports=fixed,
        control=fixed.get(CONTROL),
        witness=Witness(witness),
        say=lambda text: click.echo(text, err=True),
        lab=lab_folder,
    )
    try:
        for instrument, what in _pairs(fault, "--fault").items():
            lab.fault(instrument, what)
        written = None if no_write else write
        if written is not None:
            write_definition(lab, written, name)
        _end_on_signal(lab)
        _announce(lab, definition, profile, written, bms, witness, as_json)
        lab.serve(for_s)
    finally:
        lab.close()
    click.echo(f"lab ended after {lab.clock.now():.1f} s; nothing is served any more", err=as_json)
    return 0


def _pairs(text: str, option: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in (word.strip() for word in text.split(",") if word.strip()):
        name, separator, value = part.partition("=")
        if not separator or not name or not value or name in found:
            raise click.UsageError(f"{option}: {part!r} is not NAME=VALUE, or the name is given twice")
        found[name] = value
    return found


def _port(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise click.UsageError(f"--ports {name}={text}: a port is a number")
    return int(text)


def _end_on_signal(lab: Lab) -> None:
    def end(number: int, frame: FrameType | None) -> None:
        lab.stop()

    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), end)


def _announce(
    lab: Lab,
    definition: Definition,
    profile: Profile,
    written: Path | None,
    bms: str,
    witness: Path | None,
    as_json: bool,
) -> None:
    from bmsbench.lab_screen import examples, table

    lines = examples(lab, written, bms)
    if as_json:
        data = {
            "bench": definition.name,
            "bms": profile.name,
            "served": [
                {"name": each.name, "what": each.what, "protocol": each.protocol, "host": each.host, "port": each.port}
                for each in lab.served
            ],
            "can_channel": lab.can_name,
            "definition": str(written) if written is not None else None,
            "witness": str(witness) if witness is not None else None,
            "examples": [{"shows": what, "line": line} for what, line in lines],
        }
        click.echo(json.dumps(data, ensure_ascii=False))
        sys.stdout.flush()
        return
    click.echo(
        f"virtual bench {definition.name} with BMS {profile.name}, in real time; this machine only, no hardware\n"
    )
    for line in table(lab):
        click.echo(line)
    if written is not None:
        click.echo(f"\ndefinition  {written} (for --bench; valid as long as this runs)")
    if witness is not None:
        click.echo(f"witness     {witness} (true current and voltages, a JSON line each)")
    click.echo("\nlines to paste into another terminal:")
    for what, line in lines:
        click.echo(f"  # {what}\n  {line}")
    click.echo("\nCtrl-C ends it")
    sys.stdout.flush()
