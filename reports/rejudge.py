"""Judge a run again from its evidence, without the bench: same traces, same functions, any decision rule."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bench.errors import BenchError, Inconclusive
from bench.evidence import Measurement
from bench.judgements import judge
from bench.verdict import DecisionRule, RuleName
from reports.classify import Outcome, exit_status, merge
from reports.run_folder import RunFolder
from reports.stored import StoredJudgement, StoredTest, load_judgements, load_tests, load_traces

OF_VERDICT = {"pass": Outcome.PASSED, "fail": Outcome.FAILED, "inconclusive": Outcome.INCONCLUSIVE}


@dataclass(frozen=True, slots=True)
class Rejudged:
    """One judgement, then and now. `now` is empty where `error` says why."""

    judgement: str
    rule: str
    then: tuple[dict[str, Any], ...]
    now: tuple[dict[str, Any], ...]
    error: str | None
    differences: tuple[str, ...]

    @property
    def outcome(self) -> Outcome:
        """What the judgement says now; an error is an inconclusive."""
        if self.error is not None:
            return Outcome.INCONCLUSIVE
        return merge(OF_VERDICT[row["verdict"]] for row in self.now) if self.now else Outcome.INCONCLUSIVE


@dataclass(slots=True)
class RejudgedTest:
    """A test with its judgements, and what could not be read."""

    test: StoredTest
    judgements: list[Rejudged] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def outcome(self) -> Outcome | None:
        """The worst of the judgements; unreadable evidence cannot tell; None where nothing was judged."""
        seen = [judged.outcome for judged in self.judgements]
        if self.problems:
            seen.append(Outcome.INCONCLUSIVE)
        return merge(seen) if seen else None


@dataclass(frozen=True, slots=True)
class RejudgedRun:
    """All tests of a run, judged again."""

    tests: tuple[RejudgedTest, ...]
    problems: tuple[str, ...]
    same_rule: bool = True  # no other decision rule was asked for, so every verdict must come out as recorded

    @property
    def differences(self) -> list[str]:
        """Every verdict or value that is not what it was, with test and judgement."""
        return [
            f"{part.test.id}: {judged.judgement}: {text}"
            for part in self.tests
            for judged in part.judgements
            for text in judged.differences
        ]

    @property
    def exit_status(self) -> int:
        """As of a run: 0 passed, 1 the product failed, 11 cannot tell, or the evidence is unreadable or altered."""
        outcomes = [part.outcome for part in self.tests if part.outcome is not None]
        if self.problems or (self.same_rule and self.differences):
            outcomes.append(Outcome.INCONCLUSIVE)
        return exit_status(outcomes)


def rejudge_run(run: RunFolder, rule: RuleName | None = None) -> RejudgedRun:
    """Judge all tests of a run again; what cannot be read is named and the rest is judged."""
    tests, problems = load_tests(run)
    return RejudgedRun(tuple(rejudge_test(test, rule) for test in tests), tuple(problems), rule is None)


def rejudge_test(test: StoredTest, rule: RuleName | None = None) -> RejudgedTest:
    """Judge one test again, with the rule it was judged by unless another is given."""
    part = RejudgedTest(test)
    stored, problems = load_judgements(test.folder)
    part.problems += problems
    for judgement in stored:
        judged, more = _again(test, judgement, rule)
        part.problems += [problem for problem in more if problem not in part.problems]
        if judged is not None:
            part.judgements.append(judged)
    return part


def _again(test: StoredTest, judgement: StoredJudgement, rule: RuleName | None) -> tuple[Rejudged | None, list[str]]:
    name: RuleName = rule or judgement.rule  # type: ignore[assignment]
    if name not in ("guarded", "simple", "binary"):
        return None, [f"{test.folder / 'judgements.jsonl'}: there is no decision rule {name!r}"]
    try:
        stored = load_traces(test.folder, judgement)
    except BenchError as problem:
        return None, [str(problem)]
    error: str | None = None
    now: list[Measurement] = []
    try:
        now = judge(judgement.name, stored.traces, DecisionRule(name), dict(judgement.parameters))
    except Inconclusive as problem:
        error = str(problem)
    except BenchError as problem:
        return None, [*stored.problems, f"{test.folder / 'judgements.jsonl'}: {problem}"]
    rows = tuple(measurement.as_dict() for measurement in now)
    differences = tuple(_differences(judgement, rows, error))
    return Rejudged(judgement.name, name, judgement.measurements, rows, error, differences), stored.problems


def _differences(then: StoredJudgement, now: tuple[dict[str, Any], ...], error: str | None) -> list[str]:
    if (then.error is None) != (error is None):
        return [f"was {then.error or 'judged'}, now {error or 'judged'}"]
    if len(then.measurements) != len(now):
        return [f"{len(then.measurements)} measurements then, {len(now)} now"]
    found: list[str] = []
    for old, new in zip(then.measurements, now, strict=True):
        for key in ("name", "value", "expanded_uncertainty", "low", "high", "verdict"):
            if old.get(key) != new[key]:
                found.append(f"{new['name']}: {key} was {old.get(key)}, now {new[key]}")
    return found
