"""The lab: the virtual bench in real time, for clients that are not ours, and a definition for our own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.bench_lock import things_of
from bench.definition import check_simulated, load_definition
from bench.errors import SafetyError
from bench.quarantine import check_bench, quarantine_bench

PROFILES = ("foxbms_2", "seplos_v3")


def bmsbench(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bmsbench", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module", params=PROFILES)
def lab(request: pytest.FixtureRequest, lab_process: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    started = lab_process(tmp_path_factory.mktemp("lab"), "--bms", request.param)
    yield started
    assert started.close()[0] == 0


def paste(lab: Any, line: str) -> subprocess.CompletedProcess[str]:
    """Run a line as a shell does; once more if this machine stood still while it ran in real time."""
    begun_s = time.time()
    run = subprocess.run(line, shell=True, cwd=lab.folder, capture_output=True, text=True, timeout=100)
    if run.returncode and lab.longest_stall_s(begun_s) > 0.1:
        assert lab.tell("reset 1") == "ok"
        run = subprocess.run(line, shell=True, cwd=lab.folder, capture_output=True, text=True, timeout=100)
    return run


def test_every_printed_line_works_when_pasted(lab: Any) -> None:
    assert len(lab.told["examples"]) == 6
    for example in lab.told["examples"]:
        run = paste(lab, example["line"])
        assert run.returncode == 0, f"{example['line']}\n{run.stdout}\n{run.stderr}"
        assert run.stdout.strip(), example
        if "who it is" in example["shows"]:
            assert "VIRTUAL-CHARGER" in run.stdout
        if "bmsbench run" in example["line"]:
            assert "1 passed" in run.stdout
    assert lab.truth()["outputs_on"] == []
    assert lab.truth()["disconnect_closed"] is False


def test_the_written_definition_is_a_loopback_bench_on_the_wall_clock(lab: Any) -> None:
    definition = load_definition(lab.definition)
    check_simulated(definition)
    assert definition.bench.clock == "wall"
    assert definition.bench.simulated is True
    assert {section.address for section in definition.instruments.values()} <= {
        f"tcp:127.0.0.1:{port}" for port in lab.ports.values()
    }


def test_two_labs_share_neither_lock_nor_quarantine(lab: Any, lab_process: Any, tmp_path: Path) -> None:
    other = lab_process(tmp_path, "--bms", lab.told["bms"])
    try:
        one, two = load_definition(lab.definition), load_definition(other.definition)
        assert one.name == f"virtual_lab_{lab.told['served'][0]['port']}"
        assert not set(things_of(one)) & set(things_of(two))
        quarantine_bench(one.name, "a relay stuck", by="test")
        check_bench(two.name)
        with pytest.raises(SafetyError, match="a relay stuck"):
            check_bench(one.name)
    finally:
        assert other.close()[0] == 0


@pytest.mark.parametrize("name", ['bench 7 "left"', "table-3"])
def test_a_lab_can_be_given_a_name(tmp_path: Path, name: str) -> None:
    assert bmsbench("lab", "--for", "0.2", "--name", name, cwd=tmp_path).returncode == 0
    assert load_definition(tmp_path / "lab.toml").name == name


def test_an_empty_name_is_no_name(tmp_path: Path) -> None:
    run = bmsbench("lab", "--for", "0.2", "--name", " ", cwd=tmp_path)
    assert run.returncode == 2
    assert "leave it out" in run.stderr
    assert not (tmp_path / "lab.toml").exists()


def test_time_passes_as_on_the_wall(lab: Any) -> None:
    """A busy machine lets a lab lag for a moment; one whose time runs wrong never comes right."""
    found = []
    for _ in range(10):
        first = lab.truth()
        time.sleep(1.0)
        second = lab.truth()
        found.append((second["at_s"] - first["at_s"]) - (second["unix_s"] - first["unix_s"]))
        if abs(found[-1]) < 0.05:
            return
    pytest.fail(f"in one second of the wall its time was off by {found}")


def test_the_witness_writes_at_least_twenty_lines_a_second(lab: Any) -> None:
    begin_s = lab.truth()["at_s"]
    assert lab.wait_for(lambda truth: truth["at_s"] > begin_s + 1.5, 30.0)
    until_s = time.monotonic() + 10.0
    while lab.lines()[-1]["at_s"] < begin_s + 1.0 and time.monotonic() < until_s:
        time.sleep(0.05)
    assert sum(begin_s <= line["at_s"] < begin_s + 1.0 for line in lab.lines()) >= 20


def test_a_client_of_nobody_sees_what_another_one_does(lab: Any) -> None:
    """Two plain sockets: one tells the supply's voltage setting, the other reads it."""
    with (
        socket.create_connection(("127.0.0.1", lab.ports["shunt_meter"]), timeout=5) as meter,
        socket.create_connection(("127.0.0.1", lab.ports["charger"]), timeout=5) as supply,
    ):
        supply.sendall(b"SYST:LOCK ON\nVOLT 12\n")
        answer, until_s = b"", time.monotonic() + 10.0
        while not answer.startswith(b"12.0") and time.monotonic() < until_s:  # it takes some milliseconds to act
            supply.sendall(b"VOLT?\n")
            answer = supply.recv(100)
        assert answer.startswith(b"12.0")
        meter.sendall(b"*IDN?\n")
        assert b"34465A" in meter.recv(200)
        supply.sendall(b"SYST:LOCK OFF\n")


def test_control_shows_faults_and_refuses_what_it_does_not_know(lab: Any) -> None:
    assert lab.tell("fault charger silent") == "ok"
    with socket.create_connection(("127.0.0.1", lab.ports["charger"]), timeout=5) as supply:
        supply.settimeout(0.3)
        supply.sendall(b"*IDN?\n")
        with pytest.raises(TimeoutError):
            supply.recv(100)
        supply.settimeout(10.0)
        assert lab.tell("fault charger none") == "ok"
        supply.sendall(b"*IDN?\n")
        assert b"VIRTUAL" in supply.recv(200)
    assert "charger" in lab.tell("fault charge silent"), "the nearest spelling is given"
    assert lab.tell("fault charger asleep").startswith("error:")
    assert "late_reply" in lab.tell("fault charger slow_reply")
    assert lab.tell("wire nothing 1").startswith("error:")
    assert lab.tell("make coffee").startswith("error:")
    assert lab.tell("wire reference_shunt_reversed 1") == "ok"
    assert lab.tell("wire reference_shunt_reversed 0") == "ok"


def test_a_reversed_shunt_is_named_by_check(lab: Any) -> None:
    lab.tell("wire reference_shunt_reversed 1")
    try:
        run = bmsbench("check", "--bench", str(lab.definition), "--bms", lab.told["bms"], cwd=lab.folder)
    finally:
        lab.tell("wire reference_shunt_reversed 0")
    assert run.returncode == 10
    assert "sense leads of the reference shunt" in run.stderr
    assert lab.truth()["outputs_on"] == []
    assert lab.truth()["disconnect_closed"] is False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
@pytest.mark.skipif(os.name != "posix", reason="signals of other processes are those of POSIX")
def test_it_ends_cleanly_with_one_line(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "bmsbench", "lab", "--no-write"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    begun = []
    while not begun or "Ctrl-C ends it" not in begun[-1]:
        begun.append(process.stdout.readline())
        assert begun[-1], process.communicate()
    process.send_signal(number)
    out, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert len(out.splitlines()) == 1
    assert "lab ended" in out
    assert errors == ""
    assert all(len(line) <= 100 for line in begun if line.startswith(("name", "charger", "sink", "relays", "can")))


def test_a_port_in_use_is_one_clear_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        run = bmsbench("lab", "--no-write", "--ports", f"sink={port}", "--for", "1", cwd=tmp_path)
        can = bmsbench("lab", "--no-write", "--ports", f"can={port}", "--for", "1", cwd=tmp_path)
    for result, name in ((run, "sink"), (can, "can")):
        assert result.returncode == 10
        assert name in result.stderr
        assert str(port) in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--ports", "snik=5025"], 2, "did you mean 'sink'"),
        (["--ports", "sink"], 2, "not NAME=VALUE"),
        (["--ports", "sink=7000,charger=7000"], 2, "give each its own"),
        (["--fault", "charger=asleep"], 2, "no fault 'asleep'"),
        (["--fault", "nobody=silent"], 2, "no such instrument"),
        (["--defect", "inverted_sing"], 2, "inverted_sign"),
        (["--bench", "no_such_bench"], 2, "no bench called"),
        (["--soc", "140"], 2, "140"),
    ],
)
def test_a_wrong_word_is_refused_before_anything_is_served(
    tmp_path: Path, words: list[str], status: int, said: str
) -> None:
    run = bmsbench("lab", "--for", "1", *words, cwd=tmp_path)
    assert run.returncode == status, run.stderr
    assert said in run.stderr
    assert not (tmp_path / "lab.toml").exists()


def test_a_file_that_no_lab_wrote_is_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / "lab.toml"
    mine.write_text("# my own bench\n", encoding="utf-8")
    run = bmsbench("lab", "--for", "0.2", cwd=tmp_path)
    assert run.returncode == 2
    assert "left alone" in run.stderr
    assert mine.read_text(encoding="utf-8") == "# my own bench\n"
    mine.write_text("# Written by bmsbench lab: an older one\n", encoding="utf-8")
    assert bmsbench("lab", "--for", "0.2", cwd=tmp_path).returncode == 0
    assert "[bench]" in mine.read_text(encoding="utf-8")


def free_base(count: int) -> int:
    """A base below the ports that the system hands out by itself, with so many free ones behind it."""
    for base in range(15_000 + os.getpid() % 500 * 20, 32_000, 20):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(base, base + count):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return base
    pytest.fail("no free stretch of ports on this machine")


def test_ports_follow_each_other_from_a_base_and_a_bidirectional_supply_speaks_two_languages(tmp_path: Path) -> None:
    base = free_base(8)
    words = ["--bench", "virtual_bidirectional", "--port-base", str(base), "--for", "0.2", "--json", "--no-write"]
    run = bmsbench("lab", *words, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    served = json.loads(run.stdout.splitlines()[0])["served"]
    assert [each["port"] for each in served if "/" not in each["name"]] == list(range(base, base + 5))
    assert [each["protocol"] for each in served[:2]] == ["Modbus TCP", "SCPI"]


def test_a_defect_is_in_the_lab_and_not_in_the_run(lab_process: Any, tmp_path: Path) -> None:
    lab = lab_process(tmp_path, "--bms", "seplos_v3", "--defect", "inverted_sign")
    try:
        here = ["--bench", str(lab.definition), "--bms", "seplos_v3"]
        refused = bmsbench("run", "current_sign/test_sign.py", *here, "--defect", "inverted_sign", cwd=tmp_path)
        assert "bmsbench lab --defect" in refused.stdout + refused.stderr
        assert refused.returncode not in (0, 1)
        words = ["run", "current_sign/test_sign.py", "-k", "10pct and not discharge", *here]
        caught = bmsbench(*words, "--run-folder", str(tmp_path / "run"), cwd=tmp_path)
        assert caught.returncode == 1, caught.stdout
        assert "sign" in caught.stdout
    finally:
        assert lab.close()[0] == 0
