"""What the resistor ladder says to its relay board, byte for byte, and in which order relays move."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.clock import wait_until
from bench.emulator_roles import TemperatureEmulator
from bench.errors import DefinitionError, InstrumentError, OutOfRange
from bench.roles import Dialogue, Identity
from instruments.resistor_networks import Network
from instruments.temperature.resistor_ladder import ResistorLadder

_: type[TemperatureEmulator] = ResistorLadder

Conversation = Callable[..., Any]
Step = tuple[str, Any]

PARALLEL: dict[str, object] = {
    "wiring": "parallel",
    "tolerance_pct": 1.0,
    "sensors": {
        "cell_1": {"channels": [1, 2, 3], "ohm": [10000.0, 20000.0, 40000.0]},
        "cell_16": {"channels": [5], "ohm": [10000.0], "base_ohm": 10000.0, "open_channel": 7, "short_channel": 8},
    },
}
SERIES: dict[str, object] = {
    "wiring": "series",
    "tolerance_pct": 1.0,
    "sensors": {"cell_1": {"channels": [1, 2, 3], "ohm": [1000.0, 2000.0, 4000.0], "base_ohm": 500}},
}


def framed(text: str) -> str:
    """Add Modbus's checksum, low byte first."""
    crc = 0xFFFF
    for byte in bytes.fromhex(text):
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return f"{text} {crc & 0xFF:02X} {crc >> 8:02X}"


def coils(*on: int) -> Step:
    """All relays asked for, these of which are on."""
    return framed("01 01 00 00 00 08"), framed(f"01 01 01 {sum(1 << channel - 1 for channel in on):02X}")


def relay(channel: int, on: bool) -> Step:
    """One relay told, which the board repeats."""
    frame = framed(f"01 05 00 {channel - 1:02X} {'FF' if on else '00'} 00")
    return frame, frame


@pytest.fixture
def ladder(conversation: Conversation) -> Callable[..., Any]:
    """A conversation with a board on which nothing is switched when it is opened."""

    def open_ladder(options: dict[str, object], *steps: Step) -> Any:
        return conversation(ResistorLadder, coils(), *steps, lines=False, options=options)

    return open_ladder


def test_the_frames_are_the_maker_s() -> None:
    assert relay(1, on=True)[0] == "01 05 00 00 FF 00 8C 3A"
    assert relay(1, on=False)[0] == "01 05 00 00 00 00 CD CA"
    assert coils(1) == ("01 01 00 00 00 08 3D CC", "01 01 01 01 90 48")


def test_opening_only_asks_and_its_serial_number_is_the_definition_s(ladder: Conversation) -> None:
    with ladder({**PARALLEL, "serial": "LADDER-2"}, coils()) as emulator:
        assert emulator.identify() == Identity("Waveshare", "Modbus RTU Relay", "LADDER-2", "")
        assert emulator.sensors() == ("cell_1", "cell_16")


def test_a_resistor_in_parallel_is_put_in_by_its_relay(ladder: Conversation) -> None:
    with ladder(PARALLEL, coils(), relay(2, on=True), coils(2)) as emulator:
        assert emulator.set_resistance("cell_1", 20010.0) == pytest.approx(20000.0)


def test_in_parallel_relays_open_before_others_close(ladder: Conversation) -> None:
    steps = (coils(1, 5), relay(1, on=False), relay(2, on=True), relay(3, on=True), coils(2, 3, 5))
    with ladder(PARALLEL, *steps) as emulator:
        assert emulator.set_resistance("cell_1", 13333.3) == pytest.approx(40000.0 / 3)


def test_in_series_resistors_are_put_in_before_others_are_bridged(ladder: Conversation) -> None:
    steps = (coils(1, 2), relay(3, on=True), relay(1, on=False), relay(2, on=False), coils(3))
    with ladder(SERIES, *steps) as emulator:
        assert emulator.set_resistance("cell_1", 4500.0) == pytest.approx(4500.0)


def test_the_base_in_series_needs_no_relay(ladder: Conversation) -> None:
    with ladder(SERIES, coils(1), relay(1, on=False), coils()) as emulator:
        assert emulator.set_resistance("cell_1", 500.0) == pytest.approx(500.0)


def test_what_is_already_so_is_not_written_again(ladder: Conversation) -> None:
    with ladder(PARALLEL, coils(2, 7), coils(2, 7)) as emulator:
        emulator.set_resistance("cell_1", 20000.0)


def test_armatures_are_waited_for_between_opening_and_closing(ladder: Conversation, dialogue: list[Dialogue]) -> None:
    with ladder(PARALLEL, coils(1), relay(1, on=False), relay(2, on=True), coils(2)) as emulator:
        emulator.set_resistance("cell_1", 20000.0)
    sent_s = [each.at_s for each in dialogue if each.sent]
    assert sent_s[3] - sent_s[2] >= 0.02
    assert sent_s[4] - sent_s[3] >= 0.02


@pytest.mark.parametrize("ohm", [7500.0, 15000.0, 80000.0, 1.0])
def test_a_resistance_that_is_not_near_enough_is_refused_with_the_nearest(ladder: Conversation, ohm: float) -> None:
    with ladder(PARALLEL) as emulator:
        with pytest.raises(OutOfRange, match=r"the nearest to .* it can do 5714\.29 to 40000 ohm"):
            emulator.set_resistance("cell_1", ohm)


@pytest.mark.parametrize("ohm", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_resistance_is_refused(ladder: Conversation, ohm: float) -> None:
    with ladder(PARALLEL) as emulator, pytest.raises(OutOfRange):
        emulator.set_resistance("cell_1", ohm)


def test_a_ladder_without_a_base_is_opened_by_its_relays(ladder: Conversation) -> None:
    with ladder(PARALLEL, coils(1, 3, 5), relay(1, on=False), relay(3, on=False), coils(5)) as emulator:
        emulator.open_sensor("cell_1")


def test_a_ladder_with_a_base_is_opened_by_its_own_relay(ladder: Conversation) -> None:
    with ladder(PARALLEL, coils(5), relay(5, on=False), relay(7, on=True), coils(7)) as emulator:
        emulator.open_sensor("cell_16")


def test_a_short_is_the_last_that_is_switched_on_and_the_first_off(ladder: Conversation) -> None:
    steps = (
        *(coils(7), relay(7, on=False), relay(8, on=True), coils(8)),
        *(coils(8), relay(8, on=False), relay(5, on=True), coils(5)),
    )
    with ladder(PARALLEL, *steps) as emulator:
        emulator.short_sensor("cell_16")
        assert emulator.set_resistance("cell_16", 5000.0) == pytest.approx(5000.0)


def test_an_open_sensor_is_closed_last(ladder: Conversation) -> None:
    steps = (coils(7), relay(5, on=True), relay(7, on=False), coils(5))
    with ladder(PARALLEL, *steps) as emulator:
        emulator.set_resistance("cell_16", 5000.0)


def test_what_the_wiring_cannot_do_is_refused(ladder: Conversation) -> None:
    with ladder(SERIES) as emulator:
        with pytest.raises(OutOfRange, match="no 'open_channel'"):
            emulator.open_sensor("cell_1")
        with pytest.raises(OutOfRange, match="no 'short_channel'"):
            emulator.short_sensor("cell_1")
        for call in (emulator.open_sensor, emulator.short_sensor, lambda name: emulator.set_resistance(name, 500.0)):
            with pytest.raises(OutOfRange, match="no sensor 'cell_2', but cell_1"):
                call("cell_2")


def test_a_relay_that_does_not_move_is_an_error_that_names_it(ladder: Conversation) -> None:
    with ladder(PARALLEL, coils(1), relay(1, on=False), relay(2, on=True), coils(1, 2)) as emulator:
        with pytest.raises(InstrumentError, match="sensor cell_1, relay 1 did not move"):
            emulator.set_resistance("cell_1", 20000.0)


def test_inside_a_callback_nothing_is_switched(ladder: Conversation, clock: Any) -> None:
    with ladder(PARALLEL) as emulator:
        clock.at(clock.now() + 0.01, lambda: emulator.open_sensor("cell_1"))
        with pytest.raises(InstrumentError, match="not inside a callback"):
            wait_until(clock, lambda: False, timeout_s=10.0)


def changed(options: dict[str, object], **ladder_keys: object) -> dict[str, object]:
    """Options with other values in the ladder of `cell_1`; None removes a key."""
    sensors: Any = options["sensors"]
    merged = {**sensors["cell_1"], **ladder_keys}
    return {**options, "sensors": {"cell_1": {key: value for key, value in merged.items() if value is not None}}}


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({}, "'wiring' is None"),
        ({**PARALLEL, "wiring": "star"}, "'parallel' or 'series'"),
        ({**PARALLEL, "tolerance_pct": 0.0}, "tolerance_pct"),
        ({**PARALLEL, "tolerance_pct": True}, "tolerance_pct"),
        ({key: value for key, value in PARALLEL.items() if key != "tolerance_pct"}, "'tolerance_pct' is None"),
        ({**PARALLEL, "sensors": {}}, "sensors"),
        ({**PARALLEL, "sensors": {"cell_1": [1, 2]}}, "must be a table"),
        ({**PARALLEL, "sensor": {}}, "did you mean 'sensors'"),
        (changed(PARALLEL, ohms=[1.0]), "did you mean 'ohm'"),
        (changed(PARALLEL, ohm=[1.0, 2.0]), "3 channels .* for 2 resistors"),
        (changed(PARALLEL, channels=[1, 1, 2]), "each once"),
        (changed(PARALLEL, channels=[1, 2, 9]), r"channels\[2\] is 9"),
        (changed(PARALLEL, channels=[1, 2, True]), "True"),
        (changed(PARALLEL, channels=[]), "must list"),
        (changed(PARALLEL, ohm=[1.0, 0.0, 2.0]), "greater than 0"),
        (changed(PARALLEL, ohm=[1.0, "2k", 2.0]), r"ohm\[1\]"),
        (changed(PARALLEL, ohm=[1.0, float("nan"), 2.0]), r"ohm\[1\]"),
        (changed(PARALLEL, base_ohm=0.0), "greater than 0"),
        (changed(SERIES, base_ohm=None), "'base_ohm' is None"),
        (changed(SERIES, base_ohm=-1.0), "0 or more"),
        (changed(PARALLEL, open_channel=2), "relay 2 is already used"),
        (changed(PARALLEL, short_channel=0), "short_channel is 0"),
    ],
)
def test_a_wrong_definition_is_refused_before_anything_is_opened(
    conversation: Conversation, options: dict[str, object], complaint: str
) -> None:
    with pytest.raises(DefinitionError, match=complaint):
        with conversation(ResistorLadder, lines=False, options=options):
            pass


def test_a_relay_belongs_to_one_sensor(conversation: Conversation) -> None:
    both = {"channels": [1], "ohm": [100.0]}
    with pytest.raises(DefinitionError, match=r"relay 1 is already used by sensors\.a"):
        with conversation(ResistorLadder, lines=False, options={**PARALLEL, "sensors": {"a": both, "b": both}}):
            pass


OHMS = st.floats(10.0, 1e6)


@settings(deadline=None)
@given(
    data=st.data(),
    wiring=st.sampled_from(["parallel", "series"]),
    ohms=st.lists(OHMS, min_size=1, max_size=6),
    base_ohm=OHMS,
)
def test_on_the_way_no_resistance_is_below_both_ends(
    data: st.DataObject, wiring: Any, ohms: list[float], base_ohm: float
) -> None:
    network = Network(wiring, dict(enumerate(ohms, start=1)), base_ohm, None, None)
    subsets = st.sets(st.integers(1, len(ohms))).map(frozenset)
    before, after = data.draw(subsets, "before"), data.draw(subsets, "after")
    state, seen = set(before), []
    for channel in chain(*network.moves(before, after)):
        state ^= {channel}
        seen.append(network.ohm(state))
    assert state == after
    floor = min(network.ohm(before), network.ohm(after))
    assert all(ohm >= floor * (1.0 - 1e-9) for ohm in seen)


@settings(deadline=None)
@given(wiring=st.sampled_from(["parallel", "series"]), ohms=st.lists(OHMS, min_size=1, max_size=5), wanted=OHMS)
def test_the_nearest_is_the_nearest_of_all(wiring: Any, ohms: list[float], wanted: float) -> None:
    network = Network(wiring, dict(enumerate(ohms, start=1)), 1e5, None, None)
    on, reached = network.nearest(wanted)
    every = chain.from_iterable(combinations(network.resistors, size) for size in range(len(ohms) + 1))
    assert reached == network.ohm(on)
    assert abs(reached - wanted) <= min(abs(network.ohm(each) - wanted) for each in every) * (1 + 1e-12)
