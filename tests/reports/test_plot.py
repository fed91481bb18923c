"""Plots keep every extreme, stay small, stand by themselves, and read in black and white."""

from __future__ import annotations

import math
import random
import re
import xml.etree.ElementTree as ET
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from bench.evidence import Measurement
from bench.observer import Event
from bench.uncertainty import Uncertain
from bench.verdict import DecisionRule, Limits
from reports.classify import Outcome
from reports.plot import Band, Level, Panel, Plot, Series, decimate, svg_plot
from reports.plot_parts import ticks
from reports.recorder import Recorder
from reports.run_folder import RunFolder


def noisy(count: int = 10_000) -> Plot:
    dice = random.Random(1)
    at_s = [index * 0.01 for index in range(count)]

    def line(name: str, style: str) -> Series:
        return Series(name, at_s, [dice.gauss(0, 5) for _ in at_s], "A", style)

    return Plot(
        "three noisy traces & <their> marks",
        (
            Panel(
                "current / A",
                (line("reference", "reference"), line("BMS", "bms"), line("other", "other")),
                (Level("must trip: 32 A", 32.0),),
            ),
            Panel("flags", (Series("alarm", at_s, [float(at > 50) for at in at_s], "1", "step"),), steps=True),
        ),
        marks=((10.0, "stimulus"), (50.0, "t_off")),
        bands=(Band("allowed delay", 20.0, 30.0),),
        simulated=True,
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=3000), st.integers(2, 60))
def test_decimation_keeps_every_extreme_and_both_ends(values: list[float], columns: int) -> None:
    at_s = [0.1 * index for index in range(len(values))]
    points = decimate(at_s, values, columns)
    kept = [value for _, value in points]
    assert (min(kept), max(kept)) == (min(values), max(values))
    assert points[0] == (at_s[0], values[0])
    assert points[-1] == (at_s[-1], values[-1])
    assert [at for at, _ in points] == sorted(at for at, _ in points)
    assert len(points) <= max(2 * columns, 4 * columns)


def test_a_single_spike_in_ten_thousand_samples_stays_visible() -> None:
    values = [0.0] * 10_000
    values[4321] = 200.0
    assert 200.0 in [value for _, value in decimate([float(index) for index in range(10_000)], values)]


def test_three_traces_of_ten_thousand_points_stay_below_eighty_kilobytes() -> None:
    assert len(svg_plot(noisy()).encode()) < 80_000


def test_a_plot_is_well_formed_and_refers_to_nothing_outside() -> None:
    text = svg_plot(noisy())
    root = ET.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    outside = re.findall(r"https?://[^\"'\s]+", text)
    assert outside == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"<(script|image|use|style|foreignObject)\b|href|@import|url\(", text)


def test_lines_differ_without_colour_and_are_named_in_words() -> None:
    text = svg_plot(noisy(6000))
    lines = re.findall(r"<polyline [^>]*>", text)
    dashes = [re.search(r'stroke-dasharray="([^"]*)"', line) for line in lines]
    assert len({match[1] if match else "solid" for match in dashes}) == 3
    for word in ("reference", "BMS", "other", "must trip: 32 A", "stimulus", "t_off", "allowed delay", "alarm"):
        assert f">{word}</text>" in text


def test_simulated_is_written_on_it_only_when_it_is() -> None:
    assert svg_plot(noisy(100)).count(">SIMULATED<") == 2
    plot = noisy(100)
    assert "SIMULATED" not in svg_plot(Plot(plot.title, plot.panels))


def test_a_plot_without_samples_says_so() -> None:
    text = svg_plot(Plot("empty", (), simulated=True))
    assert "nothing was recorded" in text
    assert ">SIMULATED<" in text


def test_a_gap_of_missing_numbers_breaks_the_line() -> None:
    series = Series("x", [0.0, 1.0, 2.0, 3.0, 4.0], [0.0, 1.0, math.nan, 2.0, 3.0], "A", "bms")
    text = svg_plot(Plot("gap", (Panel("current / A", (series,)),)))
    assert text.count("<polyline") == 2
    assert "nan" not in text


def test_one_sample_is_a_dot() -> None:
    text = svg_plot(Plot("one", (Panel("current / A", (Series("x", [1.0], [5.0], "A"),)),)))
    assert "<circle" in text


def test_axis_numbers_are_round() -> None:
    assert ticks(-20.3, 41.0, 4) == [-20.0, 0.0, 20.0, 40.0]
    assert [round(tick, 6) for tick in ticks(3.30, 3.34, 4)] == [3.3, 3.31, 3.32, 3.33, 3.34]


def test_the_plot_of_a_test_shows_currents_levels_flags_and_marks(tmp_path: Path) -> None:
    recorder = Recorder(RunFolder(tmp_path), simulated=True)
    folder = recorder.begin_test("a.py::test_x", "Discharge over-current trips in time")
    for tick in range(200):
        at_s = tick * 0.1
        recorder.sample("reference_current", at_s, -115.0 if 5 < at_s < 15 else 0.0)
        recorder.sample("bms.pack_current", at_s, -114.0 if 5 < at_s < 15 else 0.0)
        recorder.sample("bms.alarm_discharge_overcurrent", at_s, float(at_s > 14))
        recorder.sample("bms.soc", at_s, 50.0)
    recorder.event(Event("note", 5.0, "must trip", {"threshold": -115.5, "unit": "A"}))
    recorder.event(Event("mark", 5.0, "stimulus"))
    recorder.end_test(Outcome.PASSED)
    recorder.close()
    text = (folder / "plot.svg").read_text()
    for word in (
        "Discharge over-current trips in time",
        "reference current (charging positive)",
        "BMS current, in pack sign",
        "must trip: -115.5 A",
        "bms.alarm_discharge_overcurrent",
        "stimulus",
        "SIMULATED",
    ):
        assert f">{word}</text>" in text
    assert "bms.soc" not in text


def test_a_judged_trip_brings_its_levels_instants_and_allowed_window(tmp_path: Path) -> None:
    recorder = Recorder(RunFolder(tmp_path), simulated=False)
    folder = recorder.begin_test("a.py::test_x", "trips in time")
    for tick in range(100):
        recorder.sample("reference_current", tick * 0.1, -115.5 if 2 < tick * 0.1 < 2.8 else 0.0)
    trip = Measurement(
        name="oc: trip delay at 115.5 A", value=Uncertain(0.7, 0.016, "s"), limits=Limits(0.45, 1.05), at_s=2.1
    )
    parameters = {"direction": "discharge", "threshold_a": 110.0, "must_trip_a": 115.5, "begin_s": 1.0, "end_s": 9.0}
    recorder.judged("trips", parameters, DecisionRule(), [trip])
    recorder.end_test(Outcome.PASSED)
    recorder.close()
    text = (folder / "plot.svg").read_text("utf-8")
    for word in ("t0", "t_off", "t_off allowed: 0.45 to 1.05 s", "threshold: -110 A", "must trip: -115.5 A"):
        assert f">{word}</text>" in text


def test_a_reported_value_stands_until_the_next_one_arrives() -> None:
    series = Series("BMS", [0.0, 1.0], [0.0, 10.0], "A", "bms")
    points = re.search(r'points="([^"]*)"', svg_plot(Plot("held", (Panel("current / A", (series,)),))))
    assert points is not None
    places = [tuple(map(float, pair.split(","))) for pair in points[1].split()]
    assert len(places) == 3
    assert places[0][1] == places[1][1] and places[1][0] == places[2][0]


def test_names_of_levels_that_lie_close_together_stand_side_by_side() -> None:
    levels = (Level("threshold: -110 A", -110.0), Level("must trip: -115.5 A", -115.5))
    series = Series("x", [0.0, 1.0], [0.0, -116.0], "A", "reference")
    text = svg_plot(Plot("levels", (Panel("current / A", (series,), levels),)))
    ends = [float(x) for x in re.findall(r'<text x="([\d.]+)" y="[\d.]+" text-anchor="end" fill="#991b1b"', text)]
    assert len(ends) == 2
    assert ends[0] - ends[1] > 90
