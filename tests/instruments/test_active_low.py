"""A flag that is active low is turned round once on its way from the wire to a suite, not twice and not never."""

from __future__ import annotations

import pytest

from bench.definition import find_definition, load_definition
from bench.profile import Profile, find_profile, load_profile
from instruments.stand import open_stand


def with_active_low(name: str, *signals: str) -> Profile:
    profile = load_profile(find_profile(name))
    turned = {key: profile.signals[key].model_copy(update={"active_low": True}) for key in signals}
    return profile.model_copy(update={"signals": {**profile.signals, **turned}})


@pytest.mark.parametrize(
    ("bms", "set_ones", "clear_ones"),
    [
        ("seplos_v3", ("switch_charge", "switch_discharge"), ("charge_overcurrent_protection",)),
        ("foxbms_2", ("string_connected",), ("overcurrent_charge", "general_error")),
    ],
)
def test_a_closed_switch_and_a_quiet_flag_read_the_same_either_way(
    bms: str, set_ones: tuple[str, ...], clear_ones: tuple[str, ...]
) -> None:
    definition = load_definition(find_definition("virtual"))
    for profile in (load_profile(find_profile(bms)), with_active_low(bms, *set_ones, *clear_ones)):
        with open_stand(definition, profile) as stand:
            stand.clock.sleep(1.5)
            assert all(stand.dut.flag(name) for name in set_ones)
            assert not any(stand.dut.flag(name) for name in clear_ones)
            assert stand.traces[f"bms.{set_ones[0]}"].values[-1] == 1.0
