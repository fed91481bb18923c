"""The Keysight 34465A multimeter in SCPI: DC volts.

Source: command list of the 344xxA family (CONFigure, SENSe, TRIGger, SAMPle, READ?, FETCh?, R?), error queue of 20
entries for each connection; a query that is not understood stays silent and queues -113.

Not simulated: every other function (AC, current, resistance, temperature), mathematics, the memory card, the
display, external and level triggers, and the front end as `behaviour_meter` tells. A burst that is fetched before
its time is filled with the voltage of that moment and the time is owed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bench.errors import DefinitionError
from bench.simulated_clock import SimulatedClock
from instruments.virtual.behaviour_meter import ACCURACY, Meter
from instruments.virtual.circuit import Circuit
from instruments.virtual.face import Face
from instruments.virtual.instrument_errors import ErrorQueue, Refused
from instruments.virtual.scpi_arguments import parse_bounded
from instruments.virtual.scpi_face import CommandTable, Handler, ScpiSession, parse_switch
from instruments.virtual.wire import Session

MAKER, MODEL, FIRMWARE = "Keysight Technologies", "34465A", "A.02.17-02.40-02.17-00.52-04-01"
NPLC = (0.001, 0.002, 0.006, 0.02, 0.06, 0.2, 1.0, 10.0, 100.0)
VOLTS = {"V": 1.0, "MV": 1e-3, "UV": 1e-6}
SECONDS = {"S": 1.0, "MS": 1e-3, "US": 1e-6}


class MeterSession(ScpiSession):
    """One connection, with its own error queue."""

    def __init__(self, meter: Meter, model: str) -> None:
        self.meter = meter
        self._model = model
        super().__init__(CommandTable(self._commands()), ErrorQueue(20, '+0,"No error"'))

    def _commands(self) -> dict[str, Handler]:
        meter = self.meter
        sense = "[SENSe:]VOLTage[:DC]"
        return {
            "*IDN?": lambda _: f"{MAKER},{self._model},{meter.serial},{FIRMWARE}",
            "*RST": lambda _: self._reset(),
            "*CLS": lambda _: self.errors.clear(),
            "*ESR?": lambda _: str(self.errors.take_event_status()),
            "*STB?": lambda _: str(4 * bool(self.errors)),
            "*OPC?": self._operation_complete,
            "*TRG": lambda _: meter.trigger(),
            "SYSTem:ERRor[:NEXT]?": lambda _: self.errors.take(),
            "CONFigure[:VOLTage][:DC]": self._configure,
            "CONFigure?": lambda _: f'"VOLT {meter.range_v or self._auto_range():+.8E},{self._resolution():+.8E}"',
            "MEASure[:VOLTage][:DC]?": self._measure,
            f"{sense}:NPLCycles": self._nplc,
            f"{sense}:NPLCycles?": lambda _: f"{meter.nplc:+.8E}",
            f"{sense}:RANGe[:UPPer]": self._range,
            f"{sense}:RANGe[:UPPer]?": lambda _: f"{meter.range_v or self._auto_range():+.8E}",
            f"{sense}:RANGe:AUTO": self._range_auto,
            f"{sense}:RANGe:AUTO?": lambda _: str(int(meter.range_v is None)),
            f"{sense}:ZERO:AUTO": self._auto_zero,
            f"{sense}:ZERO:AUTO?": lambda _: str(int(meter.auto_zero)),
            f"{sense}:APERture": self._aperture,
            f"{sense}:APERture?": lambda _: f"{meter.aperture_s or meter.nplc / 50.0:+.8E}",
            f"{sense}:APERture:ENABled": self._aperture_enabled,
            f"{sense}:APERture:ENABled?": lambda _: str(int(meter.aperture_s is not None)),
            f"{sense}:IMPedance:AUTO": lambda text: setattr(meter, "input_auto", parse_switch(text)),
            f"{sense}:IMPedance:AUTO?": lambda _: str(int(meter.input_auto)),
            "[SENSe:]FUNCtion[:ON]?": lambda _: '"VOLT"',
            "TRIGger:SOURce": self._trigger_source,
            "TRIGger:SOURce?": lambda _: meter.trigger_source,
            "TRIGger:COUNt": lambda text: setattr(meter, "trigger_count", self._whole(text, 1_000_000_000)),
            "TRIGger:COUNt?": lambda _: f"{meter.trigger_count:+.8E}",
            "TRIGger:DELay": lambda text: setattr(meter, "trigger_delay_s", self._seconds(text, 3600.0)),
            "TRIGger:DELay?": lambda _: f"{meter.trigger_delay_s:+.8E}",
            "SAMPle:COUNt": lambda text: setattr(meter, "sample_count", self._whole(text, 1_000_000_000)),
            "SAMPle:COUNt?": lambda _: f"{meter.sample_count:+.8E}",
            "SAMPle:SOURce": self._sample_source,
            "SAMPle:SOURce?": lambda _: "IMM" if meter.sample_timer_s is None else "TIM",
            "SAMPle:TIMer": lambda text: setattr(meter, "sample_timer_s", self._seconds(text, 3600.0)),
            "SAMPle:TIMer?": lambda _: f"{meter.sample_timer_s or meter.integration_s:+.8E}",
            "INITiate[:IMMediate]": lambda _: meter.initiate(),
            "ABORt": lambda _: meter.abort(),
            "READ?": self._read,
            "FETCh?": self._fetch,
            "R?": self._remove,
            "DATA:POINts?": lambda _: f"{len(meter.readings):+d}",
        }

    def _reset(self) -> None:
        self.meter.abort()
        self.meter.defaults()

    def _auto_range(self) -> float:
        return 10.0

    def _resolution(self) -> float:
        return 3e-7 * (self.meter.range_v or self._auto_range())

    def _whole(self, text: str, high: int) -> int:
        return round(parse_bounded(text, {}, 1, high))

    def _seconds(self, text: str, high_s: float) -> float:
        return parse_bounded(text, SECONDS, 0.0, high_s)

    def _set_range(self, word: str) -> None:
        if word in ("", "AUTO", "DEF", "DEFAULT"):
            self.meter.range_v = None
            return
        asked_v = parse_bounded(word, VOLTS, 0.1, 1000.0)
        self.meter.range_v = next(r for r in ACCURACY if asked_v <= r)

    def _configure(self, text: str) -> None:
        words = [word.strip().upper() for word in text.split(",")]
        if len(words) > 2:
            raise Refused(-108)
        self._reset()
        self._set_range(words[0])

    def _measure(self, text: str) -> str:
        self._configure(text)
        return self._read("")

    def _range(self, text: str) -> None:
        if not text.strip():
            raise Refused(-109)
        self._set_range(text.strip().upper())

    def _range_auto(self, text: str) -> None:
        self.meter.range_v = None if parse_switch(text) else self.meter.range_v or self._auto_range()

    def _nplc(self, text: str) -> None:
        asked = parse_bounded(text, {}, NPLC[0], NPLC[-1])
        self.meter.nplc = next(n for n in NPLC if asked <= n)
        self.meter.aperture_s = None

    def _auto_zero(self, text: str) -> None:
        once = text.strip().upper() == "ONCE"
        self.meter.auto_zero = False if once else parse_switch(text)
        if once:
            self.wire.owe(self.meter.integration_s)

    def _aperture(self, text: str) -> None:
        self.meter.aperture_s = parse_bounded(text, SECONDS, 20e-6, 1.0)

    def _aperture_enabled(self, text: str) -> None:
        on = parse_switch(text)
        self.meter.aperture_s = (self.meter.aperture_s or self.meter.nplc / 50.0) if on else None

    def _trigger_source(self, text: str) -> None:
        word = text.strip().upper()[:3]
        if word not in ("IMM", "BUS", "EXT", "INT"):
            raise Refused(-224)
        self.meter.trigger_source = word

    def _sample_source(self, text: str) -> None:
        word = text.strip().upper()[:3]
        if word not in ("IMM", "TIM"):
            raise Refused(-224)
        self.meter.sample_timer_s = (self.meter.sample_timer_s or 0.0) if word == "TIM" else None

    def _operation_complete(self, _: str) -> str:
        if not self.meter.waiting:
            self.wire.owe(self.meter.complete())
        return "1"

    def _read(self, _: str) -> str:
        if self.meter.trigger_source == "BUS":
            raise Refused(-214)
        self.meter.abort()
        self.meter.initiate()
        # the first sample is taken now and its integration follows; the others are owed by `complete`
        return self._fetch("", first_s=self.meter.integration_s)

    def _fetch(self, _: str, first_s: float = 0.0) -> str:
        owed_s = self.meter.complete()
        if not self.meter.readings:
            raise Refused(-230)
        self.wire.owe(first_s + owed_s)
        return ",".join(f"{value:+.8E}" for value in self.meter.readings)

    def _remove(self, text: str) -> str:
        readings = self.meter.readings
        count = self._whole(text, 1_000_000_000) if text.strip() else len(readings)
        taken, self.meter.readings = readings[:count], readings[count:]
        body = ",".join(f"{value:+.8E}" for value in taken)
        return f"#{len(str(len(body)))}{len(body)}{body}"


def make(
    name: str, options: Mapping[str, object], circuit: Circuit, clock: SimulatedClock, seed: int, serial: str
) -> Face:
    """Make a meter; the option `input` is `reference_shunt`, `pack_side` or `bench_side`."""
    probes: dict[object, Callable[[], float]] = {
        "reference_shunt": circuit.reference_shunt_v,
        "pack_side": circuit.pack_side_v,
        "bench_side": circuit.bench_side_v,
    }
    wired = options.get("input")
    if wired not in probes:
        raise DefinitionError(
            f"virtual meter {name!r}: option input = {wired!r} is not a place on the circuit; "
            f"write one of {', '.join(map(str, probes))}"
        )
    model = str(options.get("model", MODEL))
    meter = Meter(name, serial, probes[wired], clock, seed)

    def session() -> Session:
        return MeterSession(meter, model)

    return Face(meter, MAKER, model, {"scpi": session})
