"""The documentation as text: links lead somewhere, tables agree with the code, reference pages are current."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from bmsbench.commands import docs as docs_command
from instruments.virtual.defects import registry

ROOT = Path(__file__).resolve().parents[2]
TEXTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r'(?:\]\(|src=")([^)"\s]+)[)"]')
WRITTEN_BY_HAND = [path for path in TEXTS if path.parent.name != "reference"]


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _anchors(text: str) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", TEXTS, ids=_name)
def test_every_link_leads_somewhere(path: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in LINK.findall(text):
        if target.startswith("http"):
            continue
        place, _, anchor = target.partition("#")
        found = (path.parent / place).resolve() if place else path
        assert found.exists(), f"{_name(path)}: {target} leads nowhere"
        if anchor:
            assert anchor in _anchors(found.read_text(encoding="utf-8")), f"{_name(path)}: no such heading: {target}"


def test_the_index_names_every_page() -> None:
    index = ROOT / "docs" / "README.md"
    named = {(index.parent / target).resolve() for target in LINK.findall(index.read_text(encoding="utf-8"))}
    missing = [_name(path) for path in TEXTS if path.parent != ROOT and path != index and path not in named]
    assert not missing, f"docs/README.md does not name {missing}"


@pytest.mark.parametrize("path", WRITTEN_BY_HAND, ids=_name)
def test_no_text_claims_more_than_evidence(path: Path) -> None:
    claims = re.findall(r"\b(?:complies|compliant with|certified|certifies)\b", path.read_text(encoding="utf-8"), re.I)
    assert not claims, f"{_name(path)}: {claims}"


def test_the_catalogue_of_misreadings_names_the_defects_that_play_them() -> None:
    text = (ROOT / "docs" / "misreadings.md").read_text(encoding="utf-8")
    rows = {row[0]: row[-1] for row in re.findall(r"^\| (M\d\d) \|(?: [^|]* \|){3} ([^|]*) \|$", text, re.MULTILINE)}
    assert list(rows) == [f"M{number:02}" for number in range(1, 42)]
    for name, cell in rows.items():
        playing = [defect.name for defect in registry().values() if name in defect.classes]
        assert re.findall(r"`(\w+)`", cell) == playing, f"{name}: the code says {playing or '-'}"


def test_the_reference_pages_are_what_the_code_says() -> None:
    result = CliRunner().invoke(docs_command.command, ["--check"])
    assert result.exit_code == 0, f"run 'python3 dev.py docs' and commit docs/reference\n{result.output}"


def test_a_stale_reference_page_is_named_and_written_again(tmp_path: Path) -> None:
    runner = CliRunner()
    assert runner.invoke(docs_command.command, ["--out", str(tmp_path)]).exit_code == 0
    assert runner.invoke(docs_command.command, ["--out", str(tmp_path), "--check"]).exit_code == 0
    (tmp_path / "drivers.md").write_text("old", encoding="utf-8")
    stale = runner.invoke(docs_command.command, ["--out", str(tmp_path), "--check"])
    assert stale.exit_code == 1
    assert "drivers.md" in stale.output
    assert "profile.md" not in stale.output
    assert (tmp_path / "drivers.md").read_text(encoding="utf-8") == "old"


def test_every_key_of_a_file_says_what_it_means() -> None:
    for page in ("profile.md", "definition.md"):
        text = (ROOT / "docs" / "reference" / page).read_text(encoding="utf-8")
        silent = [
            line
            for line in text.splitlines()
            if line.startswith("| `") and line.endswith("|  |") and "section" not in line
        ]
        assert not silent, f"{page}: {silent}"
