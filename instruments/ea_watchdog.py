"""EA's watchdog: the interface monitoring of the 9000 series over SCPI, which here ends in "terminals off".

Source of facts: EA programming guide "ModBus & SCPI", chapter on interface monitoring. When nothing was heard for
the time `SYST:COMM:MON:TIM` the device leaves remote control, and what its terminals do then is another setting:
without `POW:STAG:AFT:REM OFF` they stay on. Any message feeds it. Armed, it survives a power cycle.
"""

from __future__ import annotations

from bench.errors import OutOfRange
from bench.quantities import Range
from instruments.driver import confirm
from instruments.ea_lines import EXECUTION_S, EaLines

PERIODS = Range(1.0, 36000.0, "s")  # whole seconds
AFTER_REMOTE, ACTIVE, TIME = "POW:STAG:AFT:REM", "SYST:COMM:MON:ACT", "SYST:COMM:MON:TIM"


class EaWatchdog(EaLines):
    """The ability `HasWatchdog` of `bench.roles`."""

    def arm_watchdog(self, period_s: float) -> None:
        """Let the terminals go off when nothing was said for `period_s`, whole seconds from 1 to 36000.

        "After remote: off" first and last the switch itself, so that it is never armed for something else.

        Raises:
            OutOfRange: not whole seconds, or beyond the range; nothing was sent.
            InstrumentError: a setting was not taken.
        """
        PERIODS.check(period_s, f"{self.name}, {TIME}")
        if period_s != int(period_s):
            raise OutOfRange(f"{self.name}, {TIME}: {period_s:g} s; this watchdog counts whole seconds")
        with self.link.transport.operation():
            self._turn(AFTER_REMOTE, "OFF")
            self._turn(TIME, f"{period_s:.0f}")
            self._turn(ACTIVE, "ON")

    def disarm_watchdog(self) -> None:
        """Switch it off and ask whether that happened; "after remote: off" stays, it is the safer one."""
        with self.link.transport.operation():
            self._turn(ACTIVE, "OFF")

    def is_watchdog_armed(self) -> bool:
        """Ask whether it is armed, by whomever."""
        return self.link.query_switch(f"{ACTIVE}?")

    def _turn(self, header: str, wanted: str) -> None:
        found = ""

        def agrees() -> bool:
            nonlocal found
            found = self.link.query(f"{header}?").strip().upper()
            return found == wanted or (wanted.isdigit() and found.removesuffix("S").strip() == wanted)

        self._tell(f"{header} {wanted}")
        confirm(
            self.clock,
            agrees,
            lambda: f"{self.name}: {header} is {found!r} instead of {wanted}",
            within_s=EXECUTION_S,
        )
