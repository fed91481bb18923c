"""The SCPI of a scanning multimeter of the DAQ970A kind; sources and limits: `face_keysight_daq970a`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from instruments.virtual.behaviour_scanner import (
    CHANNELS,
    RANGES_V,
    THERMOCOUPLES,
    ChannelSetting,
    Scanner,
    ScanReading,
)
from instruments.virtual.instrument_errors import ErrorQueue, Refused
from instruments.virtual.scpi_arguments import parse_bounded, split_channels
from instruments.virtual.scpi_face import CommandTable, Handler, ScpiSession, parse_switch

MAKER, FIRMWARE = "Keysight Technologies", "A.03.02-01.00-03.01-00.02-01"
MODULE = "DAQM901A"
NPLC = (0.02, 0.2, 1.0, 2.0, 10.0, 20.0, 100.0, 200.0)
VOLTS = {"V": 1.0, "MV": 1e-3, "UV": 1e-6}
SECONDS = {"S": 1.0, "MS": 1e-3, "US": 1e-6}


class ScannerSession(ScpiSession):
    """One connection, with its own error queue; everything else is the instrument's."""

    def __init__(self, scanner: Scanner, model: str) -> None:
        self.scanner = scanner
        self._model = model
        super().__init__(CommandTable(self._commands()), ErrorQueue(20, '+0,"No error"'))

    def _commands(self) -> dict[str, Handler]:
        scanner = self.scanner
        volts, temperature, reading = "[SENSe:]VOLTage[:DC]", "[SENSe:]TEMPerature", "FORMat:READing"
        shown = {"UNIT": "UNIT", "TIME": "TIME", "CHANnel": "CHAN", "ALARm": "ALAR"}
        return {
            "*IDN?": lambda _: f"{MAKER},{self._model},{scanner.serial},{FIRMWARE}",
            "*RST": lambda _: scanner.defaults(),
            "*CLS": lambda _: self.errors.clear(),
            "*ESR?": lambda _: str(self.errors.take_event_status()),
            "*STB?": lambda _: str(4 * bool(self.errors)),
            "*OPC?": self._operation_complete,
            "*TRG": lambda _: scanner.trigger(),
            "SYSTem:ERRor[:NEXT]?": lambda _: self.errors.take(),
            "SYSTem:CTYPe?": self._card,
            "CONFigure[:VOLTage][:DC]": self._configure_volts,
            "CONFigure:TEMPerature": self._configure_temperature,
            "MEASure[:VOLTage][:DC]?": lambda text: self._measured(self._configure_volts, text),
            "MEASure:TEMPerature?": lambda text: self._measured(self._configure_temperature, text),
            f"{volts}:NPLCycles": self._nplc,
            f"{volts}:NPLCycles?": lambda text: self._each(text, lambda s: f"{s.nplc:+.8E}"),
            f"{volts}:RANGe[:UPPer]": self._range,
            f"{volts}:RANGe[:UPPer]?": lambda text: self._each(text, lambda s: f"{s.range_v or 10.0:+.8E}"),
            f"{volts}:RANGe:AUTO?": lambda text: self._each(text, lambda s: str(int(s.range_v is None))),
            f"{temperature}:NPLCycles": self._nplc,
            f"{temperature}:NPLCycles?": lambda text: self._each(text, lambda s: f"{s.nplc:+.8E}"),
            f"{temperature}:TRANsducer:TCouple:TYPE?": lambda text: self._each(text, lambda s: s.thermocouple or "J"),
            "[SENSe:]FUNCtion[:ON]?": lambda text: self._each(text, lambda s: '"TEMP"' if s.thermocouple else '"VOLT"'),
            "UNIT:TEMPerature": self._unit,
            "UNIT:TEMPerature?": lambda text: self._each(text, lambda s: s.unit),
            "ROUTe:SCAN": self._scan_list,
            "ROUTe:SCAN?": lambda _: _block(f"(@{','.join(map(str, scanner.scan_list))})"),
            "ROUTe:SCAN:SIZE?": lambda _: f"{len(scanner.scan_list):+d}",
            "TRIGger:SOURce": self._trigger_source,
            "TRIGger:SOURce?": lambda _: scanner.trigger_source,
            "TRIGger:TIMer": lambda text: setattr(scanner, "trigger_period_s", parse_bounded(text, SECONDS, 0, 359999)),
            "TRIGger:TIMer?": lambda _: f"{scanner.trigger_period_s:+.8E}",
            "TRIGger:COUNt": self._trigger_count,
            "TRIGger:COUNt?": lambda _: f"{scanner.trigger_count or 9.9e37:+.8E}",
            "INITiate[:IMMediate]": lambda _: scanner.start(),
            "ABORt": lambda _: scanner.stop(),
            "READ?": self._read,
            "FETCh?": self._fetch,
            "R?": self._remove,
            "DATA:POINts?": lambda _: f"{len(scanner.readings):+d}",
            f"{reading}:TIME:TYPE": self._time_type,
            f"{reading}:TIME:TYPE?": lambda _: "REL",
            **{f"{reading}:{word}": partial(self._show, key) for word, key in shown.items()},
            **{f"{reading}:{word}?": partial(self._is_shown, key) for word, key in shown.items()},
        }

    # -- arguments ---------------------------------------------------------------------------------------------

    def _meant(self, channels: list[int] | None) -> Iterable[int]:
        """Return the channels of a command: without a list those that are scanned."""
        meant = self.scanner.scan_list if channels is None else channels
        if not meant:
            raise Refused(-221)
        return meant

    def _each(self, text: str, tell: Callable[[ChannelSetting], str]) -> str:
        words, channels = split_channels(text, CHANNELS)
        if words:
            raise Refused(-108)
        return ",".join(tell(self.scanner.settings[channel]) for channel in self._meant(channels))

    def _one_word(self, text: str) -> tuple[str, list[int] | None]:
        words, channels = split_channels(text, CHANNELS)
        if len(words) != 1:
            raise Refused(-108 if words else -109)
        return words[0], channels

    def _volts_range(self, word: str) -> float | None:
        if word in ("AUTO", "DEF", "DEFAULT"):
            return None
        asked_v = parse_bounded(word, VOLTS, RANGES_V[0], RANGES_V[-1])
        return next(range_v for range_v in RANGES_V if asked_v <= range_v)

    # -- commands ----------------------------------------------------------------------------------------------

    def _card(self, text: str) -> str:
        slot = round(parse_bounded(text, {}, 100, 300))
        if slot not in (100, 200, 300):
            raise Refused(-222)
        return f"{MAKER},{MODULE},{self.scanner.serial}-1,1.0" if slot == 100 else f"{MAKER},0,0,0"

    def _configured(self, channels: list[int] | None, setting: Callable[[], ChannelSetting]) -> None:
        if not channels:
            raise Refused(-109)
        self.scanner.stop()
        for channel in channels:
            self.scanner.settings[channel] = setting()
        self.scanner.scan_list = channels
        self.scanner.trigger_source, self.scanner.trigger_count = "IMM", 1
        self.scanner.shown = dict.fromkeys(self.scanner.shown, False)

    def _configure_volts(self, text: str) -> None:
        words, channels = split_channels(text, CHANNELS)
        if len(words) > 2:
            raise Refused(-108)
        range_v = self._volts_range(words[0]) if words else None
        self._configured(channels, lambda: ChannelSetting(range_v=range_v))

    def _configure_temperature(self, text: str) -> None:
        words, channels = split_channels(text, CHANNELS)
        if len(words) > 4:
            raise Refused(-108)
        if not words or words[0] not in ("TC", "TCOUPLE", "TCOUPL"):
            raise Refused(-224)  # other transducers are not simulated
        kind = words[1] if len(words) > 1 else "J"
        if kind not in THERMOCOUPLES:
            raise Refused(-224)
        self._configured(channels, lambda: ChannelSetting(thermocouple=kind))

    def _measured(self, configure: Handler, text: str) -> str:
        configure(text)
        return self._read("")

    def _nplc(self, text: str) -> None:
        word, channels = self._one_word(text)
        asked = parse_bounded(word, {}, NPLC[0], NPLC[-1])
        for channel in self._meant(channels):
            self.scanner.settings[channel].nplc = next(n for n in NPLC if asked <= n)

    def _range(self, text: str) -> None:
        word, channels = self._one_word(text)
        range_v = self._volts_range(word)
        for channel in self._meant(channels):
            if self.scanner.settings[channel].thermocouple:
                raise Refused(-221)
            self.scanner.settings[channel].range_v = range_v

    def _unit(self, text: str) -> None:
        word, channels = self._one_word(text)
        if word not in ("C", "F", "K"):
            raise Refused(-224)
        for channel in CHANNELS if channels is None else channels:
            self.scanner.settings[channel].unit = word

    def _scan_list(self, text: str) -> None:
        words, channels = split_channels(text, CHANNELS)
        if words or channels is None:
            raise Refused(-108 if words else -109)
        self.scanner.stop()
        self.scanner.scan_list = channels

    def _trigger_source(self, text: str) -> None:
        word = text.strip().upper()[:3]
        if word not in ("IMM", "BUS", "TIM"):
            raise Refused(-224)
        self.scanner.trigger_source = word

    def _trigger_count(self, text: str) -> None:
        endless = text.strip().upper() in ("INF", "INFINITY")
        self.scanner.trigger_count = None if endless else round(parse_bounded(text, {}, 1, 50_000))

    def _time_type(self, text: str) -> None:
        if text.strip().upper() not in ("REL", "RELATIVE"):
            raise Refused(-224)

    def _show(self, key: str, text: str) -> None:
        self.scanner.shown[key] = parse_switch(text)

    def _is_shown(self, key: str, _: str) -> str:
        return str(int(self.scanner.shown[key]))

    # -- readings ----------------------------------------------------------------------------------------------

    def _operation_complete(self, _: str) -> str:
        if not self.scanner.waiting:
            self.wire.owe(self.scanner.complete())
        return "1"

    def _read(self, text: str) -> str:
        if text.strip():
            raise Refused(-108)
        if self.scanner.trigger_source == "BUS":
            raise Refused(-214)
        self.scanner.stop()
        self.scanner.start()
        return self._fetch("")

    def _fetch(self, _: str) -> str:
        self.wire.owe(self.scanner.complete())
        if not self.scanner.readings:
            raise Refused(-230)
        return self._told(self.scanner.readings)

    def _remove(self, text: str) -> str:
        readings = self.scanner.readings
        count = round(parse_bounded(text, {}, 1, 100_000)) if text.strip() else len(readings)
        self.scanner.readings = readings[count:]
        return _block(self._told(readings[:count]))

    def _told(self, readings: Iterable[ScanReading]) -> str:
        return ",".join(map(self._one, readings))

    def _one(self, reading: ScanReading) -> str:
        text = f"{reading.value:+.8E}"
        if self.scanner.shown["UNIT"]:
            text += f" {reading.unit}"
        if self.scanner.shown["TIME"]:
            text += f",{reading.at_s:013.3f}"
        if self.scanner.shown["CHAN"]:
            text += f",{reading.channel}"
        return f"{text},0" if self.scanner.shown["ALAR"] else text


def _block(body: str) -> str:
    return f"#{len(str(len(body)))}{len(body)}{body}"
