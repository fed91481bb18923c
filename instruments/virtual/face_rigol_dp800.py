"""The Rigol DP800 supplies in SCPI: DP832(A), DP831(A), DP821(A) and DP811(A), one channel of which feeds the BMS.

Source: the family's commands as the instrument reference has them, in both dialects: channel as an argument
(`:OUTP CH1,ON`, `:SOUR1:VOLT 5`, `:APPL CH1,5,1`) or selected before (`INST:NSEL 1`, `SOUR:VOLT 5`); `:OUTP?` answers
ON or OFF, the protections' `QUES?`/`ALAR?` YES or NO, `:MEAS:ALL?` three numbers, `:MEAS:POWE?`. A query that is not
understood stays silent and queues -113.

Assumed: `SYST:ERR?` with the usual texts; `:APPL? CH1` answers `CH1:30V/3A,5.000,1.0000`; a trip refuses ON until it is
cleared. `SYST:REM`, `:LOC` and `:RWL` are accepted without effect (unverified on LAN), so that there is no remote
control to lose.

Not simulated: delayer and timer (undefined headers here), tracking, ranges of the DP811, the negative channel of the
DP831, lost commands of a client that writes too fast, and what `behaviour_aux_supply` leaves out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from bench.errors import DefinitionError
from bench.simulated_clock import SimulatedClock
from instruments.virtual.behaviour_aux_supply import OVER_TRAVEL, AuxChannel, AuxSupply
from instruments.virtual.circuit import Circuit
from instruments.virtual.face import Face
from instruments.virtual.instrument_errors import ErrorQueue, Refused
from instruments.virtual.scpi_arguments import parse_bounded, split_suffix
from instruments.virtual.scpi_face import CommandTable, Handler, ScpiSession, parse_switch
from instruments.virtual.wire import Session

MAKER, FIRMWARE, MODEL = "RIGOL TECHNOLOGIES", "00.01.16", "DP832A"
# volts and amperes of each channel
RATINGS = {
    "DP832": ((30.0, 3.0), (30.0, 3.0), (5.0, 3.0)),
    "DP831": ((8.0, 5.0), (30.0, 2.0)),
    "DP821": ((60.0, 1.0), (8.0, 10.0)),
    "DP811": ((40.0, 5.0),),
}
VOLTS, AMPERES = {"V": 1.0, "MV": 1e-3}, {"A": 1.0, "MA": 1e-3}
_CHANNEL = re.compile(r"(?:CH)?(\d)")


class AuxSession(ScpiSession):
    """One connection; the error queue belongs to it."""

    def __init__(self, supply: AuxSupply, model: str) -> None:
        self.supply = supply
        self._model = model
        self._suffix = ""
        super().__init__(CommandTable(self._commands()), ErrorQueue(20, '0,"No error"'))

    def _commands(self) -> dict[str, Handler]:
        supply = self.supply
        level = "[:LEVel][:IMMediate][:AMPLitude]"
        table: dict[str, Handler] = {
            "*IDN?": lambda _: f"{MAKER},{self._model},{supply.serial},{FIRMWARE}",
            "*RST": lambda _: supply.defaults(),
            "*CLS": lambda _: self.errors.clear(),
            "*ESR?": lambda _: str(self.errors.take_event_status()),
            "*STB?": lambda _: str(4 * bool(self.errors)),
            "*OPC?": lambda _: "1",
            "SYSTem:ERRor[:NEXT]?": lambda _: self.errors.take(),
            "SYSTem:REMote": lambda _: None,
            "SYSTem:LOCal": lambda _: None,
            "SYSTem:RWLock": lambda _: None,
            "SYSTem:OTP": lambda text: self._accept(parse_switch(text)),
            "SYSTem:OTP?": lambda _: "ON",
            "INSTrument:NSELect": self._select,
            "INSTrument:NSELect?": lambda _: str(supply.selected),
            "INSTrument[:SELect]": self._select,
            "INSTrument[:SELect]?": lambda _: f"CH{supply.selected}",
            f"[SOURce:]VOLTage{level}": lambda text: self._set("voltage_v", text, VOLTS),
            f"[SOURce:]VOLTage{level}?": lambda _: f"{self._meant('').voltage_v:.3f}",
            f"[SOURce:]CURRent{level}": lambda text: self._set("current_a", text, AMPERES),
            f"[SOURce:]CURRent{level}?": lambda _: f"{self._meant('').current_a:.4f}",
            "APPLy": self._apply,
            "APPLy?": self._applied,
            "OUTPut[:STATe]": self._output,
            "OUTPut[:STATe]?": lambda text: "ON" if self._meant(text).on else "OFF",
            "OUTPut:MODE?": lambda text: supply.regulation(self._number(text)),
            "OUTPut:CVCC?": lambda text: supply.regulation(self._number(text)),
            "MEASure:ALL[:DC]?": self._all,
            "MEASure[:VOLTage][:DC]?": lambda text: f"{supply.measure_v(self._number(text)):.4f}",
            "MEASure:CURRent[:DC]?": lambda text: f"{supply.measure_a(self._number(text)):.4f}",
            "MEASure:POWEr[:DC]?": lambda text: f"{self._power_w(self._number(text)):.3f}",
        }
        for word, name, units, digits in (("OVP", "ovp_v", VOLTS, 3), ("OCP", "ocp_a", AMPERES, 4)):
            table |= self._protection(f"OUTPut:{word}", word == "OVP", name, units, digits)
        return table

    def _protection(
        self, header: str, overvoltage: bool, name: str, units: dict[str, float], digits: int
    ) -> dict[str, Handler]:
        tripped = "ovp_tripped" if overvoltage else "ocp_tripped"
        enabled = "ovp_on" if overvoltage else "ocp_on"

        def set_level(text: str) -> None:
            channel, (word,) = self._split(text, 1)
            rated = channel.rated_v if overvoltage else channel.rated_a
            setattr(channel, name, parse_bounded(word, units, 0.001, 1.1 * rated))

        def enable(text: str) -> None:
            channel, (word,) = self._split(text, 1)
            setattr(channel, enabled, parse_switch(word))

        def asked(one: Callable[[AuxChannel], str]) -> Handler:
            return lambda text: one(self._meant(text))

        return {
            f"{header}:VALue": set_level,
            f"{header}:VALue?": asked(lambda channel: f"{getattr(channel, name):.{digits}f}"),
            f"{header}[:STATe]": enable,
            f"{header}[:STATe]?": asked(lambda channel: "ON" if getattr(channel, enabled) else "OFF"),
            f"{header}:QUES?": asked(lambda channel: "YES" if getattr(channel, tripped) else "NO"),
            f"{header}:ALAR?": asked(lambda channel: "YES" if getattr(channel, tripped) else "NO"),
            f"{header}:CLEAR": lambda text: self.supply.clear(self._number(text), overvoltage=overvoltage),
        }

    def command(self, text: str, path: str = "") -> str | None:
        """Do one command; the number after its first word is its channel."""
        header, space, arguments = text.partition(" ")
        header, self._suffix = split_suffix(header)
        return super().command(f"{header}{space}{arguments}", path)

    def _number(self, text: str) -> int:
        """Return the channel that a command means: its argument, its suffix, or the one selected before."""
        word = text.strip().upper() or self._suffix
        if not word:
            return self.supply.selected
        match = _CHANNEL.fullmatch(word)
        if match is None:
            raise Refused(-224)
        number = int(match[1])
        self.supply.channel(number)
        return number

    def _meant(self, text: str) -> AuxChannel:
        return self.supply.channel(self._number(text))

    def _split(self, text: str, count: int) -> tuple[AuxChannel, list[str]]:
        """Return the channel and the other arguments."""
        words = [word.strip() for word in text.split(",")]
        named = len(words) > count
        if len(words) - named != count or not all(words):
            raise Refused(-109 if len(words) < count or not all(words) else -108)
        return self._meant(words[0] if named else ""), words[named:]

    def _accept(self, on: bool) -> None:
        """Over-temperature protection is always on here."""

    def _select(self, text: str) -> None:
        if not text.strip():
            raise Refused(-109)
        self.supply.selected = self._number(text)

    def _set(self, name: str, text: str, units: dict[str, float]) -> None:
        number = self._number("")
        channel = self.supply.channel(number)
        rated = channel.rated_v if name == "voltage_v" else channel.rated_a
        value = parse_bounded(text, units, 0.0, rated * OVER_TRAVEL)
        self.supply.set(number, **{name: value})

    def _apply(self, text: str) -> None:
        words = [word.strip() for word in text.split(",")]
        if len(words) != 3:
            raise Refused(-109 if len(words) < 3 else -108)
        number = self._number(words[0])
        channel = self.supply.channel(number)
        self.supply.set(
            number,
            voltage_v=parse_bounded(words[1], VOLTS, 0.0, channel.rated_v * OVER_TRAVEL),
            current_a=parse_bounded(words[2], AMPERES, 0.0, channel.rated_a * OVER_TRAVEL),
        )

    def _applied(self, text: str) -> str:
        number = self._number(text)
        channel = self.supply.channel(number)
        rating = f"CH{number}:{channel.rated_v:g}V/{channel.rated_a:g}A"
        return f"{rating},{channel.voltage_v:.3f},{channel.current_a:.4f}"

    def _output(self, text: str) -> None:
        words = [word.strip() for word in text.split(",")]
        number = self._number(words[0] if len(words) == 2 else "")
        self.supply.switch(number, parse_switch(words[-1]))

    def _all(self, text: str) -> str:
        number = self._number(text)
        volts, amperes = self.supply.measure_v(number), self.supply.measure_a(number)
        return f"{volts:.4f},{amperes:.4f},{volts * amperes:.3f}"

    def _power_w(self, number: int) -> float:
        return self.supply.measure_v(number) * self.supply.measure_a(number)


def make(
    name: str, options: Mapping[str, object], circuit: Circuit, clock: SimulatedClock, seed: int, serial: str
) -> Face:
    """Make the supply.

    Options: `channel` (1) is wired to the BMS's supply terminals, `model` is one of the family (DP832A).
    """
    model, channel = str(options.get("model", MODEL)), options.get("channel", 1)
    ratings = RATINGS.get(model.removesuffix("A"), RATINGS["DP832"])
    if not isinstance(channel, int) or isinstance(channel, bool) or not 1 <= channel <= len(ratings):
        raise DefinitionError(
            f"virtual supply {name!r}: option channel = {channel!r} must be from 1 to {len(ratings)} on a {model}"
        )
    supply = AuxSupply(name, serial, ratings, channel, circuit.dut.supply, clock, seed)

    def session() -> Session:
        return AuxSession(supply, model)

    return Face(supply, MAKER, model, {"scpi": session})
