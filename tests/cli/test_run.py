"""`bmsbench run`: which suites its words mean, one clear error for each mistake, and a record for machines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from bmsbench.suites import SUITES, suite_words

ROOT = Path(__file__).resolve().parents[2]


def run(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "BMSBENCH_"))}
    command = [sys.executable, "-m", "bmsbench", "run", *map(str, words)]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(autouse=True)
def somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BMSBENCH_LAB", raising=False)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ([], ["SUITES"]),
        (["-x", "-q"], ["-x", "-q", "SUITES"]),
        (["current_sign"], ["SUITES/current_sign"]),
        (["-x", "reference"], ["-x", "SUITES/reference"]),
        (["-k", "reference"], ["-k", "reference", "SUITES"]),
        (["--maxfail", "1", "-n", "2"], ["--maxfail", "1", "-n", "2", "SUITES"]),
        (["--maxfail=1", "reference"], ["--maxfail=1", "SUITES/reference"]),
        (["--junitxml", "there.xml"], ["--junitxml", "there.xml", "SUITES"]),
        (["--alluredir", "there", "--lf"], ["--alluredir", "there", "--lf", "SUITES"]),
        (["--somebodys-option", "3"], ["--somebodys-option", "3", "SUITES"]),
        (["--somebodys-flag", "reference"], ["--somebodys-flag", "SUITES/reference"]),
        (["there.xml", "reference"], ["there.xml", "SUITES/reference"]),
        (
            ["protections/test_overcurrent.py::test_trips_in_time_and_the_current_stops", "-v"],
            ["SUITES/protections/test_overcurrent.py::test_trips_in_time_and_the_current_stops", "-v"],
        ),
    ],
)
def test_words_are_paths_options_and_names_of_suites(words: list[str], meant: list[str], tmp_path: Path) -> None:
    (tmp_path / "there.xml").touch()
    (tmp_path / "there").mkdir()
    assert suite_words(words) == [
        str(Path(word.replace("SUITES", str(SUITES)))) if "SUITES" in word else word for word in meant
    ]


def test_a_labs_suites_come_before_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suites = tmp_path / "lab" / "suites"
    (suites / "reference").mkdir(parents=True)
    assert suite_words([], str(tmp_path / "lab")) == [str(SUITES)], "no suite of its own yet"
    (suites / "reference" / "test_own.py").write_text("def test_own(stand): pass\n", encoding="utf-8")
    assert suite_words([], str(tmp_path / "lab")) == [str(suites)]
    assert suite_words(["reference"], str(tmp_path / "lab")) == [str(suites / "reference")]
    assert suite_words(["current_sign"], str(tmp_path / "lab")) == [str(SUITES / "current_sign")]
    monkeypatch.setenv("BMSBENCH_LAB", str(tmp_path / "lab"))
    assert suite_words([]) == [str(suites)]
    with pytest.raises(click.UsageError, match="did you mean 'reference'"):
        suite_words(["refrence"])


def test_a_misspelt_suite_is_named_with_the_nearest() -> None:
    with pytest.raises(click.UsageError, match=r"curent_sign: there is no such path.*did you mean 'current_sign'\?"):
        suite_words(["curent_sign"])
    with pytest.raises(click.UsageError, match="nowhere/at/all"):
        suite_words(["-x", "nowhere/at/all"])


def test_each_mistake_is_one_error_and_leaves_nothing(tmp_path: Path) -> None:
    mistakes = {
        ("reference", "--bench", "virtul"): (4, "did you mean 'virtual'?"),
        ("reference", "--bms", "foxbm_2"): (4, "did you mean 'foxbms_2'?"),
        ("reference", "--defect", "inverted_sing"): (4, "did you mean 'inverted_sign'?"),
        ("reference", "--lab", "nowhere"): (4, "--lab nowhere: there is no such folder"),
        ("reference", "--nosuch"): (4, "unrecognized arguments: --nosuch"),
        ("refrence",): (2, "did you mean 'reference'?"),
        ("--seed", "x"): (2, "'x' is not a valid integer"),
        ("--rule", "lenient"): (2, "'lenient' is not one of"),
    }
    folder = tmp_path / "evidence"
    for words, (status, sentence) in mistakes.items():
        done = run(*words, "--run-folder", folder, cwd=tmp_path)
        assert done.returncode == status, (words, done.stdout, done.stderr)
        assert done.stderr.count(sentence) == 1, (words, done.stderr)
        assert "Traceback" not in done.stdout + done.stderr
        assert not folder.exists()
    folder.mkdir()
    done = run("reference", "--run-folder", folder, cwd=tmp_path)
    assert (done.returncode, list(folder.iterdir())) == (4, [])
    assert "exists already" in done.stderr


def test_json_is_the_record_alone(tmp_path: Path) -> None:
    folder = tmp_path / "evidence"
    done = run("reference", "-k", "zero", "--json", "--seed", "5", "--run-folder", folder, cwd=tmp_path)
    record = json.loads(done.stdout)
    assert (done.returncode, record["exit_status"], record["seed"]) == (0, 0, 5)
    assert record == json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert "1 passed" in done.stderr
    wrong = run("reference", "--json", "--bms", "nobody", cwd=tmp_path)
    assert (wrong.returncode, wrong.stdout) == (4, ""), "no other run's record in its place"


def test_help_says_what_stands_for_what(tmp_path: Path) -> None:
    done = run("--help", cwd=tmp_path)
    for words in (
        "PATH is a file or folder of suites",
        "Without a PATH",
        "10 the bench broke",
        "--defect",
        "--unattended",
    ):
        assert words in done.stdout


def test_nobody_at_the_bench_is_said_to_pytest_only_when_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from bmsbench.commands.run import command

    heard: list[list[str]] = []

    def main(words: list[str], plugins: list[object]) -> int:
        heard.append(words)
        return len(plugins) - 1

    monkeypatch.setattr(pytest, "main", main)
    assert command.main(["reference", "--unattended", "--seed", "5"], standalone_mode=False) == 0
    assert command.main(["reference", "--seed", "5"], standalone_mode=False) == 0
    assert set(heard[0]) - set(heard[1]) == {"--unattended"}
    assert "--seed=5" in heard[1]
