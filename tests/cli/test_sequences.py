"""`bmsbench sequences`: the list, one sequence line by line, and what a BMS lacks."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from bench.profile import find_profile
from bmsbench.commands.sequences import command


def asked(*words: str) -> Result:
    return CliRunner().invoke(command, list(words), standalone_mode=False, catch_exceptions=False)


def test_the_list_names_clause_mark_scope_and_runs() -> None:
    lines = asked().output.splitlines()
    (line,) = (line for line in lines if line.startswith("gb44240_8.3 "))
    assert line.split()[1:4] == ["P", "F+L", "3"]


def test_one_sequence_is_shown_line_by_line_with_the_marks_of_its_numbers() -> None:
    said = asked("iec62619_8.2.2").output
    assert "functional evidence for IEC 62619:2022, clause 8.2.2" in said
    assert [
        line for line in said.splitlines() if line.split()[:6] == ["4", "abort", "1.03", "x", "upper_limit_cell_v", "S"]
    ]
    assert [line for line in said.splitlines() if "25 degC ± 5 degC" in line]


def test_a_bms_that_lacks_a_protection_is_told_so_and_the_status_is_three(tmp_path: Path) -> None:
    source = find_profile("bmsbench_16s")
    text = source.read_text(encoding="utf-8")
    (tmp_path / "profiles").mkdir()
    head, *rows = text.split("[[protections]]")
    kept = [row for row in rows if 'kind = "charge_overcurrent"' not in row]
    assert len(kept) < len(rows)
    for other in source.parent.glob("*.dbc"):
        (tmp_path / "profiles" / other.name).write_bytes(other.read_bytes())
    (tmp_path / "profiles" / "poorer.toml").write_text("[[protections]]".join([head, *kept]), encoding="utf-8")
    result = asked("gb44240_8.4", "--lab", str(tmp_path), "--bms", "poorer")
    assert result.return_value == 3
    assert "'poorer' declares no protection of kind charge_overcurrent" in result.output
    assert asked("gb44240_8.3", "--lab", str(tmp_path), "--bms", "poorer").return_value == 0
