"""Who ended the current: reading a trip off the traces, and telling the BMS's act from the bench's.

"The current stopped" is the BMS's act only if no output was off or alarmed before it began to fall, and the voltage
across the BMS's switch rose. Terms after the metrology reference, section 5: t0 is when the measured stimulus crosses
the declared threshold, t_off when the measured current has fallen below 10 % of its value before.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.errors import Inconclusive
from bench.judgements import REFERENCE, truth_of
from bench.quantities import Direction
from bench.timing import OFF_SHARE
from bench.traces import Trace, Traces

SWITCH_DROP_V = 1.0  # an open switch shows at least this between its sides; a body diode less


@dataclass(frozen=True, slots=True)
class Ending:
    """How the current of a provocation came to its end."""

    at_s: float | None
    gap_s: float
    before_a: float


def find_t0(trace: Trace, threshold_a: float) -> tuple[float, float] | None:
    """Return when a magnitude crosses the threshold, as the middle between two samples, and the gap between them.

    Nobody saw what happened between the two. A step that fills the gap crosses anywhere in it, so the point at which
    the line between the samples crosses would be late by half the gap on average.
    """
    for index in range(1, len(trace)):
        if trace.values[index - 1] <= threshold_a < trace.values[index]:
            before_s, now_s = trace.at_s[index - 1], trace.at_s[index]
            return (before_s + now_s) / 2, now_s - before_s
    return None


def find_end(trace: Trace, after_s: float) -> Ending:
    """Return when a magnitude fell below 10 % of what it was, as the middle between two samples."""
    peak_a, previous_s = 0.0, after_s
    for at_s, value in trace:
        if at_s < after_s:
            continue
        if peak_a > 0 and value < OFF_SHARE * peak_a:
            return Ending((previous_s + at_s) / 2, at_s - previous_s, peak_a)
        peak_a, previous_s = max(peak_a, value), at_s
    return Ending(None, 0.0, peak_a)


def magnitude(traces: Traces, direction: Direction, begin_s: float, end_s: float) -> Trace:
    """Return the reference current in a direction, as a trace of magnitudes (negative: the other way)."""
    window = truth_of(traces, begin_s, end_s, 3)
    return Trace(REFERENCE, window.at_s, [value * direction.sign for value in window.values])


def ended_by_bench(traces: Traces, role: str, begin_s: float, until_s: float) -> str | None:
    """Return what the bench's own instrument did before the current began to fall, or None."""
    output = traces[f"output.{role}"].between(begin_s, until_s)
    came_on_s = output.first(lambda value: value >= 0.5)
    if came_on_s is None:
        return f"{role} was never seen on between {begin_s:.2f} s and {until_s:.2f} s"
    went_off_s = output.first(lambda value: value < 0.5, after_s=came_on_s)
    if went_off_s is not None:
        return f"{role} was off at {went_off_s:.2f} s, before the current fell"
    alarm = traces[f"alarm.{role}"].between(begin_s, until_s).first(lambda value: value >= 0.5)
    return None if alarm is None else f"{role} had an alarm at {alarm:.2f} s, before the current fell"


def switch_drop_v(traces: Traces, role: str, after_s: float, until_s: float) -> float:
    """Return the voltage that at least two samples show between the two sides of the BMS's switch, in volts.

    A single sample proves nothing: the two sides may have been read before and after the collapse of the current.
    """
    pack = traces["pack_side_voltage"].between(after_s, until_s).need()
    bench = traces[f"voltage.{role}"].between(after_s, until_s).need(2)
    return sorted(abs(value - pack.at(max(at_s, pack.at_s[0]))) for at_s, value in bench)[-2]


def not_by_switch(traces: Traces, role: str, after_s: float, until_s: float) -> str | None:
    """Return why an end of the current cannot be put down to the BMS's switch, or None."""
    drop_v = switch_drop_v(traces, role, after_s, until_s)
    if drop_v >= SWITCH_DROP_V:
        return None
    return (
        f"the current stopped, but only {drop_v:.2f} V stand across the BMS's switch: a fuse, the disconnect or the "
        f"{role} may have ended it"
    )


def driven_by(traces: Traces, direction: Direction) -> str:
    """Return the role that forces current in this direction, from what was recorded."""
    if "output.bidirectional" in traces:
        return "bidirectional"
    return "supply" if direction is Direction.CHARGE else "load"


def reached(current_a: float, level_a: float, reference_u_a: float) -> bool:
    """Say whether a current counts as the level that was asked for: within 1 % and three uncertainties."""
    return current_a >= level_a - 3 * reference_u_a - 0.01 * level_a


def raised_flags(traces: Traces, flags: list[str], begin_s: float, end_s: float) -> list[str]:
    """Return those of the flags that were ever set in a window."""
    raised = []
    for flag in flags:
        channel = f"bms.{flag}"
        if channel in traces and traces[channel].between(begin_s, end_s).ever(lambda value: value >= 0.5):
            raised.append(flag)
    return raised


def require_stimulus(trace: Trace, threshold_a: float, t0_s: float, ending: Ending, abort_s: float | None) -> None:
    """Make sure that the stimulus stayed beyond the threshold from t0 to its end; the last sample may lie in the fall.

    Raises:
        Inconclusive: it did not, for example in constant voltage; then no trip was due.
    """
    ends_s = trace.at_s[-1] if ending.at_s is None else ending.at_s
    flowing = trace.between(t0_s, ends_s if abort_s is None else min(ends_s, abort_s))
    for at_s, value in list(flowing)[:-1]:
        if value <= threshold_a:
            raise Inconclusive(
                f"the stimulus fell to {value:.2f} A at {at_s:.2f} s, below the threshold of {threshold_a:.2f} A, "
                "before anything tripped"
            )
