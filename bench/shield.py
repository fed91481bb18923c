"""Ctrl-C and SIGTERM around an open bench: the first one leaves it safely, and nobody's impatience interrupts that.

Python acts on signals in the main thread alone; elsewhere both blocks do nothing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

from bench.errors import SafetyError

NUMBERS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
# What says that a test's time is up (`fixtures.time_limit`): nothing else uses it, and it too waits for the way out.
TIME_LIMIT = signal.SIGALRM if hasattr(signal, "SIGALRM") else signal.SIGABRT
PATIENCE = 3  # from this many on, a signal interrupts again: something hangs before the way out is reached


def tell(text: str) -> None:
    """Write a line to the terminal, past whatever captures output; safe inside a signal handler."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # no terminal: nobody to be told
        os.write(sys.__stderr__.fileno(), f"{text}\n".encode(errors="replace"))  # type: ignore[union-attr]


@contextlib.contextmanager
def leaving_on_signals() -> Iterator[None]:
    """Let the first signal raise `KeyboardInterrupt`, so that the way out is taken; following ones are told to wait.

    Signals that somebody else has taken over already (a run under pytest) are left to him.
    """
    heard = 0

    def act(number: int, frame: FrameType | None) -> None:
        nonlocal heard
        heard += 1
        if heard == 1 or heard > PATIENCE:
            tell(f"\n{signal.Signals(number).name}: leaving the bench safely")
            raise KeyboardInterrupt(signal.Signals(number).name)
        tell("the bench is being made safe, please wait")

    with _handling(act, only_default=True):
        yield


@contextlib.contextmanager
def shielded(note: str = "the bench is being made safe, please wait") -> Iterator[None]:
    """Hold signals back until the block is over, then let the first of them act as it would have.

    Nothing outranks a bench that is not safe: a `SafetyError` that leaves the block is not replaced. The end of a
    test's time comes last: it replaces neither an interruption nor what the block found.
    """
    held: list[int] = []
    times: list[int] = []

    def later(number: int, frame: FrameType | None) -> None:
        if number == TIME_LIMIT:
            times.append(number)
            return
        held.append(number)
        tell(f"\n{note}")

    with _handling(later, (*NUMBERS, TIME_LIMIT)) as before:
        try:
            yield
        except SafetyError:
            held.clear()
            times.clear()
            raise
        except BaseException:
            times.clear()
            raise
        finally:
            _restore(before)
            for number in [*held, *times][:1]:
                _deliver(number, before.get(number))


def _deliver(number: int, handler: Any) -> None:
    if callable(handler):
        handler(number, None)
    elif handler is not signal.SIG_IGN and number != TIME_LIMIT:
        raise KeyboardInterrupt(signal.Signals(number).name)


@contextlib.contextmanager
def _handling(
    handler: Any, numbers: Sequence[int] = NUMBERS, *, only_default: bool = False
) -> Iterator[dict[int, Any]]:
    """Install a handler, and give back what was there before."""
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in numbers:
            there = signal.getsignal(number)
            if only_default and there not in (signal.SIG_DFL, signal.default_int_handler):
                continue
            before[number] = there
            signal.signal(number, handler)
    try:
        yield before
    finally:
        _restore(before)


def _restore(before: dict[int, Any]) -> None:
    for number, handler in before.items():
        # A handler that was not installed from Python is reported as None and cannot be given back.
        signal.signal(number, signal.SIG_DFL if handler is None else handler)
