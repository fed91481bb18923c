"""Recordings of real tools are read; what is cut or odd is named, never skipped in silence."""

from __future__ import annotations

import gzip
import importlib.util
import subprocess
import sys
from pathlib import Path

import can
import pytest

from bench.errors import DefinitionError
from bench.frames import CanFrame
from reports.can_log import Recording
from reports.log_lines import candump_line

FRAMES = [
    CanFrame(1.0, 0x233, bytes.fromhex("00000000000003E8")),
    CanFrame(1.1, 0x210, b"\x01", outgoing=True),
    CanFrame(1.25, 0x18FF0140, bytes.fromhex("FE0C"), extended=True),
    CanFrame(1.5, 0x7FF, b""),
]


def read(path: Path) -> tuple[list[CanFrame], Recording]:
    recording = Recording(path)
    return list(recording), recording


def same(frames: list[CanFrame], *, zero_s: float = 0.0) -> list[tuple[float, int, bytes, bool, bool]]:
    return [(round(f.at_s - zero_s, 4), f.can_id, f.data, f.extended, f.outgoing) for f in frames]


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize("suffix", ["log", "asc", "blf", "csv", "trc"])
def test_what_python_can_writes_is_read_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"recording.{suffix}"
    with can.Logger(path) as logger:
        for frame in FRAMES:
            logger(
                can.Message(
                    timestamp=1.7e9 + frame.at_s,
                    arbitration_id=frame.can_id,
                    data=frame.data,
                    is_extended_id=frame.extended,
                    is_rx=not frame.outgoing,
                )
            )
    frames, recording = read(path)
    expected = same(FRAMES, zero_s=1.0)
    if suffix == "csv":  # this format does not keep the direction
        expected = [(*row[:4], False) for row in expected]
    assert same(frames, zero_s=frames[0].at_s) == expected
    assert recording.remarks() == []


def test_what_a_run_of_this_bench_wrote_is_read_back(tmp_path: Path) -> None:
    path = write(tmp_path, "main.log", "".join(candump_line(frame) for frame in FRAMES))
    frames, recording = read(path)
    assert same(frames) == same(FRAMES)
    assert recording.told.form == "candump log"


def test_a_compressed_recording_is_read(tmp_path: Path) -> None:
    path = tmp_path / "main.log.gz"
    path.write_bytes(gzip.compress("".join(map(candump_line, FRAMES)).encode()))
    assert same(read(path)[0]) == same(FRAMES)


@pytest.mark.parametrize(
    ("line", "form", "expected"),
    [
        ("(1.5) can0 233#0003E8", "candump log", (1.5, 0x233, "0003e8", False, False)),
        ("(1.5) can0 00000233#0003E8 T", "candump log", (1.5, 0x233, "0003e8", True, True)),
        ("(1.5) can0 233##1" + "00" * 12, "candump log", (1.5, 0x233, "00" * 12, False, False)),
        (" (001.500000)  can0  233   [3]  00 03 E8", "candump text", (1.5, 0x233, "0003e8", False, False)),
        (" (1.5)  can0  TX - -  233   [3]  00 03 E8", "candump text", (1.5, 0x233, "0003e8", False, True)),
        ("(75.5) RX6 16A954A6 [2] e1 6D", "candump text", (75.5, 0x16A954A6, "e16d", True, False)),
        ("(75.5) TX0 CF [0]", "candump text", (75.5, 0xCF, "", False, True)),
        (
            "12.5 8  35C        Rx D 6  00  0A  FF  FF  F6  FB",
            "Vector text",
            (12.5, 0x35C, "000afffff6fb", False, False),
        ),
        ("12.5 1  18FF0140x  Tx d 1 07", "Vector text", (12.5, 0x18FF0140, "07", True, True)),
        (
            "Timestamp:      132.16        ID: 0525    S Rx                DL:  6    04 03 00 00 00 d2",
            "PCAN text",
            (132.16, 0x525, "0403000000d2", False, False),
        ),
    ],
)
def test_a_line_of_each_text_form(tmp_path: Path, line: str, form: str, expected: tuple[object, ...]) -> None:
    [frame], recording = read(write(tmp_path, "recording.txt", line + "\n"))
    assert recording.told.form == form
    assert (frame.at_s, frame.can_id, frame.data.hex(), frame.extended, frame.outgoing) == expected


GOOD = {
    "candump.log": "(1.0) can0 233#0000000000000000\n(1.1) can0 233#00000000000003E8\n",
    "vector.txt": "1.0 1  233  Rx d 2 00 00\n1.1 1  233  Rx d 2 03 E8\n",
    "pcan.txt": "Timestamp: 1.0 ID: 0233 S Rx DL: 2 00 00\nTimestamp: 1.1 ID: 0233 S Rx DL: 2 03 e8\n",
    "screen.txt": "(1.0) can0 233 [2] 00 00\n(1.1) can0 233 [2] 03 E8\n",
    "vector.asc": "date Mon Nov 24 10:00:00.000 2026\nbase hex  timestamps absolute\ninternal events logged\n"
    " 1.0 1  233             Rx   d 2 00 00\n 1.1 1  233             Rx   d 2 03 E8\n",
    "peak.trc": ";$FILEVERSION=1.1\n;$STARTTIME=0\n"
    "     1)       100.0  Rx         0233  2  00 00\n     2)       200.0  Rx         0233  2  03 E8\n",
    "table.csv": "timestamp,arbitration_id,extended,remote,error,dlc,data\n"
    "1.0,0x233,0,0,0,2,AAA=\n1.1,0x233,0,0,0,2,A+g=\n",
}


@pytest.mark.parametrize("name", sorted(GOOD))
@pytest.mark.parametrize("cut", range(2, 16))
def test_a_recording_cut_anywhere_in_its_last_line_keeps_the_frames_before(tmp_path: Path, name: str, cut: int) -> None:
    """Whatever is left of the last line, no frame with other bytes than were sent comes out of it."""
    text = GOOD[name]
    frames, recording = read(write(tmp_path, name, text[:-cut]))
    whole, _ = read(write(tmp_path, f"whole-{name}", text))
    assert len(whole) == 2
    assert frames == whole[:1]
    number = text.count("\n")
    assert f"{name}:{number}: this line is incomplete" in recording.told.damage


@pytest.mark.parametrize("name", sorted(set(GOOD) - {"candump.log", "table.csv"}))
def test_a_missing_last_line_end_alone_costs_nothing(tmp_path: Path, name: str) -> None:
    """These forms state how many bytes follow, so the last line is known to be whole."""
    frames, recording = read(write(tmp_path, name, GOOD[name][:-1]))
    assert len(frames) == 2
    assert recording.told.damage == ""


def test_a_cut_binary_recording_keeps_the_frames_before(tmp_path: Path) -> None:
    path = tmp_path / "recording.blf"
    with can.BLFWriter(path, max_container_size=100) as logger:
        for n in range(50):
            logger(can.Message(timestamp=1e9 + n, arbitration_id=0x233, is_extended_id=False, data=[n]))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    frames, recording = read(path)
    assert 10 < len(frames) < 50
    assert [frame.data[0] for frame in frames] == list(range(len(frames)))
    assert "the recording was cut; the frames before were used" in recording.told.damage


def test_a_line_that_states_other_bytes_than_it_has_is_named(tmp_path: Path) -> None:
    text = "(1.0) can0 233 [2] 00 00\n(1.1) can0 233 [3] 03 E8\n(1.2) can0 233 [2] 03 E8\n"
    frames, recording = read(write(tmp_path, "a.txt", text))
    assert [frame.at_s for frame in frames] == [1.0, 1.2]
    assert "a.txt:2: this line is incomplete, it states 3 bytes and has 2" in recording.told.damage


def test_other_lines_remote_frames_and_steps_back_are_told(tmp_path: Path) -> None:
    text = "# comment\n(2.0) can0 233#00\nhello\n(1.0) can0 233#00\n(1.5) can0 233#R\n"
    frames, recording = read(write(tmp_path, "a.log", text))
    assert len(frames) == 2
    assert recording.remarks() == [
        "1 lines carry no frame (the first is 'hello')",
        "1 remote frames carry no data and were left out",
        "the time steps back 1 times: several recordings in one file?",
    ]


def test_error_frames_are_frames_of_their_own_kind(tmp_path: Path) -> None:
    [frame], _ = read(write(tmp_path, "a.log", "(1.0) can0 20000020#0000000000000000\n"))
    assert frame.error


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("empty.log", "", "it is empty"),
        ("poem.txt", "Roses are red\n", "no known form of CAN recording; it begins 'Roses are red'"),
        ("comments.asc", "date Mon Nov 24 10:00:00.000 2026\nbase hex  timestamps absolute\n", "no CAN frame in it"),
    ],
)
def test_a_file_without_frames_is_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        read(write(tmp_path, name, text))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="there is no such file"):
        Recording(tmp_path / "nothing.log")


def test_without_asammdf_an_mf4_recording_says_what_it_needs(tmp_path: Path) -> None:
    if importlib.util.find_spec("asammdf") is not None:
        pytest.skip("asammdf is installed here")
    with pytest.raises(DefinitionError, match="needs asammdf"):
        read(write(tmp_path, "a.mf4", "MDF"))


def test_python_can_is_not_imported_for_a_text_recording(tmp_path: Path) -> None:
    path = write(tmp_path, "a.log", "(1.0) can0 233#00\n")
    code = (
        "import sys; from pathlib import Path; from reports.can_log import Recording\n"
        f"list(Recording(Path({str(path)!r})))\n"
        "sys.exit('can' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("name", "form", "count", "first"),
    [
        ("foxbms/can-log.trc", "PCAN trace 1.3", 9, (0x243, "00c7c80000000000")),
        ("foxbms/can_log.txt", "Vector text", 12, (0x240, "0008004002001001")),
        ("foxbms/test_log.txt", "PCAN text", 301, (0x241, "0007ecbf61fb2fd9")),
        ("battery-emulator/19_Meb_crc.txt", "candump text", 5, (0xCF, "e16d2dac3fd00700")),
        ("battery-emulator/28_RenaultZoe1_base_pid.txt", "candump text", 124, (0x155, "0007d00084c80000")),
    ],
)
def test_recordings_of_other_people_are_read_whole(
    shared_data: Path, name: str, form: str, count: int, first: tuple[int, str]
) -> None:
    frames, recording = read(shared_data / "logs" / name)
    assert (recording.told.form, len(frames)) == (form, count)
    assert (frames[0].can_id, frames[0].data.hex()) == first
    assert recording.told.damage == ""
