"""Resistors that relays put in, in parallel or in series: what they amount to, and in which order to move."""

from __future__ import annotations

import difflib
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from typing import Any, Literal

from bench.errors import DefinitionError

MOST_RESISTORS = 16  # of one sensor: more settings than anybody needs
_KEYS = ("channels", "ohm", "base_ohm", "open_channel", "short_channel")


@dataclass(frozen=True, slots=True)
class Network:
    """One sensor. `resistors` are those of its relays by channel; `base_ohm` is always there (parallel without one:
    infinite)."""

    wiring: Literal["parallel", "series"]
    resistors: Mapping[int, float]
    base_ohm: float
    open_channel: int | None
    short_channel: int | None

    def channels(self) -> tuple[int, ...]:
        """Return all relays of the sensor."""
        extra = (self.open_channel, self.short_channel)
        return (*self.resistors, *(channel for channel in extra if channel is not None))

    def ohm(self, on: Iterable[int]) -> float:
        """Return what the resistors put in by relays amount to, in ohm; infinite if there is none."""
        put_in = [self.resistors[channel] for channel in on]
        if self.wiring == "series":
            return self.base_ohm + sum(put_in)
        siemens = 1.0 / self.base_ohm + sum(1.0 / each for each in put_in)
        return 1.0 / siemens if siemens else inf

    def nearest(self, ohm: float) -> tuple[frozenset[int], float]:
        """Return which relays come nearest to a resistance, the fewest that do, and what they amount to."""
        rungs, choices = _settings(self.wiring, tuple(self.resistors.values()), self.base_ohm)
        at = bisect_left(rungs, ohm)
        near = min(rungs[max(0, at - 1) : at + 1], key=lambda rung: abs(rung - ohm))
        bits = choices[bisect_left(rungs, near)]
        on = frozenset(channel for index, channel in enumerate(self.resistors) if bits >> index & 1)
        return on, self.ohm(on)

    def now_ohm(self, on: frozenset[int]) -> float:
        """Return what stands in the place of the sensor with these relays on, in ohm: infinite if open, 0 if short."""
        if self.open_channel in on:
            return inf
        if self.short_channel in on:
            return 0.0
        return self.ohm(on)

    def opened(self) -> frozenset[int] | None:
        """Return with which relays the sensor is open, None if it cannot be."""
        if self.open_channel is not None:
            return frozenset({self.open_channel})
        return frozenset() if self.ohm(()) == inf else None

    def moves(self, before: frozenset[int], after: frozenset[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the relays to move first and last: those that raise the resistance, and those that lower it.

        So no resistance on the way is below both ends.
        """
        raising: list[int] = []
        lowering: list[int] = []
        for channel in sorted(before ^ after):
            (raising if self._raises(channel) == (channel in after) else lowering).append(channel)
        return tuple(raising), tuple(lowering)

    def span(self) -> str:
        """Say from where to where it goes."""
        ends = sorted(self.ohm(on) for on in ((), tuple(self.resistors)))
        if ends[1] == inf:
            ends[1] = max(self.resistors.values())
        return f"{ends[0]:g} to {ends[1]:g} ohm"

    def _raises(self, channel: int) -> bool:
        """Say whether switching a relay on raises the resistance."""
        if channel in self.resistors:
            return self.wiring == "series"
        return channel == self.open_channel


@lru_cache(maxsize=32)
def _settings(
    wiring: Literal["parallel", "series"], ohm: tuple[float, ...], base_ohm: float
) -> tuple[list[float], list[int]]:
    """Return every resistance that a network can be, ascending, and the resistors of each as bits, the fewest first."""
    series = wiring == "series"
    sums = [base_ohm if series else 1.0 / base_ohm]
    for each in ohm:
        sums += [value + (each if series else 1.0 / each) for value in sums]
    rungs = sums if series else [1.0 / value if value else inf for value in sums]
    order = sorted(range(len(rungs)), key=lambda bits: (rungs[bits], bits.bit_count()))
    return [rungs[bits] for bits in order], order


def networks_of(name: str, options: Mapping[str, object], relays: int) -> tuple[dict[str, Network], float]:
    """Return the sensors on so many relays by name, and how many per cent the nearest resistance may be away.

    Raises:
        DefinitionError: an option is missing or wrong, or a relay is used twice.
    """
    wiring = options.get("wiring")
    if wiring not in ("parallel", "series"):
        raise DefinitionError(f"{name}: option 'wiring' is {wiring!r}, but must be 'parallel' or 'series'")
    tolerance_pct = _number(name, options, "tolerance_pct", None)
    if not 0.0 < tolerance_pct < 100.0:
        raise DefinitionError(f"{name}: option 'tolerance_pct' is {tolerance_pct:g}, but must be between 0 and 100")
    sensors = options.get("sensors")
    if not isinstance(sensors, Mapping) or not sensors:
        raise DefinitionError(
            f"{name}: option 'sensors' must name ladders, such as {{ cell_1 = {{ channels = [1, 2] … }} }}"
        )
    taken: dict[int, str] = {}
    networks = {}
    for sensor, ladder in sensors.items():
        networks[str(sensor)] = network = _network(f"{name}: option sensors.{sensor}", wiring, ladder, relays)
        for channel in network.channels():
            if channel in taken:
                raise DefinitionError(
                    f"{name}: option sensors.{sensor}: relay {channel} is already used by {taken[channel]}"
                )
            taken[channel] = f"sensors.{sensor}"
    return networks, tolerance_pct


def _network(where: str, wiring: Any, ladder: object, relays: int) -> Network:
    if not isinstance(ladder, Mapping):
        raise DefinitionError(f"{where} is {ladder!r}, but must be a table with {', '.join(_KEYS)}")
    for key in ladder:
        if key not in _KEYS:
            near = difflib.get_close_matches(str(key), _KEYS, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(_KEYS)}"
            raise DefinitionError(f"{where}: there is no {key!r}; {hint}")
    channels, ohm = ladder.get("channels"), ladder.get("ohm")
    if not isinstance(channels, list | tuple) or not isinstance(ohm, list | tuple) or not channels:
        raise DefinitionError(
            f"{where}: 'channels' and 'ohm' must list relays and the resistor of each, of equal length"
        )
    if len(channels) > MOST_RESISTORS:
        raise DefinitionError(f"{where}: {len(channels)} resistors; a sensor takes up to {MOST_RESISTORS}")
    if len(channels) != len(ohm) or len(set(map(repr, channels))) != len(channels):
        raise DefinitionError(f"{where}: {len(channels)} channels (each once) for {len(ohm)} resistors")
    resistors = {
        _relay(where, f"channels[{index}]", channel, relays): _number(
            where, {f"ohm[{index}]": each}, f"ohm[{index}]", None
        )
        for index, (channel, each) in enumerate(zip(channels, ohm, strict=True))
    }
    base_ohm = _number(where, ladder, "base_ohm", inf if wiring == "parallel" else None)
    if min(resistors.values()) <= 0.0 or base_ohm < 0.0 or (wiring == "parallel" and base_ohm == 0.0):
        raise DefinitionError(f"{where}: resistances must be greater than 0 ohm (base_ohm in series: 0 or more)")
    extra = [
        _relay(where, key, ladder[key], relays) if key in ladder else None for key in ("open_channel", "short_channel")
    ]
    return Network(wiring, resistors, base_ohm, *extra)


def _relay(where: str, key: str, channel: object, relays: int) -> int:
    if type(channel) is not int or not 1 <= channel <= relays:
        raise DefinitionError(f"{where}: {key} is {channel!r}, but must be a relay's number, 1 to {relays}")
    return channel


def _number(where: str, options: Mapping[Any, object], key: str, default: float | None) -> float:
    value = options.get(key, default)
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or value != value
        or (key in options and value == inf)
    ):
        raise DefinitionError(f"{where}: {key!r} is {value!r}, but must be a number")
    return float(value)
