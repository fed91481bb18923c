"""Guarded roles: what tests are handed instead of drivers.

One channel for all roles: every setpoint of the table below is checked against the envelope before it is sent, and
a setter that the table does not know is refused. Measuring passes through.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from bench.errors import SafetyError
from bench.quantities import Direction
from bench.roles import Identity, Switch

# setter -> what it sets; a direction makes it a current of that direction
SETPOINTS: dict[str, Direction | None] = {
    "set_voltage": None,
    "set_current_limit": Direction.CHARGE,
    "set_source_current": Direction.CHARGE,
    "set_current": Direction.DISCHARGE,
    "set_sink_current": Direction.DISCHARGE,
}


FOR_TESTS = ("name", "identify", "output_off")  # and what only asks; everything else belongs to the guard


class Checks(Protocol):
    """What a guarded role asks of its guard."""

    def check_voltage(self, role: str, voltage_v: float) -> None:
        """Refuse a voltage outside the envelope."""

    def check_current(self, role: str, direction: Direction, current_a: float) -> None:
        """Refuse a current outside the envelope."""

    def before_output_on(self, role: str) -> None:
        """Refuse to switch a second driver on."""

    def after_switching(self, name: str, undo: Callable[[], None]) -> None:
        """Undo what was switched on while everything was being opened."""

    def before_contact_closes(self, name: str) -> None:
        """Refuse to close the disconnect after a breach, or while a safety input is open."""

    def contact_moved(self, closed: bool) -> None:
        """Remember what the disconnect was told, and did."""


class Guarded:
    """A role behind the guard. Has the methods of its driver."""

    def __init__(self, role: str, driver: Any, checks: Checks) -> None:
        self._role = role
        self._driver = driver
        self._checks = checks

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._driver, name)
        if name in SETPOINTS:
            return self._setter(method, SETPOINTS[name])
        if name == "output_on":
            return self._output_on
        if name not in FOR_TESTS and not name.startswith(("get_", "measure_", "is_")):
            raise SafetyError(f"{self._role}.{name} belongs to the guard and is not for tests")
        return method

    def _setter(self, method: Callable[[float], None], direction: Direction | None) -> Callable[[float], None]:
        def checked(value: float) -> None:
            if direction is None:
                self._checks.check_voltage(self._role, value)
            else:
                self._checks.check_current(self._role, direction, value)
            method(value)

        return checked

    def _output_on(self) -> None:
        self._checks.before_output_on(self._role)
        self._driver.output_on()
        self._checks.after_switching(self._role, self._driver.output_off)


class GuardedSwitch:
    """The disconnect behind the guard: opening is always allowed, closing is asked for."""

    def __init__(self, driver: Switch, checks: Checks) -> None:
        self._driver = driver
        self._checks = checks
        self.name = driver.name

    def identify(self) -> Identity:
        """Ask the board who it is."""
        return self._driver.identify()

    def close_contact(self) -> None:
        """Close the contact if nothing speaks against it, and ask whether it closed.

        Raises:
            SafetyError: after a breach, or while a safety input is open.
        """
        self._checks.before_contact_closes(self.name)
        self._driver.close_contact()
        self._checks.after_switching(self.name, self._driver.open_contact)
        self._checks.contact_moved(True)

    def open_contact(self) -> None:
        """Open the contact and ask whether it opened."""
        self._checks.contact_moved(False)
        self._driver.open_contact()

    def is_closed(self) -> bool:
        """Ask whether the contact is closed."""
        return self._driver.is_closed()

    def close(self) -> None:
        """The conversation belongs to whoever opened the bench.

        Raises:
            SafetyError: always.
        """
        raise SafetyError(f"{self.name}.close belongs to the guard and is not for tests")
