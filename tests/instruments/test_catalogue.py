"""The catalogue: the file's name is the driver's name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.errors import DefinitionError
from instruments import catalogue

DRIVER = '''
"""A supply of the lab."""


class LabSupply:
    """Our own supply."""

    role = "supply"
    family = "Lab supply"
    models = ("LS1",)
    transport = "scpi"
    commissioned = True

    @classmethod
    def open(cls, name, address, *, clock, record, timeout_s=2.0, options={}):
        return cls()
'''


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A lab's drivers folder with one supply."""
    (tmp_path / "supplies").mkdir()
    (tmp_path / "supplies" / "lab_supply.py").write_text(DRIVER, encoding="utf-8")
    return tmp_path


def test_every_driver_is_listed_with_its_facts() -> None:
    facts = {each.name: each for each in catalogue.scan()}
    assert facts["ea_psi_9000"].role == "supply"
    assert facts["ea_psb_9000"].transport == "modbus_tcp"
    assert facts["waveshare_modbus_relay"].folder == "relays"
    assert all(each.summary and each.family for each in facts.values())
    assert not any(each.commissioned for each in facts.values()), "none was seen on hardware yet"


def test_a_driver_is_loaded_by_role_or_by_folder() -> None:
    assert catalogue.load("supply", "ea_psi_9000") is catalogue.load("supplies", "ea_psi_9000")
    assert catalogue.names("load") == catalogue.names("loads")
    assert "ea_el_9000" in catalogue.names("load")


def test_only_the_one_asked_for_is_imported() -> None:
    code = (
        "import sys; from instruments import catalogue; catalogue.load('load', 'ea_el_9000');"
        "print([m for m in sys.modules if 'psi_9000' in m or 'pymodbus' in m or '34465a' in m])"
    )
    root = Path(catalogue.__file__).parents[1]
    run = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("role", "name", "hint"),
    [
        ("supply", "ea_psi9000", "did you mean 'ea_psi_9000'"),
        ("supply", "ea_el_9000", "'ea_el_9000' is in loads"),
        ("supply", "zzz", "there are: ea_psi_9000"),
        ("suply", "ea_psi_9000", "did you mean 'supply'"),
        ("gadget", "x", "not a role"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(role: str, name: str, hint: str) -> None:
    with pytest.raises(DefinitionError, match=hint):
        catalogue.load(role, name)


def test_a_lab_s_driver_is_loaded_by_path(lab: Path) -> None:
    driver = catalogue.load("supply", "lab_supply", lab)
    assert driver.family == "Lab supply"
    assert catalogue.load("supply", "lab_supply", lab) is driver
    assert "lab_supply" in [facts.name for facts in catalogue.scan(lab)]
    assert "lab_supply" in catalogue.names("supply", lab)
    with pytest.raises(DefinitionError):
        catalogue.load("supply", "lab_supply")


def test_a_lab_may_not_shadow_a_driver_of_the_project(lab: Path) -> None:
    (lab / "supplies" / "ea_psi_9000.py").write_text(DRIVER, encoding="utf-8")
    with pytest.raises(DefinitionError, match=r"already a driver called 'ea_psi_9000'"):
        catalogue.load("supply", "ea_psi_9000", lab)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("syntax error(", "SyntaxError"),
        ("import no_such_module_at_all", "ModuleNotFoundError"),
        ("", "exactly one public class"),
        (DRIVER + DRIVER.replace("LabSupply", "Second"), "has 2"),
        (DRIVER.replace('transport = "scpi"', ""), "lacks transport"),
        (DRIVER.replace('role = "supply"', 'role = "load"'), "does not belong into supplies"),
    ],
)
def test_a_lab_s_broken_driver_is_named_with_what_is_wrong(lab: Path, text: str, complaint: str) -> None:
    (lab / "supplies" / "broken.py").write_text(text, encoding="utf-8")
    with pytest.raises(DefinitionError, match=rf"broken\.py.*{complaint}"):
        catalogue.load("supply", "broken", lab)
