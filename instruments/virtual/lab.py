"""The virtual bench in real time: its clock is paced by the wall, its faces are served to anybody on loopback.

Time still moves in one thread, in steps of 2 ms, and each step first serves what clients have sent. A machine that
stood still for a while is caught up with step by step, and told of; a stop of more than `FORGIVEN_S` (a suspended
notebook) is not simulated afterwards: the bench stood still too.

What it does not do in real time: a command takes no longer than its answer needs, so a meter's integration and
the fault `slow_reply` cost no time here (`late_reply` does).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from bench.definition import Definition
from bench.definition_sections import CanBinding, ModbusBinding
from bench.errors import DefinitionError
from bench.loading import nearest
from bench.profile import Profile
from bench.simulated_clock import SimulatedClock
from bench.wall_clock import WallClock
from instruments.virtual.bench import SCHEME, VirtualBench
from instruments.virtual.lab_control import ControlSession
from instruments.virtual.socketcand_server import SocketcandServer
from instruments.virtual.witness import Witness

STEP_S = 0.002  # bench time lags the wall by one step, and by what the system's scheduler adds
CHUNK_S = 0.005  # of catching up, between two looks of the witness
STALL_S = 0.25  # a lag worth telling
FORGIVEN_S = 5.0
HIGHEST_PORT = 65535
CONTROL = "control"

_PROTOCOLS = {"scpi": "SCPI", "modbus_tcp": "Modbus TCP", "modbus_rtu": "Modbus RTU over TCP"}


@dataclass(frozen=True, slots=True)
class Served:
    """One line of the table of addresses."""

    name: str
    what: str
    protocol: str  # SCPI, Modbus TCP, Modbus RTU over TCP, socketcand, text lines
    host: str
    port: int

    @property
    def address(self) -> str:
        """The address as a bench definition writes it."""
        return f"tcp:{self.host}:{self.port}"


class Lab:
    """One virtual bench, served until `stop`. Make it in the thread that then calls `serve`."""

    def __init__(
        self,
        definition: Definition,
        profile: Profile,
        *,
        seed: int = 1,
        defects: Iterable[str] = (),
        soc_pct: float = 50.0,
        ports: Mapping[str, int] | None = None,
        control: int | None = None,
        witness: Witness | None = None,
        say: Callable[[str], None] = print,
        lab: Path | None = None,
    ) -> None:
        """Build it and listen. `control` is the port of the control face (0: any free one), None for none.

        `lab` is a lab's folder with drivers and faces of its own.

        Raises:
            DefinitionError: the definition has nothing virtual, an unknown name among `ports`, an unknown defect.
            OSError: a port is in use; the message names instrument and port.
        """
        if definition.bench.clock != "simulated":
            raise DefinitionError(
                f"{definition.source.name}, bench.clock: 'wall' names instruments that exist already; the lab "
                "serves definitions with virtual: addresses, for instance virtual or virtual_bidirectional"
            )
        self.definition, self.profile = definition, profile
        fixed = dict(ports or {})
        _check_ports(fixed, definition, profile, control is not None)
        self._say = say
        self._stop = Event()
        self._wall = WallClock()
        self.clock = SimulatedClock()
        self._can: dict[str, SocketcandServer] = {}
        self._zero_s: float | None = None  # the wall's time at which the bench's began
        self.longest_lag_s = 0.0
        self.bench = VirtualBench(
            definition,
            profile,
            self.clock,
            seed=seed,
            defects=defects,
            soc_pct=soc_pct,
            ports=fixed,
            can_name="can",
            lab=lab,
        )
        try:
            self.served = [*self._instruments(), *self._links(fixed)]
            self.witness = witness or Witness()
            self.witness.attach(self.bench)
            if control is not None:
                port = self.bench.server.listen(CONTROL, lambda: ControlSession(self.bench, self.witness), port=control)
                self.served.append(
                    Served(CONTROL, "truth, faults, wires (not an instrument)", "text lines", self.host, port)
                )
        except BaseException:
            self.close()
            raise

    @property
    def host(self) -> str:
        """Where it listens: loopback, always."""
        return self.bench.server.host

    def _instruments(self) -> list[Served]:
        found = []
        for name in self.bench.addresses:
            if name not in self.definition.instruments:
                continue
            face = self.bench.instruments.face(name)
            for index, language in enumerate(face.languages):
                port = int(self.bench.instruments.address(name, language).rpartition(":")[2])
                shown = f"{name}/{language}" if index else name
                what = f"{face.maker} {face.model}"
                found.append(Served(shown, what, _PROTOCOLS.get(language, language), self.host, port))
        return found

    def _links(self, fixed: Mapping[str, int]) -> list[Served]:
        found = []
        for name in self.profile.links:
            what = f"BMS {self.profile.name}"
            if isinstance(self.definition.links.get(name), CanBinding) and self.bench.hub is not None:
                port = fixed.get(name, 0)
                try:
                    self._can[name] = SocketcandServer(self.bench.hub, self.host, port, arrival_s=self.due_s)
                except OSError as problem:
                    raise OSError(
                        problem.errno,
                        f"link {name!r} cannot listen on {self.host}:{port} ({problem.strerror}); is another bench "
                        "running? Choose another port, or 0 for any free one",
                    ) from problem
                found.append(Served(name, what, "socketcand", *self._can[name].address))
            elif (address := self.bench.addresses.get(f"links.{name}")) is not None:
                section = self.profile.links[name]
                protocol = _PROTOCOLS[f"modbus_{getattr(section, 'framing', 'tcp')}"]
                found.append(Served(name, what, protocol, self.host, int(address.rpartition(":")[2])))
        return found

    @property
    def can_name(self) -> str:
        """The channel under which socketcand serves the bus."""
        return self.bench.hub.name if self.bench.hub is not None else ""

    def fault(self, name: str, fault: str) -> None:
        """Switch a fault of an instrument on.

        Raises:
            DefinitionError: no such instrument or fault, or one that real time cannot play.
        """
        self.witness.fault(name, fault)

    def due_s(self) -> float:
        """Return what the bench's time should be now; the clock itself lags by a step, or by a stall."""
        return self.clock.now() if self._zero_s is None else self._wall.now() - self._zero_s

    # -- time --------------------------------------------------------------------------------------------------

    def serve(self, for_s: float | None = None) -> None:
        """Let time pass until `stop` is called from a signal handler or another thread, or `for_s` is over.

        Raises:
            Exception: what a face or the circuit raised; that is a fault of the lab.
        """
        clock, wall = self.clock, self._wall
        clock.adopt()
        self._zero_s = wall.now() - clock.now()
        end_s = None if for_s is None else clock.now() + for_s
        due_s = wall.now()
        while not self._stop.is_set() and (end_s is None or clock.now() < end_s):
            target_s = wall.now() - self._zero_s
            lag_s = target_s - clock.now()
            if lag_s > FORGIVEN_S:
                self._say(f"this machine stood still for {lag_s:.1f} s; the bench stood still with it")
                self._zero_s += lag_s
                continue
            self.longest_lag_s = max(self.longest_lag_s, lag_s)
            while (left_s := target_s - clock.now()) > STEP_S / 10 and not self._stop.is_set():
                clock.sleep(min(left_s, CHUNK_S))
                self.witness.look()
            if lag_s > STALL_S:
                self._say(f"this machine was busy for {lag_s:.2f} s; the bench has caught up")
            due_s = max(due_s + STEP_S, wall.now())
            wall.sleep_until(due_s)

    def stop(self) -> None:
        """End `serve` after its step; may be called from a signal handler."""
        self._stop.set()

    def close(self) -> None:
        """Stop serving and close every socket and file; twice is once."""
        for server in self._can.values():
            server.close()
        self.bench.close()
        witness = getattr(self, "witness", None)
        if witness is not None:
            witness.close()
        self.clock.close()
        self._wall.close()


def _check_ports(ports: Mapping[str, int], definition: Definition, profile: Profile, control: bool) -> None:
    known = [*servable(definition, profile), *([CONTROL] if control else [])]
    taken: dict[int, str] = {}
    for name, port in ports.items():
        if name not in known:
            raise DefinitionError(f"port {port} for {name!r}: nothing of that name is served{nearest(name, known)}")
        if not 0 <= port <= HIGHEST_PORT:
            raise DefinitionError(f"port {port} for {name!r}: a port is a number from 0 to {HIGHEST_PORT}")
        if port and port in taken:
            raise DefinitionError(f"port {port}: wanted by {taken[port]!r} and by {name!r}; give each its own")
        taken[port] = name


def servable(definition: Definition, profile: Profile) -> list[str]:
    """Return the names that get a port: the definition's virtual instruments, then the profile's links."""
    names = [name for name, section in definition.instruments.items() if section.address.startswith(SCHEME)]
    for name in profile.links:
        if isinstance(definition.links.get(name), (CanBinding, ModbusBinding)):
            names.append(name)
    return names
