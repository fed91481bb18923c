"""The Modbus link: few requests, words into numbers, and errors instead of numbers."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import (
    BenchError,
    ConnectionLost,
    DefinitionError,
    InstrumentError,
    InstrumentTimeout,
    LinkError,
    Missing,
    NotDue,
    NotImplementedByDut,
    OutOfRange,
    ReadingError,
    Stale,
)
from bench.loading import validate
from bench.profile import Profile, find_profile, load_profile
from bench.roles import BmsLink, Reading
from bench.signals import ModbusSignal
from bench.simulated_clock import SimulatedClock
from bench.wall_clock import WallClock
from instruments.links.modbus_map import ModbusMapLink
from instruments.links.opening import open_link
from instruments.links.registers import Group, decode, plan

SEPLOS = load_profile(find_profile("seplos_v3"))
# The words of a live unit: 53.25 V, -1.37 A, ..., 83.2 %, ..., cells 3328 and 3327 mV, 294.5 and 294.2 K.
PACK = list(struct.unpack(">14H", bytes.fromhex("14CDFF776B4080E80122034003E7000A0CFF0B7F0D000CFF0B810B7E")))


class ScriptedUnit:
    """Answers like a BMS with these registers; not a transport of ours, and nothing on a wire."""

    def __init__(self) -> None:
        self.registers: dict[tuple[int, int], dict[int, int]] = {
            (1, 4): dict(enumerate(PACK, 0x1000)),
            (0, 4): {0x2002: 0xFFF3, 0x2003: 0xFFFF},
            (0, 1): dict.fromkeys((0x2220, 0x2221, 0x2223, 0x2224, 0x2238, 0x2239), 0) | {0x2238: 1, 0x2239: 1},
        }
        self.device_id = 0
        self.is_open = True
        self.asked: list[tuple[int, int, int, int]] = []
        self.problem: Exception | None = None
        self.silent_units: set[int] = set()
        self.closed = False

    def operation(self) -> AbstractContextManager[None]:
        return nullcontext()

    def _answer(self, function: int, address: int, count: int) -> list[int]:
        self.asked.append((self.device_id, function, address, count))
        if self.problem is not None:
            raise self.problem
        if self.device_id in self.silent_units:
            raise InstrumentTimeout(f"no answer from unit {self.device_id}")
        known = self.registers[(self.device_id, function)]
        if any(at not in known for at in range(address, address + count)):
            raise InstrumentError("refused with exception 2 (illegal data address)")
        return [known[at] for at in range(address, address + count)]

    def read_coils(self, address: int, count: int = 1) -> list[bool]:
        return [bool(bit) for bit in self._answer(1, address, count)]

    def read_discrete_inputs(self, address: int, count: int = 1) -> list[bool]:
        return [bool(bit) for bit in self._answer(2, address, count)]

    def read_holding_registers(self, address: int, count: int = 1) -> list[int]:
        return self._answer(3, address, count)

    def read_input_registers(self, address: int, count: int = 1) -> list[int]:
        return self._answer(4, address, count)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def unit() -> ScriptedUnit:
    return ScriptedUnit()


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
def link(unit: ScriptedUnit, clock: SimulatedClock) -> ModbusMapLink:
    return ModbusMapLink("modbus", SEPLOS, unit, clock=clock)


def ignore(_: Reading) -> None:
    pass


def test_the_words_of_a_live_unit_read_as_its_display_showed(link: ModbusMapLink) -> None:
    link.start(ignore)
    assert link.read("pack_voltage").value == pytest.approx(53.25)
    assert link.read("pack_current").value == pytest.approx(-1.37)
    assert link.read("pack_current").raw == -137
    assert link.read("system_current").value == pytest.approx(-1.3)
    assert link.read("soc").value == pytest.approx(83.2)
    assert link.read("cell_voltage_max").value == pytest.approx(3.328)
    assert link.read("temperature_max").value == pytest.approx(21.35, abs=0.051)
    assert link.read("switch_charge").value == 1.0
    assert link.read("charge_overcurrent_alarm").value == 0.0


def test_it_is_a_bms_link(link: ModbusMapLink) -> None:
    assert isinstance(link, BmsLink)
    assert set(link.signals()) == set(SEPLOS.signals)


def test_neighbours_share_a_request_and_small_holes_are_read_over() -> None:
    signals = {name: s for name, s in SEPLOS.signals.items() if isinstance(s, ModbusSignal)}
    asked = [(g.unit_id, g.function, g.address, g.count) for g in plan(signals, 0)]
    assert asked == [(0, 1, 0x2220, 5), (0, 1, 0x2238, 2), (0, 4, 0x2002, 2), (1, 4, 0x1000, 14)]


def test_a_request_never_exceeds_the_protocols_125_registers() -> None:
    signals = {
        f"s{at}": ModbusSignal(link="m", unit="V", period_s=1, function=3, address=at, type="uint16")
        for at in range(300)
    }
    groups = plan(signals, 1)
    assert [group.count for group in groups] == [125, 125, 50]
    assert sum(len(group.signals) for group in groups) == 300


def test_a_refused_hole_is_not_asked_for_again(unit: ScriptedUnit, link: ModbusMapLink, clock: SimulatedClock) -> None:
    del unit.registers[(1, 4)][0x1003]
    link.start(ignore)
    assert link.read("pack_current").value == pytest.approx(-1.37)
    assert link.read("discharge_overcurrent_alarm").value == 0.0
    unit.asked.clear()
    clock.sleep(0.2)
    assert all(not (at <= 0x1003 < at + count) for _, _, at, count in unit.asked)
    assert all(not (at <= 0x2222 < at + count) for _, _, at, count in unit.asked)


def test_a_register_that_the_unit_refuses_is_not_implemented(unit: ScriptedUnit, link: ModbusMapLink) -> None:
    del unit.registers[(0, 4)][0x2003]
    link.start(ignore)
    with pytest.raises(NotImplementedByDut, match=r"system_current: the BMS refuses unit 0, function 04, 0x2002"):
        link.read("system_current")
    assert link.read("pack_current").value == pytest.approx(-1.37)


def test_values_are_renewed_on_the_profiles_grid(
    unit: ScriptedUnit, link: ModbusMapLink, clock: SimulatedClock
) -> None:
    seen: list[Reading] = []
    link.start(lambda reading: seen.append(reading) if reading.signal == "pack_current" else None)
    unit.registers[(1, 4)][0x1001] = 500
    clock.sleep(1.0)
    assert [reading.at_s for reading in seen] == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert link.read("pack_current").value == pytest.approx(5.0)


def test_a_silent_unit_makes_its_values_stale_and_is_asked_only_once_per_poll(
    unit: ScriptedUnit, link: ModbusMapLink, clock: SimulatedClock
) -> None:
    link.start(ignore)
    unit.silent_units = {0}
    unit.asked.clear()
    clock.sleep(0.2)
    assert [asked[0] for asked in unit.asked] == [0, 1]
    clock.sleep(0.6)
    assert link.read("pack_current").at_s == pytest.approx(0.8)
    with pytest.raises(Stale, match=r"system_current: .* 0\.800 s old, allowed are 0\.6 s .*no answer from unit 0"):
        link.read("system_current")


def test_silence_from_everybody_proves_nothing_about_the_link(
    unit: ScriptedUnit, link: ModbusMapLink, clock: SimulatedClock
) -> None:
    assert not link.prove().proven
    link.start(ignore)
    assert link.prove().proven
    unit.silent_units = {0, 1}
    clock.sleep(1.0)
    health = link.prove()
    assert not health.proven
    assert "1.000 s old" in health.evidence


def test_a_refusal_is_an_answer_and_proves_the_link(
    unit: ScriptedUnit, link: ModbusMapLink, clock: SimulatedClock
) -> None:
    unit.problem = InstrumentError("refused with exception 4 (device failure)")
    link.start(ignore)
    assert link.prove().proven
    with pytest.raises(NotImplementedByDut, match="exception 4"):
        link.read("pack_current")


def test_a_garbled_answer_proves_nothing_and_leaves_no_number(unit: ScriptedUnit, link: ModbusMapLink) -> None:
    unit.problem = InstrumentError("the answer is garbled")
    unit.is_open = False
    link.start(ignore)
    assert not link.prove().proven
    with pytest.raises(Missing, match="garbled"):
        link.read("pack_current")


def test_a_read_that_is_not_due_is_left_to_the_next_poll(
    unit: ScriptedUnit, link: ModbusMapLink, clock: SimulatedClock
) -> None:
    link.start(ignore)
    unit.problem = NotDue("too early")
    clock.sleep(0.2)
    unit.problem = None
    assert link.not_due == 1
    assert link.read("pack_current").at_s == 0.0
    clock.sleep(0.2)
    assert link.read("pack_current").at_s == pytest.approx(0.4)


def test_a_lost_connection_is_the_benchs_fault_until_it_is_back(
    unit: ScriptedUnit, link: ModbusMapLink, clock: SimulatedClock
) -> None:
    link.start(ignore)
    unit.problem = ConnectionLost("192.0.2.9:502 closed the connection")
    clock.sleep(0.2)
    with pytest.raises(LinkError, match="closed the connection") as caught:
        link.read("pack_current")
    assert not isinstance(caught.value, ReadingError)
    assert not link.prove().proven
    unit.problem = None
    clock.sleep(0.2)
    assert link.read("pack_current").value == pytest.approx(-1.37)


def test_where_nothing_can_be_reached_starting_fails(unit: ScriptedUnit, link: ModbusMapLink) -> None:
    unit.problem = ConnectionLost("refused")
    with pytest.raises(LinkError, match="refused"):
        link.start(ignore)


def test_closing_ends_the_polling(unit: ScriptedUnit, link: ModbusMapLink, clock: SimulatedClock) -> None:
    link.start(ignore)
    link.close()
    unit.asked.clear()
    clock.sleep(2.0)
    assert unit.closed
    assert unit.asked == []


def test_a_polled_map_takes_no_request(link: ModbusMapLink) -> None:
    with pytest.raises(DefinitionError, match="takes no request"):
        link.request({"mode": 1})


def test_a_signal_of_another_name_is_refused_with_the_nearest(link: ModbusMapLink) -> None:
    with pytest.raises(DefinitionError, match=r"did you mean 'pack_current'\?"):
        link.read("pack_curent")


def test_polling_slower_than_values_may_age_is_refused(unit: ScriptedUnit, clock: SimulatedClock) -> None:
    slow = SEPLOS.links["modbus"].model_copy(update={"poll_s": 1.0})
    profile = SEPLOS.model_copy(update={"links": {"modbus": slow}})
    with pytest.raises(DefinitionError, match="every reading would be stale"):
        ModbusMapLink("modbus", profile, unit, clock=clock)


def one(words: list[int], **fields: object) -> float:
    """Decode one signal from words typed by hand, and return its value or raise its problem."""
    base = {"link": "m", "unit": "A", "positive_means": "charge", "provenance": "declared", "period_s": 1}
    signal = ModbusSignal.model_validate({**base, "address": 7, **fields})
    group = Group(1, signal.function, 7, len(words), [("x", signal)])
    [result] = decode(group, words, "a test")
    if result.problem is not None:
        raise result.problem
    assert result.value is not None
    return result.value


@pytest.mark.parametrize(
    ("words", "fields", "expected"),
    [
        # Seplos: -13 x 100 mA with the low word first; unswapped these words are -78 643.3 A.
        ([0xFFF3, 0xFFFF], {"type": "int32", "word_order": "low_first", "scale": 0.1}, -1.3),
        ([0xFFF3, 0xFFFF], {"type": "int32", "scale": 0.1}, -78643.3),
        # The same word unsigned is the classic 653.99 A.
        ([0xFF77], {"type": "int16", "scale": 0.01}, -1.37),
        ([0xFF77], {"type": "uint16", "scale": 0.01}, 653.99),
        # Daly: 0x7580 is 8.0 A above the zero of 30000; discharge positive by the maker's sheet.
        ([0x7580], {"type": "uint16", "zero": 30000, "scale": 0.1, "positive_means": "discharge"}, -8.0),
        # ... and a current beyond 276.7 A, where a reader that makes it int16 first breaks.
        ([0x8300], {"type": "uint16", "zero": 30000, "scale": 0.1}, 353.6),
        # JBD: F824 is -20.12 A.
        ([0xF824], {"type": "int16", "scale": 0.01}, -20.12),
        ([0x3FC0, 0x0000], {"type": "float32"}, 1.5),
        ([0x0000, 0x3FC0], {"type": "float32", "word_order": "low_first"}, 1.5),
        ([1500], {"type": "uint16", "unit": "mA"}, 1.5),
    ],
)
def test_words_typed_by_hand_decode_to_their_value(
    words: list[int], fields: dict[str, object], expected: float
) -> None:
    assert one(words, **fields) == pytest.approx(expected)


@pytest.mark.parametrize("pattern", [0x8000, -32768])
def test_a_not_implemented_pattern_is_no_number(pattern: int) -> None:
    with pytest.raises(NotImplementedByDut, match="0x8000"):
        one([0x8000], type="int16", scale=0.1, not_implemented=(pattern,))


def test_a_value_beyond_the_profiles_range_is_no_number() -> None:
    with pytest.raises(OutOfRange, match=r"x: -400 A is outside .* the profile declares, -300 \.\.\. 300 A"):
        one([0xF060], type="int16", scale=0.1, range=(-300.0, 300.0))


def test_a_float_that_is_not_finite_is_no_number() -> None:
    for words in ([0x7FC0, 0], [0x7F80, 0], [0xFF80, 0]):
        with pytest.raises(ReadingError, match="no number"):
            one(words, type="float32")


def test_a_short_answer_is_no_number() -> None:
    group = Group(1, 4, 7, 2, [("x", SEPLOS.signals["system_current"])])  # type: ignore[list-item]
    [result] = decode(group, [1], "a test")
    assert result.value is None
    assert "1 values instead of 2" in str(result.problem)


def test_bits_of_a_register_and_active_low_flags_are_flags() -> None:
    flag = {"unit": "1", "positive_means": None, "provenance": None, "type": "bit"}
    assert one([0b1000], bit=3, **flag) == 1.0
    assert one([0b0111], bit=3, **flag) == 0.0
    assert one([0b0111], bit=3, active_low=True, **flag) == 1.0


@given(words=st.lists(st.integers(0, 0xFFFF), min_size=14, max_size=14))
def test_random_words_give_a_value_in_range_or_an_error(words: list[int]) -> None:
    signals = {n: s for n, s in SEPLOS.signals.items() if isinstance(s, ModbusSignal) and s.unit_id == 1}
    [group] = plan(signals, 0)
    for result in decode(group, words, "a test"):
        signal = signals[result.signal]
        assert (result.value is None) != (result.problem is None)
        if result.value is not None and signal.range is not None:
            low, high = sorted(signal.to_inside(end) for end in signal.range)
            assert low - 1e-9 <= result.value <= high + 1e-9


def crc(frame: bytes) -> bytes:
    """CRC-16 of Modbus, bit by bit as the serial line specification describes it."""
    value = 0xFFFF
    for byte in frame:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value.to_bytes(2, "little")


@contextmanager
def rtu_server(answer: Callable[[bytes], bytes | None]) -> Iterator[str]:
    """A scripted RTU unit on loopback: requests of 8 bytes in, whatever `answer` says out."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                while len(request := peer.recv(8)) == 8:
                    reply = answer(request)
                    if reply is not None:
                        peer.sendall(reply)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"tcp:127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def test_real_frames_travel_through_the_real_transport() -> None:
    """The words of a live unit, as answers with checksums made here."""
    recorded = {
        "01041000000E": "01041c14cdff776b4080e80122034003e7000a0cff0b7f0d000cff0b810b7e",
        "000420020002": "000404fff3ffff",
        "000122200005": "00010100",
        "000122380002": "00010103",
    }

    def answer(request: bytes) -> bytes | None:
        assert crc(request[:6]) == request[6:]
        reply = bytes.fromhex(recorded[request[:6].hex().upper()])
        return reply + crc(reply)

    clock = WallClock()
    dialogue: list[object] = []
    with rtu_server(answer) as address:
        link = open_link(SEPLOS, "modbus", {"address": address}, clock, dialogue.append, lambda _: None)
        try:
            link.start(ignore)
            assert link.read("pack_current").value == pytest.approx(-1.37)
            assert link.read("system_current").value == pytest.approx(-1.3)
            clock.sleep(0.5)
            assert link.read("pack_current").at_s > 0.15
        finally:
            link.close()
            clock.close()
    assert dialogue


def test_where_nobody_listens_opening_is_a_link_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(LinkError, match=f"127.0.0.1:{port}"):
        open_link(SEPLOS, "modbus", {"address": f"tcp:127.0.0.1:{port}"}, WallClock(), print, lambda _: None)


def test_a_binding_without_an_address_is_a_definition_error(clock: SimulatedClock) -> None:
    with pytest.raises(DefinitionError, match=r"links\.modbus: address is missing"):
        open_link(SEPLOS, "modbus", {}, clock, print, lambda _: None)


def test_a_link_that_the_profile_does_not_have_is_a_definition_error(clock: SimulatedClock) -> None:
    with pytest.raises(DefinitionError, match=r"no link 'modbs'; did you mean 'modbus'\?"):
        open_link(SEPLOS, "modbs", {}, clock, print, lambda _: None)


def read_dump(path: Path) -> list[tuple[bytes, bytes]]:
    """Requests and replies of a dump with `>>>` and `<<<`, dots between bytes."""
    frames = [line.split() for line in path.read_text().splitlines() if line.strip()]
    sent = [bytes.fromhex(text.replace(".", "")) for mark, text in frames if mark == ">>>"]
    received = [bytes.fromhex(text.replace(".", "")) for mark, text in frames if mark == "<<<"]
    assert len(sent) == len(received)
    return list(zip(sent, received, strict=True))


def test_every_recorded_frame_of_the_live_unit_decodes(shared_data: Path) -> None:
    """Its own checksums first; then the blocks that the profile knows, through link and transport."""
    pairs = read_dump(shared_data / "logs" / "serial" / "seplos_v3_SG16S200A_frames.txt")
    for request, reply in pairs:
        assert crc(request[:-2]) == request[-2:]
        assert crc(reply[:-2]) == reply[-2:]
    by_place: dict[tuple[int, int, int], list[int]] = {}
    for request, reply in pairs:
        unit, function, address = request[0], request[1], int.from_bytes(request[2:4], "big")
        if reply[1] == function == 4:
            words = [int.from_bytes(reply[at : at + 2], "big") for at in range(3, len(reply) - 2, 2)]
            by_place[(unit, address, len(by_place))] = words
    voltages = []
    for (unit, address, _), words in by_place.items():
        signals = {
            name: s
            for name, s in SEPLOS.signals.items()
            if isinstance(s, ModbusSignal)
            and s.function == 4
            and (s.unit_id or 0) == unit
            and address <= s.address < address + len(words)
        }
        group = Group(unit, 4, address, len(words), list(signals.items()))
        values = {result.signal: result.value for result in decode(group, words, "the capture")}
        assert None not in values.values()
        if unit == 1 and address == 0x1000:
            assert values["pack_current"] == pytest.approx(-1.37)
            voltages.append(values["pack_voltage"])
        if unit == 0 and address == 0x2000:
            assert values["system_current"] == pytest.approx(-1.3)
    assert voltages == pytest.approx([53.25, 53.24])


def test_the_profile_itself_is_a_profile() -> None:
    assert isinstance(validate(Profile, SEPLOS.model_dump(mode="json"), "seplos_v3.toml"), Profile)
    assert issubclass(NotImplementedByDut, BenchError)
