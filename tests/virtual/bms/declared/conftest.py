"""Products that declare what the shipped ones do not: a profile from a few rows, and a BMS on a bench of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench.loading import read_toml, validate
from bench.profile import PROFILES, Profile
from instruments.virtual.defects import Defect

FLAGS = 40


def defect(**hooks: Any) -> Defect:
    """Return a defect of no name but with these hooks."""
    return Defect("probe", "for a test", (), (), "", **hooks)


def declared(protections: Any = (), diagnoses: Any = (), **sections: Any) -> dict[str, Any]:
    """Return the data of a Modbus product with separate switches that closes them by itself."""
    row = {"link": "map", "period_s": 0.2}
    amperes = {"unit": "A", "positive_means": "charge", "provenance": "declared"}
    limit = {**amperes, "positive_means": "magnitude"}
    signals: dict[str, Any] = {
        "pack_current": {**row, **amperes, "address": 10, "type": "int32", "scale": 0.001},
        "pack_voltage": {**row, "unit": "mV", "address": 14, "type": "uint32"},
        "cell_voltage_spread": {**row, "unit": "mV", "address": 16, "type": "uint16"},
        "charge_current_limit": {**row, **limit, "address": 17, "type": "uint16", "scale": 0.01},
        "balancing": {**row, "function": 2, "address": 200, "type": "bit"},
    }
    for cell in (1, 2, 6):
        signals[f"balancing_{cell:02}"] = {**row, "function": 2, "address": 200 + cell, "type": "bit"}
    switches = ["charge", "discharge"]
    for index, name in enumerate(switches):
        signals[f"switch_{name}"] = {**row, "function": 2, "address": 150 + index, "type": "bit"}
    for index, name in enumerate(dict.fromkeys(r["flag"] for r in (*protections, *diagnoses) if "flag" in r)):
        signals[name] = {**row, "function": 2, "address": 100 + index, "type": "bit"}
    data: dict[str, Any] = {
        "bms": {
            "maker": "Acme",
            "model": "16S",
            "cells": 16,
            "capacity_ah": 100.0,
            "upper_limit_cell_v": 3.75,
            "measuring_range_a": 150.0,
            "switches": switches,
        },
        "absolute": {
            "charge_a": 150.0,
            "discharge_a": 150.0,
            "short_circuit_a": 2000.0,
            "cell_high_v": 3.9,
            "cell_low_v": 2.0,
        },
        "behaviour": {"sample_s": 0.02, "switch_s": 0.01},
        "links": {"map": {"kind": "modbus", "unit_id": 7, "poll_s": 0.2}},
        "operation": {"kind": "always_on", "settle_s": 1.0},
        "signals": signals,
        "protections": list(protections),
        "diagnoses": list(diagnoses),
    }
    for name, value in sections.items():
        data[name] = {**data[name], **value} if name in data and isinstance(value, dict) else value
    return data


@pytest.fixture
def rig_of(make_profile: Callable[..., Profile], make_rig: Callable[..., Any]) -> Callable[..., Any]:
    """Return a maker of rigs from rows; what is no section goes to the rig."""

    def make(protections: Any = (), diagnoses: Any = (), hooks: Any = None, **others: Any) -> Any:
        options = {key: others.pop(key) for key in ("seed", "soc_pct", "cells", "perfect") if key in others}
        defects = () if hooks is None else (defect(**hooks),)
        return make_rig(make_profile(declared(protections, diagnoses, **others)), defects=defects, **options)

    return make


@pytest.fixture
def contactors_of(make_rig: Callable[..., Any]) -> Callable[..., Any]:
    """Return a maker of rigs with contactors on foxBMS's own request, and with rows added to its profile."""

    def make(diagnoses: Any = (), hooks: Any = None, operation: Any = None, seed: int = 1) -> Any:
        data = read_toml(PROFILES / "foxbms_2.toml")
        data["diagnoses"] = list(diagnoses)
        data["operation"].update(operation or {})
        profile = validate(Profile, data, "contactors.toml").model_copy(update={"source": PROFILES / "foxbms_2.toml"})
        return make_rig(profile, defects=() if hooks is None else (defect(**hooks),), seed=seed)

    return make
