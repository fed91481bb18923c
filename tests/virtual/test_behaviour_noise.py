"""Noise depends on its coordinates and on nothing else."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from instruments.virtual.noise import gaussian, uniform

COORDINATES = [
    (seed, name, quantity, at_ns)
    for seed in (1, 2)
    for name in ("supply", "meter")
    for quantity in ("v", "a")
    for at_ns in range(0, 10_000_000, 2_000_000)
]


def test_noise_is_the_same_in_any_order() -> None:
    forward = {c: gaussian(*c) for c in COORDINATES}
    shuffled = COORDINATES[:]
    random.Random(5).shuffle(shuffled)
    assert {c: gaussian(*c) for c in shuffled} == forward
    assert len(set(forward.values())) == len(COORDINATES)


def test_noise_is_the_same_beside_other_threads() -> None:
    alone = [gaussian(*c) for c in COORDINATES]
    with busy_neighbour():
        assert [gaussian(*c) for c in COORDINATES] == alone


def test_noise_is_normally_distributed() -> None:
    values = [gaussian(7, "meter", "v", n) for n in range(20_000)]
    mean = sum(values) / len(values)
    sigma = math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))
    inside = sum(abs(v) < 1.0 for v in values) / len(values)
    assert abs(mean) < 4 / math.sqrt(len(values))
    assert sigma == pytest.approx(1.0, abs=0.02)
    assert inside == pytest.approx(0.6827, abs=0.015)
    assert max(map(abs, values)) < 6.8


def test_fixed_errors_are_evenly_spread_between_units() -> None:
    values = [uniform(seed, "meter", "gain") for seed in range(2000)]
    assert all(-1.0 <= v < 1.0 for v in values)
    assert abs(sum(values) / len(values)) < 0.06
    assert sum(abs(v) < 0.5 for v in values) / len(values) == pytest.approx(0.5, abs=0.05)


@contextmanager
def busy_neighbour() -> Iterator[None]:
    """Keep a thread busy beside us."""
    stop = threading.Event()

    def spin() -> None:
        while not stop.is_set():
            sum(range(1000))

    neighbour = threading.Thread(target=spin)
    neighbour.start()
    try:
        yield
    finally:
        stop.set()
        neighbour.join()


def dialogue(bench, order: list[int]) -> dict[int, str]:
    """Charge, and read at fixed instants; at each instant the instruments are read in the given order."""
    supply = bench.add("supply", "ea_psi_9000")
    meter = bench.add("meter", "keysight_34465a", input="reference_shunt")
    for command in ("SYST:LOCK ON", "VOLT 58", "CURR 20", "OUTP ON"):
        supply.write(command)
    for command in ("CONF:VOLT:DC 0.1", "VOLT:NPLC 1"):
        meter.write(command)
    answers: dict[int, str] = {}
    for n in range(20):
        bench.clock.sleep_until(1.0 + 0.1 * n)
        for which in order:
            client, query = ((supply, "MEAS:ARR?"), (meter, "READ?"))[which]
            client.send(query)
            answers[2 * n + which] = client.receive().decode()
    return answers


def test_two_runs_agree_to_the_last_digit_in_any_order_of_reading(new_raw_bench) -> None:
    first = dialogue(new_raw_bench(4), [0, 1])
    second = dialogue(new_raw_bench(4), [1, 0])
    assert first == second
    assert dialogue(new_raw_bench(5), [0, 1]) != first


def test_a_busy_neighbour_changes_nothing(new_raw_bench) -> None:
    alone = dialogue(new_raw_bench(4), [0, 1])
    with busy_neighbour():
        assert dialogue(new_raw_bench(4), [0, 1]) == alone
