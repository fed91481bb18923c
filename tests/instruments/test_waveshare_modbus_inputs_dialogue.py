"""What the driver of the Waveshare board's inputs says, byte for byte (the maker's protocol page)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench.errors import DefinitionError, InstrumentError, InstrumentTimeout
from bench.roles import Identity, SafetyInput
from instruments.safety_inputs.waveshare_modbus_inputs import WaveshareModbusInputs

_: type[SafetyInput] = WaveshareModbusInputs

Conversation = Callable[..., Any]

READ = "01 02 00 00 00 08 79 CC"
NONE_ON, FIRST_ON, THIRD_ON = "01 02 01 00 A1 88", "01 02 01 01 60 48", "01 02 01 04 A0 4B"


@pytest.fixture
def loop(conversation: Conversation) -> Callable[..., Any]:
    """A conversation with input 1 of a board, closed when it is opened."""

    def open_loop(*steps: tuple[str, Any], **options: object) -> Any:
        settings = {"channel": 1, **options}
        return conversation(
            WaveshareModbusInputs, (READ, FIRST_ON), *steps, lines=False, timeout_s=2.0, options=settings
        )

    return open_loop


def test_the_loop_is_asked_each_time(loop: Conversation) -> None:
    with loop((READ, FIRST_ON), (READ, NONE_ON), (READ, FIRST_ON)) as interlock:
        assert interlock.is_clear()
        assert not interlock.is_clear()
        assert interlock.is_clear()


def test_another_input_s_bit_clears_nothing(loop: Conversation) -> None:
    with loop((READ, THIRD_ON)) as interlock:
        assert not interlock.is_clear()


def test_each_channel_has_its_bit(loop: Conversation) -> None:
    with loop((READ, THIRD_ON), (READ, FIRST_ON), channel=3) as interlock:
        assert interlock.is_clear()
        assert not interlock.is_clear()


def test_a_loop_may_read_off_while_it_is_closed(loop: Conversation) -> None:
    with loop((READ, NONE_ON), (READ, FIRST_ON), closed_reads="off") as interlock:
        assert interlock.is_clear()
        assert not interlock.is_clear()


def test_silence_is_an_error_and_not_an_answer(loop: Conversation) -> None:
    with loop((READ, None)) as interlock, pytest.raises(InstrumentTimeout):
        interlock.is_clear()


@pytest.mark.parametrize("answer", ["01 82 02 C1 61", "01 02 01 01 60 49", "01 01 01 01 90 48"])
def test_a_refusal_a_wrong_checksum_and_another_function_are_errors(loop: Conversation, answer: str) -> None:
    with loop((READ, answer)) as interlock, pytest.raises(InstrumentError):
        interlock.is_clear()


def test_its_serial_number_is_the_definition_s(loop: Conversation) -> None:
    with loop((READ, NONE_ON), serial="VIRTUAL-INTERLOCK") as interlock:
        assert interlock.identify() == Identity("Waveshare", "Modbus RTU Relay (D)", "VIRTUAL-INTERLOCK", "")


@pytest.mark.parametrize("options", [{}, {"channel": 0}, {"channel": 9}, {"channel": "1"}, {"channel": True}])
def test_a_channel_must_be_named_and_exist(conversation: Conversation, options: dict[str, object]) -> None:
    with pytest.raises(DefinitionError, match="channel"):
        with conversation(WaveshareModbusInputs, lines=False, options=options):
            pass


@pytest.mark.parametrize(("value", "complaint"), [("closed", "'on' or 'off'"), (True, "type str")])
def test_what_a_closed_loop_reads_must_be_one_of_two(conversation: Conversation, value: object, complaint: str) -> None:
    with pytest.raises(DefinitionError, match=complaint):
        with conversation(WaveshareModbusInputs, lines=False, options={"channel": 1, "closed_reads": value}):
            pass
