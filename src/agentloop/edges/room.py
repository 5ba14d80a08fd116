"""How much room an attempt takes while it runs, and how much the disk has left. Cheap enough for a heartbeat.

Looking at what is free is one call. Measuring a work tree is a look at every file: it is done when that much
has gone from the disk that it may matter, or after a while, and the more seldom the longer it takes.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

from agentloop.edges.files import size_on_disk

if TYPE_CHECKING:
    from pathlib import Path

MEGABYTE: Final = 1_000_000
SELDOM_SECONDS: Final = 60.0
"""How often an attempt is measured although the disk has not changed much."""
PART: Final = 20
"""A look follows when a twentieth of what it may take has gone from the disk."""
OFTEN: Final = 50
"""Measuring may take one fiftieth of the time."""


def free_bytes(folder: Path) -> tuple[int, int]:
    """Return what is free on the disk that `folder` is on, and the least of it that `short` is about.

    `limits.free_mb` is for disks of a size to work on: of a small one it is a twentieth. Raises OSError.
    """
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize // PART


def is_short(folder: Path, free_mb: int, times: int = 1) -> bool:
    """Return whether less is free than `times` the least that must be; False where nobody can say."""
    try:
        free, twentieth = free_bytes(folder)
    except OSError:
        return False
    return free < times * min(free_mb * MEGABYTE, twentieth)


class Room:
    """Looks whether the run in `folder` takes more than `most_mb`, or leaves less than `free_mb` free."""

    def __init__(self, folder: Path, *, most_mb: int, free_mb: int) -> None:
        self._folder = folder
        self._most_mb = most_mb
        self._free_mb = free_mb
        self._measured_ticks = float("-inf")
        self._took_seconds = 0.0
        self._free = 0

    def lacking(self) -> str:
        """Return why the run has to end, or "". Never raises."""
        if is_short(self._folder, self._free_mb):
            return "the disk is nearly full (limits.free_mb): make room"
        if not self._is_due():
            return ""
        began = time.monotonic()
        used = size_on_disk(self._folder) // MEGABYTE
        self._measured_ticks = time.monotonic()
        self._took_seconds = self._measured_ticks - began
        if used <= self._most_mb:
            return ""
        return f"it took {used:,} MB of the disk; limits.attempt_mb is {self._most_mb:,}"

    def _is_due(self) -> bool:
        since = time.monotonic() - self._measured_ticks
        if since < OFTEN * self._took_seconds:
            return False
        try:
            free, _ = free_bytes(self._folder)
        except OSError:
            return False
        gone = self._free - free
        if since < SELDOM_SECONDS and gone < self._most_mb * MEGABYTE // PART:
            return False
        self._free = free
        return True
