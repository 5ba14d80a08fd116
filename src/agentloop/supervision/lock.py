"""One supervisor a home: a lock that the kernel drops when its holder dies."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from agentloop.errors import BusyError

if TYPE_CHECKING:
    from pathlib import Path


class Lock:
    """An exclusive flock on the file at `path`, for as long as this process lives."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1

    def take(self) -> None:
        """Take the lock, anew if its file was replaced. Raises BusyError when another has it, and OSError."""
        while not self.is_held():
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                os.close(fd)
                raise BusyError(f"{self._path} is held by another supervisor") from error
            if self._fd >= 0:
                os.close(self._fd)
            self._fd = fd  # the file may have been replaced since we opened it: the loop looks again

    def is_held(self) -> bool:
        """Return whether the file at the path is the one we hold: the run folder may be deleted any time."""
        try:
            return self._fd >= 0 and os.path.samestat(os.fstat(self._fd), self._path.stat())
        except FileNotFoundError:
            return False
