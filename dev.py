"""Everything a checkout needs, in one file of the standard library.

    python3 dev.py demo              the bench at work on virtual packs, in about a minute
    python3 dev.py test [--full] …   lint, types, then the framework's own tests (… goes to pytest)
    python3 dev.py lint | docs | bench
    python3 dev.py run …             the bmsbench command, in this checkout's environment
    python3 dev.py setup             only make the environment (and try again what of Node failed before)

Each command first makes `.venv` beside this file where it is missing or no longer what the lock files say;
later starts need no network. A set-up that was interrupted is repaired by the next start.
Exit status: the command's own; 10 where the environment could not be made, 130 after Ctrl-C.
"""

import contextlib
import hashlib
import importlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

THIS = ".".join(str(part) for part in sys.version_info[:3])
if sys.version_info < (3, 11):  # noqa: UP036 - and nothing in this file that 3.6 could not parse
    print(f"dev.py: bmsbench needs Python 3.11 or newer, this is {THIS}: use a newer one.", file=sys.stderr)
    sys.exit(10)

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = str(VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
STAMP = VENV / "bmsbench.stamp"  # written last: a digest, then the folder that the environment was made for
UNFINISHED = VENV / "bmsbench.unfinished"  # there while packages may be half written
LOG = VENV / "setup.log"
SCRATCH = ROOT / ".bmsbench"
STAMPED = ("pyproject.toml", "requirements.lock", "package-lock.json", "dev.py")
NODE_STAMP = ROOT / "node_modules" / ".bmsbench.stamp"
NODE_NOTE = VENV / "bmsbench-node.note"  # what was tried in vain, so that it is tried and said once
# The caller's settings that would send packages or imports elsewhere.
MISLEADING = ("PYTHONHOME", "PYTHONPATH", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_NO_BINARY")
PIP = (PYTHON, "-I", "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--retries", "2")
NPM_CI = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-timeout=60000")
OFFLINE = "NewConnectionError|ConnectTimeout|ReadTimeout|NameResolution|ProxyError|SSLError|is unreachable"
ADVICE = {  # what an installer prints, and the sentence for it; the first that fits counts
    "No space left|ENOSPC": "the disk is full; make room (about 500 MB) and start again",
    "NOT MATCH THE HASHES|EINTEGRITY": "a package is not the one in the lock file and was not installed",
    f"{OFFLINE}|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|ETIMEDOUT": "the package index cannot be reached; "
    "connect this machine (or set HTTPS_PROXY) and start again",
}


class SetupError(Exception):
    """The environment could not be made; the text is one sentence for the person who started it."""


def say(text: str) -> None:
    """Print a line about the set-up, beside the output of the command itself."""
    print(f"set-up    {text}", file=sys.stderr, flush=True)


def digest(*names: str) -> str:
    """Return one hash over the named files of the checkout and the folder's own path."""
    total = hashlib.sha256(str(ROOT).encode())
    for name in names:
        total.update(f"\0{name}\0{hashlib.sha256((ROOT / name).read_bytes()).hexdigest()}".encode())
    return total.hexdigest()


def text_of(path: Path) -> str:
    """Return a small file's text, or nothing where there is no such file."""
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def state() -> str:
    """Say what `.venv` is: ready, stale (can be brought up to date), broken or missing."""
    if not VENV.exists():
        return "missing"
    stamped, _, made_for = text_of(STAMP).partition("\n")
    if UNFINISHED.exists() or not Path(PYTHON).exists() or made_for not in ("", str(ROOT)):
        return "broken"
    return "ready" if stamped == digest(*STAMPED) else "stale"


def usable() -> bool:
    """Tell whether the interpreter in `.venv` runs, is new enough and has pip."""
    probe = [PYTHON, "-I", "-c", "import sys, pip; sys.exit(sys.version_info < (3, 11))"]
    try:
        return subprocess.run(probe, capture_output=True).returncode == 0
    except OSError:  # not a program at all
        return False


def environment() -> dict[str, str]:
    """Return the environment for everything started here: `.venv` first, nothing that misleads it."""
    kept = {name: value for name, value in os.environ.items() if name not in MISLEADING}
    path = str(Path(PYTHON).parent) + os.pathsep + kept.get("PATH", os.defpath)
    return {**kept, "VIRTUAL_ENV": str(VENV), "PATH": path}


def take_turn() -> IO[str]:
    """Wait until no other set-up works in this folder; return what keeps the next one waiting."""
    SCRATCH.mkdir(exist_ok=True)
    handle = (SCRATCH / "setup.lock").open("a", encoding="utf-8")
    if sys.platform == "win32":
        importlib.import_module("msvcrt").locking(handle.fileno(), 1, 1)
    else:
        fcntl = importlib.import_module("fcntl")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up is at work in this folder; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


def install(turn: int, what: str, *argv: str) -> None:
    """Run one installer with its output in the log; a failure becomes one sentence."""
    say(what)
    # The installer inherits the handle: should it outlive a killed dev.py, the next set-up waits for it.
    held, none, env = () if os.name == "nt" else (turn,), subprocess.DEVNULL, environment()
    with LOG.open("ab+") as log:
        log.write(f"\n\n$ {' '.join(argv)}\n".encode())
        log.flush()
        begin = log.tell()
        run = subprocess.run(argv, stdin=none, stdout=log, stderr=log, cwd=ROOT, env=env, pass_fds=held)
        log.seek(begin)
        output = log.read().decode(errors="replace").strip() or "it printed nothing"
    if run.returncode:
        known = [sentence for signs, sentence in ADVICE.items() if re.search(signs, output)]
        raise SetupError(f"{what}: {[*known, output.splitlines()[-1]][0]} (its whole output: {LOG})")


def setup_python(turn: int) -> None:
    """Make `.venv`, or bring it up to date, from the lock alone."""
    now = state()
    if now == "ready":  # another set-up was faster
        return
    if now != "stale" or not usable():
        absent = [name for name in ("venv", "ensurepip") if not importlib.util.find_spec(name)]
        if absent:  # Debian packs them separately
            remedy = f"install it (Debian, Ubuntu: apt install python{THIS[: THIS.rindex('.')]}-venv)"
            raise SetupError(f"{sys.executable} lacks the module {' and '.join(absent)}: {remedy}")
        if VENV.exists():  # moved away in one step, so that half of it is never taken for a whole
            say("the .venv that is there is unfinished or unusable: starting again")
            VENV.rename(SCRATCH / f"old-venv-{time.time_ns()}")
        for old in SCRATCH.glob("old-venv-*"):
            shutil.rmtree(old)
        VENV.mkdir()
        UNFINISHED.touch()
        install(turn, f"making .venv with Python {THIS}", sys.executable, "-I", "-m", "venv", str(VENV))
    STAMP.unlink(missing_ok=True)
    UNFINISHED.touch()
    # Only ready-made packages: one in source form would fetch build requirements that no lock names.
    locked = ("--require-hashes", "--only-binary", ":all:", "-r", str(ROOT / "requirements.lock"))
    install(turn, "installing the locked packages (10 to 60 s)", *PIP, *locked)
    install(turn, "installing bmsbench itself", *PIP, "--no-deps", "--no-build-isolation", "-e", str(ROOT))
    STAMP.write_text(f"{digest(*STAMPED)}\n{ROOT}", encoding="utf-8")
    UNFINISHED.unlink()


def node_wanted(again: bool) -> bool:
    """Tell whether Allure is still to be installed: not yet tried, or its lock changed, or npm came since."""
    wanted = digest("package-lock.json")
    return text_of(NODE_STAMP) != wanted and (again or text_of(NODE_NOTE) != f"{shutil.which('npm')}\n{wanted}")


def setup_node(turn: int) -> None:
    """Install Allure 3 where Node is; elsewhere say what that costs, and go on."""
    node, npm = shutil.which("node"), shutil.which("npm")
    try:
        if not node or not npm:
            raise SetupError("Node.js with npm is not installed")
        version = subprocess.run([node, "-v"], capture_output=True, text=True).stdout.strip()
        if int(version.strip("v").split(".")[0] or 0) < 20:
            raise SetupError(f"Node.js {version} is older than 20")
        install(turn, "installing Allure 3 for the reports", npm, *NPM_CI)
        NODE_STAMP.write_text(digest("package-lock.json"), encoding="utf-8")
        NODE_NOTE.unlink(missing_ok=True)
    except SetupError as problem:
        NODE_NOTE.write_text(f"{npm}\n{digest('package-lock.json')}", encoding="utf-8")
        say(f"goes on without Allure's HTML (its results are kept; later: dev.py setup). Why: {problem}")


def prepare(again: bool = False) -> None:
    """Make the environment ready; where it is, nothing happens at all."""
    begin = time.monotonic()
    try:
        if state() == "ready" and not node_wanted(again):
            return
        with take_turn() as turn:
            setup_python(turn.fileno())
            if node_wanted(again):
                setup_node(turn.fileno())
    except OSError as error:
        raise SetupError(f"cannot set up in {ROOT}: {error.strerror} ({error.filename})") from error
    say(f"ready after {time.monotonic() - begin:.1f} s; later starts need no network")


def hand_over(*arguments: str, **more: str) -> int:
    """Become the command, so that signals reach it alone and its way out is never cut short."""
    sys.stdout.flush()
    if os.name != "nt":
        os.execve(PYTHON, [PYTHON, *arguments], {**environment(), **more})
    process = subprocess.Popen([PYTHON, *arguments], env={**environment(), **more})
    while True:  # Windows cannot become another program: wait, however often Ctrl-C is pressed
        with contextlib.suppress(KeyboardInterrupt):
            return process.wait()


def lint() -> int:
    """Run ruff, its formatter's check and mypy; stop at the first that objects."""
    for name in ("ruff check", "ruff format --check", "mypy"):
        print(f"== {name}", flush=True)
        begin = time.monotonic()
        status = subprocess.run([PYTHON, "-m", *name.split()], cwd=ROOT, env=environment()).returncode
        print(f"   exit status {status}, {time.monotonic() - begin:.1f} s", flush=True)
        if status:
            return status
    return 0


def test(*rest: str) -> int:
    """Lint, then run pytest in two workers; its own closing line is the last one printed."""
    full, chosen = "--full" in rest, [argument for argument in rest if argument != "--full"]
    options = ["--timeout=1800"] if full else ["--timeout=300", "-m", "not full"]
    if not any(argument.startswith(("-n", "--numprocesses", "--pdb", "--trace")) for argument in chosen):
        options += ["-n", "2", "--dist", "loadgroup"]
    return lint() or hand_over("-m", "pytest", *options, *chosen, **({"BMSBENCH_FULL": "1"} if full else {}))


def main(command: str = "", *rest: str) -> int:
    """Run one command and return its exit status."""
    try:
        if command not in ("demo", "test", "lint", "docs", "bench", "run", "setup"):
            print(__doc__)
            return 0 if command in ("-h", "--help", "help") else 4
        prepare(again=command == "setup")
        if command in ("test", "bench"):
            os.chdir(ROOT)
        if command in ("setup", "lint", "test"):
            return 0 if command == "setup" else lint() if command == "lint" else test(*rest)
    except SetupError as error:
        print(f"dev.py: {error}.", file=sys.stderr)
        return 10
    except KeyboardInterrupt:
        print("dev.py: stopped; an unfinished set-up is repaired by the next start.", file=sys.stderr)
        return 130
    if command == "bench":
        return hand_over("-m", "benchmarks", *rest)
    # -P: a folder called `bench` where the person happens to stand must not become ours.
    return hand_over("-P", "-m", "bmsbench", *(rest if command == "run" else (command, *rest)))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
