"""The command line itself: help without weight, the version, misspelt commands, closed pipes."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bmsbench import __main__ as command_line

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("can", "cantools", "pyvisa", "pymodbus", "numpy", "pydantic", "allure", "allure_commons", "rich", "pytest")


def run(*words: str, **more: object) -> subprocess.CompletedProcess[str]:
    options: dict[str, object] = {"capture_output": True, "text": True, "timeout": 60, **more}
    return subprocess.run([sys.executable, "-m", "bmsbench", *words], check=False, **options)  # type: ignore[call-overload,no-any-return]


def test_help_lists_every_command_with_its_first_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["--help"]) == 0
    shown = capsys.readouterr().out
    for path in (ROOT / "bmsbench" / "commands").glob("[a-z]*.py"):
        assert f"\n  {path.stem} " in shown, path.stem
        assert path.read_text(encoding="utf-8").startswith('"""'), "its first line is what help shows"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from bmsbench.__main__ import main; main(['--help'])\n"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "LOADED []" in done.stdout


def test_every_command_can_be_asked_for_help(capsys: pytest.CaptureFixture[str]) -> None:
    for path in (ROOT / "bmsbench" / "commands").glob("[a-z]*.py"):
        assert command_line.main([path.stem, "--help"]) == 0
        assert "Usage: bmsbench" in capsys.readouterr().out


def test_the_version(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert command_line.main(["--version"]) == 0
    assert capsys.readouterr().out == f"bmsbench {importlib.metadata.version('bmsbench')}\n"

    def nowhere(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", nowhere)
    assert command_line.main(["--version"]) == 0
    assert capsys.readouterr().out == "bmsbench 0.1.0 (a checkout, not installed)\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["rnu"], "did you mean 'run'?"),
        (["--nosuch"], "No such option"),
        (["explain"], "Missing argument"),
        (["explain", "-12.3", "--bms", "foxbm_2"], "did you mean 'foxbms_2'?"),
    ],
)
def test_wrong_usage_is_one_clear_error(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(words) == 2
    shown = capsys.readouterr()
    assert sentence in shown.err
    assert shown.out == ""
    assert "Traceback" not in shown.err


@pytest.mark.skipif(os.name == "nt", reason="closed pipes are told otherwise on Windows")
def test_a_reader_that_had_enough_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "bmsbench", "run", "--help"],
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_help_works_where_folders_have_our_names(tmp_path: Path) -> None:
    for name in ("bench", "fixtures", "reports", "bmsbench"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "here.py").write_text("", encoding="utf-8")
    done = run("run", "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "PATH is a file or folder of suites" in done.stdout
