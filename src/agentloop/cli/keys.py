"""Single key presses from a terminal, without Enter."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def keys() -> Iterator[Callable[[float], str]]:
    """Yield a function that waits that many seconds for a key and returns it, or "" when none came.

    The terminal is as it was afterwards, however the block ends. Ctrl-C still interrupts.
    """
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    try:
        tty.setcbreak(fd)
        yield lambda seconds: _key(fd, seconds)
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


def _key(fd: int, seconds: float) -> str:
    ready, _, _ = select.select([fd], [], [], seconds)
    if not ready:
        return ""
    # A terminal that went away reads as the end of the file, which ends the watching too.
    return os.read(fd, 1).decode("ascii", "replace") or "q"
