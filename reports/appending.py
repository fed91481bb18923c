"""Files that grow while a test runs, and the disk that may be full meanwhile."""

from __future__ import annotations

import errno
import threading
from io import FileIO
from pathlib import Path

from bench.errors import BenchError

FLUSH_LINES = 200
FLUSH_S = 1.0


class Growing:
    """A text file that lines are added to; what was added is on disk after 200 lines or one second of bench time.

    It takes a further line to notice that the second is over. In simulated time that comes, or the run has ended;
    on the wall clock everything may wait for an instrument that hangs: there a `prompt` file takes each line at once.

    Adding never raises: the first `OSError` is kept in `problem`, and from then on nothing more is written,
    so that the file has no gap in its middle. Safe to use from several threads.
    """

    __slots__ = ("_at_s", "_file", "_lines", "_lock", "lines", "path", "problem", "prompt", "size")

    def __init__(self, path: Path, header: str = "", *, prompt: bool = False) -> None:
        self.path = path
        self.prompt = prompt
        self.problem: OSError | None = None
        self.lines = 0  # without the header
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = FileIO(path, "ab")
        self.size = self._file.tell()
        self._lines: list[str] = []
        self._at_s = float("-inf")
        self._lock = threading.Lock()
        if header and not self.size:
            self._lines.append(header)
            self.flush()

    def add(self, line: str, at_s: float) -> None:
        """Add a line (with its line end) that belongs to an instant of bench time."""
        with self._lock:
            self._lines.append(line)
            self.lines += 1
            # Time may begin anew with a test, hence the distance in either direction.
            if self.prompt or len(self._lines) >= FLUSH_LINES or abs(at_s - self._at_s) >= FLUSH_S:
                self._at_s = at_s
                self._write()

    def flush(self) -> int:
        """Write what is waiting, and return the size of the file in bytes."""
        with self._lock:
            self._write()
            return self.size

    def close(self) -> None:
        """Write what is waiting and close the file."""
        with self._lock:
            self._write()
            self._file.close()

    def _write(self) -> None:
        if not self._lines:
            return
        data = "".join(self._lines).encode("utf-8", errors="backslashreplace")
        self._lines.clear()
        if self.problem is not None or self._file.closed:
            return
        try:
            while data:  # a nearly full disk takes a part and only then says no
                written = self._file.write(data)
                self.size += written
                data = data[written:]
        except OSError as problem:
            self.problem = problem


def disk_problem(folder: Path, problem: OSError) -> BenchError:
    """Return what to say when evidence could not be written."""
    full = problem.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
    what = "disk full" if full else f"evidence cannot be written ({problem.strerror or problem})"
    return BenchError(f"{what}: {folder}; what was written is kept, nothing after it is. Make room and run again")
