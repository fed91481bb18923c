"""What any safety input and any cell monitor promises: every driver against its virtual face, in simulated time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bench.errors import InstrumentError, InstrumentTimeout
from instruments import catalogue
from instruments.virtual.instruments import StartedInstrument, start_instrument


def _those(role: str) -> list[Any]:
    return [pytest.param(facts, id=facts.name) for facts in catalogue.scan() if facts.role == role]


@pytest.fixture
def opened(request: pytest.FixtureRequest) -> Iterator[tuple[Any, StartedInstrument]]:
    """One driver and the face that it talks to."""
    facts = request.param
    driver_class = catalogue.load(facts.folder, facts.name)
    try:
        started = start_instrument(facts.name)
        with started as face:
            driver = driver_class.open(
                "dut",
                face.address,
                clock=face.clock,
                record=lambda dialogue: None,
                timeout_s=1.0,
                options=driver_class.example_options,
            )
            yield driver, face
            driver.close()
    except LookupError as problem:
        pytest.skip(f"{facts.name}: {problem}")


any_input = pytest.mark.parametrize("opened", _those("safety_input"), indirect=True)
any_monitor = pytest.mark.parametrize("opened", _those("cell_monitor"), indirect=True)


@any_input
class TestEverySafetyInput:
    """It tells what is so now, or nothing."""

    def test_it_tells_the_loop_as_it_is_now(self, opened: tuple[Any, StartedInstrument]) -> None:
        driver, face = opened
        assert driver.is_clear()
        for closed in (False, True, False):
            face.instruments.set_input("dut", closed)
            assert driver.is_clear() is closed

    def test_silence_is_never_clear(self, opened: tuple[Any, StartedInstrument]) -> None:
        driver, face = opened
        assert driver.is_clear()
        face.fault("silent")
        with pytest.raises(InstrumentTimeout):
            driver.is_clear()
        face.instruments.set_input("dut", False)
        face.fault("none")
        assert not driver.is_clear()

    def test_a_mutilated_answer_is_never_clear(self, opened: tuple[Any, StartedInstrument]) -> None:
        driver, face = opened
        for fault in ("crc_error", "partial", "connection_reset"):
            face.fault(fault)
            with pytest.raises(InstrumentError):
                driver.is_clear()
            face.fault("none")
            assert driver.is_clear()


@any_monitor
class TestEveryCellMonitor:
    """Each cell and each sensor, as it is now, or an error that names it."""

    def test_it_measures_the_cells_in_their_order(self, opened: tuple[Any, StartedInstrument]) -> None:
        driver, face = opened
        pack = face.circuit.pack
        for current_a in (0.0, 80.0):
            face.circuit.supply.set(on=True, voltage_v=60.0, current_limit_a=current_a)
            face.clock.sleep(1.0)
            expected = pack.cell_voltages_v(face.circuit.pack_current_a())
            measured = driver.measure_cell_voltages()
            assert measured == pytest.approx(expected[: len(measured)], abs=1e-3)

    def test_it_measures_each_sensor_by_its_name(self, opened: tuple[Any, StartedInstrument]) -> None:
        driver, face = opened
        measured = driver.measure_temperatures()
        assert measured
        assert all(value == pytest.approx(face.circuit.pack.ambient_degc, abs=3.0) for value in measured.values())

    def test_volts_and_temperatures_may_be_asked_in_turn(self, opened: tuple[Any, StartedInstrument]) -> None:
        driver, _face = opened
        for _ in range(3):
            assert all(3.0 < value_v < 3.6 for value_v in driver.measure_cell_voltages())
            assert all(15.0 < value < 35.0 for value in driver.measure_temperatures().values())

    def test_an_open_sensor_is_an_error_and_no_number(self, opened: tuple[Any, StartedInstrument]) -> None:
        driver, face = opened
        face.fault("open_thermocouple")
        with pytest.raises(InstrumentError) as problem:
            driver.measure_temperatures()
        assert any(name in str(problem.value) for name in driver.example_options["sensors"])
        assert all(3.0 < value_v < 3.6 for value_v in driver.measure_cell_voltages())
        face.fault("none")
        assert driver.measure_temperatures()

    def test_it_measures_again_after_a_silence(self, opened: tuple[Any, StartedInstrument]) -> None:
        driver, face = opened
        before = driver.measure_cell_voltages()
        face.fault("silent")
        with pytest.raises(InstrumentTimeout):
            driver.measure_cell_voltages()
        face.fault("none")
        assert driver.measure_cell_voltages() == pytest.approx(before, abs=1e-3)

    def test_another_client_that_configures_it_is_named_or_survived_but_never_a_wrong_number(
        self, opened: tuple[Any, StartedInstrument]
    ) -> None:
        driver, face = opened
        before = driver.measure_cell_voltages()
        driver_class = type(driver)
        other = driver_class.open(
            "other", face.address, clock=face.clock, record=lambda dialogue: None, options=driver_class.example_options
        )
        assert other.measure_temperatures()
        other.close()
        _same_or_refused(driver, before)

    def test_a_power_cycle_is_named_or_survived_but_never_a_wrong_number(
        self, opened: tuple[Any, StartedInstrument]
    ) -> None:
        driver, face = opened
        before = driver.measure_cell_voltages()
        face.fault("power_cycle")
        face.fault("none")
        _same_or_refused(driver, before)


def _same_or_refused(driver: Any, before: tuple[float, ...]) -> None:
    try:
        after = driver.measure_cell_voltages()
    except InstrumentError:
        return
    assert after == pytest.approx(before, abs=1e-3)
