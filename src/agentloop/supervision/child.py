"""One child process in a session and process group of its own, known by its pidfd."""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from agentloop.edges.processes import identity_of, pidfd_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentloop.edges.processes import Identity


class Child:
    """A process that we started, or that a supervisor before us left behind (its code stays unknown)."""

    def __init__(self, pid: int, pidfd: int, *, ours: bool) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.began = time.monotonic()
        self.code: int | None = None
        self._ours = ours
        self._over = False

    @property
    def identity(self) -> Identity | None:
        """The process's identity while it runs."""
        return identity_of(self.pid)

    def is_over(self) -> bool:
        """Return whether it ended; its exit code is then in `code`. Never blocks."""
        if not self._over and _readable(self.pidfd):
            self.collect()
        return self._over

    def collect(self) -> None:
        """Take the exit code of the ended process, after ending what is left of its group.

        In that order: as long as the leader is not waited for, its pid, and so the group's id, cannot be
        reused.
        """
        self._over = True
        self.signal_group(signal.SIGKILL)
        if self._ours:
            _, status = os.waitpid(self.pid, 0)
            self.code = os.waitstatus_to_exitcode(status)

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to the whole group; one that is gone is fine."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def close(self) -> None:
        """Give the pidfd back."""
        os.close(self.pidfd)


def start(command: tuple[str, ...], environ: Mapping[str, str], *, stdout: int = 1, stderr: int = 2) -> Child:
    """Start `command` with no input, in a session of its own, and return it. Raises OSError.

    posix_spawn, because a supervisor that forks pays for the copy of its page tables at every cycle; and
    signals that Python ignores are given back their defaults, which a child would otherwise inherit.
    """
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, stdout, 1),
        (os.POSIX_SPAWN_DUP2, stderr, 2),
    ]
    pid = os.posix_spawn(
        command[0],
        command,
        environ,
        file_actions=actions,
        setsid=True,
        setsigmask=(),
        setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
    )
    return Child(pid, os.pidfd_open(pid), ours=True)


def found(identity: Identity) -> Child | None:
    """Return a process that somebody else started, or None: it is gone, or leads no group of its own."""
    pidfd = pidfd_of(identity)
    if pidfd is None:
        return None
    with suppress(ProcessLookupError):
        if os.getpgid(identity.pid) == identity.pid:
            return Child(identity.pid, pidfd, ours=False)
    os.close(pidfd)
    return None


def _readable(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))
