"""What every driver's `open` does: take its options, and refuse an instrument of another model."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from bench.clock import Clock, Tick, wait_until
from bench.errors import DefinitionError, InstrumentError, NotDue
from bench.roles import Identity

Value = TypeVar("Value", str, int, float, bool)


def check_options(name: str, options: Mapping[str, object], known: tuple[str, ...]) -> None:
    """Refuse an option that the driver does not have.

    Raises:
        DefinitionError: with the nearest spelling.
    """
    for option in options:
        if option not in known:
            near = difflib.get_close_matches(option, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(known) or 'none'}"
            raise DefinitionError(f"{name}: its driver has no option {option!r}; {hint}")


def option(name: str, options: Mapping[str, object], key: str, default: Value) -> Value:
    """Return one option of the same type as its default.

    Raises:
        DefinitionError: another type.
    """
    value = options.get(key, default)
    if type(value) is not type(default):
        raise DefinitionError(f"{name}: option {key!r} is {value!r}, but must be of type {type(default).__name__}")
    return value


def check_model(where: str, identity: Identity, models: tuple[str, ...], family: str) -> None:
    """Refuse an instrument that this driver was not written for.

    Raises:
        InstrumentError: naming both.
    """
    if not any(re.fullmatch(model, identity.model) for model in models):
        raise InstrumentError(
            f"{where}: is a {identity.maker} {identity.model}, but its driver is for {family}; "
            "correct the driver's name or the address in the bench definition"
        )


def confirm(clock: Clock, agrees: Callable[[], bool], complaint: Callable[[], str], *, within_s: float) -> None:
    """Ask until the instrument agrees. Inside a callback it is asked once, since nobody may wait there.

    Raises:
        NotDue: it has not agreed yet, and this is a callback: ask again at the next tick.
        InstrumentError: it has not agreed in time; `complaint` says what it answered.
    """
    if clock.in_callback:
        if not agrees():
            raise NotDue(f"{complaint()}; told, not yet confirmed")
        return
    if wait_until(clock, agrees, timeout_s=within_s) is None:
        raise InstrumentError(f"{complaint()}, {within_s:g} s after it was told")


def confirm_off(
    clock: Clock, is_on: Callable[[], bool], complaint: Callable[[], str], *, within_s: float
) -> Tick | None:
    """Ask until the output is off. Inside a callback, where nobody may wait, the question is put on the clock.

    There the answer is asked for once at once, and otherwise after `within_s`: an output that is still on then
    raises in that callback, and so reaches whoever sleeps. Returns the pending question, to be cancelled when
    the driver is closed.

    Raises:
        InstrumentError: it is still on; `complaint` says so.
    """
    if not clock.in_callback:
        confirm(clock, lambda: not is_on(), complaint, within_s=within_s)
        return None
    if not is_on():
        return None

    def ask_again() -> None:
        if is_on():
            raise InstrumentError(f"{complaint()}, {within_s:g} s after it was told")

    return clock.at(clock.now() + within_s, ask_again)
