"""All virtual instruments of one bench definition, on one circuit, behind one server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from bench.errors import DefinitionError
from bench.simulated_clock import SimulatedClock
from instruments.virtual.behaviour_base import ActiveFault, Behaviour
from instruments.virtual.behaviour_inputs import InputBoard
from instruments.virtual.circuit import Circuit
from instruments.virtual.face import Face
from instruments.virtual.face_finding import find_face
from instruments.virtual.faults import FaultySession, choose
from instruments.virtual.pack import Pack
from instruments.virtual.server import FaceServer
from instruments.virtual.wire import Session

NO_OPTIONS: Mapping[str, object] = MappingProxyType({})
DEMONSTRATION_OPTIONS: dict[str, dict[str, object]] = {
    "keysight_34465a": {"input": "pack_side"},
    "keithley_dmm6500": {"input": "pack_side"},
    "waveshare_modbus_relay": {"channel": 1},
    "resistor_ladder": {
        "sensors": {
            "cell_1": {"sensor": 1, "relays": [1, 2, 3, 4], "ohm": [4.7e3, 10e3, 22e3, 47e3]},
            "cell_16": {"sensor": 16, "relays": [5, 6], "ohm": [10e3, 33e3], "open_relay": 7, "short_relay": 8},
        }
    },
    "relay_faults": {
        "units": [1, 2],
        "faults": {"open_sense_wire_8": 1, "swapped_sense_wires_3_4": 2, "shunt_open": 8, "short_circuit": 9},
    },
    "icpdas_m7000": {"channel": 1},
    "waveshare_modbus_inputs": {"channel": 1},
    "keysight_daq970a": {
        "cells": list(range(101, 117)),
        "sensors": {"cell_1": 117, "cell_6": 118, "cell_11": 119, "cell_16": 120},
    },
}


@dataclass(frozen=True)
class _Served:
    face: Face
    ports: dict[str, int]  # language -> port


class VirtualInstruments:
    """The virtual instruments of one bench definition.

    A face is found by its driver's name: `instruments/virtual/face_<driver>.py` with a function `make`, or, where
    there is a lab's folder (`lab`, or BMSBENCH_LAB in the environment), `virtual/face_<driver>.py` in there.
    """

    def __init__(
        self, circuit: Circuit, clock: SimulatedClock, server: FaceServer, seed: int, *, lab: Path | None = None
    ) -> None:
        self.circuit = circuit
        self.clock = clock
        self._server = server
        self._seed = seed
        self._lab = lab
        self._served: dict[str, _Served] = {}

    def add(
        self,
        name: str,
        driver: str,
        options: Mapping[str, object] = NO_OPTIONS,
        *,
        port: int = 0,
        model: str | None = None,
    ) -> str:
        """Build the instrument that `driver` expects, serve it and return its address, `tcp:HOST:PORT`.

        Options say how it is wired: a meter's `input`, a relay board's `channel`. `port` is that of the driver's
        language; a further language gets any free one (`address`). `model` lets a unit claim to be another one.

        Raises:
            LookupError: there is no virtual face for this driver; the message names the missing file.
            DefinitionError: the name is taken, or an option does not fit.
            OSError: the port cannot be had.
        """
        if name in self._served:
            raise DefinitionError(f"two virtual instruments are called {name!r}; give one another name")
        make = find_face(driver, self._lab)
        given = {**options, **({} if model is None else {"model": model})}
        serial = f"VIRTUAL-{name.upper()}"
        face = make(name, given, self.circuit, self.clock, self._seed, serial)
        ports: dict[str, int] = {}
        for language, make_session in face.languages.items():
            wrapped = _with_faults(make_session, face.behaviour)
            ports[language] = self._server.listen(name, wrapped, port=0 if ports else port)
        self._served[name] = _Served(face, ports)
        return self.address(name)

    def address(self, name: str, language: str | None = None) -> str:
        """Return the address of an instrument, or that of another of its languages."""
        ports = self._find(name).ports
        if language is None:
            language = next(iter(ports))
        elif language not in ports:
            raise LookupError(f"virtual instrument {name!r} speaks {', '.join(ports)}, not {language!r}")
        return f"tcp:{self._server.host}:{ports[language]}"

    def fault(self, name: str, fault: str, **options: float) -> None:
        """Switch a fault on; it replaces the one before, and `none` makes the instrument healthy again."""
        served = self._find(name)
        behaviour = served.face.behaviour
        chosen = choose(behaviour, fault, options)
        with self.clock.lock:
            before, behaviour.fault = behaviour.fault, chosen
            if fault in ("power_cycle", "mains_loss"):
                behaviour.power_cycle()
                self._drop(served)
                behaviour.fault = chosen if fault == "mains_loss" else ActiveFault()
            elif fault == "remote_lost":
                behaviour.remote_lost()
            behaviour.fault_changed(before)

    def set_input(self, name: str, closed: bool) -> None:
        """Open or close the safety loop that an input reads: a door, a button.

        Raises:
            LookupError: there is no such instrument.
            DefinitionError: it is no safety input.
        """
        behaviour = self.behaviour(name)
        if not isinstance(behaviour, InputBoard):
            raise DefinitionError(f"virtual instrument {name!r} is no safety input; it has no loop to open or close")
        with self.clock.lock:
            behaviour.set_closed(closed)

    def behaviour(self, name: str) -> Behaviour:
        """Return the behaviour below the language, where tests look at the truth."""
        return self._find(name).face.behaviour

    def face(self, name: str) -> Face:
        """Return the instrument as its face module made it."""
        return self._find(name).face

    def reset(self, seed: int) -> None:
        """Return all to their state after power-up, healthy, connections closed, with new noise."""
        with self.clock.lock:
            self._seed = seed
            for served in self._served.values():
                served.face.behaviour.reset(seed)
                self._drop(served)

    def _drop(self, served: _Served) -> None:
        for port in served.ports.values():
            self._server.drop_all(port)

    def _find(self, name: str) -> _Served:
        if name not in self._served:
            known = ", ".join(self._served) or "none"
            raise LookupError(f"there is no virtual instrument {name!r}; there are: {known}")
        return self._served[name]


@dataclass(frozen=True)
class StartedInstrument:
    """One virtual instrument on a demonstration circuit."""

    address: str
    clock: SimulatedClock
    circuit: Circuit
    behaviour: Behaviour
    maker: str
    model: str
    serial: str
    instruments: VirtualInstruments
    name: str

    def fault(self, fault: str, **options: float) -> None:
        """Switch a fault on; see `VirtualInstruments.fault`."""
        self.instruments.fault(self.name, fault, **options)


@contextmanager
def start_instrument(
    driver: str,
    name: str = "dut",
    *,
    clock: SimulatedClock | None = None,
    seed: int = 1,
    options: Mapping[str, object] | None = None,
) -> Iterator[StartedInstrument]:
    """Serve one instrument on a pack at 50 % with every switch closed, for as long as the context lasts.

    Raises:
        LookupError: there is no virtual face for this driver.
    """
    find_face(driver)
    clock = clock or SimulatedClock()
    circuit = Circuit(Pack.demonstration(seed=seed), now_ns=clock.now_ns, topology="separate")
    circuit.switches.set(charge=True, discharge=True)
    server = FaceServer(clock)
    try:
        instruments = VirtualInstruments(circuit, clock, server, seed)
        wired = DEMONSTRATION_OPTIONS.get(driver, {}) if options is None else options
        address = instruments.add(name, driver, wired)
        circuit.disconnect.set(closed=True)
        clock.sleep(0.1)  # the capacitors at the terminals fill
        face = instruments.face(name)
        yield StartedInstrument(
            address,
            clock,
            circuit,
            face.behaviour,
            face.maker,
            face.model,
            face.behaviour.serial,
            instruments,
            name,
        )
    finally:
        server.close()


def _with_faults(make_session: Callable[[], Session], behaviour: Behaviour) -> Callable[[], Session]:
    def make() -> Session:
        return FaultySession(make_session(), behaviour)

    return make
