"""Put together what a recording says about each current."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from bench.explain import HOW
from bench.profile import Profile
from bench.quantities import Direction
from bench.replay_judgement import Unchanged, Updates, longest_unchanged, updates
from bench.replay_witness import Witness, counter_witness, flag_witness, sign_witness, voltage_witness
from bench.signals import SignalBase
from bench.traces import Trace
from bmsbench.replay_decoding import Decoding, MessageCount


@dataclass(slots=True)
class CurrentReport:
    """What is known about one current signal."""

    name: str
    positive_means: str
    provenance: str
    how: str
    unit: str
    declared_period_s: float
    seen: bool
    why_not: str = ""
    low_a: float | None = None
    high_a: float | None = None
    distinct_values: int = 0
    undecodable: int = 0
    updates: Updates | None = None
    unchanged: Unchanged | None = None
    witnesses: list[Witness] = field(default_factory=list)

    @property
    def contradicted(self) -> bool:
        """True when a witness says the opposite direction."""
        return any(witness.word == "contradicts" for witness in self.witnesses)


@dataclass(slots=True)
class ReplayReport:
    """The whole answer."""

    recording: str
    profile: str
    decoding: Decoding
    misfits: list[MessageCount]
    currents: list[CurrentReport]

    @property
    def exit_status(self) -> int:
        """0 nothing contradicts, 1 something does, 11 no current could be looked at."""
        if any(current.contradicted for current in self.currents):
            return 1
        return 0 if any(current.seen for current in self.currents) else 11

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data; currents in A and pack sign."""
        decoding = self.decoding
        return {
            "recording": self.recording,
            "form": decoding.form,
            "profile": self.profile,
            "frames": decoding.frames,
            "length_s": decoding.length_s if decoding.has_times else None,
            "currents": [asdict(current) for current in self.currents],
            "does_not_fit": [
                {
                    "message": count.ident,
                    "frames": count.frames,
                    "bad": count.bad,
                    "signals": list(count.signals),
                    "first_problem": count.first_problem,
                }
                for count in self.misfits
            ],
            "undecodable": dict(decoding.undecodable),
            "not_in_database": dict(sorted(decoding.unknown.items())),
            "not_read": dict(sorted(decoding.unused.items())),
            "error_frames": decoding.error_frames,
            "remarks": decoding.remarks,
            "damage": decoding.damage or None,
            "exit_status": self.exit_status,
        }


def make_report(profile: Profile, recording: str, decoding: Decoding) -> ReplayReport:
    """Judge every current of the profile that has, or could have, a direction."""
    misfits = decoding.drop_misfits()
    currents = []
    for name, signal in profile.signals.items():
        if signal.quantity == "current" and signal.positive_direction is not None:
            currents.append(_current(profile, name, signal, decoding, misfits))
    return ReplayReport(recording, profile.name, decoding, misfits, currents)


def _current(
    profile: Profile, name: str, signal: SignalBase, decoding: Decoding, misfits: list[MessageCount]
) -> CurrentReport:
    seen = signal.observed
    report = CurrentReport(
        name=name,
        positive_means=str(signal.positive_means),
        provenance=str(signal.provenance),
        how=HOW.get(str(signal.provenance), f"observed {seen.date if seen else ''}".strip()),
        unit=signal.unit,
        declared_period_s=signal.period_s,
        seen=name in decoding.traces,
        undecodable=decoding.undecodable[name],
    )
    if not report.seen:
        report.why_not = _why_not(name, decoding, misfits)
        return report
    trace = decoding.traces[name]
    rest_a = max(profile.behaviour.rest_current_a, abs(signal.about.to_si(signal.dead_band)))
    report.low_a, report.high_a = min(trace.values), max(trace.values)
    report.distinct_values = len(set(trace.values))
    others = {
        other: decoding.traces[other]
        for other, about in profile.signals.items()
        if other != name and other in decoding.traces and about.quantity in ("voltage", "current", "power")
    }
    report.unchanged = longest_unchanged(trace, others, rest_a, decoding.breaks)
    report.witnesses = list(_witnesses(profile, name, trace, decoding, rest_a))
    if decoding.has_times:
        report.updates = updates(trace.at_s, signal.max_age_s, decoding.breaks)
    return report


def _witnesses(profile: Profile, name: str, trace: Trace, decoding: Decoding, rest_a: float) -> list[Witness]:
    found = []
    breaks = decoding.breaks
    for other, signal in profile.signals.items():
        seen = decoding.traces.get(other)
        if seen is None or other == name:
            continue
        directed = signal.positive_direction is not None
        if decoding.has_times and other in ("pack_voltage", "bus_voltage"):
            found.append(voltage_witness(trace, seen, breaks))
        elif decoding.has_times and ((signal.quantity == "charge" and directed) or other == "soc"):
            step = signal.accuracy.resolution * signal.about.factor if signal.accuracy else 0.0
            found.append(counter_witness(trace, seen, step, breaks))
        elif signal.quantity in ("power", "current") and directed:
            found.append(sign_witness(trace, seen, rest_a, breaks))
        elif decoding.has_times and (direction := _flag_direction(profile, other)) is not None:
            found.append(flag_witness(trace, seen, direction, rest_a, breaks))
    return found


def _flag_direction(profile: Profile, name: str) -> Direction | None:
    if name in ("charging", "discharging"):
        return Direction.CHARGE if name == "charging" else Direction.DISCHARGE
    for row in profile.protections:
        if row.flag == name and row.about.quantity == "current":
            return row.about.direction
    return None


def _why_not(name: str, decoding: Decoding, misfits: list[MessageCount]) -> str:
    count = next((count for count in decoding.messages.values() if name in count.signals), None)
    if count is None or not count.frames:
        return f"{count.ident} is not in the recording" if count else "its registers are not in the recording"
    if count in misfits:
        return f"{count.ident} does not fit the database, see below"
    if decoding.undecodable[name]:
        return f"none of its {decoding.undecodable[name]} values could be decoded: {count.first_problem}"
    return f"{count.ident} comes, but never with its multiplexer value"
