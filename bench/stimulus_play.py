"""Playing a profile of current: every setting at its absolute instant, inside the envelope, with an abort.

The whole profile is checked before the first ampere (`bench.stimulus_checks`). While it plays the abort of the guard is
armed for its end and a little more. A change of quadrant is marked in the traces, measured and told to the lab book.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.errors import Inconclusive
from bench.guard import FAST_S
from bench.quantities import Direction, direction_of, show
from bench.stand import Stand
from bench.stimulus_checks import Foreseen, require_playable, require_seen
from bench.stimulus_drive import force_quietly, prepare, release, set_prepared
from bench.stimulus_profile import CurrentProfile, Point, PulseTrain
from bench.stimulus_transition import (
    LOOK_AHEAD_S,
    QUADRANT,
    Transition,
    how_quadrants_change,
    measure_transition,
    quadrants_by,
)
from bench.traces import Mark

STRAIGHT_STEP_S = 0.1  # from one setting to the next where a current moves in a straight line
ABORT_AFTER_S = 2.0  # beyond its end a profile is aborted
TOLD_SINGLY = 4  # changes of quadrant; more are summed up in one line
PREPARES_S = 1.0  # a rest at least so long is used to switch the other driver on
LONG_S = 60.0  # a profile longer than this is sampled by the watch alone unless asked otherwise


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a profile: when it was due, when it had been commanded, and which current, in pack sign."""

    due_s: float
    done_s: float
    current_a: float


@dataclass(frozen=True, slots=True)
class Played:
    """What was played, in the bench's own time. `stopped_because` is empty where it was played to its end."""

    name: str
    begin_s: float
    end_s: float
    foreseen: Foreseen
    settings: tuple[Setting, ...]
    transitions: tuple[Transition, ...] = ()
    stopped_because: str = ""

    @property
    def complete(self) -> bool:
        """True when every setting was made."""
        return not self.stopped_because

    @property
    def late_s(self) -> float:
        """How long after its instant the latest setting had been commanded, in seconds."""
        return max((each.done_s - each.due_s for each in self.settings), default=0.0)


def pulse_train(
    stand: Stand, train: PulseTrain, *, abort_after_s: float | None = None, stop_when: Callable[[], bool] | None = None
) -> Played:
    """Force equal pulses of current; see `play`. The reference is sampled fast.

    Raises:
        Inconclusive: a pulse is too short for the reference to see it; or as `play`.
        OutOfRange: as `play`.
    """
    require_seen(train.on_s, FAST_S, f"pulses of {train.on_s:g} s")
    if train.count > 1:
        require_seen(train.off_s, FAST_S, f"pauses of {train.off_s:g} s")
    return play(stand, train.as_profile(), fast=True, abort_after_s=abort_after_s, stop_when=stop_when)


def play(
    stand: Stand,
    current: CurrentProfile,
    *,
    soc_pct: float | None = None,
    fast: bool | None = None,
    abort_after_s: float | None = None,
    stop_when: Callable[[], bool] | None = None,
) -> Played:
    """Force a profile of current, each setting at its instant; at the end the current is zero and all outputs are off.

    Args:
        stand: the open bench.
        current: what to play, in pack sign.
        soc_pct: where the cells stand, for the estimate of their voltages; None: what the BMS says.
        fast: whether the reference is sampled every 20 ms (else every 0.1 s); None: for up to a minute.
        abort_after_s: when the guard ends it, in seconds from its beginning; None: 2 s after its own end.
        stop_when: asked at every setting; True ends it there, for example once the BMS has opened.

    Raises:
        OutOfRange: some part of it leaves the envelope or the ratings; nothing was sent.
        Inconclusive: it could not be stopped in time, or energy or time would not last; nothing was sent.
    """
    foreseen = require_playable(stand, current, soc_pct=soc_pct)
    stand.note(f"play {current.name}" + (f" ({current.source})" if current.source else ""), foreseen=foreseen.as_dict())
    for line in foreseen.lines():
        stand.note(line)
    if foreseen.quadrant_changes:
        stand.note(f"quadrants change {how_quadrants_change(stand.definition)}")
    stand.progress(f"{current.name}: {current.duration_s:.0f} s")
    aborts_s = current.duration_s + ABORT_AFTER_S if abort_after_s is None else abort_after_s
    sampled_fast = current.duration_s <= LONG_S if fast is None else fast
    settings: list[Setting] = []
    marks: list[tuple[Mark, int]] = []
    why = ""
    try:
        with stand.guard.provoke(current.name, aborts_s, fast=sampled_fast):
            if (first := next(_ways(current), None)) is not None:
                prepare(stand, first)
            begin_s = stand.clock.now()
            why = _play(stand, current, begin_s, stop_when, settings, marks)
    finally:
        release(stand)
    end_s = stand.clock.now()
    if why:
        stand.note(f"{current.name} ended after {end_s - begin_s:.2f} s of {current.duration_s:g} s: {why}")
    transitions = tuple(_measured(stand, marks, settings, moving=current.between == "straight"))
    _tell(stand, transitions)
    return Played(current.name, begin_s, end_s, foreseen, tuple(settings), transitions, why)


def _play(
    stand: Stand,
    current: CurrentProfile,
    begin_s: float,
    stop_when: Callable[[], bool] | None,
    settings: list[Setting],
    marks: list[tuple[Mark, int]],
) -> str:
    """Make the settings one after the other; return why it ended before its end, or nothing.

    The driver that comes next is switched on at zero beforehand, so that a setting is one command.
    """
    ready = next(_ways(current), None)  # whose driver is on
    driven = None  # in which direction current was last set
    by = quadrants_by(stand.definition)
    coming = list(_settings(current))
    last_a = 0.0
    for number, point in enumerate(coming):
        stand.clock.sleep_until(begin_s + point.at_s)
        if stand.guard.aborted:
            return f"the abort of {stand.guard.aborted}"
        if stop_when is not None and stop_when():
            return "what it was played for has happened"
        way = direction_of(point.current_a) or ready
        if point.current_a and driven not in (None, way):
            stand.mark(QUADRANT, f"{show(last_a, 'A')} to {show(point.current_a, 'A')} commanded, {by}")
            marks.append((stand.traces.marks[-1], len(settings)))
        if way is not None and way is ready:
            set_prepared(stand, way, abs(point.current_a))
        else:
            force_quietly(stand, point.current_a)
        settings.append(Setting(begin_s + point.at_s, stand.clock.now(), point.current_a))
        last_a, ready, driven = point.current_a, way, way if point.current_a else driven
        if point.current_a == 0.0 and number + 1 < len(coming):
            following = coming[number + 1]
            other = direction_of(following.current_a)
            if other not in (None, ready) and following.at_s - point.at_s >= PREPARES_S:
                prepare(stand, other)
                ready = other
    return ""


def _ways(current: CurrentProfile) -> Iterator[Direction]:
    """Yield the directions in which it flows, in their order."""
    for point in _settings(current):
        if (way := direction_of(point.current_a)) is not None:
            yield way


def _settings(current: CurrentProfile) -> Iterator[Point]:
    """Yield every setting of a profile: its points, and those on a grid where it moves in a straight line."""
    for segment in current.segments():
        count = 1 if segment.begin_a == segment.end_a else max(1, math.ceil(segment.lasts_s / STRAIGHT_STEP_S - 1e-9))
        for index in range(count):
            share = index / count
            yield Point(
                segment.begin_s + segment.lasts_s * share, segment.begin_a + (segment.end_a - segment.begin_a) * share
            )
    yield current.points[-1]


def _measured(
    stand: Stand, marks: list[tuple[Mark, int]], settings: list[Setting], *, moving: bool
) -> Iterator[Transition]:
    """Measure every change of quadrant that was marked; one that cannot be measured is told with its reason."""
    for mark, index in marks:
        if index == len(settings):
            continue  # the setting itself was refused, and that is being raised
        # A level lasts until the next setting; where it moves, until one of another sign.
        changed, following = settings[index], settings[index + 1 :]
        ends = (each.due_s for each in following if not moving or each.current_a * changed.current_a <= 0.0)
        until_s = next(ends, stand.clock.now())
        try:
            yield measure_transition(stand.traces, mark, until_s=until_s, moving=moving)
        except Inconclusive as problem:
            stand.note(f"change of quadrant at {mark.at_s:.3f} s not measured: {problem}")


def _tell(stand: Stand, transitions: tuple[Transition, ...]) -> None:
    """Write the measured changes of quadrant into the lab book: a few one by one, many as a summary."""
    if not transitions:
        return
    for each in transitions if len(transitions) <= TOLD_SINGLY else ():
        stand.note(f"quadrant changed: {each}", transition=each.as_dict())
    if len(transitions) > TOLD_SINGLY:
        at_zero = [each.at_zero_s.value for each in transitions]
        overshoots = [each.overshoot_a for each in transitions if each.overshoot_a is not None]
        stand.note(
            f"{len(transitions)} changes of quadrant measured: {min(at_zero):.3f} to {max(at_zero):.3f} s at zero, "
            f"overshoot at most {max(overshoots, default=0.0):.2f} A, samples up to "
            f"{max(each.gap_s for each in transitions):.3f} s apart",
            transitions=[each.as_dict() for each in transitions],
        )


def reverse(stand: Stand, from_a: float, to_a: float, *, hold_s: float = LOOK_AHEAD_S) -> Played:
    """Hold one current, then the one of the other direction, each for a while; the change is marked and measured.

    Raises:
        Inconclusive: as `play`.
        OutOfRange: as `play`; also where the two have one direction.
    """
    points = (Point(0.0, from_a), Point(hold_s, to_a), Point(2.0 * hold_s, 0.0))
    return play(stand, CurrentProfile(f"{from_a:+g} A to {to_a:+g} A", points), fast=True)
