"""How voltages and temperatures move towards what must hold: slopes, limits, and arithmetic for both sides."""

from __future__ import annotations

import random

import pytest

from bench.envelope import Approach
from bench.errors import Inconclusive
from bench.profile import Profile, find_profile, load_profile
from bench.stimulus_approach import (
    cell_approach,
    charged_cell_approach,
    measured_approach,
    measured_slope,
    relaxes_by_v,
    sensor_approach,
)
from bench.traces import Trace


@pytest.fixture(scope="module")
def bms() -> Profile:
    """16 cells of 100 Ah; upper limit 3.75 V, absolute 2.00 to 3.90 V and -30 to 75 degC."""
    return load_profile(find_profile("foxbms_2"))


def test_a_falling_stimulus_is_stopped_above_its_lowest_value() -> None:
    falling = Approach("cell", "V", 2.10, 0.1, 2.00, falling=True)
    assert falling.arithmetic(0.5) is None
    text = falling.arithmetic(2.0)
    assert text is not None
    assert "0.1 V/s x 2 s to stop = 0.2 V, but from 2.1 to 2 V only 0.1 V are left" in text
    assert Approach("cell", "V", 1.9, 0.0, 2.00, falling=True).arithmetic(0.0) is not None


def test_an_emulated_cell_that_steps_needs_no_margin_but_must_end_inside(bms: Profile) -> None:
    assert cell_approach(bms, 3.67).arithmetic(10.0) is None
    assert cell_approach(bms, 3.87).arithmetic(0.5) is not None  # 103 % of 3.75 V are 3.8625 V
    assert cell_approach(bms, 2.45, falling=True).arithmetic(10.0) is None
    assert cell_approach(bms, 1.95, falling=True).arithmetic(0.5) is not None


def test_a_ramp_of_an_emulated_cell_counts_with_its_slope(bms: Profile) -> None:
    assert cell_approach(bms, 3.80, 0.1).arithmetic(0.5) is None
    assert cell_approach(bms, 3.80, 0.2).arithmetic(0.5) is not None
    assert cell_approach(bms, 3.80, -0.2).arithmetic(0.5) is not None  # a slope is a magnitude


def test_real_cells_run_on_while_the_current_is_being_stopped(bms: Profile) -> None:
    """50 A into 100 Ah: 1 % in 72 s; at 0.5 V per percent that is 6.9 mV/s."""
    found = charged_cell_approach(bms, 3.66, 50.0)
    assert found.per_s == pytest.approx(0.5 / 72)
    assert found.arithmetic(0.5) is None
    assert found.arithmetic(60.0) is not None
    down = charged_cell_approach(bms, 2.45, -50.0)
    assert (down.falling, down.limit) == (True, 2.00)
    assert down.per_s == found.per_s


def test_sensors_may_go_five_kelvin_beyond_the_cells(bms: Profile) -> None:
    assert sensor_approach(bms, 79.0).arithmetic(1.0) is None
    assert sensor_approach(bms, 81.0).arithmetic(1.0) is not None
    assert sensor_approach(bms, 75.0, 10.0).arithmetic(1.0) is not None
    assert sensor_approach(bms, -34.0, falling=True).arithmetic(1.0) is None
    assert sensor_approach(bms, -36.0, falling=True).arithmetic(1.0) is not None


def test_a_slope_is_measured_with_what_its_scatter_leaves_open(bms: Profile) -> None:
    """1.5 mV/s under noise of 1 mV: the stated interval holds the truth in about 95 of 100 windows."""
    chance, held = random.Random(7), 0
    for _ in range(300):
        trace = Trace("cell_7", [0.25 * index for index in range(40)])
        trace.values = [3.5 + 0.0015 * at_s + chance.gauss(0.0, 0.001) for at_s in trace.at_s]
        found = measured_slope(trace, 0.0, 10.0)
        held += abs(found.value - 0.0015) <= found.expanded
    assert 270 <= held <= 298
    going = measured_approach(bms, 3.65, found)
    assert going.per_s == pytest.approx(3.0 * (found.value + found.expanded))
    assert not going.falling


def test_too_few_samples_have_no_slope() -> None:
    with pytest.raises(Inconclusive, match="4 samples where 5"):
        measured_slope(Trace("cell_1", [0.0, 1.0, 2.0, 3.0], [3.0] * 4), 0.0, 9.0)
    with pytest.raises(Inconclusive, match="at one instant"):
        measured_slope(Trace("cell_1", [1.0] * 5, [3.0] * 5), 0.0, 9.0)


def test_a_cell_goes_back_by_its_resistance(bms: Profile) -> None:
    assert relaxes_by_v(bms, -50.0) == pytest.approx(0.05)  # 1 mohm
