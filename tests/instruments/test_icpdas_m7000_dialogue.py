"""What the driver of ICP DAS relay boards says, byte for byte (the maker's register list, base-1 numbers less one)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench.errors import DefinitionError, InstrumentError, InstrumentTimeout, OutOfRange
from bench.roles import Dialogue, HasWatchdog, Identity, Switch
from instruments.relays.icpdas_m7000 import IcpdasM7000

_: tuple[type[Switch], type[HasWatchdog]] = (IcpdasM7000, IcpdasM7000)

Conversation = Callable[..., Any]

NO, YES = "01 01 01 00 51 88", "01 01 01 01 90 48"
OUTPUT = "01 01 00 00 00 01 FD CA"  # coil 1
RESTARTED = "01 01 01 10 00 01 FD F3"  # coil 273
EXPIRED = "01 01 01 0D 00 01 6D F5"  # coil 270
ENABLED = "01 01 01 04 00 01 BD F7"  # coil 261
SAFE = "01 01 00 80 00 01 FC 22"  # coil 129
POWER_ON = "01 01 00 A0 00 01 FD E8"  # coil 161
TIME, NONE_S, THREE_S = "01 03 01 E8 00 01 05 C2", "01 03 02 00 00 B8 44", "01 03 02 00 1E 38 4C"  # register 40489


def _echoed(frame: str) -> tuple[str, str]:
    return frame, frame


ON, OFF = _echoed("01 05 00 00 FF 00 8C 3A"), _echoed("01 05 00 00 00 00 CD CA")
ENABLE, DISABLE = _echoed("01 05 01 04 FF 00 CC 07"), _echoed("01 05 01 04 00 00 8D F7")
SAFE_ON, SAFE_OFF = _echoed("01 05 00 80 FF 00 8D D2"), _echoed("01 05 00 80 00 00 CC 22")
POWER_ON_ON, POWER_ON_OFF = _echoed("01 05 00 A0 FF 00 8C 18"), _echoed("01 05 00 A0 00 00 CD E8")
SET_THREE_S = _echoed("01 06 01 E8 00 1E 88 0A")
CLEAR = _echoed("01 05 01 0D FF 00 1C 05")

OPENING = ((OUTPUT, NO), (RESTARTED, YES))  # powered up some time before: that is no news
OPENED = (OFF, (OUTPUT, NO), (RESTARTED, NO))
MAY_CLOSE = ((RESTARTED, NO), (EXPIRED, NO))
CLEARED = (OFF, (OUTPUT, NO), CLEAR, OFF, (OUTPUT, NO), (EXPIRED, NO))
ARMED_BEFORE = ((EXPIRED, NO), (SAFE, NO), (POWER_ON, NO), (TIME, THREE_S), (ENABLED, YES))


@pytest.fixture
def relay(conversation: Conversation) -> Callable[..., Any]:
    """A conversation with output 1 of a board on which nothing is switched."""

    def open_relay(*steps: tuple[str, Any], **options: object) -> Any:
        return conversation(IcpdasM7000, *OPENING, *steps, lines=False, options={"channel": 1, **options})

    return open_relay


def test_closing_and_opening_are_told_and_asked(relay: Conversation) -> None:
    with relay(*MAY_CLOSE, ON, (OUTPUT, YES), *OPENED) as switch:
        switch.close_contact()
        switch.open_contact()


def test_the_state_is_asked_each_time(relay: Conversation) -> None:
    closed, opened = ((RESTARTED, NO), (OUTPUT, YES), (EXPIRED, NO)), ((RESTARTED, NO), (OUTPUT, NO))
    with relay(*closed, *opened) as switch:
        assert switch.is_closed()
        assert not switch.is_closed()


def test_a_channel_is_a_coil_of_its_own(conversation: Conversation) -> None:
    third = "01 01 00 02 00 01 5C 0A"
    with conversation(IcpdasM7000, (third, NO), (RESTARTED, NO), (third, NO), lines=False, options={"channel": 3}) as r:
        assert r.identify().maker == "ICP DAS"


def test_a_normally_closed_contact_opens_when_the_coil_is_on(relay: Conversation) -> None:
    steps = (ON, (OUTPUT, YES), (RESTARTED, NO), (RESTARTED, NO), (OUTPUT, NO), (EXPIRED, NO))
    with relay(*steps, contact="normally_closed") as switch:
        switch.open_contact()
        assert switch.is_closed()


def test_an_output_that_does_not_move_is_an_error(relay: Conversation) -> None:
    with relay(*MAY_CLOSE, ON, (OUTPUT, NO), OFF, (OUTPUT, YES)) as switch:
        with pytest.raises(InstrumentError, match="output 1 did not close"):
            switch.close_contact()
        with pytest.raises(InstrumentError, match="output 1 did not open"):
            switch.open_contact()


def test_its_serial_number_is_the_definition_s(relay: Conversation) -> None:
    with relay((OUTPUT, NO), serial="VIRTUAL-DISCONNECT") as switch:
        assert switch.identify() == Identity("ICP DAS", "tM-R5 or M-7000", "VIRTUAL-DISCONNECT", "")


def test_arming_makes_every_end_an_open_contact_and_reads_all_of_it_back(relay: Conversation) -> None:
    steps = (
        *((EXPIRED, NO), (SAFE, YES), SAFE_OFF, (SAFE, NO), (POWER_ON, YES), POWER_ON_OFF, (POWER_ON, NO)),
        *((TIME, NONE_S), SET_THREE_S, (TIME, THREE_S), (ENABLED, NO), ENABLE, (ENABLED, YES), (ENABLED, YES)),
    )
    with relay(*steps) as switch:
        switch.arm_watchdog(3.0)
        assert switch.is_watchdog_armed()


def test_a_normally_closed_contact_is_armed_to_open_by_switching_on(relay: Conversation) -> None:
    steps = (
        *((EXPIRED, NO), (SAFE, NO), SAFE_ON, (SAFE, YES), (POWER_ON, NO), POWER_ON_ON, (POWER_ON, YES)),
        *((TIME, THREE_S), (ENABLED, YES)),
    )
    with relay(*steps, contact="normally_closed") as switch:
        switch.arm_watchdog(3.0)


def test_what_is_armed_already_is_not_written_again(relay: Conversation) -> None:
    with relay(*ARMED_BEFORE) as switch:
        switch.arm_watchdog(3.0)


@pytest.mark.parametrize(
    ("steps", "complaint"),
    [
        (((SAFE, YES), SAFE_OFF, (SAFE, YES)), r"safe value \(coil 129\) is still 1"),
        (((SAFE, NO), (POWER_ON, YES), POWER_ON_OFF, (POWER_ON, YES)), r"power-on value \(coil 161\) is still 1"),
        (
            ((SAFE, NO), (POWER_ON, NO), (TIME, NONE_S), SET_THREE_S, (TIME, NONE_S)),
            "watchdog time is 0 s instead of 3 s",
        ),
        (
            ((SAFE, NO), (POWER_ON, NO), (TIME, THREE_S), (ENABLED, NO), ENABLE, (ENABLED, NO)),
            r"watchdog switch \(coil 261\) is still 0",
        ),
    ],
)
def test_a_setting_that_was_not_taken_is_an_error(relay: Conversation, steps: Any, complaint: str) -> None:
    with relay((EXPIRED, NO), *steps) as switch, pytest.raises(InstrumentError, match=complaint):
        switch.arm_watchdog(3.0)


@pytest.mark.parametrize("period_s", [0.0, 0.05, 25.6, 3.14, -1.0, float("nan"), float("inf")])
def test_a_time_that_it_does_not_have_is_refused_and_nothing_is_sent(relay: Conversation, period_s: float) -> None:
    with relay() as switch, pytest.raises(OutOfRange, match="watchdog time"):
        switch.arm_watchdog(period_s)


def test_disarming_is_told_and_asked(relay: Conversation) -> None:
    with relay((ENABLED, YES), DISABLE, (ENABLED, NO), (EXPIRED, NO), (ENABLED, NO), (EXPIRED, NO)) as switch:
        switch.disarm_watchdog()
        assert not switch.is_watchdog_armed()


def test_one_that_stays_armed_is_an_error(relay: Conversation) -> None:
    with relay((ENABLED, YES), DISABLE, (ENABLED, YES)) as switch:
        with pytest.raises(InstrumentError, match=r"watchdog switch \(coil 261\) is still 1"):
            switch.disarm_watchdog()


def test_an_expired_watchdog_counts_as_armed_even_if_it_switched_itself_off(relay: Conversation) -> None:
    with relay((ENABLED, NO), (EXPIRED, YES)) as switch:
        assert switch.is_watchdog_armed()


def test_nothing_is_closed_over_an_expired_watchdog(relay: Conversation) -> None:
    with relay((RESTARTED, NO), (EXPIRED, YES)) as switch:
        with pytest.raises(InstrumentError, match="is not closed, because the watchdog has expired"):
            switch.close_contact()


def test_an_expired_watchdog_is_cleared_between_two_commands_to_open(
    relay: Conversation, dialogue: list[Dialogue]
) -> None:
    with relay((ENABLED, NO), (EXPIRED, YES), *CLEARED) as switch:
        switch.disarm_watchdog()
    assert any("watchdog had expired" in each.text for each in dialogue)


def test_arming_clears_an_earlier_expiry_first(relay: Conversation) -> None:
    with relay((EXPIRED, YES), *CLEARED, *ARMED_BEFORE[1:]) as switch:
        switch.arm_watchdog(3.0)


def test_an_expiry_is_not_cleared_while_the_output_reads_closed(relay: Conversation) -> None:
    with relay((ENABLED, NO), (EXPIRED, YES), OFF, (OUTPUT, YES)) as switch:
        with pytest.raises(InstrumentError, match="did not open when told"):
            switch.disarm_watchdog()


def test_an_output_that_closes_by_clearing_is_noticed(relay: Conversation) -> None:
    with relay((ENABLED, NO), (EXPIRED, YES), OFF, (OUTPUT, NO), CLEAR, OFF, (OUTPUT, YES)) as switch:
        with pytest.raises(InstrumentError, match="did not open when told"):
            switch.disarm_watchdog()


def test_an_expiry_that_stays_is_an_error(relay: Conversation) -> None:
    with relay((ENABLED, NO), (EXPIRED, YES), *CLEARED[:-1], (EXPIRED, YES)) as switch:
        with pytest.raises(InstrumentError, match="still says that its watchdog expired"):
            switch.disarm_watchdog()


def test_a_locked_board_that_refuses_commands_but_reads_open_is_open(relay: Conversation) -> None:
    refused = (OFF[0], "01 85 04 43 53")
    with relay(refused, (OUTPUT, NO), (RESTARTED, NO), refused, (OUTPUT, YES)) as switch:
        switch.open_contact()
        with pytest.raises(InstrumentError, match="did not open when told") as problem:
            switch.open_contact()
    assert "exception 4" in str(problem.value.__cause__)


def test_a_silent_board_is_not_taken_for_open(conversation: Conversation) -> None:
    silent = (OFF[0], None)
    with conversation(IcpdasM7000, *OPENING, silent, lines=False, timeout_s=2.0, options={"channel": 1}) as switch:
        with pytest.raises(InstrumentTimeout):
            switch.open_contact()


def test_closed_with_an_expired_watchdog_is_an_error_and_no_state(relay: Conversation) -> None:
    with relay((RESTARTED, NO), (OUTPUT, YES), (EXPIRED, YES)) as switch:
        with pytest.raises(InstrumentError, match=r"reads closed, but the watchdog has expired.*coil 129"):
            switch.is_closed()


def test_a_restart_is_told_until_the_contact_was_opened(relay: Conversation) -> None:
    steps = ((RESTARTED, YES), (RESTARTED, NO), (RESTARTED, NO), *OPENED, (RESTARTED, NO), (OUTPUT, NO))
    with relay(*steps) as switch:
        for ask in (switch.is_closed, switch.close_contact, switch.is_closed):
            with pytest.raises(InstrumentError, match="output 1: the board was restarted"):
                ask()
        switch.open_contact()
        assert not switch.is_closed()


def test_a_restart_found_while_opening_does_not_keep_it_from_opening(relay: Conversation) -> None:
    with relay(OFF, (OUTPUT, NO), (RESTARTED, YES), (RESTARTED, NO), (OUTPUT, NO)) as switch:
        switch.open_contact()
        assert not switch.is_closed()


def test_nothing_is_closed_once_the_armed_watchdog_is_gone(relay: Conversation) -> None:
    with relay(*ARMED_BEFORE, *MAY_CLOSE, (ENABLED, YES), ON, (OUTPUT, YES), *MAY_CLOSE, (ENABLED, NO)) as switch:
        switch.arm_watchdog(3.0)
        switch.close_contact()
        with pytest.raises(InstrumentError, match="armed no more"):
            switch.close_contact()


@pytest.mark.parametrize("options", [{}, {"channel": 0}, {"channel": 6}, {"channel": "1"}, {"channel": True}])
def test_a_channel_must_be_named_and_exist(conversation: Conversation, options: dict[str, object]) -> None:
    with pytest.raises(DefinitionError, match="channel"):
        with conversation(IcpdasM7000, lines=False, options=options):
            pass


def test_a_contact_must_be_one_of_two(conversation: Conversation) -> None:
    with pytest.raises(DefinitionError, match="normally_open"):
        with conversation(IcpdasM7000, lines=False, options={"channel": 1, "contact": "open"}):
            pass
