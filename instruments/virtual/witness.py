"""The witness: what really happens on the virtual bench, for people and tests in other processes.

It reads the circuit, not the instruments: what a meter, a BMS or a driver believes does not reach it. A line is
written at least every 40 ms and on every change of current of more than 1 % (of the last one, and of at least 1 A).
`unix_s` is the time of day in seconds, so that another process can compare; `at_s` is the bench's own time.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TextIO

from bench.errors import DefinitionError
from bench.loading import nearest
from bench.wall_clock import unix_time_s
from instruments.virtual.behaviour_base import Behaviour
from instruments.virtual.behaviour_faults import FaultBoards
from instruments.virtual.behaviour_inputs import InputBoard
from instruments.virtual.behaviour_relays import RelayBoard

if TYPE_CHECKING:
    from instruments.virtual.bench import VirtualBench

PERIOD_S = 0.04
CHANGE_SHARE, CHANGE_FLOOR_A = 0.01, 1.0
# Wires and contacts that can be put wrong, with the circuit's own names for them.
WIRES = ("load_disconnected", "supply_disconnected", "reference_shunt_reversed", "pack_sense_reversed")
CONTACTS = ("disconnect_stuck",)
# A command costs no time in a lab, so a slow answer would not be slow: `late_reply` is played in full.
NOT_IN_REAL_TIME = {"slow_reply": "a lab in real time answers at once; use late_reply, for instance with s=0.5"}


class Witness:
    """Writes the truth of one bench as JSON lines, and tells it when asked."""

    def __init__(self, path: Path | None = None) -> None:
        """Open the file, which must not exist: evidence is never written over.

        Raises:
            OSError: it exists, or cannot be made.
        """
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._writer: threading.Thread | None = None
        if path is not None:
            file = path.open("x", encoding="utf-8", newline="\n")
            # A disk that is busy must not hold up time.
            self._writer = threading.Thread(target=self._write, args=(file,), name="witness", daemon=True)
            self._writer.start()
        self._bench: VirtualBench | None = None
        self._last_s = -1.0
        self._last_a = 0.0

    def attach(self, bench: VirtualBench) -> None:
        """Say which bench to look at."""
        self._bench = bench

    @property
    def bench(self) -> VirtualBench:
        """The bench that is looked at."""
        if self._bench is None:
            raise RuntimeError("the witness was not attached to a bench")
        return self._bench

    def look(self) -> None:
        """Write a line if one is due; called after each step of time, in the thread that moves it."""
        if self._writer is None:
            return
        bench = self.bench
        with bench.clock.lock:
            now_s, current_a = bench.clock.now(), bench.circuit.pack_current_a()
            changed_a = abs(current_a - self._last_a)
            limit_a = CHANGE_SHARE * max(abs(self._last_a), CHANGE_FLOOR_A)
            if now_s - self._last_s < PERIOD_S and changed_a <= limit_a:
                return
            line = json.dumps(self.truth())
        self._last_s, self._last_a = now_s, current_a
        self._lines.put(line)

    def _write(self, file: TextIO) -> None:
        with file:
            while (line := self._lines.get()) is not None:
                file.write(line + "\n")
                if self._lines.empty():
                    file.flush()

    def truth(self) -> dict[str, Any]:
        """Return what is so now: currents in amperes (charging positive), voltages in volts."""
        bench = self.bench
        with bench.clock.lock:
            circuit = bench.circuit
            return {
                "unix_s": round(unix_time_s(), 4),
                "at_s": round(bench.clock.now(), 4),
                "current_a": round(circuit.pack_current_a(), 4),
                "pack_v": round(circuit.pack.terminal_v(circuit.pack_current_a()), 4),
                "bench_side_v": round(circuit.bench_side_v(), 4),
                "bus_v": round(circuit.bus_v(), 4),
                "disconnect_closed": circuit.disconnect.conducts,
                "disconnect_coil": self._told_closed(),
                "disconnect_fallen": circuit.disconnect.fallen,
                "inputs": self._inputs(),
                "outputs_on": self._outputs_on(),
                "faults_in": self._faults_in(),
                "bms_fed": circuit.dut.supply.fed,
                "bms_closed": sorted(bench.bms.closed),
                "bms_tripped": list(bench.bms.truth.tripped),
            }

    def _outputs_on(self) -> list[str]:
        return [name for name, behaviour in self._behaviours().items() if getattr(behaviour, "on", False)]

    def _faults_in(self) -> list[str]:
        boards = [each for each in self._behaviours().values() if isinstance(each, FaultBoards)]
        return [fault for board in boards for fault in board.inserted()]

    def _behaviours(self) -> dict[str, Behaviour]:
        """Return what is virtual of the definition's instruments."""
        virtual = [name for name in self.bench.definition.instruments if name in self.bench.addresses]
        return {name: self.bench.instruments.behaviour(name) for name in virtual}

    def _told_closed(self) -> bool | None:
        """Return what the coil of the disconnect's relay says; None where the bench has no such relay board."""
        board = self._behaviours().get(self.bench.definition.roles.get("disconnect", ""))
        return board.told_closed if isinstance(board, RelayBoard) else None

    def _inputs(self) -> dict[str, bool]:
        """Return every safety loop and whether it is closed, whatever its input tells."""
        return {name: board.closed for name, board in self._behaviours().items() if isinstance(board, InputBoard)}

    # -- what may be put wrong -----------------------------------------------------------------------------------

    def fault(self, name: str, fault: str, **options: float) -> None:
        """Switch a fault of an instrument on; `none` makes it healthy.

        Raises:
            DefinitionError: no such instrument, fault or option, or one that real time cannot play.
        """
        known = self.bench.definition.instruments
        if name not in known:
            raise DefinitionError(f"fault {fault} of {name!r}: there is no such instrument{nearest(name, known)}")
        if fault in NOT_IN_REAL_TIME:
            raise DefinitionError(f"fault {fault}: {NOT_IN_REAL_TIME[fault]}")
        self.bench.instruments.fault(name, fault, **options)

    def set_input(self, name: str, *, closed: bool) -> None:
        """Open or close the safety loop of an input.

        Raises:
            DefinitionError: there is no such instrument, or it is no safety input.
        """
        known = self._inputs()
        if name not in known:
            raise DefinitionError(
                f"input {name!r}: there is no such safety input{nearest(name, known) or '; this bench has none'}"
            )
        self.bench.instruments.set_input(name, closed)

    def wire(self, name: str, *, wrong: bool) -> None:
        """Put a wire wrong, or right again.

        Raises:
            DefinitionError: there is no such wire.
        """
        circuit = self.bench.circuit
        with self.bench.clock.lock:
            if name == "disconnect_stuck":
                circuit.disconnect.stuck = wrong
            elif name in WIRES:
                circuit.catch_up()
                setattr(circuit, name, wrong)
                circuit.changed()
            else:
                raise DefinitionError(f"there is no wire {name!r}{nearest(name, (*WIRES, *CONTACTS))}")

    def reset(self, seed: int) -> None:
        """Return instruments and BMS to their state after power-up, healthy, every wire right."""
        bench = self.bench
        with bench.clock.lock:
            for name in (*WIRES, *CONTACTS):
                if name not in ("load_disconnected", "supply_disconnected"):
                    self.wire(name, wrong=False)
            bench.circuit.supply_disconnected = "supply" not in bench.definition.roles
            bench.circuit.load_disconnected = "load" not in bench.definition.roles
            bench.instruments.reset(seed)
            bench.bms.reset(seed)

    def close(self) -> None:
        """Write what is left, and close the file; twice is once."""
        if self._writer is not None:
            self._lines.put(None)
            self._writer.join(5.0)
            self._writer = None
