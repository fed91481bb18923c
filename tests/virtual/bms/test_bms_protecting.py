"""The BMS in its circuit: what it measures, when it opens, what keeps flowing, when it closes again."""

from __future__ import annotations

import pytest

from bench.errors import DefinitionError
from bench.simulated_clock import SimulatedClock
from instruments.virtual.bms import VirtualBms
from instruments.virtual.circuit import Circuit
from instruments.virtual.pack import Pack


def flows_a(rig):
    return rig.circuit.pack_current_a()


def test_a_healthy_unit_reads_the_true_current_within_its_promise(make_rig):
    for seed in range(5):
        rig = make_rig("seplos_v3", seed=seed)
        rig.start()
        for true_a in (-100.0, -1.37, 0.0, 1.37, 100.0):
            rig.circuit.knob_a = true_a
            rig.sleep(0.3)
            assert abs(rig.count() * 0.01 - true_a) <= 0.01 * abs(true_a) + 0.3


def test_discharge_overcurrent_stops_the_discharge_and_leaves_charging_possible(make_rig):
    rig = make_rig("seplos_v3")
    rig.start()
    rig.discharge(115.0)
    took_s = rig.until(lambda: abs(flows_a(rig)) < 0.1, limit_s=12.0)
    assert 9.0 < took_s < 11.0
    assert took_s == pytest.approx(rig.bms.truth.delays_s["discharge_overcurrent_1"], abs=0.06)
    assert rig.bms.truth.closed == {"charge"}
    assert rig.bit(0x2224) == 1, "discharge over-current"
    assert rig.bit(0x2221) == 0, "charge over-current"
    assert (rig.bit(0x2238), rig.bit(0x2239)) == (0, 1), "switches: discharge, charge"
    rig.charge(20.0)
    rig.sleep(1.0)
    assert flows_a(rig) == pytest.approx(20.0, abs=0.1), "through the body diode of the open switch"


def test_charge_overcurrent_stops_the_charge_only(make_rig):
    rig = make_rig("seplos_v3")
    rig.start()
    rig.charge(115.0)
    took_s = rig.until(lambda: abs(flows_a(rig)) < 0.1, limit_s=12.0)
    assert 9.0 < took_s < 11.0
    assert rig.bms.truth.closed == {"discharge"}
    assert (rig.bit(0x2221), rig.bit(0x2224)) == (1, 0)
    rig.discharge(20.0)
    rig.sleep(1.0)
    assert flows_a(rig) == pytest.approx(-20.0, abs=0.1)


def test_it_stays_quiet_just_inside_its_tolerance_for_twice_the_longest_delay(make_rig):
    for seed in range(3):
        rig = make_rig("seplos_v3", seed=seed)
        rig.start()
        rig.discharge(106.9)
        rig.sleep(22.0)
        assert rig.bms.truth.closed == {"charge", "discharge"}
        assert rig.bit(0x2223) == 1, "the warning at 105 A ± 2.5 A only raises its flag"
        assert rig.bit(0x2224) == 0


def test_the_warning_goes_when_the_current_is_back_at_its_release_value(make_rig):
    rig = make_rig("seplos_v3", perfect=True)
    rig.start()
    rig.circuit.knob_a = -108.0
    rig.sleep(3.0)
    assert rig.bit(0x2223) == 1
    rig.circuit.knob_a = -103.5
    rig.sleep(3.0)
    assert rig.bit(0x2223) == 1, "between release value and threshold"
    rig.circuit.knob_a = -102.9
    rig.sleep(0.2)
    assert rig.bit(0x2223) == 0


def test_it_closes_again_by_itself_after_the_release_time(make_rig):
    rig = make_rig("seplos_v3")
    rig.start()
    rig.discharge(115.0)
    rig.until(lambda: "discharge" not in rig.bms.closed, limit_s=12.0)
    rig.rest()
    took_s = rig.until(lambda: "discharge" in rig.bms.closed, limit_s=70.0, step_s=0.01)
    assert took_s == pytest.approx(60.0, abs=0.12)
    assert rig.bit(0x2224) == 0


def test_the_fifth_trip_locks_until_the_power_is_cycled(make_rig):
    rig = make_rig("seplos_v3")
    rig.start()
    for trip in range(1, 6):
        rig.discharge(115.0)
        rig.until(lambda: "discharge" not in rig.bms.closed, limit_s=12.0, step_s=0.1)
        assert rig.bms.truth.trips["discharge_overcurrent_1"] == trip
        rig.rest()
        if trip < 5:
            rig.until(lambda: "discharge" in rig.bms.closed, limit_s=70.0, step_s=0.1)
    rig.sleep(600.0)
    assert "discharge" not in rig.bms.closed
    assert rig.bms.truth.locked == ("discharge_overcurrent_1",)
    rig.bms.power_off()
    rig.bms.power_on()
    rig.sleep(2.0)
    assert rig.bms.truth.closed == {"charge", "discharge"}
    assert rig.bms.truth.trips["discharge_overcurrent_1"] == 0


def test_the_switch_opens_at_its_own_instant_not_on_the_sampling_grid(make_rig):
    rig = make_rig("seplos_v3", seed=4)
    rig.start()
    began_s = rig.clock.now()
    rig.discharge(115.0)
    rig.sleep(9.0)
    fine_s = 1e-5
    rig.until(lambda: abs(flows_a(rig)) < 0.1, limit_s=2.0, step_s=fine_s)
    opened_s = rig.clock.now()
    row = next(row for row in rig.bms.unit.protections if row.row.name == "discharge_overcurrent_1")
    # power-on at 0 s, samples every 0.1 s; the first bad sample is the first one after the step
    first_bad = int(began_s / 0.1 + 1e-6) + 1
    expected_s = (first_bad + row.samples - 1) * 0.1 + row.switch_s
    assert opened_s == pytest.approx(expected_s, abs=2 * fine_s)


def test_cell_overvoltage_trips_on_the_highest_cell_and_needs_the_cells_to_come_back(make_rig):
    rig = make_rig("seplos_v3", soc_pct=100.0)
    rig.start()
    rig.charge(50.0, voltage_v=70.0)
    rig.until(lambda: "charge" not in rig.bms.closed, limit_s=600.0, step_s=0.05)
    highest_v = max(rig.circuit.pack.cell_voltages_v(0.0))
    assert 3.5 < highest_v < 3.75
    assert rig.bms.truth.tripped == ("cell_overvoltage_1",)
    assert rig.bms.truth.closed == {"discharge"}
    rig.rest()
    rig.sleep(60.0)
    assert "charge" not in rig.bms.closed, "at rest the cells stay above the release value of 3.400 V"
    rig.discharge(50.0)
    rig.until(lambda: "charge" in rig.bms.closed, limit_s=300.0, step_s=0.1)
    assert max(rig.circuit.pack.cell_voltages_v(flows_a(rig))) == pytest.approx(3.400, abs=0.005)


def test_hot_cells_open_the_charge_switch_and_later_the_discharge_switch(make_rig):
    rig = make_rig("seplos_v3")
    rig.start()
    rig.circuit.pack.ambient_degc = 90.0
    rig.until(lambda: "charge" not in rig.bms.closed, limit_s=20000.0, step_s=1.0)
    assert max(rig.circuit.pack.temperatures_degc()) == pytest.approx(55.0, abs=2.0)
    assert "discharge" in rig.bms.closed
    rig.until(lambda: "discharge" not in rig.bms.closed, limit_s=20000.0, step_s=1.0)
    assert max(rig.circuit.pack.temperatures_degc()) == pytest.approx(60.0, abs=2.0)


def test_charge_is_counted_by_the_hour(make_rig):
    rig = make_rig("seplos_v3", perfect=True)
    rig.start()
    before_pct = rig.bms.truth.soc_pct
    raw_before = int.from_bytes(rig.ask(1, 4, 0x1002, 1), "big")
    rig.circuit.knob_a = -36.0
    rig.sleep(500.0)
    assert rig.bms.truth.soc_pct - before_pct == pytest.approx(-5.0, abs=0.002)  # 36 A x 500 s = 5 Ah of 100 Ah
    assert raw_before - int.from_bytes(rig.ask(1, 4, 0x1002, 1), "big") == pytest.approx(500, abs=1)  # 10 mAh each


def test_the_state_of_charge_begins_within_one_percent_of_the_truth(make_rig):
    for seed in range(5):
        rig = make_rig("foxbms_2", seed=seed, soc_pct=62.0)
        rig.bms.power_on()
        assert abs(rig.bms.truth.soc_pct - rig.circuit.pack.soc_pct()) <= 1.0


def test_a_reset_is_a_new_unit_just_powered(make_rig):
    rig = make_rig("foxbms_2", seed=1)
    other = make_rig("foxbms_2", seed=2)
    rig.start()
    rig.bms.reset(2)
    assert rig.bms.unit == other.bms.unit
    assert rig.bms.truth.closed == frozenset()
    assert not rig.circuit.switches.charge_closed


def test_evidence_does_not_depend_on_when_the_unit_was_powered(make_rig):
    """Noise and phases count from power-on: a test sees the same unit whatever ran before it."""
    seen = []
    for waited_s in (0.0, 123.4567):
        rig = make_rig("foxbms_2")
        rig.sleep(waited_s)
        rig.circuit.knob_a = 0.0
        began_s = rig.clock.now()
        rig.bms.power_on()
        rig.sleep(3.0)
        seen.append([(round(frame.at_s - began_s, 6), frame.can_id, frame.data) for frame in rig.frames])
    # the pack rested longer in the second case: cell and pack voltages may differ by a count, nothing else may
    compared = [[row for row in run if row[1] not in (0x231, 0x233, 0x250)] for run in seen]
    assert compared[0] == compared[1]
    assert len(compared[0]) > 100
    assert [row[:2] for row in seen[0]] == [row[:2] for row in seen[1]]


def test_a_circuit_that_does_not_fit_the_profile_is_refused(profiles):
    clock = SimulatedClock()
    circuit = Circuit(Pack.demonstration(seed=1), now_ns=clock.now_ns, topology="separate")
    with pytest.raises(DefinitionError, match=r"the circuit has separate switches .* the profile common"):
        VirtualBms(profiles["foxbms_2"], circuit=circuit, clock=clock, seed=1)
    circuit = Circuit(Pack.demonstration(seed=1, cells=15), now_ns=clock.now_ns, topology="separate")
    with pytest.raises(DefinitionError, match="15 cells"):
        VirtualBms(profiles["seplos_v3"], circuit=circuit, clock=clock, seed=1)
