"""The virtual BMS on the bus, bit by bit: expectations are typed from the link reference, section 3.1."""

from __future__ import annotations

import itertools

import cantools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.can_hub import CanHub
from bench.errors import DefinitionError
from bench.signals import CanSignal
from instruments.virtual.bms_can import attach_can
from instruments.virtual.bms_packing import Payload


def pack_values(rig, true_a):
    """Put a current on the shunt and return the next 0x233."""
    rig.circuit.knob_a = true_a
    rig.sleep(0.15)
    return rig.newest(0x233)


@pytest.mark.parametrize(
    ("true_a", "bytes_5_to_7"),
    [
        (-10.0, "00 03 E8"),  # discharging, discharge positive: +10.00 A
        (5.0, "01 FE 0C"),  # charging: -5.00 A
        (10.0, "01 FC 18"),  # charging: -10.00 A
        (0.0, "00 00 00"),
        (0.01, "01 FF FF"),
        (-120.0, "00 2E E0"),
        (655.36, "01 00 00"),
    ],
)
def test_pack_current_is_discharge_positive_in_seventeen_bits(make_rig, true_a, bytes_5_to_7):
    rig = make_rig("foxbms_2", perfect=True)
    rig.bms.power_on()
    data = pack_values(rig, true_a)
    assert bytes([data[5] & 1, data[6], data[7]]).hex(" ").upper() == bytes_5_to_7


def test_a_current_beyond_the_field_saturates_at_its_end(make_rig):
    rig = make_rig("foxbms_2", perfect=True)
    rig.bms.power_on()
    pack_values(rig, -700.0)
    assert rig.count() == 65535
    pack_values(rig, 700.0)
    assert rig.count() == -65536


def test_string_current_has_eighteen_bits_at_its_own_place(make_rig):
    rig = make_rig("foxbms_2", perfect=True)
    rig.bms.power_on()
    pack_values(rig, 10.0)
    data = rig.newest(0x243)
    assert data[0] >> 5 == 0, "multiplexer: string 0"
    # 18|18 big-endian: starts at byte 2 bit 2, so bits 2..0 of byte 2, all of byte 3, bits 7..1 of byte 4
    raw = (data[2] & 0b111) << 15 | data[3] << 7 | data[4] >> 1
    assert raw == (1 << 18) - 1000


def test_voltage_and_power_stand_where_the_documentation_puts_them(make_rig):
    rig = make_rig("foxbms_2", perfect=True)
    rig.bms.power_on()
    data = pack_values(rig, 20.0)
    true_v = rig.circuit.pack.terminal_v(20.0)
    voltage = (data[0] << 7 | data[1] >> 1) * 0.1  # 7|15
    assert voltage == pytest.approx(true_v, abs=0.1)
    # 25|17: byte 3 bits 1..0, byte 4, byte 5 bits 7..1
    power = (data[3] & 0b11) << 15 | data[4] << 7 | data[5] >> 1
    assert power - (1 << 17) == pytest.approx(-20.0 * true_v / 10.0, abs=1.5), "charging: negative, 0.01 kW"


def test_cell_voltages_rotate_through_their_multiplexer_one_frame_every_hundred_milliseconds(make_rig):
    rig = make_rig("foxbms_2")
    rig.bms.power_on()
    rig.sleep(2.0)
    frames = [frame for frame in rig.frames if frame.can_id == 0x250]
    assert [frame.data[0] for frame in frames][:8] == [0, 1, 2, 3, 0, 1, 2, 3]
    gaps = [b.at_s - a.at_s for a, b in itertools.pairwise(frames)]
    assert gaps == pytest.approx([0.1] * len(gaps))
    truth_v = rig.circuit.pack.cell_voltages_v(0.0)
    for frame in frames[:4]:
        d = frame.data
        cells = [
            (d[1] & 0x0F) << 9 | d[2] << 1 | d[3] >> 7,  # 11|13: byte 1 bits 3..0, byte 2, byte 3 bit 7
            (d[3] & 0x7F) << 6 | d[4] >> 2,  # 30|13: byte 3 bits 6..0, byte 4 bits 7..2
            (d[4] & 0x03) << 11 | d[5] << 3 | d[6] >> 5,  # 33|13
            (d[6] & 0x1F) << 8 | d[7],  # 52|13
        ]
        for offset, millivolt in enumerate(cells):
            assert millivolt / 1000.0 == pytest.approx(truth_v[4 * d[0] + offset], abs=0.003)


def test_cells_that_the_profile_does_not_name_are_sent_beside_the_one_it_names(make_rig, profiles):
    third = CanSignal(link="can", message="CellVoltages", signal="CellVoltage03", mux=0, unit="mV", period_s=0.4)
    signals = {**profiles["foxbms_2"].signals, "cell_voltage_03": third}
    rig = make_rig(profiles["foxbms_2"].model_copy(update={"signals": signals}))
    rig.bms.power_on()
    rig.sleep(1.0)
    frames = [frame.data for frame in rig.frames if frame.can_id == 0x250]
    assert [data[0] for data in frames][:4] == [0, 1, 2, 3]
    first, third_mv = (frames[0][1] & 0x0F) << 9 | frames[0][2] << 1, (frames[0][4] & 3) << 11 | frames[0][5] << 3
    assert first == pytest.approx(3265, abs=15) and third_mv == pytest.approx(3265, abs=20)


def test_every_message_keeps_its_period_on_a_phase_of_its_own(make_rig):
    rig = make_rig("foxbms_2")
    rig.bms.power_on()
    rig.sleep(10.0)
    expected = dict.fromkeys((0x220, 0x230, 0x231, 0x232, 0x233, 0x240, 0x243, 0x250), 0.1) | {0x235: 1.0}
    assert {frame.can_id for frame in rig.frames} == set(expected)
    phases = set()
    for can_id, period_s in expected.items():
        times = [frame.at_s for frame in rig.frames if frame.can_id == can_id]
        assert len(times) == pytest.approx(10.0 / period_s, abs=1)
        assert all(b - a == pytest.approx(period_s) for a, b in itertools.pairwise(times))
        phases.add(round(times[0], 4))
    assert len(phases) >= 7


def test_limits_and_extremes_are_the_profile_and_the_pack(make_rig):
    rig = make_rig("foxbms_2")
    rig.bms.power_on()
    rig.sleep(0.3)
    limits = rig.newest(0x232)
    assert (limits[0] << 4 | limits[1] >> 4) * 0.25 == 110.0, "discharge"
    assert ((limits[1] & 0x0F) << 8 | limits[2]) * 0.25 == 110.0, "charge"
    cells = rig.newest(0x231)
    truth_v = rig.circuit.pack.cell_voltages_v(0.0)
    highest = (cells[4] & 0x3F) << 8 | cells[5]  # 37|14: byte 4 bits 5..0, byte 5
    lowest = (cells[6] & 0x3F) << 8 | cells[7]  # 53|14
    assert highest / 1000.0 == pytest.approx(max(truth_v), abs=0.003)
    assert lowest / 1000.0 == pytest.approx(min(truth_v), abs=0.003)
    degrees = rig.newest(0x230)
    assert degrees[4] == pytest.approx(25, abs=2) and degrees[5] == pytest.approx(25, abs=3)


def test_alone_on_the_bus_it_keeps_trying(make_rig, profiles):
    rig = make_rig("foxbms_2")
    assert rig.node is not None and rig.face is not None
    rig.node.detach()
    rig.bms.power_on()
    rig.sleep(1.0)
    assert rig.face.unacknowledged > 50


def test_a_face_that_left_the_bus_sends_nothing(make_rig):
    rig = make_rig("foxbms_2")
    rig.bms.power_on()
    rig.sleep(0.5)
    assert rig.face is not None
    rig.face.detach()
    count = len(rig.frames)
    rig.sleep(1.0)
    rig.bms.reset(2)
    rig.sleep(1.0)
    assert len(rig.frames) == count


def test_a_profile_without_a_can_link_cannot_join_a_bus(make_rig):
    rig = make_rig("seplos_v3")
    hub = CanHub("lonely", rig.clock)
    try:
        with pytest.raises(DefinitionError, match="no CAN link"):
            attach_can(rig.bms, hub)
    finally:
        hub.close()


@st.composite
def layouts(draw: st.DrawFn) -> tuple[str, list[tuple[str, int, int, bool, bool]]]:
    """A message with two fields that do not overlap, each in either byte order and signedness."""
    parts = []
    for index, (low, high) in enumerate([(0, 31), (32, 63)]):
        big = draw(st.booleans())
        length = draw(st.integers(1, 24))
        first = draw(st.integers(low, high - length + 1))
        start = 8 * (first // 8) + (7 - first % 8) if big else first
        parts.append((f"S{index}", start, length, big, draw(st.booleans())))
    lines = [
        f' SG_ {name} : {start}|{length}@{0 if big else 1}{"-" if signed else "+"} (1,0) [0|0] "" X'
        for name, start, length, big, signed in parts
    ]
    return 'VERSION ""\nBU_: X\nBO_ 1 M: 8 X\n' + "\n".join(lines) + "\n", parts


@settings(max_examples=150, deadline=None)
@given(layouts(), st.data())
def test_an_independent_decoder_reads_back_what_the_packer_wrote(layout, data):
    text, parts = layout
    message = cantools.database.load_string(text, "dbc").messages[0]
    payload = Payload(8)
    written = {}
    for (name, _, length, _, signed), entry in zip(
        parts, [message.get_signal_by_name(p[0]) for p in parts], strict=True
    ):
        low = -(1 << (length - 1)) if signed else 0
        value = data.draw(st.integers(low, low + (1 << length) - 1))
        written[name] = value
        raw = value & ((1 << length) - 1)
        payload.add(entry, lambda raw=raw: raw)
    assert message.decode(payload.pack()) == written
