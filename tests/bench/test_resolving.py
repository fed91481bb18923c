"""What cannot be resolved is said before anything is energised, with what it would take."""

from __future__ import annotations

import pytest

from bench.definition import find_definition, load_definition
from bench.errors import Inconclusive
from bench.profile import Profile, find_profile, load_profile
from bench.protection import DelayWindow, Protection
from bench.resolving import flag_resolvable, needed_sample_s, require_resolvable, resolvable

VIRTUAL = load_definition(find_definition("virtual"))
FOXBMS = load_profile(find_profile("foxbms_2"))
ROW = FOXBMS.protection("charge_overcurrent_msl")


def with_delay(least_s: float, most_s: float) -> Protection:
    return ROW.model_copy(update={"delay_s": DelayWindow(min=least_s, max=most_s)})


def test_what_every_profile_here_declares_of_currents_is_resolved() -> None:
    for name in ("foxbms_2", "seplos_v3"):
        profile = load_profile(find_profile(name))
        for row in profile.protections:
            if row.about.quantity == "current" and row.level == "protection":
                assert resolvable(row, VIRTUAL, profile) is None


def test_a_window_narrower_than_two_samples_says_how_often_to_sample_and_with_what() -> None:
    told = resolvable(with_delay(0.100, 0.110), VIRTUAL, FOXBMS)
    assert told is not None
    assert "needs samples every" in told
    assert "this bench has 20 ms" in told
    assert "a digitiser at the shunt would do" in told
    assert needed_sample_s(with_delay(0.100, 0.110)) < 0.0075


def test_microseconds_are_told_in_microseconds() -> None:
    told = resolvable(with_delay(100e-6, 400e-6), VIRTUAL, FOXBMS)
    assert told is not None
    assert "µs" in told


def test_refusing_names_delay_and_threshold_and_is_no_verdict() -> None:
    row = with_delay(0.100, 0.110).model_copy(update={"tolerance": 0.001})
    with pytest.raises(Inconclusive, match=r"not resolved.*TUR"):
        require_resolvable(row, VIRTUAL, FOXBMS)
    require_resolvable(ROW, VIRTUAL, FOXBMS)


@pytest.mark.parametrize(("max_s", "offset_s", "resolved"), [(0.45, 0.0, True), (0.02, 0.0, False), (0.2, 0.5, False)])
def test_a_flag_of_a_slow_message_or_across_two_clocks_may_not_be_judged(
    max_s: float, offset_s: float, resolved: bool
) -> None:
    row = ROW.model_copy(update={"flag_delay_s": DelayWindow(min=0.0, max=max_s)})
    told = flag_resolvable(row, VIRTUAL, FOXBMS, offset_s)
    assert (told is None) is resolved
    if told is not None:
        assert "its flag is told every 100 ms" in told


def test_a_flag_without_promise_is_never_refused() -> None:
    profile: Profile = load_profile(find_profile("seplos_v3"))
    assert flag_resolvable(profile.protection("charge_overcurrent_1"), VIRTUAL, profile, 9.0) is None
