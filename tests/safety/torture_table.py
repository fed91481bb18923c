"""The table of the torture run: per blow how often, how soon the current was off, how often it stayed on."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HEAD = (
    "| blow | trials | current flowed | the run went on | median | worst | stayed on |\n|---|---|---|---|---|---|---|"
)
UNCOVERED = "**not covered**: "


def summary(files: Iterable[Path]) -> str:
    """Return the table in Markdown, and what must never be in lines below it."""
    results = [json.loads(line) for path in files for line in path.read_text(encoding="utf-8").splitlines()]
    rows: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        rows.setdefault(_row(result), []).append(result)
    names = sorted(rows, key=lambda name: (name.startswith(UNCOVERED), name == "two of these", name))
    lines = [HEAD, *(_line(name, rows[name]) for name in names)]
    covered = [result for result in results if not result["uncovered"]]
    lines.append(_line("**all that is covered**", covered))
    found = [f"seed {result['seed']}, {result['row']}: {text}" for result in results for text in result["problems"]]
    lines += ["", f"{len(results)} trials, {len(found)} findings", *found]
    killed = [result["evidence"] for result in results if result["evidence"]]
    for kind in ("trace", "dialogue"):
        gaps = sorted(gap[kind] for gap in killed if kind in gap)
        if gaps:
            middle_s, worst_s = statistics.median(gaps), gaps[-1]
            lines.append(f"{kind}: newest record {middle_s:.2f} s before the kill, worst {worst_s:.2f} s")
    lags = sorted(result["lag_s"] for result in results)
    if lags:
        lines.append(f"lag of the lab: median {statistics.median(lags):.3f} s, worst {lags[-1]:.2f} s")
    return "\n".join(lines)


def _row(result: dict[str, Any]) -> str:
    if result["uncovered"]:
        return f"{UNCOVERED}{result['uncovered']}"
    _, separator, kind = str(result["row"]).partition(": ")  # which instrument it was makes too many rows
    return f"an instrument {kind}" if separator else str(result["row"])


def _line(name: str, results: list[dict[str, Any]]) -> str:
    flowed = [result for result in results if result["flowed"] and not result["went_on"]]
    ended = sorted(result["latency_s"] for result in flowed if not result["stayed_on"])
    went_on = sum(result["went_on"] for result in results)
    stayed = sum(result["stayed_on"] for result in results)
    median, worst = (f"{statistics.median(ended):.2f} s", f"{ended[-1]:.2f} s") if ended else ("–", "–")
    return f"| {name} | {len(results)} | {len(flowed)} | {went_on} | {median} | {worst} | {stayed} |"
