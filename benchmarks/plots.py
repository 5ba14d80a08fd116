"""Bars beside their promises, as SVG text: to be read on a phone, on a light ground and on a dark one."""

from __future__ import annotations

import textwrap
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.measuring import Row

WIDTH, MARGIN, LINE, BAR = 480, 12, 18, 12
"""A phone shows 390 of it: letters of 14 are 11 there."""
MOST = 2.0
"""How many times its promise a bar can show; a longer one ends in an arrow."""
PER_LINE = 44
"""Letters of a name on a line, beside the figure."""
FULL = WIDTH - 2 * MARGIN
STYLE = """
.ground{fill:#ffffff}text{fill:#1f2328;font:14px sans-serif}.title{font-weight:bold}
.kept{fill:#2f7d44}.miss{fill:#c23b32}.room{fill:#e6e9ed}.line{stroke:#1f2328}
@media (prefers-color-scheme:dark){.ground{fill:#0d1117}text{fill:#e6edf3}.kept{fill:#3fa45b}
.miss{fill:#ef6a60}.room{fill:#262c36}.line{stroke:#e6edf3}}
text.kept,text.miss{font-weight:bold}
"""


def draw(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Write one SVG a group of rows that have promises into `folder`; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    promised = [row for row in rows if row.promised is not None]
    made = []
    for group in dict.fromkeys(row.group for row in promised):
        path = folder / f"{group}.svg"
        path.write_text(svg(group, [row for row in promised if row.group == group]))
        made.append(path)
    return made


def svg(title: str, rows: Sequence[Row]) -> str:
    """Return a chart: a bar a row, its length the figure as a part of what is promised (the dashed line)."""
    top, bars = 2 * LINE + MARGIN, []
    for row in rows:
        drawn, height = _bar(row, top)
        bars.append(drawn)
        top += height
    told = "\n".join(bars)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}"
 width="{WIDTH}" height="{top}" role="img" aria-label="{escape(title)}">
<style>{STYLE}</style>
<rect class="ground" width="100%" height="100%"/>
<text class="title" x="{MARGIN}" y="{LINE}">{escape(title)}</text>
<text x="{MARGIN}" y="{2 * LINE}">dashed: what is promised; green: kept; red: missed</text>
{told}
</svg>
"""


def _bar(row: Row, top: int) -> tuple[str, int]:
    """Return a row's drawing and its height: the name with the figure at the right, then the bar."""
    names = textwrap.wrap(row.name, PER_LINE) or [""]
    word = "kept" if row.kept else "miss"
    spans = "".join(
        f'<text x="{MARGIN}" y="{top + LINE * (n + 1) - 4}">{escape(name)}</text>'
        for n, name in enumerate(names)
    )
    figure = f"{row.measured:.3g} {row.unit}".strip() + f" (≤ {row.promised:g})"
    at = top + LINE * len(names)
    told = f'<text class="{word}" x="{WIDTH - MARGIN}" y="{at - 4}" text-anchor="end">{escape(figure)}</text>'
    return f"{spans}{told}{_length(row, at, word)}", at + BAR + LINE - top


def _length(row: Row, at: int, word: str) -> str:
    if not row.promised:
        return f'<circle class="{word}" cx="{MARGIN + BAR / 2}" cy="{at + BAR / 2}" r="{BAR / 2}"/>'
    part = row.measured / row.promised
    length = FULL * min(MOST, part) / MOST
    promise = MARGIN + FULL / MOST
    beyond = WIDTH - MARGIN - BAR
    arrow = f"M{beyond},{at}h{BAR / 2}l{BAR / 2},{BAR / 2}l-{BAR / 2},{BAR / 2}h-{BAR / 2}z"
    bar = (
        f'<rect class="{word}" x="{MARGIN}" y="{at}" width="{length:.1f}" height="{BAR}"/>'
        if part <= MOST
        else f'<rect class="{word}" x="{MARGIN}" y="{at}" width="{FULL - BAR - 3}" height="{BAR}"/>'
        f'<path class="{word}" d="{arrow}"/>'
    )
    return (
        f'<rect class="room" x="{MARGIN}" y="{at}" width="{FULL}" height="{BAR}"/>{bar}'
        f'<line class="line" x1="{promise}" y1="{at - 2}" x2="{promise}" y2="{at + BAR + 2}"'
        ' stroke-width="2" stroke-dasharray="3 2"/>'
    )
