"""The threshold of a protection, judged from the traces of its search: each window is read anew, nothing is believed.

The value is the middle between the last level that did not trip and the first that did, u² = step² / 12 + noise² +
u²(reference) (metrology reference 7.3). Where one side was never seen, only that is judged which is proven: a unit that
acts at the quiet end already lies below it, one that does not act at the far end above.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.answers import Asked, answer
from bench.budgets import bracketed_threshold
from bench.errors import Inconclusive
from bench.evidence import Measurement
from bench.judgements import judgement
from bench.quantities import digits_for
from bench.search_plan import Trial
from bench.traces import Traces
from bench.uncertainty import Budget
from bench.verdict import DecisionRule, Limits, Verdict
from bench.window_budget import reference_lines


@judgement
def threshold_search(
    traces: Traces,
    rule: DecisionRule,
    *,
    protection: str,
    channel: str,
    above: bool,
    direction: str,
    role: str,
    other_flags: Sequence[str],
    flow_a: float,
    unit: str,
    threshold: float,
    tolerance: float,
    probes: Sequence[Mapping[str, float]],
    reference_standard: float,
    reference_rectangles: Sequence[float] = (),
    noise: float = 0.0,
    hold_s: float = 0.0,
) -> list[Measurement]:
    """The threshold that a search found lies within its tolerance.

    `probes` are the windows of the search (`begin_s`, `end_s`, `slope_per_s` of a ramp, and
    `settled_s` of what is no current), `noise` the standard
    deviation of the BMS's own reading, `hold_s` how long each level was held.

    Raises:
        Inconclusive: the answers are not in order, a window does not tell, or only one side is known and it is no
            failure by itself.
    """
    asked = Asked(channel, above, direction, role, tuple(other_flags), flow_a)
    trials = [answer(traces, asked, **probe) for probe in probes]
    sign = 1.0 if above else -1.0
    quiet = [trial for trial in trials if not trial.tripped]
    tripped = [trial for trial in trials if trial.tripped]
    reference = Budget(unit, tuple(reference_lines(reference_standard, reference_rectangles)))
    cost = f"{len(trials)} probes, {len(tripped)} trips, {'rising' if above else 'falling'}"
    if not quiet or not tripped:
        return [_one_sided(rule, protection, asked, trials, reference, threshold, tolerance, cost)]
    last = max(quiet, key=lambda trial: sign * trial.level)
    first = min(tripped, key=lambda trial: sign * trial.level)
    if sign * (first.level - last.level) <= 0.0:
        raise Inconclusive(
            f"{protection} tripped at {first.level:.6g} {unit} and did not at {last.level:.6g} {unit}: its answers are "
            "not in order"
        )
    value, _ = bracketed_threshold(last.level, first.level, reference, noise=noise)
    digits = digits_for(value.expanded)
    held = f", each held {hold_s:.3g} s" if hold_s else ""
    limits = Limits.around(threshold, tolerance)
    return [
        Measurement(
            name=f"{protection}: threshold",
            value=value,
            limits=limits,
            rule=rule,
            source=channel,
            reference=f"no trip at {last.level:.{digits}f} {unit}, trip at {first.level:.{digits}f}; {cost}{held}",
            at_s=last.begin_s,
            hint="" if limits.margin(value.value) >= 0.0 else _looks(sign * (value.value - threshold)),
        )
    ]


def _looks(beyond: float) -> str:
    return f"looks like: it acts too {'late: its threshold is too far out' if beyond > 0.0 else 'early'}"


def _one_sided(
    rule: DecisionRule,
    protection: str,
    asked: Asked,
    trials: Sequence[Trial],
    reference: Budget,
    threshold: float,
    tolerance: float,
    cost: str,
) -> Measurement:
    """Judge a threshold of which only a bound is known: against the limit that the bound may break.

    Raises:
        Inconclusive: the bound breaks no limit, and so proves nothing.
    """
    sign = 1.0 if asked.above else -1.0
    acts = trials[0].tripped
    level = (min if acts else max)(sign * trial.level for trial in trials) * sign
    edge = threshold - sign * tolerance if acts else threshold + sign * tolerance
    limits = Limits(low=edge) if acts == asked.above else Limits(high=edge)
    name = f"{protection}: {'acts already at' if acts else 'does not act even at'}"
    found = Measurement(
        name=name,
        value=reference.of(level),
        limits=limits,
        rule=rule,
        source=asked.channel,
        reference=cost,
        at_s=trials[0].begin_s,
        hint=_looks(-1.0 if acts else 1.0) if acts else "looks like: it does not act at all, or far too late",
    )
    if found.verdict is Verdict.PASS:
        raise Inconclusive(
            f"{name} {level:.6g} {reference.unit}: that is still within its tolerance, and the other side of its "
            "threshold was not seen"
        )
    return found
