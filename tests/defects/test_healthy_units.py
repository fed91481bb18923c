"""Healthy units are green: no red at all, and at most 2 % of the judging tests inconclusive."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

SUITES = ("reference", "current_sign", "protections")
PROFILES = Path(__file__).resolve().parents[2] / "bench" / "profiles"
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


def test_a_bms_that_reports_magnitudes_only_is_not_tested_for_its_sign(run_suite, tmp_path_factory):
    folder = tmp_path_factory.mktemp("profiles")
    shutil.copy(PROFILES / "foxbms_2.dbc", folder)
    text = (PROFILES / "foxbms_2.toml").read_text("utf-8")
    sections = text.split("\n\n")
    for index, section in enumerate(sections):
        if "[signals.pack_current]" in section or "[signals.string_current]" in section:
            section = section.replace('positive_means = "discharge"', 'positive_means = "magnitude"')
            sections[index] = section.replace("range = [-655.36", "range = [0.0").replace(
                "range = [-1310.72", "range = [0.0"
            )
    profile = folder / "magnitudes.toml"
    profile.write_text("\n\n".join(sections), "utf-8")
    run = run_suite(("current_sign",), bms=str(profile))
    assert set(run.outcomes.values()) <= {"passed", "skipped"}, run.reasons
    about_sign = [name for name in run.outcomes if "current_is_reported" in name or "reversal" in name]
    assert about_sign
    assert all(run.outcomes[name] == "skipped" for name in about_sign)
