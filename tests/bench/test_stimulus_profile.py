"""Profiles of current as data: pulse trains, points, scaling, and CSV files that say unit and sign or are refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import DefinitionError, OutOfRange
from bench.quantities import Direction
from bench.stimulus import CurrentProfile, PulseTrain, find_cycle, read_profile
from bench.stimulus_csv import CYCLES
from bench.stimulus_profile import Point, Segment

HEADER = "time [s],current [A] charge positive"


def profile(*points: tuple[float, float], between: Any = "held") -> CurrentProfile:
    return CurrentProfile("p", tuple(Point(*point) for point in points), between)


# -- pulse trains ----------------------------------------------------------------------------------------------------


def test_a_pulse_train_has_its_edges_where_it_says() -> None:
    train = PulseTrain(-80.0, on_s=0.3, off_s=0.7, count=3, phase_s=0.05)
    assert [edge for pair in train.edges_s() for edge in pair] == pytest.approx([0.05, 0.35, 1.05, 1.35, 2.05, 2.35])
    points = train.as_profile().points
    assert [point.at_s for point in points] == pytest.approx([0.0, 0.05, 0.35, 1.05, 1.35, 2.05, 2.35])
    assert [point.current_a for point in points] == [0.0, -80.0, 0.0, -80.0, 0.0, -80.0, 0.0]
    assert train.name == "3 x 0.3 s at -80 A, 0.7 s between"


def test_pulses_on_a_base_come_back_to_it_and_end_at_rest() -> None:
    points = PulseTrain(90.0, on_s=1.0, off_s=2.0, count=2, base_a=20.0).as_profile().points
    assert [tuple(point) for point in points] == [(0, 90), (1, 20), (3, 90), (4, 20), (6, 0)]


def test_one_pulse_without_a_pause_is_a_pulse() -> None:
    points = PulseTrain(50.0, on_s=2.0, off_s=0.0, count=1).as_profile().points
    assert [tuple(point) for point in points] == [(0, 50), (2, 0)]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"count": 0}, "at least one pulse"),
        ({"on_s": 0.0}, "on_s = 0.0 s; write more than 0"),
        ({"on_s": math.nan}, "on_s = nan"),
        ({"off_s": -1.0}, "off_s = -1.0 s; write at least 0"),
        ({"off_s": 0.0}, "makes one pulse of 3"),
        ({"phase_s": math.inf}, "phase_s = inf"),
        ({"amplitude_a": math.nan}, "is no setting"),
        ({"amplitude_a": 5.0, "base_a": 5.0}, "there is no pulse"),
    ],
)
def test_a_pulse_train_that_means_nothing_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(OutOfRange, match=told):
        PulseTrain(**{"amplitude_a": 50.0, "on_s": 0.5, "off_s": 0.5, "count": 3, **changes})


# -- points ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("points", "told"),
    [
        ([(0.0, 1.0)], "1 points; it needs"),
        ([(1.0, 1.0), (2.0, 0.0)], "its first time must be 0"),
        ([(0.0, 1.0), (2.0, 1.0), (2.0, 0.0)], "point 3: 2 s is not after 2 s"),
        ([(0.0, 1.0), (2.0, 1.0)], "ends with 1 A"),
        ([(0.0, math.nan), (2.0, 0.0)], "is no setting"),
        ([(0.0, 1.0), (1e7, 0.0)], "more than a week"),
    ],
)
def test_points_that_are_no_profile_are_refused(points: list[tuple[float, float]], told: str) -> None:
    with pytest.raises(OutOfRange, match=told):
        profile(*points)


def test_peaks_are_magnitudes_in_their_direction() -> None:
    found = profile((0, 20), (1, -50), (2, 0))
    assert (found.peak_a(Direction.CHARGE), found.peak_a(Direction.DISCHARGE)) == (20.0, 50.0)
    assert profile((0, 20), (1, 0)).peak_a(Direction.DISCHARGE) == 0.0


def test_scaling_turns_nothing_round() -> None:
    base = profile((0, 20), (1, -50), (2, 0))
    assert [point.current_a for point in base.scaled_to(100.0).points] == [40.0, -100.0, 0.0]
    for factor in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(OutOfRange, match="a factor is positive"):
            base.scaled(factor)
    with pytest.raises(OutOfRange, match="no current flows"):
        profile((0, 0), (1, 0)).scaled_to(10.0)


def test_repeating_joins_end_and_beginning() -> None:
    found = profile((0, 20), (1, -50), (2, 0)).repeated(3)
    assert [point.at_s for point in found.points] == [0, 1, 2, 3, 4, 5, 6]
    assert found.points[-1].current_a == 0.0
    with pytest.raises(OutOfRange, match="0 times is not at all"):
        found.repeated(0)


@given(
    st.lists(st.tuples(st.floats(0.1, 100.0), st.floats(-100.0, 100.0)), min_size=1, max_size=20),
    st.sampled_from(["held", "straight"]),
)
def test_the_parts_of_a_profile_carry_its_charge_and_cross_no_zero(
    steps: list[tuple[float, float]], between: str
) -> None:
    at_s, points = 0.0, []
    for lasts_s, current_a in steps:
        points.append((at_s, current_a))
        at_s += lasts_s
    found = profile(*points, (at_s, 0.0), between=between)
    parts = [part for segment in found.segments() for part in segment.parts()]
    assert all(part.begin_a * part.end_a >= 0.0 for part in parts)
    charge = sum((part.begin_a + part.end_a) / 2 * part.lasts_s for part in parts)
    by_hand = 0.0
    for number, (begin_s, current_a) in enumerate(points):
        end_s, next_a = points[number + 1] if number + 1 < len(points) else (at_s, 0.0)
        by_hand += (end_s - begin_s) * (current_a if between == "held" else (current_a + next_a) / 2)
    assert charge == pytest.approx(by_hand, abs=1e-6)


def test_a_straight_stretch_is_split_where_it_passes_zero() -> None:
    assert list(Segment(0.0, 4.0, 30.0, -10.0).parts()) == [Segment(0, 3, 30, 0), Segment(3, 4, 0, -10)]


# -- files -----------------------------------------------------------------------------------------------------------


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "cycle.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_file_is_read_with_its_units_and_its_sign(tmp_path: Path) -> None:
    text = "# A title, of our own.\n# more\n\ntime [min],current [mA] discharge positive\n0,2000\n0.5,-3000\n1,0\n"
    found = read_profile(written(tmp_path, text))
    assert [tuple(point) for point in found.points] == [(0.0, -2.0), (30.0, 3.0), (60.0, 0.0)]
    assert (found.name, found.source, found.between) == ("cycle", "A title, of our own.", "held")


@pytest.mark.parametrize(
    "header",
    [
        HEADER,
        "time[s], current[A] charge_positive",
        '"time [s]","current [A] (charge positive)"',
        "\ufeffTime [s],Current [A] Charge positive",
    ],
)
def test_a_header_may_be_written_in_a_few_ways(tmp_path: Path, header: str) -> None:
    found = read_profile(written(tmp_path, f"{header}\n0,5\n1,0"))
    assert found.points[0].current_a == 5.0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "has no header"),
        ("0,5\n1,0\n", r"cycle.csv, line 1, column 1 \('0'\): is not called 'time'"),
        ("current [A] charge positive,time [s]\n0,5\n1,0", "column 1 .* is not called 'time'"),
        ("time,current [A] charge positive\n0,5\n1,0", r"column 1 \('time'\): has no unit; write time \[s\]"),
        ("time [s],current charge positive\n0,5\n1,0", r"column 2 .* has no unit; write current \[A\], there is no"),
        ("time [s],current [A]\n0,5\n1,0", r"column 2 \('current \[A\]'\): has no sign; write 'charge positive'"),
        ("time [s],current [A] positive\n0,5\n1,0", "'positive' says no sign"),
        ("time [s],current [A] charge positve\n0,5\n1,0", "did you mean 'charge positive'"),
        ("time [s],current [V] charge positive\n0,5\n1,0", "'V' is no unit of current"),
        ("time [A],current [A] charge positive\n0,5\n1,0", "'A' is no unit of time"),
        ("time [s] charge positive,current [A] charge positive\n0,5\n1,0", "after the unit of time means nothing"),
        (f"{HEADER},x\n0,5,1\n1,0,1", "line 1: 3 columns, two are needed"),
        (f"{HEADER}\n0;5\n1;0", "line 2: 1 column, two are needed.*write a point before decimals"),
        (f"{HEADER}\n0,0,5,5\n1,0", r"line 2: 4 columns.*decimal commas\? Write a point"),
        (f"{HEADER}\n# remark\n0,5\n1,\n2,0", "line 4, column 'current': is empty"),
        (f"{HEADER}\n0,5\n1,abc\n2,0", "line 3, column 'current': 'abc' is not a number"),
        (f"{HEADER}\n0,5\n1,1_0\n2,0", "line 3, column 'current': '1_0' is not a number"),
        (f"{HEADER}\n0,nan\n2,0", "line 2, column 'current': 'nan' is not a number"),
        (f"{HEADER}\n0,1e999\n2,0", "line 2, column 'current': '1e999' is not a finite number"),
        (f"{HEADER}\n0,5\n2,5\n1,0", "line 4, column 'time': 1 s is not after the 2 s of the row before"),
        (f"{HEADER}\n3,5\n4,0", "line 2, column 'time': 3 s; a profile begins at 0"),
        (f"{HEADER}\n0,5\n1,5", "line 3, column 'current': 5 A; the last row says when the profile ends"),
        (f"{HEADER}\n0,0", "1 points"),
        (f"{HEADER}\n", "0 points"),
        (b"\xff\xfe\x00t", "is not UTF-8 text"),
    ],
)
def test_a_file_with_a_mistake_is_refused_by_line_and_column(tmp_path: Path, text: str | bytes, told: str) -> None:
    with pytest.raises(DefinitionError, match=told) as caught:
        read_profile(written(tmp_path, text))
    assert str(caught.value).startswith("cycle.csv")


def test_a_file_that_is_not_there_is_named_with_its_neighbours(tmp_path: Path) -> None:
    written(tmp_path, f"{HEADER}\n0,0\n1,0")
    with pytest.raises(DefinitionError, match="did you mean 'cycle'"):
        read_profile(tmp_path / "cicle.csv")
    with pytest.raises(DefinitionError, match="no drive cycle called 'hilly_twon'; did you mean 'hilly_town'"):
        find_cycle("hilly_twon")


def test_a_labs_own_cycle_comes_first(tmp_path: Path) -> None:
    (tmp_path / "cycles").mkdir()
    own = tmp_path / "cycles" / "hilly_town.csv"
    own.write_text(f"{HEADER}\n0,1\n1,0\n", encoding="utf-8")
    assert find_cycle("hilly_town", tmp_path) == own
    assert find_cycle("hilly_town") == CYCLES / "hilly_town.csv"


@pytest.mark.parametrize("path", sorted(CYCLES.glob("*.csv")), ids=lambda path: path.stem)
def test_the_cycles_that_are_shipped_can_be_read_and_say_whose_they_are(path: Path) -> None:
    found = read_profile(path)
    assert "this project's own" in found.source
    assert 0.0 < found.peak_a(Direction.CHARGE) <= 100.0
    assert 0.0 < found.peak_a(Direction.DISCHARGE) <= 100.0
