"""What takes the place of cells and sensors, feeds the BMS or digitises: any driver of those roles, over its face.

Only words of `bench.emulator_roles` and `bench.roles`; what is asked of the driver is looked for in the circuit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from bench.emulator_roles import CellEmulator, Digitiser, TemperatureEmulator
from bench.errors import InstrumentError, OutOfRange
from instruments import catalogue
from instruments.virtual.instruments import start_instrument

Start = Callable[..., tuple[Any, Any]]


def _loaded(facts: catalogue.DriverFacts) -> Any:
    return catalogue.load(facts.folder, facts.name)


def _those(fits: Callable[[catalogue.DriverFacts], bool]) -> list[Any]:
    return [pytest.param(facts, id=facts.name) for facts in catalogue.scan() if fits(facts)]


any_digitiser = pytest.mark.parametrize("facts", _those(lambda f: hasattr(_loaded(f), "arm_digitiser")))
any_cell_emulator = pytest.mark.parametrize("facts", _those(lambda f: f.folder == "cell_emulators"))
any_sensor_emulator = pytest.mark.parametrize("facts", _those(lambda f: f.folder == "temperature"))
any_auxiliary = pytest.mark.parametrize("facts", _those(lambda f: f.folder == "auxiliary"))


@pytest.fixture
def start() -> Iterator[Start]:
    """Open drivers against their faces; everything is closed at the end."""
    with ExitStack() as stack:

        def open_driver(facts: catalogue.DriverFacts, options: dict[str, object] | None = None) -> tuple[Any, Any]:
            face = stack.enter_context(start_instrument(facts.name, options=options))
            driver = _loaded(facts).open(
                "dut",
                face.address,
                clock=face.clock,
                record=lambda _: None,
                timeout_s=2.0,
                options=getattr(_loaded(facts), "example_options", {}),
            )
            stack.callback(driver.close)
            driver.identify()
            return driver, face

        yield open_driver


@any_digitiser
class TestEveryDigitiser:
    """A short circuit that the BMS opens after 250 us, on the reference shunt."""

    def test_it_catches_the_event_with_what_was_before(self, start: Start, facts: catalogue.DriverFacts) -> None:
        meter, face = start(facts, {"input": "reference_shunt"})
        assert isinstance(meter, Digitiser)
        meter.arm_digitiser(range_v=1.0, rate_hz=1e6, duration_s=1e-3, level_v=-0.05, rising=False, before_s=100e-6)
        assert not meter.has_triggered()
        at_s, circuit = face.clock.now() + 0.2, face.circuit
        face.clock.at(at_s, lambda: circuit.short.close(0.040))
        face.clock.at(at_s + 250e-6, lambda: circuit.switches.set(charge=False, discharge=False))
        face.clock.sleep(1.0)
        assert meter.has_triggered()
        wave = meter.fetch_waveform()
        assert wave.step_s == pytest.approx(1e-6)
        assert wave.start_s == pytest.approx(-100e-6, abs=2e-6)
        assert len(wave.values) == pytest.approx(1000, abs=1)
        current_a = [value / circuit.reference_shunt_ohm for value in wave.values]
        flowing = [k for k, value in enumerate(current_a) if value < -100.0]
        assert len(flowing) * wave.step_s == pytest.approx(250e-6, abs=8e-6)
        assert wave.at_s(flowing[0]) == pytest.approx(0.0, abs=5e-6)
        assert abs(current_a[10]) < 1.0
        meter.disarm_digitiser()
        meter.set_range(0.1)
        assert abs(meter.measure_voltage()) < 1e-4

    def test_without_an_event_it_waits_and_can_be_disarmed(self, start: Start, facts: catalogue.DriverFacts) -> None:
        meter, face = start(facts, {"input": "reference_shunt"})
        meter.arm_digitiser(range_v=0.1, rate_hz=1e5, duration_s=0.01, level_v=-0.05, rising=False, before_s=0.001)
        face.clock.sleep(5.0)
        assert not meter.has_triggered()
        with pytest.raises(InstrumentError):
            meter.fetch_waveform()
        meter.disarm_digitiser()
        meter.set_range(0.1)
        assert abs(meter.measure_voltage()) < 1e-4

    def test_an_overloaded_sample_is_an_error_and_no_number(self, start: Start, facts: catalogue.DriverFacts) -> None:
        meter, face = start(facts, {"input": "reference_shunt"})
        meter.arm_digitiser(range_v=0.1, rate_hz=1e6, duration_s=1e-3, level_v=-0.05, rising=False, before_s=100e-6)
        face.clock.at(face.clock.now() + 0.2, lambda: face.circuit.short.close(0.005))
        face.clock.sleep(1.0)
        with pytest.raises(InstrumentError):
            meter.fetch_waveform()

    def test_faster_or_longer_than_it_can_is_refused(self, start: Start, facts: catalogue.DriverFacts) -> None:
        meter, _ = start(facts, {"input": "reference_shunt"})
        fine = {"range_v": 0.1, "rate_hz": 1e5, "duration_s": 0.01, "level_v": 0.01, "rising": True, "before_s": 0.001}
        for change in ({"rate_hz": 1e9}, {"duration_s": 1e6}, {"range_v": 1e6}, {"before_s": 1.0}):
            with pytest.raises(OutOfRange):
                meter.arm_digitiser(**{**fine, **change})


@any_cell_emulator
class TestEveryCellEmulator:
    """Set, read back, measured, off."""

    def test_cells_are_set_switched_on_measured_and_switched_off(
        self, start: Start, facts: catalogue.DriverFacts
    ) -> None:
        emulator, _ = start(facts)
        assert isinstance(emulator, CellEmulator)
        emulator.take_control()
        wanted_v = tuple(3.0 + 0.02 * k for k in range(emulator.cells))
        emulator.set_cell_current_limit(0.1)
        emulator.set_cell_voltages(wanted_v)
        assert not emulator.are_outputs_on()
        emulator.outputs_on()
        assert emulator.are_outputs_on()
        assert emulator.measure_cell_voltages() == pytest.approx(wanted_v, abs=2e-3)
        emulator.set_cell_voltage(2, 3.65)
        assert emulator.measure_cell_voltages()[:3] == pytest.approx((3.0, 3.65, 3.04), abs=2e-3)
        assert emulator.measure_cell_currents() == pytest.approx([0.0] * emulator.cells, abs=1e-4)
        emulator.outputs_off()
        assert not emulator.are_outputs_on()
        assert emulator.measure_cell_voltages() == pytest.approx([0.0] * emulator.cells, abs=2e-3)

    def test_what_it_ignores_is_an_error(self, start: Start, facts: catalogue.DriverFacts) -> None:
        emulator, face = start(facts)
        emulator.take_control()
        face.fault("refuse_values")
        with pytest.raises(InstrumentError):
            emulator.set_cell_voltage(1, 3.3)
        face.fault("none")
        emulator.set_cell_current_limit(0.1)
        emulator.set_cell_voltage(1, 3.3)
        emulator.outputs_on()
        face.fault("stuck_output")
        with pytest.raises(InstrumentError):
            emulator.outputs_off()


@any_sensor_emulator
class TestEverySensorEmulator:
    """The resistance that it says is the one that the BMS sees."""

    def test_it_says_what_really_lies_there(self, start: Start, facts: catalogue.DriverFacts) -> None:
        emulator, face = start(facts)
        assert isinstance(emulator, TemperatureEmulator)
        for name in emulator.sensors():
            sensor = int(name.removeprefix("cell_"))
            reached = [emulator.set_resistance(name, ohm) for ohm in (10_000.0, 8_000.0)]
            face.clock.sleep(0.1)
            assert reached[0] == pytest.approx(10_000.0, rel=0.1)
            assert face.circuit.dut.sensors.ohm(sensor, 25.0) == pytest.approx(reached[1], rel=1e-6)
            emulator.open_sensor(name)
            face.clock.sleep(0.1)
            assert face.circuit.dut.sensors.ohm(sensor, 25.0) == float("inf")

    def test_a_short_is_one_or_an_error_that_changes_nothing(self, start: Start, facts: catalogue.DriverFacts) -> None:
        emulator, face = start(facts)
        for name in emulator.sensors():
            sensor = int(name.removeprefix("cell_"))
            reached_ohm = emulator.set_resistance(name, 10_000.0)
            face.clock.sleep(0.1)
            try:
                emulator.short_sensor(name)
                expected_ohm = 0.0
            except OutOfRange:
                expected_ohm = reached_ohm
            face.clock.sleep(0.1)
            assert face.circuit.dut.sensors.ohm(sensor, 25.0) == pytest.approx(expected_ohm)

    def test_what_is_not_near_enough_is_refused(self, start: Start, facts: catalogue.DriverFacts) -> None:
        emulator, _ = start(facts)
        for ohm in (-1.0, 0.0, 1e-3, 1e12, float("nan"), float("inf")):
            with pytest.raises(OutOfRange):
                emulator.set_resistance(emulator.sensors()[0], ohm)


@any_auxiliary
class TestEveryAuxiliarySupply:
    """The BMS lives on it."""

    def test_the_bms_is_fed_and_no_longer_fed(self, start: Start, facts: catalogue.DriverFacts) -> None:
        supply, face = start(facts)
        supply.take_control()
        assert not face.circuit.dut.supply.fed
        supply.set_voltage(24.0)
        supply.set_current_limit(0.5)
        supply.output_on()
        face.clock.sleep(0.1)
        assert face.circuit.dut.supply.fed
        assert supply.measure_voltage() == pytest.approx(24.0, abs=0.05)
        assert supply.measure_current() == pytest.approx(face.circuit.dut.supply.current_a(), abs=0.01)
        assert supply.get_regulation() == "CV"
        supply.set_current_limit(0.02)
        assert supply.get_regulation() == "CC"
        supply.output_off()
        face.clock.sleep(1.0)
        assert not supply.is_output_on()
        assert not face.circuit.dut.supply.fed

    def test_an_output_that_ignores_being_switched_off_is_an_error(
        self, start: Start, facts: catalogue.DriverFacts
    ) -> None:
        supply, face = start(facts)
        supply.take_control()
        supply.set_voltage(12.0)
        supply.output_on()
        face.fault("stuck_output")
        with pytest.raises(InstrumentError):
            supply.output_off()
