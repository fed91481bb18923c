"""What happens in one trial of the torture run: everything follows from its seed.

A trial is a run that forces currents, and one or two blows at a random moment of its life. `Plan.uncovered` says in
plain words which blows leave nobody who could end the current; those are counted in a row of their own.
"""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, field
from typing import Any

OFF_A = 0.2  # 0.1 % of the reference's range of 200 A
LIMIT_S = 15.0  # from the last blow on; what flows later than that stayed on
CLOSING_S = {"seplos_v3": 1.6, "foxbms_2": 0.3}  # until the BMS has closed by itself after a reset
OPENING_S = {"seplos_v3": 1.0, "foxbms_2": 2.5}
TWO_INSTRUMENTS, ONE_INSTRUMENT = ("virtual", "seplos_v3"), ("virtual_bidirectional", "seplos_v3")
BENCHES = (TWO_INSTRUMENTS, ONE_INSTRUMENT) * 4 + (TWO_INSTRUMENTS, ("virtual", "foxbms_2"))
BLOCK = 20  # so many seeds in a row have the same bench, so that a lab serves them all

POWER = {"virtual": ("charger", "sink"), "virtual_bidirectional": ("source_sink",)}
METERS = ("shunt_meter", "pack_meter")
RELAYS = "relays"

# kind -> weight, who can have it. `power` `meter` `relays` are instruments; `run` `guardian` `both` processes.
KINDS: dict[str, tuple[int, tuple[str, ...]]] = {
    "Ctrl-C": (4, ("run",)),
    "SIGTERM": (4, ("run",)),
    "SIGHUP": (2, ("run",)),
    "kill -9 of the run": (10, ("run",)),
    "the run is stopped": (6, ("run",)),
    "the run is stopped for a while": (4, ("run",)),
    "kill -9 of the guardian": (5, ("guardian",)),
    "the guardian is stopped": (3, ("guardian",)),
    "kill -9 of both": (5, ("both",)),
    "both sleep and wake": (3, ("both",)),
    "hangs": (8, ("power", "power", "meter", "relays")),
    "hangs for a while": (4, ("power", "power", "meter", "relays")),
    "cuts every connection": (5, ("power", "meter", "relays")),
    "cuts its connections for a while": (3, ("power", "meter", "relays")),
    "loses its mains": (4, ("power", "meter", "relays")),
    "is power-cycled": (4, ("power", "meter", "relays")),
    "does not switch off": (4, ("power", "relays")),
    "answers late": (4, ("power", "meter", "relays")),
    "loses messages": (3, ("power", "meter", "relays")),
    "answers with garbage": (5, ("power", "meter", "relays")),
    "answers by halves": (2, ("power", "meter", "relays")),
    "says a line too many": (2, ("scpi",)),
    "forgets the end of line": (2, ("scpi",)),
    "sends wrong checksums": (2, ("relays",)),
    "refuses commands": (2, ("modbus",)),
    "is taken over at its panel": (3, ("power",)),
    "has a half-open link": (3, ("power", "meter", "relays")),
    "has its link cut": (3, ("power", "meter", "relays")),
    "the BMS link is cut": (3, ("bms",)),
    "the BMS link is half open": (2, ("bms",)),
    "garbage on the BMS link": (3, ("bms",)),
    "the BMS loses its supply": (2, ("bms",)),
    "the disconnect is welded": (2, ("relays",)),
}
TWO = 0.22  # share of the trials with two blows
# Names of faults of the virtual instruments (`instruments.virtual.faults`).
FAULTS = {
    "hangs": "silent",
    "hangs for a while": "silent",
    "cuts every connection": "connection_reset",
    "cuts its connections for a while": "connection_reset",
    "loses its mains": "mains_loss",
    "is power-cycled": "power_cycle",
    "does not switch off": "stuck_output",
    "answers late": "late_reply",
    "loses messages": "dropped_command",
    "answers by halves": "partial",
    "says a line too many": "extra_line",
    "forgets the end of line": "no_terminator",
    "sends wrong checksums": "crc_error",
    "refuses commands": "exception_7",
    "is taken over at its panel": "remote_lost",
}
PROXIED = {
    "answers with garbage": "garbage",
    "has a half-open link": "swallow",
    "has its link cut": "cut",
    "the BMS link is cut": "cut",
    "the BMS link is half open": "swallow",
    "garbage on the BMS link": "garbage",
}
# With these nobody reaches the instrument, or it does not obey: its output cannot be switched off by command.
UNREACHABLE = (
    "hangs",
    "hangs for a while",
    "cuts every connection",
    "cuts its connections for a while",
    "does not switch off",
    "answers late",
    "answers with garbage",
    "answers by halves",
    "says a line too many",
    "forgets the end of line",
    "sends wrong checksums",
    "refuses commands",
    "is taken over at its panel",
    "has a half-open link",
    "has its link cut",
    "the disconnect is welded",
)


@dataclass(frozen=True)
class Blow:
    """One thing that happens. `gap_s` is the time since the blow before; `lasts_s` None means for good."""

    kind: str
    target: str
    gap_s: float = 0.0
    lasts_s: float | None = None
    options: dict[str, float] = field(default_factory=dict)

    @property
    def at_processes(self) -> bool:
        """True for blows at the run and its guardian, not at the bench."""
        return self.target in ("run", "guardian", "both")


@dataclass(frozen=True)
class Plan:
    """One trial."""

    seed: int
    bench: str
    bms: str
    scripts: tuple[tuple[tuple[Any, ...], ...], ...]  # one per test of the run
    phase: str  # the blow comes `delay_s` after the run came here: starting, opening, open, leaving
    delay_s: float
    blows: tuple[Blow, ...]

    @property
    def row(self) -> str:
        """The row of the table."""
        if len(self.blows) == 2:
            return "two of these"
        blow = self.blows[0]
        if blow.at_processes or blow.target == "bms" or blow.kind == "the disconnect is welded":
            return blow.kind
        part = {RELAYS: "relay board", "shunt_meter": "reference meter", "pack_meter": "pack meter"}
        return f"{part.get(blow.target, 'power instrument')}: {blow.kind}"

    @property
    def welded(self) -> bool:
        """The disconnect's contact stays closed although its coil is released, which no bench can know by itself."""
        kinds = {blow.kind for blow in self.blows if blow.target == RELAYS}
        return bool(kinds & {"the disconnect is welded", "does not switch off"})

    @property
    def uncovered(self) -> str:
        """Why nobody may be able to end the current, or nothing."""
        hurt = {blow.target: blow.kind for blow in self.blows if blow.kind in UNREACHABLE}
        gone: set[str] = set()
        for blow in self.blows:
            if blow.kind in ("kill -9 of the run", "the run is stopped", "kill -9 of both"):
                gone.add("run")
            if blow.kind in ("kill -9 of the guardian", "the guardian is stopped", "kill -9 of both"):
                gone.add("guardian")
        power = [name for name in POWER[self.bench] if name in hurt]
        relays = RELAYS in hurt
        if gone == {"run", "guardian"}:
            if self.bench == "virtual_bidirectional":  # its disconnect opens by itself
                return "run and guardian are gone, and the disconnect conducts" if self.welded else ""
            if any(hurt[name] == "does not switch off" for name in power):
                return "run and guardian are gone, and the instrument ignores its own watchdog"
        elif power and relays:
            return "the instrument cannot be switched off and the disconnect cannot be opened"
        return ""

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data, for the record."""
        return asdict(self)


def plan_for(seed: int) -> Plan:
    """Return the trial of a seed."""
    bench, bms = BENCHES[seed // BLOCK % len(BENCHES)]
    rng = random.Random(f"torture {seed}")
    scripts = [_script(rng, long=True)]
    if rng.random() < 0.25:
        scripts.append(_script(rng, long=False))
    phase = rng.choices(("starting", "opening", "open", "leaving"), weights=(3, 14, 70, 13))[0]
    span_s = {"starting": 0.5, "opening": OPENING_S[bms], "open": _length_s(scripts[0]), "leaving": 0.4}[phase]
    blows = [_blow(rng, bench)]
    if rng.random() < TWO:
        second = _blow(rng, bench)
        while second.target == blows[0].target:
            second = _blow(rng, bench)
        gap_s = rng.choice((0.0, rng.uniform(0.0, 0.3), rng.uniform(0.0, 3.0)))
        blows.append(Blow(second.kind, second.target, gap_s, second.lasts_s, second.options))
    return Plan(seed, bench, bms, tuple(scripts), phase, round(rng.uniform(0.0, span_s), 3), tuple(blows))


def _script(rng: random.Random, *, long: bool) -> tuple[tuple[Any, ...], ...]:
    """Return what a test does, about 3 s long or 0.7 s; currents in amperes, charging positive."""
    steps: list[tuple[Any, ...]] = []
    sign = rng.choice((-1, 1))
    length_s = 3.0 if long else 0.7
    while sum(_step_s(step) for step in steps) < length_s:
        current_a = sign * round(rng.uniform(20.0, 100.0), 1)
        weights = (10, 3, 4, 2, 3, 1) if steps else (3, 1, 1, 1, 0, 0)
        kind = rng.choices(("force", "hold", "ramp", "provoke", "read", "zero"), weights=weights)[0]
        if kind == "ramp":
            # Steeper ones are refused: slope times the time to stop must fit between the end and the envelope.
            begin_a = round(0.8 * current_a + rng.uniform(-30.0, 30.0), 1)
            steps.append(("ramp", begin_a, round(0.8 * current_a, 1), round(rng.uniform(0.8, 1.2), 2)))
        elif kind == "provoke":
            steps.append(("provoke", sign * round(rng.uniform(60.0, 110.0), 1), round(rng.uniform(0.3, 1.0), 2)))
        elif kind in ("zero", "read"):
            steps.append((kind, round(rng.uniform(0.1, 0.4), 2)))
        else:
            steps.append((kind, current_a, round(rng.uniform(0.1, 1.2), 2)))
        if rng.random() < 0.6:
            sign = -sign
    return tuple(steps)


def _step_s(step: tuple[Any, ...]) -> float:
    return float(step[-1]) + 0.2


def _length_s(script: tuple[tuple[Any, ...], ...]) -> float:
    return sum(_step_s(step) for step in script)


def _blow(rng: random.Random, bench: str) -> Blow:
    kind = rng.choices(tuple(KINDS), weights=[weight for weight, _ in KINDS.values()])[0]
    place = rng.choice(KINDS[kind][1])
    scpi = ("charger", "sink", *METERS) if bench == "virtual" else METERS
    targets = {
        "power": POWER[bench],
        "meter": METERS,
        "relays": (RELAYS,),
        "scpi": scpi,
        "modbus": (RELAYS,) if bench == "virtual" else (RELAYS, "source_sink"),
    }.get(place, (place,))
    target = rng.choice(targets)
    lasts_s: float | None = None
    options: dict[str, float] = {}
    if kind in ("hangs for a while", "cuts its connections for a while"):
        lasts_s = round(rng.uniform(0.2, 6.0), 2)
    elif kind in ("the run is stopped for a while", "both sleep and wake"):
        lasts_s = round(rng.choice((rng.uniform(0.3, 2.5), rng.uniform(2.5, 4.0), rng.uniform(4.0, 7.0))), 2)
        options = {"guardian_later_s": round(rng.uniform(-0.5, 0.5), 2)} if target == "both" else {}
    elif kind == "Ctrl-C":
        options = {"times": rng.choice((1, 1, 2, 3)), "apart_s": round(rng.uniform(0.005, 0.4), 3)}
    elif kind == "kill -9 of both":
        options = {"guardian_first": rng.choice((0, 1)), "apart_s": rng.choice((0.0, round(rng.uniform(0, 0.2), 3)))}
    elif kind == "answers late":
        options = {"s": round(rng.choice((rng.uniform(0.05, 0.5), rng.uniform(0.5, 2.5), rng.uniform(2.5, 6.0))), 2)}
    elif kind == "loses messages":
        options = {"count": rng.choice((1, 1, 2, 3, 8))}
    elif kind == "is taken over at its panel":
        options = {"locked": rng.choice((0, 1))}
    elif kind in PROXIED and rng.random() < 0.4:
        lasts_s = round(rng.uniform(0.1, 4.0), 2)
    return Blow(kind, target, 0.0, lasts_s, options)
