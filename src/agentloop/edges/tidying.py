"""What killed processes leave lying about in a home: temp files of every writer, stale locks of git.

Called under the home's lock. Other processes of ours (attempts, light commands) write meanwhile: what is
young is left to them.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentloop.edges.files import TEMP_PREFIX
from agentloop.edges.homegit import repair_locks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentloop.home import Home

YOUNG_SECONDS: Final = 600
_BY_PID: Final = re.compile(r".+\.(\d{1,9})\.(tmp|taken)")
"""Temp files of the light commands and the wake trigger being taken: the number is their process."""


def tidy(home: Home, *, young_seconds: float = YOUNG_SECONDS) -> tuple[Path, ...]:
    """Take leftovers away and return their paths. Raises OSError."""
    swept = [path for path in _leftovers(home) if _is_old(path, young_seconds)]
    for path in swept:
        path.unlink(missing_ok=True)
    return (*swept, *repair_locks(home.root))


def _leftovers(home: Home) -> Iterator[Path]:
    for folder in _folders(home):
        if folder.is_dir():
            yield from folder.glob(f"{TEMP_PREFIX}*")
    for folder in (home.root, home.run):
        if folder.is_dir():
            yield from (path for path in folder.iterdir() if _is_of_the_dead(path.name))


def _folders(home: Home) -> Iterator[Path]:
    yield from (home.root, home.memories, home.notes, home.journal, home.journal / "aside", home.tracker)
    yield from (home.issues, home.closed_issues, home.pulls, home.closed_pulls, home.prompts, home.requests)
    yield from (home.runtime, home.run, home.mirrors, home.baselines, home.runtime / "relay")
    yield home.upkeep.root
    for runs in (home.attempts, home.gates, home.slots, home.cycles, home.archive):
        yield from runs.glob("*") if runs.is_dir() else ()


def _is_of_the_dead(name: str) -> bool:
    found = _BY_PID.fullmatch(name)
    return found is not None and not Path(f"/proc/{found[1]}").exists()


def _is_old(path: Path, young_seconds: float) -> bool:
    try:
        return time.time() - path.lstat().st_mtime >= young_seconds or _is_of_the_dead(path.name)
    except FileNotFoundError:
        return False
