"""`bmsbench release`: a person looks, says so, and is remembered."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bench.definition import find_definition, load_definition
from bench.errors import SafetyError
from bench.quarantine import LOOK_CELLS, check_bench, history, quarantine_bench, quarantine_dut, quarantined_dut
from bmsbench.__main__ import main
from bmsbench.commands.release import command


def release(*words: str, answer: str | None = None) -> Any:
    return CliRunner().invoke(command, list(words), input=answer, standalone_mode=False)


@pytest.fixture(autouse=True)
def closed() -> None:
    quarantine_bench("table", "current still +12.0 A", by="guardian", evidence=["supply FAILED"])


def test_it_shows_why_and_asks_first() -> None:
    ended = release("table", "--by", "A. Person", answer="y\n")
    assert ended.return_value == 0
    for word in ("by guardian", "current still +12.0 A", "supply FAILED", "did you see", "may run again"):
        assert word in ended.output
    check_bench("table")
    assert history()[0]["released_by"] == "A. Person"


@pytest.mark.parametrize("answer", ["n\n", "\n"])
def test_without_a_yes_it_stays_closed(answer: str) -> None:
    ended = release("table", "--by", "A. Person", answer=answer)
    assert ended.return_value == 10
    assert "stays quarantined" in ended.output
    assert history() == []


def test_as_json_it_does_not_ask_but_wants_the_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["release", "table", "--by", "A. Person", "--json"]) == 2
    assert main(["release", "table", "--by", "A. Person", "--json", "--yes"]) == 0
    assert json.loads(capsys.readouterr().out)["was"]["cause"] == "current still +12.0 A"


def test_nobody_cannot_release(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["release", "table", "--yes"]) == 2
    assert main(["release", "table", "--yes", "--by", " "]) == 2
    assert "--by" in capsys.readouterr().err
    assert history() == []


def test_a_bench_that_is_not_quarantined_needs_no_release(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["release", "another", "--by", "A. Person", "--yes"]) == 2
    assert "not quarantined" in capsys.readouterr().err


def test_a_bms_is_released_by_its_settings_and_not_by_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    quarantine_dut("00412", {"charge_overcurrent": 110.0}, cause="a test changed it")
    assert main(["release", "00412", "--by", "A. Person", "--yes"]) == 2
    assert "bmsbench settings --restore" in capsys.readouterr().err
    assert quarantined_dut("00412") is not None


def test_later_causes_are_shown_and_asked_for_too() -> None:
    quarantine_bench("table", "cell 4 at 1.9 V", by="guard", evidence=["its pack"], look=LOOK_CELLS)
    ended = release("table", "--by", "A. Person", answer="y\n")
    assert ended.return_value == 0
    for word in ("current still +12.0 A", "by guard\n", "cell 4 at 1.9 V", "its pack", "nothing is warm", "taken away"):
        assert word in ended.output


def test_another_definition_of_its_instruments_is_told_which_bench_to_release(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (find_definition("virtual")).read_text(encoding="utf-8")
    one, two = tmp_path / "one.toml", tmp_path / "two.toml"
    text = text.replace('clock = "simulated"', 'clock = "wall"')
    ports = itertools.count(9000)
    text = re.sub(r'"virtual:\w+"', lambda _: f'"tcp:127.0.0.1:{next(ports)}"', text)
    for path in (one, two):
        path.write_text(re.sub(r'(?m)^name = "virtual"', f'name = "{path.stem}"', text), encoding="utf-8")
    quarantine_bench(load_definition(one), "current still +12.0 A", by="guardian")
    with pytest.raises(SafetyError, match="in common with bench one"):
        check_bench(load_definition(two))
    assert main(["release", str(two), "--by", "A. Person", "--yes"]) == 2
    assert "bench two is not quarantined itself, but has instruments of: one" in capsys.readouterr().err
    assert main(["release", str(one), "--by", "A. Person", "--yes"]) == 0
    check_bench(load_definition(two))
