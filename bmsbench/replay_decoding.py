"""Decode a recording with a profile's own link decoders, and keep count of what did not fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bench.errors import DefinitionError
from bench.profile import CanDbcLink, ModbusLink, Profile
from bench.signals import ModbusSignal
from bench.traces import Trace
from instruments.links.dbc import DbcMap
from instruments.links.registers import Group, decode, plan
from instruments.links.values import Decoded
from reports.can_log import Recording
from reports.modbus_dump import ModbusDump, is_dump

BEYOND_RANGE = 2.0  # a current of more than this times the measuring range is no current of this BMS
STEP_BACK_S = 0.5  # less is two channels written into one file not quite in order
BETWEEN_S = 1.0
MISFIT_SHARE = 0.5  # a message whose frames are nonsense this often has another layout than the database


@dataclass(slots=True)
class MessageCount:
    """What became of the frames of one message, or the answers to one request."""

    ident: str
    signals: tuple[str, ...]
    frames: int = 0
    bad: int = 0
    first_problem: str = ""

    @property
    def misfit(self) -> bool:
        """True when the frames do not fit the database."""
        return self.frames > 0 and self.bad >= MISFIT_SHARE * self.frames


@dataclass(slots=True)
class Decoding:
    """A whole recording, decoded. Traces are in inside units and pack sign, their time begins at the first frame."""

    form: str
    has_times: bool
    frames: int = 0
    length_s: float = 0.0
    breaks: list[float] = field(default_factory=list)  # when another recording begins in the same file
    traces: dict[str, Trace] = field(default_factory=dict)
    undecodable: Counter[str] = field(default_factory=Counter)
    messages: dict[str, MessageCount] = field(default_factory=dict)
    unknown: Counter[str] = field(default_factory=Counter)
    unused: Counter[str] = field(default_factory=Counter)
    error_frames: int = 0
    largest_a: dict[str, float] = field(default_factory=dict)  # current signal -> what it can plausibly read
    remarks: list[str] = field(default_factory=list)
    damage: str = ""

    def take(self, message: str, at_s: float, results: Iterable[Decoded]) -> None:
        """Add what one frame said."""
        count = self.messages[message]
        count.frames += 1
        values: dict[str, float] = {}
        problem = ""
        for result in results:
            if result.value is None:
                self.undecodable[result.signal] += 1
                problem = problem or str(result.problem)
            else:
                values[result.signal] = result.value
        if nonsense := _upside_down(values) or self._beyond(values):
            problem = problem or nonsense
            self.undecodable.update(values.keys())  # nothing of such a frame is used
            values = {}
        if problem:
            count.bad += 1
            count.first_problem = count.first_problem or problem
        for name, value in values.items():
            self.traces.setdefault(name, Trace(name)).append(at_s, value)

    def _beyond(self, values: dict[str, float]) -> str:
        for name, largest_a in self.largest_a.items():
            value = values.get(name, 0.0)
            if abs(value) > largest_a:
                return f"{name} {value:+g} A is beyond {BEYOND_RANGE:g} times the measuring range"
        return ""

    def drop_misfits(self) -> list[MessageCount]:
        """Take the signals of messages that do not fit out of the traces, and return those messages."""
        misfits = [count for count in self.messages.values() if count.misfit]
        for count in misfits:
            for name in count.signals:
                self.traces.pop(name, None)
        return misfits


def decode_recording(profile: Profile, path: Path) -> Decoding:
    """Decode a CAN recording, or a dump of a Modbus conversation, with the profile's link of that kind.

    Raises:
        DefinitionError: no such file, no known form, no frames, or the profile has no such link.
    """
    if is_dump(path):
        return _decode_dump(profile, path)
    return _decode_can(profile, path)


def _decode_can(profile: Profile, path: Path) -> Decoding:
    link = next((name for name, link in profile.links.items() if isinstance(link, CanDbcLink)), None)
    if link is None:
        raise DefinitionError(f"{path}: a CAN recording, but {profile.name} has no CAN link (links of its profile)")
    table = DbcMap(profile, link)
    recording = Recording(path)
    result = Decoding(recording.told.form, True, largest_a=_largest(profile), remarks=list(table.warnings))
    for (can_id, extended), decoder in table.decoders.items():
        ident = f"{_ident(can_id, extended)} {decoder.name}"
        result.messages[decoder.name] = MessageCount(ident, tuple(decoder.signals))
    names = {(m.frame_id, m.is_extended_frame): m.name for m in table.database.messages}
    shift_s: float | None = None
    for frame in recording:
        shift_s = -frame.at_s if shift_s is None else shift_s
        at_s = frame.at_s + shift_s
        if at_s < result.length_s - STEP_BACK_S:
            # Another recording in the same file, a test of a run for instance: put it behind the one before.
            shift_s += result.length_s + BETWEEN_S - at_s
            at_s = frame.at_s + shift_s
            result.breaks.append(at_s)
        result.frames += 1
        result.length_s = max(result.length_s, at_s)
        key = (frame.can_id, frame.extended)
        found = table.decoders.get(key)
        if frame.error:
            result.error_frames += 1
        elif found is not None:
            result.take(found.name, at_s, found.decode(frame.data))
        elif key in names:
            result.unused[f"{_ident(*key)} {names[key]}"] += 1
        else:
            result.unknown[_ident(*key)] += 1
    result.form = recording.told.form
    result.damage = recording.told.damage
    result.remarks += [remark for remark in recording.remarks() if remark != recording.told.damage]
    if result.breaks:
        result.remarks.append(f"looked at as {len(result.breaks) + 1} recordings, one behind the other")
    return result


def _decode_dump(profile: Profile, path: Path) -> Decoding:
    link_name, link = next(
        ((name, link) for name, link in profile.links.items() if isinstance(link, ModbusLink)), (None, None)
    )
    if link is None:
        raise DefinitionError(f"{path}: a Modbus dump, but {profile.name} has no Modbus link (links of its profile)")
    signals = {
        name: signal
        for name, signal in profile.signals.items()
        if isinstance(signal, ModbusSignal) and signal.link == link_name
    }
    dump = ModbusDump(path)
    result = Decoding("Modbus dump", False, largest_a=_largest(profile))
    for answer in dump:
        result.frames += 1
        end = answer.address + len(answer.values)
        inside = {
            name: signal
            for name, signal in signals.items()
            if (signal.unit_id if signal.unit_id is not None else link.unit_id) == answer.unit_id
            and signal.function == answer.function
            and all(answer.address <= group.address and group.address + group.count <= end for group in _alone(signal))
        }
        ident = f"unit {answer.unit_id}, function {answer.function:02}, 0x{answer.address:04X} x {len(answer.values)}"
        if not inside:
            result.unused[ident] += 1
            continue
        group = Group(answer.unit_id, answer.function, answer.address, len(answer.values), list(inside.items()))
        result.messages.setdefault(ident, MessageCount(ident, tuple(inside)))
        result.take(ident, float(answer.index), decode(group, answer.values, path.name))
    result.remarks += dump.remarks
    result.damage = dump.damage
    return result


def _alone(signal: ModbusSignal) -> list[Group]:
    return plan({"": signal}, 0)


def _largest(profile: Profile) -> dict[str, float]:
    largest_a = BEYOND_RANGE * profile.bms.measuring_range_a
    return {
        name: largest_a
        for name, signal in profile.signals.items()
        if signal.positive_direction is not None and signal.quantity == "current"
    }


def _ident(can_id: int, extended: bool) -> str:
    return f"0x{can_id:08X}" if extended else f"0x{can_id:03X}"


def _upside_down(values: dict[str, float]) -> str:
    """Say so when a lowest value lies above its highest in one frame: that is another layout, not a battery."""
    for name, value in values.items():
        low = values.get(f"{name.removesuffix('_max')}_min") if name.endswith("_max") else None
        if low is not None and low > value:
            return f"{name} {value:g} is below {name.removesuffix('_max')}_min {low:g}"
    return ""
