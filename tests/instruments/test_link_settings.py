"""Identity and settings over Modbus: each value its own message, to the unit it belongs to, and errors for answers."""

from __future__ import annotations

import re
import struct
import threading
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from bench.errors import (
    BadFrame,
    ConnectionLost,
    DefinitionError,
    Inconclusive,
    InstrumentError,
    InstrumentTimeout,
    LinkError,
    Missing,
    NotImplementedByDut,
    OutOfRange,
)
from bench.loading import read_toml, validate
from bench.profile import PROFILES, Profile, load_profile
from bench.settings import ReadsIdentity, ReadsSettings, WritesSettings
from bench.simulated_clock import SimulatedClock
from instruments.links.modbus_map import ModbusMapLink

SEPLOS = load_profile(PROFILES / "seplos_v3.toml")


class Shelf:
    """Registers by unit, function and address; what is written appears at function 4."""

    def __init__(self) -> None:
        self.registers: dict[tuple[int, int], dict[int, int]] = {(0xE0, 4): {}, (0, 4): {}}
        self.device_id = 0
        self.is_open = True
        self.said: list[tuple[int, int, int, int | list[int]]] = []
        self.problem: Exception | None = None

    def operation(self) -> AbstractContextManager[None]:
        return nullcontext()

    def _answer(self, function: int, address: int, count: int) -> list[int]:
        self.said.append((self.device_id, function, address, count))
        if self.problem is not None:
            raise self.problem
        known = self.registers[self.device_id, function]
        return [known[at] for at in range(address, address + count)]

    def read_coils(self, address: int, count: int = 1) -> list[bool]:
        return [bool(bit) for bit in self._answer(1, address, count)]

    def read_discrete_inputs(self, address: int, count: int = 1) -> list[bool]:
        return [bool(bit) for bit in self._answer(2, address, count)]

    def read_holding_registers(self, address: int, count: int = 1) -> list[int]:
        return self._answer(3, address, count)

    def read_input_registers(self, address: int, count: int = 1) -> list[int]:
        return self._answer(4, address, count)

    def _take(self, function: int, address: int, values: list[int]) -> None:
        self.said.append((self.device_id, function, address, values))
        if self.problem is not None:
            raise self.problem
        self.registers[self.device_id, 4].update(enumerate(values, address))

    def write_register(self, address: int, value: int) -> None:
        self._take(6, address, [value])

    def write_registers(self, address: int, values: list[int]) -> None:
        self._take(16, address, values)

    def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def link_of(shelf: Shelf, profile: Profile = SEPLOS) -> ModbusMapLink:
    return ModbusMapLink("modbus", profile, shelf, clock=SimulatedClock())


def put_text(shelf: Shelf, address: int, text: bytes, words: int) -> None:
    shelf.registers[0, 4].update(enumerate(struct.unpack(f">{words}H", text.ljust(2 * words, b"\0")), address))


def test_the_link_has_the_three_abilities(shelf: Shelf) -> None:
    link = link_of(shelf)
    assert isinstance(link, ReadsIdentity) and isinstance(link, ReadsSettings) and isinstance(link, WritesSettings)


def test_who_it_is_reads_as_a_live_unit_answered(shelf: Shelf) -> None:
    put_text(shelf, 0x170A, b"SG16S200A-SP57B-A", 10)
    put_text(shelf, 0x1714, b"15", 1)
    put_text(shelf, 0x1715, b"SP57B-A2506120022", 15)
    link = link_of(shelf)
    assert link.read_identity("serial") == "SP57B-A2506120022"
    assert link.read_identity("firmware") == "15"
    assert link.read_identity("hardware") == "SG16S200A-SP57B-A"
    assert shelf.said[0] == (0, 4, 0x1715, 15)


@pytest.mark.parametrize(
    ("text", "error"), [(b"", NotImplementedByDut), (b"   ", NotImplementedByDut), (b"\xff\xff\xff\xff", BadFrame)]
)
def test_an_empty_or_garbled_name_is_no_name(shelf: Shelf, text: bytes, error: type[Exception]) -> None:
    put_text(shelf, 0x1715, text, 15)
    with pytest.raises(error, match="serial"):
        link_of(shelf).read_identity("serial")


@pytest.mark.parametrize(
    ("name", "address", "word", "value"),
    [
        ("charge_overcurrent", 0x1317, 0x00D2, 210.0),
        ("discharge_overcurrent", 0x131D, 0xFF2E, 210.0),
        ("discharge_overcurrent_alarm", 0x131C, 0xFF33, 205.0),
        ("cell_overvoltage", 0x130D, 0x0E42, 3.65),
        ("cell_undervoltage", 0x1311, 0x0A8C, 2.7),
        ("charge_overtemperature", 0x1332, 0x0CD1, 55.0),
        ("overcurrent_release_delay", 0x1323, 0x0258, 60.0),
    ],
)
def test_the_words_of_a_live_unit_read_as_its_limits(
    shelf: Shelf, name: str, address: int, word: int, value: float
) -> None:
    shelf.registers[0xE0, 4][address] = word
    link = link_of(shelf)
    assert link.read_setting(name) == pytest.approx(value)
    assert shelf.said == [(0xE0, 4, address, 1)]
    link.write_setting(name, value)
    assert shelf.said[-1] == (0xE0, 16, address, [word])


def test_reading_back_is_a_message_of_its_own(shelf: Shelf) -> None:
    link = link_of(shelf)
    link.write_setting("discharge_overcurrent", 60.0)
    shelf.registers[0xE0, 4][0x131D] = 0xFF92  # the unit says yes, and keeps 110 A
    assert link.read_setting("discharge_overcurrent") == 110.0


@pytest.mark.parametrize("write_function", [6, 16])
@pytest.mark.parametrize(("order", "words"), [("high_first", [0x0001, 0x86A0]), ("low_first", [0x86A0, 0x0001])])
def test_settings_of_two_registers_keep_their_order(
    shelf: Shelf, write_function: int, order: str, words: list[int]
) -> None:
    data = read_toml(PROFILES / "seplos_v3.toml")
    data["settings"] = {
        "wide": {
            "link": "modbus", "unit_id": 0xE0, "function": 4, "write_function": write_function, "address": 0x1400,
            "write_address": 0x1500, "type": "uint32", "word_order": order, "unit": "mV", "range": [0, 200000],
        }
    }  # fmt: skip
    link = link_of(shelf, validate(Profile, data, "wide.toml"))
    if write_function == 6:
        with pytest.raises(DefinitionError, match="6 writes one register"):
            link.write_setting("wide", 100.0)
        return
    link.write_setting("wide", 100.0)
    assert shelf.said[-1] == (0xE0, 16, 0x1500, words)
    shelf.registers[0xE0, 4].update(enumerate(words, 0x1400))
    assert link.read_setting("wide") == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("problem", "is_open", "reading", "writing"),
    [
        (InstrumentTimeout("no answer"), False, Missing, Missing),
        (ConnectionLost("gone"), False, LinkError, LinkError),
        (InstrumentError("refused with exception 2"), True, NotImplementedByDut, Inconclusive),
        (InstrumentError("garbled"), False, BadFrame, Missing),
    ],
)
def test_no_usable_answer_is_an_error_and_never_a_value(
    shelf: Shelf, problem: Exception, is_open: bool, reading: type[Exception], writing: type[Exception]
) -> None:
    shelf.problem, shelf.is_open = problem, is_open
    link = link_of(shelf)
    with pytest.raises(LinkError) as caught:
        link.read_setting("charge_overcurrent")
    assert type(caught.value) is reading
    with pytest.raises(writing):
        link.write_setting("charge_overcurrent", 60.0)
    assert len(shelf.said) == 2, "a change of state was repeated"


def test_what_the_register_cannot_hold_is_not_sent(shelf: Shelf) -> None:
    with pytest.raises(OutOfRange):
        link_of(shelf).write_setting("charge_overcurrent", 40000.0)
    assert shelf.said == []


def test_unknown_names_get_the_nearest(shelf: Shelf) -> None:
    with pytest.raises(DefinitionError, match="carries no setting 'charge_overcurent'; did you mean"):
        link_of(shelf).read_setting("charge_overcurent")
    bare = SEPLOS.model_copy(update={"identity": load_profile(PROFILES / "foxbms_2.toml").identity})
    with pytest.raises(DefinitionError, match="does not say that this link tells serial"):
        link_of(shelf, bare).read_identity("serial")


def test_a_recording_of_a_live_unit_reads_as_its_register_list_says(shelf: Shelf, shared_data: Path) -> None:
    """Every register of settings and identity in the recording, through the link."""
    text = next((shared_data / "logs" / "serial").glob("seplos_v3*")).read_text(encoding="utf-8")
    for asked, answered in re.findall(r">>> ([0-9A-F.]+)\n<<< ([0-9A-F.]+)", text):
        request, answer = bytes.fromhex(asked.replace(".", "")), bytes.fromhex(answered.replace(".", ""))
        if answer[1] == 4:
            words = struct.unpack(f">{answer[2] // 2}H", answer[3:-2])
            begin = int.from_bytes(request[2:4], "big")
            shelf.registers.setdefault((request[0], 4), {}).update(enumerate(words, begin))
    link = link_of(shelf)
    assert [link.read_identity(fact) for fact in ("serial", "firmware")] == ["SP57B-A2506120022", "15"]
    rows = (shared_data / "maps" / "seplos_v3_modbus.csv").read_text(encoding="utf-8").splitlines()[1:]
    listed = {int(row.split(",")[1], 16): int(row.split(",")[-1]) for row in rows if row.startswith("settings")}
    compared = 0
    for name, setting in SEPLOS.settings.items():
        if setting.address in listed:
            assert setting.count(link.read_setting(name), SEPLOS.limited_direction(name)) == listed[setting.address]
            compared += 1
    assert compared >= 12


def test_a_poll_does_not_wait_for_whoever_asks_for_a_setting(shelf: Shelf) -> None:
    link = link_of(shelf)
    asked: list[int] = []
    polled = threading.Event()

    def slow(address: int, count: int = 1) -> list[int]:
        poll = threading.Thread(target=lambda: (link._poll(), polled.set()), daemon=True)
        poll.start()
        assert polled.wait(10.0), "the poll waited"
        asked.append(address)
        return [60] * count

    shelf.read_input_registers = slow  # type: ignore[method-assign]
    assert link.read_setting("charge_overcurrent") == 60.0
    assert asked == [0x1317] and link.not_due == 1
