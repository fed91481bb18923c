"""The SCPI language as an instrument understands it: message ends, headers, numbers, the error queue.

A face is a table of header patterns such as `[SOURce:]VOLTage[:LEVel]?`: capitals are the short form, brackets
may be left out. Exact spellings seen once are looked up at once the next time.

Not simulated: header suffixes (`OUTP2`), block data, `*WAI`, device triggers over a bus, and the interrupted and
unterminated query errors: an answer is always ready before the next message is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from instruments.virtual.instrument_errors import ErrorQueue, Refused
from instruments.virtual.wire import Wire

Handler = Callable[[str], str | None]


def compile_header(pattern: str) -> re.Pattern[str]:
    """Turn `[SOURce:]VOLTage[:LEVel]?` into a pattern for upper-case headers without leading colon."""
    text = ""
    for part in re.findall(r"[A-Za-z*]+|.", pattern):
        if part.isalpha():
            short = re.match(r"[A-Z]*", part)
            assert short is not None
            text += f"{short[0]}(?:{part[len(short[0]) :].upper()})?" if short[0] != part else part
        else:
            text += {"[": "(?:", "]": ")?"}.get(part, re.escape(part))
    return re.compile(text)


class CommandTable:
    """Header patterns and their handlers; asking costs one dictionary look-up for a spelling seen before."""

    def __init__(self, commands: dict[str, Handler]) -> None:
        self.exact: dict[str, Handler] = {}
        self._patterns = [(compile_header(pattern), handler) for pattern, handler in commands.items()]

    def find(self, header: str) -> Handler | None:
        """Return the handler of an upper-case header, or None if the instrument does not know it."""
        handler = self.exact.get(header)
        if handler is None:
            bare = header.removeprefix(":")
            for pattern, candidate in self._patterns:
                if pattern.fullmatch(bare):
                    self.exact[header] = candidate
                    return candidate
        return handler


_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-z]*)")


def parse_number(text: str, units: dict[str, float], *, syntax: int, suffix: int) -> float:
    """Read `12.5`, `+1.25E1`, `12.5V`, `12.5 V`; `units` maps upper-case suffixes to their factor.

    Raises:
        Refused: no number (code `syntax`), or a unit that does not belong here (code `suffix`).
    """
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        raise Refused(syntax, 3)
    unit = match[2].upper()
    if not unit:
        return float(match[1])
    if unit not in units:
        raise Refused(suffix, 3)
    return float(match[1]) * units[unit]


def parse_switch(text: str, *, illegal: int = -224) -> bool:
    """Read ON, OFF, 1 or 0."""
    word = text.strip().upper()
    if word in ("ON", "1"):
        return True
    if word in ("OFF", "0"):
        return False
    raise Refused(illegal, 3)


class ScpiSession:
    """One connection: cuts the stream into messages and messages into commands, and joins the answers.

    Subclasses say what belongs to the family: what an unknown header is called, how many commands a message
    may carry, how long a reply may be.
    """

    wire: Wire
    undefined_header = -113
    max_commands: int | None = None
    max_message: int | None = None
    max_reply: int | None = None
    follows_path = True  # `CONF:VOLT 1;RES 2` means CONF:VOLT and CONF:RES

    def __init__(self, table: CommandTable, errors: ErrorQueue) -> None:
        self.table = table
        self.errors = errors
        self._buffer = b""

    @property
    def max_connections(self) -> int:
        """How many connections the port takes now."""
        return 8

    def feed(self, data: bytes) -> bytes:
        """Answer every complete message in what was received so far."""
        data = self._buffer + data if self._buffer else data
        *lines, self._buffer = data.split(b"\n")
        if self.max_message is not None and len(self._buffer) > self.max_message:
            self._buffer = b""
            self.report(-363)
        reply = b""
        for line in lines:
            reply += self.message(line)
        return reply

    def closed(self) -> None:
        """Nothing is kept beyond a connection."""

    def report(self, code: int) -> None:
        """Queue an error."""
        self.errors.push(code)

    def message(self, line: bytes) -> bytes:
        """Do one message, without its end, and return the answer with its end, or nothing."""
        if self.max_message is not None and len(line) > self.max_message:
            self.report(-363)
            return b""
        text = line.decode("latin-1").strip()
        if not text:
            return b""
        if ";" not in text:
            answer = self.command(text)
            return b"" if answer is None else f"{answer}\n".encode("latin-1")
        return self._compound(text)

    def command(self, text: str, path: str = "") -> str | None:
        """Do one command; a query that cannot be answered stays silent and leaves its error in the queue."""
        header, _, arguments = text.partition(" ")
        header = path + header.upper()
        handler = self.table.exact.get(header) or self.table.find(header)
        try:
            if handler is None:
                raise Refused(self.undefined_header)
            return handler(arguments)
        except Refused as refusal:
            self.report(refusal.code)
            if header.endswith("?"):
                self.wire.silence()
            return None

    def _compound(self, text: str) -> bytes:
        commands = [part.strip() for part in text.split(";")]
        if self.max_commands is not None and len(commands) > self.max_commands:
            self.report(-223)
            if "?" in text:
                self.wire.silence()
            return b""
        answers, path = [], ""
        for command in filter(None, commands):
            header = command.partition(" ")[0].upper()
            here = "" if header[0] in ":*" else path
            answer = self.command(command, here)
            if answer is not None:
                answers.append(answer)
            if self.follows_path and header[0] != "*":
                parent = (here + header).removeprefix(":").rpartition(":")[0]
                path = f"{parent}:" if parent else ""
        if not answers:
            return b""
        reply = ";".join(answers)
        if self.max_reply is not None and len(reply) > self.max_reply:
            self.report(-225)
            self.wire.silence()
            return b""
        return f"{reply}\n".encode("latin-1")
