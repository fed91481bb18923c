"""A virtual BMS that closes its switches by itself, and what any way of operation needs of its BMS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from bench.operation import AlwaysOn

_SHARE = 0.75  # of the declared settling time, so that the switches are closed when the bench looks


class Host(Protocol):
    """What an operation needs of the BMS it runs in."""

    switches: tuple[str, ...]

    def now_s(self) -> float:
        """Seconds since power-on."""

    def want(self, *names: str) -> None:
        """Close exactly these switches, as far as protections allow."""

    def fatal(self) -> bool:
        """Whether a protection of the highest level is active."""

    def flows(self) -> int:
        """+1 while charging, -1 while discharging, 0 at rest."""

    def clear(self) -> None:
        """The clear request has arrived."""


class AlwaysOnOperation:
    """Closes its switches by itself; a state signal, if the profile has one, tells what flows."""

    timing_error: bool = False
    precharge_failed_since_s: float | None = None  # it has no precharge of its own

    def __init__(self, host: Host, operation: AlwaysOn, words: Mapping[int, str]) -> None:
        self._host = host
        self._close_at_s = _SHARE * operation.settle_s
        self._raw = {word: raw for raw, word in words.items()}
        self._closed = False

    def power_on(self) -> None:
        """Begin anew."""
        self._closed = False
        self.check()

    def check(self) -> None:
        """Called every 10 ms."""
        if not self._closed and self._host.now_s() >= self._close_at_s:
            self._closed = True
            self._host.want(*(name for name in self._host.switches if name != "precharge"))

    def tripped(self, opens: tuple[str, ...]) -> None:
        """A protection of the highest level has tripped; the BMS opens and re-closes by the protections alone."""

    def opened(self, opens: tuple[str, ...]) -> None:
        """These switches were opened by a protection."""

    def request(self, values: Mapping[str, float], at_s: float) -> None:
        """A request: nobody listens."""

    def state_raw(self) -> int:
        """The value of the state signal."""
        flows = self._host.flows()
        if self._host.fatal():
            candidates: tuple[str, ...] = ("protection", "error", "fault")
        elif flows:
            candidates = ("charging", "charge") if flows > 0 else ("discharging", "discharge")
        else:
            candidates = ("idle", "standby", "rest", "normal", "on")
        known = [self._raw[word] for word in candidates if word in self._raw]
        return known[0] if known else min(self._raw.values(), default=0)
