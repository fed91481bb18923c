"""Probing a protection on an open bench: one level held, one ramp, or one trip, each with abort and trip budget.

See `bench.search.Probe`. Whatever happened, the stimulus goes back to normal and the outputs go off after each window;
what the window shows is read from the traces (`bench.answers`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench import stimulus
from bench.answers import Asked, answer
from bench.guard import FAST_S, WATCH_S
from bench.letting_go import MARGIN, confirm_release, let_go
from bench.procedures import excusing_flags, role_of
from bench.protection import Protection
from bench.provoking import Provocation
from bench.provoking.demands import excusing
from bench.search_plan import Trial
from bench.slopes import rise_s
from bench.stand import Stand
from bench.verdict import ABORT_FACTOR

HOLDS = 3.0  # of the longest delay and one sample (metrology reference 7.3)
LEAST_HOLD_S = 1.0
AFTER_END_S = 0.5  # recorded after the current's end, to see who ended it
START_S = 2.0  # allowed for a source to reach its level ...
SETTING_S = 5.0  # ... and beside that for emulators, which take about a second to set a cell
LOOK_S = 0.6  # in which an emulator has surely been asked once before it moves
FLOW_A = 10.0  # that shows an end where the stimulus is a voltage or a temperature
CELL_STEP_S = 1.0  # between two settings of a cell on a ramp, so that it is measured in between
FAST_BELOW_S = 15.0  # windows shorter than this are sampled fast
RISE_FACTOR = 3.0  # how much longer than declared a slope may last, since each of its steps waits for an answer


@dataclass(slots=True)
class StandProbe:
    """Probes a protection on an open bench: see `bench.search.Probe`."""

    stand: Stand
    protection: Protection
    provocation: Provocation
    asked: Asked
    windows: list[dict[str, float]] = field(default_factory=list)
    begin_s: float = 0.0
    end_s: float = 0.0
    tripped_s: list[float] = field(default_factory=list)  # when it was tripped from here
    stair: float = 0.0  # the largest step of a ramp
    _tripped: bool = False
    _offset: float = 0.0  # by how much the reference showed more than was asked for

    @property
    def is_current(self) -> bool:
        """Whether the stimulus is the current itself."""
        return self.protection.about.quantity == "current"

    @property
    def hold_s(self) -> float:
        """How long a level is held: three times the longest delay and a sample, filters included."""
        behaviour = self.stand.profile.behaviour
        longest_s = self.protection.delay_s.max + self.protection.filter_s + behaviour.sample_s
        return max(LEAST_HOLD_S, HOLDS * longest_s)

    def at(self, level: float) -> Trial:
        """Hold a level from the normal side; the current's end, or that of the hold, ends it."""
        self.stand.progress(f"{self.protection.name}: {level:.4g} {self.protection.unit_si} for {self.hold_s:.1f} s")
        with self._provoked(level, ABORT_FACTOR * (self.hold_s + START_S)) as begin_s:
            self.provocation.step(level - self._offset)
            settled_s = None if self.is_current else self.stand.clock.now()
            self._wait(self.hold_s)
        trial = self._answer(begin_s, settled_s=settled_s)
        if self.protection.about.quantity != "temperature":  # a ladder's steps are no offset
            self._offset += trial.level - level
        return trial

    def ramp(self, begin: float, end: float, slope_per_s: float) -> Trial:
        """Move from one level to another at a slope until the current ends; hold the last level as a probe does."""
        lasts_s = abs(end - begin) / slope_per_s
        sign = 1.0 if end > begin else -1.0
        step_s = {"current": FAST_S, "voltage": CELL_STEP_S}.get(self.protection.about.quantity, WATCH_S)
        self.stand.progress(
            f"{self.protection.name}: ramp from {begin:.4g} to {end:.4g} {self.protection.unit_si} in {lasts_s:.0f} s"
        )
        with self._provoked(end, ABORT_FACTOR * (lasts_s + self.hold_s + START_S)) as begin_s:
            self.provocation.step(begin - self._offset)
            start_s, ended, since_s = self.stand.clock.now(), False, 0.0
            while not ended and since_s < lasts_s:
                self._move(begin + sign * slope_per_s * since_s - self._offset)
                self.stand.clock.sleep(step_s)
                before_s, since_s = since_s, self.stand.clock.now() - start_s
                self.stair = max(self.stair, slope_per_s * (since_s - before_s))
                ended = self._has_ended()
            ended = ended or self._wait(self.hold_s)
        return self._answer(begin_s, slope_per_s=sign * slope_per_s if ended else 0.0)

    def trip(self, level: float, abort_s: float, after_s: float) -> dict[str, float]:
        """Provoke a trip at a level, aborted by the guard if none comes; return the window, to be judged.

        Recorded for `after_s` after the end of the current.
        """
        self.stand.progress(
            f"{self.protection.name}: {level:.4g} {self.protection.unit_si}, abort after {abort_s:.1f} s"
        )
        with self._provoked(level, abort_s, after_s, fast=True) as begin_s:
            moved_s = self.provocation.step(level)
            self._wait(abort_s + START_S)
        self._note(not self.stand.guard.aborted)
        window = {"begin_s": begin_s, "end_s": self.end_s}
        return window if self.is_current else {**window, "moved_s": moved_s}

    def release(self) -> None:
        """Let the protection go as declared after a trip, and see that current flows again."""
        stand = self.stand
        if not self._tripped:
            stand.clock.sleep(self.protection.delay_s.max)  # whatever it counted may run down
            return
        self._tripped = False
        let_go(stand, self.protection, stand.clock.now())
        confirm_release(stand, self.protection.about.direction)

    # -- one window ----------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _provoked(
        self, level: float, abort_s: float, after_s: float = AFTER_END_S, *, fast: bool | None = None
    ) -> Iterator[float]:
        """Arm abort and trip budget around one window, and bring everything back to normal after it.

        A long hold tells a level and a yes or no, which takes no fast samples.
        """
        stand, protection = self.stand, self.protection
        way = protection.about.direction
        flows_a = level if self.is_current else self.asked.flow_a
        self.forget_old_trips()
        stand.trips.spend(protection)
        fast = abort_s < FAST_BELOW_S if fast is None else fast
        abort_s += RISE_FACTOR * rise_s(stand, flows_a) + (0.0 if self.is_current else SETTING_S)
        if not self.is_current:
            self.provocation.normal()  # takes seconds where an emulator sets one cell after the other
        self.begin_s = stand.clock.now()
        try:
            with stand.guard.provoke(protection.name, abort_s, level_a=flows_a, fast=fast):
                if not self.is_current:
                    stimulus.force(stand, way.sign * self.asked.flow_a)
                    stimulus.settle(stand, way.sign * self.asked.flow_a)
                    self.begin_s = stand.clock.now()
                    stand.clock.sleep(LOOK_S)
                yield self.begin_s
            stand.clock.sleep(after_s)  # no longer under the abort, which would count what has ended already
            self.end_s = stand.clock.now()
        finally:
            if not self.is_current:
                self.provocation.normal()
            stimulus.release(stand)

    def _move(self, level: float) -> None:
        if self.is_current:
            stimulus.force_quietly(self.stand, self.protection.about.direction.sign * level)
        else:
            self.provocation.step(level)

    def _wait(self, seconds: float) -> bool:
        """Wait for the current's end, at most so long; say whether it came."""
        until_s = self.stand.clock.now() + seconds
        while self.stand.clock.now() < until_s:
            self.stand.clock.sleep(min(WATCH_S, max(until_s - self.stand.clock.now(), 1e-3)))
            if self._has_ended():
                return True
        return False

    def _has_ended(self) -> bool:
        """Whether the newest samples show that the current, once it flowed, flows no more. Only ends the waiting."""
        trace = self.stand.traces["reference_current"]
        sign = self.protection.about.direction.sign
        flowed_a = max(
            (sign * value for value in trace.between(self.begin_s, self.stand.clock.now()).values), default=0.0
        )
        least_a = 0.5 * (self.protection.threshold_si if self.is_current else self.asked.flow_a)
        return flowed_a > least_a and sign * trace.values[-1] < 0.1 * flowed_a

    def _answer(self, begin_s: float, *, slope_per_s: float = 0.0, settled_s: float | None = None) -> Trial:
        self.stand.observers.drain()
        window = {"begin_s": begin_s, "end_s": self.end_s}
        if slope_per_s:
            window["slope_per_s"] = slope_per_s
        if settled_s is not None:
            window["settled_s"] = settled_s
        trial = answer(self.stand.traces, self.asked, **window)
        self.windows.append(window)
        self._note(trial.tripped)
        return trial

    def _note(self, tripped: bool) -> None:
        """Remember a trip, or give back what was budgeted for one: a lock-out counts trips."""
        self._tripped = tripped
        if tripped:
            self.tripped_s.append(self.end_s)
        else:
            self.stand.trips.spent[self.protection.name] -= 1

    def forget_old_trips(self) -> None:
        """Give back trips that the BMS has forgotten meanwhile, where its profile says that it does."""
        window_s = self.protection.lockout_window_s
        while (
            window_s is not None and self.tripped_s and self.stand.clock.now() - self.tripped_s[0] > MARGIN * window_s
        ):
            del self.tripped_s[0]
            self.stand.trips.spent[self.protection.name] -= 1


def asked_of(stand: Stand, provocation: Provocation) -> Asked:
    """Return what all windows of a search have in common."""
    protection = provocation.protection
    about = protection.about
    return Asked(
        channel=provocation.channel,
        above=about.above,
        direction=about.direction.word,
        role=role_of(stand, about.direction),
        other_flags=tuple(
            excusing_flags(stand.profile, protection)
            if about.quantity == "current"
            else excusing(stand.profile, protection)
        ),
        flow_a=0.0 if about.quantity == "current" else FLOW_A,
    )
