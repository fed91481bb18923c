"""The measured stimulus of a judgement: a recorded channel, or one derived from what every cell or sensor showed.

Derived: `cells.max`, `cells.min`, `cells.sum`, `cells.spread` from `cell_1` ..., `degc.spread` from `degc.SENSOR`. A
current is turned to a magnitude in the direction of the protection.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from bench.attribution import magnitude
from bench.errors import Inconclusive
from bench.judgements import REFERENCE, has_hole
from bench.quantities import Direction
from bench.traces import Trace, Traces

_DERIVED: dict[str, tuple[str, Callable[[Sequence[float]], float]]] = {
    "cells.max": (r"cell_\d+", max),
    "cells.min": (r"cell_\d+", min),
    "cells.sum": (r"cell_\d+", sum),
    "cells.spread": (r"cell_\d+", lambda values: max(values) - min(values)),
    "degc.max": (r"degc\.(?!max|min|spread).+", max),
    "degc.min": (r"degc\.(?!max|min|spread).+", min),
    "degc.spread": (r"degc\.(?!max|min|spread).+", lambda values: max(values) - min(values)),
}


def stimulus_trace(traces: Traces, channel: str, direction: Direction, begin_s: float, end_s: float) -> Trace:
    """Return the stimulus in a window, recorded all the way.

    Raises:
        Inconclusive: it was not recorded, or not all the way.
    """
    if channel == REFERENCE:
        return magnitude(traces, direction, begin_s, end_s)
    if channel not in _DERIVED:
        return _whole(traces, channel, begin_s, end_s)
    pattern, combine = _DERIVED[channel]
    parts = [_whole(traces, name, begin_s, end_s) for name in traces.channels if re.fullmatch(pattern, name)]
    if not parts:
        raise Inconclusive(f"{channel}: no cell or sensor was recorded from {begin_s:.2f} s to {end_s:.2f} s")
    leading = max(parts, key=len)
    values = [combine([part.at(at_s) for part in parts]) for at_s in leading.at_s if at_s >= _latest_start(parts)]
    return Trace(channel, [at_s for at_s in leading.at_s if at_s >= _latest_start(parts)], values)


def _latest_start(parts: Sequence[Trace]) -> float:
    return max(part.at_s[0] for part in parts)


def _whole(traces: Traces, channel: str, begin_s: float, end_s: float) -> Trace:
    if channel not in traces:
        raise Inconclusive(f"the stimulus {channel} was not recorded at all")
    trace = traces[channel]
    window = trace.between(begin_s, end_s).need(2)
    if has_hole(trace, begin_s, end_s):
        gap_s = trace.longest_gap(begin_s, end_s)
        raise Inconclusive(f"{channel} was not recorded for {gap_s:.2f} s between {begin_s:.2f} and {end_s:.2f} s")
    return window
