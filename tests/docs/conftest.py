"""Pages of the documentation as programs: their titled blocks become files, their console blocks are run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(?P<language>\w+)(?P<info>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
TITLE = re.compile(r'title="([^"]+)"')
STATUS = re.compile(r"# exit status (\d+)\s*$")
TIMEOUT_S = 240.0


class Page:
    """One page, worked through from top to bottom in a folder of its own."""

    def __init__(self, path: Path, folder: Path) -> None:
        self.path = path
        self.folder = folder
        self.exports: dict[str, str] = {}
        self.ran = 0

    def work_through(self) -> None:
        """Write the files and run the commands in the order of the page; compare what is shown."""
        full = bool(os.environ.get("BMSBENCH_FULL"))
        for block in FENCE.finditer(self.path.read_text(encoding="utf-8")):
            info = block["info"]
            if title := TITLE.search(info):
                target = self.folder / title[1]
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(block["body"], encoding="utf-8")
            elif block["language"] == "console" and ("full" not in info.split() or full):
                self._console(block["body"])

    def _console(self, body: str) -> None:
        command, shown = "", []
        for line in [*body.splitlines(), "$ "]:
            if line.startswith("$ "):
                if command:
                    self._run(command, shown)
                command, shown = line.removeprefix("$ "), []
            elif command.endswith("\\"):
                command = command.removesuffix("\\") + line.strip()
            else:
                shown.append(line)

    def _run(self, command: str, shown: list[str]) -> None:
        expected = int(found[1]) if (found := STATUS.search(command)) else 0
        # The shell tells where it ended, so that `cd` and `export` hold for the commands that follow.
        after = self.folder.parent / "after"
        script = f"{command}\nstatus=$?\n{{ pwd; export -p; }} >'{after}'\nexit $status\n"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
        )
        output = done.stdout.replace(str(ROOT), "CHECKOUT")
        assert done.returncode == expected, f"{self.path.name}: {command}\nended with {done.returncode}:\n{output}"
        for line in filter(str.strip, shown):
            assert _pattern(line).search(output), f"{self.path.name}: {command}\ndoes not print\n{line}\nbut\n{output}"
        place, _, exports = after.read_text(encoding="utf-8").partition("\n")
        self.folder = Path(place)
        self.exports.update(re.findall(r'^declare -x (BMSBENCH_\w+)="(.*)"$', exports, re.MULTILINE))
        self.ran += 1

    def _environment(self) -> dict[str, str]:
        strange = ("BMSBENCH_", "PYTEST_", "COVERAGE", "PYTHON")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(strange)}
        path = os.pathsep.join((str(Path(sys.executable).parent), kept.get("PATH", os.defpath)))
        ours = {"PATH": path, "CHECKOUT": str(ROOT), "COLUMNS": "100", "NO_COLOR": "1", "PYTHONUTF8": "1"}
        return {**kept, **ours, **self.exports}


def _pattern(line: str) -> re.Pattern[str]:
    """Make a pattern of a line of shown output: spaces may differ, `…` stands for anything."""
    words = [".*?".join(re.escape(part) for part in word.split("…")) for word in line.split()]
    return re.compile(r"\s+".join(words))


@pytest.fixture
def page(tmp_path: Path) -> Callable[[str], Page]:
    """Open a page of `docs/` by its name, with an empty folder to work in."""
    if shutil.which("bash") is None:
        pytest.skip("no bash on this machine: the pages' commands are written for it")

    def open_page(name: str) -> Page:
        folder = tmp_path / "here"
        folder.mkdir()
        return Page(ROOT / "docs" / name, folder)

    return open_page
