"""`bmsbench settings`: who a unit is and how it is set, without touching an instrument."""

from __future__ import annotations

import json

import pytest

from bench.errors import DefinitionError, SafetyError
from bench.profile import find_profile, load_profile
from bmsbench.__main__ import main
from bmsbench.dut_report import DutReport, Row, restore, snapshot_of

SEPLOS = load_profile(find_profile("seplos_v3"))


def test_every_setting_is_shown_beside_what_the_profile_promises(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "--bms", "seplos_v3"]) == 0
    shown = capsys.readouterr().out
    assert "serial VIRTUAL-BMS-" in shown and "firmware 10" in shown
    rows = {line.split()[0]: line.split() for line in shown.splitlines() if line.split()}
    assert rows["discharge_overcurrent"] == ["discharge_overcurrent", "110", "A", "-", "110", "A"]
    assert rows["cell_overvoltage"][1:3] == ["3650", "mV"]
    assert set(SEPLOS.settings) <= set(rows)
    assert all(len(line) <= 80 for line in shown.splitlines())


def test_as_json_values_are_in_inside_units(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "--bms", "seplos_v3", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    rows = {row["name"]: row for row in data["settings"]}
    assert rows["cell_overvoltage"]["now"] == pytest.approx(3.65)
    assert rows["cell_overvoltage"]["unit"] == "V"
    assert rows["discharge_overcurrent"]["now"] == 110.0
    assert data["quarantine"] is None and data["restored"] is False


def test_a_bms_without_settings_is_said_to_have_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "--bms", "foxbms_2"]) == 0
    shown = capsys.readouterr().out
    assert "declares no setting" in shown
    assert "serial not known" in shown


@pytest.mark.parametrize(
    ("words", "status", "why"),
    [
        (["--restore"], 2, "is not quarantined; there is nothing to put back"),
        (["--dut-serial", "A-17"], 2, "'A-17' is told, but the BMS says it is 'VIRTUAL-BMS-"),
        (["--bms", "seplos_v4"], 2, "no BMS profile called 'seplos_v4'; did you mean 'seplos_v3'"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_try(
    words: list[str], status: int, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["settings", "--bms", "seplos_v3", *words]) == status
    assert why in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("entry", [None, {}, {"snapshot": None}, {"snapshot": {"mode": "storage"}}, {"snapshot": []}])
def test_a_damaged_snapshot_is_none(entry: dict[str, object] | None) -> None:
    assert snapshot_of(entry) == {}


def test_only_what_differs_from_a_snapshot_differs() -> None:
    assert Row("charge_overcurrent", "A", 60.0, 110.0, 110.0).differs
    assert not Row("charge_overcurrent", "A", 60.0, None, 110.0).differs
    assert Row("gone", "", None, 110.0, None).differs


def test_without_a_serial_number_nothing_is_put_back() -> None:
    nameless = DutReport("", {}, {"serial": "silent"}, None, ())
    with pytest.raises(DefinitionError, match="name it with --dut-serial"):
        restore(None, nameless)  # type: ignore[arg-type]
    damaged = DutReport("00412", {}, {}, {"cause": "cannot be read"}, ())
    with pytest.raises(SafetyError, match="holds no snapshot that can be read"):
        restore(None, damaged)  # type: ignore[arg-type]
