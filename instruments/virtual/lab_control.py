"""The control face of a lab: text lines that show the truth and put things wrong. It is no instrument.

One command a line, one answer a line, JSON or `ok`; a mistake is answered by `error: …`. Loopback only, as all of
the lab.

    truth                          what is so now
    fault NAME FAULT [KEY=VALUE]   a fault of an instrument; `none` makes it healthy
    input NAME 0|1                 a safety input's loop open (0: a door, a button) or closed (1)
    wire NAME 0|1                  a wire right or wrong, for instance reference_shunt_reversed
    power 0|1                      the BMS's own supply
    reset [SEED]                   instruments and BMS as after power-up, healthy
    help                           these lines
"""

from __future__ import annotations

import json

from bench.errors import BenchError
from instruments.virtual.bench import VirtualBench
from instruments.virtual.wire import Wire
from instruments.virtual.witness import Witness

HELP = "truth | fault NAME FAULT [KEY=VALUE] | input NAME 0|1 | wire NAME 0|1 | power 0|1 | reset [SEED] | help"
LONGEST_LINE = 1000


class ControlSession:
    """One connection to the control face."""

    max_connections = 8
    wire: Wire

    def __init__(self, bench: VirtualBench, witness: Witness) -> None:
        self._bench, self._witness = bench, witness
        self._unparsed = b""

    def feed(self, data: bytes) -> bytes:
        """Take what came, and answer each complete line."""
        self._unparsed += data
        *lines, self._unparsed = self._unparsed.split(b"\n")
        if len(self._unparsed) > LONGEST_LINE:
            self.wire.drop(reset=True)
            return b""
        return b"".join(self._answer(line.decode("ascii", "replace")).encode() + b"\n" for line in lines)

    def closed(self) -> None:
        """The connection has ended."""

    def _answer(self, line: str) -> str:
        try:
            return self._obey(line.split())
        except (BenchError, LookupError, ValueError) as problem:
            return f"error: {problem}"

    def _obey(self, words: list[str]) -> str:
        match words:
            case ["truth"]:
                return json.dumps(self._witness.truth())
            case ["fault", name, fault, *options]:
                pairs = [option.partition("=") for option in options]
                self._witness.fault(name, fault, **{key: float(value) for key, _, value in pairs})
            case ["input", name, ("0" | "1") as closed]:
                self._witness.set_input(name, closed=closed == "1")
            case ["wire", name, ("0" | "1") as wrong]:
                self._witness.wire(name, wrong=wrong == "1")
            case ["power", "1"]:
                self._bench.bms.power_on()
            case ["power", "0"]:
                self._bench.bms.power_off()
            case ["reset", *seed] if len(seed) < 2:
                self._witness.reset(int(seed[0]) if seed else 1)
            case ["help"]:
                return HELP
            case _:
                return f"error: {' '.join(words)!r} is no command; {HELP}"
        return "ok"
