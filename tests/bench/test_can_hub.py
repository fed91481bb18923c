"""The in-process CAN bus, and the observers that are told of everything."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.can_hub import CanHub
from bench.frames import CanFrame
from bench.observer import Event, NullObserver, Observers
from bench.roles import Dialogue, Identity
from bench.simulated_clock import SimulatedClock

FRAME = CanFrame(99.0, 0x233, b"\x01\x02")


@pytest.fixture
def hub() -> Iterator[CanHub]:
    hub = CanHub("test-bus", SimulatedClock())
    yield hub
    hub.close()


def test_every_other_node_has_a_frame_at_once_with_the_clocks_time(hub: CanHub) -> None:
    heard: dict[str, list[CanFrame]] = {"a": [], "b": [], "c": []}
    nodes = {name: hub.attach(name, heard[name].append) for name in heard}
    hub.clock.sleep(1.5)
    nodes["a"].send(FRAME)
    assert heard["a"] == []
    assert heard["b"] == heard["c"] == [CanFrame(1.5, 0x233, b"\x01\x02")]


def test_a_frame_that_nobody_acknowledges_is_an_error(hub: CanHub) -> None:
    alone = hub.attach("alone", lambda frame: None)
    with pytest.raises(ConnectionError, match="nobody acknowledges on CAN bus 'test-bus'"):
        alone.send(FRAME)


def test_a_node_that_left_neither_sends_nor_hears(hub: CanHub) -> None:
    heard: list[CanFrame] = []
    left, stays, other = (hub.attach(name, heard.append) for name in ("left", "stays", "other"))
    left.detach()
    left.detach()
    with pytest.raises(ConnectionError, match="'left' is not on bus"):
        left.send(FRAME)
    stays.send(FRAME)
    assert len(heard) == 1
    other.detach()


def test_a_bus_is_found_by_name_while_it_is_open(hub: CanHub) -> None:
    assert CanHub.find("test-bus") is hub
    with pytest.raises(ConnectionError, match="is open already"):
        CanHub("test-bus", hub.clock)
    hub.close()
    with pytest.raises(ConnectionError, match="no in-process CAN bus called 'test-bus'"):
        CanHub.find("test-bus")


def test_a_frame_is_written_as_id_and_bytes() -> None:
    assert str(FRAME) == "233  01 02"
    assert str(CanFrame(0.0, 0x18FF50E5, b"\xff", extended=True)) == "18FF50E5  FF"


class Watcher(NullObserver):
    def __init__(self) -> None:
        self.seen: list[object] = []

    def event(self, event: Event) -> None:
        self.seen.append(event.text)

    def sample(self, channel: str, at_s: float, value: float) -> None:
        self.seen.append((channel, at_s, value))

    def frame(self, frame: CanFrame) -> None:
        self.seen.append(frame)

    def dialogue(self, dialogue: Dialogue) -> None:
        self.seen.append(dialogue.text)


def test_events_wait_for_the_tests_own_thread_and_keep_their_order() -> None:
    watcher = Watcher()
    observers = Observers(watcher)
    observers.event(Event("note", 0.0, "first"))
    observers.event(Event("note", 0.0, "second"))
    observers.sample("x", 1.0, 2.0)
    assert watcher.seen == [("x", 1.0, 2.0)]
    observers.drain()
    observers.drain()
    assert watcher.seen == [("x", 1.0, 2.0), "first", "second"]


def test_frames_and_dialogue_pass_at_once_and_an_observer_may_go() -> None:
    watcher, other = Watcher(), Watcher()
    observers = Observers(watcher)
    observers.add(other)
    observers.frame(FRAME)
    observers.dialogue(Dialogue(0.5, "supply", True, "OUTP ON"))
    observers.remove(other)
    observers.sample("x", 1.0, 2.0)
    assert watcher.seen == [FRAME, "OUTP ON", ("x", 1.0, 2.0)]
    assert other.seen == [FRAME, "OUTP ON"]


def test_an_observer_may_record_nothing() -> None:
    nobody = NullObserver()
    nobody.event(Event("note", 0.0, "x"))
    nobody.sample("x", 0.0, 0.0)
    nobody.frame(FRAME)
    nobody.dialogue(Dialogue(0.0, "x", False, "y"))
    assert vars(nobody) == {}


def test_a_dialogue_line_says_when_who_and_which_way() -> None:
    assert str(Dialogue(1.5, "supply", True, "OUTP ON")).split() == ["1.500000", "supply", ">", "OUTP", "ON"]
    assert "< 12.0" in str(Dialogue(1.5, "supply", False, "12.0"))


def test_a_serial_that_begins_with_virtual_makes_an_instrument_virtual() -> None:
    assert Identity("EA", "PSI 9080", "VIRTUAL-1", "1.0").virtual
    assert not Identity("EA", "PSI 9080", "2184560003", "1.0").virtual
    assert str(Identity("EA", "PSI 9080", "2184560003", "1.0")) == "EA PSI 9080, serial 2184560003"
