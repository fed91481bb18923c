"""What a test's judgements look at: the samples of the test that runs."""

from __future__ import annotations

from bench.observer import Event
from bench.traces import Traces


class TraceTap:
    """An observer that keeps the samples of the test that runs, for its judgements."""

    def __init__(self, traces: Traces) -> None:
        self.traces = traces

    def event(self, event: Event) -> None:
        """Ignore it."""

    def sample(self, channel: str, at_s: float, value: float) -> None:
        """Keep it."""
        self.traces.sample(channel, at_s, value)

    def frame(self, frame: object) -> None:
        """Ignore it."""

    def dialogue(self, dialogue: object) -> None:
        """Ignore it."""
