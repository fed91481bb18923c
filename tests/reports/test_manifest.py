"""The manifest names what changed, what is missing and what is new."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from bench.errors import BenchError
from reports.manifest import compare, write_manifest
from reports.run_folder import RunFolder


@pytest.fixture
def run(small_run: RunFolder, tmp_path: Path) -> RunFolder:
    copy = RunFolder(Path(shutil.copytree(small_run.path, tmp_path / "run")))
    write_manifest(copy)
    return copy


def test_an_untouched_run_is_intact(run: RunFolder) -> None:
    difference = compare(run)
    assert difference.intact
    assert difference.files > 50


def test_reports_that_can_be_drawn_again_are_not_evidence(run: RunFolder) -> None:
    run.report_html.write_text("drawn later")
    run.index_html.write_text("drawn later")
    assert compare(run).intact


def test_every_kind_of_change_is_named(run: RunFolder) -> None:
    folder = run.test_folders()[0]
    with (folder / "trace.csv").open("a") as file:
        file.write("9,reference_current,0.0\n")
    (folder / "bdf.csv").unlink()
    (folder / "extra.txt").write_text("new")
    difference = compare(run)
    name = f"tests/{folder.name}"
    assert (difference.changed, difference.missing, difference.new) == (
        (f"{name}/trace.csv",),
        (f"{name}/bdf.csv",),
        (f"{name}/extra.txt",),
    )
    assert not difference.intact


def test_sha256sum_reads_it(run: RunFolder) -> None:
    program = shutil.which("sha256sum")
    if program is None:
        pytest.skip("no sha256sum on this machine")
    done = subprocess.run(
        [program, "--check", "--strict", "--quiet", run.manifest.name], cwd=run.path, capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_a_run_without_a_manifest_is_told(run: RunFolder) -> None:
    run.manifest.unlink()
    with pytest.raises(BenchError, match="did not end has none"):
        compare(run)


def test_a_cut_manifest_is_told_with_its_line(run: RunFolder) -> None:
    lines = run.manifest.read_text().splitlines(keepends=True)
    run.manifest.write_text("".join(lines[:3]) + lines[3][:20])
    with pytest.raises(BenchError, match="line 4: is no sum and name"):
        compare(run)
