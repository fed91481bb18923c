"""One run per bench and per instrument address; a lock dies with its process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.bench_lock import hold_bench, lock_file, things_of
from bench.definition import DEFINITIONS, Definition, load_definition
from bench.errors import Occupied, SafetyError

ADDRESSES = "tcp:127.0.0.1:{}"
HOLDER = """
import sys, time
from pathlib import Path
from bench.bench_lock import hold_bench
from bench.definition import load_definition
with hold_bench(load_definition(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


def on_the_wall(tmp_path: Path, name: str, first_port: int) -> Path:
    """Write a definition on the wall clock; nothing listens there, and nothing is opened."""
    text = (DEFINITIONS / "virtual.toml").read_text(encoding="utf-8").replace('"simulated"', '"wall"')
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("address = "):
            line, first_port = f'address = "{ADDRESSES.format(first_port)}"', first_port + 1
        if line.startswith("name = ") and "name = " not in "".join(lines):
            line = f'name = "{name}"'
        lines.append(line)
    path = tmp_path / f"{name}.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def table(tmp_path: Path) -> Definition:
    """A bench on the wall clock."""
    return load_definition(on_the_wall(tmp_path, "table", 40001))


@pytest.fixture
def holder(table: Definition) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the bench."""
    command = [sys.executable, "-c", HOLDER, str(table.source)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_run_is_refused_and_told_who_has_the_bench(table: Definition, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(Occupied, match=rf"bench table is in use by process {holder.pid} \(.*\) since 20"):
        with hold_bench(table):
            pass


def test_another_bench_with_an_instrument_of_this_one_is_refused(
    tmp_path: Path, table: Definition, holder: subprocess.Popen[str]
) -> None:
    other = load_definition(on_the_wall(tmp_path, "other", 40003))
    with pytest.raises(Occupied, match=r"address tcp:127\.0\.0\.1:4000\d is in use by process"):
        with hold_bench(other):
            pass
    assert holder.poll() is None


def test_another_spelling_of_an_address_is_the_same_lock(table: Definition) -> None:
    assert table.instruments["sink"].address == "tcp:127.0.0.1:40002"
    for spelt in ("tcp:localhost:40002", "visa:TCPIP0::LOCALHOST::40002::SOCKET", "tcp:127.0.0.1:040002"):
        sink = table.instruments["sink"].model_copy(update={"address": spelt})
        other = table.model_copy(update={"instruments": {**table.instruments, "sink": sink}})
        assert things_of(other) == things_of(table)


def test_another_bench_is_nobody_s_business(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    with hold_bench(load_definition(on_the_wall(tmp_path, "elsewhere", 40100))):
        assert holder.poll() is None


def test_the_lock_of_a_process_that_was_killed_blocks_nobody(table: Definition, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    assert lock_file(things_of(table)[0]).read_text(encoding="utf-8"), "it had no time to tidy up"
    with hold_bench(table):
        assert str(os.getpid()) in lock_file(things_of(table)[0]).read_text(encoding="utf-8")


def test_a_run_and_its_tests_hold_it_together(table: Definition) -> None:
    with hold_bench(table):
        with hold_bench(table):
            pass
        assert lock_file(things_of(table)[0]).read_text(encoding="utf-8"), "the run still holds it"
    assert lock_file(things_of(table)[0]).read_text(encoding="utf-8") == ""


def test_what_is_refused_half_way_holds_nothing(
    tmp_path: Path, table: Definition, holder: subprocess.Popen[str]
) -> None:
    other = load_definition(on_the_wall(tmp_path, "other", 40003))
    with pytest.raises(Occupied), hold_bench(other):
        pass
    assert lock_file("bench other").read_text(encoding="utf-8") == ""
    assert holder.poll() is None


def test_a_bench_in_simulated_time_is_nobody_else_s(state_folder: Path) -> None:
    with hold_bench(load_definition(DEFINITIONS / "virtual.toml")):
        assert not state_folder.exists()


def test_a_holder_that_has_not_said_its_name_is_told_as_such(table: Definition, holder: subprocess.Popen[str]) -> None:
    lock_file("bench table").write_text("{", encoding="utf-8")
    with pytest.raises(Occupied, match="not said its name"), hold_bench(table):
        pass
    assert holder.poll() is None


def test_a_state_folder_that_cannot_be_made_is_an_error(
    table: Definition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("BMSBENCH_STATE", str(tmp_path / "file" / "state"))
    with pytest.raises(SafetyError, match="bench table cannot be locked"), hold_bench(table):
        pass
