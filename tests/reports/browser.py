"""A headless Chromium over its own pipe: what a page requests, what it shows, and what it complains about.

The DevTools protocol is spoken over two pipes (`--remote-debugging-pipe`, file descriptors 3 and 4), so no
web-socket library is needed. Judged are the page's requests, not those of the browser itself.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


def find_chromium() -> str:
    """Return the program, or skip by name where there is none."""
    if os.name == "nt":
        pytest.skip("the Chromium probe uses inherited pipes, which need POSIX")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no chromium on this machine (Debian: apt-get install chromium)")
    return program


class Page:
    """One page and all that its DevTools told so far."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from = to_browser, from_browser
        self._number = 0
        self._rest = b""
        self.told: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = ""
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Network", "Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask, and wait for the answer; events on the way are kept."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if getattr(self, "_session", ""):
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        for answer in self._messages(30.0):
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
        raise AssertionError(f"Chromium did not answer {method}")

    def open(self, address: str, *, settle_s: float = 1.5) -> None:
        """Load a page and let its scripts run for a moment."""
        self.call("Page.navigate", url=address)
        self.wait(settle_s)

    def wait(self, seconds: float) -> None:
        """Gather events for a while."""
        for _ in self._messages(seconds):
            pass

    def evaluate(self, script: str) -> Any:
        """Run a script in the page and return its plain value."""
        return self.call("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def until(self, script: str, *, timeout_s: float = 30.0) -> Any:
        """Return the value of a script as soon as it is true, or its last one."""
        end_s = time.monotonic() + timeout_s
        while not (value := self.evaluate(script)) and time.monotonic() < end_s:
            self.wait(0.1)
        return value

    def requests(self) -> list[str]:
        """Every address that the page asked for, blocked by its policy or not."""
        sent = [one["params"]["request"]["url"] for one in self.told if one["method"] == "Network.requestWillBeSent"]
        blocked = [
            one["params"]["entry"]["text"]
            for one in self.told
            if one["method"] == "Log.entryAdded" and "Content Security Policy" in one["params"]["entry"]["text"]
        ]
        return sent + [f"blocked: {text}" for text in blocked]

    def _messages(self, seconds: float) -> Iterator[dict[str, Any]]:
        end_s = time.monotonic() + seconds
        while True:
            while b"\0" in self._rest:
                raw, _, self._rest = self._rest.partition(b"\0")
                message = json.loads(raw)
                if "method" in message:
                    self.told.append(message)
                yield message
            left_s = end_s - time.monotonic()
            if left_s <= 0 or not select.select([self._from], [], [], left_s)[0]:
                return
            data = os.read(self._from, 1 << 20)
            if not data:
                raise AssertionError("Chromium ended")
            self._rest += data


@contextmanager
def open_browser(profile: Path) -> Iterator[Page]:
    """Start Chromium with an empty profile folder, and end it."""
    program = find_chromium()
    browser_reads, we_write = os.pipe()
    we_read, browser_writes = os.pipe()
    # The numbers 3 and 4 are fixed by Chromium; copies far away first, so that neither covers the other.
    for descriptor, place in ((browser_reads, 53), (browser_writes, 54)):
        os.dup2(descriptor, place)
    command = [
        *("/bin/bash", "-c", 'exec "$@" 3<&53 4>&54 53<&- 54>&-', "bash", program),
        *("--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", f"--user-data-dir={profile}"),
    ]
    process = subprocess.Popen(
        command, pass_fds=(53, 54), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    for descriptor in (53, 54, browser_reads, browser_writes):
        os.close(descriptor)
    try:
        yield Page(we_write, we_read)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        os.close(we_write)
        os.close(we_read)
