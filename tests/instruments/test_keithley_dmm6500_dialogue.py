"""What the driver of the Keithley DMM6500 says, word for word, and which samples it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from bench.emulator_roles import Digitiser
from bench.errors import DefinitionError, InstrumentError, OutOfRange
from bench.roles import Identity, VoltageMeter
from instruments.meters.keithley_dmm6500 import KeithleyDmm6500

_: type[VoltageMeter] = KeithleyDmm6500
__: type[Digitiser] = KeithleyDmm6500

Conversation = Callable[..., Any]
Steps = tuple[tuple[str, Any], ...]

IDN = ("*IDN?", "KEITHLEY INSTRUMENTS,MODEL DMM6500,04400001,1.7.17a")
GOOD = ("SYST:ERR?", '0,"No error;0;0 0"')


def told(*commands: str) -> Steps:
    """Commands, each with the question whether it was taken."""
    return tuple(step for command in commands for step in ((command, None), GOOD))


RANGE = (
    *told('SENS:FUNC "VOLT"', "SENS:VOLT:RANG 0.1", "SENS:VOLT:AZER ON", "SENS:VOLT:NPLC 1", "SENS:COUN 1"),
    ("SENS:VOLT:RANG?", "0.1"),
    ("SENS:VOLT:NPLC?", "1"),
)

# 200 samples at 100 kHz, 50 of them before; found within 4, so 3 are 1 % and the ring holds 300, 57 ahead
ASKED = {"range_v": 10.0, "rate_hz": 1e5, "duration_s": 2e-3, "level_v": 2.0, "rising": True, "before_s": 0.5e-3}
POINTS, AHEAD, PERCENT = 300, 57, 19
TOLD = told(
    "ABOR",
    'DIG:FUNC "VOLT"',
    "DIG:VOLT:RANG 10",
    "DIG:VOLT:SRATE 100000",
    "DIG:VOLT:APER AUTO",
    "DIG:VOLT:ATR:MODE EDGE",
    "DIG:VOLT:ATR:EDGE:LEV 2",
    "DIG:VOLT:ATR:EDGE:SLOP RIS",
    "FORM:DATA ASC",
    "FORM:ASC:PREC 16",
    'TRAC:FILL:MODE CONT,"defbuffer1"',
    f'TRAC:POIN {POINTS},"defbuffer1"',
    f'TRIG:LOAD "LoopUntilEvent",ATR,{PERCENT},ENT,0,"defbuffer1"',
)
READ_BACK = (
    ("DIG:FUNC?", '"VOLT"'),
    ("DIG:VOLT:RANG?", "10"),
    ("DIG:VOLT:SRATE?", "100000"),
    ("DIG:VOLT:ATR:MODE?", "EDGE"),
    ("DIG:VOLT:ATR:EDGE:LEV?", "1.998"),
    ("DIG:VOLT:ATR:EDGE:SLOP?", "RIS"),
    ('TRAC:POIN? "defbuffer1"', "300"),
)
ARMED = (*TOLD, *READ_BACK, *told("INIT"), ("TRIG:STAT?", "RUNNING;RUNNING;3"))
COMPLETE = (("TRIG:STAT?", "IDLE;IDLE;6"), ('TRAC:ACT? "defbuffer1"', "300"))
DISARMED = (*told("ABOR", "DIG:VOLT:ATR:MODE OFF", 'SENS:FUNC "VOLT"'), ("SENS:FUNC?", '"VOLT:DC"'))
QUESTION = 'TRAC:DATA? 1,300,"defbuffer1",READ,REL'


def step_at(index: int) -> list[float]:
    """0 V, and 5 V from one sample on."""
    return [0.0] * index + [5.0] * (POINTS - index)


def answer(values: Sequence[float | str], *, turned: int = 0, period_s: float = 1e-5) -> str:
    """Readings and seconds since the reading with index 1, in a ring that begins with sample `turned`."""
    order = [*range(turned, POINTS), *range(turned)]
    return ",".join(f"{values[index]},{(index - turned) * period_s:.15E}" for index in order)


@pytest.fixture
def armed(conversation: Conversation) -> Callable[..., Any]:
    """A conversation with an armed digitiser, up to what follows; call `arm` on the meter first."""

    def open_meter(*steps: tuple[str, Any]) -> Any:
        return conversation(KeithleyDmm6500, IDN, *ARMED, *steps)

    return open_meter


def test_opening_asks_only_who_it_is(conversation: Conversation) -> None:
    with conversation(KeithleyDmm6500, IDN, IDN) as meter:
        assert meter.identify() == Identity("KEITHLEY INSTRUMENTS", "MODEL DMM6500", "04400001", "1.7.17a")


def test_another_maker_s_meter_is_refused(conversation: Conversation) -> None:
    stranger = ("*IDN?", "Keysight Technologies,34465A,MY60012345,A.02.16")
    with pytest.raises(InstrumentError, match="34465A"), conversation(KeithleyDmm6500, stranger):
        pass


def test_a_misspelt_option_is_refused_with_the_nearest_one(conversation: Conversation) -> None:
    with pytest.raises(DefinitionError, match="did you mean 'auto_zero'"):
        with conversation(KeithleyDmm6500, options={"autozero": False}):
            pass


def test_a_single_reading_needs_a_range_and_is_taken_in_it(conversation: Conversation) -> None:
    with conversation(KeithleyDmm6500, IDN, *RANGE, ("READ?", "1.499885E-02")) as meter:
        with pytest.raises(InstrumentError, match="set_range"):
            meter.measure_voltage()
        meter.set_range(0.1)
        assert meter.measure_voltage() == pytest.approx(0.01499885)


@pytest.mark.parametrize("reading", ["9.900000E+37", "-9.900000E+37", "9.910000E+37", "nan", "", "1,2"])
def test_overload_and_missing_readings_are_errors(conversation: Conversation, reading: str) -> None:
    with conversation(KeithleyDmm6500, IDN, *RANGE, ("READ?", reading)) as meter:
        meter.set_range(0.1)
        with pytest.raises(InstrumentError, match="READ"):
            meter.measure_voltage()


def test_integration_is_read_back_and_goes_with_every_range(conversation: Conversation) -> None:
    slow = (*told("SENS:VOLT:NPLC 10"), ("SENS:VOLT:NPLC?", "10"))
    hundred = [
        (command.replace("RANG 0.1", "RANG 100").replace("NPLC 1", "NPLC 10").replace("AZER ON", "AZER OFF"), reply)
        for command, reply in RANGE[:-2]
    ]
    answers = (("SENS:VOLT:RANG?", "1.000000E+02"), ("SENS:VOLT:NPLC?", "1.000000E+01"))
    with conversation(KeithleyDmm6500, IDN, *slow, *hundred, *answers, options={"auto_zero": False}) as meter:
        meter.set_integration(10.0)
        meter.set_range(100.0)


def test_a_range_that_was_not_taken_leaves_none(conversation: Conversation) -> None:
    with conversation(KeithleyDmm6500, IDN, *RANGE[:-2], ("SENS:VOLT:RANG?", "1")) as meter:
        with pytest.raises(InstrumentError, match=r"says 1, expected 0\.1"):
            meter.set_range(0.1)
        with pytest.raises(InstrumentError, match="set_range"):
            meter.measure_voltage()


def test_only_its_own_ranges_and_integrations_are_sent(conversation: Conversation) -> None:
    with conversation(KeithleyDmm6500, IDN) as meter:
        for range_v in (50.0, -1.0, 0.0, float("nan")):
            with pytest.raises(OutOfRange):
                meter.set_range(range_v)
        for cycles in (0.0001, 100.0, float("nan")):
            with pytest.raises(OutOfRange):
                meter.set_integration(cycles)


def test_an_armed_digitiser_waits_until_the_level_is_crossed(armed: Conversation) -> None:
    waits = (("TRIG:STAT?", "RUNNING;RUNNING;3"), ("TRIG:STAT?", "WAITING;WAITING;4"))
    with armed(*waits, *COMPLETE) as meter:
        meter.arm_digitiser(**ASKED)
        assert [meter.has_triggered() for _ in range(3)] == [False, False, True]


def test_a_falling_level_is_told_and_read_back(conversation: Conversation) -> None:
    falling = [(command.replace("SLOP RIS", "SLOP FALL"), reply) for command, reply in TOLD]
    answers = [(question, reply.replace("RIS", "FALL")) for question, reply in READ_BACK]
    with conversation(
        KeithleyDmm6500, IDN, *falling, *answers, *told("INIT"), ("TRIG:STAT?", "WAITING;WAITING;4")
    ) as meter:
        meter.arm_digitiser(**{**ASKED, "rising": False})


@pytest.mark.parametrize("turned", [0, 1, 117, 299])
def test_the_samples_are_put_in_order_of_their_time(armed: Conversation, turned: int) -> None:
    with armed(*COMPLETE, (QUESTION, answer(step_at(AHEAD), turned=turned))) as meter:
        meter.arm_digitiser(**ASKED)
        waveform = meter.fetch_waveform()
    assert waveform.start_s == pytest.approx(-0.5e-3)
    assert waveform.step_s == pytest.approx(1e-5)
    assert waveform.values == (0.0,) * 50 + (5.0,) * 150


@pytest.mark.parametrize("late", [-4, -1, 2, 4])
def test_zero_is_where_the_samples_cross_not_where_the_comparator_said(armed: Conversation, late: int) -> None:
    with armed(*COMPLETE, (QUESTION, answer(step_at(AHEAD - late)))) as meter:
        meter.arm_digitiser(**ASKED)
        waveform = meter.fetch_waveform()
    assert waveform.at_s(waveform.values.index(5.0)) == pytest.approx(0.0, abs=1e-12)
    assert len(waveform.values) == 200


@pytest.mark.parametrize("at", [AHEAD - 5, AHEAD + 5, 200])
def test_a_crossing_elsewhere_is_not_taken_for_the_trigger(armed: Conversation, at: int) -> None:
    with armed(*COMPLETE, (QUESTION, answer(step_at(at)))) as meter:
        meter.arm_digitiser(**ASKED)
        with pytest.raises(InstrumentError, match="none crosses 2 V upwards"):
            meter.fetch_waveform()


def test_a_crossing_in_the_other_direction_is_not_taken_for_the_trigger(armed: Conversation) -> None:
    falling = [5.0] * AHEAD + [0.0] * (POINTS - AHEAD)
    with armed(*COMPLETE, (QUESTION, answer(falling))) as meter:
        meter.arm_digitiser(**ASKED)
        with pytest.raises(InstrumentError, match="none crosses"):
            meter.fetch_waveform()


@pytest.mark.parametrize("missing", ["9.9E+37", "-9.9E+37", "9.91E+37", "NAN", ""])
def test_an_overloaded_or_missing_sample_is_an_error(armed: Conversation, missing: str) -> None:
    values: list[float | str] = [*step_at(AHEAD)]
    values[20] = missing
    with armed(*COMPLETE, (QUESTION, answer(values))) as meter:
        meter.arm_digitiser(**ASKED)
        with pytest.raises(InstrumentError, match="TRAC:DATA"):
            meter.fetch_waveform()


def test_samples_that_are_not_evenly_spaced_are_an_error(armed: Conversation) -> None:
    told_late = answer(step_at(AHEAD)).replace(f"{100e-5:.15E}", f"{100.9e-5:.15E}")
    with armed(*COMPLETE, (QUESTION, told_late)) as meter:
        meter.arm_digitiser(**ASKED)
        with pytest.raises(InstrumentError, match="one is missing"):
            meter.fetch_waveform()


def test_an_answer_with_too_few_numbers_is_an_error(armed: Conversation) -> None:
    with armed(*COMPLETE, (QUESTION, answer(step_at(AHEAD)).rpartition(",")[0])) as meter:
        meter.arm_digitiser(**ASKED)
        with pytest.raises(InstrumentError, match="599 numbers"):
            meter.fetch_waveform()


def test_a_long_recording_is_fetched_in_chunks(conversation: Conversation) -> None:
    commands = [(text.replace("300", "1200").replace(",19,", ",2,"), reply) for text, reply in TOLD]
    answers = [(question, reply.replace("300", "1200")) for question, reply in READ_BACK]
    values = [0.0] * 24 + [5.0] * 1176
    chunks = [
        (
            f'TRAC:DATA? {first},{last},"defbuffer1",READ,REL',
            ",".join(f"{values[index]},{index * 1e-5:.15E}" for index in range(first - 1, last)),
        )
        for first, last in ((1, 500), (501, 1000), (1001, 1200))
    ]
    complete = (("TRIG:STAT?", "IDLE;IDLE;6"), ('TRAC:ACT? "defbuffer1"', "1200"))
    with conversation(
        KeithleyDmm6500,
        *(IDN, *commands, *answers, *told("INIT"), ("TRIG:STAT?", "RUNNING;RUNNING;3")),
        *(*complete, *chunks),
    ) as meter:
        meter.arm_digitiser(**{**ASKED, "duration_s": 11e-3, "before_s": 0.1e-3})
        waveform = meter.fetch_waveform()
    assert len(waveform.values) == 1100
    assert waveform.values.index(5.0) == 10


def test_a_trigger_before_enough_was_kept_is_an_error(armed: Conversation) -> None:
    early = (("TRIG:STAT?", "IDLE;IDLE;6"), ('TRAC:ACT? "defbuffer1"', "262"))
    with armed(*early) as meter:
        meter.arm_digitiser(**ASKED)
        with pytest.raises(InstrumentError, match="262 samples instead of 300"):
            meter.has_triggered()


@pytest.mark.parametrize("state", ["ABORTED", "ABORTING", "FAILED", "EMPTY", "BUILDING", ""])
def test_a_digitiser_that_somebody_stopped_is_an_error(armed: Conversation, state: str) -> None:
    with armed(("TRIG:STAT?", f"{state};{state};4")) as meter:
        meter.arm_digitiser(**ASKED)
        with pytest.raises(InstrumentError, match="not armed any more"):
            meter.has_triggered()


def test_samples_are_not_fetched_before_they_are_complete(armed: Conversation) -> None:
    with armed(("TRIG:STAT?", "WAITING;WAITING;4")) as meter:
        meter.arm_digitiser(**ASKED)
        with pytest.raises(InstrumentError, match="not triggered yet"):
            meter.fetch_waveform()


def test_a_digitiser_that_does_not_start_is_an_error(conversation: Conversation) -> None:
    idle = ("TRIG:STAT?", ("always", "IDLE;IDLE;6"))
    with conversation(KeithleyDmm6500, IDN, *ARMED[:-1], idle) as meter:
        with pytest.raises(InstrumentError, match=r"does not wait for 2 V \(or met it at once\)"):
            meter.arm_digitiser(**ASKED)
        with pytest.raises(InstrumentError, match="not armed"):
            meter.has_triggered()
        with pytest.raises(InstrumentError, match="not armed"):
            meter.fetch_waveform()


@pytest.mark.parametrize(
    ("question", "reply"),
    [
        ("DIG:FUNC?", '"CURR"'),
        ("DIG:VOLT:RANG?", "100"),
        ("DIG:VOLT:SRATE?", "50000"),
        ("DIG:VOLT:ATR:MODE?", "OFF"),
        ("DIG:VOLT:ATR:EDGE:LEV?", "0"),
        ("DIG:VOLT:ATR:EDGE:SLOP?", "FALL"),
        ('TRAC:POIN? "defbuffer1"', "100000"),
    ],
)
def test_a_setting_that_was_not_taken_is_an_error(conversation: Conversation, question: str, reply: str) -> None:
    asked = [each for each, _ in READ_BACK].index(question)
    with conversation(KeithleyDmm6500, IDN, *TOLD, *READ_BACK[:asked], (question, reply)) as meter:
        with pytest.raises(InstrumentError, match="expected"):
            meter.arm_digitiser(**ASKED)


def test_a_refused_command_is_an_error_with_its_text(conversation: Conversation) -> None:
    refused = ("SYST:ERR?", '-222,"Parameter data out of range;1;2026/01/01 12:00:00.0"')
    with conversation(KeithleyDmm6500, IDN, *TOLD[:7], refused, GOOD) as meter:
        with pytest.raises(InstrumentError, match=r"refused 'DIG:VOLT:SRATE 100000': -222 Parameter data out of range"):
            meter.arm_digitiser(**ASKED)


@pytest.mark.parametrize(
    "change",
    [
        {"range_v": 5.0},
        {"range_v": float("nan")},
        {"rate_hz": 999.0},
        {"rate_hz": 1_000_001.0},
        {"rate_hz": 1234.5},
        {"rate_hz": float("nan")},
        {"level_v": 10.1},
        {"level_v": float("nan")},
        {"duration_s": 1.0},
        {"duration_s": float("inf")},
        {"duration_s": 0.0},
        {"before_s": 2e-3},
        {"before_s": -1e-3},
        {"before_s": float("nan")},
    ],
)
def test_what_it_cannot_do_is_refused_before_anything_is_sent(
    conversation: Conversation, change: dict[str, float]
) -> None:
    with conversation(KeithleyDmm6500, IDN) as meter, pytest.raises(OutOfRange):
        meter.arm_digitiser(**{**ASKED, **change})


def test_between_arming_and_disarming_there_are_no_single_readings(conversation: Conversation) -> None:
    with conversation(KeithleyDmm6500, IDN, *RANGE, *ARMED, *DISARMED, ("READ?", "5.0E-02")) as meter:
        meter.set_range(0.1)
        meter.arm_digitiser(**ASKED)
        with pytest.raises(InstrumentError, match="disarm_digitiser first"):
            meter.measure_voltage()
        with pytest.raises(InstrumentError, match="disarm_digitiser first"):
            meter.set_range(1.0)
        with pytest.raises(InstrumentError, match="disarm_digitiser first"):
            meter.set_integration(1.0)
        meter.disarm_digitiser()
        assert meter.measure_voltage() == pytest.approx(0.05)


def test_a_power_cycle_while_armed_is_not_overlooked(armed: Conversation) -> None:
    lost = (("TRIG:STAT?", ("close",)), IDN, ('TRAC:POIN? "defbuffer1"', "100000"))
    with armed(*lost) as meter:
        meter.arm_digitiser(**ASKED)
        with pytest.raises(InstrumentError):
            meter.has_triggered()
        with pytest.raises(InstrumentError, match="says 100000, expected 300"):
            meter.has_triggered()
        with pytest.raises(InstrumentError, match="not armed"):
            meter.fetch_waveform()


def test_a_power_cycle_between_single_readings_is_not_overlooked(conversation: Conversation) -> None:
    lost = (("READ?", ("close",)), IDN, ("SENS:VOLT:RANG?", "1000"))
    with conversation(KeithleyDmm6500, IDN, *RANGE, *lost) as meter:
        meter.set_range(0.1)
        with pytest.raises(InstrumentError):
            meter.measure_voltage()
        with pytest.raises(InstrumentError, match=r"says 1000, expected 0\.1"):
            meter.measure_voltage()
        with pytest.raises(InstrumentError, match="set_range"):
            meter.measure_voltage()
