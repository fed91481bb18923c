"""`bmsbench commission`: exit status, stored evidence, and what the catalogue says afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.commissioning import commissionings
from bench.errors import BenchError
from bmsbench.__main__ import main
from instruments import catalogue
from instruments.driver_digest import driver_digest


def stored(state: Path) -> list[Path]:
    return sorted((state / "commissioning").rglob("*.json"))


def test_a_healthy_instrument_is_zero_and_leaves_evidence(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["commission", "charger", "--bench", "virtual", "--resistor", "1"]) == 0
    shown = capsys.readouterr()
    assert "charger is commissioned (SIMULATED: this counts for no hardware)" in " ".join(shown.out.split())
    assert "no hardware is touched" in shown.err
    [path] = stored(state)
    assert str(path) in shown.out
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert kept["serial"] == "VIRTUAL-CHARGER"
    assert kept["firmware"]
    assert kept["driver_digest"] == driver_digest(catalogue.load("supply", "ea_psi_9000"))
    assert kept["virtual"] is True
    assert kept["at"].endswith("Z")
    assert kept["commissioned"] is True
    [record] = commissionings()
    assert {**record.as_dict(), "lines": kept["lines"]} == kept


def test_a_fault_is_ten_and_the_evidence_is_kept_too(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["commission", "supply", "--bench", "virtual", "--fault", "sign_inverted", "--json"]) == 10
    told = json.loads(capsys.readouterr().out)
    assert told["commissioned"] is False
    assert told["evidence"] == str(stored(state)[0])


@pytest.mark.parametrize(
    "words",
    [
        ["suply", "--bench", "virtual"],
        ["supply", "--bench", "virtul"],
        ["supply"],
        ["supply", "--bench", "virtual", "--short", "--resistor", "1"],
        ["supply", "--bench", "virtual", "--resistor", "0"],
        ["supply", "--bench", "virtual", "--resistor", "nan"],
        ["supply", "--bench", "virtual", "--fault", "nonsense"],
    ],
)
def test_a_wrong_command_is_two_and_stores_nothing(state: Path, words: list[str]) -> None:
    assert main(["commission", *words]) == 2
    assert stored(state) == []


def test_a_virtual_instrument_never_counts_as_hardware(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["commission", "supply", "--bench", "virtual"]) == 0
    capsys.readouterr()
    assert main(["instruments", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["seen"] for row in rows] == ["never seen on hardware"] * len(rows)
    assert not any(row["seen_on_hardware"] for row in rows)


def as_if_real(path: Path, **changes: object) -> None:
    """Rewrite evidence as a bench with hardware would have left it."""
    data = json.loads(path.read_text(encoding="utf-8"))
    data.update({"virtual": False, "serial": "2093040001", "bench": "lab-a", **changes})
    path.write_text(json.dumps(data), encoding="utf-8")


def seen(capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(["instruments", "--json"]) == 0
    [row] = [row for row in json.loads(capsys.readouterr().out) if row["driver"] == "ea_psi_9000"]
    assert isinstance(row["seen"], str)
    return row["seen"]


def test_the_catalogue_says_where_when_and_which_unit(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["commission", "supply", "--bench", "virtual", "--short"]) == 0
    [path] = stored(state)
    as_if_real(path, at="2026-03-04T10:00:00Z")
    text = "commissioned on lab-a, 2026-03-04, serial 2093040001 (without over-voltage trip)"
    assert seen(capsys) == text
    as_if_real(path, driver_digest="0" * 64)
    assert seen(capsys) == f"{text}; the driver has changed since, commission it again"


def test_a_failed_commissioning_on_hardware_is_not_hidden(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["commission", "supply", "--bench", "virtual", "--fault", "watchdog_dead"]) == 10
    as_if_real(stored(state)[0])
    assert seen(capsys).startswith("FAILED its commissioning on lab-a")
    assert seen(capsys).endswith("watchdog")


def test_the_newest_evidence_of_a_bench_counts(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["commission", "supply", "--bench", "virtual", "--fault", "watchdog_dead"]) == 10
    as_if_real(stored(state)[0], at="2026-01-01T00:00:00Z")
    assert main(["commission", "supply", "--bench", "virtual"]) == 0
    as_if_real(stored(state)[1], at="2026-01-02T00:00:00Z")
    assert seen(capsys) == "commissioned on lab-a, 2026-01-02, serial 2093040001"


@pytest.mark.parametrize("damage", ["", "{}", "[]", '{"lines": [{"check": 1}]}'])
def test_damaged_evidence_is_not_taken_for_none(state: Path, damage: str) -> None:
    path = state / "commissioning" / "lab-a" / "charger.json"
    path.parent.mkdir(parents=True)
    path.write_text(damage, encoding="utf-8")
    with pytest.raises(BenchError, match=r"charger\.json"):
        commissionings()
    assert main(["instruments"]) == 10


def test_two_contacts_in_one_second_are_two_records(state: Path) -> None:
    for _ in range(2):
        assert main(["commission", "pack_meter", "--bench", "virtual"]) == 0
    assert len(stored(state)) == 2
