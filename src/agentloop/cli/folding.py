"""Lines for a terminal, folded at words: nothing that a person has to read or to type is cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

NARROW = 20
"""Columns that words get at least, however narrow the terminal is."""
BETWEEN = "  ·  "


def folded(line: Text, width: int, *, indent: int = 0, hang: int | None = None) -> list[Text]:
    """Return `line` as lines of at most `width` columns, folded at words (a longer word is broken).

    The first is indented by `indent` blanks, the others by `hang` (as the first when None). None of them ends
    with blanks.
    """
    rest = indent if hang is None else hang
    first = _wrapped(line, width - indent)[0]
    left = line[len(first.plain) :]
    left = left[len(left.plain) - len(left.plain.lstrip()) :]
    others = _wrapped(left, width - rest) if left.plain else []
    lines = [Text.assemble(" " * indent, first), *(Text.assemble(" " * rest, one) for one in others)]
    for one in lines:
        one.rstrip()
    return lines


def _wrapped(line: Text, width: int) -> list[Text]:
    room = max(NARROW, width)
    lines = list(line.wrap(Console(width=room, file=None), room)) or [Text("")]
    for one in lines:
        one.rstrip()
    return lines


def side_by_side(commands: Sequence[str], width: int, *, indent: int, style: str = "") -> list[Text]:
    """Return commands on as few lines as hold them whole; one too long for a line is folded at words."""
    rows: list[str] = []
    for command in commands:
        joined = f"{rows[-1]}{BETWEEN}{command}" if rows else command
        if rows and len(joined) <= width - indent:
            rows[-1] = joined
        else:
            rows.append(command)
    return [line for row in rows for line in folded(Text(row, style=style), width, indent=indent)]


def print_folded(to: Console, line: Text, *, indent: int = 0, hang: int | None = None) -> None:
    """Print `line` folded to the width of `to`."""
    for one in folded(line, to.width, indent=indent, hang=hang):
        to.print(one, no_wrap=True, overflow="ignore", crop=False)


def printable(text: str) -> str:
    """Return `text` without what a terminal would obey: it was written by programs and strangers."""
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
