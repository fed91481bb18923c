"""Making a bench safe that nobody has open, with parts that are slow, refuse or never come; no processes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import pytest

from bench.definition import find_definition, load_definition
from bench.errors import InstrumentError
from bench.wall_clock import machine_time_s
from instruments import making_safe

DEFINITION = load_definition(find_definition("virtual_bidirectional"))


class Part:
    """An instrument of any role: refuses to be opened, or to be controlled, until its time has come."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name

    def __getattr__(self, word: str) -> Any:
        def act(*_: Any) -> Any:
            self.world.did.append((self.name, word, machine_time_s() - self.world.begin_s))
            if word == "take_control" and self.world.refuses_control(self.name):
                raise InstrumentError("somebody else has control")
            if word == "close" and self.name == self.world.keeps_open:
                raise OSError("bad file descriptor")
            return {"measure_voltage": 0.0, "measure_dc_voltage": 0.0, "is_output_on": False}.get(word)

        if word.startswith("_"):
            raise AttributeError(word)
        return act

    def measure(self) -> float:
        return 0.0


class World:
    def __init__(self, opens_after_s: Mapping[str, float], controlled_after_s: Mapping[str, float]) -> None:
        self.keeps_open = ""
        self.begin_s = machine_time_s()
        self.did: list[tuple[str, str, float]] = []
        self._opens, self._controlled = opens_after_s, controlled_after_s
        world = self

        class Kind:
            @classmethod
            def open(cls, name: str, address: str, **_: Any) -> Part | Self:
                if machine_time_s() - world.begin_s < world._opens.get(name, 0.0):
                    raise InstrumentError(f"{name} answers with garbage")
                return Part(world, name)

        self.kinds = dict.fromkeys(DEFINITION.roles, Kind)

    def refuses_control(self, name: str) -> bool:
        return machine_time_s() - self.begin_s < self._controlled.get(name, 0.0)

    def first(self, name: str, word: str) -> float:
        return next(at_s for who, what, at_s in self.did if (who, what) == (name, word))


@pytest.fixture
def quicker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making_safe, "AT_ONCE_S", 0.3)
    monkeypatch.setattr(making_safe, "OPENING_S", 4.0)


NEVER = 1000.0


def leave(opens: Mapping[str, float] = {}, controlled: Mapping[str, float] = {}) -> tuple[World, Any]:
    world = World(opens, controlled)
    report = making_safe.make_safe(DEFINITION, kinds=world.kinds, patience_s=3.0)
    return world, report


@pytest.mark.usefixtures("quicker")
def test_what_answers_is_switched_off_while_the_relay_board_is_still_tried() -> None:
    world, report = leave({"relays": NEVER})
    assert world.first("source_sink", "output_off") < 2.5
    assert report.safe is False
    assert "not reached: disconnect" in report.text


@pytest.mark.usefixtures("quicker")
def test_an_instrument_that_comes_late_is_switched_off_when_it_comes_not_when_everybody_is_there() -> None:
    world, _ = leave({"relays": NEVER, "source_sink": 1.0})
    assert 1.0 <= world.first("source_sink", "output_off") < 2.9


@pytest.mark.usefixtures("quicker")
def test_one_that_answers_with_garbage_is_asked_again() -> None:
    world, report = leave({"source_sink": 1.0})
    assert any(step.step == "bidirectional" and step.done for step in report.steps if step.stage == "reached")
    assert world.first("relays", "open_contact") < 1.0  # which does not wait for it


@pytest.mark.usefixtures("quicker")
def test_one_that_refuses_control_is_closed_and_tried_again() -> None:
    world, report = leave(controlled={"source_sink": 1.0})
    did = [what for who, what, _ in world.did if who == "source_sink"]
    assert did[:2] == ["take_control", "close"]
    assert any(step.step == "bidirectional" and step.done for step in report.steps if step.stage == "reached")


def test_a_connection_that_cannot_be_closed_is_told_and_replaces_nothing() -> None:
    world, healthy = World({}, {}), World({}, {})
    world.keeps_open = "source_sink"
    report = making_safe.make_safe(DEFINITION, kinds=world.kinds)
    [failed] = [step for step in report.steps if step.stage == "closed"]
    assert (failed.step, failed.done, failed.text) == ("bidirectional", False, "OSError: bad file descriptor")
    names = [who for who, what, _ in world.did if what == "close"]
    assert sorted(names) == sorted(DEFINITION.roles.values()), "the others were closed all the same"
    assert report.safe is making_safe.make_safe(DEFINITION, kinds=healthy.kinds).safe
    assert "closed" not in {step.stage for step in report.failed}
