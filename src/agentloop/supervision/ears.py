"""The one place where the supervisor waits: one poll over signals, folders, pidfds and a time.

What is heard is a hint, never the truth: nothing is returned, and whoever listened looks at the world
again. Only signals are remembered, because a signal leaves nothing behind that could be looked at.
"""

from __future__ import annotations

import math
import os
import select
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from agentloop.edges.inotify import Inotify
from agentloop.supervision import kin

if TYPE_CHECKING:
    from pathlib import Path

    from agentloop.edges.sdnotify import Notifier
    from agentloop.supervision.child import Child

_STDERR: Final = 2
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


class Ears:
    """Signals, inotify and the watchdog's beat. `stops` counts requests to stop; `reload`: a SIGHUP came."""

    def __init__(self, notifier: Notifier, *, inotify: bool) -> None:
        self.stops = 0
        self.reload = False
        self.child: Child | None = None
        self.overdue = False
        """A child outlived its deadline: no progress, so no beat, until it is gone."""
        self._notifier = notifier
        self._inotify = _inotify() if inotify else None
        self._unwatched = False
        self._terminal = os.isatty(_STDERR)
        self._pipe, self._wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
        for number in _SIGNALS:
            signal.signal(number, _nothing)
        self._next_beat = math.inf
        self.beat()

    def is_blind(self) -> bool:
        """Return whether changes in folders may go unheard, so that somebody has to look now and then."""
        return self._inotify is None or self._unwatched

    def watch(self, folders: set[Path], needed: Path) -> None:
        """Watch `folders` as they are now, and forget what was heard so far: look after this, then listen."""
        if self._inotify is not None:
            self._inotify.drain()
            self._unwatched = needed in self._inotify.watch(folders)

    def listen(self, until: float, *, pidfds: tuple[int, ...] = (), folders: bool = False) -> None:
        """Return when something is heard, at `until` (monotonic seconds), or when the next beat is due."""
        poll = select.poll()
        for fd in (self._pipe, *pidfds):
            poll.register(fd, select.POLLIN)
        if folders and self._inotify is not None:
            poll.register(self._inotify.fd, select.POLLIN)
        seconds = max(0.0, min(until, self._next_beat) - time.monotonic())
        poll.poll(math.ceil(seconds * 1000))
        self._hear_signals()
        if time.monotonic() >= self._next_beat:
            self.beat()

    def beat(self) -> None:
        """Feed the watchdog, unless a child is overdue: being alive is not progress."""
        if self._notifier.watchdog_seconds is None:
            return
        self._next_beat = time.monotonic() + self._notifier.watchdog_seconds / 2
        if not self.overdue:
            self._notifier.beat()

    def _hear_signals(self) -> None:
        with suppress(BlockingIOError):
            for number in os.read(self._pipe, 4096):
                self._hear(number)

    def _hear(self, number: int) -> None:
        match number:
            case signal.SIGTERM | signal.SIGINT:
                self._stop()
            case signal.SIGHUP if self._terminal and not os.isatty(_STDERR):
                self._stop()  # its window was closed: nobody would see what is done and spent from here on
            case signal.SIGHUP:
                self.reload = True
            case signal.SIGCHLD:
                kin.reap(self.child)
            case _:
                pass

    def _stop(self) -> None:
        self.stops += 1
        if self.stops == 1:
            self._notifier.stopping("draining")


def _inotify() -> Inotify | None:
    try:
        return Inotify()
    except OSError:
        return None


def _nothing(_number: int, _frame: object) -> None:
    """Take a signal in; the wakeup descriptor tells it."""
