"""The SCPI of the Keithley DMM6500: one connection's commands, settings and answers; see `face_keithley_dmm6500`."""

from __future__ import annotations

from collections.abc import Callable

from instruments.virtual.behaviour_digitiser import HIGHEST_HZ, LOWEST_HZ, MOST_SAMPLES, DigitisingMeter
from instruments.virtual.behaviour_meter import ACCURACY
from instruments.virtual.instrument_errors import ErrorQueue, Refused
from instruments.virtual.scpi_arguments import parse_bounded
from instruments.virtual.scpi_face import CommandTable, Handler, ScpiSession, parse_switch

MAKER, FIRMWARE = "KEITHLEY INSTRUMENTS", "1.7.12b"
BUFFER = '"DEFBUFFER1"'
NPLC = (0.0005, 12.0)  # at 50 Hz
VOLTS = {"V": 1.0, "MV": 1e-3, "UV": 1e-6}
SECONDS = {"S": 1.0, "MS": 1e-3, "US": 1e-6}


class DmmSession(ScpiSession):
    """One connection, with its own error queue."""

    def __init__(self, meter: DigitisingMeter, model: str) -> None:
        self.meter = meter
        self._model = model
        self._digits = 0  # of numbers in answers; 0 is as many as they deserve
        super().__init__(CommandTable(self._commands()), ErrorQueue(32, '0,"No error"'))

    def _commands(self) -> dict[str, Handler]:
        meter = self.meter
        sense, dig = "[SENSe:]VOLTage[:DC]", "[SENSe:]DIGitize:VOLTage"
        edge = f"{dig}:ATRigger"
        return {
            "*IDN?": lambda _: f"{MAKER},MODEL {self._model},{meter.serial},{FIRMWARE}",
            "*LANG?": lambda _: "SCPI",
            "*RST": lambda _: self._reset(),
            "*CLS": lambda _: self.errors.clear(),
            "*ESR?": lambda _: str(self.errors.take_event_status()),
            "*STB?": lambda _: str(4 * bool(self.errors)),
            "*OPC?": self._operation_complete,
            "SYSTem:ERRor[:NEXT]?": lambda _: self.errors.take(),
            "[SENSe:]FUNCtion[:ON]": lambda text: self._function(text, digitises=False),
            "[SENSe:]FUNCtion[:ON]?": lambda _: '"NONE"' if meter.digitises else '"VOLT:DC"',
            f"{sense}:RANGe[:UPPer]": self._range,
            f"{sense}:RANGe[:UPPer]?": lambda _: f"{meter.range_v or 10.0:.6E}",
            f"{sense}:RANGe:AUTO": self._range_auto,
            f"{sense}:RANGe:AUTO?": lambda _: str(int(meter.range_v is None)),
            f"{sense}:NPLCycles": lambda text: setattr(meter, "nplc", parse_bounded(text, {}, *NPLC)),
            f"{sense}:NPLCycles?": lambda _: f"{meter.nplc:.6E}",
            f"{sense}:AZERo[:STATe]": lambda text: setattr(meter, "auto_zero", parse_switch(text)),
            f"{sense}:AZERo[:STATe]?": lambda _: str(int(meter.auto_zero)),
            f"{sense}:INPutimpedance": lambda text: setattr(
                meter, "input_auto", _word(text, "AUTO", "MOHM10") == "AUTO"
            ),
            f"{sense}:INPutimpedance?": lambda _: "AUTO" if meter.input_auto else "MOHM10",
            "[SENSe:]COUNt": lambda text: setattr(meter, "sample_count", _whole(text, 1, MOST_SAMPLES)),
            "[SENSe:]COUNt?": lambda _: str(meter.sample_count),
            "READ?": self._read,
            "[SENSe:]DIGitize:FUNCtion[:ON]": lambda text: self._function(text, digitises=True),
            "[SENSe:]DIGitize:FUNCtion[:ON]?": lambda _: '"VOLT"' if meter.digitises else '"NONE"',
            "[SENSe:]DIGitize:COUNt": lambda text: setattr(meter, "samples_wanted", _whole(text, 1, MOST_SAMPLES)),
            "[SENSe:]DIGitize:COUNt?": lambda _: str(meter.samples_wanted),
            f"{dig}:RANGe[:UPPer]": self._sample_range,
            f"{dig}:RANGe[:UPPer]?": lambda _: f"{meter.sample_range_v:.6E}",
            f"{dig}:SRATe": lambda text: setattr(
                meter, "sample_rate_hz", parse_bounded(text, {}, LOWEST_HZ, HIGHEST_HZ)
            ),
            f"{dig}:SRATe?": lambda _: f"{meter.sample_rate_hz:.6E}",
            f"{dig}:APERture": self._aperture,
            f"{dig}:APERture?": lambda _: (
                "AUTO" if meter.sample_aperture_s is None else f"{meter.sample_aperture_s:.6E}"
            ),
            f"{edge}:MODE": lambda text: setattr(meter, "edge", _word(text, "OFF", "EDGE") == "EDGE"),
            f"{edge}:MODE?": lambda _: "EDGE" if meter.edge else "OFF",
            f"{edge}:EDGE:LEVel": self._level,
            f"{edge}:EDGE:LEVel?": lambda _: f"{meter.edge_level_v:.6E}",
            f"{edge}:EDGE:SLOPe": self._slope,
            f"{edge}:EDGE:SLOPe?": lambda _: "RIS" if meter.edge_rising else "FALL",
            "TRACe:CLEar": lambda text: self._buffered(text, meter.clear),
            "TRACe:POINts": self._points,
            "TRACe:POINts?": lambda text: self._answered(text, str(meter.points)),
            "TRACe:FILL:MODE": self._fill,
            "TRACe:FILL:MODE?": lambda text: self._answered(text, "CONT" if meter.ring else "ONCE"),
            "TRACe:TRIGger:DIGitize": lambda text: self._buffered(text, self._take),
            "TRACe:ACTual?": lambda text: self._answered(text, str(meter.stored())),
            "TRACe:DATA?": self._data,
            "FORMat[:DATA]": self._format,
            "FORMat[:DATA]?": lambda _: "ASC",
            "FORMat:ASCii:PRECision": lambda text: setattr(self, "_digits", _whole(text, 0, 16)),
            "FORMat:ASCii:PRECision?": lambda _: str(self._digits),
            "TRIGger:LOAD": self._load,
            "TRIGger:STATe?": lambda _: self._state(),
            "INITiate[:IMMediate]": lambda _: meter.begin(triggered=True),
            "ABORt": lambda _: meter.abort(),
        }

    def _reset(self) -> None:
        self.meter.abort()
        self.meter.defaults()

    def _function(self, text: str, *, digitises: bool) -> None:
        if text.strip().strip("\"'").upper() not in ("VOLT", "VOLTAGE", "VOLT:DC", "VOLTAGE:DC"):
            raise Refused(-224)
        self.meter.abort()
        self.meter.digitises = digitises

    def _range(self, text: str) -> None:
        asked_v = parse_bounded(text, VOLTS, 0.0, 1000.0)
        self.meter.range_v = next(r for r in ACCURACY if asked_v <= r)

    def _range_auto(self, text: str) -> None:
        self.meter.range_v = None if parse_switch(text) else self.meter.range_v or 10.0

    def _impedance(self, text: str) -> None:
        self.meter.input_auto = _word(text, "AUTO", "MOHM10") == "AUTO"

    def _sample_range(self, text: str) -> None:
        asked_v = parse_bounded(text, VOLTS, 0.0, 1000.0)
        self.meter.sample_range_v = next(r for r in ACCURACY if asked_v <= r)

    def _aperture(self, text: str) -> None:
        if text.strip().upper() == "AUTO":
            self.meter.sample_aperture_s = None
        else:
            self.meter.sample_aperture_s = parse_bounded(text, SECONDS, 1e-6, 1e-3)

    def _level(self, text: str) -> None:
        high_v = 1.2 * self.meter.sample_range_v
        self.meter.edge_level_v = parse_bounded(text, VOLTS, -high_v, high_v)

    def _slope(self, text: str) -> None:
        self.meter.edge_rising = _word(text, "RIS", "RISING", "FALL", "FALLING").startswith("RIS")

    def _read(self, text: str) -> str:
        if text.strip():
            raise Refused(-108)
        if self.meter.digitises:
            raise Refused(-221)
        self.wire.owe(self.meter.sample_count * self.meter.integration_s)
        return self._number(self.meter.read(), 8)

    def _points(self, text: str) -> None:
        number, _, buffer = text.partition(",")
        points = _whole(number, 10, MOST_SAMPLES)
        self._buffered(buffer, self.meter.clear)
        self.meter.points = points

    def _fill(self, text: str) -> None:
        word, _, buffer = text.partition(",")
        ring = _word(word, "ONCE", "CONT", "CONTINUOUS") != "ONCE"
        self._buffered(buffer, self.meter.clear)
        self.meter.ring = ring

    def _format(self, text: str) -> None:
        _word(text, "ASC", "ASCII")

    def _take(self) -> None:
        self.meter.before_pct = None
        self.meter.begin(triggered=False)

    def _buffered(self, text: str, action: Callable[[], None]) -> None:
        if text.strip().upper() not in ("", BUFFER):
            raise Refused(-224)
        action()

    def _answered(self, text: str, answer: str) -> str:
        if text.strip().upper() not in ("", BUFFER):
            raise Refused(-224)
        return answer

    def _load(self, text: str) -> None:
        words = [word.strip().upper() for word in text.split(",")]
        if words == ['"EMPTY"']:
            self.meter.before_pct = None
            return
        if words[0] != '"LOOPUNTILEVENT"' or not 3 <= len(words) <= 6:
            raise Refused(-224)
        if words[1] not in ("ATR", "ATRIGGER") or words[3:4] not in ([], ["ENT"], ["ENTER"]):
            raise Refused(-224)
        if words[4:5] and parse_bounded(words[4], SECONDS, 0.0, 1e4) != 0.0:
            raise Refused(-222)
        before_pct = parse_bounded(words[2], {}, 0.0, 100.0)
        self._buffered(words[5] if len(words) > 5 else "", lambda: None)
        self.meter.before_pct = before_pct

    def _state(self) -> str:
        series = self.meter.series
        if series is None or not self.meter.running:
            return "IDLE;IDLE;6" if series is not None else "IDLE;IDLE;1"
        return "WAITING;WAITING;3" if series.waiting else "RUNNING;RUNNING;4"

    def _operation_complete(self, _: str) -> str:
        left_s = self.meter.left_s()
        if left_s == float("inf"):
            raise Refused(-214)
        self.wire.owe(left_s)
        return "1"

    def _data(self, text: str) -> str:
        words = [word.strip().upper() for word in text.split(",")]
        if len(words) < 2 or (len(words) > 2 and words[2] != BUFFER):
            raise Refused(-224)
        elements = words[3:] or ["READ"]
        if any(element not in ("READ", "READING", "REL", "RELATIVE") for element in elements):
            raise Refused(-224)
        first, last = _whole(words[0], 1, MOST_SAMPLES), _whole(words[1], 1, MOST_SAMPLES)
        return ",".join(
            self._number(value, 8) if element.startswith("READ") else self._number(at_s, 9)
            for value, at_s in self.meter.samples(first, last)
            for element in elements
        )

    def _number(self, value: float, usual: int) -> str:
        return f"{value:.{self._digits - 1 if self._digits else usual}E}"


def _word(text: str, *known: str) -> str:
    word = text.strip().upper()
    if word not in known:
        raise Refused(-224)
    return word


def _whole(text: str, low: int, high: int) -> int:
    return round(parse_bounded(text, {}, low, high))
