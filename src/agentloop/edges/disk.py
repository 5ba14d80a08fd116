"""How much room the runtime folder takes, and what makes room: the records of attempts whose tasks are over.

Work trees are not counted here: those at work are as many as `limits.attempts_at_once`, those made ahead have
a bound of their own, and those of ended attempts are swept. A mirror loses nothing: attempts borrow from it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from agentloop.edges import runfolder
from agentloop.edges.executor import BIG, is_there
from agentloop.edges.files import size_on_disk
from agentloop.home import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from agentloop.home import Home

MEGABYTE: Final = 1_000_000
LOOK_SECONDS: Final = 600
"""How often the room is measured at most: it means a look at every file."""


def known_mb(home: Home) -> int:
    """Return the megabytes that were in use at the last measurement; 0 when there was none."""
    found: dict[str, Any] = runfolder.read_object(str(home.disk_file)) or {}
    used = found.get("mb", 0)
    return used if isinstance(used, int) else 0


def bound(home: Home, limit_mb: int, over: Callable[[], Iterable[str]]) -> int:
    """Measure when it is due, make room when more than `limit_mb` is used, and return the megabytes in use.

    Records of the attempts that `over` names go, and of those that a lost journal does not know, the oldest
    first; none that lives, or may come to live, is touched, and none that is not named. Raises OSError.
    """
    if not _is_due(home):
        return known_mb(home)
    used = used_bytes(home)
    if used > limit_mb * MEGABYTE:
        used -= _make_room(home, used - limit_mb * MEGABYTE, over())
    mb = used // MEGABYTE
    runfolder.write_object(str(home.disk_file), {"mb": mb})
    return mb


def used_bytes(home: Home) -> int:
    """Return what records, mirrors and caches take on the disk, work trees aside."""
    roots = (home.attempts, home.gates, home.forgotten, home.mirrors, home.baselines, home.cycles)
    return sum(size_on_disk(root, without=BIG) for root in roots)


def _is_due(home: Home) -> bool:
    try:
        age = time.time() - home.disk_file.stat().st_mtime
    except OSError:
        return True
    return not 0 <= age < LOOK_SECONDS


def _make_room(home: Home, wanted: int, over: Iterable[str]) -> int:
    import shutil  # an idle cycle has no use for it

    freed = 0
    for folder in sorted(_folders(home, over), key=_age):
        if freed >= wanted:
            break
        if not is_there(folder):
            freed += size_on_disk(folder.root, without=BIG)
            shutil.rmtree(folder.root)
    return freed


def _folders(home: Home, over: Iterable[str]) -> list[RunFolder]:
    names = frozenset(over)
    found = []
    for root, of in ((home.attempts, home.attempt), (home.gates, home.gate)):
        paths: list[Path] = sorted(root.iterdir()) if root.is_dir() else []
        found += [of(path.name) for path in paths if path.name.partition("@")[0] in names]
    unknown = home.forgotten.iterdir() if home.forgotten.is_dir() else ()
    return [*found, *map(RunFolder, unknown)]


def _age(folder: RunFolder) -> float:
    try:
        return folder.root.stat().st_mtime
    except OSError:
        return 0.0
