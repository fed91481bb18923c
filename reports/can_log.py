"""Read recordings of a CAN bus: python-can's formats, and the text forms that other tools write.

The other door to python-can. It is imported when a file of its formats is opened, never before.

Nothing is skipped in silence: lines without a frame are counted, and a last line that was cut in the middle is
named with its number while all frames before it are used.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from bench.errors import DefinitionError
from bench.frames import CanFrame
from reports.can_text import COMMENTS, FORMS, UNSTATED_LENGTH, CountedLines, Incomplete, Told, form_of, parse_line

if TYPE_CHECKING:
    import can

BINARY = {".blf": "BLF", ".mf4": "MF4", ".db": "SQLite"}


class Recording:
    """A file with frames. Iterate once; then `told` knows everything about it."""

    def __init__(self, path: Path) -> None:
        """Look at the beginning of the file.

        Raises:
            DefinitionError: missing, unreadable, empty, or no known form of recording.
        """
        self.path = path
        self.told = Told()
        suffix = (path.with_suffix("") if path.suffix.lower() == ".gz" else path).suffix.lower()
        if not path.is_file():
            raise DefinitionError(f"{path}: there is no such file")
        if suffix in BINARY:
            self.told.form = BINARY[suffix]
            self._frames: Callable[[], Iterator[CanFrame]] = self._read_binary
            return
        self.told.form, reader = self._sniff(suffix)
        self._frames = self._read_forms if reader is None else lambda: self._read_library(reader)

    def __iter__(self) -> Iterator[CanFrame]:
        """Yield the frames in the order of the file, with the file's own times.

        Raises:
            DefinitionError: the file holds no frame at all, or its reader is not installed.
        """
        told = self.told
        for frame in self._frames():
            told.frames += 1
            if told.last_at_s is not None and frame.at_s < told.last_at_s:
                told.steps_back += 1
            told.last_at_s = frame.at_s
            yield frame
        if not told.frames:
            why = told.damage or (
                f"its first other line is {told.first_other!r}" if told.first_other else "it is empty"
            )
            raise DefinitionError(f"{self.path}: no CAN frame in it ({told.form}); {why}")

    def remarks(self) -> list[str]:
        """Say what was odd, in sentences; empty for a clean recording."""
        told, remarks = self.told, []
        if told.other_lines:
            remarks.append(f"{told.other_lines} lines carry no frame (the first is {told.first_other!r})")
        if told.remote_frames:
            remarks.append(f"{told.remote_frames} remote frames carry no data and were left out")
        if told.steps_back:
            remarks.append(f"the time steps back {told.steps_back} times: several recordings in one file?")
        if told.damage:
            remarks.append(told.damage)
        return remarks

    def _open_text(self) -> IO[str]:
        try:
            if self.path.suffix.lower() == ".gz":
                return gzip.open(self.path, "rt", encoding="utf-8", errors="replace")
            return self.path.open(encoding="utf-8", errors="replace")
        except OSError as problem:
            raise DefinitionError(f"{self.path}: cannot be read: {problem}") from None

    def _sniff(self, suffix: str) -> tuple[str, type[Any] | None]:
        """Return the form of a text file, and python-can's reader for it or None for a form of our own."""
        first = ""
        with self._open_text() as file:
            for number, line in enumerate(file):
                text = line.strip()
                if number > 200:
                    break
                if text.startswith(";$FILEVERSION"):
                    return f"PCAN trace {text.partition('=')[2]}", _library().TRCReader
                if text.lower().startswith("date ") and suffix == ".asc":
                    return "ASC", _library().ASCReader
                if text.startswith("timestamp,arbitration_id"):
                    return "CSV", _library().CSVReader
                if (form := form_of(text)) is not None:
                    return form, None
                first = first or text
        if suffix == ".trc":  # version 1.0 has no version line
            return "PCAN trace 1.0", _library().TRCReader
        what = f"; it begins {first[:60]!r}" if first else "; it is empty"
        raise DefinitionError(
            f"{self.path}: no known form of CAN recording{what}; known are "
            f"{', '.join((*FORMS, 'PCAN trace', 'ASC', 'CSV', *BINARY.values()))}"
        )

    def _read_forms(self) -> Iterator[CanFrame]:
        form = self.told.form
        with self._open_text() as file:
            for number, line in enumerate(file, 1):
                text = line.strip()
                if not text or text.startswith(COMMENTS):
                    continue
                cut = not line.endswith("\n")
                try:
                    frame = parse_line(form, text)
                except Incomplete as problem:
                    self._damaged(number, text, str(problem))
                except LookupError:
                    if cut:
                        self._damaged(number, text)
                    else:
                        self._other(text)
                else:
                    if frame is None:
                        self.told.remote_frames += 1
                    elif cut and form == UNSTATED_LENGTH:  # it could be any beginning of a longer one
                        self._damaged(number, text)
                    else:
                        yield frame

    def _read_library(self, reader: type[Any]) -> Iterator[CanFrame]:
        with self._open_text() as file:
            lines = CountedLines(file)
            library: Iterator[can.Message] = iter(reader(lines))
            while True:
                lines.since_frame.clear()
                try:
                    message = next(library)
                except StopIteration:
                    break
                except (ValueError, IndexError, KeyError, TypeError) as problem:
                    self._damaged(lines.number, lines.text, str(problem))
                    return
                self._passed(lines.since_frame[:-1])
                if not message.is_remote_frame and len(message.data) != message.dlc:
                    self._damaged(lines.number, lines.text, f"{len(message.data)} bytes instead of {message.dlc}")
                    continue
                # Half a byte, or data of no stated length: it could be any beginning of a longer line.
                if lines.cut and (self.told.form == "CSV" or len(lines.text.split()[-1]) == 1):
                    self._damaged(lines.number, lines.text)
                    continue
                if (frame := self._of_library(message)) is not None:
                    yield frame
            # Lines after the last frame; the very last may be one that was cut, which some readers drop unsaid.
            rest = lines.since_frame
            if lines.cut and rest and rest[-1].strip() and not self._is_header(rest[-1]):
                self._damaged(lines.number, rest.pop().strip())
            self._passed(rest)

    def _read_binary(self) -> Iterator[CanFrame]:
        library = _library()
        damaged = _signs_of_damage(library)
        try:
            with library.LogReader(self.path) as reader:
                stated = getattr(reader, "file_size", 0)  # BLF's header; 0 where the logger never finished it
                for message in reader:
                    if (frame := self._of_library(message)) is not None:
                        yield frame
            if stated > self.path.stat().st_size:  # the library ends without a word at a cut container
                self.told.damage = (
                    f"{self.path}: {self.path.stat().st_size} of {stated} bytes are there, the recording was cut; "
                    "the frames before were used"
                )
        except ImportError as problem:
            raise DefinitionError(f"{self.path}: reading {self.told.form} needs another package: {problem}") from None
        except NotImplementedError as problem:
            raise DefinitionError(
                f"{self.path}: reading {self.told.form} needs asammdf ({problem}); install it, or convert the "
                "recording to BLF or ASC"
            ) from None
        except damaged as problem:
            self.told.damage = (
                f"{self.path}: damaged after {self.told.frames} frames: {problem or type(problem).__name__}; the "
                "frames before were used"
            )

    def _of_library(self, message: can.Message) -> CanFrame | None:
        if message.is_remote_frame:
            self.told.remote_frames += 1
            return None
        return CanFrame(
            at_s=float(message.timestamp),
            can_id=message.arbitration_id,
            data=bytes(message.data or b""),
            extended=message.is_extended_id,
            outgoing=not message.is_rx,
            error=message.is_error_frame,
            channel=str(message.channel if message.channel is not None else ""),
        )

    def _passed(self, lines: list[str]) -> None:
        for line in lines:
            if line.strip() and not self._is_header(line):
                self._other(line.strip())

    def _is_header(self, line: str) -> bool:
        words = ("date ", "base ", "internal events", "no internal", "begin ", "end ", "timestamp,")
        text = line.strip().lower()
        return text.startswith(COMMENTS) or text.startswith(words) or text.endswith("start of measurement")

    def _other(self, text: str) -> None:
        self.told.other_lines += 1
        self.told.first_other = self.told.first_other or text[:60]

    def _damaged(self, number: int, text: str, why: str = "it was cut in the middle") -> None:
        if not self.told.damage:
            self.told.damage = (
                f"{self.path}:{number}: this line is incomplete, {why}: {text[:60]!r}; the other frames were used"
            )


def _library() -> Any:
    import can

    return can


def _signs_of_damage(library: Any) -> tuple[type[Exception], ...]:
    import struct
    import zlib

    from can.io.blf import BLFParseError

    return (OSError, ValueError, LookupError, EOFError, library.CanError, BLFParseError, struct.error, zlib.error)
