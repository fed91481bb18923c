"""Pulses and drive cycles on the virtual bench: real drivers over sockets, and what the reference saw of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bench import stimulus
from bench.definition import find_definition, load_definition
from bench.errors import OutOfRange
from bench.observer import Event, Observers
from bench.profile import find_profile, load_profile
from bench.stand import Stand
from bench.stimulus import CurrentProfile, PulseTrain
from bench.stimulus_profile import Point
from instruments.stand import open_stand


class Told:
    """Keeps notes and marks."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def event(self, event: Event) -> None:
        self.texts.append(f"{event.kind}: {event.text}")

    def sample(self, channel: str, at_s: float, value: float) -> None: ...

    def frame(self, frame: Any) -> None: ...

    def dialogue(self, dialogue: Any) -> None: ...


@pytest.fixture(params=["virtual", "virtual_bidirectional"])
def opened(request: pytest.FixtureRequest) -> Iterator[tuple[Stand, Told]]:
    told = Told()
    definition = load_definition(find_definition(request.param))
    profile = load_profile(find_profile("seplos_v3"))
    with open_stand(definition, profile, observers=Observers(told)) as stand:
        yield stand, told


def test_pulses_are_as_long_and_as_high_as_they_should_be(opened: tuple[Stand, Told]) -> None:
    stand, _ = opened
    train = PulseTrain(-120.0, on_s=1.0, off_s=1.5, count=3, phase_s=0.137)
    played = stimulus.pulse_train(stand, train)
    assert played.complete
    current = stand.traces["reference_current"]
    for begin_s, end_s in train.edges_s():
        begin_s, end_s = played.begin_s + begin_s, played.begin_s + end_s
        rises_s = current.crossing(-60.0, rising=False, after_s=begin_s)
        falls_s = current.crossing(-60.0, rising=True, after_s=begin_s + 0.2)
        assert rises_s is not None
        assert falls_s is not None
        assert rises_s - begin_s < 0.06  # one command and its answer, and a sample
        assert falls_s - rises_s == pytest.approx(1.0, abs=0.05)
        assert current.between(begin_s + 0.2, end_s - 0.1).mean() == pytest.approx(-120.0, abs=0.6)
    assert played.foreseen.beyond == ()  # 9 s are the shortest delay


def test_a_reversal_is_measured_and_said(opened: tuple[Stand, Told]) -> None:
    stand, told = opened
    [found] = stimulus.reverse(stand, 50.0, -50.0).transitions
    assert (found.from_a, found.to_a) == pytest.approx((50.0, -50.0), abs=0.5)
    assert found.gap_s <= 0.021
    assert found.arrived_s < 0.3
    assert found.overshoot_a == 0.0
    # Supply and load change over by two outputs, a bidirectional supply by its limits alone.
    assert 0.0 <= found.at_zero_s.value < 0.2
    assert any(text.startswith("note: quadrants change by ") for text in told.texts)
    assert any(text.startswith("note: quadrant changed: +49.9") for text in told.texts)


def test_a_cycle_moves_the_charge_that_was_foreseen(opened: tuple[Stand, Told]) -> None:
    stand, _ = opened
    points = [(0, -40), (6, 0), (8, 30), (14, -25), (20, 0), (21, 20), (26, 0)]
    cycle = CurrentProfile("small cycle", tuple(Point(*point) for point in points))
    played = stimulus.play(stand, cycle, fast=True)
    current = stand.traces["reference_current"].between(played.begin_s, played.end_s)
    moved = {1: 0.0, -1: 0.0}
    for index in range(1, len(current)):
        piece = current.values[index - 1] * (current.at_s[index] - current.at_s[index - 1]) / 3600.0
        moved[1 if piece > 0 else -1] += abs(piece)
    assert moved[1] == pytest.approx(played.foreseen.charge_ah["charge"], rel=0.02)
    assert moved[-1] == pytest.approx(played.foreseen.charge_ah["discharge"], rel=0.02)
    assert len(played.transitions) == 3
    assert played.foreseen.cells is not None


def test_what_would_leave_is_refused_with_no_output_ever_on(opened: tuple[Stand, Told]) -> None:
    stand, _ = opened
    asked_s = stand.clock.now()  # opening a bench may have used an output to close the disconnect gently
    with pytest.raises(OutOfRange, match=r"131 A discharge, envelope\.discharge_a allows 130 A"):
        stimulus.play(stand, CurrentProfile("too much", (Point(0.0, 5.0), Point(1.0, -131.0), Point(2.0, 0.0))))
    stand.clock.sleep(1.0)
    outputs = [
        trace.between(asked_s, stand.clock.now()).need()
        for name, trace in stand.traces.channels.items()
        if name.startswith("output.")
    ]
    assert outputs
    assert not any(trace.ever(lambda value: value >= 0.5) for trace in outputs)
