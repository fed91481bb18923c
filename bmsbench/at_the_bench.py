"""Admission of hardware for commands that are no pytest run: who is there is asked on this terminal."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.admission import Admission, admit
from bench.definition import Definition
from bench.profile import Profile
from fixtures.presence import ask_presence
from instruments.driver_digest import driver_digests


class Console:
    """Whoever sits at the terminal that a command was started from."""

    @property
    def absent(self) -> str:
        """Why nobody can answer, or nothing."""
        return "" if sys.stdin.isatty() and sys.stderr.isatty() else "no terminal"

    def ask(self, question: str) -> str | None:
        """Ask and return the line that was typed, None when the input has ended."""
        sys.stderr.write(f"\n{question}")
        sys.stderr.flush()
        line = sys.stdin.readline()
        return line.strip() if line else None


def admit_here(
    definition: Definition,
    profile: Profile,
    *,
    named: bool,
    lab: Path | None = None,
    unattended: bool = False,
    operator: str = "",
    first_contact: bool = False,
) -> Admission | None:
    """Admit a bench for a command; a simulated one needs no admission and nobody is asked.

    Raises:
        DefinitionError: everything that is missing; nothing was opened.
    """
    presence = ask_presence(Console(), definition, unattended=unattended, operator=operator)
    digests = {} if definition.bench.simulated else driver_digests(definition, lab)
    return admit(definition, profile, presence, named=named, driver_digests=digests, first_contact=first_contact)
