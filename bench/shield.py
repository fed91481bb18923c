"""While a bench is being made safe, nobody's impatience may interrupt it."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def shielded(note: str = "making the bench safe, please wait") -> Iterator[None]:
    """Hold back Ctrl-C and SIGTERM until the block is over, then let the first of them act.

    Only the main thread receives signals; elsewhere the block runs as it is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []

    def later(number: int, frame: FrameType | None) -> None:
        if not caught:
            print(f"\n{note}", flush=True)
        caught.append(number)

    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP"):
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, later) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if caught:
        raise KeyboardInterrupt(f"signal {caught[0]} while the bench was made safe")
