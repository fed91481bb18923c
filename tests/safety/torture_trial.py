"""One trial of the torture run: a lab whose circuit is the witness, a run in it, blows, and what came of it."""

from __future__ import annotations

import json
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torture_blows import Times, cables, pause_and_heal, strike
from torture_evidence import read_evidence
from torture_plan import CLOSING_S, LIMIT_S, OFF_A, Plan
from torture_victim import Victim, is_alive, state_of, tortured

ENDS_WITHIN_S = 150.0  # with everything off: hung conversations, or 73 s of waiting for a silent BMS to come back
STALLED_S = 8.0  # the guardian ends a stalled run after 3 s; one that is stopped before it was armed, never
GUARDIAN_ENDS_S = 30.0
STILL_WORKS_S = 3.0  # a run that comes to its next step so long after a blow was not ended by it


class TortureLab:
    """A lab that serves trial after trial; its witness file is read on from where the last trial left it."""

    def __init__(self, lab: Any) -> None:
        self.lab = lab
        self.trials = 0
        self._read_to = 0
        self._cut = b""

    def reset(self, seed: int, bms: str) -> None:
        """Make everything as after power-up, and forget what the witness said before."""
        answer = self.lab.tell(f"reset {seed % 1000 + 1}")
        if answer != "ok":
            raise RuntimeError(f"the lab was not reset: {answer}")
        self.trials += 1
        time.sleep(CLOSING_S[bms] / 4)
        self.news()

    def news(self) -> list[dict[str, Any]]:
        """Return what the witness wrote since the last call, up to now."""
        now_s = float(self.lab.truth()["unix_s"])
        found: list[dict[str, Any]] = []
        until_s = time.monotonic() + 5.0
        while time.monotonic() < until_s:
            with self.lab.witness.open("rb") as file:
                file.seek(self._read_to)
                data = file.read()
            self._read_to += len(data)
            *whole, self._cut = (self._cut + data).split(b"\n")
            found += [json.loads(line) for line in whole]
            if found and found[-1]["unix_s"] >= now_s:
                return found
            time.sleep(0.02)
        raise RuntimeError("the witness is silent")


@dataclass
class Outcome:
    """What one trial came to; `as_json` is a line of the result file."""

    plan: Plan
    data: dict[str, Any]

    @property
    def problems(self) -> list[str]:
        """Whatever must never be, in words."""
        return list(self.data["problems"])

    def as_json(self) -> str:
        """Return the line."""
        plan = self.plan
        head = {"seed": plan.seed, "row": plan.row, "uncovered": plan.uncovered}
        return json.dumps({**head, **self.data, "plan": plan.as_json()}, ensure_ascii=False)


def play(plan: Plan, lab: TortureLab, folder: Path) -> Outcome:
    """Play one trial and judge it."""
    folder.mkdir(parents=True)
    lab.reset(plan.seed, plan.bms)
    with cables(plan, lab.lab, folder) as (proxies, definition), tortured(plan, definition, folder) as victim:
        times = strike(plan, lab.lab, proxies, victim)
        _let_it_end(plan, lab, victim, times)
        truth = lab.lab.truth()
        left = ["run"] if victim.process.poll() is None else []
        left += ["guardian"] if victim.guardian is not None and is_alive(victim.guardian) else []
    status = victim.process.returncode if "run" not in left else None
    return Outcome(plan, judge(plan, lab.news(), victim.marks, times, truth, status, left, folder))


def _let_it_end(plan: Plan, lab: TortureLab, victim: Victim, times: Times) -> None:
    """Wait until run and guardian have ended, or time is up; and until what flows has no excuse any more."""
    last_s = times.blows[-1]
    stays = any(blow.kind == "the run is stopped" for blow in plan.blows)
    while victim.process.poll() is None or times.healing:
        victim.find_guardian()
        # One that is stopped for good is ended by its guardian, or by nobody.
        quiet = stays and time.time() > last_s + STALLED_S and not _anything_on(lab.lab.truth())
        if quiet or time.time() > last_s + (LIMIT_S + 1.0 if stays else ENDS_WITHIN_S):
            break
        pause_and_heal(victim, times, time.time() + 0.05)
    times.ended_s = time.time()
    while (pid := victim.find_guardian()) is not None and is_alive(pid) and state_of(pid) != "T":
        if time.time() > times.ended_s + GUARDIAN_ENDS_S:
            break
        time.sleep(0.02)
    quiet_s = time.time() + 0.3
    while time.time() < max(quiet_s, last_s + LIMIT_S + 0.5):
        truth = lab.lab.truth()
        on = abs(truth["current_a"]) >= OFF_A
        # An output behind an open disconnect has a few seconds more: its watchdog may still end it.
        waits = on or (truth["outputs_on"] and time.time() < quiet_s + 4.0)
        if not waits and time.time() >= quiet_s:
            break
        time.sleep(0.05)


def _anything_on(truth: dict[str, Any]) -> bool:
    return abs(truth["current_a"]) >= OFF_A or bool(truth["outputs_on"])


def judge(
    plan: Plan,
    lines: list[dict[str, Any]],
    marks: list[dict[str, Any]],
    times: Times,
    truth: dict[str, Any],
    status: int | None,
    left: list[str],
    folder: Path,
) -> dict[str, Any]:
    first_s, last_s = times.blows[0], times.blows[-1]
    ends = [mark["unix_s"] for mark in marks if mark["mark"] == "leaving"]
    # A run that took no notice (some blows do not concern it, some only make it slower) is watched over as before and
    # forces what it was told to: then the time counts from the last thing it came to.
    went_on = bool(marks) and (
        (bool(ends) and ends[-1] > last_s and marks[-1]["mark"] == "leaving")
        or marks[-1]["unix_s"] > last_s + STILL_WORKS_S
    )
    from_s = marks[-1]["unix_s"] if went_on else last_s
    # The witness writes at least every 40 ms: the line before the blow still tells what flowed at the blow.
    since_s = from_s - 0.05
    on = [index for index, line in enumerate(lines) if abs(line["current_a"]) >= OFF_A and line["unix_s"] >= since_s]
    latency_s = 0.0
    if on:
        latency_s = max(0.0, (lines[on[-1] + 1] if on[-1] + 1 < len(lines) else truth)["unix_s"] - from_s)
    flowed = abs(times.currents_a[-1]) >= OFF_A
    still = abs(truth["current_a"]) >= OFF_A
    stayed_on = still or latency_s > LIMIT_S
    least_s = min(line["unix_s"] - line["at_s"] for line in lines)
    evidence = read_evidence(folder / "run", marks, times.dead_s, alone=len(plan.blows) == 1)
    said = (folder / "said.txt").read_text(encoding="utf-8", errors="replace")
    quarantined = bool(list((folder / "state").glob("quarantine/*.json")))
    named = [name for name in truth["outputs_on"] if evidence.names(name, said)]
    problems: list[str] = list(evidence.problems)
    anything_on = _anything_on(truth)
    if stayed_on and not plan.uncovered:
        problems.append(f"stayed on: {truth['current_a']:+.1f} A, {latency_s:.1f} s after the blow")
    if status == 0 and anything_on:
        problems.append(f"exit status 0 with {truth['outputs_on']} on and {truth['current_a']:+.2f} A")
    if status == 0 and truth["disconnect_closed"] and not plan.welded:
        problems.append("exit status 0 with the disconnect closed")
    if evidence.said_safe and still:
        problems.append(f"said to be safe while {truth['current_a']:+.2f} A flow")
    somebody = (status is not None and status != -signal.SIGKILL) or evidence.guardian_acted
    if somebody and set(truth["outputs_on"]) - set(named):
        problems.append(f"output of {sorted(set(truth['outputs_on']) - set(named))} is on and nobody says so")
    if somebody and still and not quarantined:
        problems.append("current flows and the bench is not quarantined")
    if left and not _left_on_purpose(plan, left, anything_on):
        problems.append(f"left behind: {', '.join(left)}")
    return {
        "at": marks[-1]["mark"] if marks else "before",
        "struck": times.struck,
        "went_on": went_on,
        "flowed": flowed,
        "current_a": times.currents_a,
        "latency_s": round(latency_s, 3),
        "stayed_on": stayed_on,
        "status": status,
        "ended_after_s": round(times.ended_s - first_s, 2),
        "outputs_on": truth["outputs_on"],
        "disconnect_closed": truth["disconnect_closed"],
        "named": named,
        "quarantined": quarantined,
        "said_safe": evidence.said_safe,
        "guardian": evidence.guardian_acted,
        "evidence": evidence.gaps,
        "lag_s": round(max(line["unix_s"] - line["at_s"] - least_s for line in lines), 3),
        "left": left,
        "problems": problems,
    }


def _left_on_purpose(plan: Plan, left: list[str], anything_on: bool) -> bool:
    """A process that was stopped for good ends only if somebody ends it; where nothing is on, nobody need."""
    kinds = {blow.kind for blow in plan.blows}
    stopped = {"guardian"} if "the guardian is stopped" in kinds else set()
    if "the run is stopped" in kinds and (plan.uncovered or not anything_on):
        stopped |= {"run", "guardian"}  # its guardian waits with it
    return set(left) <= stopped
