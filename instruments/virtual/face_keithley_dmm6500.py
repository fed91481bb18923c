"""The Keithley DMM6500 multimeter in SCPI: DC volts, and digitised volts.

Source: the family's commands as the instrument reference has them (`SENS:FUNC`, `DIG:FUNC`, `DIG:VOLT:SRATE`,
`DIG:COUN`, `TRAC:POIN`, `TRAC:FILL:MODE`, `TRAC:TRIG:DIG`, `TRAC:ACT?`, `TRAC:DATA? 1,n,"defbuffer1",READ,REL`); a
query that is not understood stays silent and queues -113. From published programs for the family, not from the
reference: `SENS:COUN`, `FORM:DATA`, `FORM:ASC:PREC`, the analog edge (`DIG:VOLT:ATR:MODE EDGE`, `:EDGE:LEV`,
`:EDGE:SLOP`) and the trigger model `TRIG:LOAD "LoopUntilEvent", ATRigger, <percent kept from before>, ENTer, 0,
"defbuffer1"` with `INIT`, `TRIG:STAT?` and `ABOR`.

Assumed: the block number in the answer to `TRIG:STAT?`; a full buffer in mode CONTinuous is read oldest first, from 1;
`READ?` while digitising is a settings conflict, and with a count it answers one reading after the time of all.

Not simulated: every other function, binary data (refused), `defbuffer2` and buffers of one's own, TSP, scanner cards,
other trigger models and events, statistics, absolute time stamps, and the front end as `behaviour_meter` and
`behaviour_digitiser` tell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bench.errors import DefinitionError
from bench.simulated_clock import SimulatedClock
from instruments.virtual.behaviour_digitiser import DigitisingMeter
from instruments.virtual.circuit import Circuit
from instruments.virtual.dmm6500_scpi import MAKER, DmmSession
from instruments.virtual.face import Face
from instruments.virtual.wire import Session

MODEL = "DMM6500"


def make(
    name: str, options: Mapping[str, object], circuit: Circuit, clock: SimulatedClock, seed: int, serial: str
) -> Face:
    """Make a meter; the option `input` is `reference_shunt` (where it can digitise), `pack_side` or `bench_side`."""
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
    shunt = circuit if wired == "reference_shunt" else None
    meter = DigitisingMeter(name, serial, probes[wired], shunt, clock, seed)
    model = str(options.get("model", MODEL))

    def session() -> Session:
        return DmmSession(meter, model)

    return Face(meter, MAKER, model, {"scpi": session})
