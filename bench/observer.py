"""Whoever wants to know what happens is handed in as one `Observer`.

Events are queued and drained by the test's own thread (`Observers.drain`): an Allure step that is opened
in another thread loses its parent. The recorder, the Allure writer and the live progress are observers.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal, Protocol

from bench.frames import CanFrame
from bench.roles import Dialogue

EventKind = Literal["step_begin", "step_end", "note", "progress", "mark", "measurement", "sample", "safe", "dut"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth telling: a step of the lab book, a mark on the trace, a judged measurement."""

    kind: EventKind
    at_s: float
    text: str
    data: dict[str, object] = field(default_factory=dict)


class Observer(Protocol):
    """Told of everything, in order. Must not raise, must not sleep, must not talk to instruments."""

    def event(self, event: Event) -> None:
        """Take note of a step, mark, measurement or progress."""

    def sample(self, channel: str, at_s: float, value: float) -> None:
        """Take note of one sample of a trace (inside units, pack sign)."""

    def frame(self, frame: CanFrame) -> None:
        """Take note of one CAN frame, either direction."""

    def dialogue(self, dialogue: Dialogue) -> None:
        """Take note of one message to or from an instrument."""


class NullObserver:
    """Watches nothing."""

    def event(self, event: Event) -> None:
        """Ignore it."""

    def sample(self, channel: str, at_s: float, value: float) -> None:
        """Ignore it."""

    def frame(self, frame: CanFrame) -> None:
        """Ignore it."""

    def dialogue(self, dialogue: Dialogue) -> None:
        """Ignore it."""


class Observers:
    """Several observers as one. Events wait in a queue until `drain`; samples, frames and dialogue pass at once."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = list(observers)
        self._queue: deque[Event] = deque()

    def add(self, observer: Observer) -> None:
        """Let one more observer watch."""
        self._observers.append(observer)

    def remove(self, observer: Observer) -> None:
        """Let an observer go."""
        self._observers.remove(observer)

    def event(self, event: Event) -> None:
        """Queue an event; it reaches the observers at the next `drain`."""
        self._queue.append(event)

    def drain(self) -> None:
        """Hand the queued events on, in order, in the calling thread."""
        while self._queue:
            event = self._queue.popleft()
            for observer in self._observers:
                observer.event(event)

    def sample(self, channel: str, at_s: float, value: float) -> None:
        """Hand a sample on at once."""
        for observer in self._observers:
            observer.sample(channel, at_s, value)

    def frame(self, frame: CanFrame) -> None:
        """Hand a frame on at once."""
        for observer in self._observers:
            observer.frame(frame)

    def dialogue(self, dialogue: Dialogue) -> None:
        """Hand a message on at once."""
        for observer in self._observers:
            observer.dialogue(dialogue)
