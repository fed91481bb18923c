"""The Keithley DMM6500 as raw lines: readings, and waveforms of the shunt around an event."""

from __future__ import annotations

from math import exp
from typing import Any

import pytest

from bench.errors import DefinitionError

SHUNT_OHM = 0.0005


@pytest.fixture
def meter(raw_bench: Any) -> Any:
    return raw_bench.add("meter", "keithley_dmm6500", input="reference_shunt")


def digitise(meter: Any, *lines: str, range_v: float = 0.1) -> None:
    for line in ('DIG:FUNC "VOLT"', f"DIG:VOLT:RANG {range_v}", "DIG:VOLT:APER AUTO", *lines):
        meter.write(line, 0.001)
    assert meter.ask("SYST:ERR?") == '0,"No error"'


def around(meter: Any, *, level_v: float, slope: str, points: int, rate_hz: float, before_pct: float) -> None:
    digitise(
        meter,
        f"DIG:VOLT:SRATE {rate_hz:g}",
        "DIG:VOLT:ATR:MODE EDGE",
        f"DIG:VOLT:ATR:EDGE:LEV {level_v}",
        f"DIG:VOLT:ATR:EDGE:SLOP {slope}",
        f'TRAC:POIN {points},"defbuffer1"',
        f'TRIG:LOAD "LoopUntilEvent", ATRigger, {before_pct}, ENTer, 0, "defbuffer1"',
        range_v=1.0,
    )
    meter.send("INIT")
    meter.clock.sleep(0.0)


def fetched(meter: Any, count: int) -> tuple[list[float], list[float]]:
    words = [float(word) for word in meter.ask(f'TRAC:DATA? 1,{count},"defbuffer1",READ,REL').split(",")]
    return words[::2], words[1::2]


def accuracy_v(value_v: float, range_v: float = 0.1) -> float:
    return 3e-4 * (abs(value_v) + range_v) + 4 * 2.4 * range_v / 65536


def test_it_says_who_it_is_and_reads_volts(raw_bench: Any) -> None:
    meter = raw_bench.add("meter", "keithley_dmm6500", input="pack_side")
    assert meter.ask("*IDN?") == "KEITHLEY INSTRUMENTS,MODEL DMM6500,VIRTUAL-METER,1.7.12b"
    assert meter.ask("*LANG?") == "SCPI"
    for line in ('SENS:FUNC "VOLT"', "SENS:VOLT:RANG 100", "SENS:VOLT:NPLC 1", "SENS:VOLT:AZER OFF"):
        meter.write(line)
    before_s = meter.clock.now()
    assert float(meter.ask("READ?")) == pytest.approx(raw_bench.circuit.pack_side_v(), rel=1e-4)
    assert meter.clock.now() - before_s == pytest.approx(0.02, abs=1e-9)


def test_an_overload_is_9_9e37(raw_bench: Any) -> None:
    meter = raw_bench.add("meter", "keithley_dmm6500", input="pack_side")
    meter.write("SENS:VOLT:RANG 0.1")
    assert float(meter.ask("READ?")) == 9.9e37


def test_samples_taken_at_once_come_one_by_one_with_their_times(raw_bench: Any, meter: Any) -> None:
    raw_bench.circuit.supply.set(on=True, voltage_v=60.0, current_limit_a=50.0)
    meter.clock.sleep(0.5)
    digitise(meter, "DIG:VOLT:SRATE 10000", "DIG:COUN 100", 'TRAC:POIN 100,"defbuffer1"', "TRAC:FILL:MODE ONCE")
    meter.send('TRAC:TRIG:DIG "defbuffer1"')
    meter.clock.sleep(0.005)
    assert meter.ask('TRAC:ACT? "defbuffer1"') == "50"
    meter.clock.sleep(0.1)
    assert meter.ask('TRAC:ACT? "defbuffer1"') == "100"
    values_v, times_s = fetched(meter, 100)
    assert times_s == pytest.approx([k * 1e-4 for k in range(100)], abs=1e-9)
    assert all(v == pytest.approx(50.0 * SHUNT_OHM, abs=accuracy_v(0.025)) for v in values_v)
    assert len(set(values_v)) > 1, "noise of about a count"
    assert fetched(meter, 100) == (values_v, times_s)


def test_a_short_circuit_is_seen_with_its_rise_its_plateau_and_its_end(raw_bench: Any, meter: Any) -> None:
    """The BMS opens 250 us after the short; a hundred samples before, a million a second, triggered by the level."""
    circuit, clock = raw_bench.circuit, meter.clock
    around(meter, level_v=-0.02, slope="FALL", points=1000, rate_hz=1e6, before_pct=10)
    assert meter.ask("TRIG:STAT?").startswith("WAITING")
    clock.sleep(0.3)
    short_ns = clock.now_ns() + 50_321
    clock.at(short_ns * 1e-9, lambda: circuit.short.close(0.040))
    clock.at((short_ns + 250_000) * 1e-9, lambda: circuit.switches.set(charge=False, discharge=False))
    clock.sleep(0.01)
    assert meter.ask("TRIG:STAT?").startswith("IDLE")
    assert meter.ask("TRAC:ACT?") == "1000"
    values_v, times_s = fetched(meter, 1000)
    branch_ohm = 0.010 + 0.0005 + 0.0001 + 0.001 + circuit.pack.r0_sum_ohm
    end_v = -circuit.pack.inner_v() / (branch_ohm + 0.040) * SHUNT_OHM
    tau_s = (2e-3 + 2e-3 + 1e-4 + 1e-6) / (1.0 / branch_ohm + 1.0 / 0.040)
    assert all(abs(v) < accuracy_v(0.0, 1.0) for v in values_v[:60]), "before the short, at rest"
    assert values_v[100] <= -0.02 < values_v[98]
    assert times_s[100] == pytest.approx(100e-6, abs=1e-9)
    started = next(k for k, v in enumerate(values_v) if v < -1e-3)
    end = next(k for k, v in enumerate(values_v) if k > 150 and v > 0.5 * end_v)
    assert (end - started) * 1e-6 == pytest.approx(250e-6, abs=3e-6)
    for k in range(started + 2, end - 2, 10):
        # the average over the microsecond, from the moment of the short; half a sample of phase is left
        after_s = (k - started) * 1e-6
        low_v, high_v = (end_v * (1.0 - exp(-(after_s + d * 1e-6) / tau_s)) for d in (-1.0, 2.0))
        assert high_v - accuracy_v(0.5, 1.0) <= values_v[k] <= low_v + accuracy_v(0.5, 1.0)
    assert all(abs(v) < accuracy_v(0.0, 1.0) for v in values_v[end + 2 :])


def test_the_charge_let_through_does_not_depend_on_the_rate(new_raw_bench: Any) -> None:
    charges_c = []
    for rate_hz in (50_000.0, 1e6):
        bench = new_raw_bench(1)
        meter = bench.add("meter", "keithley_dmm6500", input="reference_shunt")
        around(meter, level_v=-0.01, slope="FALL", points=round(2e-3 * rate_hz), rate_hz=rate_hz, before_pct=20)
        meter.clock.sleep(0.1)
        bench.circuit.short.close(0.040)
        meter.clock.sleep(400e-6)
        bench.circuit.switches.set(charge=False, discharge=False)
        meter.clock.sleep(0.01)
        values_v, _ = fetched(meter, round(2e-3 * rate_hz))
        charges_c.append(sum(values_v) / SHUNT_OHM / rate_hz)
    assert charges_c[0] == pytest.approx(charges_c[1], rel=2e-3)
    assert charges_c[0] < -0.1


@pytest.mark.parametrize(("slope", "at_rest_before"), [("RIS", True), ("FALL", False)])
def test_the_edge_is_taken_in_the_direction_that_was_asked_for(
    raw_bench: Any, meter: Any, slope: str, at_rest_before: bool
) -> None:
    around(meter, level_v=0.010, slope=slope, points=100, rate_hz=1e5, before_pct=50)
    meter.clock.sleep(0.1)
    raw_bench.circuit.bidirectional.disconnected = True
    raw_bench.circuit.supply.set(on=True, voltage_v=60.0, current_limit_a=50.0)
    meter.clock.sleep(0.1)
    raw_bench.circuit.switches.set(charge=False, discharge=False)
    meter.clock.sleep(0.1)
    values_v, _ = fetched(meter, 100)
    assert (abs(values_v[0]) < 0.001) is at_rest_before
    assert (values_v[-1] > 0.02) is at_rest_before


def test_without_its_level_it_waits_and_can_be_stopped(raw_bench: Any, meter: Any) -> None:
    around(meter, level_v=-0.05, slope="FALL", points=1000, rate_hz=1e5, before_pct=50)
    meter.clock.sleep(5.0)
    assert meter.ask("TRIG:STAT?").startswith("WAITING")
    meter.send("READ?")
    assert meter.quiet()
    meter.write("ABOR")
    assert meter.ask("TRIG:STAT?").startswith("IDLE")
    meter.write('SENS:FUNC "VOLT"')
    assert meter.ask("SYST:ERR?").startswith("-221")
    meter.write("SENS:VOLT:RANG 0.1")
    assert abs(float(meter.ask("READ?"))) < 1e-4


def test_a_level_that_is_only_touched_between_two_readings_is_not_overlooked(raw_bench: Any, meter: Any) -> None:
    """A pulse of 20 us, while nobody looks for a second."""
    around(meter, level_v=-0.02, slope="FALL", points=200, rate_hz=1e6, before_pct=25)
    clock, circuit = meter.clock, raw_bench.circuit
    at_s = clock.now() + 0.5
    clock.at(at_s, lambda: circuit.short.close(0.005))
    clock.at(at_s + 20e-6, circuit.short.open)
    clock.sleep(1.0)
    values_v, _ = fetched(meter, 200)
    assert min(values_v) < -0.02
    assert values_v[48] > -0.02 >= values_v[50]


def test_looking_does_not_disturb_the_circuit(new_raw_bench: Any) -> None:
    seen = []
    for watched in (False, True):
        bench = new_raw_bench(1)
        meter = bench.add("meter", "keithley_dmm6500", input="reference_shunt")
        if watched:
            around(meter, level_v=-0.01, slope="FALL", points=100, rate_hz=1e6, before_pct=50)
        meter.clock.sleep_until(1.0)
        bench.circuit.load.set(on=True, current_a=60.0)
        for _ in range(5):
            meter.clock.sleep(0.3)
            if watched:
                meter.ask("TRAC:ACT?")
        seen.append((bench.circuit.pack_current_a(), bench.circuit.bus_v()))
    assert seen[0] == seen[1]


def test_a_sample_beyond_the_range_is_an_overload(raw_bench: Any, meter: Any) -> None:
    digitise(meter, "DIG:VOLT:SRATE 1000000", "DIG:COUN 20", 'TRAC:POIN 20,"defbuffer1"')
    raw_bench.circuit.short.close(0.001)
    meter.clock.sleep(0.01)
    meter.write('TRAC:TRIG:DIG "defbuffer1"')
    values_v, _ = fetched(meter, 20)
    assert set(values_v) == {-9.9e37}


def test_what_it_cannot_do_is_refused_and_queued(raw_bench: Any, meter: Any) -> None:
    for text, code in (
        ("DIG:VOLT:SRATE 2000000", -222),
        ("DIG:VOLT:SRATE 10", -222),
        ("TRAC:POIN 5", -222),
        ('DIG:FUNC "CURR"', -224),
        ('TRAC:CLE "other"', -224),
        ('TRIG:LOAD "SimpleLoop", 3', -224),
        ("INIT", -221),
        ("NONSENSE 1", -113),
    ):
        meter.write(text)
        assert meter.ask("SYST:ERR?").startswith(f"{code},"), text
    meter.send("TRAC:DATA? 1,10")
    assert meter.quiet()
    elsewhere = raw_bench.add("other", "keithley_dmm6500", input="pack_side")
    elsewhere.write('DIG:FUNC "VOLT"')
    elsewhere.write("TRAC:TRIG:DIG")
    assert elsewhere.ask("SYST:ERR?").startswith("-221,")


def test_an_input_that_is_no_place_is_refused(raw_bench: Any) -> None:
    with pytest.raises(DefinitionError, match="not a place on the circuit"):
        raw_bench.instruments.add("meter", "keithley_dmm6500", {"input": "cell_3"})
