"""Sequences of standards as data: one file per clause, read line by line, every number with its origin.

A file says in this project's own words what a clause asks for, never in the standard's. It only describes: what gives
evidence of a sequence is the functional part, and nothing here says that a BMS complies with anything.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from bench.kinds import KINDS
from bench.loading import Frozen, find_named, nearest, read_toml, validate
from bench.profile import Profile

SEQUENCES = Path(__file__).parent / "sequences"

Mark = Literal["P", "A", "S", "U"]
Base = Literal[
    "rated_capacity_per_h",
    "rated_capacity",
    "upper_limit_cell_v",
    "cut_off_cell_v",
    "nominal_voltage",
    "max_charge_voltage",
    "max_charge_current",
    "max_discharge_current",
    "max_temperature",
    "over_current_level",
    "temperature_threshold",
    "alarm_setting",
    "one",
]
Action = Literal[
    "ambient", "discharge", "charge", "rest", "supply", "heat", "raise", "expect", "abort", "log", "set", "restore"
]
Reaction = Literal["ends", "limits", "signals", "acts", "temperature_stable"]
CONFIRM = "clause to be confirmed"


class Value(Frozen):
    """One number of a step: `times` a declared quantity, `plus` an offset in `unit`, with its permitted width."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="what it is, for example current or voltage_per_cell")
    times: float = Field(default=1.0, description="factor of the quantity `of`")
    of: Base = Field(description="the declared quantity; `one` where the number stands for itself")
    plus: float = Field(default=0.0, description="added, in `unit`")
    within: float | None = Field(default=None, gt=0, description="permitted deviation either way, in `unit`")
    bound: Literal["exactly", "at_least", "at_most"] = Field(default="exactly", description="how it is meant")
    unit: str = Field(min_length=1, description="unit of the whole")
    mark: Mark = Field(description="where the number was read")


class Step(Frozen):
    """One line of a sequence."""

    number: int = Field(gt=0, description="counts from 1 without gaps")
    do: Action = Field(description="what happens")
    what: str = Field(min_length=1, description="in own words")
    values: tuple[Value, ...] = Field(default=(), description="its numbers")
    accept: tuple[Reaction, ...] = Field(default=(), description="reactions any of which is enough")
    mark: Mark = Field(description="where the line was read")

    @model_validator(mode="after")
    def _expects_something(self) -> Step:
        if bool(self.accept) != (self.do == "expect"):
            raise ValueError("accept: a step 'expect' says which reactions are enough, and no other step does")
        return self


class Sequence(Frozen):
    """One clause as a sequence. `source` is the file it came from."""

    schema_version: Literal[1] = Field(default=1, description="version of this format")
    requirement: str = Field(pattern=r"^[A-Z0-9]+-[A-Za-z0-9.]+$", description="requirement id")
    standard: str = Field(min_length=1, description="document")
    edition: str = Field(min_length=1, description="year or series")
    clause: str = Field(min_length=1, description="number of the clause")
    title: str = Field(min_length=1, description="in own words")
    mark: Mark = Field(description="where the clause was read")
    runs: int = Field(default=1, gt=0, description="how often")
    scope: tuple[Literal["F", "L", "D"], ...] = Field(min_length=1, description="functional, live battery, documents")
    not_in_scope: tuple[str, ...] = Field(default=(), description="what a bench cannot see, each by name")
    kinds: tuple[str, ...] = Field(min_length=1, description="kinds of protection that it provokes, each of them")
    warnings_count: bool = Field(default=False, description="rows that only warn are provoked too")
    borrowed: str | None = Field(default=None, description="why its scope does not cover a small pack")
    steps: tuple[Step, ...] = Field(min_length=1)
    source: SkipJsonSchema[Path] = Field(default=Path(), exclude=True)

    @model_validator(mode="after")
    def _parts_fit(self) -> Sequence:
        for index, step in enumerate(self.steps, start=1):
            if step.number != index:
                raise ValueError(f"steps: number {step.number} stands in place {index}; count from 1 without gaps")
        for kind in self.kinds:
            if kind not in KINDS:
                raise ValueError(f"kinds: {kind!r} is no kind of protection{nearest(kind, KINDS)}")
        if "F" not in self.scope:
            raise ValueError("scope: without a functional part (F) there is nothing to run on a bench")
        if "L" in self.scope and not self.not_in_scope:
            raise ValueError("not_in_scope: scope L needs the names of what only a live battery can show")
        return self

    @property
    def name(self) -> str:
        """The name by which commands call it: the file's stem."""
        return self.source.stem

    def cited(self) -> str:
        """Return the clause as a report may print it; only what was read somewhere is cited by number."""
        document = self.standard if self.edition in self.standard else f"{self.standard}, {self.edition}"
        return f"{document}, " + (CONFIRM if self.mark == "U" else f"clause {self.clause}")

    def evidence(self) -> str:
        """Return the words for a result: functional evidence and what is not in scope, never compliance."""
        text = f"functional evidence for {self.cited()}"
        return f"{text}; {', '.join(self.not_in_scope)}: not in scope of this bench" if self.not_in_scope else text

    def lacking(self, profile: Profile) -> tuple[str, ...]:
        """Say what a BMS lacks to run this sequence, one sentence each; nothing if it has all."""
        has = {row.kind for row in profile.protections if row.level == "protection" or self.warnings_count}
        row = "row" if self.warnings_count else "protection"
        return tuple(
            f"{self.name}: profile {profile.name!r} declares no {row} of kind {kind}"
            for kind in self.kinds
            if kind not in has
        )


def sequence_names(lab: Path | None = None) -> tuple[str, ...]:
    """Return all names, shipped and of a lab's folder `sequences`, sorted."""
    folders = [SEQUENCES, *([lab / "sequences"] if lab else [])]
    return tuple(sorted({path.stem for folder in folders for path in folder.glob("*.toml")}))


def find_sequence(name: str, lab: Path | None = None) -> Path:
    """Return the file of a sequence given by name or by path; a lab's own folder comes first.

    Raises:
        DefinitionError: there is none of that name.
    """
    return find_named("sequence", name, ([lab / "sequences"] if lab else []) + [SEQUENCES])


def load_sequence(path: Path) -> Sequence:
    """Load and check a sequence.

    Raises:
        DefinitionError: naming file, key path, value and what to try.
    """
    sequence = validate(Sequence, read_toml(path), path.name)
    return sequence.model_copy(update={"source": path.resolve()})
