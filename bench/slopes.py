"""Raising a current no faster than `envelope.slope_a_per_s`: in small steps, on the clock."""

from __future__ import annotations

from collections.abc import Callable

from bench.clock import Clock
from bench.quantities import show
from bench.stand import Stand

SLOPE_STEP_S = 0.02  # from one step of a slope to the next; an instrument's answer comes on top


def raise_to(stand: Stand, set_a: Callable[[float], None], get_a: Callable[[], float], target_a: float) -> None:
    """Set a current, a magnitude in amperes; where it rises and a slope is declared, step by step from what is set now.

    Falling is always done at once. Where the abort of a provocation ends it on its way up, it stays there: what
    flowed is in the trace, and the judgement says that the level was not reached.

    Args:
        stand: whose envelope holds, and whose clock passes.
        set_a: a setter of a guarded role, which also refuses what is too fast.
        get_a: reads the same setting back.
        target_a: where it ends.

    Raises:
        ClockMisuse: a slope is declared and this was called inside a callback, where nothing may sleep.
        OutOfRange: the envelope does not allow the current.
    """
    slope = stand.definition.envelope.slope_a_per_s
    level_a = target_a if slope is None else get_a()
    if slope is None or level_a >= target_a:
        set_a(target_a)
        return
    while level_a < target_a:
        level_a = min(target_a, level_a + slope * _pause(stand.clock))
        if stand.guard.aborted:
            on_the_way = f"on the way to {show(target_a, 'A', signed=False)}, at {slope:g} A/s"
            stand.note(f"{on_the_way}, the abort of {stand.guard.aborted} came first")
            return
        set_a(level_a)


def rise_s(stand: Stand, current_a: float) -> float:
    """Return how long raising a current from zero takes at least, in seconds; 0 where no slope is declared."""
    slope = stand.definition.envelope.slope_a_per_s
    return 0.0 if slope is None else abs(current_a) / slope


def _pause(clock: Clock) -> float:
    """Wait for one step and return how much of the slope it is worth, in seconds.

    It is counted from after the last setting: what the guard counts from before it is never less. A step that comes
    late is worth no more than one in time, so that a busy machine does not make a jump out of a ramp.
    """
    since_s = clock.now()
    clock.sleep(SLOPE_STEP_S)
    return min(clock.now() - since_s, SLOPE_STEP_S)
