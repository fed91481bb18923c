"""Polarity before power: which way the current really flows, from physics rather than from opinions.

The primary witness is that a load can only sink and a one-quadrant supply only source; for a bidirectional supply
it is the terminal voltage, which a charging current can only raise. Meter and instruments must agree with it.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.errors import Inconclusive, WiringError
from bench.quantities import Direction, show
from bench.stand import Stand
from bench.stimulus import driver_of, force, largest_current_a, release
from bench.uncertainty import of_resolution

NOISE_FACTOR = 5.0
CANDIDATES_A = (2.0, 5.0, 10.0, 20.0)
READINGS = 8
STEP_S = 0.05
AGREEMENT_SHARE = 0.05  # meter against the instrument's own reading
AGREEMENT_FLOOR_A = 1.5  # instruments of some hundred amperes read a fraction of an ampere off at zero


@dataclass(frozen=True, slots=True)
class PolarityStep:
    """What was seen in one direction."""

    direction: Direction
    meter_a: float
    instrument_a: float
    voltage_change_v: float
    noise_v: float
    path_ohm: float
    instrument: str

    def as_parameters(self) -> dict[str, object]:
        """Return what was seen as parameters of the judgement `bench_agrees`."""
        return {
            "direction": self.direction.word,
            "meter_a": self.meter_a,
            "instrument_a": self.instrument_a,
            "voltage_change_v": self.voltage_change_v,
            "noise_v": self.noise_v,
        }

    def __str__(self) -> str:
        return (
            f"{self.direction.verb}: meter {show(self.meter_a, 'A')}, {self.instrument} "
            f"{show(self.instrument_a, 'A')}, pack {1000 * self.voltage_change_v:+.1f} mV, "
            f"leads and switches {1000 * self.path_ohm:.1f} mOhm"
        )


def check_polarity(stand: Stand) -> list[PolarityStep]:
    """Force a small current each way and compare the witnesses.

    Raises:
        WiringError: a contradiction, naming the wire to look at.
        Inconclusive: the voltage does not move by five times its noise at any current allowed here.
    """
    steps = [_one_way(stand, direction) for direction in (Direction.CHARGE, Direction.DISCHARGE)]
    for step in steps:
        stand.note(f"polarity {step}")
    return steps


def _quiet_voltage(stand: Stand) -> tuple[float, float]:
    values = []
    for _ in range(READINGS):
        stand.clock.sleep(STEP_S)
        values.append(stand.reference.pack_voltage())
    mean = sum(values) / len(values)
    spread = (sum((value - mean) ** 2 for value in values) / (len(values) - 1)) ** 0.5
    return mean, max(spread, of_resolution(1e-4))


def _one_way(stand: Stand, direction: Direction) -> PolarityStep:
    stand.progress(f"polarity: {direction.verb} gently")
    rest_v, noise_v = _quiet_voltage(stand)
    largest_a = largest_current_a(stand, direction)
    seen = "nothing was tried"
    for magnitude_a in (value for value in CANDIDATES_A if value <= largest_a):
        step = _attempt(stand, direction, magnitude_a, rest_v, noise_v)
        seen = str(step)
        if abs(step.meter_a) < 0.5 * magnitude_a and abs(step.instrument_a) < 0.5 * magnitude_a:
            raise Inconclusive(
                f"{magnitude_a:g} A {direction.word} were forced and do not flow ({step}): is the BMS closed, the "
                "disconnect closed, the fuse whole?"
            )
        if abs(step.voltage_change_v) >= NOISE_FACTOR * noise_v:
            _compare(stand, step, magnitude_a)
            return step
    raise Inconclusive(
        f"the pack's voltage never moved by {NOISE_FACTOR:g} x its noise of {1000 * noise_v:.2f} mV ({seen}); "
        "allow a larger current or a better pack meter"
    )


def _attempt(stand: Stand, direction: Direction, magnitude_a: float, rest_v: float, noise_v: float) -> PolarityStep:
    part = driver_of(stand, direction)
    force(stand, direction.sign * magnitude_a)
    try:
        stand.clock.sleep(4 * STEP_S)
        meter_a = stand.reference.current()
        instrument_a = part.measure_current()
        pack_v = stand.reference.pack_voltage()
        terminal_v = part.measure_voltage()
    finally:
        release(stand)
    path_ohm = (terminal_v - pack_v) / meter_a if abs(meter_a) > 0.1 else 0.0
    return PolarityStep(direction, meter_a, instrument_a, pack_v - rest_v, noise_v, path_ohm, part.name)


def _compare(stand: Stand, step: PolarityStep, magnitude_a: float) -> None:
    way = step.direction.sign
    roles = stand.definition.roles
    meter, pack = roles["reference_meter"], roles["pack_meter"]
    voltage_right = step.voltage_change_v * way > 0
    meter_right = step.meter_a * way > 0
    if not voltage_right and not meter_right and stand.bidirectional is not None:
        raise WiringError(
            f"{step}: pack voltage and meter both say the opposite of {step.direction.verb}; look at the + and - "
            f"leads of {step.instrument} and at the sign of its driver"
        )
    if not voltage_right:
        raise WiringError(
            f"{step}: the pack's voltage moves the wrong way, although {step.instrument} can only "
            f"{step.direction.word}; look at the + and - leads of {pack}"
        )
    if not meter_right:
        raise WiringError(
            f"{step}: the meter shows the opposite direction; look at the sense leads of the reference shunt at "
            f"{meter}, or correct topology.reference_shunt.positive_means in {stand.definition.source.name}"
        )
    if step.instrument_a * way < 0:
        raise WiringError(f"{step}: {step.instrument} reports a current of the other sign than meter and voltage")
    allowed_a = AGREEMENT_FLOOR_A + AGREEMENT_SHARE * magnitude_a
    if abs(step.meter_a - step.instrument_a) > allowed_a:
        raise WiringError(
            f"{step}: meter and {step.instrument} differ by more than {allowed_a:.2f} A; check "
            f"topology.reference_shunt.ohm = {stand.reference.shunt.ohm:g} and that the shunt sits in the one "
            "branch common to source and sink"
        )
