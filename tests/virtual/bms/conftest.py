"""A virtual BMS on a bench of its own, and raw eyes on its links: bits are taken apart by hand, by no decoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from bench.can_hub import CanHub, CanNode
from bench.clock import Rank, Tick
from bench.frames import CanFrame
from bench.loading import validate
from bench.profile import PROFILES, Profile, load_profile
from bench.simulated_clock import SimulatedClock
from bench.uncertainty import Accuracy
from instruments.virtual.bms import VirtualBms
from instruments.virtual.bms_can import CanFace, attach_can
from instruments.virtual.bms_modbus import ModbusSession, make_modbus_session_factory
from instruments.virtual.circuit import Circuit
from instruments.virtual.pack import Pack


class KnobCircuit(Circuit):
    """The real circuit, except that a test may say what the shunt sees, exactly."""

    knob_a: float | None = None

    def pack_current_a(self) -> float:
        """Return what the test said, or what really flows."""
        return self.knob_a if self.knob_a is not None else super().pack_current_a()


class Wire:
    """What the server would hand to a session; counts instead of acting."""

    def __init__(self) -> None:
        self.silences = 0
        self.owed_s = 0.0

    def silence(self) -> None:
        self.silences += 1

    def owe(self, seconds: float) -> None:
        self.owed_s += seconds


def modbus_checksum(data: bytes) -> bytes:
    """The checksum bit by bit, as the Modbus specification draws it."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            carry = crc & 1
            crc >>= 1
            if carry:
                crc ^= 0xA001
    return bytes([crc & 0xFF, crc >> 8])


def exact(profile: Profile) -> Profile:
    """Return the profile with a promise of no error at all: a unit of it measures without error and noise."""
    signals = dict(profile.signals)
    signals["pack_current"] = signals["pack_current"].model_copy(update={"accuracy": Accuracy()})
    return profile.model_copy(update={"signals": signals})


class Rig:
    """One BMS, its circuit and its links."""

    def __init__(
        self,
        profile: Profile,
        *,
        seed: int = 1,
        defects: tuple[Any, ...] = (),
        soc_pct: float = 50.0,
        cells: Literal["pack", "emulated"] = "pack",
    ):
        self.profile = profile
        self.clock = SimulatedClock()
        pack = Pack.demonstration(seed=seed, soc_pct=soc_pct, cells=profile.bms.cells)
        topology = "separate" if profile.bms.separate_switches else "common"
        self.circuit = KnobCircuit(pack, now_ns=self.clock.now_ns, topology=topology, cells=cells)
        if self.circuit.dut.emulated is not None:
            for cell in range(1, profile.bms.cells + 1):
                self.circuit.dut.emulated.set(cell, on=True, voltage_v=3.3, source_limit_a=0.5)
        self.circuit.disconnect.set(closed=True)
        self.bms = VirtualBms(profile, circuit=self.circuit, clock=self.clock, seed=seed, defects=defects)
        self.frames: list[CanFrame] = []
        self.hub: CanHub | None = None
        self.node: CanNode | None = None
        self.face: CanFace | None = None
        self.session: ModbusSession | None = None
        self.wire = Wire()
        self.request: bytes | None = None
        self.request_tick: Tick | None = None
        kinds = {link.kind for link in profile.links.values()}
        if "can_dbc" in kinds:
            self.hub = CanHub(f"rig {id(self)}", self.clock)
            self.node = self.hub.attach("bench", self.frames.append)
            self.face = attach_can(self.bms, self.hub)
        if "modbus" in kinds:
            self.session = make_modbus_session_factory(self.bms)()
            self.session.wire = self.wire  # type: ignore[assignment]

    def close(self) -> None:
        if self.hub is not None:
            self.hub.close()

    # -- time and current

    def sleep(self, seconds: float) -> None:
        self.clock.sleep(seconds)

    def charge(self, current_a: float, voltage_v: float = 58.0) -> None:
        """Let the supply charge; the load is off."""
        self.circuit.load.set(on=False)
        self.circuit.supply.set(on=True, voltage_v=voltage_v, current_limit_a=current_a)

    def discharge(self, current_a: float) -> None:
        """Let the load discharge; the supply is off."""
        self.circuit.supply.set(on=False)
        self.circuit.load.set(on=True, current_a=current_a)

    def rest(self) -> None:
        self.circuit.supply.set(on=False)
        self.circuit.load.set(on=False)

    def until(self, reached: Callable[[], bool], *, limit_s: float, step_s: float = 0.001) -> float:
        """Return how long it took, in seconds, at least one step; fails if it never came true."""
        start_s = self.clock.now()
        self.clock.sleep(step_s)
        while not reached():
            assert self.clock.now() - start_s < limit_s, f"not within {limit_s} s"
            self.clock.sleep(step_s)
        return self.clock.now() - start_s

    # -- foxBMS's request and states

    def ask_mode(self, mode: int, *, period_s: float = 0.1) -> None:
        """Send byte 0 of the state request cyclically from now on."""
        assert self.node is not None
        self.request = bytes([mode]) + bytes(7)
        if self.request_tick is None:
            node = self.node

            def send() -> None:
                assert self.request is not None
                node.send(CanFrame(0.0, 0x210, self.request, outgoing=True))

            send()
            self.request_tick = self.clock.every(period_s, send, rank=Rank.CAN)

    def silence_request(self) -> None:
        assert self.request_tick is not None
        self.request_tick.cancel()
        self.request_tick = None

    def start(self) -> None:
        """Power on and bring to closed switches."""
        self.bms.power_on()
        if self.node is None:
            self.sleep(2.0)
        else:
            self.sleep(0.6)
            self.ask_mode(0)
            self.sleep(0.5)
            self.ask_mode(1)
            self.sleep(1.0)
        assert self.bms.path_closed

    @property
    def state(self) -> int:
        """The state on the wire: low nibble of byte 0 of the newest 0x220."""
        return self.newest(0x220)[0] & 0x0F

    def newest(self, can_id: int) -> bytes:
        """Return the newest frame's bytes."""
        return next(frame.data for frame in reversed(self.frames) if frame.can_id == can_id)

    # -- Modbus

    def ask(self, unit: int, function: int, address: int, count: int) -> bytes:
        """Return the reply's data bytes; checks the frame by hand."""
        body = bytes([unit, function]) + address.to_bytes(2, "big") + count.to_bytes(2, "big")
        assert self.session is not None
        reply = self.session.feed(body + modbus_checksum(body))
        assert reply[-2:] == modbus_checksum(reply[:-2])
        assert reply[0] == unit and reply[1] == function, reply.hex(" ")
        assert reply[2] == len(reply) - 5
        return reply[3:-2]

    def feed(self, body: str) -> str:
        """Send a frame given in hex without checksum; return the reply in hex without checksum, which was right."""
        assert self.session is not None
        request = bytes.fromhex(body)
        reply = self.session.feed(request + modbus_checksum(request))
        if not reply:
            return ""
        assert reply[-2:] == modbus_checksum(reply[:-2])
        return reply[:-2].hex(" ").upper()

    def bit(self, address: int) -> int:
        """Read one bit of the Seplos system block."""
        return self.ask(0, 1, address, 1)[0] & 1

    # -- the current on either link, as a signed count of 10 mA in the device's own sign

    def count(self) -> int:
        if self.node is not None:
            data = self.newest(0x233)
            raw = (data[5] & 1) << 16 | data[6] << 8 | data[7]
            return raw - (1 << 17) if raw & (1 << 16) else raw
        raw = int.from_bytes(self.ask(1, 4, 0x1001, 1), "big")
        return raw - 0x10000 if raw & 0x8000 else raw


@pytest.fixture(scope="session")
def profiles() -> dict[str, Profile]:
    """The two shipped profiles."""
    return {name: load_profile(PROFILES / f"{name}.toml") for name in ("foxbms_2", "seplos_v3")}


@pytest.fixture
def make_rig(profiles: dict[str, Profile]) -> Iterator[Callable[..., Rig]]:
    """Return a maker of rigs, by profile or its name; `perfect` takes the measuring errors away."""
    made: list[Rig] = []

    def make(profile: str | Profile, *, perfect: bool = False, **options: Any) -> Rig:
        chosen = profiles[profile] if isinstance(profile, str) else profile
        made.append(Rig(exact(chosen) if perfect else chosen, **options))
        return made[-1]

    yield make
    for rig in made:
        rig.close()


@pytest.fixture
def make_profile(tmp_path: Path) -> Callable[..., Profile]:
    """Return a maker of foreign profiles from a dictionary, with a database beside them if one is given."""

    def make(data: dict[str, Any], dbc: str | None = None) -> Profile:
        if dbc is not None:
            (tmp_path / "foreign.dbc").write_text(dbc, encoding="utf-8")
        profile = validate(Profile, data, "foreign.toml")
        return profile.model_copy(update={"source": tmp_path / "foreign.toml"})

    return make
