"""The measurement table of a test, as HTML that stands by itself and as one sentence per measurement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from bench.evidence import SIGNED_UNITS
from bench.quantities import digits_for, show
from bench.verdict import Limits

# Words carry the meaning; colour only helps: green earned, amber cannot tell, red the product.
COLOURS = {"pass": "#166534", "fail": "#b91c1c", "inconclusive": "#b45309"}
CELL = "padding:.3em .7em;border-bottom:1px solid #9ca3af66;vertical-align:top;text-align:"


def measurement_table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return stored measurements (`Measurement.as_dict`) as an HTML table."""
    head = ("measurement", "value", "U (95 %)", "limits", "verdict", "source, reference")
    out = [
        '<table style="border-collapse:collapse;font:13px/1.45 system-ui,Segoe UI,Roboto,sans-serif">',
        "<thead><tr>" + "".join(f'<th style="{CELL}left">{escape(word)}</th>' for word in head) + "</tr></thead>",
        "<tbody>",
    ]
    for row in rows:
        value, expanded, limits = value_words(row)
        verdict = str(row["verdict"])
        colour = COLOURS.get(verdict, "inherit")
        why = "" if verdict == "pass" else f"<br><small>{escape(str(row['how'])).replace(', ', ',<br>')}</small>"
        rule = f"<br><small>rule: {escape(str(row['rule']))}</small>"
        at = f"<br><small>at {float(row['at_s']):.3f} s</small>"
        cells = (
            (escape(str(row["name"])).replace(": ", ":<br>"), "left"),
            (escape(value), "right"),
            (escape(expanded), "right"),
            (escape(limits), "left"),
            (f'<b style="color:{colour}">{escape(verdict.upper())}</b>{why}{rule}', "left"),
            ("<br>".join(escape(str(row[key])) for key in ("source", "reference") if row[key]) + at, "left"),
        )
        out.append("<tr>" + "".join(f'<td style="{CELL}{side}">{text}</td>' for text, side in cells) + "</tr>")
    out.append("</tbody></table>")
    return "\n".join(out)


def value_words(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return value, expanded uncertainty and limits of a stored measurement in words, with units."""
    unit, value, expanded = str(row["unit"]), float(row["value"]), float(row["expanded_uncertainty"])
    low, high = row["low"], row["high"]
    if unit == "1" and expanded == 0 and (low, high) in ((1, None), (None, 0)):
        return ("yes" if value else "no"), "", "must be yes" if low == 1 else "must be no"
    signed = unit in SIGNED_UNITS
    limits = Limits(low, high).text(digits_for(expanded), signed=signed)
    wide = f"{expanded:.{digits_for(expanded)}f} {unit}" if expanded else ""
    return show(value, unit, expanded, signed=signed).partition(" ±")[0], wide, f"{limits} {unit}"
