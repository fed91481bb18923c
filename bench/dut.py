"""The BMS under test, as its profile declares it: readings, flags, start-up and the request to open."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from bench.clock import Clock, wait_until
from bench.errors import DefinitionError, Inconclusive, LinkError, Missing, ReadingError
from bench.loading import nearest
from bench.observer import Event, Observer
from bench.operation import StateRequest
from bench.profile import Profile
from bench.roles import BmsLink, Reading

POLL_S = 0.05  # how often a state is looked at while waiting for it


class Dut:
    """One BMS with its links. Every reading is recorded as channel `bms.SIGNAL` when it arrives."""

    def __init__(self, profile: Profile, links: Mapping[str, BmsLink], clock: Clock, observer: Observer) -> None:
        self.profile = profile
        self.links = dict(links)
        self._clock = clock
        self._observer = observer
        self.identified = False  # whether `bench.dut_identity.check_dut` has asked
        self.serial = ""  # as read then, or as the operator said
        self.settings_changed = False
        self._link_of = {name: self._find_link(signal.link) for name, signal in profile.signals.items()}

    def _find_link(self, name: str) -> BmsLink:
        try:
            return self.links[name]
        except KeyError:
            raise DefinitionError(
                f"the bench has no link {name!r} that profile {self.profile.name} needs{nearest(name, self.links)}"
            ) from None

    def start(self) -> None:
        """Begin to listen, and to poll where the link must."""
        for link in self.links.values():
            link.start(self._on_reading)

    def _on_reading(self, reading: Reading) -> None:
        self._observer.sample(f"bms.{reading.signal}", reading.at_s, reading.value)

    def has(self, signal: str) -> bool:
        """Say whether the profile has this signal."""
        return signal in self.profile.signals

    def read(self, signal: str) -> float:
        """Return the newest value in inside units and pack sign; flags are 1 when active.

        Raises:
            ReadingError: missing, stale, bad or not implemented; nothing is put in its place.
            DefinitionError: the profile has no such signal.
        """
        if signal not in self._link_of:
            raise DefinitionError(
                f"profile {self.profile.name} has no signal {signal!r}{nearest(signal, self._link_of)}"
            )
        return self._link_of[signal].read(signal).value

    def flag(self, signal: str) -> bool:
        """Say whether a flag is raised now; errors as in `read`."""
        return self.read(signal) >= 0.5

    def state(self) -> str:
        """Return the state word; for a BMS that has no state signal, `on` or `off` by its switches.

        One that tells neither counts as `on` when its pack current can be read: whether it conducts is then for
        the polarity check and the reference to see.

        Raises:
            ReadingError: it cannot be read.
        """
        operation = self.profile.operation
        if isinstance(operation, StateRequest):
            value = round(self.read(operation.state))
            return self.profile.signals[operation.state].values.get(value, f"unknown state {value}")
        if not any(self.has(f"switch_{name}") for name in self.profile.bms.switches):
            self.read("pack_current")
            return "on"
        return "on" if self.switches_closed() else "off"

    def switch_states(self) -> dict[str, bool]:
        """Return what the BMS reports of each of its switches that has a signal `switch_NAME`."""
        return {name: self.flag(f"switch_{name}") for name in self.profile.bms.switches if self.has(f"switch_{name}")}

    def switches_closed(self) -> bool:
        """Say whether both directions are permitted, as the BMS reports it."""
        operation = self.profile.operation
        if isinstance(operation, StateRequest):
            return self.state() == operation.operating
        states = self.switch_states()
        if not states:
            raise Inconclusive(f"profile {self.profile.name} has no signal that tells whether it is closed")
        return all(states.values())

    def bring_up(self) -> None:
        """Bring the BMS to operation as the profile tells it.

        Raises:
            LinkError: it is silent and the bench cannot prove its own link.
            Inconclusive: it is heard, but does not reach operation in time.
        """
        operation = self.profile.operation
        if isinstance(operation, StateRequest):
            for step in operation.sequence:
                self._note(f"request {_text(step.request)} until {step.until}")
                self.links[operation.link].request(dict(step.request))
                self._wait_for(step.until, step.timeout_s)
                self._clock.sleep(step.wait_s)
            return
        self._wait_for("on", operation.settle_s + 3.0 + self._release_s())

    def _release_s(self) -> float:
        """How long a trip of the test before may still keep it open: only in simulated time does each test get a
        BMS that was just powered."""
        if self._clock.simulated:
            return 0.0
        rows = [row.release.after_s for row in self.profile.protections if row.release.kind == "time" and row.opens]
        return 1.1 * max(rows, default=0.0)

    def _wait_for(self, word: str, timeout_s: float) -> None:
        seen = ""

        def reached() -> bool:
            nonlocal seen
            try:
                seen = self.state()
            except ReadingError as problem:
                seen = f"not readable ({problem})"
            return seen == word

        if wait_until(self._clock, reached, timeout_s=timeout_s, poll_s=POLL_S) is None:
            self.require_link()
            raise Inconclusive(
                f"{self.profile.name} did not reach {word!r} within {timeout_s:g} s; its state is {seen}"
            )

    def require_link(self) -> None:
        """Make sure that silence would be the BMS's fault.

        Raises:
            LinkError: the bench cannot prove its own link.
        """
        for name, link in self.links.items():
            health = link.prove()
            if not health.proven:
                raise LinkError(f"link {name} to {self.profile.name}: {health.evidence}")

    @property
    def request_period_s(self) -> float:
        """How long a changed request may wait for its slot, in seconds; 0 for a BMS that takes none."""
        operation = self.profile.operation
        return operation.period_s if isinstance(operation, StateRequest) else 0.0

    def ask_open(self) -> str:
        """Ask the BMS to open its switches; return what was done in words.

        A BMS without an open command is named, not skipped in silence.
        """
        operation = self.profile.operation
        if not isinstance(operation, StateRequest):
            return f"{self.profile.name} has no open command"
        self.links[operation.link].request(dict(operation.open))
        return f"requested {_text(operation.open)}"

    def ask_operation(self) -> None:
        """Request operation again after a trip, without judging whether it comes.

        The steps of the profile's sequence are requested one after the other; whether the BMS follows is for the
        caller to see from current and state.
        """
        operation = self.profile.operation
        if not isinstance(operation, StateRequest):
            return
        for step in operation.sequence:
            self._note(f"request {_text(step.request)}, expecting {step.until}")
            self.links[operation.link].request(dict(step.request))
            wait_until(self._clock, partial(self._is, step.until), timeout_s=step.timeout_s, poll_s=POLL_S)
            self._clock.sleep(step.wait_s)

    def _is(self, word: str) -> bool:
        try:
            return self.state() == word
        except ReadingError:
            return False

    def clear(self) -> None:
        """Send the profile's clear request, where it has one."""
        operation = self.profile.operation
        if isinstance(operation, StateRequest):
            self._note(f"request {_text(operation.clear)}")
            self.links[operation.link].request(dict(operation.clear))

    def close(self) -> None:
        """Stop sending and polling."""
        for link in self.links.values():
            link.close()

    def _note(self, text: str) -> None:
        self._observer.event(Event("note", self._clock.now(), text))

    def wait_for_readings(self, signals: tuple[str, ...], timeout_s: float) -> None:
        """Wait until each signal can be read.

        Raises:
            LinkError: silent, and the bench cannot prove its own link.
            ReadingError: silent or unusable although the link is good.
        """

        def all_there() -> bool:
            try:
                for signal in signals:
                    self.read(signal)
            except ReadingError:
                return False
            return True

        if wait_until(self._clock, all_there, timeout_s=timeout_s, poll_s=POLL_S) is None:
            self.require_link()
            for signal in signals:
                self.read(signal)
            raise Missing(f"{', '.join(signals)}: never readable together within {timeout_s:g} s")


def _text(request: Mapping[str, float]) -> str:
    return ", ".join(f"{name} = {value:g}" for name, value in request.items())
