"""The confirmation of a wiring holds for one content of the definition, and for no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.definition import DEFINITIONS, Definition, load_definition
from bench.errors import BenchError, WiringError
from bench.state_folder import file_word, state_folder
from bench.wiring_confirmation import confirm_wiring, content_hash, find_confirmation, require_confirmed

TEXT = (DEFINITIONS / "virtual.toml").read_text(encoding="utf-8")


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BMSBENCH_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def definition(folder: Path, text: str = TEXT) -> Definition:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return load_definition(path)


def test_an_unconfirmed_wiring_is_refused_with_what_to_do(state: Path, tmp_path: Path) -> None:
    with pytest.raises(WiringError, match=r"nobody has confirmed.*bmsbench wiring --bench .*mine\.toml"):
        require_confirmed(definition(tmp_path))
    assert not state.exists(), "asking leaves nothing behind"


def test_a_confirmation_says_who_and_when_and_what(state: Path, tmp_path: Path) -> None:
    made = confirm_wiring(definition(tmp_path), " J. Doe ", ("one", "two"))
    found = require_confirmed(definition(tmp_path))
    assert found == made
    assert (found.by, found.ticked) == ("J. Doe", ("one", "two"))
    assert found.at.endswith("Z")
    assert [path.parent.name for path in state.rglob("*.json")] == ["virtual"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("fuse_a = 160.0", "fuse_a = 161.0"),
        ('positive_means = "charge"', 'positive_means = "discharge"'),
        ('address = "virtual:charger"', 'address = "virtual:chargers"'),
        ('pack_meter = "isolated"', 'pack_meter = "B-"'),
    ],
)
def test_a_change_needs_a_new_look_and_names_the_last(state: Path, tmp_path: Path, before: str, after: str) -> None:
    assert before in TEXT
    confirm_wiring(definition(tmp_path), "Ada", ("all",))
    changed = definition(tmp_path, TEXT.replace(before, after))
    with pytest.raises(WiringError, match=r"has changed since Ada confirmed"):
        require_confirmed(changed)
    confirm_wiring(changed, "Bo", ("all",))
    assert require_confirmed(changed).by == "Bo"
    assert require_confirmed(definition(tmp_path)).by == "Ada", "back to what Ada saw"


def test_comments_and_the_place_of_the_file_do_not_count(tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()
    assert content_hash(definition(tmp_path)) == content_hash(definition(other, f"# a remark\n{TEXT}\n\n"))


@pytest.mark.parametrize("by", ["", "  "])
def test_nobody_confirms_nothing(state: Path, tmp_path: Path, by: str) -> None:
    with pytest.raises(WiringError, match="name one"):
        confirm_wiring(definition(tmp_path), by, ("one",))
    with pytest.raises(WiringError, match="nothing was ticked"):
        confirm_wiring(definition(tmp_path), "Ada", ())
    assert find_confirmation(definition(tmp_path)) is None


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", '{"bench": 1, "digest": 2, "by": 3, "at": 4, "ticked": []}'])
def test_a_damaged_confirmation_is_not_taken_for_none(state: Path, tmp_path: Path, damage: str) -> None:
    confirm_wiring(definition(tmp_path), "Ada", ("one",))
    [path] = state.rglob("*.json")
    path.write_text(damage, encoding="utf-8")
    with pytest.raises(BenchError, match="remove it"):
        require_confirmed(definition(tmp_path))


def test_a_confirmation_of_another_content_under_this_name_is_refused(state: Path, tmp_path: Path) -> None:
    confirm_wiring(definition(tmp_path), "Ada", ("one",))
    [path] = state.rglob("*.json")
    text = path.read_text(encoding="utf-8")
    digest = content_hash(definition(tmp_path))
    path.write_text(text.replace(digest, digest[:12] + "0" * 52), encoding="utf-8")
    with pytest.raises(BenchError, match="another bench or content"):
        require_confirmed(definition(tmp_path))


def test_a_state_folder_that_cannot_be_made_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    monkeypatch.setenv("BMSBENCH_STATE", str(blocked))
    with pytest.raises(BenchError, match=r"cannot be written .*BMSBENCH_STATE"):
        confirm_wiring(definition(tmp_path), "Ada", ("one",))


def test_without_the_variable_the_platform_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BMSBENCH_STATE", raising=False)
    assert state_folder().name == "bmsbench"
    assert state_folder().is_absolute()


def test_a_bench_s_name_becomes_a_file_s_name() -> None:
    assert file_word("Lab A/B: ../x") == "Lab_A_B_.._x"
    assert file_word("..") == "unnamed"
