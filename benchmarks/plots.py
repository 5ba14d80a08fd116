"""Bars beside their promises, as SVG text."""

from __future__ import annotations

from html import escape
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.measuring import Row

WIDTH, LABEL, BAR, LINE = 860, 380, 330, 26
MOST = 3.0
"""How many times its promise a bar can show."""


def draw(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Write one SVG a group of rows that have promises into `folder`; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for group, found in groupby(rows, key=lambda row: row.group):
        promised = [row for row in found if row.promised]
        if promised:
            path = folder / f"{group}.svg"
            path.write_text(svg(group, promised))
            made.append(path)
    return made


def svg(title: str, rows: Sequence[Row]) -> str:
    """Return a chart: a bar a row, its length the figure as a part of what is promised (the line)."""
    height = LINE * (len(rows) + 2)
    promise = LABEL + BAR / MOST
    bars = "\n".join(_bar(row, LINE * (n + 1)) for n, row in enumerate(rows))
    end = height - LINE / 2
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"
 font-family="sans-serif" font-size="12" role="img" aria-label="{escape(title)}">
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="8" y="17" font-weight="bold">{escape(title)}: measured, as a part of what is promised</text>
{bars}
<line x1="{promise}" y1="{LINE}" x2="{promise}" y2="{end}" stroke="#333333" stroke-dasharray="4 3"/>
<text x="{promise}" y="{height - 2}" text-anchor="middle" fill="#333333">promised</text>
</svg>
"""


def _bar(row: Row, top: int) -> str:
    part = min(MOST, row.measured / row.promised) if row.promised else 0.0
    colour = "#4c8f5a" if row.kept else "#c0504d"
    figure = f"{row.measured:.2f} {row.unit} (≤ {row.promised:g})"
    length = BAR * part / MOST
    return (
        f'<text x="8" y="{top + 16}">{escape(row.name)}</text>'
        f'<rect x="{LABEL}" y="{top + 4}" width="{length:.1f}" height="{LINE - 8}" fill="{colour}"/>'
        f'<text x="{LABEL + length + 6:.1f}" y="{top + 16}">{escape(figure)}</text>'
    )
