"""Run suites on a bench: the same as pytest with the same options, from any folder."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import pytest


class Folder:
    """A plugin that remembers where the evidence went."""

    def __init__(self) -> None:
        self.record: Path | None = None

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """The run knows its folder."""
        from fixtures.plugin import get_run

        run = get_run(session.config)
        self.record = run.folder.run_json if run is not None else None


@click.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.argument("paths", nargs=-1, type=click.UNPROCESSED, metavar="[PATH]...")
@click.option("--bench", metavar="B", help="bench definition, by name or path (default: virtual)")
@click.option("--bms", metavar="P", help="BMS profile, by name or path (default: foxbms_2)")
@click.option("--seed", type=int, metavar="N", help="seed of the run (default: 1)")
@click.option("--defect", metavar="D[,D]", help="defects of the virtual BMS")
@click.option("--lab", metavar="DIR", help="a lab's own folder (default: BMSBENCH_LAB)")
@click.option("--rule", type=click.Choice(["guarded", "simple", "binary"]), help="decision rule (default: guarded)")
@click.option("--operator", metavar="NAME", help="who runs it, for the run record")
@click.option("--dut-serial", metavar="S", help="serial number of a BMS that cannot say it itself")
@click.option("--unattended", is_flag=True, help="nobody is at the bench: operator steps are skipped")
@click.option("--run-folder", metavar="DIR", help="write the evidence into this new folder")
@click.option("--json", "as_json", is_flag=True, help="print the run record as JSON, pytest's own words to stderr")
def command(paths: tuple[str, ...], as_json: bool, unattended: bool, **options: str | int | None) -> int:
    """Run suites on a bench.

    PATH is a file or folder of suites, or the name of one: current_sign, protections, reference. Without a PATH
    the lab's own suites are run if --lab has some, otherwise all that bmsbench brings. Options of pytest may
    stand among them: -k, -x, --lf, -n 2, --junitxml FILE.

    \b
    Exit status: 0 all judged and passed     1 the product failed
                 10 the bench broke (wins)  11 inconclusive, or nothing judged
                 2 interrupted   4 wrong usage   5 nothing collected
    """
    import pytest

    from bmsbench.suites import suite_words

    lab = options.get("lab")
    words = suite_words(paths, str(lab) if lab else None)
    # Joined with "=": before it knows our options, pytest takes a value that is a folder for a path of tests.
    words += [f"--{name.replace('_', '-')}={value}" for name, value in options.items() if value is not None]
    words += ["--unattended"] if unattended else []
    # This package is imported before pytest could rewrite its assertions; it has none that a person would read.
    words.insert(
        0, "-Wignore:Module already imported so cannot be rewritten; bmsbench:pytest.PytestAssertRewriteWarning"
    )
    folder = Folder()
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        status = int(pytest.main(words, plugins=[folder]))
    if as_json and folder.record is not None and folder.record.is_file():
        with contextlib.suppress(BrokenPipeError):  # the reader had enough; the run's own status stays
            click.echo(folder.record.read_text(encoding="utf-8"), nl=False)
    return status
