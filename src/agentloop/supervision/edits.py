"""What people edited: stamps of the files they may edit, against those that the last cycle saw or left."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

from agentloop.edges.runtime import Stamp, stamp_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from agentloop.home import Home


def stamps(home: Home) -> dict[str, Stamp]:
    """Return the stamps of relay, open issues and open pull requests, by path relative to the home."""
    return _stamped(home.root, _editable(home))


def seen_after(
    saw: Mapping[str, Stamp] | None, *, before: Mapping[str, Stamp], after: Mapping[str, Stamp]
) -> dict[str, Stamp]:
    """Return what counts as seen by a cycle that says it `saw` this; None: it says nothing.

    Files that it names count as it names them. Of the others, those that were there before it count as they
    are now (it may have written them: our own writes never start a cycle), and those that are new count as
    not seen.
    """
    if saw is None:
        return dict(after)
    silent = {path: stamp for path, stamp in after.items() if path in before}
    return {**silent, **saw}


def differing(home: Home, seen: Mapping[str, Stamp]) -> tuple[str, ...]:
    """Return the files, sorted, that are not as they were `seen`: changed, new or gone."""
    now = {**stamps(home), **_stamped(home.root, filter(_is_inside, seen))}
    return tuple(sorted(path for path in now.keys() | seen.keys() if now.get(path) != seen.get(path)))


def _editable(home: Home) -> Iterator[str]:
    # Text, not paths: somebody waits for the wake that they sent, and there may be thousands of issues.
    relay, *folders = _places(home)
    yield relay
    for inside in folders:
        folder = f"{home.root}/{inside}"
        try:
            names = os.listdir(folder)  # noqa: PTH208 -- see above
        except OSError:
            continue
        yield from (f"{inside}/{name}" for name in names if name.endswith(".md") and name[0] != ".")


@cache
def _places(home: Home) -> tuple[str, ...]:
    return tuple(path.relative_to(home.root).as_posix() for path in (home.relay, home.issues, home.pulls))


def _stamped(root: Path, paths: Iterator[str]) -> dict[str, Stamp]:
    found = {path: stamp_of(f"{root}/{path}") for path in paths}
    return {path: stamp for path, stamp in found.items() if stamp is not None}


def _is_inside(path: str) -> bool:
    return not path.startswith("/") and ".." not in path.split("/")
