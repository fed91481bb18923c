"""What a virtual BMS keeps while it is off: who it is, and its settings, as counts in registers.

Written from the profile's sections alone; it shares no conversion with the bench's link. A new unit has what the
profile promises; a setting that moves no promise begins in the middle of its range. A count outside the declared range
is refused, as devices do.

Not simulated: passwords, write counters, settings that depend on each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b

from bench.profile import Profile
from bench.protection import Protection
from bench.quantities import UNITS
from bench.settings import Setting
from instruments.virtual.bms_unit import UnitProtection

FIRMWARE, HARDWARE = "10", "VIRTUAL"
Keep = Callable[[int, int], int]  # what was there, what is written -> what is kept


def serial_of(seed: int) -> str:
    """Return the serial number of the unit of a seed; it begins with VIRTUAL, as all that are simulated."""
    return f"VIRTUAL-BMS-{int.from_bytes(blake2b(str(seed).encode(), digest_size=5).digest(), 'big') % 10**10:010d}"


def text_words(text: str, words: int) -> list[int]:
    """Return a text as registers: two characters each, the first in the high byte, the rest zero; cut to fit."""
    data = text.encode("ascii")[: 2 * words].ljust(2 * words, b"\0")
    return [data[index] << 8 | data[index + 1] for index in range(0, len(data), 2)]


@dataclass(frozen=True, slots=True)
class _Move:
    """By how much one promise of one protection is off what the profile says, in inside units."""

    key: str
    by: float
    to: float


class SettingsMemory:
    """The settings of one unit. They stay over power cycles, unless a defect lets the unit forget them."""

    def __init__(self, profile: Profile, seed: int, keeps: tuple[Keep, ...] = (), *, forgets: bool = False) -> None:
        self._profile, self._keeps, self._forgets = profile, keeps, forgets
        rows = {row.name: row for row in profile.protections}
        self._turns = {name: _turn(setting, rows) for name, setting in profile.settings.items()}
        self._factory = {
            name: _count(setting, _factory_value(setting, rows), self._turns[name])
            for name, setting in profile.settings.items()
        }
        self.begin(seed)

    def begin(self, seed: int) -> None:
        """Become the unit of this seed, as it left its factory."""
        self.facts = {"serial": serial_of(seed), "firmware": FIRMWARE, "hardware": HARDWARE}
        self._counts = dict(self._factory)

    def power_cycle(self) -> None:
        """Lose the supply."""
        if self._forgets:
            self._counts = dict(self._factory)

    def count(self, name: str) -> int:
        """Return what a register holds, as an unsigned pattern."""
        return self._counts[name] & ((1 << _bits(self._profile.settings[name])) - 1)

    def allows(self, name: str, pattern: int) -> bool:
        """Say whether the unit takes a pattern: whether it lies in the declared range."""
        setting = self._profile.settings[name]
        low, high = sorted(_count(setting, end, self._turns[name], inside=False) for end in setting.range)
        return low <= _signed(setting, pattern) <= high

    def write(self, name: str, pattern: int) -> None:
        """Keep a pattern; what a unit with a defect keeps is another matter."""
        count = _signed(self._profile.settings[name], pattern)
        for keep in self._keeps:
            count = keep(self._counts[name], count)
        self._counts[name] = count

    def moves(self, row: Protection) -> list[_Move]:
        """Return how the settings move the promises of a protection."""
        found = []
        for name, setting in self._profile.settings.items():
            for protection, key in setting.moved:
                if protection == row.name and self._counts[name] != self._factory[name]:
                    now, was = (
                        _value(setting, count, self._turns[name]) for count in (self._counts[name], self._factory[name])
                    )
                    found.append(_Move(key, now - was, now))
        return found

    def move(self, unit: UnitProtection) -> UnitProtection:
        """Return a unit's protection as its settings make it: its own spread stays where it was."""
        for move in self.moves(unit.row):
            release = unit.row.release
            if move.key == "threshold":
                unit = replace(unit, threshold_si=unit.threshold_si + move.by)
            elif move.key == "delay_s":
                unit = replace(unit, samples=max(1, unit.samples + round(move.by / unit.period_s)))
            elif move.key == "lockout_count":
                unit = replace(unit, lockout_count=round(move.to))
            elif move.key == "release.after_s":
                later = release.model_copy(update={"after_s": move.to})
                unit = replace(unit, row=unit.row.model_copy(update={"release": later}))
            elif move.key == "release.value" and release.value is not None:
                factor = UNITS[unit.row.unit].factor if unit.row.unit else 1.0
                other = release.model_copy(update={"value": release.value + move.by / factor})
                unit = replace(unit, row=unit.row.model_copy(update={"release": other}))
        return unit


def _bits(setting: Setting) -> int:
    return int(setting.type.removeprefix("u").removeprefix("int"))


def _signed(setting: Setting, pattern: int) -> int:
    bits = _bits(setting)
    return pattern - (1 << bits) if setting.type.startswith("int") and pattern >> (bits - 1) else pattern


def _turn(setting: Setting, rows: Mapping[str, Protection]) -> int:
    """-1 where the register counts the limited direction downwards."""
    if setting.positive_means not in ("charge", "discharge"):
        return 1
    kinds = [rows[name].kind for name, _ in setting.moved]
    return 1 if kinds and kinds[0].startswith(setting.positive_means) else -1


def _factory_value(setting: Setting, rows: Mapping[str, Protection]) -> float:
    """What the profile says, in inside units."""
    if not setting.moved:
        middle = (setting.range[0] + setting.range[1]) / 2.0
        unit = UNITS[setting.unit]
        return middle * unit.factor + unit.offset
    name, key = setting.moved[0]
    row = rows[name]
    if key == "threshold":
        return row.threshold_si
    if key == "release.value":
        value = row.release_value_si
        assert value is not None, "the profile was checked"
        return value
    if key == "delay_s":
        return 0.5 * row.delay_s.min + 0.5 * row.delay_s.max
    return row.release.after_s if key == "release.after_s" else float(row.lockout_count or 0)


def _count(setting: Setting, value: float, turn: int, *, inside: bool = True) -> int:
    unit = UNITS[setting.unit]
    number = (value - unit.offset) / unit.factor if inside else value
    return round(turn * number / setting.scale) + setting.zero


def _value(setting: Setting, count: int, turn: int) -> float:
    unit = UNITS[setting.unit]
    return turn * (count - setting.zero) * setting.scale * unit.factor + unit.offset
