"""Offering a small current to see whether a path is open, and what is then asked of the traces. Judges nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench import stimulus
from bench.procedures import role_of
from bench.quantities import Direction
from bench.stand import Stand

PROBE_A = 10.0
LEAST_PROBE_A = 2.0  # below this it is lost in what the bench sets off
GONE_S = 0.3  # after the command, when what a capacitor gave is gone
SETTLED_S = 0.5  # after the command, when a current that may flow has come


@dataclass(frozen=True, slots=True)
class Offer:
    """A current that was offered, from when to when."""

    direction: Direction
    level_a: float
    begin_s: float
    end_s: float


def offer(stand: Stand, direction: Direction, duration_s: float, level_a: float = PROBE_A) -> Offer:
    """Offer a current all through a time: closing for a moment shows, too. Outputs are off afterwards."""
    with stimulus.stepping(stand, direction.sign * level_a) as begin_s:
        stand.clock.sleep(duration_s)
        return Offer(direction, level_a, begin_s, stand.clock.now())


def must_not_flow(stand: Stand, offered: Offer, what: str) -> dict[str, Any]:
    """Return the parameters of judgement `blocked`."""
    return {
        "direction": offered.direction.word,
        "begin_s": offered.begin_s + GONE_S,
        "end_s": offered.end_s,
        "zero_a": stand.reference.off_limit_a,
        "reference_u_a": stand.reference.current_uncertainty(offered.level_a),
        "what": what,
    }


def must_flow(stand: Stand, offered: Offer, what: str) -> dict[str, Any]:
    """Return the parameters of judgement `flows_again`."""
    return {
        "direction": offered.direction.word,
        "begin_s": offered.begin_s + SETTLED_S,
        "end_s": offered.end_s,
        "level_a": offered.level_a,
        "reference_u_a": stand.reference.current_uncertainty(offered.level_a),
        "role": role_of(stand, offered.direction),
        "what": what,
    }
