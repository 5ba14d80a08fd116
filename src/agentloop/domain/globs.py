"""Path globs, one dialect for the whole project: scope of a contract, protected paths, tests, configuration.

`*`, `?` and `[…]` stay within one component of a path, `**` stands for any number of components (or none),
`{a,b}` for either. A glob is held against the whole path from the repository's root; one without any of these
signs names a file, or a folder with all that is in it; `.` is the whole repository. Case matters.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_SIGNS: Final = re.compile(r"[*?\[]")
_BRACES: Final = re.compile(r"\{([^{}]*)\}")
_ALTERNATIVES: Final = 1000


def matches(path: str, globs: Iterable[str]) -> bool:
    """Return whether one of `globs` matches `path` (relative, with "/" between its components)."""
    parts = tuple(path.split("/"))
    return any(_fits(parts, pattern) for glob in globs for pattern in _patterns(glob))


@cache
def _patterns(glob: str) -> tuple[tuple[str, ...], ...]:
    """A glob as tuples of components, one for each alternative in braces."""
    return tuple(_components(plain) for plain in _alternatives(glob.strip()) if plain)


def _alternatives(glob: str) -> list[str]:
    waiting = [glob]
    found: list[str] = []
    while waiting and len(found) + len(waiting) <= _ALTERNATIVES:
        text = waiting.pop()
        braces = _BRACES.search(text)
        if braces is None:
            found.append(text)
        else:
            waiting += [text[: braces.start()] + each + text[braces.end() :] for each in braces[1].split(",")]
    return found


def _components(glob: str) -> tuple[str, ...]:
    given = [part for part in glob.split("/") if part not in ("", ".")]
    if glob.endswith("/") or not _SIGNS.search(glob):
        given.append("**")
    # "**/**" says no more than "**", and takes far longer to try.
    return tuple(part for i, part in enumerate(given) if part != "**" or given[i - 1 : i] != ["**"])


def _fits(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Whether `pattern` matches all of `parts`; one row of the table for each component of the pattern."""
    reached = {0}
    for component in pattern:
        if component == "**":
            reached = set(range(min(reached, default=len(parts) + 1), len(parts) + 1))
        else:
            reached = {i + 1 for i in reached if i < len(parts) and fnmatchcase(parts[i], component)}
    return len(parts) in reached
