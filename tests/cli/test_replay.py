"""`bmsbench replay` on recordings whose bytes are made here by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bench.errors import BenchError, DefinitionError
from bmsbench.commands.replay import command

LAYOUT_CHANGED = "1F587CA000001A19"  # recorded 0x231 of another firmware version


def values_frame(current_a: float, voltage_v: float) -> str:
    """0x233 by its published bits: voltage 7|15 in 0.1 V, current 40|17 in 0.01 A, both big-endian.

    `current_a` is what the wire says: discharge positive.
    """
    volts, amps = round(voltage_v * 10), round(current_a * 100) & 0x1FFFF
    return (volts << 1).to_bytes(2, "big").hex() + "000000" + amps.to_bytes(3, "big").hex()


def flags_frame(*, charge: bool = False, discharge: bool = False) -> str:
    """0x220: state normal; bits 25 and 26 are the over-current flags of charge and discharge."""
    return bytes([7, 0x10, 0, (charge << 1) | (discharge << 2), 0, 0, 0, 0]).hex()


def charging_a(at_s: float) -> float:
    """+20 A for two seconds, rest, -20 A, rest (charging positive)."""
    return (20.0, 0.0, -20.0, 0.0)[int(at_s / 2) % 4]


def recording(
    wire_a: Callable[[float], float] = lambda at_s: -charging_a(at_s),
    *,
    seconds: float = 40.0,
    skip: tuple[float, float] = (0, 0),
) -> str:
    """A candump log of a pack with 20 mΩ, whose BMS says `wire_a` about its current."""
    lines = []
    for n in range(int(seconds * 10)):
        at_s = 0.1 * n
        if skip[0] <= at_s < skip[1]:
            continue
        voltage_v = 53.0 + 0.02 * charging_a(at_s)
        lines.append(f"({1000 + at_s:.6f}) can0 233#{values_frame(wire_a(at_s), voltage_v).upper()}\n")
    return "".join(lines)


@pytest.fixture
def replay(tmp_path: Path) -> Callable[..., Result]:
    def run(text: str, *arguments: str, bms: str = "foxbms_2", name: str = "drive.log") -> Result:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8", newline="")
        return CliRunner().invoke(command, [str(path), "--bms", bms, *arguments])

    return run


def as_json(result: Result) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(result.output)
    return data


def current(result: Result, name: str = "pack_current") -> dict[str, Any]:
    [found] = [row for row in as_json(result)["currents"] if row["name"] == name]
    return dict(found)


def test_a_bms_that_agrees_with_its_voltage_is_told_so(replay: Callable[..., Result]) -> None:
    result = replay(recording())
    assert result.exit_code == 0, result.output
    assert "positive means DISCHARGE (declared by the maker" in result.output
    assert "-20.00 A discharging to +20.00 A charging" in result.output
    assert "median 100.0 ms, worst 100.0 ms, declared 100 ms; no gaps" in " ".join(result.output.split())
    assert "agrees: over" in result.output


def test_an_inverted_sign_is_contradicted_by_the_voltage(replay: Callable[..., Result]) -> None:
    result = replay(recording(charging_a), "--json")
    assert result.exit_code == 1
    [witness] = [row for row in current(result)["witnesses"] if row["name"] == "pack_voltage"]
    assert witness["word"] == "contradicts"
    assert "is the sign inverted?" in witness["text"]


def test_swapped_flags_are_contradicted_by_the_current(replay: Callable[..., Result]) -> None:
    text = recording(seconds=5.0)  # ends discharging
    text += (
        f"(1005.000000) can0 220#{flags_frame().upper()}\n(1005.100000) can0 220#{flags_frame(charge=True).upper()}\n"
    )
    result = replay(text, "--json")
    words = {row["name"]: row["word"] for row in current(result)["witnesses"]}
    assert words["overcurrent_charge"] == "contradicts"
    assert words["overcurrent_discharge"] == "not enough movement"
    assert result.exit_code == 1


def test_a_gap_and_a_frozen_value_are_found(replay: Callable[..., Result]) -> None:
    frozen = recording(lambda at_s: 5.0 if at_s < 10 else 6.0, skip=(20.0, 23.0))
    result = replay(frozen)
    words = " ".join(result.output.split())
    assert "1 gaps, the longest 3.100 s from 19.900 s" in words
    assert "FROZEN? pack_voltage moved by 0.8 meanwhile" in words


def test_frames_of_another_layout_are_named_and_not_used(replay: Callable[..., Result]) -> None:
    odd = "".join(f"({1000 + n}.000000) can0 231#{LAYOUT_CHANGED}\n" for n in range(37))
    result = replay(recording() + odd, "--json")
    [misfit] = as_json(result)["does_not_fit"]
    assert misfit["message"] == "0x231 CellVoltageRange"
    assert (misfit["frames"], misfit["bad"]) == (37, 37)
    assert "6681 mV is outside" in misfit["first_problem"]
    text = " ".join(replay(recording() + odd).output.split())
    assert "0x231 CellVoltageRange: 37 of 37 frames are nonsense" in text
    assert "another firmware version?" in text


def test_a_current_beyond_anything_the_pack_can_do_is_nonsense_not_a_reading(replay: Callable[..., Result]) -> None:
    result = replay(recording(lambda _: 612.3), "--json")
    assert result.exit_code == 11
    found = current(result)
    assert not found["seen"]
    assert "does not fit the database" in found["why_not"]


def test_a_single_odd_frame_is_counted_and_left_out(replay: Callable[..., Result]) -> None:
    text = recording() + f"(1040.000000) can0 233#{values_frame(600.0, 53.0).upper()}\n"
    found = current(replay(text, "--json"))
    assert found["undecodable"] == 1
    assert found["high_a"] == 20.0


def test_identifiers_that_are_not_in_the_database_are_listed(replay: Callable[..., Result]) -> None:
    text = recording(seconds=1.0) + "(1001.0) can0 7AA#01\n(1001.1) can0 18FF0140#01\n(1001.2) can0 7AA#01\n"
    assert as_json(replay(text, "--json"))["not_in_database"] == {"0x18FF0140": 1, "0x7AA": 2}


def test_a_recording_cut_in_its_last_line_is_used_and_then_an_error(replay: Callable[..., Result]) -> None:
    result = replay(recording()[:-5])
    assert "agrees: over" in result.output
    assert isinstance(result.exception, BenchError)
    assert "drive.log:400: this line is incomplete, it was cut in the middle" in str(result.exception)


def test_currents_that_never_came_say_why(replay: Callable[..., Result]) -> None:
    result = replay("(1.0) can0 243#2000000000000000\n", "--json")
    assert current(result)["why_not"] == "0x233 PackValues is not in the recording"
    assert "never with its multiplexer value" in current(result, "string_current")["why_not"]
    assert result.exit_code == 11


def test_frames_of_a_wrong_length_are_no_readings(replay: Callable[..., Result]) -> None:
    result = replay("(1.0) can0 233#000000\n(1.1) can0 233#000000\n", "--json")
    assert result.exit_code == 11
    assert "3 bytes instead of 8" in as_json(result)["does_not_fit"][0]["first_problem"]


def test_the_table_fits_into_80_columns(replay: Callable[..., Result]) -> None:
    odd = f"(1000.0) can0 231#{LAYOUT_CHANGED}\n(1000.1) can0 18FF0140#01\n"
    lines = replay(recording() + odd).output.splitlines()
    assert max(map(len, lines)) <= 80


def test_a_plot_is_written_and_asks_nothing_from_outside(replay: Callable[..., Result], tmp_path: Path) -> None:
    picture = tmp_path / "drive.svg"
    assert replay(recording(), "--plot", str(picture)).exit_code == 0
    text = picture.read_text(encoding="utf-8")
    assert text.startswith("<svg")
    assert "pack_current" in text
    assert "href" not in text


def test_a_plot_that_cannot_be_written_is_one_error(replay: Callable[..., Result], tmp_path: Path) -> None:
    result = replay(recording(), "--plot", str(tmp_path / "no" / "such" / "folder.svg"))
    assert isinstance(result.exception, DefinitionError)
    assert "cannot be written" in str(result.exception)


@pytest.mark.parametrize(
    ("text", "bms", "message"),
    [
        ("", "foxbms_2", "it is empty"),
        ("Roses are red\n", "foxbms_2", "no known form of CAN recording"),
        ("(1.0) can0 233#00\n", "seplos_v3", "seplos_v3 has no CAN link"),
        (">>> 01.04.10.00.00.02.75.0B\n", "foxbms_2", "foxbms_2 has no Modbus link"),
        ("(1.0) can0 233#00\n", "foxbms_9", "did you mean 'foxbms_2'"),
    ],
)
def test_what_cannot_be_read_is_one_clear_error(
    replay: Callable[..., Result], text: str, bms: str, message: str
) -> None:
    result = replay(text, bms=bms)
    assert isinstance(result.exception, DefinitionError)
    assert message in str(result.exception)


# A request for 2 registers from 0x1000 of unit 1, and its answer 53.25 V, -1.37 A. The checksums were worked out
# with another implementation.
DUMP = ">>> 01.04.10.00.00.02.75.0B\n<<< 01.04.04.14.CD.FF.77.6E.5D\n"


def test_a_dump_of_a_modbus_conversation_is_read(replay: Callable[..., Result]) -> None:
    result = replay(DUMP * 3, "--json", bms="seplos_v3", name="dump.txt")
    assert result.exit_code == 0, result.output
    found = current(result)
    assert (found["low_a"], found["high_a"]) == (pytest.approx(-1.37), pytest.approx(-1.37))
    assert found["updates"] is None


def test_a_dump_with_a_broken_checksum_is_used_as_far_as_it_is_whole(replay: Callable[..., Result]) -> None:
    result = replay(DUMP + DUMP[:-4] + "\n", "--json", bms="seplos_v3", name="dump.txt")
    assert isinstance(result.exception, BenchError)
    assert "dump.txt:4: this line is no whole frame" in str(result.exception)
    assert current(result)["low_a"] == pytest.approx(-1.37)


def test_a_real_recording_of_a_unit_at_rest(shared_data: Path) -> None:
    log = shared_data / "logs" / "foxbms" / "can-log.trc"
    result = CliRunner().invoke(command, [str(log), "--bms", "foxbms_2", "--json"])
    assert result.exit_code == 0
    assert current(result, "string_current")["high_a"] == 0.0
    assert [row["message"] for row in as_json(result)["does_not_fit"]] == ["0x231 CellVoltageRange"]
    assert set(as_json(result)["not_in_database"]) == {"0x241", "0x244", "0x260"}


def test_a_real_recording_of_an_older_generation_gives_no_current(shared_data: Path) -> None:
    log = shared_data / "logs" / "foxbms" / "test_log.txt"
    result = CliRunner().invoke(command, [str(log), "--bms", "foxbms_2", "--json"])
    assert result.exit_code == 11
    assert [row["message"] for row in as_json(result)["does_not_fit"]] == ["0x243 StringValues"]


def test_the_real_conversation_of_a_live_pack(shared_data: Path) -> None:
    """One current, two encodings, at one instant: -1.37 A and -1.3 A."""
    log = shared_data / "logs" / "serial" / "seplos_v3_SG16S200A_frames.txt"
    result = CliRunner().invoke(command, [str(log), "--bms", "seplos_v3", "--json"])
    assert result.exit_code == 0
    assert current(result)["high_a"] == pytest.approx(-1.37)
    assert current(result, "system_current")["high_a"] == pytest.approx(-1.3)
    assert current(result)["witnesses"][0]["word"] == "agrees"


def test_several_recordings_in_one_file_are_looked_at_one_by_one(replay: Callable[..., Result]) -> None:
    """A run writes its tests behind each other, and bench time begins anew with each."""
    text = recording() + recording(lambda at_s: -charging_a(at_s + 2))[: len(recording()) // 2] + recording()
    cut = text.rfind("\n") + 1
    result = replay(text[:cut], "--json")
    assert "looked at as 3 recordings, one behind the other" in as_json(result)["remarks"]
    assert current(result)["updates"]["gaps"] == []
