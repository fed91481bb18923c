"""What the driver of the Waveshare relay board says, byte for byte (the maker's protocol page)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench.errors import DefinitionError, InstrumentError
from bench.roles import Identity, Switch
from instruments.relays.waveshare_modbus_relay import WaveshareModbusRelay

_: type[Switch] = WaveshareModbusRelay

Conversation = Callable[..., Any]

READ = "01 01 00 00 00 08 3D CC"
NONE_ON, FIRST_ON, THIRD_ON = "01 01 01 00 51 88", "01 01 01 01 90 48", "01 01 01 04 50 4B"
ON = ("01 05 00 00 FF 00 8C 3A", "01 05 00 00 FF 00 8C 3A")
OFF = ("01 05 00 00 00 00 CD CA", "01 05 00 00 00 00 CD CA")


@pytest.fixture
def relay(conversation: Conversation) -> Callable[..., Any]:
    """A conversation with relay 1 of a board on which nothing is switched."""

    def open_relay(*steps: tuple[str, Any], **options: object) -> Any:
        return conversation(
            WaveshareModbusRelay, (READ, NONE_ON), *steps, lines=False, options={"channel": 1, **options}
        )

    return open_relay


def test_closing_and_opening_are_told_and_asked(relay: Conversation) -> None:
    with relay(ON, (READ, FIRST_ON), OFF, (READ, NONE_ON)) as switch:
        switch.close_contact()
        switch.open_contact()


def test_the_state_is_the_bit_of_its_own_channel(relay: Conversation) -> None:
    with relay((READ, FIRST_ON), (READ, THIRD_ON)) as switch:
        assert switch.is_closed()
        assert not switch.is_closed()


def test_a_normally_closed_contact_opens_when_the_coil_is_on(relay: Conversation) -> None:
    with relay(ON, (READ, FIRST_ON), (READ, NONE_ON), contact="normally_closed") as switch:
        switch.open_contact()
        assert switch.is_closed()


def test_a_relay_that_does_not_move_is_an_error(relay: Conversation) -> None:
    with relay(ON, (READ, NONE_ON)) as switch, pytest.raises(InstrumentError, match="relay 1 did not close"):
        switch.close_contact()


def test_its_serial_number_is_the_definition_s(relay: Conversation) -> None:
    with relay((READ, NONE_ON), serial="VIRTUAL-DISCONNECT") as switch:
        assert switch.identify() == Identity("Waveshare", "Modbus RTU Relay", "VIRTUAL-DISCONNECT", "")


@pytest.mark.parametrize("options", [{}, {"channel": 0}, {"channel": 9}, {"channel": "1"}, {"channel": True}])
def test_a_channel_must_be_named_and_exist(conversation: Conversation, options: dict[str, object]) -> None:
    with pytest.raises(DefinitionError, match="channel"):
        with conversation(WaveshareModbusRelay, lines=False, options=options):
            pass


def test_a_contact_must_be_one_of_two(conversation: Conversation) -> None:
    with pytest.raises(DefinitionError, match="normally_open"):
        with conversation(WaveshareModbusRelay, lines=False, options={"channel": 1, "contact": "open"}):
            pass


def test_a_wrong_checksum_is_an_error_at_once(conversation: Conversation, clock: Any) -> None:
    wrong = (READ, "01 01 01 00 51 89")
    with conversation(
        WaveshareModbusRelay, (READ, NONE_ON), wrong, lines=False, timeout_s=30.0, options={"channel": 1}
    ) as switch:
        begin_s = clock.now()
        with pytest.raises(InstrumentError, match="garbled"):
            switch.is_closed()
        assert clock.now() - begin_s < 15.0  # compared with the time-out
