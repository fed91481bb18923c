"""What is said to the channels of NGI's battery simulators, and what of their answers is believed.

Source of facts: the maker's SCPI guide V20240130 for N83624. Volts, but milliamperes. It knows no question for the
error queue, so only reading back tells whether something was taken; how fine a setting is, is not in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bench.errors import DefinitionError, InstrumentError
from bench.quantities import Range
from instruments.scpi import Scpi, parse_number

CHANNELS = 24
ON = 1 << 0  # bits of OUTP:STAT?
ALARMS = {
    1: "overvoltage",
    2: "overcurrent",
    3: "overpower",
    4: "overtemperature",
    5: "fault relay under voltage",
    6: "fault relay in another mode than source",
}
_SAME = {"V": 0.001, "mA": 1.0}  # a setting read back within this is taken for the same
_PROTECTION_LIMIT = 1.1  # of the rating; not in the guide


class NgiChannels:
    """The channels that carry cells, in the order of the cells from B-."""

    def __init__(self, name: str, link: Scpi, channels: tuple[int, ...], volts: Range) -> None:
        self.name = name
        self.link = link
        self.cells = len(channels)
        self._channels = channels
        self._volts = volts
        self._in_control = False

    def set_cell_overvoltage_protection(self, voltage_v: float) -> None:
        """Set the trip voltage of every cell, in volts up to 1.1 times the rating, and read it back."""
        Range(0.0, _PROTECTION_LIMIT * self._volts.high, "V").check(voltage_v, f"{self.name}, over-voltage protection")
        self._need_control()
        with self.link.transport.operation():
            self.link.write(f"PRO:VOLT {voltage_v:.4f}{channel_list(self._channels)}")
            for channel in self._channels:
                self._check_setting(channel, f"PRO{channel}:VOLT?", voltage_v, "V")

    def _need_control(self) -> None:
        if not self._in_control:
            raise InstrumentError(f"{self.name}: its channels were not seen to be sources; call take_control first")

    def _check_setting(self, channel: int, question: str, wanted: float, unit: str) -> None:
        """Read a setting back; `unit` is the guide's, the answer is a number without one."""
        if difference := self._difference(channel, question, wanted, unit):
            raise InstrumentError(difference)

    def _difference(self, channel: int, question: str, wanted: float, unit: str) -> str:
        found = self.link.query_float(question, "1")
        if abs(found - wanted) <= _SAME[unit]:
            return ""
        return f"{self._where(channel)}: {question} says {found:g} {unit} instead of {wanted:g} {unit}"

    def _measure(self, quantity: str, unit: str, *, longer_s: float = 0.0) -> tuple[float, ...]:
        question = f"MEAS:{quantity}?{channel_list(self._channels)}"
        answer = self.link.query(question, timeout_s=self.link.transport.timeout_s + longer_s)
        fields = answer.split(",")
        if len(fields) != self.cells:
            raise InstrumentError(
                f"{self.link.transport.where}: {question} answered {len(fields)} values for {self.cells} channels"
            )
        factor = 1e-3 if unit == "mA" else 1.0
        return tuple(
            factor * parse_number(field, "1", f"{self._where(channel)}, {question}").value
            for channel, field in zip(self._channels, fields, strict=True)
        )

    def _mode(self, channel: int) -> int:
        return self.link.query_bits(f"OUTP{channel}:MODE?")

    def _state(self, channel: int) -> int:
        return self.link.query_bits(f"OUTP{channel}:STAT?")

    def _is_on(self, channel: int) -> bool:
        """Ask whether a channel is on.

        Raises:
            InstrumentError: it reports an alarm.
        """
        state = self._state(channel)
        alarms = [name for bit, name in ALARMS.items() if state & 1 << bit]
        if alarms:
            raise InstrumentError(f"{self._where(channel)} reports {', '.join(alarms)}")
        return bool(state & ON)

    def _is_off(self, channel: int) -> bool:
        return not self._state(channel) & ON

    def _still(self, state: str, channel: int) -> str:
        return f"{self._where(channel)} is {state} after it was told otherwise"

    def _where(self, channel: int) -> str:
        return f"{self.link.transport.where}: channel {channel} (cell {self._channels.index(channel) + 1})"


def channel_list(channels: Iterable[int]) -> str:
    """Write a list of channels as the guide does: `(@1,2,3)`."""
    return f"(@{','.join(map(str, channels))})"


def channels_of(name: str, options: Mapping[str, object]) -> tuple[int, ...]:
    """Return the channels of the cells, counted from B-.

    Raises:
        DefinitionError: none, one that the instrument does not have, or one that is used twice.
    """
    channels = options.get("channels")
    if not isinstance(channels, list | tuple) or not channels:
        raise DefinitionError(f"{name}: option 'channels' must list the cells' channels from B-, such as [1, 2, 3]")
    for index, channel in enumerate(channels):
        if type(channel) is not int or not 1 <= channel <= CHANNELS:
            raise DefinitionError(f"{name}: option channels[{index}]: {channel!r} is not a channel, 1 to {CHANNELS}")
        if channel in channels[:index]:
            raise DefinitionError(f"{name}: option channels[{index}]: channel {channel} already carries another cell")
    return tuple(channels)
