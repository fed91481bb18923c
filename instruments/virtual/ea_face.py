"""How one virtual EA unit is put together: behaviour, SCPI with Modbus RTU on one port, Modbus TCP on another."""

from __future__ import annotations

from bench.simulated_clock import SimulatedClock
from instruments.virtual.behaviour_ea import EaDevice, EaModel
from instruments.virtual.behaviour_ea_remote import ETHERNET, MODBUS_TCP
from instruments.virtual.circuit_stages import SinkStage, SourceStage, TwoQuadrantStage
from instruments.virtual.ea_modbus import EaRegisters
from instruments.virtual.ea_port import EaModbusTcp, EaPort, Slot
from instruments.virtual.ea_scpi import EaCommands
from instruments.virtual.face import Face
from instruments.virtual.modbus_face import RtuFramer
from instruments.virtual.wire import Session

MAKER = "EA Elektro-Automatik GmbH&Co.KG"


def make_unit(
    name: str,
    model: EaModel,
    stage: SourceStage | SinkStage | TwoQuadrantStage,
    clock: SimulatedClock,
    seed: int,
    serial: str,
    *,
    firmware: str,
    first: str = "scpi",
) -> Face:
    """Build one unit; `first` is the language that its driver speaks: `scpi` or `modbus_tcp`."""
    device = EaDevice(name, serial, model, stage, clock, seed)
    identity = {"maker": MAKER, "article": "VIRTUAL", "firmware": firmware}
    commands = EaCommands(device, MAKER, f"{model.name}, {serial}, {firmware}")
    rtu = RtuFramer(EaRegisters(device, identity, ETHERNET), answers_bad_crc=True)
    mbap = EaRegisters(device, identity, MODBUS_TCP, mbap=True)

    slots = {location: Slot(device, location) for location in (ETHERNET, MODBUS_TCP)}

    def scpi() -> Session:
        return EaPort(device, commands, rtu, slots[ETHERNET])

    def modbus_tcp() -> Session:
        return EaModbusTcp(device, mbap, slots[MODBUS_TCP])

    languages = {"scpi": scpi, "modbus_tcp": modbus_tcp} if first == "modbus_tcp" else {"scpi": scpi}
    ordered = dict(sorted(languages.items(), key=lambda item: item[0] != first))
    return Face(device, MAKER, model.name, ordered)
