"""Where evidence lies: names that are unique, safe on Windows, and found again."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from bench.errors import BenchError
from reports.run_folder import RunFolder, create_run_folder, find_run, list_runs, write_text
from reports.run_folder import test_slug as slug_of


def test_two_runs_of_the_same_second_get_different_folders(tmp_path: Path) -> None:
    first = create_run_folder(tmp_path / "runs", "2026-11-24T22-15-03Z", "virtual", "foxbms_2")
    second = create_run_folder(tmp_path / "runs", "2026-11-24T22-15-03Z", "virtual", "foxbms_2")
    assert first.path.name == "2026-11-24T22-15-03Z-virtual-foxbms_2"
    assert second.path.name == "2026-11-24T22-15-03Z-virtual-foxbms_2-2"


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "t-a-b").write_text("")
    with pytest.raises(BenchError, match="lies in the way"):
        create_run_folder(tmp_path, "t", "a", "b")


def test_a_folder_that_cannot_be_made_says_what_to_try(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchError, match="--lab"):
        create_run_folder(tmp_path / "file" / "runs", "t", "a", "b")


@pytest.mark.parametrize(
    "test_id",
    [
        "current_sign/test_sign.py::test_charging[20 A/discharge]",
        "a.py::test_x[con]",
        "a.py::test_" + "long" * 80,
        "a.py::test_[täglich: <5 \\ *?]",
        "a.py::",
    ],
)
def test_a_slug_is_short_and_has_only_letters_digits_underscores_and_a_hash(test_id: str) -> None:
    assert re.fullmatch(r"[a-z0-9_]{1,48}-[0-9a-f]{8}", slug_of(test_id))


def test_ids_that_read_alike_get_different_slugs() -> None:
    assert slug_of("a.py::test_x[1-2]") != slug_of("a.py::test_x[1_2]") != slug_of("b.py::test_x[1_2]")


def test_a_repeated_attempt_gets_its_own_folder(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    first, one = run.make_test_folder("a.py::test_x")
    second, two = run.make_test_folder("a.py::test_x")
    assert (one, two) == (1, 2)
    assert first != second
    assert run.test_folders() == sorted([first, second])


def make_run(parent: Path, name: str, written: int) -> RunFolder:
    folder = RunFolder(parent / name)
    folder.path.mkdir(parents=True)
    folder.run_json.write_text("{}")
    os.utime(folder.run_json, (written, written))
    return folder


def test_last_is_the_run_that_was_written_last(tmp_path: Path) -> None:
    make_run(tmp_path, "z", 1_000)
    newest = make_run(tmp_path / "demo", "a", 2_000)
    assert find_run("last", [tmp_path]).path == newest.path.resolve()
    assert [run.path.name for run in list_runs([tmp_path])] == ["z", "a"]


def test_a_run_is_found_by_path_by_name_and_by_its_record(tmp_path: Path) -> None:
    run = make_run(tmp_path, "one", 1_000)
    for name in (str(run.path), "one", str(run.run_json)):
        assert find_run(name, [tmp_path]).path == run.path.resolve()


def test_what_is_no_run_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no run yet"):
        find_run("last", [tmp_path])
    (tmp_path / "empty").mkdir()
    with pytest.raises(BenchError, match=r"neither run\.json nor tests/"):
        find_run("empty", [tmp_path])
    make_run(tmp_path, "one", 1_000)
    with pytest.raises(BenchError, match="the newest is one"):
        find_run("two", [tmp_path])


def test_a_file_is_replaced_in_one_piece(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    write_text(path, "old\n")
    write_text(path, "new µ\n")
    assert path.read_bytes() == "new µ\n".encode()
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.json"]
