"""A replay report for people: a table of 80 columns, and a plot."""

from __future__ import annotations

import textwrap

from bench.profile import Profile
from bmsbench.replay_decoding import Decoding
from bmsbench.replay_report import CurrentReport, ReplayReport
from reports.plot import Panel, Plot, Series, svg_plot

WIDTH = 80


def as_text(report: ReplayReport) -> str:
    """Return the answer for people, in 80 columns."""
    decoding = report.decoding
    length = f", {decoding.length_s:.3f} s" if decoding.has_times else ", no times"
    lines = [f"{report.recording}   {decoding.form}, {decoding.frames} frames{length}   profile {report.profile}", ""]
    for current in report.currents:
        lines += _current_lines(current, decoding)
        lines.append("")
    if any(current.witnesses for current in report.currents):
        lines += _wrap("note", "Witnesses are other signals of the same BMS: they show whether it agrees with itself.")
    for count in report.misfits:
        lines += _wrap(
            "does not fit",
            f"{count.ident}: {count.bad} of {count.frames} frames are nonsense ({count.first_problem}): a database of "
            f"another firmware version? Not used: {', '.join(count.signals)}",
        )
    if report.misfits:
        lines += _wrap("", "The other messages of this database may be of another version too.")
    still_bad = {
        name: number
        for name, number in decoding.undecodable.items()
        if not any(name in count.signals for count in report.misfits)
    }
    if still_bad:
        lines += _wrap("undecodable", ", ".join(f"{name} {number} times" for name, number in still_bad.items()))
    for word, counts in (("not in database", decoding.unknown), ("not read", decoding.unused)):
        if counts:
            lines += _wrap(word, ", ".join(f"{ident} ({counts[ident]})" for ident in sorted(counts)))
    if decoding.error_frames:
        lines += _wrap("error frames", str(decoding.error_frames))
    for remark in decoding.remarks:
        lines += _wrap("remark", remark)
    return "\n".join(lines).rstrip()


def _current_lines(current: CurrentReport, decoding: Decoding) -> list[str]:
    lines = _wrap(current.name, f"positive means {current.positive_means.upper()} ({current.how})")
    if not current.seen:
        return lines + _wrap("  not seen", current.why_not)
    assert current.low_a is not None and current.high_a is not None
    values = f"{current.distinct_values} value{'s' if current.distinct_values > 1 else ''}"
    span = (
        f"{_flow(current.low_a)} to {_flow(current.high_a)}"
        if current.low_a != current.high_a
        else _flow(current.low_a)
    )
    lines += _wrap("  range", f"{span} ({values}; charging is positive here)")
    found = current.updates
    if found is not None and found.median_s is not None and found.worst_s is not None:
        gaps = f"{len(found.gaps)} gaps" if found.gaps else "no gaps"
        if found.gaps:
            longest = max(found.gaps, key=lambda gap: gap[1])
            gaps += f", the longest {longest[1]:.3f} s from {longest[0]:.3f} s"
        lines += _wrap(
            "  update",
            f"median {found.median_s * 1e3:.1f} ms, worst {found.worst_s * 1e3:.1f} ms, declared "
            f"{current.declared_period_s * 1e3:g} ms; {gaps}",
        )
    elif decoding.has_times:
        lines += _wrap("  update", "a single value: no period can be told")
    same = current.unchanged
    if same is not None:
        stood = (
            f"one value throughout ({same.samples} samples)"
            if same.whole
            else (
                f"longest {same.samples} samples"
                + (f", {same.length_s:.3f} s" if decoding.has_times else "")
                + f" at {_flow(same.value)}"
            )
        )
        lines += _wrap("  unchanged", stood + (f": FROZEN? {same.suspicion}" if same.suspicion else ""))
    if current.undecodable:
        lines += _wrap("  undecodable", f"{current.undecodable} times")
    silent = [witness.name for witness in current.witnesses if witness.text.endswith(" never rose")]
    for witness in current.witnesses:
        if witness.name in silent:
            continue
        word = "CONTRADICTS" if witness.word == "contradicts" else witness.word
        lines += _wrap("  witness", f"{word}: {witness.text}")
    if silent:
        lines += _wrap("  witness", f"never rose: {', '.join(silent)}")
    if not current.witnesses:
        lines += _wrap("  witness", "none: no voltage, power, counter or flag of this BMS is in the recording")
    return lines


def _flow(current_a: float) -> str:
    word = "charging" if current_a > 0 else "discharging" if current_a < 0 else "rest"
    return f"{current_a:+.2f} A {word}" if current_a else "0.00 A rest"


def _wrap(head: str, text: str) -> list[str]:
    return textwrap.wrap(f"{head:<16}{' ' if len(head) > 15 else ''}{text}", WIDTH, subsequent_indent=" " * 16)


def as_svg(profile: Profile, report: ReplayReport) -> str:
    """Return a plot: currents in pack sign, voltage, flags that ever rose."""
    traces = report.decoding.traces

    def series(names: list[str], unit: str) -> tuple[Series, ...]:
        found = [(name, traces[name]) for name in names if name in traces]
        return tuple(
            Series(name, trace.at_s, trace.values, unit, "bms" if unit == "A" else "other") for name, trace in found
        )

    flags = [
        name
        for name, signal in profile.signals.items()
        if signal.quantity == "none" and not signal.values and name in traces and any(traces[name].values)
    ]
    candidates = (
        Panel("current / A, charging positive", series([current.name for current in report.currents], "A")),
        Panel("voltage / V", series(["pack_voltage"], "V")),
        Panel("flags", tuple(Series(n, traces[n].at_s, traces[n].values, "", "step") for n in flags), steps=True),
    )
    panels = tuple(panel for panel in candidates if panel.series)
    return svg_plot(Plot(f"{report.recording} read as {report.profile}", panels))
