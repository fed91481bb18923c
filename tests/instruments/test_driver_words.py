"""What drivers share: options, models, and asking until the instrument agrees."""

from __future__ import annotations

import pytest

from bench.errors import DefinitionError, InstrumentError, NotDue
from bench.roles import Identity
from bench.simulated_clock import SimulatedClock
from instruments.driver import check_model, check_options, confirm, confirm_off, option


def test_an_unknown_option_is_refused_with_the_nearest_spelling() -> None:
    with pytest.raises(DefinitionError, match="dut: its driver has no option 'chanel'; did you mean 'channel'"):
        check_options("dut", {"chanel": 1}, ("channel", "contact"))
    with pytest.raises(DefinitionError, match="it has: none"):
        check_options("dut", {"x": 1}, ())


def test_an_option_must_have_the_type_of_its_default() -> None:
    assert option("dut", {"channel": 3}, "channel", 1) == 3
    assert option("dut", {}, "channel", 1) == 1
    with pytest.raises(DefinitionError, match="'channel' is True, but must be of type int"):
        option("dut", {"channel": True}, "channel", 1)


def test_a_model_must_match_as_a_whole() -> None:
    check_model("dut", Identity("EA", "PSI 9080-340 3U", "1", ""), (r"PSI 9\d{3}-\d+\b.*",), "EA PSI 9000")
    with pytest.raises(InstrumentError, match="is a EA XPSI 9080-340, but its driver is for EA PSI 9000"):
        check_model("dut", Identity("EA", "XPSI 9080-340", "1", ""), (r"PSI 9\d{3}-\d+\b.*",), "EA PSI 9000")


def test_agreement_is_waited_for_and_its_absence_is_told() -> None:
    clock = SimulatedClock()
    confirm(clock, lambda: clock.now() > 0.2, lambda: "no", within_s=0.5)
    with pytest.raises(InstrumentError, match=r"still 3 V, 0\.5 s after it was told"):
        confirm(clock, lambda: False, lambda: "still 3 V", within_s=0.5)


def test_inside_a_callback_nobody_waits_for_agreement() -> None:
    clock = SimulatedClock()
    clock.at(0.1, lambda: confirm(clock, lambda: False, lambda: "still 3 V", within_s=0.5))
    with pytest.raises(NotDue, match="not yet confirmed"):
        clock.sleep(1.0)


def test_an_output_told_off_inside_a_callback_is_asked_for_on_the_clock() -> None:
    clock = SimulatedClock()
    off_s: float = 0.12
    asked: list[float] = []

    def is_on() -> bool:
        asked.append(clock.now())
        return clock.now() < off_s

    clock.at(0.1, lambda: confirm_off(clock, is_on, lambda: "still on", within_s=0.5))
    clock.sleep(2.0)
    assert asked == pytest.approx([0.1, 0.6])
    off_s = 10.0
    clock.at(3.0, lambda: confirm_off(clock, is_on, lambda: "still on", within_s=0.5))
    with pytest.raises(InstrumentError, match="still on"):
        clock.sleep(2.0)


def test_a_cancelled_question_is_never_asked() -> None:
    clock = SimulatedClock()
    pending: list[object] = []
    clock.at(0.1, lambda: pending.append(confirm_off(clock, lambda: True, lambda: "still on", within_s=0.5)))
    clock.sleep(0.2)
    pending[0].cancel()  # type: ignore[attr-defined]
    clock.sleep(2.0)
