"""The Waveshare input board as frames on the wire, the loop that it reads, and what the loop is wired to."""

from __future__ import annotations

import pytest

from bench.errors import DefinitionError

READ = "01 02 00 00 00 08"
CLOSE, OPEN = "01 05 00 00 FF 00", "01 05 00 00 00 00"


@pytest.fixture
def door(raw_bench):
    return raw_bench.add("door", "waveshare_modbus_inputs", channel=3)


def told(client) -> str:
    return client.rtu(READ, 4).removeprefix("01 02 01 ")


def test_the_loop_is_closed_until_somebody_opens_it(raw_bench, door) -> None:
    assert told(door) == "04"
    raw_bench.instruments.set_input("door", False)
    assert told(door) == "00"
    raw_bench.instruments.set_input("door", True)
    assert told(door) == "04"


def test_single_inputs_are_read_from_their_address(door) -> None:
    assert door.rtu("01 02 00 02 00 01", 4) == "01 02 01 01"
    assert door.rtu("01 02 00 03 00 05", 4) == "01 02 01 00"
    # CRC as any Modbus master computes it
    assert door.exchange("01 02 00 00 00 08 79 CC", 6).startswith("01 02 01 04")


@pytest.mark.parametrize(
    ("request_", "code"),
    [("01 00 00 00 08", 1), ("05 00 00 FF 00", 1), ("02 00 01 00 08", 2), ("02 00 00 00 09", 3), ("02 00 00 00 00", 3)],
)
def test_requests_that_do_not_fit_are_refused(door, request_: str, code: int) -> None:
    function = int(request_[:2], 16) | 0x80
    assert door.rtu(f"01 {request_}", 3) == f"01 {function:02X} {code:02X}"


@pytest.mark.parametrize("frame", ["02 02 00 00 00 08 79 FF", "01 02 00 00 00 08 79 CD"])
def test_another_address_or_a_wrong_checksum_stays_silent(door, frame: str) -> None:
    door.send(bytes.fromhex(frame))
    assert door.quiet()
    assert door.clock.is_silent(door.port)


@pytest.mark.parametrize(("fault", "answer"), [("stuck_closed", "04"), ("stuck_open", "00")])
def test_a_stuck_input_tells_the_same_whatever_the_loop_does(raw_bench, door, fault: str, answer: str) -> None:
    raw_bench.instruments.fault("door", fault)
    for closed in (False, True):
        raw_bench.instruments.set_input("door", closed)
        assert told(door) == answer
        assert raw_bench.instruments.behaviour("door").closed is closed
    raw_bench.instruments.fault("door", "none")
    assert told(door) == "04"


def openings(raw_bench, seconds: float) -> list[tuple[float, float]]:
    """Return when the loop opened and for how long."""
    board = raw_bench.instruments.behaviour("door")
    clock, found, since_s = raw_bench.clock, [], None
    for _ in range(round(seconds / 0.005)):
        clock.sleep(0.005)
        if not board.closed and since_s is None:
            since_s = clock.now()
        elif board.closed and since_s is not None:
            found.append((since_s, clock.now() - since_s))
            since_s = None
    return found


def test_a_flickering_loop_opens_for_a_moment_every_few_seconds(new_raw_bench) -> None:
    begun = []
    for seed in (1, 1, 2):
        bench = new_raw_bench(seed)
        bench.add("door", "waveshare_modbus_inputs", channel=3)
        bench.instruments.fault("door", "flickers")
        found = openings(bench, 60.0)
        assert 12 <= len(found) <= 30
        assert all(length_s == pytest.approx(0.05, abs=0.006) for _, length_s in found)
        begun.append([at_s for at_s, _ in found])
    assert begun[0] == begun[1]
    assert begun[0] != begun[2]


def test_a_flicker_ends_with_its_fault(raw_bench, door) -> None:
    raw_bench.instruments.fault("door", "flickers", s=10.0, every_s=0.1)
    door.clock.sleep(0.2)
    assert told(door) == "00"
    raw_bench.instruments.fault("door", "none")
    assert told(door) == "04"
    assert openings(raw_bench, 5.0) == []


class TestHardWired:
    """The loop also carries the coil of the contactor that the relay board switches."""

    @pytest.fixture
    def relays(self, raw_bench):
        client = raw_bench.add("relays", "waveshare_modbus_relay", channel=1)
        raw_bench.instruments.add("door", "waveshare_modbus_inputs", {"channel": 1, "opens_disconnect": True})
        client.rtu(CLOSE, 6)
        client.clock.sleep(0.05)
        raw_bench.circuit.supply.set(on=True, voltage_v=58.0, current_limit_a=20.0)
        client.clock.sleep(0.1)
        assert raw_bench.circuit.pack_current_a() == pytest.approx(20.0, abs=0.1)
        return client

    def test_it_ends_the_current_at_once_and_the_relay_still_says_closed(self, raw_bench, relays) -> None:
        raw_bench.instruments.set_input("door", False)
        assert raw_bench.circuit.pack_current_a() == 0.0
        assert relays.rtu("01 01 00 00 00 08", 4) == "01 01 01 01"
        assert raw_bench.circuit.disconnect.closed is True
        assert raw_bench.circuit.disconnect.conducts is False

    def test_the_current_returns_only_with_the_loop_closed_and_the_relay_switched_again(
        self, raw_bench, relays
    ) -> None:
        def switch(command: str) -> None:
            relays.rtu(command, 6)
            relays.clock.sleep(0.1)

        raw_bench.instruments.set_input("door", False)
        for command in (OPEN, CLOSE):
            switch(command)
            assert raw_bench.circuit.pack_current_a() == 0.0
        raw_bench.instruments.set_input("door", True)
        switch(CLOSE)
        assert raw_bench.circuit.pack_current_a() == 0.0
        for command in (OPEN, CLOSE):
            switch(command)
        assert raw_bench.circuit.pack_current_a() == pytest.approx(20.0, abs=0.1)

    def test_a_flicker_takes_the_current_away_for_good(self, raw_bench, relays) -> None:
        raw_bench.instruments.fault("door", "flickers")
        relays.clock.sleep(6.0)
        assert raw_bench.instruments.behaviour("door").closed
        assert raw_bench.circuit.pack_current_a() == 0.0

    def test_a_stuck_input_and_a_dead_board_change_nothing_about_the_wire(self, raw_bench, relays) -> None:
        raw_bench.instruments.fault("door", "stuck_closed")
        raw_bench.instruments.set_input("door", False)
        assert raw_bench.circuit.pack_current_a() == 0.0

    def test_a_board_without_mains_leaves_the_loop_closed(self, raw_bench, relays) -> None:
        raw_bench.instruments.fault("door", "mains_loss")
        relays.clock.sleep(1.0)
        assert raw_bench.circuit.pack_current_a() == pytest.approx(20.0, abs=0.1)

    def test_a_welded_relay_contact_does_not_hold_it(self, raw_bench, relays) -> None:
        raw_bench.instruments.fault("relays", "welded")
        raw_bench.instruments.set_input("door", False)
        assert raw_bench.circuit.pack_current_a() == 0.0

    def test_a_loop_that_is_only_read_opens_nothing(self, raw_bench, relays) -> None:
        raw_bench.instruments.add("button", "waveshare_modbus_inputs", {"channel": 1})
        raw_bench.instruments.set_input("button", False)
        relays.clock.sleep(1.0)
        assert raw_bench.circuit.pack_current_a() == pytest.approx(20.0, abs=0.1)

    def test_a_reset_bench_has_closed_loops(self, raw_bench, relays) -> None:
        raw_bench.instruments.set_input("door", False)
        raw_bench.instruments.reset(2)
        again = raw_bench.connect(raw_bench.instruments.address("relays"))
        again.rtu(CLOSE, 6)
        again.clock.sleep(0.1)
        assert raw_bench.instruments.behaviour("door").closed
        assert raw_bench.circuit.disconnect.conducts


def test_only_a_safety_input_has_a_loop(raw_bench) -> None:
    raw_bench.instruments.add("relays", "waveshare_modbus_relay", {"channel": 1})
    with pytest.raises(DefinitionError, match="'relays' is no safety input"):
        raw_bench.instruments.set_input("relays", False)
    with pytest.raises(LookupError, match="no virtual instrument 'doors'"):
        raw_bench.instruments.set_input("doors", False)


@pytest.mark.parametrize(
    ("options", "message"),
    [({}, "channel = None"), ({"channel": 9}, "channel = 9"), ({"channel": 1, "unit": 300}, "unit = 300"),
     ({"channel": 1, "opens_disconnect": "yes"}, "opens_disconnect = 'yes'")],
)  # fmt: skip
def test_a_wrong_option_is_named(raw_bench, options: dict, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        raw_bench.instruments.add("door", "waveshare_modbus_inputs", options)
