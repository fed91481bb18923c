"""The SCPI commands of the virtual EA 9000 family.

Source: EA programming guide, SCPI part: one complete command each, up to five in a message joined by `;`, values
with unit suffix, an error queue of five. `SYST:ERR?` also acknowledges device alarms whose cause is gone.

Not simulated: everything that `behaviour_ea` leaves out, and therefore RES, UIR mode, BATT, FUNC, `SYST:DEV:CLAS?`
(the class numbers of the 9000 series are not known here) and `*OPC?` (not implemented on real units either). A
header that is not known queues -100 and a query then stays silent. The least
time between two messages is not enforced, the event registers repeat the condition registers, and
`SYST:COMM:LAN:KEEP` is kept and read back without effect.
"""

from __future__ import annotations

from instruments.virtual.behaviour_ea import EaDevice
from instruments.virtual.behaviour_ea_remote import ETHERNET, LOCAL
from instruments.virtual.circuit_stages import SinkStage, TwoQuadrantStage
from instruments.virtual.ea_scpi_values import EaValues
from instruments.virtual.instrument_errors import ErrorQueue, Refused
from instruments.virtual.scpi_face import CommandTable, Handler, parse_switch

QUES_BITS = {"ovp": 0, "ocp": 1, "opp": 2, "ot": 3, "ovd": 4, "uvd": 5, "ocd": 6, "ucd": 7, "opd": 8, "pf": 13}
COUNTERS = {"OVOLtage": "ovp", "OCURrent": "ocp", "OPOWer": "opp", "OTEMperature": "ot", "PFAil": "pf"}


class EaCommands:
    """The command table of one unit; all its connections share it, as they share the error queue."""

    def __init__(self, device: EaDevice, maker: str, identity: str) -> None:
        self.device = device
        self.errors = ErrorQueue(5)
        self.identity = f"{maker}, {identity}"
        self.values = EaValues(device)
        commands = self._system() | self._measurements() | self._status()
        for key in device.keys:
            commands |= self.values.setting(key)
        for name in device.alarms.supervision:
            commands |= self.values.supervision(name)
        self.table = CommandTable(commands)

    def later(self, code: int) -> None:
        """Queue an error shortly after the message, as the family does."""
        device = self.device
        device.at_ns(device.clock.now_ns() + 2_000_000, lambda: self.errors.push(code))

    def _measurements(self) -> dict[str, Handler]:
        device, show = self.device, self.values.show
        bipolar = isinstance(device.stage, TwoQuadrantStage)
        turn = -1.0 if isinstance(device.stage, SinkStage) else 1.0  # a load shows what it draws as positive

        def shown(index: int) -> float:
            value = turn * device.measure()[index] if index else device.measure()[0]
            if bipolar or device.fault.name == "sign_inverted":
                return value
            return max(0.0, value)  # the converter of a one-quadrant unit has no negative half

        def everything(_: str) -> str:
            voltage_v, current_a, power_w = shown(0), shown(1), shown(2)
            return f"{show(voltage_v, 'voltage')}, {show(current_a, 'current')}, {show(power_w, 'power')}"

        def nominal(key: str) -> Handler:
            return lambda _: show(device.nominal(key), key)

        return {
            "MEASure[:SCALar]:VOLTage[:DC]?": lambda _: show(shown(0), "voltage"),
            "MEASure[:SCALar]:CURRent[:DC]?": lambda _: show(shown(1), "current"),
            "MEASure[:SCALar]:POWer[:DC]?": lambda _: show(shown(2), "power"),
            "MEASure[:SCALar]:ARRay?": everything,
            "SYSTem:NOMinal:VOLTage?": nominal("voltage"),
            "SYSTem:NOMinal:CURRent?": nominal("current"),
            "SYSTem:NOMinal:POWer?": nominal("power"),
        }

    def _system(self) -> dict[str, Handler]:
        device = self.device
        node = "INPut" if isinstance(device.stage, SinkStage) else "OUTPut"

        def lock(text: str) -> None:
            device.take_remote(ETHERNET) if parse_switch(text) else device.leave_remote(ETHERNET)

        def owner(_: str) -> str:
            return "REMOTE" if device.remote else "LOCAL" if device.owner == LOCAL else "NONE"

        def next_error(_: str) -> str:
            device.acknowledge()
            return self.errors.take()

        def all_errors(_: str) -> str:
            device.acknowledge()
            return self.errors.take_all()

        def user_text(text: str) -> None:
            device.require(ETHERNET)
            device.user_text = text.strip().strip('"')[:40]

        def after_remote(text: str) -> None:
            device.require(ETHERNET)
            device.after_remote_off = not self._auto(text)

        def monitor_time(text: str) -> None:
            device.require(ETHERNET)
            device.monitoring_s = self.values.whole(text, 1, 36000)

        def lan_timeout(text: str) -> None:
            device.require(ETHERNET)
            device.lan_timeout_s = self.values.whole(text, 5, 65535, zero=True)

        def keep_alive(text: str) -> None:
            device.require(ETHERNET)
            device.options["keep_alive"] = parse_switch(text)

        commands: dict[str, Handler] = {
            "*IDN?": lambda _: f"{self.identity}, {device.user_text}" if device.user_text else self.identity,
            "*RST": lambda _: device.restart(ETHERNET),
            "*CLS": lambda _: self.errors.clear(),
            "*ESR?": lambda _: str(self.errors.take_event_status()),
            "*STB?": lambda _: str(4 * bool(self.errors) + 8 * bool(device.alarms.latched)),
            "SYSTem:LOCK[:STATe]": lock,
            "SYSTem:LOCK:OWNer?": owner,
            "SYSTem:ERRor[:NEXT]?": next_error,
            "SYSTem:ERRor:ALL?": all_errors,
            "SYSTem:CONFigure:USER:TEXT": user_text,
            "SYSTem:CONFigure:USER:TEXT?": lambda _: f'"{device.user_text}"',
            f"{node}[:STATe]": lambda text: device.switch(ETHERNET, on=parse_switch(text)),
            f"{node}[:STATe]?": lambda _: "ON" if device.on else "OFF",
            "SYSTem:CONFigure:MODE?": lambda _: "UIP",
            "POWer:STAGe:AFTer:REMote": after_remote,
            "POWer:STAGe:AFTer:REMote?": lambda _: "OFF" if device.after_remote_off else "AUTO",
            "SYSTem:COMMunicate:MONitor:TIMeout": monitor_time,
            "SYSTem:COMMunicate:MONitor:TIMeout?": lambda _: f"{device.monitoring_s:.0f}",
            "SYSTem:COMMunicate:MONitor:ACTion": lambda t: device.monitor(ETHERNET, on=parse_switch(t)),
            "SYSTem:COMMunicate:MONitor:ACTion?": lambda _: "ON" if device.monitoring else "OFF",
            "SYSTem:COMMunicate:LAN:TIMeout": lan_timeout,
            "SYSTem:COMMunicate:LAN:TIMeout?": lambda _: f"{device.lan_timeout_s:.0f}",
            "SYSTem:COMMunicate:LAN:KEEPalive": keep_alive,
            "SYSTem:COMMunicate:LAN:KEEPalive?": lambda _: "ON" if device.options.get("keep_alive") else "OFF",
        }
        return commands

    def _auto(self, text: str) -> bool:
        word = text.strip().upper()
        if word not in ("AUTO", "OFF"):
            raise Refused(-224, 3)
        return word == "AUTO"

    def _status(self) -> dict[str, Handler]:
        device = self.device
        commands: dict[str, Handler] = {
            "STATus:QUEStionable[:EVENt]?": lambda _: str(self.questionable()),
            "STATus:QUEStionable:CONDition?": lambda _: str(self.questionable()),
            "STATus:OPERation[:EVENt]?": lambda _: str(self.operation()),
            "STATus:OPERation:CONDition?": lambda _: str(self.operation()),
        }

        def count(counter: str) -> Handler:
            return lambda _: str(device.alarms.counters.get(counter, 0))

        for header, counter in COUNTERS.items():
            commands[f"SYSTem:ALARm:COUNt:{header}?"] = count(counter)
            if "sink_current" in device.keys and counter in ("ocp", "opp"):
                commands[f"SYSTem:SINK:ALARm:COUNt:{header}?"] = count(f"sink_{counter}")
        return commands

    def questionable(self) -> int:
        """Return the QUES condition: alarms, 9 local, 10 remote, 11 DC on."""
        device = self.device
        value = (device.owner == LOCAL) << 9 | device.remote << 10 | device.on << 11
        for alarm in device.alarms.latched | device.alarms.signals:
            value |= 1 << QUES_BITS[alarm]
        return value

    def operation(self) -> int:
        """Return the OPER condition: 7 monitoring expired, 8 CV, 9 CC, 10 CP, 12 sink."""
        device = self.device
        value = device.monitor_expired << 7
        value |= {"CV": 1 << 8, "CC": 1 << 9, "CP": 1 << 10}.get(device.regulation(), 0)
        sinking = isinstance(device.stage, TwoQuadrantStage) and device.on and device.front.raw[1] < 0
        return value | sinking << 12
