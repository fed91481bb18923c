"""The Rigol DP800 as raw lines, feeding the BMS."""

from __future__ import annotations

from typing import Any

import pytest

from bench.errors import DefinitionError
from instruments.virtual.dut_supply import INPUT_OHM


@pytest.fixture
def supply(raw_bench: Any) -> Any:
    return raw_bench.add("aux", "rigol_dp800", channel=1)


def test_it_says_who_it_is(supply: Any) -> None:
    assert supply.ask("*IDN?") == "RIGOL TECHNOLOGIES,DP832A,VIRTUAL-AUX,00.01.16"


@pytest.mark.parametrize(
    "lines",
    [
        (":SOUR1:VOLT 24", ":SOUR1:CURR 0.5", ":OUTP CH1,ON"),
        (":APPL CH1,24,0.5", ":OUTP CH1,ON"),
        ("INST:NSEL 1", "SOUR:VOLT 24", "SOUR:CURR 0.5", "OUTP ON"),
    ],
)
def test_both_dialects_switch_the_same_channel_on(raw_bench: Any, supply: Any, lines: tuple[str, ...]) -> None:
    for line in lines:
        supply.write(line)
    assert supply.ask("SYST:ERR?") == '0,"No error"'
    assert supply.ask(":OUTP? CH1") == "ON"
    assert float(supply.ask(":SOUR1:VOLT?")) == 24.0
    assert supply.ask(":APPL? CH1") == "CH1:30V/3A,24.000,0.5000"
    volts, amperes, watts = (float(word) for word in supply.ask(":MEAS:ALL? CH1").split(","))
    assert volts == pytest.approx(24.0, abs=0.02)
    assert amperes == pytest.approx(24.0 / INPUT_OHM, abs=0.006)
    assert watts == pytest.approx(volts * amperes, abs=3e-3)
    assert supply.ask(":OUTP:MODE? CH1") == supply.ask(":OUTP:CVCC? CH1") == "CV"
    assert raw_bench.circuit.dut.supply.fed


def test_off_it_feeds_nothing_and_regulates_nothing(raw_bench: Any, supply: Any) -> None:
    supply.write(":APPL CH1,24,0.5")
    assert not raw_bench.circuit.dut.supply.fed
    assert supply.ask(":OUTP? CH1") == "OFF"
    assert supply.ask(":OUTP:MODE? CH1") == "UR"
    assert float(supply.ask(":MEAS:CURR? CH1")) == 0.0


def test_at_its_current_limit_the_voltage_falls_and_the_bms_with_it(raw_bench: Any, supply: Any) -> None:
    supply.write(":APPL CH1,24,0.5")
    supply.write(":OUTP CH1,ON")
    supply.write(":SOUR1:CURR 0.02")
    assert supply.ask(":OUTP:MODE? CH1") == "CC"
    assert float(supply.ask(":MEAS:VOLT? CH1")) == pytest.approx(0.02 * INPUT_OHM, abs=0.02)
    supply.clock.sleep(0.5)
    assert not raw_bench.circuit.dut.supply.fed


def test_a_trip_is_latched_until_it_is_cleared(raw_bench: Any, supply: Any) -> None:
    for line in (":APPL CH1,24,0.5", ":OUTP:OVP:VAL CH1,20", ":OUTP:OVP CH1,ON", ":OUTP CH1,ON"):
        supply.write(line)
    assert supply.ask(":OUTP? CH1") == "OFF"
    assert supply.ask(":OUTP:OVP:QUES? CH1") == supply.ask(":OUTP:OVP:ALAR? CH1") == "YES"
    supply.write(":SOUR1:VOLT 12")
    supply.write(":OUTP CH1,ON")
    assert supply.ask("SYST:ERR?").startswith("-221,")
    assert supply.ask(":OUTP? CH1") == "OFF"
    supply.write(":OUTP:OVP:CLEAR CH1")
    assert supply.ask(":OUTP? CH1") == "OFF"
    supply.write(":OUTP CH1,ON")
    assert supply.ask(":OUTP? CH1") == "ON"
    for line in (":OUTP:OCP:VAL CH1,0.04", ":OUTP:OCP CH1,ON"):
        supply.write(line)
    supply.clock.sleep(0.1)
    assert supply.ask(":OUTP:OCP:QUES? CH1") == "YES"
    assert supply.ask(":OUTP? CH1") == "OFF"


def test_the_range_may_be_overrun_a_little_and_no_further(supply: Any) -> None:
    supply.write(":SOUR1:VOLT 32")
    supply.write(":SOUR1:CURR 3.2")
    assert supply.ask("SYST:ERR?") == '0,"No error"'
    supply.write(":SOUR1:VOLT 32.1")
    assert supply.ask("SYST:ERR?").startswith("-222,")
    assert float(supply.ask(":SOUR1:VOLT?")) == 32.0


def test_another_channel_leaves_the_bms_alone(raw_bench: Any, supply: Any) -> None:
    supply.write(":APPL CH2,24,0.5")
    supply.write(":OUTP CH2,ON")
    assert float(supply.ask(":MEAS:VOLT? CH2")) == pytest.approx(24.0, abs=0.02)
    assert not raw_bench.circuit.dut.supply.fed
    for text, code in ((":OUTP CH4,ON", -222), (":OUTP X,ON", -224), (":APPL CH1,5", -109), ("BOGUS", -113)):
        supply.write(text)
        assert supply.ask("SYST:ERR?").startswith(f"{code},"), text


def test_after_a_power_cycle_everything_is_off(raw_bench: Any, supply: Any) -> None:
    supply.write(":APPL CH1,24,0.5")
    supply.write(":OUTP CH1,ON")
    raw_bench.instruments.fault("aux", "power_cycle")
    supply.clock.sleep(1.0)
    again = raw_bench.connect(raw_bench.instruments.address("aux"))
    assert again.ask(":OUTP? CH1") == "OFF"
    assert float(again.ask(":SOUR1:VOLT?")) == 0.0
    assert not raw_bench.circuit.dut.supply.fed


def test_other_models_have_their_own_ratings(raw_bench: Any) -> None:
    strong = raw_bench.add("strong", "rigol_dp800", model="DP821A", channel=1)
    strong.write(":APPL CH1,60,1")
    assert strong.ask(":APPL? CH1") == "CH1:60V/1A,60.000,1.0000"
    with pytest.raises(DefinitionError, match="channel"):
        raw_bench.add("other", "rigol_dp800", model="DP811A", channel=2)
