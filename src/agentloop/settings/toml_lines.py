"""Where a key stands in a TOML file, so that an error can point at it."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

Path: TypeAlias = "tuple[str | int, ...]"
"""Keys from the outside in; an entry of an array of tables is its index."""

_TOKEN = re.compile(
    r'''(?P<skip>[ \t\r]+|\#[^\n]*)|(?P<end>\n)|(?P<long>"""(?:\\.|[^\\])*?"""+|\'\'\'.*?\'\'\'+)'''
    r"""|(?P<text>"(?:\\.|[^"\\\n])*"|'[^'\n]*')|(?P<bare>[A-Za-z0-9_+:-]+)|(?P<mark>.)""",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Line and column, both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int


def places(text: str) -> dict[Path, Place]:
    """Return where each table header and each key of `text` stands, for text that tomllib can read.

    Keys inside inline tables and arrays are not told apart: `place_of` finds the key that holds them.
    """
    found: dict[Path, Place] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    for statement in _statements(text):
        first = statement[0]
        if first.text == "[":
            table = _header(statement, counts)
            path = table
        else:
            path = table + _keys(statement)
        line = bisect_right(starts, first.start)
        found.setdefault(path, Place(line, first.start - starts[line - 1] + 1))
    return found


def place_of(path: Path, known: dict[Path, Place]) -> Place | None:
    """Return where `path` stands, or the nearest key or table around it; None when nothing of it is there."""
    for end in range(len(path), 0, -1):
        if path[:end] in known:
            return known[path[:end]]
    below = [place for other, place in known.items() if other[: len(path)] == path]
    return min(below, default=None)


def _statements(text: str) -> Iterator[list[_Token]]:
    """Yield the tokens of each header and each `key = value`; newlines inside brackets end nothing."""
    depth = 0
    tokens: list[_Token] = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "mark"
        if kind == "skip":
            continue
        if kind == "end":
            if depth == 0 and tokens:
                yield tokens
                tokens = []
            continue
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match.group(), 0)
        tokens.append(_Token(kind, match.group(), match.start()))
    if tokens:
        yield tokens


def _keys(statement: list[_Token]) -> Path:
    keys: list[str | int] = []
    for token in statement:
        if token.text == "=":
            break
        if token.kind in {"bare", "text"}:
            keys.append(token.text.strip("\"'"))
    return tuple(keys)


def _header(statement: list[_Token], counts: dict[Path, int]) -> Path:
    names = _keys(statement)
    path: Path = ()
    for name in names[:-1]:
        path = (*path, name)
        if path in counts:
            path = (*path, counts[path] - 1)
    path = (*path, *names[-1:])
    if len(statement) > 1 and statement[1].text == "[":
        counts[path] = counts.get(path, 0) + 1
        path = (*path, counts[path] - 1)
    return path
