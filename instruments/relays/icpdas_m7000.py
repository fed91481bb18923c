"""ICP DAS tM-R5 and M-7000 relay outputs, Modbus RTU (9600 8N1), or the same frames through a TCP bridge.

The one listed board that opens by itself: its host watchdog puts the outputs to their safe values.

Source of facts: the maker's register list of the tM-R5, numbers in base 1 (here one less, as on the wire): coils 1 to
5 outputs, 129 safe values, 161 power-on values, 261 host watchdog, 270 its time-out status (write 1 clears), 273
"first read after power-up"; register 40489 its time in 0.1 s. Never seen on hardware. Not known, to be seen at the
first unit: whether any Modbus request to the board feeds the watchdog, as is taken for granted here; whether expired
outputs stay locked until the status is cleared (coil 260 decides), and what an output then reads; what survives a power
cycle. Other M-7000 may keep power-on values elsewhere; coil 266 (outputs inverted) must be as delivered, 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from bench.clock import Clock
from bench.errors import ConnectionLost, InstrumentError, InstrumentTimeout, OutOfRange
from bench.quantities import Range
from bench.roles import Identity, Record
from instruments.driver import check_options, option
from instruments.modbus_board import channel_of, closed_when_on, greet, rtu_link
from instruments.transports.modbus import ModbusTransport

_CHANNELS = 5
_SAFE_VALUES, _POWER_ON_VALUES = 128, 160  # coils of output 1, itself coil 0
_ENABLE, _EXPIRED, _FIRST_READ = 260, 269, 272  # coils
_TIME = 488  # holding register, in 0.1 s
_PERIODS = Range(0.1, 25.5, "s")
_SPACING_S = 0.005  # 3.5 characters at 9600 baud are 4 ms
_ARMATURE_S = 0.02  # electro-mechanical relays need 10 to 20 ms, and bounce


class IcpdasM7000:
    """One output as a switch that opens when nobody speaks; switch it without current. Others keep off the board: it
    tells a power-up once, to whoever asks first."""

    role: ClassVar[str] = "switch"
    family: ClassVar[str] = "ICP DAS tM-R5, M-7000 relay outputs"
    models: ClassVar[tuple[str, ...]] = ()
    transport: ClassVar[str] = "modbus_rtu"
    commissioned: ClassVar[bool] = False
    example_options: ClassVar[Mapping[str, object]] = {"channel": 1}  # with which the contract tests open it

    def __init__(self, name: str, link: ModbusTransport, channel: int, closed_when_on: bool, serial: str) -> None:
        self.name = name
        self.link = link
        self._output = channel - 1
        self._closed_when_on = closed_when_on
        self._serial = serial
        self._armed = False
        self._restarted = False

    @classmethod
    def open(
        cls,
        name: str,
        address: str,
        *,
        clock: Clock,
        record: Record,
        timeout_s: float = 2.0,
        options: Mapping[str, object] = {},
    ) -> Self:
        """Connect and see that the board answers; nothing is changed. Earlier power-ups are forgotten here.

        Options: `channel` (1 to 5; mandatory), `contact` (`normally_open`, or `normally_closed`, which closes when the
        board loses its supply: the one that is wired), `device_id` (1), `serial` (what the definition calls it).
        """
        check_options(name, options, ("channel", "contact", "device_id", "serial"))
        channel = channel_of(name, options, _CHANNELS, "an output")
        closes_when_on = closed_when_on(name, options)
        link = rtu_link(
            name, address, clock=clock, record=record, options=options, timeout_s=timeout_s, spacing_s=_SPACING_S
        )
        relay = cls(name, link, channel, closes_when_on, option(name, options, "serial", ""))
        # Only whether it answers: whatever it says, this must be openable to be opened on the way out.
        greet(link, lambda: (relay._reads_closed(), relay._bit(_FIRST_READ)))
        return relay

    def identify(self) -> Identity:
        """See that it answers. Its serial number is the definition's: the board knows none."""
        self._reads_closed()
        return Identity("ICP DAS", "tM-R5 or M-7000", self._serial, "")

    def close(self) -> None:
        """End the conversation; output and watchdog stay as they are."""
        self.link.close()

    def close_contact(self) -> None:
        """Close the contact and ask whether it closed.

        Raises:
            InstrumentError: it did not; or restarted, watchdog expired or armed no more, and nothing was sent.
        """
        with self.link.operation():
            self._refuse_after_restart()
            if self._bit(_EXPIRED):
                raise InstrumentError(
                    f"{self._where} is not closed, because the watchdog has expired: nobody spoke to the board for its "
                    "time; find out why, then disarm or arm the watchdog, which clears it"
                )
            if self._armed and not self._bit(_ENABLE):
                raise InstrumentError(
                    f"{self._where} is not closed, because the watchdog that was armed is armed no more (another "
                    "program, a restart?); arm it again"
                )
            self.link.write_coil(self._output, self._closed_when_on)
            if not self._reads_closed():
                raise InstrumentError(f"{self._where} did not close when told")
        self._wait_for_armature()

    def open_contact(self) -> None:
        """Open the contact and ask whether it opened; an earlier restart of the board then has no say."""
        with self.link.operation(urgent=True):
            self._command_open()
            self._bit(_FIRST_READ)
            self._restarted = False
        self._wait_for_armature()

    def is_closed(self) -> bool:
        """Ask whether the contact is closed, as far as the board knows: its coil, not the contact.

        Raises:
            InstrumentError: restarted since it was last opened, or it reads closed with its watchdog expired.
        """
        with self.link.operation():
            self._refuse_after_restart()
            closed = self._reads_closed()
            if closed and self._bit(_EXPIRED):
                raise InstrumentError(
                    f"{self._where} reads closed, but the watchdog has expired, so its safe value (open) should be in "
                    f"force; look at the contact, and at the safe value (coil {_SAFE_VALUES + self._output + 1})"
                )
        return closed

    def arm_watchdog(self, period_s: float) -> None:
        """Let the contact open when nobody spoke to the board for `period_s`, 0.1 to 25.5 in tenths of a second.

        Safe value, power-on value (after a power cut it stays open) and time first, the switch last; what already is
        as wanted is not written again. An earlier expiry is cleared, with the contact commanded open.

        Raises:
            OutOfRange: beyond the range, or no whole tenths; nothing was sent.
            InstrumentError: a setting was not taken.
        """
        _PERIODS.check(period_s, f"{self.name}, watchdog time")
        tenths = round(period_s * 10)
        if abs(tenths / 10 - period_s) > 1e-9:
            raise OutOfRange(f"{self.name}, watchdog time: {period_s:g} s; this watchdog counts tenths of a second")
        with self.link.operation():
            if self._bit(_EXPIRED):
                self._clear_expired()
            self._set_bit(_SAFE_VALUES + self._output, not self._closed_when_on, "safe value")
            self._set_bit(_POWER_ON_VALUES + self._output, not self._closed_when_on, "power-on value")
            self._set_time(tenths)
            self._set_bit(_ENABLE, True, "watchdog switch")
            self._armed = True

    def disarm_watchdog(self) -> None:
        """Switch it off and ask whether that happened. If it has expired: contact commanded open, then cleared.

        Raises:
            InstrumentError: it stays armed; or it expired and the contact does not read open: nothing was cleared.
        """
        with self.link.operation():
            self._set_bit(_ENABLE, False, "watchdog switch")
            self._armed = False
            if self._bit(_EXPIRED):
                self._clear_expired()

    def is_watchdog_armed(self) -> bool:
        """Ask whether it is armed, by whomever; one that has expired holds its outputs, and counts as armed."""
        return self._bit(_ENABLE) or self._bit(_EXPIRED)

    @property
    def _where(self) -> str:
        return f"{self.link.where}: output {self._output + 1}"

    def _bit(self, coil: int) -> bool:
        return self.link.read_coils(coil, 1)[0]

    def _reads_closed(self) -> bool:
        return self._bit(self._output) == self._closed_when_on

    def _set_bit(self, coil: int, wanted: bool, what: str) -> None:
        """Read it, and write and read again only if it is not as wanted: the board may keep it in an EEPROM."""
        if self._bit(coil) != wanted:
            self.link.write_coil(coil, wanted)
            if self._bit(coil) != wanted:
                raise InstrumentError(f"{self.link.where}: {what} (coil {coil + 1}) is still {int(not wanted)}")

    def _set_time(self, tenths: int) -> None:
        [found] = self.link.read_holding_registers(_TIME)
        if found != tenths:
            self.link.write_register(_TIME, tenths)
            [found] = self.link.read_holding_registers(_TIME)
        if found != tenths:
            raise InstrumentError(f"{self.link.where}: watchdog time is {found / 10:g} s instead of {tenths / 10:g} s")

    def _refuse_after_restart(self) -> None:
        if self._bit(_FIRST_READ) or self._restarted:
            self._restarted = True
            raise InstrumentError(
                f"{self._where}: the board was restarted (supply lost?), so what the contact did and what the watchdog "
                "holds is not known; open the contact, then arm the watchdog again"
            )

    def _command_open(self) -> None:
        refused: InstrumentError | None = None
        try:
            self.link.write_coil(self._output, not self._closed_when_on)
        except InstrumentError as problem:  # an expired board may refuse commands, and be open all the same
            if isinstance(problem, InstrumentTimeout | ConnectionLost):
                raise
            refused = problem
        if self._reads_closed():
            raise InstrumentError(f"{self._where} did not open when told") from refused

    def _clear_expired(self) -> None:
        """Clear the status between two commands to open: the board may remember one to close that was ignored."""
        self.link.note(False, "(its watchdog had expired: it is opened, then cleared)")
        self._command_open()
        self.link.write_coil(_EXPIRED, True)
        self._command_open()
        if self._bit(_EXPIRED):
            raise InstrumentError(f"{self.link.where}: still says that its watchdog expired, after that was cleared")

    def _wait_for_armature(self) -> None:
        if not self.link.clock.in_callback:
            self.link.clock.sleep(_ARMATURE_S)
