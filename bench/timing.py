"""The uncertainty of instants and delays: what happened between two samples, behind a message, in an average.

An event that lies somewhere between two samples is put in their middle, with limits of half the gap (metrology
reference 6.7). Interpolating a step between its samples would look sharper and be wrong by up to the gap.
"""

from __future__ import annotations

import math

from bench.uncertainty import Budget, Contribution

OFF_SHARE = 0.10  # of the current before, below which it counts as ended


def between_samples(what: str, gap_s: float) -> Contribution:
    """Return the line of an event known to lie between two samples, taken to be in their middle."""
    return Contribution.within(what, gap_s / 2.0, "rectangular")


def trip_delay(
    begin_gap_s: float, end_gap_s: float, *, averaging_s: float = 0.0, threshold_share: float = 1.0
) -> Budget:
    """Return the budget of a delay between two edges of the same reference channel, in seconds.

    Both ends carry the same averaging, so it cancels but for the share of the edge at which each is read: a rise is
    seen at `threshold_share` of the level, a fall at 90 % of it.
    """
    mismatch_s = abs(threshold_share - (1.0 - OFF_SHARE)) * averaging_s
    lines = [between_samples("t0 between two samples", begin_gap_s), between_samples("end between samples", end_gap_s)]
    if mismatch_s:
        lines.append(Contribution.within("averaging, the part that differs", mismatch_s, "rectangular"))
    return Budget("s", tuple(lines))


def flag_delay(
    begin_gap_s: float,
    message_gap_s: float,
    *,
    averaging_s: float = 0.0,
    latency_s: float = 0.0,
    edge_s: float = 0.0,
    stamp_s: float = 0.0,
    clock_offset_s: float = 0.0,
) -> Budget:
    """Return the budget of a delay from an edge of the reference to what a message told, in seconds.

    `latency_s` is the spread of the response to a poll, `edge_s` how long the stimulus' edge takes, `stamp_s` the
    limit of the time stamp's error, `clock_offset_s` the limit of the offset between instruments and bus that one
    common edge left. Here the meter's averaging does not cancel: half of it is allowed for where in it the
    stamp really is.
    """
    lines = [between_samples("message or poll", message_gap_s), between_samples("t0 between two samples", begin_gap_s)]
    halves = {
        "averaging of the meter": averaging_s / 2.0,
        "spread of the response": latency_s / 2.0,
        "edge of the stimulus": edge_s / 2.0,
        "time stamp": stamp_s,
        "clock offset": clock_offset_s,
    }
    lines += [Contribution.within(name, half_s, "rectangular") for name, half_s in halves.items() if half_s]
    return Budget("s", tuple(lines))


def repeats_needed(reliability: float, confidence: float) -> int:
    """Return how many repeats without failure show a reliability at a confidence: ln(1 - C) / ln R, rounded up.

    Raises:
        ValueError: a share that is none, or is certain.
    """
    if not (0.0 < reliability < 1.0 and 0.0 < confidence < 1.0):
        raise ValueError(f"reliability {reliability!r} and confidence {confidence!r} must lie between 0 and 1")
    return math.ceil(math.log(1.0 - confidence) / math.log(reliability) - 1e-9)


def reliability_shown(repeats: int, confidence: float) -> float:
    """Return which reliability so many repeats without failure show at a confidence (metrology reference 6.7)."""
    if repeats < 1 or not 0.0 < confidence < 1.0:
        raise ValueError(f"{repeats} repeats at a confidence of {confidence!r} show nothing")
    return float((1.0 - confidence) ** (1.0 / repeats))
