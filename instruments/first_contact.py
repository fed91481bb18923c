"""What a first contact is done with, and how its lines are judged. The steps are in `commissioning`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bench.clock import Clock
from bench.commissioning import ContactLine
from bench.definition import Definition
from bench.definition_sections import InstrumentSection
from bench.errors import BenchError
from bench.guard import Guardian
from bench.reference import Reference
from bench.roles import Identity, PowerInstrument, Switch

Connected = Literal["pack", "resistor", "short"]


class Disagrees(BenchError):
    """What was found is not as it should be."""


class CannotTell(BenchError):
    """This line cannot be looked at here; the message says why."""


@dataclass(slots=True)
class Place:
    """A bench on which one instrument is met for the first time.

    `part` is its driver itself, behind no guard: what is judged is the driver. `press_local` takes remote control
    away from the instrument as its front panel does, where somebody or something can; `move_loop` opens (False) and
    closes (True) the loop of a safety input. In real time a `guardian` stands beside; `fed` are the instruments by role
    whose watchdogs are armed and fed (`commissioning_guards`).
    """

    definition: Definition
    role: str
    part: Any
    clock: Clock
    reference: Reference
    power: Mapping[str, PowerInstrument]
    disconnect: Switch | None
    connected: Connected
    resistor_ohm: float | None = None
    press_local: Callable[[], None] | None = None
    move_loop: Callable[[bool], None] | None = None
    guardian: Guardian | None = None
    fed: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The instrument's name in the definition."""
        return self.definition.roles[self.role]

    @property
    def section(self) -> InstrumentSection:
        """What the definition says about it."""
        return self.definition.instruments[self.name]


@dataclass(slots=True)
class ContactSheet:
    """Collects the judged lines. After a line without which nothing more may be done, the rest is not tested."""

    lines: list[ContactLine] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    identity: Identity | None = None
    stopped: str = ""

    def judge(self, check: str, look: Callable[[], str], *, essential: bool = False) -> bool:
        """Look, and note what was found; a bench error is a failed line that carries its message."""
        if self.stopped:
            self.lines.append(ContactLine(check, "not tested", self.stopped))
            return False
        try:
            self.lines.append(ContactLine(check, "pass", look()))
            return True
        except CannotTell as reason:
            self.lines.append(ContactLine(check, "not tested", str(reason)))
        except BenchError as problem:
            _raise_interruption(problem)
            self.lines.append(ContactLine(check, "fail", str(problem)))
        if essential:
            self.stop(f"not reached, see {check!r}")
        return False

    def stop(self, why: str) -> None:
        """Let nothing more be tried."""
        self.stopped = self.stopped or why


def _raise_interruption(problem: BaseException) -> None:
    """Let Ctrl-C through, even where the tidying up that followed it failed as well."""
    before = problem.__context__
    while before is not None:
        if isinstance(before, KeyboardInterrupt):
            raise before
        before = before.__context__


def identify(place: Place, sheet: ContactSheet) -> str:
    """Ask an instrument who it is and compare that with the definition."""
    found, section = place.part.identify(), place.section
    sheet.identity = found
    if section.model and not found.model.startswith(section.model):
        raise Disagrees(f"{section.model!r} is declared, {found.model!r} answered")
    if section.serial and found.serial != section.serial:
        raise Disagrees(f"serial {section.serial!r} is declared, {found.serial!r} answered")
    return f"{found.maker} {found.model}, serial {found.serial or 'unknown'}, firmware {found.firmware or 'unknown'}"
