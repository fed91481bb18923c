"""What a safety input reads from its file, and what it refuses to read from it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.errors import DefinitionError, InstrumentError
from bench.roles import Dialogue, Identity, SafetyInput
from bench.wall_clock import WallClock, unix_time_s
from instruments.meters.keysight_34465a import Keysight34465A
from instruments.relays.waveshare_modbus_relay import WaveshareModbusRelay
from instruments.safety_inputs.file_input import FileInput

_: type[SafetyInput] = FileInput


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An interlock that is clear."""
    path = tmp_path / "interlock.txt"
    path.write_text("clear\n", encoding="ascii")
    return path


@pytest.fixture
def loop(file: Path, clock: WallClock, dialogue: list[Dialogue]) -> Callable[..., FileInput]:
    """Open the interlock with options."""

    def open_loop(**options: object) -> FileInput:
        return FileInput.open("interlock", f"file:{file}", clock=clock, record=dialogue.append, options=options)

    return open_loop


def test_the_file_is_read_each_time(loop: Callable[..., FileInput], file: Path) -> None:
    interlock = loop()
    assert interlock.is_clear()
    file.write_text("open", encoding="ascii")
    assert not interlock.is_clear()
    file.write_text("  clear\r\n", encoding="ascii")
    assert interlock.is_clear()


@pytest.mark.parametrize("content", [b"", b"closed", b"Clear", b"clear open", b"1", b"cl", b"c\0l\0", b"\xff\xfec\0"])
def test_anything_else_is_an_error_that_says_what_to_write(
    loop: Callable[..., FileInput], file: Path, content: bytes
) -> None:
    interlock = loop()
    file.write_bytes(content)
    with pytest.raises(InstrumentError, match=r"interlock\.txt: says .*write 'clear'.*or 'open'"):
        interlock.is_clear()


def test_a_long_file_is_not_read_to_its_end(loop: Callable[..., FileInput], file: Path) -> None:
    interlock = loop()
    file.write_text("clear" + " " * 10_000 + "open", encoding="ascii")
    with pytest.raises(InstrumentError, match=r"longer than 64 bytes"):
        interlock.is_clear()


def test_a_file_that_vanishes_is_an_error_that_names_it(loop: Callable[..., FileInput], file: Path) -> None:
    interlock = loop()
    file.unlink()
    with pytest.raises(InstrumentError, match=r"interlock\.txt: cannot be read"):
        interlock.is_clear()


def test_a_file_that_is_not_there_is_not_opened(clock: WallClock, tmp_path: Path) -> None:
    with pytest.raises(InstrumentError, match=r"interlock at file:.*nothing\.txt: cannot be read"):
        FileInput.open("interlock", f"file:{tmp_path / 'nothing.txt'}", clock=clock, record=lambda _: None)


def test_a_folder_is_no_input(clock: WallClock, tmp_path: Path) -> None:
    with pytest.raises(InstrumentError, match="not a plain file"):
        FileInput.open("interlock", f"file:{tmp_path}", clock=clock, record=lambda _: None)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_refused_instead_of_waiting_for_its_writer(clock: WallClock, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InstrumentError, match="not a plain file"):
        FileInput.open("interlock", f"file:{tmp_path / 'pipe'}", clock=clock, record=lambda _: None)


def test_a_heartbeat_that_stopped_is_an_error_whatever_the_file_says(
    loop: Callable[..., FileInput], file: Path
) -> None:
    interlock = loop(max_age_s=60)
    assert interlock.is_clear()
    _written(file, ago_s=61.0)
    with pytest.raises(InstrumentError, match=r"last written 6\d\.\d s ago, 60 s are allowed"):
        interlock.is_clear()
    file.write_text("clear", encoding="ascii")
    assert interlock.is_clear()


def test_without_a_heartbeat_an_old_file_counts(loop: Callable[..., FileInput], file: Path) -> None:
    interlock = loop()
    _written(file, ago_s=1e6)
    assert interlock.is_clear()


def test_a_file_from_the_future_has_no_known_age(loop: Callable[..., FileInput], file: Path) -> None:
    interlock = loop(max_age_s=2.0)
    _written(file, ago_s=-30.0)
    with pytest.raises(InstrumentError, match="in the future"):
        interlock.is_clear()


def test_everything_read_is_recorded(loop: Callable[..., FileInput], file: Path, dialogue: list[Dialogue]) -> None:
    interlock = loop()
    file.unlink()
    with pytest.raises(InstrumentError):
        interlock.is_clear()
    assert [each.sent for each in dialogue] == [True, False, True, False]
    assert (dialogue[0].text, dialogue[1].text) == (f"read {file}", r"'clear\n'")
    assert "No such file" in dialogue[3].text or "cannot find" in dialogue[3].text


def test_its_serial_number_is_the_file_s_name(loop: Callable[..., FileInput]) -> None:
    interlock = loop()
    assert interlock.identify() == Identity("file", "safety input", "interlock.txt", "")
    assert not interlock.identify().virtual
    interlock.close()


def test_a_name_that_would_pass_for_a_virtual_instrument_is_refused(clock: WallClock, tmp_path: Path) -> None:
    path = tmp_path / "Virtual_interlock.txt"
    path.write_text("clear", encoding="ascii")
    with pytest.raises(DefinitionError, match="VIRTUAL"):
        FileInput.open("interlock", f"file:{path}", clock=clock, record=lambda _: None)


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), True, "2"])
def test_an_age_must_be_a_number_of_seconds(loop: Callable[..., FileInput], value: object) -> None:
    with pytest.raises(DefinitionError, match="max_age_s"):
        loop(max_age_s=value)


def test_another_kind_of_address_is_refused(clock: WallClock) -> None:
    with pytest.raises(DefinitionError, match="file:PATH"):
        FileInput.open("interlock", "tcp:127.0.0.1:5025", clock=clock, record=lambda _: None)


@pytest.mark.parametrize(("driver", "options"), [(Keysight34465A, {}), (WaveshareModbusRelay, {"channel": 1})])
def test_a_file_is_no_way_to_an_instrument(
    driver: Any, options: dict[str, object], file: Path, clock: WallClock
) -> None:
    with pytest.raises(DefinitionError, match="needs tcp:HOST:PORT"):
        driver.open("dut", f"file:{file}", clock=clock, record=lambda _: None, options=options)


def _written(file: Path, *, ago_s: float) -> None:
    at_s = unix_time_s() - ago_s
    os.utime(file, (at_s, at_s))
