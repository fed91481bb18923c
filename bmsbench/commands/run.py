"""Run suites on a bench: the same as pytest with the same options, from any folder."""

from __future__ import annotations

import click


@click.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.argument("paths", nargs=-1, type=click.UNPROCESSED)
@click.option("--bench", metavar="B", help="bench definition, by name or path (default: virtual)")
@click.option("--bms", metavar="P", help="BMS profile, by name or path (default: foxbms_2)")
@click.option("--seed", type=int, metavar="N", help="seed of the run (default: 1)")
@click.option("--defect", metavar="D[,D]", help="defects of the virtual BMS")
@click.option("--lab", metavar="DIR", help="a lab's own folder")
@click.option("--rule", type=click.Choice(["guarded", "simple", "binary"]), help="decision rule (default: guarded)")
@click.option("--operator", metavar="NAME", help="who runs it, for the run record")
@click.option("--run-folder", metavar="DIR", help="write the evidence into this new folder")
@click.option("--json", "as_json", is_flag=True, help="print the run record as JSON at the end")
def command(paths: tuple[str, ...], as_json: bool, **options: str | int | None) -> int:
    """Run suites on a bench. PATHS default to all suites; options of pytest (-k, -x, --lf, -n) may follow.

    Exit status: 0 all judged and passed, 1 the product failed, 10 the bench broke, 11 inconclusive or nothing judged.
    """
    import pytest

    from bmsbench.suites import suite_paths

    chosen, passed_on = suite_paths(paths)
    arguments = [*chosen, *passed_on]
    for name, value in options.items():
        if value is not None:
            arguments += [f"--{name.replace('_', '-')}", str(value)]
    if as_json:
        arguments.append("-q")
    status = int(pytest.main(arguments))
    if as_json:
        from bmsbench.suites import newest_record

        click.echo(newest_record(options.get("run_folder"), options.get("lab")))
    return status
