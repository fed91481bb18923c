"""What a face module's `make` hands back: a behaviour and the languages it speaks, one port each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from instruments.virtual.behaviour_base import Behaviour
from instruments.virtual.wire import Session


@dataclass(frozen=True)
class Face:
    """One virtual instrument, ready to be served. The first of `languages` is the one its driver speaks."""

    behaviour: Behaviour
    maker: str
    model: str
    languages: dict[str, Callable[[], Session]]
