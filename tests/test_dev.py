"""The set-up decides rightly, and says in one sentence what it lacks."""

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
STAMPED = ("pyproject.toml", "requirements.lock", "package-lock.json", "dev.py")
PACKAGES = ("bench", "instruments", "fixtures", "reports", "test_suites", "bmsbench")


@pytest.fixture
def dev(tmp_path: Path) -> ModuleType:
    """Give dev.py as it stands in a checkout of its own, with nothing set up."""
    root = tmp_path / "checkout"
    root.mkdir()
    for name in STAMPED:
        shutil.copy(CHECKOUT / name, root / name)
    spec = importlib.util.spec_from_file_location("dev_under_test", root / "dev.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_ready(dev: ModuleType) -> None:
    """Leave what a finished set-up leaves, without installing anything."""
    Path(dev.PYTHON).parent.mkdir(parents=True)
    Path(dev.PYTHON).touch()
    dev.STAMP.write_text(f"{dev.digest(*dev.STAMPED)}\n{dev.ROOT}", encoding="utf-8")
    dev.NODE_STAMP.parent.mkdir()
    dev.NODE_STAMP.write_text(dev.digest("package-lock.json"), encoding="utf-8")


def printing(text: str, status: int = 1) -> list[str]:
    """Return the command line of a stand-in installer."""
    return [sys.executable, "-c", f"import sys; print({text!r}); sys.exit({status})"]


class Installer:
    """Stands in for pip, venv and npm: notes what it was asked for and fails where it is told to."""

    def __init__(self, dev: ModuleType, fails_at: str = "nowhere") -> None:
        self.dev, self.fails_at, self.asked = dev, fails_at, list[str]()

    def __call__(self, turn: int, what: str, *argv: str) -> None:
        self.asked.append(what)
        assert not self.dev.STAMP.exists() or "Allure" in what, "the stamp comes last"
        if self.fails_at in what:
            raise self.dev.SetupError(f"{what}: {self.fails_at} failed")
        if "venv" in argv:
            Path(self.dev.PYTHON).parent.mkdir(parents=True)
            Path(self.dev.PYTHON).touch()
        if "Allure" in what:
            self.dev.NODE_STAMP.parent.mkdir()


# --- what is there ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STAMPED)
def test_a_change_in_any_stamped_file_makes_the_environment_stale(dev: ModuleType, name: str) -> None:
    make_ready(dev)
    assert dev.state() == "ready"
    with (dev.ROOT / name).open("a", encoding="utf-8") as file:
        file.write("\n")
    assert dev.state() == "stale"


def test_nothing_there_is_missing_rather_than_broken(dev: ModuleType) -> None:
    assert dev.state() == "missing"


def test_an_interrupted_set_up_is_broken_even_with_a_stamp(dev: ModuleType) -> None:
    make_ready(dev)
    dev.UNFINISHED.touch()
    assert dev.state() == "broken"


def test_an_environment_whose_interpreter_went_away_is_broken(dev: ModuleType) -> None:
    make_ready(dev)
    Path(dev.PYTHON).unlink()
    assert dev.state() == "broken"


def test_an_environment_made_for_another_folder_is_broken(dev: ModuleType) -> None:
    make_ready(dev)
    dev.STAMP.write_text(f"{dev.digest(*dev.STAMPED)}\n{dev.ROOT.parent / 'elsewhere'}", encoding="utf-8")
    assert dev.state() == "broken"


def test_an_interpreter_that_is_no_program_is_not_usable(dev: ModuleType) -> None:
    make_ready(dev)
    assert dev.usable() is False


def test_a_ready_environment_starts_no_program_at_all(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_ready(dev)

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a ready environment needs no installer")

    monkeypatch.setattr(dev.subprocess, "run", refuse)
    dev.prepare()
    assert capsys.readouterr().err == ""


# --- set-up ----------------------------------------------------------------------------------------


def test_a_whole_set_up_ends_ready(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    installer = Installer(dev)
    monkeypatch.setattr(dev, "install", installer)
    monkeypatch.setattr(dev.shutil, "which", lambda _: None)
    dev.prepare()
    assert dev.state() == "ready"
    assert not dev.UNFINISHED.exists()
    assert [what.split()[0] for what in installer.asked] == ["making", "installing", "installing"]


@pytest.mark.parametrize("step", ["making .venv", "locked packages", "bmsbench itself"])
def test_a_set_up_that_stops_half_way_is_started_again_from_nothing(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(dev, "install", Installer(dev, fails_at=step))
    monkeypatch.setattr(dev.shutil, "which", lambda _: None)
    with pytest.raises(dev.SetupError, match=step):
        dev.prepare()
    assert dev.state() == "broken"
    (dev.VENV / "half-written").touch()
    monkeypatch.setattr(dev, "install", Installer(dev))
    dev.prepare()
    assert dev.state() == "ready"
    assert not (dev.VENV / "half-written").exists()
    assert list(dev.SCRATCH.glob("old-venv-*")) == []


def test_a_stale_environment_is_brought_up_to_date_where_it_stands(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_ready(dev)
    (dev.VENV / "added-by-the-lab").touch()
    (dev.ROOT / "requirements.lock").write_text("", encoding="utf-8")
    monkeypatch.setattr(dev, "install", Installer(dev))
    monkeypatch.setattr(dev, "usable", lambda: True)
    dev.prepare()
    assert dev.state() == "ready"
    assert (dev.VENV / "added-by-the-lab").exists()


@pytest.mark.skipif(os.name == "nt", reason="file locks are handed to children on POSIX only")
def test_a_second_set_up_waits_until_the_first_has_ended(dev: ModuleType) -> None:
    turn = dev.take_turn()
    code = "import dev; dev.take_turn(); print('my turn')"
    second = subprocess.Popen(
        [sys.executable, "-c", code], cwd=dev.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert second.stderr is not None
    assert "waiting" in second.stderr.readline()
    assert second.poll() is None
    turn.close()
    output, _ = second.communicate(timeout=30)
    assert output == "my turn\n"


# --- sentences -------------------------------------------------------------------------------------


def one_sentence(text: str) -> str:
    """Return the text after checking that it is one line of plain words."""
    assert text.count("\n") == 1
    assert "Traceback" not in text
    return text


def test_an_older_python_reads_one_sentence() -> None:
    source = (CHECKOUT / "dev.py").read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 6))  # otherwise an old one prints a syntax error instead
    code = "import runpy, sys; sys.version_info = (3, 10, 1, 'final', 0); runpy.run_path('dev.py')"
    run = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True)
    assert run.returncode == 10
    assert "needs Python 3.11 or newer, this is 3.10.1" in one_sentence(run.stderr)


@pytest.mark.parametrize("absent", ["venv", "ensurepip"])
def test_a_python_without_venv_says_which_package_to_install(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], absent: str
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(dev.importlib.util, "find_spec", lambda name: None if name == absent else find(name))
    assert dev.main("setup") == 10
    sentence = one_sentence(capsys.readouterr().err)
    assert f"lacks the module {absent}" in sentence
    assert f"apt install python3.{sys.version_info[1]}-venv" in sentence


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("WARNING: Retrying ... NewConnectionError('...: [Errno 101]')\nERROR: No match", "cannot be reached"),
        ("pip._vendor.urllib3.exceptions.ReadTimeoutError: HTTPSConnectionPool", "cannot be reached"),
        ("npm error code ENOTFOUND\nnpm error network", "cannot be reached"),
        ("ERROR: Could not install packages: [Errno 28] No space left on device", "the disk is full"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "not the one in the lock"),
        ("something\nERROR: an unheard-of thing", "ERROR: an unheard-of thing"),
        ("", "it printed nothing"),
    ],
)
def test_an_installers_failure_becomes_one_sentence(dev: ModuleType, printed: str, said: str) -> None:
    dev.VENV.mkdir()
    with dev.take_turn() as turn, pytest.raises(dev.SetupError, match=said) as caught:
        dev.install(turn.fileno(), "installing", *printing(printed))
    assert "\n" not in str(caught.value)
    assert str(dev.LOG) in str(caught.value)


def test_no_network_ends_with_status_10_and_one_sentence(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def offline(turn: int, what: str, *argv: str) -> None:
        raise dev.SetupError(f"{what}: the package index cannot be reached")

    monkeypatch.setattr(dev, "install", offline)
    assert dev.main("demo") == 10
    assert "cannot be reached" in one_sentence(capsys.readouterr().err)


def test_a_checkout_that_cannot_be_written_to_is_named(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dev.SCRATCH.write_text("a file where a folder belongs", encoding="utf-8")
    assert dev.main("setup") == 10
    assert str(dev.SCRATCH) in one_sentence(capsys.readouterr().err)


def test_ctrl_c_during_set_up_prints_one_line(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(dev, "install", interrupted)
    assert dev.main("demo") == 130
    assert "repaired by the next start" in one_sentence(capsys.readouterr().err)
    assert dev.state() == "broken"


# --- Node ------------------------------------------------------------------------------------------


def without_node_stamp(dev: ModuleType, monkeypatch: pytest.MonkeyPatch, installer: Installer) -> None:
    make_ready(dev)
    shutil.rmtree(dev.NODE_STAMP.parent)
    monkeypatch.setattr(dev, "install", installer)
    monkeypatch.setattr(dev.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, "v20.1.0\n"))


def test_without_node_the_set_up_goes_on_and_says_so_once(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installer = Installer(dev)
    without_node_stamp(dev, monkeypatch, installer)
    monkeypatch.setattr(dev.shutil, "which", lambda _: None)
    dev.prepare()
    assert "without Allure's HTML" in capsys.readouterr().err
    dev.prepare()
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(dev.shutil, "which", lambda name: f"/usr/bin/{name}")
    dev.prepare()
    assert installer.asked == ["installing Allure 3 for the reports"], "Node came, so Allure comes"
    assert not dev.node_wanted(again=False)


def test_an_npm_that_failed_is_tried_again_only_on_demand(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installer = Installer(dev, fails_at="Allure")
    without_node_stamp(dev, monkeypatch, installer)
    monkeypatch.setattr(dev.shutil, "which", lambda name: f"/usr/bin/{name}")
    dev.prepare()
    dev.prepare()
    assert len(installer.asked) == 1
    assert "Allure failed" in capsys.readouterr().err
    dev.prepare(again=True)
    assert len(installer.asked) == 2


def test_a_node_that_is_too_old_is_named_with_its_version(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installer = Installer(dev)
    without_node_stamp(dev, monkeypatch, installer)
    monkeypatch.setattr(dev.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(dev.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, "v18.9.0\n"))
    dev.prepare()
    assert "Node.js v18.9.0 is older than 20" in capsys.readouterr().err
    assert installer.asked == []


# --- commands --------------------------------------------------------------------------------------


class Handover:
    """Notes what would have been started, and where."""

    def __init__(self) -> None:
        self.arguments, self.more, self.folder = tuple[str, ...](), dict[str, str](), Path()

    def __call__(self, *arguments: str, **more: str) -> int:
        self.arguments, self.more, self.folder = arguments, more, Path.cwd()
        return 0


@pytest.fixture
def handover(dev: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Handover:
    make_ready(dev)
    noted = Handover()
    monkeypatch.setattr(dev, "hand_over", noted)
    monkeypatch.setattr(dev, "lint", lambda: 0)
    monkeypatch.chdir(tmp_path)
    return noted


def test_the_quick_tests_leave_out_the_full_ones(dev: ModuleType, handover: Handover) -> None:
    assert dev.main("test", "-k", "sign") == 0
    assert handover.arguments[:2] == ("-m", "pytest")
    assert handover.arguments[3:5] == ("-m", "not full")
    assert handover.arguments[-2:] == ("-k", "sign")
    assert "2" in handover.arguments
    assert handover.more == {}
    assert handover.folder == dev.ROOT


def test_the_full_tests_are_all_of_them_and_know_it(dev: ModuleType, handover: Handover) -> None:
    dev.main("test", "--full")
    assert "not full" not in handover.arguments
    assert "--full" not in handover.arguments
    assert handover.more == {"BMSBENCH_FULL": "1"}


def test_workers_asked_for_by_hand_are_kept(dev: ModuleType, handover: Handover) -> None:
    dev.main("test", "-n0")
    assert "--dist" not in handover.arguments


def test_lint_that_objects_ends_the_tests_with_its_status(
    dev: ModuleType, handover: Handover, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dev, "lint", lambda: 3)
    assert dev.main("test") == 3
    assert handover.arguments == ()


def test_run_passes_everything_on_and_stays_in_the_callers_folder(
    dev: ModuleType, handover: Handover, tmp_path: Path
) -> None:
    dev.main("run", "explain", "-12.3", "--bms", "foxbms_2")
    assert " ".join(handover.arguments) == "-P -m bmsbench explain -12.3 --bms foxbms_2"
    assert handover.folder == tmp_path
    dev.main("demo")
    assert " ".join(handover.arguments) == "-P -m bmsbench demo"


def test_the_callers_shell_does_not_redirect_packages_or_imports(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_USER"):
        monkeypatch.setenv(name, "elsewhere")
    environment = dev.environment()
    assert "elsewhere" not in environment.values()
    assert environment["PATH"].split(os.pathsep)[0] == str(Path(dev.PYTHON).parent)


def test_an_unknown_command_prints_the_help(dev: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert dev.main("tset") == 4
    assert "python3 dev.py demo" in capsys.readouterr().out
    assert dev.main("--help") == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows has no exec")
def test_the_command_takes_the_place_of_dev_py(tmp_path: Path) -> None:
    # A signal to the process that a person started must reach the bench itself, not a parent of it.
    code = "import dev, os, sys; dev.PYTHON = sys.executable; print(os.getpid(), flush=True); "
    code += "dev.hand_over('-c', 'import os; print(os.getpid())')"
    run = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    before, after = run.stdout.split()
    assert before == after


# --- the real thing --------------------------------------------------------------------------------


@pytest.mark.full
def test_a_fresh_copy_sets_itself_up_and_survives_a_kill(tmp_path: Path) -> None:
    """Needs a network, about a minute and 350 MB."""
    root = tmp_path / "fresh copy"  # with a blank, as folders have
    root.mkdir()
    for name in (*STAMPED, "package.json", ".npmrc", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, root / name)
    for name in PACKAGES:
        shutil.copytree(CHECKOUT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "output"))
    argv = [sys.executable, str(root / "dev.py"), "setup"]

    first = subprocess.Popen(argv, cwd=tmp_path, stderr=subprocess.DEVNULL)
    while not (root / ".venv" / "lib").exists() and not (root / ".venv" / "Lib").exists():
        assert first.poll() is None
        time.sleep(0.05)
    first.kill()
    first.wait()
    repaired = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True)
    assert repaired.returncode == 0, repaired.stderr
    assert "starting again" in repaired.stderr

    begin = time.monotonic()
    again = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True)
    assert again.returncode == 0
    assert "installing" not in again.stderr
    assert time.monotonic() - begin < 2.0
    python = root / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    found = subprocess.run(
        [python, "-P", "-c", "import bench; print(bench.__file__)"], cwd=tmp_path, capture_output=True, text=True
    )
    assert Path(found.stdout.strip()).is_relative_to(root)
