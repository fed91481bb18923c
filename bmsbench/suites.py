"""Which suites the words of a command line mean."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parents[1]
SUITES = ROOT / "test_suites"
PLUGIN_OPTIONS = ("-n", "--numprocesses", "--maxprocesses", "--dist", "--tx", "--timeout", "--alluredir")


def suite_words(words: Sequence[str], lab: str | None = None) -> list[str]:
    """Return the words for pytest: options as they are, paths found, all suites where no path is among them.

    A suite may be called by its folder's name alone: `current_sign`, `protections/test_overcurrent.py::NAME`. What
    lies in the current folder comes first, then the lab's suites, then ours. Without any path the lab's suites are
    meant if it has some, otherwise all of ours.

    Raises:
        click.UsageError: a path that is nowhere, with the nearest name of a suite.
    """
    places = [*_lab_suites(lab), SUITES]
    positions = _path_positions(words, places)
    found = [_find(word, places) if number in positions else word for number, word in enumerate(words)]
    return found if positions else [*found, str(places[0])]


def _lab_suites(lab: str | None) -> list[Path]:
    where = lab or os.environ.get("BMSBENCH_LAB")
    suites = Path(where).expanduser().resolve() / "suites" if where else None
    has_tests = suites is not None and any(suites.rglob("test_*.py"))
    return [suites] if suites is not None and has_tests else []


def _find(word: str, places: Sequence[Path]) -> str:
    name, separator, rest = word.partition("::")
    if Path(name).exists():
        return word
    for place in places:
        if (place / name).exists():
            return f"{place / name}{separator}{rest}"
    from bench.loading import nearest

    known = {path.parent.relative_to(place).as_posix() for place in places for path in place.rglob("test_*.py")}
    raise click.UsageError(f"{name}: there is no such path, and no suite of that name{nearest(name, known - {'.'})}")


def _path_positions(words: Sequence[str], places: Sequence[Path]) -> set[int]:
    """Return which of the words are paths, not options or their values."""
    known = _options()
    positions: set[int] = set()
    before = ""
    for number, word in enumerate(words):
        if word.startswith("-"):
            before = word if "=" not in word else ""
            continue
        # After an option that neither pytest nor this table knows, a word that is no path is taken for its value.
        there = any((place / word.partition("::")[0]).exists() for place in (Path(), *places))
        if not known.get(before, bool(before) and not there):
            positions.add(number)
        before = ""
    return positions


def _options() -> dict[str, bool]:
    """Return the options of pytest, and the plugins that come with bmsbench, with whether a value follows."""
    from _pytest.config import get_config

    # Plugins are not loaded here: pytest would load them once more and complain.
    actions: list[Any] = get_config()._parser.optparser._actions
    options = {option: action.nargs != 0 for action in actions for option in action.option_strings}
    return {**options, **dict.fromkeys(PLUGIN_OPTIONS, True)}
