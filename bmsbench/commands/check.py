"""Is everything on the bench wired, and the right way round? Before any real current"""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command("check")
@click.option("--bench", metavar="B", help="bench definition, by name or path (default: virtual)")
@click.option("--bms", default="foxbms_2", show_default=True, metavar="P", help="BMS profile, by name or path")
@click.option("--seed", default=1, show_default=True, type=int, metavar="N", help="of a virtual bench")
@click.option("--lab", type=click.Path(path_type=Path), envvar="BMSBENCH_LAB", help="the lab's own folder")
@click.option("--operator", default="", metavar="NAME", help="who is at the bench, where it is hardware")
@click.option("--unattended", is_flag=True, help="nobody is at the bench: hardware then needs interlock and disconnect")
@click.option("--dut-serial", default="", metavar="S", help="serial number of a BMS that cannot say it itself")
@click.option("--json", "as_json", is_flag=True, help="print what was found as JSON")
def command(
    bench: str | None,
    bms: str,
    seed: int,
    lab: Path | None,
    operator: str,
    unattended: bool,
    dut_serial: str,
    as_json: bool,
) -> int:
    """Open a bench, name every instrument, hear the BMS, force a few amperes each way, and leave it safely.

    Forces at most 20 A each way for about two seconds. Exit status: 0 the bench may run, 2 a file is wrong,
    10 something on the bench is (the error says what to look at).
    """
    from bench.definition import find_definition, load_definition
    from bench.profile import find_profile, load_profile
    from bmsbench.at_the_bench import admit_here
    from bmsbench.checking import check_bench
    from bmsbench.columns import paragraph
    from instruments.checks import check_before_opening

    definition = load_definition(find_definition(bench or "virtual", lab))
    profile = load_profile(find_profile(bms, lab))
    check_before_opening(definition, profile, lab=lab)
    if not as_json:
        kind = "simulated: no hardware is touched" if definition.bench.simulated else "HARDWARE"
        click.echo(f"bench {definition.name} ({kind}), BMS {profile.name}: opening it, at most 20 A each way", err=True)
    admission = admit_here(
        definition, profile, named=bench is not None, lab=lab, unattended=unattended, operator=operator
    )
    check = check_bench(definition, profile, seed=seed, lab=lab, admission=admission, dut_serial=dut_serial)
    if as_json:
        click.echo(json.dumps(check.as_dict(), indent=2, ensure_ascii=False))
        return 0
    shown = ""
    for line in check.lines:
        text = f"{line.found}: {'ok' if line.ok else 'SEE BELOW'}"
        click.echo("\n".join(paragraph("" if line.part == shown else line.part, text, indent=17)))
        shown = line.part
    simulated = " (SIMULATED)" if check.simulated else ""
    count = len(check.remarks)
    told = f" {count} remark{'s' if count != 1 else ''}: {'; '.join(check.remarks)}." if count else ""
    click.echo("\n" + "\n".join(paragraph("", f"{check.bench} may run{simulated}.{told}", indent=0)))
    return 0
