"""Processes that a cycle leaves behind: we become their parent (PR_SET_CHILD_SUBREAPER), and end them.

Attempts and gates are left behind on purpose and are never touched: they are told by their claims, by the
session that they lead, and, until they have claimed, by their command line. Everything else that carries
the mark of the ended cycle in its environment is its leftover, in whatever session it hides.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentloop.edges.lines import CYCLE_MARK

if TYPE_CHECKING:
    from agentloop.supervision.child import Child

MARK: Final = CYCLE_MARK
"""Environment variable that a cycle and what it starts carry; whoever starts an attempt leaves it out."""

_PR_SET_CHILD_SUBREAPER: Final = 36  # <linux/prctl.h>
_PATIENCE_SECONDS: Final = 2.0
_STEP_SECONDS: Final = 0.005


def adopt_orphans() -> bool:
    """Make this process the parent of its descendants' orphans (prctl(2)); return whether that worked."""
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def reap(current: Child | None) -> None:
    """Wait for every child that ended, `current` in its own way. Never blocks."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None:
            return
        if current is not None and ended.si_pid == current.pid:
            current.collect()
        else:
            os.waitpid(ended.si_pid, 0)


def end_leftovers(mark: str, spared: frozenset[int]) -> int:
    """Kill what the cycle with this mark left running, nothing of the `spared`; return how many.

    Bounded: what cannot be killed within two seconds (uninterruptible I/O) is left alone.
    """
    killed: set[int] = set()
    give_up = time.monotonic() + _PATIENCE_SECONDS
    # Killing a parent hands its children to us, so look again until there are none.
    while (left := _leftovers(os.getpid(), mark, spared)) and time.monotonic() < give_up:
        for pid in left:
            _kill(pid, mark)
        killed |= left
        time.sleep(_STEP_SECONDS)
        reap(None)
    return len(killed)


def _leftovers(parent: int, mark: str, spared: frozenset[int]) -> set[int]:
    found: set[int] = set()
    for pid in _children(parent):
        if _is_spared(pid, spared):
            continue
        if _carries(pid, mark):
            found.add(pid)
        found |= _leftovers(pid, mark, spared)
    return found


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):  # it ended meanwhile, or the kernel was built without this file
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(word) for word in (task / "children").read_bytes().split()]
    return found


def _is_spared(pid: int, spared: frozenset[int]) -> bool:
    try:
        session = os.getsid(pid)
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return True
    by_name = any(b"agentloop" in word for word in words) and (b"attempt" in words or b"gate" in words)
    return by_name or pid in spared or session in spared


def _carries(pid: int, mark: str) -> bool:
    try:
        return f"{MARK}={mark}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _kill(pid: int, mark: str) -> None:
    with suppress(OSError):
        fd = os.pidfd_open(pid)
        try:
            if _carries(
                pid, mark
            ):  # looked at again behind the open descriptor: the pid may be another's by now
                signal.pidfd_send_signal(fd, signal.SIGKILL)
        finally:
            os.close(fd)
