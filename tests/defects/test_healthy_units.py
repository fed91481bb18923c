"""Healthy units are green: no red at all, and at most 2 % of the judging tests inconclusive."""

from __future__ import annotations

import pytest

SUITES = ("reference", "current_sign", "protections")
INCONCLUSIVE_AT_MOST = 0.02


def _judge(run_suite, bms, bench, seeds):
    unsure, judged = 0, 0
    for seed in seeds:
        run = run_suite(SUITES, bms=bms, seed=seed, bench=bench)
        bad = {name: run.reasons[name] for name, one in run.outcomes.items() if one in ("failed", "broken")}
        assert not bad, f"seed {seed}: {bad}"
        unsure += sum(one == "inconclusive" for one in run.outcomes.values())
        judged += sum(one != "skipped" for one in run.outcomes.values())
    print(f"\n{bms} on {bench}: {len(seeds)} seeds, {judged} tests judged, {unsure} inconclusive")
    assert unsure <= INCONCLUSIVE_AT_MOST * judged


@pytest.mark.parametrize("bench", ["virtual", "virtual_bidirectional"])
@pytest.mark.parametrize("bms", ["foxbms_2", "seplos_v3"])
def test_healthy_units_are_green(run_suite, bms, bench):
    seeds = range(11, 14) if bench == "virtual" else range(14, 16)
    _judge(run_suite, bms, bench, seeds)


@pytest.mark.full
@pytest.mark.parametrize("bench", ["virtual", "virtual_bidirectional"])
@pytest.mark.parametrize("bms", ["foxbms_2", "seplos_v3"])
def test_fifty_healthy_units_are_green(run_suite, bms, bench):
    _judge(run_suite, bms, bench, range(100, 150) if bench == "virtual" else range(200, 225))
