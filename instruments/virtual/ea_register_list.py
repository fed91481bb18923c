"""The register list of the virtual EA 9000 family: what stands at which address.

Source: EA programming guide and the register lists of PSB 9000 and EL 9000 B. Not simulated: what `ea_modbus` and
`behaviour_ea` leave out.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from instruments.virtual.behaviour_ea import EaDevice
from instruments.virtual.circuit_stages import TwoQuadrantStage
from instruments.virtual.modbus_face import ILLEGAL_VALUE, ModbusRefusal

FULL_SCALE = 52428
SETTINGS = {498: "sink_power", 499: "sink_current", 500: "voltage", 501: "current", 502: "power"}
PROTECTIONS = {550: "voltage", 553: "current", 556: "power", 569: "sink_current", 570: "sink_power"}
SUPERVISION = {559: "uvd", 561: "ovd", 563: "ucd", 565: "ocd", 567: "opd"}
SINK_SUPERVISION = {571: "sink_ucd", 573: "sink_ocd", 575: "sink_opd"}
LIMITS = {
    9000: ("voltage", 1), 9001: ("voltage", 0), 9002: ("current", 1), 9003: ("current", 0), 9004: ("power", 1),
    9005: ("sink_power", 1), 9008: ("sink_current", 1), 9009: ("sink_current", 0),
}  # fmt: skip
COUNTERS = {520: "ovp", 521: "ocp", 522: "opp", 523: "ot", 524: "pf", 525: "sink_ocp", 526: "sink_opp"}
ALARM_BITS = {"ovp": 16, "ocp": 17, "opp": 18, "ot": 19, "pf": 21, "uvd": 24, "ovd": 25, "ucd": 26, "ocd": 27}
ALARM_BITS["opd"] = 28
REGULATION = {"OFF": 0b00, "CV": 0b00, "CR": 0b01, "CC": 0b10, "CP": 0b11}
EVENT_RATING = {"v": "voltage", "c": "current", "p": "power"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the register list."""

    kind: str  # u16, u32, float, text
    count: int
    read: Callable[[], bytes]
    write: Callable[[int], None] | None = None


class EaRegisterList:
    """The entries and coils of one unit as one interface (`location`) sees them."""

    def __init__(self, device: EaDevice, identity: dict[str, str], location: int) -> None:
        self.device = device
        self.location = location
        self.entries = self._constants(identity) | self._values() | self._status()
        self.coils = self._coil_list()

    def _u16(self, read: Callable[[], int], write: Callable[[int], None] | None = None) -> Entry:
        return Entry("u16", 1, lambda: read().to_bytes(2, "big"), write)

    def _scaled(self, rating: str, read: Callable[[], float], write: Callable[[float], None] | None = None) -> Entry:
        nominal = self.device.nominal(rating)

        def read_raw() -> int:  # the converter ends at 0xFFFF, 125 %
            return min(0xFFFF, round(abs(read()) / nominal * FULL_SCALE))

        if write is None:
            return self._u16(read_raw)
        return self._u16(read_raw, lambda raw: write(raw / FULL_SCALE * nominal))

    def _constants(self, identity: dict[str, str]) -> dict[int, Entry]:
        device, model = self.device, self.device.model

        def text(read: Callable[[], str]) -> Entry:
            return Entry("text", 20, lambda: read().encode("latin-1")[:40].ljust(40, b"\x00"))

        def number(value: float) -> Entry:
            return Entry("float", 2, lambda: struct.pack(">f", value))

        entries = {
            1: text(lambda: model.name),
            21: text(lambda: identity["maker"]),
            131: text(lambda: identity["article"]),
            151: text(lambda: device.serial),
            171: text(lambda: device.user_text),
            191: text(lambda: identity["firmware"]),
        }
        ratings = (model.voltage_v, model.current_a, model.power_w)
        return entries | {121 + 2 * n: number(value) for n, value in enumerate(ratings)}

    def _values(self) -> dict[int, Entry]:
        device, entries = self.device, dict[int, Entry]()

        def setting(key: str) -> Entry:
            return self._scaled(key, lambda: device.settings[key], lambda v: device.set_value(self.location, key, v))

        def protection(key: str) -> Entry:
            return self._scaled(
                key, lambda: device.alarms.protections[key], lambda v: device.set_protection(self.location, key, v)
            )

        def limit(key: str, side: int) -> Entry:
            def write(value: float) -> None:
                device.set_limit(self.location, key, **{("low", "high")[side]: value})

            return self._scaled(key, lambda: device.limits[key][side], write)

        def threshold(name: str) -> Entry:
            def write(value: float) -> None:
                device.alarms.supervision[name].threshold = value

            rating = EVENT_RATING[name[-2]]
            return self._scaled(rating, lambda: device.alarms.supervision[name].threshold, write)

        def action(name: str) -> Entry:
            def write(value: int) -> None:
                if value > 3:
                    raise ModbusRefusal(ILLEGAL_VALUE)
                device.alarms.supervision[name].action = value

            return self._u16(lambda: device.alarms.supervision[name].action, write)

        entries |= {a: setting(k) for a, k in SETTINGS.items() if k in device.keys}
        entries |= {a: protection(k) for a, k in PROTECTIONS.items() if k in device.keys}
        entries |= {a: limit(k, side) for a, (k, side) in LIMITS.items() if k in device.keys}
        for first, name in (SUPERVISION | SINK_SUPERVISION).items():
            if name in device.alarms.supervision:
                entries |= {first: threshold(name), first + 1: action(name)}
        return entries

    def _status(self) -> dict[int, Entry]:
        device = self.device

        def count(counter: str) -> Entry:
            return self._u16(lambda: device.alarms.counters.get(counter, 0))

        entries = {a: count(c) for a, c in COUNTERS.items()}
        entries[505] = Entry("u32", 2, lambda: self.state().to_bytes(4, "big"))
        entries[507] = self._scaled("voltage", lambda: device.measure()[0])
        entries[508] = self._scaled("current", lambda: device.measure()[1])
        entries[509] = self._scaled("power", lambda: device.measure()[2])
        entries[511] = Entry("u32", 2, lambda: bytes(4))
        return entries

    def _coil_list(self) -> dict[int, tuple[Callable[[], bool], Callable[[bool], None]]]:
        device, here = self.device, self.location

        def remote(on: bool) -> None:
            device.take_remote(here) if on else device.leave_remote(here)

        def after_remote(on: bool) -> None:
            device.require(here)
            device.after_remote_off = not on

        def compliance(on: bool) -> None:
            device.require(here)
            device.full_compliance = on

        def acknowledge(on: bool) -> None:
            if on:
                device.acknowledge(here)

        return {
            402: (lambda: device.remote, remote),
            405: (lambda: device.on, lambda on: device.switch(here, on=on)),
            411: (lambda: False, acknowledge),
            425: (lambda: not device.after_remote_off, after_remote),
            10013: (lambda: device.full_compliance, compliance),
        }

    def state(self) -> int:
        """Return register 505, the device state."""
        device = self.device
        latched = device.alarms.latched
        device.measure()  # the flag belongs to the acquisition that 507 to 509 report
        inverted = device.fault.name == "sign_inverted"
        bipolar = isinstance(device.stage, TwoQuadrantStage)
        sinking = bipolar and device.on and (device.front.raw[1] < 0) is not inverted
        value = device.owner | device.on << 7 | REGULATION[device.regulation()] << 9 | device.remote << 11
        value |= sinking << 12 | bool(latched) << 15 | device.alarms.cause_is_sink << 31
        for alarm in latched | device.alarms.signals:
            value |= 1 << ALARM_BITS[alarm]
        return value
