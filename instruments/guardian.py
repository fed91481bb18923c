"""The guardian: a small process that stands beside a run and makes the bench safe when that run cannot any more.

`python -m instruments.guardian`, started by `instruments.guarding` before power is applied. It loads everything it may
ever need, says "armed", and then only listens:

    first line on standard input    the order: JSON, see `Order`
    beat                            a fresh sample was inside the envelope
    acting                          the runner is switching off; give it `ACTING_S` for its next word
    opened                          everything was told to go off; give it `OPENED_S` to notice and leave
    close                           the bench was left; the guardian ends
    unsafe                          the runner's own way out did not work, and its connections are closed: take it again

It answers each word with "heard". While the runner lives and speaks it opens no connection and sends nothing. It takes
the way out, with connections of its own, when the pipe ends without "close" or when nothing was said for too long.
On exclusive ports (EA: one client) it ends the runner first, and only that process: it is held by a handle taken while
it was known to be alive. What it did is written as JSON lines; a bench that it could not make safe is quarantined.

No pytest, no numpy, nothing imported once it is armed.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import threading
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from bench.bench_lock import hold_bench
from bench.clock import Clock, wait_until
from bench.definition import Definition
from bench.quarantine import quarantine_bench
from bench.wall_clock import WallClock, machine_time_s, utc_now
from instruments.making_safe import DriverKinds, load_drivers, make_safe

LOOK_S = 0.02  # how often it looks at what was said
ACTING_S = 6.0  # the longest stage of the runner's own way out, and a time-out before it
OPENED_S = 20.0  # a test in the middle of a conversation with an instrument that is gone waits for several time-outs
STOOD_STILL_S = 0.5  # later than this it was itself that did not run: the runner then gets its time anew
ENDED_WITHIN_S = 5.0
HANDED_OVER = "the runner could not make the bench safe"
REACH_S = 6.0  # how long it tries to reach an instrument (EA may count the runner's connection for 3 s)


@dataclass(frozen=True)
class Order:
    """What it is told. `exclusive`: an instrument takes one client only, so the runner must end first."""

    definition: Definition
    lab: Path | None
    runner: int
    exclusive: bool
    stall_s: float
    evidence: Path
    quarantine: Path
    folder: Path

    @classmethod
    def read(cls, text: str) -> Order:
        """Read the first line."""
        data = json.loads(text)
        definition = Definition.model_validate(data["definition"])
        return cls(
            definition.model_copy(update={"source": Path(data["source"])}),
            None if data["lab"] is None else Path(data["lab"]),
            int(data["runner"]),
            bool(data["exclusive"]),
            float(data["stall_s"]),
            Path(data["evidence"]),
            Path(data["quarantine"]),
            Path(data["folder"]),
        )


class Heard:
    """What the runner said last; read from the pipe by a thread, since Windows cannot wait for a pipe with a limit."""

    def __init__(self, words: IO[str], answers: IO[str], stall_s: float) -> None:
        self.limit_s: float | None = None  # from the first beat on
        self.last_s = machine_time_s()
        self.closed = self.ended = self.unsafe = False
        self._words, self._answers, self._stall_s = words, answers, stall_s
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self._words:
            word = line.strip()
            self.last_s = machine_time_s()
            if word in ("close", "unsafe"):
                self.closed, self.unsafe = word == "close", word == "unsafe"
                return
            self.limit_s = {"acting": ACTING_S, "opened": OPENED_S}.get(word, self._stall_s)
            with contextlib.suppress(OSError, ValueError):  # the runner is gone: the pipe ends next
                self._answers.write("heard\n")
                self._answers.flush()
        self.ended = True


class Runner:
    """The process that is watched over, recognised even after its number was given to another."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._handle: Any = None
        if sys.platform == "win32":
            import ctypes

            terminate, synchronize = 0x0001, 0x00100000
            self._handle = ctypes.windll.kernel32.OpenProcess(terminate | synchronize, False, pid)
        elif hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):  # a kernel without: it is our parent, which can be asked, too
                self._handle = os.pidfd_open(pid)

    def is_alive(self) -> bool:
        """Say whether that very process still runs."""
        if sys.platform == "win32":
            import ctypes

            return bool(self._handle) and ctypes.windll.kernel32.WaitForSingleObject(self._handle, 0) != 0
        if self._handle is not None:
            return not select.select([self._handle], [], [], 0)[0]
        return os.getppid() == self.pid  # a child whose parent died gets another one

    def end(self, clock: Clock) -> str:
        """End it, stopped or not, and wait until it is gone; its sockets go with it."""
        if not self.is_alive():
            return "had ended"
        if sys.platform == "win32":
            import ctypes

            ctypes.windll.kernel32.TerminateProcess(self._handle, 1)
        elif self._handle is not None:
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)
        else:
            os.kill(self.pid, signal.SIGKILL)
        gone = wait_until(clock, lambda: not self.is_alive(), timeout_s=ENDED_WITHIN_S)
        return "ended by the guardian" if gone is not None else f"still there {ENDED_WITHIN_S:g} s after it was ended"


def watch(heard: Heard, clock: Clock) -> str | None:
    """Return why the way out must be taken, or None after a clean close."""
    awake_s = machine_time_s()
    while True:
        before_s = machine_time_s()
        clock.sleep(LOOK_S)
        now_s = machine_time_s()
        if heard.closed:
            return None
        if heard.unsafe:
            return HANDED_OVER
        if heard.ended:
            return "the runner died: its pipe ended without a word"
        if now_s - before_s > STOOD_STILL_S:
            awake_s = now_s
        quiet_s = now_s - max(heard.last_s, awake_s)
        if heard.limit_s is not None and quiet_s > heard.limit_s:
            return f"the runner stalled: not a word for {quiet_s:.1f} s"


def take_over(order: Order, kinds: DriverKinds, runner: Runner, why: str, clock: Clock) -> bool:
    """Make the bench safe, write down what was done, and return whether it is safe; nothing is raised."""
    _note(order, "took over", why=why, runner=order.runner)
    handed_over = why == HANDED_OVER  # then the runner lives, commands nothing, and waits for the outcome
    if order.exclusive and not handed_over:
        _end(order, runner, clock)
    try:
        with contextlib.ExitStack() as stack:
            if not runner.is_alive():
                try:
                    stack.enter_context(hold_bench(order.definition))  # nobody else shall begin meanwhile
                except Exception as problem:  # noqa: BLE001 - then without; the current goes first
                    _note(order, "not locked", problem=str(problem))
            report = make_safe(order.definition, kinds=kinds, patience_s=REACH_S)
            _note(order, "way out", safe=report.safe, text=report.text, steps=[asdict(step) for step in report.steps])
            if not report.safe:  # while nobody else can begin
                _quarantine(order, f"{why}; {report.text}", [why, *report.lines()])
            return report.safe
    except BaseException as problem:  # noqa: BLE001 - whatever it was, somebody must look at this bench
        told = f"the guardian itself failed: {type(problem).__name__}: {problem}"
        _quarantine(order, f"{why}; {told}", [why, told])
        _note(order, "failed", problem=told, trace=traceback.format_exc())
        return False
    finally:
        if not order.exclusive and not handed_over:  # it must not go on commanding what has just been switched off
            _end(order, runner, clock)


def _end(order: Order, runner: Runner, clock: Clock) -> None:
    try:
        became = runner.end(clock)
    except Exception as problem:  # noqa: BLE001 - it may have ended in this moment; the current goes first
        became = f"could not be ended: {type(problem).__name__}: {problem}"
    _note(order, "runner", became=became)


def _quarantine(order: Order, cause: str, lines: list[str]) -> None:
    kept = quarantine_bench(order.definition, cause, by="guardian", evidence=lines, folder=order.quarantine)
    _note(order, "quarantine", text=kept)


def _note(order: Order, event: str, **data: object) -> None:
    with contextlib.suppress(OSError):  # a full disk keeps nobody from switching off
        order.evidence.parent.mkdir(parents=True, exist_ok=True)
        with order.evidence.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(json.dumps({"at": utc_now(), "guardian": event, **data}, ensure_ascii=False) + "\n")


def _ignore_signals() -> None:
    """Ctrl-C, a closed terminal or a shutdown is the runner's to answer; only its end concerns the guardian."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGPIPE", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def main() -> int:
    """Load, say "armed", listen, and take over if it must be. Exit status: 0, or 10 where the bench is not safe."""
    _ignore_signals()
    words, answers = sys.stdin, sys.stdout
    order = Order.read(words.readline())
    os.chdir(order.folder)  # what is relative in a definition is relative to where the runner stands
    kinds = load_drivers(order.definition, order.lab)
    runner = Runner(order.runner)
    clock = WallClock()
    answers.write("armed\n")
    answers.flush()
    why = watch(Heard(words, answers, order.stall_s), clock)
    safe = True if why is None else take_over(order, kinds, runner, why, clock)
    return 0 if safe else 10


if __name__ == "__main__":
    os._exit(main())  # not `sys.exit`: its reader may be gone, and Python would complain when it flushes
