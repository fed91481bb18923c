"""Sequences of standards as data: what a file may say, what is cited, and what a BMS lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import DefinitionError
from bench.profile import find_profile, load_profile
from bench.requirements import standard_of
from bench.sequence import CONFIRM, Sequence, Value, find_sequence, load_sequence, sequence_names

SHIPPED = sequence_names()


def shipped(name: str) -> Sequence:
    return load_sequence(find_sequence(name))


def numbers(sequence: Sequence, do: str) -> list[Value]:
    return [value for step in sequence.steps if step.do == do for value in step.values]


def edited(tmp_path: Path, old: str, new: str, name: str = "iec62619_8.2.2") -> Path:
    text = find_sequence(name).read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "own.toml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


def test_every_clause_of_the_five_families_is_shipped() -> None:
    families = {name.partition("_")[0] for name in SHIPPED}
    assert families == {"iec62619", "gb44240", "gbt36276", "r100", "gb38031", "un383"}
    assert len(SHIPPED) == 17


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_sequence_expects_a_reaction_and_names_what_it_cannot_show(name: str) -> None:
    sequence = shipped(name)
    assert any(step.do == "expect" for step in sequence.steps)
    assert sequence.standard == standard_of(sequence.requirement)
    assert sequence.evidence().startswith("functional evidence for ")
    assert sequence.evidence().endswith("not in scope of this bench")
    assert "compl" not in sequence.evidence()


@pytest.mark.parametrize("name", ["iec62619_8.2.2", "gb44240_8.3"])
def test_overcharge_by_voltage_stops_at_103_percent_or_after_a_minute(name: str) -> None:
    sequence = shipped(name)
    assert [(value.times, value.of) for value in numbers(sequence, "supply")] == [(1.1, "upper_limit_cell_v")]
    stops = [(value.times, value.of, value.unit) for value in numbers(sequence, "abort")]
    assert stops == [(1.03, "upper_limit_cell_v", "V"), (60.0, "one", "s")]
    assert [value.times for value in numbers(sequence, "log")] == [3600.0]


def test_the_runs_are_those_of_each_clause() -> None:
    runs = {name: shipped(name).runs for name in SHIPPED}
    assert {name for name, count in runs.items() if count == 3} == {"gb44240_8.3", "gb44240_8.4", "gb44240_8.5"}
    assert set(runs.values()) == {1, 3}


def test_signalling_is_enough_only_where_the_clause_says_so() -> None:
    enough = {name for name in SHIPPED for step in shipped(name).steps if "signals" in step.accept}
    assert enough == {name for name in SHIPPED if name.startswith(("gb38031", "gbt36276"))}


def test_what_was_never_read_is_cited_as_to_be_confirmed() -> None:
    sequence = load_sequence(find_sequence("iec62619_8.2.2")).model_copy(update={"mark": "U"})
    assert CONFIRM in sequence.evidence()
    assert "8.2.2" not in sequence.evidence()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("number = 3", "number = 4", "without gaps"),
        ('"cell_overvoltage"', '"cell_overvoltag"', "did you mean 'cell_overvoltage'"),
        ('not_in_scope = ["fire", "explosion"]', "not_in_scope = []", "only a live battery"),
        ('accept = ["ends"]\n', "", "which reactions are enough"),
        ("times = 1.1", 'times = "1.1"', "is not a number"),
    ],
)
def test_a_mistake_in_a_file_is_told_by_name(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        load_sequence(edited(tmp_path, old, new))


def test_a_sequence_of_the_lab_comes_before_a_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "sequences").mkdir()
    own = tmp_path / "sequences" / "gb44240_8.3.toml"
    own.write_bytes(find_sequence("gb44240_8.3").read_bytes())
    assert find_sequence("gb44240_8.3", tmp_path) == own
    assert sequence_names(tmp_path) == SHIPPED


def test_a_bms_without_the_protection_is_told_with_sequence_profile_and_kind() -> None:
    profile = load_profile(find_profile("bmsbench_16s"))
    assert shipped("iec62619_8.2.3").lacking(profile) == ()
    rows = tuple(row for row in profile.protections if row.kind != "charge_overcurrent")
    poorer = profile.model_copy(update={"protections": rows})
    (told,) = shipped("iec62619_8.2.3").lacking(poorer)
    assert "iec62619_8.2.3" in told and repr(profile.name) in told and "charge_overcurrent" in told
