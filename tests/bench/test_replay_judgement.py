"""What a recording says about its own currents; every trace here is made by hand."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.quantities import Direction
from bench.replay_judgement import longest_unchanged, resolution, updates
from bench.replay_witness import counter_witness, flag_witness, sign_witness, voltage_witness
from bench.traces import Trace

GRID = [0.1 * n for n in range(600)]


def square(at_s: float) -> float:
    """+10 A for four seconds, rest for four, -10 A for four, rest for four."""
    return (10.0, 0.0, -10.0, 0.0)[int(at_s / 4) % 4]


def pack(sign: int = 1, ohm: float = 0.02, noise_v: float = 0.005, step_v: float = 0.01) -> tuple[Trace, Trace]:
    """A pack with a resistance, whose BMS reports the current with this sign and the voltage rounded."""
    random_v = random.Random(7)
    current = Trace("pack_current", list(GRID), [sign * square(t) for t in GRID])
    voltages = [53.0 + ohm * square(t) + random_v.gauss(0, noise_v) for t in GRID]
    return current, Trace("pack_voltage", list(GRID), [round(v / step_v) * step_v for v in voltages])


def test_spacing_and_gaps_are_measured() -> None:
    found = updates([0.0, 0.1, 0.2, 0.7, 0.8], allowed_s=0.3)
    assert found.samples == 5
    assert found.median_s == pytest.approx(0.1)
    assert found.worst_s == pytest.approx(0.5)
    assert found.gaps == ((0.2, pytest.approx(0.5)),)


@pytest.mark.parametrize("count", [0, 1])
def test_with_less_than_two_samples_there_is_no_spacing(count: int) -> None:
    found = updates([1.0] * count, 0.3)
    assert (found.samples, found.median_s, found.worst_s, found.gaps) == (count, None, None, ())


def test_exactly_the_allowed_age_is_no_gap() -> None:
    assert updates([0.0, 0.1 + 0.1 + 0.1], 0.3).gaps == ()


def test_a_value_that_stands_while_the_voltage_moves_looks_frozen() -> None:
    current = Trace("pack_current", list(GRID), [5.0] * 300 + [4.0] * 300)
    voltage = Trace("pack_voltage", list(GRID), [53.0 + 0.01 * (n // 30) for n in range(600)])
    found = longest_unchanged(current, {"pack_voltage": voltage})
    assert found is not None
    assert (found.value, found.samples, found.whole) == (5.0, 300, False)
    assert found.length_s == pytest.approx(29.9)
    assert found.suspicion.startswith("pack_voltage moved by 0.09")


def test_a_long_rest_is_not_suspicious() -> None:
    current = Trace("pack_current", list(GRID), [0.0] * 600)
    voltage = Trace("pack_voltage", list(GRID), [53.0 + 0.01 * (n // 30) for n in range(600)])
    found = longest_unchanged(current, {"pack_voltage": voltage})
    assert found is not None
    assert found.whole
    assert found.suspicion == ""


def test_a_steady_value_is_not_suspicious_when_nothing_else_moves() -> None:
    current = Trace("pack_current", list(GRID), [5.0] * 600)
    found = longest_unchanged(current, {"pack_voltage": Trace("pack_voltage", list(GRID), [53.0] * 600)})
    assert found is not None
    assert found.suspicion == ""


def test_nothing_recorded_is_nothing_unchanged() -> None:
    assert longest_unchanged(Trace("pack_current"), {}) is None


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=60))
def test_no_stretch_is_longer_than_the_longest_found(counts: list[int]) -> None:
    found = longest_unchanged(Trace("x", [float(n) for n in range(len(counts))], [float(c) for c in counts]), {})
    assert found is not None
    runs, length = [], 1
    for before, now in pairwise(counts):
        length = length + 1 if before == now else 1
        runs.append(length)
    assert found.samples == max([1, *runs])


def test_the_smallest_step_is_the_resolution() -> None:
    assert resolution([1.0, 1.5, 1.25, 1.0]) == 0.25
    assert resolution([1.0, 1.0]) == 0.0


def test_a_voltage_that_rises_with_charging_agrees() -> None:
    witness = voltage_witness(*pack())
    assert witness.word == "agrees"
    assert "rises by 20" in witness.text or "rises by 19" in witness.text


def test_a_voltage_that_falls_with_charging_contradicts_and_names_the_suspicion() -> None:
    witness = voltage_witness(*pack(sign=-1))
    assert witness.word == "contradicts"
    assert "is the sign inverted?" in witness.text


@pytest.mark.parametrize("sign", [1, -1])
def test_a_voltage_that_drowns_in_noise_says_nothing(sign: int) -> None:
    assert voltage_witness(*pack(sign, ohm=0.0001, noise_v=0.05)).word == "not enough movement"


def test_a_magnitude_in_both_directions_says_nothing_or_contradicts_never_agrees() -> None:
    current, voltage = pack()
    magnitude = Trace(current.name, current.at_s, [abs(value) for value in current.values])
    assert voltage_witness(magnitude, voltage).word != "agrees"


@pytest.mark.parametrize("traces", [(Trace("i"), Trace("v")), (Trace("i", [0.0], [1.0]), Trace("v", [0.0], [1.0]))])
def test_too_little_data_says_nothing(traces: tuple[Trace, Trace]) -> None:
    assert voltage_witness(*traces).word == "not enough movement"


def test_rest_alone_says_nothing() -> None:
    current = Trace("i", list(GRID), [0.0] * 600)
    assert voltage_witness(current, pack()[1]).word == "not enough movement"


@pytest.mark.parametrize(("sign", "word"), [(1, "agrees"), (-1, "contradicts")])
def test_under_a_steady_current_the_slow_change_decides(sign: int, word: str) -> None:
    """Half an hour of discharge without a step: the voltage falls by 0.2 V."""
    at_s = [float(n) for n in range(1800)]
    current = Trace("i", at_s, [-20.0 * sign] * 1800)
    voltage = Trace("v", at_s, [round(53.0 - 0.2 * t / 1800, 2) for t in at_s])
    assert voltage_witness(current, voltage).word == word


@pytest.mark.parametrize(("sign", "word"), [(1, "agrees"), (-1, "contradicts")])
def test_a_link_that_sends_once_in_two_seconds_is_judged_too(sign: int, word: str) -> None:
    at_s = [2.0 * n for n in range(100)]
    current = Trace("i", at_s, [sign * 10.0 * ((n // 5) % 2) for n in range(100)])
    voltage = Trace("v", at_s, [53.0 + 0.2 * ((n // 5) % 2) for n in range(100)])
    assert voltage_witness(current, voltage).word == word


@pytest.mark.parametrize(("sign", "word"), [(1, "agrees"), (-1, "contradicts")])
def test_a_counter_goes_with_or_against_the_integrated_current(sign: int, word: str) -> None:
    at_s = [float(n) for n in range(3600)]
    current = Trace("i", at_s, [sign * 20.0] * 3600)
    soc = Trace("soc", at_s, [round(50.0 + 20 * t / 3600, 1) for t in at_s])
    assert counter_witness(current, soc, 0.1).word == word


def test_a_counter_that_moved_by_one_step_says_nothing() -> None:
    at_s = [float(n) for n in range(100)]
    current = Trace("i", at_s, [20.0] * 100)
    soc = Trace("soc", at_s, [50.0] * 50 + [50.1] * 50)
    assert counter_witness(current, soc, 0.1).word == "not enough movement"


@pytest.mark.parametrize(("sign", "word"), [(1, "agrees"), (-1, "contradicts")])
def test_power_has_the_currents_direction(sign: int, word: str) -> None:
    current, _ = pack()
    power = Trace("pack_power", list(GRID), [sign * 53.0 * square(t) for t in GRID])
    assert sign_witness(current, power, 0.2).word == word


def test_an_unsigned_power_is_neither() -> None:
    current, _ = pack()
    power = Trace("pack_power", list(GRID), [abs(53.0 * square(t)) for t in GRID])
    assert sign_witness(current, power, 0.2).word == "not enough movement"


@pytest.mark.parametrize(("direction", "word"), [(Direction.DISCHARGE, "agrees"), (Direction.CHARGE, "contradicts")])
def test_a_flag_that_rose_while_discharging_is_a_discharge_flag(direction: Direction, word: str) -> None:
    at_s = [0.1 * n for n in range(100)]
    current = Trace("i", at_s, [0.0] * 20 + [-120.0] * 30 + [0.0] * 50)
    flag = Trace("flag", at_s, [0.0] * 52 + [1.0] * 48)  # reported after the current has stopped
    witness = flag_witness(current, flag, direction, 0.2)
    assert witness.word == word


def test_a_flag_that_never_rose_or_rose_at_rest_says_nothing() -> None:
    at_s = [0.1 * n for n in range(100)]
    current = Trace("i", at_s, [0.0] * 100)
    for values in ([0.0] * 100, [0.0] * 50 + [1.0] * 50):
        witness = flag_witness(current, Trace("flag", at_s, values), Direction.CHARGE, 0.2)
        assert witness.word == "not enough movement"


@given(
    st.lists(st.floats(-200, 200), min_size=0, max_size=80),
    st.lists(st.floats(40, 60), min_size=0, max_size=80),
)
def test_turning_the_current_turns_the_witness(currents: list[float], voltages: list[float]) -> None:
    """No data make the same witness say the same of a current and of its inverse."""
    count = min(len(currents), len(voltages))
    at_s = [0.5 * n for n in range(count)]
    voltage = Trace("v", at_s, voltages[:count])
    words = {
        sign: voltage_witness(Trace("i", at_s, [sign * value for value in currents[:count]]), voltage).word
        for sign in (1, -1)
    }
    opposite = {"agrees": "contradicts", "contradicts": "agrees"}
    assert words[-1] == opposite.get(words[1], words[1])
    assert all(math.isfinite(value) for value in voltage.values)


# Several recordings one behind the other: a run writes its tests so.


def test_nothing_is_concluded_across_the_beginning_of_another_recording() -> None:
    """The second recording begins at another state of charge and current: no step, no gap, no counted charge."""
    at_s = [0.1 * n for n in range(100)] + [11.0 + 0.1 * n for n in range(100)]
    current = Trace("i", at_s, [-5.0] * 100 + [5.0] * 100)
    voltage = Trace("v", at_s, [53.0] * 100 + [51.0] * 100)
    soc = Trace("soc", at_s, [80.0] * 100 + [20.0] * 100)
    assert voltage_witness(current, voltage, [11.0]).word == "not enough movement"
    assert counter_witness(current, soc, 0.1, [11.0]).word == "not enough movement"
    assert updates(at_s, 0.3).gaps != ()
    assert updates(at_s, 0.3, [11.0]).gaps == ()


def test_a_value_is_not_unchanged_across_the_beginning_of_another_recording() -> None:
    at_s = [0.1 * n for n in range(200)]
    found = longest_unchanged(Trace("i", at_s, [5.0] * 200), {}, breaks=[at_s[150]])
    assert found is not None
    assert (found.samples, found.begin_s, found.whole) == (150, 0.0, False)


def test_a_flag_that_is_up_when_a_recording_begins_did_not_rise_in_it() -> None:
    at_s = [0.1 * n for n in range(100)]
    current = Trace("i", at_s, [-120.0] * 50 + [120.0] * 50)
    flag = Trace("flag", at_s, [0.0] * 50 + [1.0] * 50)
    assert flag_witness(current, flag, Direction.CHARGE, 0.2).word == "contradicts"  # looks back over the border
    witness = flag_witness(current, flag, Direction.CHARGE, 0.2, [at_s[50]])
    assert witness.word == "not enough movement"


def test_recordings_are_taken_together() -> None:
    """One step each is too little; eight of them decide."""
    at_s, currents, voltages, breaks = [], [], [], []
    for start_s in (0.0, 100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 700.0):
        breaks.append(start_s)
        for n in range(40):
            at_s.append(start_s + 0.1 * n)
            currents.append(0.0 if n < 20 else 10.0)
            voltages.append(50.0 + start_s / 100 + (0.0 if n < 20 else 0.2))
    witness = voltage_witness(Trace("i", at_s, currents), Trace("v", at_s, voltages), breaks[1:])
    assert witness.word == "agrees"
    assert "over 8 steps" in witness.text
