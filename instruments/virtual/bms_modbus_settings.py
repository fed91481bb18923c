"""Identity and settings of a virtual BMS in its Modbus map: where they are read, and where they are written.

Functions 6 and 16 are taken at the unit and address that the profile gives each setting, and nowhere else. A request
that ends inside a setting of two registers, touches a place that is none, or carries a count that the unit refuses
changes nothing: exceptions 2 and 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bench.settings import FACTS, Setting
from instruments.virtual.bms import VirtualBms
from instruments.virtual.bms_settings import text_words

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
Place = Callable[[], int]
Spot = tuple[int, int, int, Place]  # unit, function, address, what stands there


def spots(bms: VirtualBms, link: str, unit_id: int) -> Iterator[Spot]:
    """Yield every register of identity and settings that is read over a link."""
    for fact in FACTS:
        place = bms.profile.identity.place(fact)
        if place is not None and place.link == link:
            unit = unit_id if place.unit_id is None else place.unit_id
            for index in range(place.words):
                yield unit, place.function, place.address + index, _text_place(bms, fact, place.words, index)
    for name, setting in bms.profile.settings.items():
        if setting.link == link:
            unit = unit_id if setting.unit_id is None else setting.unit_id
            for index in range(_width(setting)):
                yield unit, setting.function, setting.address + index, _setting_place(bms, name, setting, index)


class SettingWrites:
    """The places of one link that may be written."""

    def __init__(self, bms: VirtualBms, link: str, unit_id: int) -> None:
        self._bms = bms
        self._begins: dict[tuple[int, int, int], tuple[str, Setting]] = {}
        for name, setting in bms.profile.settings.items():
            if setting.link == link:
                unit = unit_id if setting.unit_id is None else setting.unit_id
                address = setting.address if setting.write_address is None else setting.write_address
                self._begins[unit, setting.write_function, address] = (name, setting)
        self.units = frozenset(unit for unit, _, _ in self._begins)

    def write(self, unit_id: int, function: int, address: int, words: list[int]) -> int:
        """Take neighbouring registers, all or none; return 0, or the number of a Modbus exception."""
        if not any(key[:2] == (unit_id, function) for key in self._begins):
            return ILLEGAL_FUNCTION
        found: list[tuple[str, int]] = []
        at = 0
        while at < len(words):
            name, setting = self._begins.get((unit_id, function, address + at), ("", None))
            if setting is None or at + _width(setting) > len(words):
                return ILLEGAL_ADDRESS
            part = words[at : at + _width(setting)]
            if setting.word_order == "low_first":
                part = part[::-1]
            found.append((name, sum(word << 16 * index for index, word in enumerate(reversed(part)))))
            at += _width(setting)
        if not all(self._bms.settings.allows(name, pattern) for name, pattern in found):
            return ILLEGAL_VALUE
        for name, pattern in found:
            self._bms.write_setting(name, pattern)
        return 0


def _width(setting: Setting) -> int:
    return 2 if setting.type.endswith("32") else 1


def _text_place(bms: VirtualBms, fact: str, words: int, index: int) -> Place:
    return lambda: text_words(bms.settings.facts[fact], words)[index]


def _setting_place(bms: VirtualBms, name: str, setting: Setting, index: int) -> Place:
    high_first = index if setting.word_order == "high_first" else _width(setting) - 1 - index
    shift = 16 * (_width(setting) - 1 - high_first)
    return lambda: bms.settings.count(name) >> shift & 0xFFFF
