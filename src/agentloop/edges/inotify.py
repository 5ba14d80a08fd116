"""inotify(7): the kernel says when something in a folder changed, so that nobody has to look again and again.

What an event says is a hint, never the truth: whoever hears one looks at the files themselves.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

# From <sys/inotify.h>.
IN_ATTRIB: Final = 0x004
IN_CLOSE_WRITE: Final = 0x008
IN_MOVED_FROM: Final = 0x040
IN_MOVED_TO: Final = 0x080
IN_CREATE: Final = 0x100
IN_DELETE: Final = 0x200
IN_DELETE_SELF: Final = 0x400
IN_MOVE_SELF: Final = 0x800
IN_ONLYDIR: Final = 0x1000000

# Not IN_MODIFY: a file that is being written would wake us at every piece of it.
CHANGES: Final = (
    IN_CLOSE_WRITE
    | IN_MOVED_FROM
    | IN_MOVED_TO
    | IN_CREATE
    | IN_DELETE
    | IN_DELETE_SELF
    | IN_MOVE_SELF
    | IN_ONLYDIR
)
_READ_BYTES: Final = 65536


class Inotify:
    """One inotify instance and the folders it watches. Raises OSError where the kernel has none to give."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._watched: dict[Path, int] = {}
        self.fd = _checked(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    def watch(self, folders: set[Path]) -> set[Path]:
        """Watch exactly `folders`; return those that could not be watched (most often: they do not exist).

        Names are resolved anew at each call, so a folder that was replaced is watched as it is now.
        """
        for gone in self._watched.keys() - folders:
            self._forget(self._watched.pop(gone))
        for folder in folders:
            self._watch_one(folder)
        return folders - self._watched.keys()

    def drain(self) -> bool:
        """Throw waiting events away; return whether there were any."""
        any_event = False
        while True:
            try:
                if not os.read(self.fd, _READ_BYTES):
                    return any_event
            except BlockingIOError:
                return any_event
            any_event = True

    def close(self) -> None:
        """Give the descriptor back; the kernel drops the watches."""
        os.close(self.fd)

    def _watch_one(self, folder: Path) -> None:
        before = self._watched.pop(folder, None)
        with suppress(OSError):
            name = os.fsencode(folder)
            self._watched[folder] = _checked(
                self._libc.inotify_add_watch(self.fd, name, ctypes.c_uint32(CHANGES))
            )
        if before is not None:
            self._forget(before)

    def _forget(self, watch: int) -> None:
        # A folder that was deleted took its watch along: EINVAL is then the expected answer.
        if watch not in self._watched.values():
            self._libc.inotify_rm_watch(self.fd, watch)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
