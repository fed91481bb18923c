"""The demonstration: the same suites on healthy and on broken BMSs, shown as it happens."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import pytest

from bench.errors import BenchError
from bench.frames import CanFrame
from bench.observer import Event
from bench.profile import find_profile, load_profile
from bench.roles import Dialogue
from bench.wall_clock import WallClock, utc_now
from bmsbench.suites import ROOT, SUITES
from reports.classify import Outcome
from reports.run_folder import RunFolder, create_run_folder
from reports.stored import load_tests

WIDTH = 78
SUITE_WORDS = {"reference": "reference", "current_sign": "current sign", "protections": "over-current"}
PARENT = ROOT / "reports" / "output"
NEXT_STEPS = (
    ("bmsbench lab", "the same bench for your own SCPI, Modbus or CAN client"),
    ("bmsbench replay LOG --bms foxbms_2", "what a recording of yours says about its current"),
    ("bmsbench explain -12.3 --bms foxbms_2", "what one number means"),
    ("docs/first-hour.md", "a first hour on the virtual bench"),
)


@dataclass(slots=True)
class Scene:
    """One run of the demonstration, and what it is expected to show."""

    name: str
    bms: str
    suites: tuple[str, ...]
    defect: str = ""
    select: str = ""
    folder: Path = Path()
    outcomes: dict[str, Counter[Outcome]] = field(default_factory=dict)
    findings: list[tuple[str, str]] = field(default_factory=list)
    simulated_s: float = 0.0
    status: int = -1


class Watcher:
    """Shows progress on a terminal while a run goes on."""

    def __init__(self, label: str, live: bool) -> None:
        self._screen = sys.stdout  # pytest's own words go elsewhere meanwhile
        self._label = label
        self._live = live
        self._done = 0
        self._total = 0
        self._text = ""

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Watch the run's events."""
        from fixtures.plugin import get_run

        run = get_run(session.config)
        if run is not None:
            run.observers.add(self)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Know how many there will be."""
        self._total = len(session.items)
        self._show()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Count."""
        del nodeid
        self._done += 1
        self._show()

    def event(self, event: Event) -> None:
        """Show what the bench is doing."""
        if event.kind == "progress":
            self._text = event.text
            self._show()

    def sample(self, channel: str, at_s: float, value: float) -> None:
        """Not shown."""

    def frame(self, frame: CanFrame) -> None:
        """Not shown."""

    def dialogue(self, dialogue: Dialogue) -> None:
        """Not shown."""

    def _show(self) -> None:
        if self._live:
            line = f"   {self._label}  {self._done}/{self._total}  {self._text}"[:WIDTH]
            click.echo(f"\r{line:<{WIDTH}}", nl=False, file=self._screen)

    def wipe(self) -> None:
        """Clear the line."""
        if self._live:
            click.echo(f"\r{'':<{WIDTH}}\r", nl=False, file=self._screen)


def demonstrate(bench: str, seed: int, *, open_page: bool, as_json: bool) -> int:
    """Run all scenes, print what happened, build the reports; return 0 if everything came as it should."""
    clock = WallClock()
    live = sys.stdout.isatty() and not as_json
    say = _silent if as_json else _say
    # Each demonstration has a folder of its own, so that two at once do not write over each other.
    folder = create_run_folder(PARENT, utc_now().replace(":", "-"), "demo", bench).path
    say("")
    say(f"bmsbench {_version()}   simulated bench: no hardware is touched, time is made by the program")
    say("Ctrl-C is safe at any time.", dim=True)
    scenes = _scenes()
    wall_s = 0.0
    headline = ""
    for number, title, scene in scenes:
        if title != headline:
            say("")
            say(f"{number}  {title}", bold=True)
            headline = title
        begin_s = clock.now()
        _run(scene, folder, bench, seed, live)
        wall_s += clock.now() - begin_s
        _print_scene(scene, say)
    speed = sum(scene.simulated_s for _, _, scene in scenes) / wall_s if wall_s else 0.0
    as_expected = _as_expected([scene for _, _, scene in scenes])
    page, trouble = _reports(scenes, folder, say)
    say("")
    say(f"{'speed':<9}{sum(s.simulated_s for _, _, s in scenes):.0f} s of bench time in {wall_s:.0f} s: {speed:.0f} x")
    say(f"{'report':<9}{_relative(page)}")
    say(f"{'evidence':<9}{_relative(folder)}{os.sep}")
    for line in trouble:
        say(f"{'note':<9}{line}")
    for index, (what, why) in enumerate(NEXT_STEPS):
        say(f"{'next' if index == 0 else '':<9}{what:<40}{why}")
    if not as_expected:
        say("This is not what the demonstration should show; please report it.", fg="magenta")
    if as_json:
        click.echo(json.dumps(_as_data(scenes, page, speed, as_expected), indent=2))
    if open_page:
        click.launch(page.as_uri())
    return 0 if as_expected else 10


def _scenes() -> list[tuple[int, str, Scene]]:
    everything = ("reference", "current_sign", "protections")
    return [
        (1, "two healthy packs, opposite conventions", Scene("1-healthy-foxbms_2", "foxbms_2", everything)),
        (1, "two healthy packs, opposite conventions", Scene("1-healthy-seplos_v3", "seplos_v3", everything)),
        (
            2,
            "the same pack, its current sign inverted",
            Scene("2-inverted-sign", "foxbms_2", ("current_sign",), "inverted_sign"),
        ),
        (
            3,
            "discharge over-current protection dead",
            Scene("3-dead-protection", "seplos_v3", ("protections",), "dead_discharge_protection", "trips"),
        ),
    ]


def _run(scene: Scene, folder: Path, bench: str, seed: int, live: bool) -> None:
    scene.folder = folder / scene.name
    arguments = [str(SUITES / suite) for suite in scene.suites]
    arguments += ["--bench", bench, "--bms", scene.bms, "--seed", str(seed), "--run-folder", str(scene.folder)]
    arguments += ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--tb=no", "-s"]
    if scene.defect:
        arguments += ["--defect", scene.defect]
    if scene.select:
        arguments += ["-k", scene.select]
    watcher = Watcher(scene.bms, live)
    noise = io.StringIO()
    try:
        with contextlib.redirect_stdout(noise), contextlib.redirect_stderr(noise):
            scene.status = int(pytest.main(arguments, plugins=[watcher]))
    finally:
        watcher.wipe()
    if scene.status == pytest.ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    if scene.status in (3, 4, 5):
        raise BenchError(f"the demonstration could not run {scene.name}: {noise.getvalue().strip()[-400:]}")
    tests, _ = load_tests(RunFolder(scene.folder))
    for test in tests:
        suite = test.id.partition("/")[0]
        if test.outcome is not None:
            scene.outcomes.setdefault(suite, Counter())[test.outcome] += 1
            if test.outcome not in (Outcome.PASSED, Outcome.SKIPPED):
                scene.findings.append((test.title, test.reason))
        scene.simulated_s += float(test.data.get("end_s") or 0.0)


def _print_scene(scene: Scene, say: Any) -> None:
    if not scene.defect:
        sign = load_profile(find_profile(scene.bms)).signals["pack_current"]
        means = f"positive means {sign.positive_means} ({sign.provenance})"
        counts = "   ".join(
            f"{SUITE_WORDS[suite]} {_counts(numbers)}"
            for suite, numbers in scene.outcomes.items()
            if suite != "reference"
        )
        say(f"   {scene.bms:<12} {means:<38} {counts}", fg="green" if scene.status == 0 else "magenta")
        return
    failed = [text for text in scene.findings if text[1]]
    total = sum(sum(numbers.values()) for numbers in scene.outcomes.values())
    for title, reason in failed[:1]:
        for index, line in enumerate(_wrap(title)):
            say(f"   {'FAILED' if index == 0 else '':<9}{line}", fg="red")
        for line in _wrap(reason):
            say(f"            {line}")
    say(f"            {len(failed)} of {total} tests failed", dim=True)
    safe = next((line for line in _safe_lines(scene) if line), "")
    if safe:
        say(f"            {safe}", dim=True)


def _counts(numbers: Counter[Outcome]) -> str:
    words = [f"{numbers[one]} {one.words.lower()}" for one in Outcome if numbers[one] and one is not Outcome.SKIPPED]
    return ", ".join(words) or "nothing judged"


def _wrap(text: str) -> list[str]:
    import textwrap

    lines: list[str] = []
    for line in text.splitlines()[:4]:
        lines += textwrap.wrap(line, WIDTH - 12)
    return lines


def _safe_lines(scene: Scene) -> list[str]:
    try:
        record = json.loads(RunFolder(scene.folder).run_json.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [str(line) for line in record.get("safe_state", [])][-1:]


def _as_expected(scenes: list[Scene]) -> bool:
    healthy = all(scene.status == 0 for scene in scenes if not scene.defect)
    caught = all(scene.status == 1 for scene in scenes if scene.defect)
    return healthy and caught


def _reports(scenes: list[tuple[int, str, Scene]], folder: Path, say: Any) -> tuple[Path, list[str]]:
    """Build one Allure page per run where Node is present, and the overview over all."""
    from reports.html import build_allure
    from reports.overview import summarise, write_overview

    trouble: list[str] = []
    live = sys.stdout.isatty()
    for _, _, scene in scenes:
        if live and say is _say:
            click.echo(f"\r   building the report of {scene.name}".ljust(WIDTH), nl=False)
        try:
            build_allure(RunFolder(scene.folder))
        except BenchError as problem:
            trouble = [str(problem)]
            break
    if live and say is _say:
        click.echo(f"\r{'':<{WIDTH}}\r", nl=False)
    page = folder / "index.html"
    summaries = [summarise(RunFolder(scene.folder), title=title) for _, title, scene in scenes]
    write_overview(page, "bmsbench demonstration", summaries, [f"{what}: {why}" for what, why in NEXT_STEPS])
    return page, trouble


def _relative(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _version() -> str:
    import importlib.metadata

    return importlib.metadata.version("bmsbench")


def _as_data(scenes: list[tuple[int, str, Scene]], page: Path, speed: float, as_expected: bool) -> dict[str, Any]:
    return {
        "as_expected": as_expected,
        "report": str(page),
        "speed": speed,
        "scenes": [
            {
                "number": number,
                "title": title,
                "bms": scene.bms,
                "defect": scene.defect or None,
                "exit_status": scene.status,
                "folder": str(scene.folder),
                "outcomes": {
                    suite: {one.value: number for one, number in numbers.items()}
                    for suite, numbers in scene.outcomes.items()
                },
                "findings": [{"title": title, "reason": reason} for title, reason in scene.findings],
            }
            for number, title, scene in scenes
        ],
    }


def _say(text: str, **style: Any) -> None:
    plain = bool(os.environ.get("NO_COLOR")) or not sys.stdout.isatty()
    click.echo(text if plain or not style else click.style(text, **style))


def _silent(text: str, **style: Any) -> None:
    del text, style
