"""Say before a run what this bench cannot test and why, how often it trips, and how long it takes"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import pytest

    from bench.planning_costs import Work

NOTHING_COLLECTED = 5


class _Collected:
    """A plugin that keeps which tests there are."""

    def __init__(self) -> None:
        self.works: list[Work] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Keep them; nothing is run."""
        from fixtures.estimating import works_of

        self.works = works_of(session.items)


@click.command("plan")
@click.option("--bench", default="virtual", show_default=True, help="definition: its name, or the path of a .toml file")
@click.option("--bms", default="foxbms_2", show_default=True, help="profile: its name, or the path of a .toml file")
@click.option("--suite", "suites", multiple=True, metavar="S", help="a suite, by name or path; all if none is given")
@click.option("--seed", type=int, default=1, show_default=True, help="seed of the run: it draws a cell")
@click.option("--lab", type=click.Path(path_type=Path), envvar="BMSBENCH_LAB", help="the lab's own folder")
@click.option("--cycle", metavar="C", help="check a drive cycle instead: its name, or the path of a .csv file")
@click.option("--peak", "peak_a", type=float, help="scale the cycle so that its larger peak has so many amperes")
@click.option("--repeat", "times", type=int, default=1, show_default=True, help="play the cycle so many times")
@click.option("--straight", is_flag=True, help="the cycle moves straight from row to row instead of holding each")
@click.option("--soc", "soc_pct", type=float, help="where the cells begin, in percent: then their way is estimated")
@click.option("--json", "as_json", is_flag=True, help="print the plan as JSON")
def command(
    bench: str,
    bms: str,
    suites: tuple[str, ...],
    seed: int,
    lab: Path | None,
    cycle: str | None,
    peak_a: float | None,
    times: int,
    straight: bool,
    soc_pct: float | None,
    as_json: bool,
) -> int:
    """Say which test points this bench cannot reach and why, before anything is opened.

    Envelope and ratings, absolute maxima, roles that are missing, faults that the BMS does not tolerate, thresholds and
    delays that this bench cannot resolve, lock-outs that are too small. Then how often each protection will be
    provoked, and an estimate of time and energy. With --cycle: what a drive cycle does, and whether it stays inside.

    The exit status is 11 if something cannot be tested or played here, 2 if a file is wrong.
    """
    from bench.definition import find_definition, load_definition
    from bench.profile import find_profile, load_profile
    from bmsbench.planning_report import as_text, cycle_text, survey, survey_cycle

    definition = load_definition(find_definition(bench, lab))
    profile = load_profile(find_profile(bms, lab))
    if cycle is not None:
        report = survey_cycle(definition, profile, _cycle(cycle, lab, peak_a, times, straight), soc_pct)
        _show(report, cycle_text(report), as_json)
        return 11 if report["refused"] else 0
    works = _collect(suites, bench, bms, seed, lab)
    report = survey(definition, profile, works, seed=seed)
    _show(report, as_text(report), as_json)
    return 11 if any(row["reasons"] or row["unresolved"] for row in report["rows"]) else 0


def _show(report: dict[str, Any], text: str, as_json: bool) -> None:
    click.echo(json.dumps(report, indent=2, ensure_ascii=False) if as_json else text)


def _cycle(name: str, lab: Path | None, peak_a: float | None, times: int, straight: bool) -> Any:
    from bench.stimulus import find_cycle, read_profile

    current = read_profile(find_cycle(name, lab), between="straight" if straight else "held")
    if peak_a is not None:
        current = current.scaled_to(peak_a)
    return current.repeated(times)


def _collect(suites: tuple[str, ...], bench: str, bms: str, seed: int, lab: Path | None) -> list[Work]:
    """Let pytest collect as a run would, and return the tests that use a bench.

    Raises:
        click.ClickException: they could not be collected.
    """
    import pytest

    from bmsbench.suites import suite_words

    words = suite_words(suites, None if lab is None else str(lab))
    words += ["--collect-only", "-q", "-p", "no:cacheprovider", f"--bench={bench}", f"--bms={bms}", f"--seed={seed}"]
    words += [f"--lab={lab}"] if lab is not None else []
    words.insert(
        0, "-Wignore:Module already imported so cannot be rewritten; bmsbench:pytest.PytestAssertRewriteWarning"
    )
    collected, said, complained = _Collected(), io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
        status = int(pytest.main(words, plugins=[collected]))
    if status not in (0, NOTHING_COLLECTED):
        sys.stderr.write(complained.getvalue() or said.getvalue())
        raise click.ClickException("the suites could not be collected; pytest's own words are above")
    return collected.works
