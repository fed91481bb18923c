"""A reference with a wrong shunt value is the bench's fault, and is named before it judges a product."""

from __future__ import annotations

from typing import Any

import pytest

from bench import stimulus
from bench.definition import find_definition, load_definition
from bench.errors import WiringError
from bench.profile import find_profile, load_profile
from instruments.stand import open_stand
from instruments.virtual import bench as virtual_bench


@pytest.mark.parametrize("factor", [0.9, 1.04, 1.1, 2.0])
@pytest.mark.parametrize("bench", ["virtual", "virtual_bidirectional"])
def test_a_wrong_shunt_value_is_a_wiring_error(monkeypatch: pytest.MonkeyPatch, factor: float, bench: str) -> None:
    plain = virtual_bench.Circuit

    def other(*arguments: Any, **options: Any) -> Any:
        return plain(*arguments, **{**options, "reference_shunt_ohm": factor * options["reference_shunt_ohm"]})

    monkeypatch.setattr(virtual_bench, "Circuit", other)
    definition, profile = load_definition(find_definition(bench)), load_profile(find_profile("seplos_v3"))
    with (
        pytest.raises(WiringError, match=r"topology.reference_shunt.ohm = 0.0005"),
        open_stand(definition, profile) as stand,
        stimulus.holding(stand, -55.0),
    ):
        pytest.fail("held a current that the reference contradicts")


@pytest.mark.parametrize("current_a", [2.0, 20.0, 80.0, -2.0, -20.0, -80.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_right_shunt_is_not_suspected(seed: int, current_a: float) -> None:
    definition, profile = load_definition(find_definition("virtual")), load_profile(find_profile("seplos_v3"))
    with open_stand(definition, profile, seed=seed) as stand, stimulus.holding(stand, current_a) as found_a:
        assert found_a == pytest.approx(current_a, abs=0.7)
