"""The plot of a test: reference current, what the BMS said, levels, flags, and the marks of the lab book."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.traces import Trace, Traces
from reports.judged_marks import judged_marks
from reports.plot import Level, Panel, Plot, Series, svg_plot
from reports.run_folder import write_text
from reports.stored import battery_data, load_events, load_judgements, load_test, load_traces

FLAG_LIMIT = 8  # rows of flags that fit; those that never moved are left out first


def write_derived(folder: Path, traces: Traces | None, *, simulated: bool) -> None:
    """Write what follows from a test's evidence: `bdf.csv` and `plot.svg`. Traces are read back where not given.

    Raises:
        BenchError: the evidence cannot be read back.
        OSError: the disk takes no more.
    """
    if traces is None:
        traces = load_traces(folder).traces
    write_text(folder / "bdf.csv", battery_data(traces))
    write_text(folder / "plot.svg", draw_test(folder, traces, simulated=simulated))


def draw_test(folder: Path, traces: Traces, *, simulated: bool) -> str:
    """Return the SVG plot of a test folder whose traces are given.

    Raises:
        BenchError: the folder has no result.
    """
    test = load_test(folder)
    events, _ = load_events(folder)
    levels = _with_threshold(events)
    judged = judged_marks(load_judgements(folder)[0])
    currents = [
        _series(trace, "A", "reference" if name == "reference_current" else "bms")
        for name, trace in traces.channels.items()
        if name in ("reference_current", "bms.pack_current") and len(trace)
    ]
    volts = [
        _series(trace, "V", {"pack_side_voltage": "reference", "bms.pack_voltage": "bms"}.get(name, "other"))
        for name, trace in traces.channels.items()
        if name in ("pack_side_voltage", "bench_side_voltage", "bms.pack_voltage") and len(trace)
    ]
    panels: list[Panel] = []
    if currents:
        panels.append(Panel("current / A", tuple(currents), (*_levels(levels, "A"), *judged.levels)))
    if volts:
        panels.append(Panel("voltage / V", tuple(volts), _levels(levels, "V")))
    flags = _flags(traces)
    if flags:
        panels.append(Panel("flags", tuple(flags), steps=True))
    marks = (*((mark.at_s, mark.name) for mark in traces.marks), *judged.marks)
    height = 130 + 165 * (len(panels) - bool(flags)) + 24 * len(flags)
    return svg_plot(
        Plot(test.title, tuple(panels), marks, tuple(judged.bands), simulated=simulated, size=(900, height))
    )


def _series(trace: Trace, unit: str, style: str) -> Series:
    words = {
        "reference_current": "reference current (charging positive)",
        "bms.pack_current": "BMS current, in pack sign",
        "pack_side_voltage": "pack side",
        "bench_side_voltage": "bench side",
        "bms.pack_voltage": "BMS",
    }
    return Series(words.get(trace.name, trace.name), trace.at_s, trace.values, unit, style)  # type: ignore[arg-type]


def _with_threshold(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the events whose data has a `threshold` (a number, pack sign) and its `unit`."""
    return [
        event
        for event in events
        if isinstance(event.get("data"), dict) and isinstance(event["data"].get("threshold"), (int, float))
    ]


def _levels(events: list[dict[str, Any]], unit: str) -> tuple[Level, ...]:
    levels: dict[tuple[str, float], Level] = {}
    for event in events:
        value, own_unit = float(event["data"]["threshold"]), event["data"].get("unit")
        if own_unit == unit:
            levels[event["text"], value] = Level(f"{event['text']}: {value:g} {unit}", value)
    return tuple(levels.values())


def _flags(traces: Traces) -> list[Series]:
    two_valued = [
        trace
        for name, trace in sorted(traces.channels.items())
        if name.startswith(("bms.", "output.", "alarm.", "link.")) and len(trace) and _is_flag(name, trace)
    ]
    moved = [trace for trace in two_valued if len(set(trace.values)) > 1]
    still = [trace for trace in two_valued if len(set(trace.values)) == 1 and trace.name.startswith("output.")]
    chosen = (moved + still)[:FLAG_LIMIT]
    return [Series(trace.name, trace.at_s, trace.values, "1", "step") for trace in chosen]


def _is_flag(name: str, trace: Trace) -> bool:
    if name.startswith("alarm."):
        return True
    return name not in ("bms.pack_current", "bms.pack_voltage") and set(trace.values) <= {0.0, 1.0}
