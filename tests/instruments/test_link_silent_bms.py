"""A BMS that falls silent: every poll lasts until its time-out, and nobody else waits for that."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import pytest

from bench.errors import InstrumentTimeout
from bench.profile import find_profile, load_profile
from bench.wall_clock import WallClock
from instruments.links.modbus_map import ModbusMapLink


class Silent:
    """A conversation in which no answer ever comes."""

    is_open = True
    device_id = 0

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.gone = threading.Event()
        self.timeout_s = 0.0

    @contextlib.contextmanager
    def operation(self) -> Iterator[None]:
        yield

    def _ask(self, address: int, count: int = 1) -> list[int]:
        if self.timeout_s:
            self.asked.set()
            self.gone.wait(self.timeout_s)
        raise InstrumentTimeout("no answer")

    read_coils = read_discrete_inputs = read_holding_registers = read_input_registers = _ask

    def close(self) -> None:
        self.gone.set()


@pytest.fixture
def clock() -> Iterator[WallClock]:
    made = WallClock()
    yield made
    made.close()


def test_the_watch_goes_on_while_a_silent_bms_is_polled(clock: WallClock) -> None:
    transport, watched = Silent(), 0

    def watch() -> None:
        nonlocal watched
        watched += transport.asked.is_set() and not transport.gone.is_set()

    link = ModbusMapLink("modbus", load_profile(find_profile("seplos_v3")), transport, clock=clock)  # type: ignore[arg-type]
    link.start(lambda reading: None)
    transport.timeout_s = 60.0
    clock.every(0.02, watch)
    try:
        assert transport.asked.wait(10.0)
        for _ in range(500):
            clock.sleep(0.02)
            if watched >= 10:
                break
        assert watched >= 10
    finally:
        link.close()
