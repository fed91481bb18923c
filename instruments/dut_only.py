"""Open the links to a BMS and nothing else of its bench: to read who it is, and to put its settings back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from bench.bench_lock import hold_bench
from bench.definition import Definition, check_simulated
from bench.dut import Dut
from bench.observer import Observers
from bench.profile import Profile
from bench.wall_clock import WallClock
from instruments.checks import check_fit
from instruments.links.opening import open_link
from instruments.stand import open_stand


@contextlib.contextmanager
def open_dut(
    definition: Definition,
    profile: Profile,
    *,
    observers: Observers | None = None,
    lab: Path | None = None,
    seed: int = 1,
) -> Iterator[Dut]:
    """Hand out the BMS of a bench, nothing polled and nothing sent but what is asked for; no instrument is touched.

    A bench in simulated time exists only as a whole: it is opened without connecting the pack.

    Raises:
        DefinitionError: definition and profile do not fit. Occupied: a run has the bench.
        LinkError: a link cannot be opened.
    """
    watchers = observers or Observers()
    if definition.bench.clock == "simulated":
        with open_stand(definition, profile, observers=watchers, seed=seed, lab=lab, bring_up=False) as stand:
            yield stand.dut
        return
    check_simulated(definition)
    check_fit(definition, profile)
    with contextlib.ExitStack() as stack:
        stack.enter_context(hold_bench(definition))
        clock = WallClock()
        stack.callback(clock.close)
        links = {}
        for name in profile.links:
            binding = definition.links[name].model_dump()
            links[name] = open_link(profile, name, binding, clock, watchers.dialogue, watchers.frame)
            stack.callback(links[name].close)
        yield Dut(profile, links, clock, watchers)
