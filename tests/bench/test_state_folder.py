"""What outlives a run is written whole or not at all, and even a full disk takes the one file that matters."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path
from typing import Any

import pytest

from bench.errors import BenchError
from bench.quarantine import bench_file, check_bench, quarantine_bench, quarantine_folder
from bench.state_folder import RESERVE, RESERVE_BYTES, keep_reserve, read_state, state_folder, write_state


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return how to let the disk become full: no new file gets room any more."""

    def refuse(*arguments: Any, **options: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    return lambda: monkeypatch.setattr(tempfile, "mkstemp", refuse)


def test_a_full_disk_takes_one_file_where_room_was_set_aside(tmp_path: Path, full_disk: Any) -> None:
    keep_reserve(tmp_path)
    full_disk()
    write_state(tmp_path / "one.json", {"cause": "süß"})
    assert read_state(tmp_path / "one.json") == {"cause": "süß"}
    assert not (tmp_path / RESERVE).exists()
    with pytest.raises(BenchError, match="No space left on device"):
        write_state(tmp_path / "two.json", {})
    assert not (tmp_path / "two.json").exists()


def test_a_full_disk_without_a_reserve_says_that_it_is_full(tmp_path: Path, full_disk: Any) -> None:
    full_disk()
    with pytest.raises(BenchError, match="No space left on device"):
        write_state(tmp_path / "one.json", {})


def test_what_does_not_fit_into_the_reserve_is_not_written_in_part(tmp_path: Path, full_disk: Any) -> None:
    keep_reserve(tmp_path)
    full_disk()
    with pytest.raises(BenchError):
        write_state(tmp_path / "one.json", {"cause": "x" * RESERVE_BYTES})
    assert not (tmp_path / "one.json").exists()


def test_a_reserve_is_made_once_and_again_after_it_was_used(tmp_path: Path) -> None:
    keep_reserve(tmp_path / "new")
    reserve = tmp_path / "new" / RESERVE
    first = reserve.read_bytes()
    keep_reserve(tmp_path / "new")
    assert reserve.read_bytes() == first
    reserve.unlink()
    keep_reserve(tmp_path / "new")
    assert reserve.stat().st_size == RESERVE_BYTES
    assert [path.name for path in reserve.parent.iterdir()] == [RESERVE]


def test_no_reserve_on_a_full_disk_is_an_error(tmp_path: Path, full_disk: Any) -> None:
    full_disk()
    with pytest.raises(BenchError, match="No space left on device"):
        keep_reserve(tmp_path)


def test_a_bench_is_quarantined_on_a_full_disk(full_disk: Any) -> None:
    keep_reserve(quarantine_folder())
    full_disk()
    assert "is quarantined" in quarantine_bench("lab-3", "the current still flows", by="runner")
    assert bench_file("lab-3").is_file()
    with pytest.raises(BenchError, match="the current still flows"):
        check_bench("lab-3")


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "one.json"
    write_state(path, {"number": 1})
    write_state(path, {"number": 2})
    assert read_state(path) == {"number": 2}
    assert [left.name for left in path.parent.iterdir()] == ["one.json"]


def test_a_program_that_goes_elsewhere_keeps_its_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("here", "elsewhere"):
        (tmp_path / folder).mkdir()
    relative = f"state-of-{tmp_path.name}"  # each word is resolved once in a process
    monkeypatch.setenv("BMSBENCH_STATE", relative)
    monkeypatch.chdir(tmp_path / "here")
    first = state_folder()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert state_folder() == first == tmp_path.resolve() / "here" / relative
