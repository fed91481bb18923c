"""A safety input that is a small text file: what a PLC writes, or what stands in for one in a test.

The file holds one word, `clear` or `open`. A writer should write a new file and rename it onto the old one, so that
nobody ever reads half a word. A file says nothing about the loop if its writer is dead: `max_age_s` makes it a
heartbeat. Keep it on a disk of this computer; a network that hangs makes its reader hang.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

from bench.clock import Clock
from bench.errors import DefinitionError, InstrumentError
from bench.roles import Dialogue, Identity, Record
from bench.wall_clock import unix_time_s
from instruments.driver import check_options
from instruments.transports.address import parse_address

_WORDS = {"clear": True, "open": False}
_LONGEST = 64  # bytes; more is another file
_AHEAD_S = 1.0  # a time of writing this far in the future means that two clocks disagree


class FileInput:
    """A file as the end of an interlock loop or an emergency stop."""

    role: ClassVar[str] = "safety_input"
    family: ClassVar[str] = "text file that says clear or open"
    models: ClassVar[tuple[str, ...]] = ()
    transport: ClassVar[str] = "file"
    commissioned: ClassVar[bool] = False
    exclusive: ClassVar[bool] = False  # anybody may read a file

    def __init__(self, name: str, path: Path, clock: Clock, record: Record, max_age_s: float | None) -> None:
        self.name = name
        self._path = path
        self._clock = clock
        self._record = record
        self._max_age_s = max_age_s

    @classmethod
    def open(
        cls,
        name: str,
        address: str,
        *,
        clock: Clock,
        record: Record,
        timeout_s: float = 2.0,
        options: Mapping[str, object] = {},
    ) -> Self:
        """Read the file once; nothing is changed. `timeout_s` has no meaning for a file.

        Option `max_age_s` (none): a file that was not written for longer is refused, by the time of day of this
        computer against the file's time of writing.

        Raises:
            DefinitionError: the address is no file's, an option is wrong, or the name would pass for a virtual one.
            InstrumentError: the file cannot be read, or says something else.
        """
        check_options(name, options, ("max_age_s",))
        parsed = parse_address(address)
        if parsed.kind != "file":
            raise DefinitionError(f"{name} at {address}: a file is needed here, file:PATH")
        path = Path(parsed.path)
        if Identity("file", "", path.name, "").virtual:
            raise DefinitionError(
                f"{name} at {address}: a file's name is its serial number, and one that begins with VIRTUAL would make "
                "the whole run count as simulated; give it another name"
            )
        loop = cls(name, path, clock, record, _max_age_s(name, options))
        loop.is_clear()
        return loop

    def identify(self) -> Identity:
        """See that it can be read. Its serial number is the file's name."""
        self.is_clear()
        return Identity("file", "safety input", self._path.name, "")

    def close(self) -> None:
        """Nothing is kept open."""

    def is_clear(self) -> bool:
        """Read the file now.

        Raises:
            InstrumentError: it cannot be read, is too old, or says neither `clear` nor `open`.
        """
        self._note(True, f"read {self._path}")
        try:
            raw, written_s = self._read()
        except OSError as problem:
            self._note(False, f"({problem})")
            raise self._refuse(f"cannot be read ({problem.strerror or problem})") from problem
        self._note(False, repr(raw)[1:])
        if self._max_age_s is not None:
            age_s = unix_time_s() - written_s
            if age_s > self._max_age_s:
                raise self._refuse(
                    f"was last written {age_s:.1f} s ago, {self._max_age_s:g} s are allowed (max_age_s); is its writer "
                    "alive?"
                )
            if age_s < -_AHEAD_S:
                raise self._refuse(
                    f"was written {-age_s:.1f} s in the future, so its age is not known; set the clocks of its writer "
                    "and of this computer"
                )
        if len(raw) > _LONGEST:
            raise self._refuse(f"is longer than {_LONGEST} bytes")
        word = raw.decode("ascii", "backslashreplace").strip()
        if word not in _WORDS:
            raise self._refuse(f"says {word!r}")
        return _WORDS[word]

    def _read(self) -> tuple[bytes, float]:
        """Return its beginning, and when it was written in seconds of the time of day."""
        if not stat.S_ISREG(self._path.stat().st_mode):  # opening a pipe would wait for its writer
            raise self._refuse("is not a plain file")
        with self._path.open("rb") as file:
            return file.read(_LONGEST + 1), os.fstat(file.fileno()).st_mtime

    def _refuse(self, why: str) -> InstrumentError:
        return InstrumentError(
            f"{self.name} at file:{self._path}: {why}; write 'clear' (current allowed) or 'open' into it, as plain text"
        )

    def _note(self, sent: bool, text: str) -> None:
        self._record(Dialogue(self._clock.now(), self.name, sent, text))


def _max_age_s(name: str, options: Mapping[str, object]) -> float | None:
    value = options.get("max_age_s")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise DefinitionError(f"{name}: option 'max_age_s' is {value!r}, but must be a number of seconds above 0")
    return float(value)
