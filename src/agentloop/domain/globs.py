"""Path globs, one dialect for the whole project: scope of a contract, protected paths, tests, configuration.

`*`, `?` and `[…]` stay within one component of a path, `**` stands for any number of components (or none),
`{a,b}` for either. A glob is held against the whole path from the repository's root; one without any of these
signs names a file, or a folder with all that is in it; `.` is the whole repository. Case matters.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase, translate
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

from agentloop.domain.valueclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

_SIGNS: Final = re.compile(r"[*?\[]")
_BRACES: Final = re.compile(r"\{([^{}]*)\}")
_ALTERNATIVES: Final = 1000


def matches(path: str, globs: Iterable[str]) -> bool:
    """Return whether one of `globs` matches `path` (relative, with "/" between its components)."""
    parts = tuple(path.split("/"))
    wanted = _wanted(tuple(globs))
    if wanted.name.match(parts[-1]) or any(wanted.part.match(part) for part in parts):
        return True
    return any(_fits(parts, pattern) for pattern in wanted.others)


def may_meet(one: str, globs: Iterable[str]) -> bool:
    """Return whether a path could match both `one` and one of `globs`; when nobody can tell, it could."""
    mine = _patterns(one)
    return any(_meet(a, b) for glob in globs for a in mine for b in _patterns(glob))


@lru_cache(maxsize=4096)
def _meet(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether two patterns have a path in common; components with signs in both are taken to agree."""
    if not one or not other:
        return all(part == "**" for part in (*one, *other))
    first, second = one[0], other[0]
    if first == "**":
        return _meet(one[1:], other) or _meet(one, other[1:])
    if second == "**":
        return _meet(one, other[1:]) or _meet(one[1:], other)
    return _agree(first, second) and _meet(one[1:], other[1:])


def _agree(one: str, other: str) -> bool:
    if _SIGNS.search(one) and _SIGNS.search(other):
        return True
    return fnmatchcase(one, other) or fnmatchcase(other, one)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """Globs made ready: most of a long list are of two kinds that need no table.

    `name` stands for all `**/x`, which only a path's last component decides, `part` for all `**/x/**`, which
    any of its components may fulfil.
    """

    name: re.Pattern[str]
    part: re.Pattern[str]
    others: tuple[tuple[str, ...], ...]


@lru_cache(maxsize=512)
def _wanted(globs: tuple[str, ...]) -> _Wanted:
    patterns = [pattern for glob in globs for pattern in _patterns(glob)]
    names, parts, others = [], [], []
    for pattern in patterns:
        match pattern:
            case ("**", one) if one != "**":
                names.append(one)
            case ("**", one, "**") if one != "**":
                parts.append(one)
            case _:
                others.append(pattern)
    return _Wanted(name=_one_of(names), part=_one_of(parts), others=tuple(others))


def _one_of(components: list[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, components)) or r"(?!)")


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
