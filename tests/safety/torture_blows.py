"""Blows: what is done to the run, its guardian and the bench, and when it heals."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torture_plan import FAULTS, PROXIED, Blow, Plan
from torture_proxy import Proxy
from torture_victim import Victim

STOPPED, KILLED = signal.SIGSTOP, signal.SIGKILL


@dataclass
class Times:
    """When it happened, as time of day, and to whom it happened at all."""

    blows: list[float] = field(default_factory=list)
    struck: list[bool] = field(default_factory=list)
    currents_a: list[float] = field(default_factory=list)
    healing: list[tuple[float, Callable[[], object]]] = field(default_factory=list)
    dead_s: float | None = None  # from when on the run did nothing any more, by our doing
    ended_s: float = 0.0


def strike(plan: Plan, lab: Any, proxies: dict[str, Proxy], victim: Victim) -> Times:
    """Let the run come to its phase, and deal the blows; returns when the last one fell."""
    times = Times()
    victim.wait_for(plan.phase)
    begin_s = next((mark["unix_s"] for mark in victim.marks if mark["mark"] == plan.phase), time.time())
    victim.pause(begin_s + plan.delay_s)
    for blow in plan.blows:
        if times.blows:
            pause_and_heal(victim, times, times.blows[-1] + blow.gap_s)
        victim.listen(0.0)
        victim.find_guardian()
        times.currents_a.append(lab.truth()["current_a"])
        times.blows.append(time.time())
        if blow.at_processes:
            times.struck.append(_at_processes(blow, victim, times))
        else:
            _at_the_bench(blow, plan, lab, proxies, times)
            times.struck.append(True)
    return times


def _at_processes(blow: Blow, victim: Victim, times: Times) -> bool:
    now_s, options = time.time(), blow.options
    match blow.kind:
        case "Ctrl-C":
            struck = victim.send("run", signal.SIGINT)
            for _ in range(int(options["times"]) - 1):
                victim.pause(time.time() + options["apart_s"])
                victim.send("run", signal.SIGINT)
            return struck
        case "SIGTERM":
            return victim.send("run", signal.SIGTERM)
        case "SIGHUP":
            return victim.send("run", signal.SIGHUP)
        case "kill -9 of the guardian":
            return victim.send("guardian", KILLED)
        case "the guardian is stopped":
            return victim.send("guardian", STOPPED)
        case "the run is stopped for a while":
            struck = victim.send("run", STOPPED)
            times.healing.append((now_s + (blow.lasts_s or 0.0), lambda: victim.send("run", signal.SIGCONT)))
            return struck
        case "both sleep and wake":
            struck = victim.send("guardian", STOPPED)
            struck = victim.send("run", STOPPED) and struck
            wake_s = now_s + (blow.lasts_s or 0.0)
            times.healing.append((wake_s, lambda: victim.send("run", signal.SIGCONT)))
            later_s = max(now_s, wake_s + options["guardian_later_s"])
            times.healing.append((later_s, lambda: victim.send("guardian", signal.SIGCONT)))
            return struck
        case "kill -9 of both":
            order = ["guardian", "run"] if options["guardian_first"] else ["run", "guardian"]
            struck = victim.send(order[0], KILLED)
            time.sleep(options["apart_s"])
            times.dead_s = times.dead_s or time.time()
            return victim.send(order[1], KILLED) and struck
    struck = victim.send("run", KILLED if blow.kind == "kill -9 of the run" else STOPPED)
    if struck:
        times.dead_s = times.dead_s or now_s
    return struck


def _at_the_bench(blow: Blow, plan: Plan, lab: Any, proxies: dict[str, Proxy], times: Times) -> None:
    tell: Callable[[str], object] = lab.tell
    if blow.kind in PROXIED:
        proxy = proxies[blow.target]
        proxy.set(PROXIED[blow.kind])
        heal: Callable[[], object] = lambda: proxy.set("pass")  # noqa: E731 - one of several, all without a name
    elif blow.kind == "the BMS loses its supply":
        heal = _told(tell, "power 0", lambda: tell("power 1"))
    elif blow.kind == "the disconnect is welded":
        heal = _told(tell, "wire disconnect_stuck 1", lambda: tell("wire disconnect_stuck 0"))
    else:
        options = "".join(f" {key}={value:g}" for key, value in blow.options.items())
        healthy = f"fault {blow.target} none"
        heal = _told(tell, f"fault {blow.target} {FAULTS[blow.kind]}{options}", lambda: tell(healthy))
    if blow.lasts_s is not None:
        times.healing.append((time.time() + blow.lasts_s, heal))


def _told(tell: Callable[[str], object], line: str, heal: Callable[[], object]) -> Callable[[], object]:
    answer = tell(line)
    if answer != "ok":
        raise RuntimeError(f"{line}: {answer}")
    return heal


def pause_and_heal(victim: Victim, times: Times, until_unix_s: float) -> None:
    """Listen until this time of day, and end what lasts no longer."""
    while times.healing and min(times.healing, key=lambda item: item[0])[0] <= until_unix_s:
        first = min(times.healing, key=lambda item: item[0])
        victim.pause(first[0])
        times.healing.remove(first)
        first[1]()
    victim.pause(until_unix_s)


@contextlib.contextmanager
def cables(plan: Plan, lab: Any, folder: Path) -> Iterator[tuple[dict[str, Proxy], Path]]:
    """Put a cable that can go wrong where the plan needs one; hands out the definition that leads through it."""
    text = lab.definition.read_text(encoding="utf-8")
    proxies: dict[str, Proxy] = {}
    link = "modbus" if plan.bms == "seplos_v3" else "can"
    for blow in plan.blows:
        if blow.kind in PROXIED and blow.target not in proxies:
            name = link if blow.target == "bms" else blow.target
            port = lab.ports[name]
            proxy = proxies[blow.target] = Proxy(("127.0.0.1", port), plan.seed)
            changed = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{proxy.port}")
            changed = changed.replace(f'"port" = {port}', f'"port" = {proxy.port}')  # of a CAN link's options
            if changed == text:
                raise RuntimeError(f"the definition does not name port {port} of {name}")
            text = changed
    definition = folder / "lab.toml"
    definition.write_text(text, encoding="utf-8")
    try:
        yield proxies, definition
    finally:
        for proxy in proxies.values():
            proxy.close()
