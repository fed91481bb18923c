"""`bmsbench wiring`: drawing, list, confirmation; and the arithmetic behind them."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.definition import DEFINITIONS, load_definition
from bench.errors import DefinitionError, WiringError
from bench.wiring import CROSS_SECTIONS_MM2, cross_section_mm2, require_complete, wiring_items
from bench.wiring_confirmation import require_confirmed
from bmsbench.__main__ import main
from reports.wiring_sheet import drawing_lines, sheet_svg

TEXT = (DEFINITIONS / "virtual.toml").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BMSBENCH_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def changed(folder: Path, *changes: tuple[str, str]) -> Path:
    """Write the shipped bench with changes."""
    text = TEXT
    for before, after in changes:
        assert before in text, before
        text = text.replace(before, after)
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("bench", ["virtual", "virtual_bidirectional"])
def test_the_sheet_fits_a_terminal_and_names_every_part(bench: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["wiring", "--bench", bench]) == 0
    shown = capsys.readouterr().out
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert shown.isascii()
    assert "not confirmed" in shown
    definition = load_definition(DEFINITIONS / f"{bench}.toml")
    for part in [*definition.instruments, *definition.links]:
        assert part in shown
    for word in ("fuse 160 A", "50 mm2", "proposal", "HI to B+", "emergency stop", "interlock", "isolated"):
        assert word in " ".join(shown.split())


@pytest.mark.parametrize(
    ("current_a", "size_mm2"),
    [(1.0, 1.5), (6.0, 1.5), (6.1, 2.5), (100.0, 25.0), (200.0, 50.0), (201.0, 95.0), (600.0, 240.0)],
)
def test_the_cross_section_follows_the_rule_that_is_printed(current_a: float, size_mm2: float) -> None:
    assert cross_section_mm2(current_a) == size_mm2


def test_the_cross_section_never_falls_with_the_current() -> None:
    sizes = [cross_section_mm2(float(current_a)) for current_a in range(1, 601)]
    assert sizes == sorted(sizes)
    assert set(sizes) <= set(CROSS_SECTIONS_MM2)


@pytest.mark.parametrize("current_a", [0.0, -1.0, float("nan"), float("inf"), 601.0])
def test_a_lead_that_the_rule_does_not_know_is_refused(current_a: float) -> None:
    with pytest.raises(DefinitionError):
        cross_section_mm2(current_a)


def test_the_meter_on_the_shunt_turns_round_with_its_sign(tmp_path: Path) -> None:
    charge = drawing_lines(load_definition(changed(tmp_path)))
    path = changed(tmp_path, ('positive_means = "charge"', 'positive_means = "discharge"'))
    discharge = drawing_lines(load_definition(path))

    def order(lines: list[str]) -> list[str]:
        return [line.split("---- ")[1][:2] for line in lines if "of shunt_meter" in line]

    assert order(charge) == ["HI", "LO"]
    assert order(discharge) == ["LO", "HI"]
    [orientation] = [item for item in wiring_items(load_definition(path)) if item.key == "shunt.orientation"]
    assert "HI to the sense terminal towards the pack" in orientation.text


def test_plus_and_minus_of_every_instrument_reach_their_own_rail(tmp_path: Path) -> None:
    lines = drawing_lines(load_definition(changed(tmp_path)))
    plus = next(line for line in lines if "bus +" in line).index("| bus +")
    minus = next(line for line in lines if "bus -" in line).index("bus - |") + len("bus - ")
    assert [line.rindex("o") for line in lines if line.rstrip().endswith("o") and "+ -" in line] == [plus, plus]
    assert [line.rindex("o") for line in lines if line.lstrip().startswith("- -")] == [minus, minus]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('relays = "isolated", ', ""), "topology.references.relays: not declared"),
        (("fuse_a = 160.0", "fuse_a = 250.0"), "does not protect them"),
        (("wiring_a = 200.0", "wiring_a = 700.0"), "have parallel leads"),
    ],
)
def test_a_sheet_with_gaps_shows_them_and_cannot_be_confirmed(
    tmp_path: Path, change: tuple[str, str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = changed(tmp_path, change)
    assert main(["wiring", "--bench", str(path)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "MISSING: " in shown
    assert words in shown
    assert main(["wiring", "--bench", str(path), "--confirm", "--by", "Ada"]) == 10
    assert words in capsys.readouterr().err
    with pytest.raises(WiringError):
        require_confirmed(load_definition(path))


def test_a_confirmation_is_kept_until_the_definition_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = changed(tmp_path)
    assert main(["wiring", "--bench", str(path), "--confirm", "--by", "Ada Byron"]) == 0
    assert "confirmed by Ada Byron at 2" in capsys.readouterr().out
    kept = require_confirmed(load_definition(path))
    assert kept.ticked == tuple(item.key for item in require_complete(load_definition(path)))
    changed(tmp_path, ("fuse_a = 160.0", "fuse_a = 150.0"))
    assert main(["wiring", "--bench", str(path)]) == 0
    assert "not confirmed" in capsys.readouterr().out
    with pytest.raises(WiringError, match="has changed since Ada Byron"):
        require_confirmed(load_definition(path))


@pytest.mark.parametrize("words", [["--confirm"], ["--confirm", "--by", " "], ["--by", "Ada"], ["--bench", "virtul"]])
def test_a_wrong_command_is_two_and_keeps_nothing(state: Path, words: list[str]) -> None:
    assert main(["wiring", *words]) == 2
    assert not state.exists()


def test_the_list_as_json_has_a_stable_key_for_each_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["wiring", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    keys = [item["key"] for item in data["items"]]
    assert len(set(keys)) == len(keys) > 20
    assert data["confirmed_by"] is None
    assert {"fuse", "leads", "shunt.orientation", "disconnect", "pack_meter", "reference.can"} <= set(keys)


def test_the_drawing_is_a_drawing_without_colour(tmp_path: Path) -> None:
    target = tmp_path / "wiring.svg"
    assert main(["wiring", "--svg", str(target)]) == 0
    text = target.read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    assert root.tag.endswith("svg")
    shown = " ".join("".join(node.itertext()) for node in root.iter() if node.tag.endswith("text"))
    assert "reference shunt 0.5 mOhm" in shown
    assert "proposal" in shown
    assert {part[:4] for part in text.split("#")[1:]} <= {"000;", "000}", "fff}"}
    boxes = [node for node in root.iter() if node.get("width") == "11"]
    assert len(boxes) == len(wiring_items(load_definition(DEFINITIONS / "virtual.toml")))


def test_names_from_the_file_do_not_break_the_drawing(tmp_path: Path) -> None:
    path = changed(tmp_path, ('name = "virtual"', 'name = "a<b>&\\"c\\""'))
    ElementTree.fromstring(sheet_svg(load_definition(path), None))


def test_a_bench_without_a_disconnect_says_so(tmp_path: Path) -> None:
    path = changed(tmp_path, ('disconnect = "relays"\n', ""))
    [item] = [item for item in wiring_items(load_definition(path)) if item.key == "disconnect"]
    assert "has none" in item.text
    assert not any("disconnect" in line for line in drawing_lines(load_definition(path)))


def test_high_voltage_asks_for_covers(tmp_path: Path) -> None:
    loop = '[instruments.door]\ndriver = "file_input"\naddress = "file:/tmp/door"\n\n[roles]\ninterlock = "door"\n'
    path = changed(tmp_path, ("max_v = 60.0", "max_v = 70.0"), ("[roles]\n", loop))
    assert any(item.key == "covers" for item in wiring_items(load_definition(path)))
