"""Waiting for a child, with an end in any case: asked at its deadline, then killed, then given up."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentloop.supervision.child import Child
    from agentloop.supervision.ears import Ears

GRACE_SECONDS: Final = 5.0
"""Between asking a process to end (SIGTERM) and killing it, and then before we stop waiting for it."""
_NOW: Final = 2


class _Ending:
    """How far the ending of a child has come."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self.asked: float | None = None
        self._killed: float | None = None

    def ask(self, now: float) -> None:
        if self.asked is None:
            self.asked = now
            self._child.signal_group(signal.SIGTERM)
        elif now >= self.asked + GRACE_SECONDS:
            self.kill(now)

    def kill(self, now: float) -> None:
        if self._killed is None:
            self._killed = now
        self._child.signal_group(signal.SIGKILL)

    def next_step(self) -> float | None:
        last = self._killed or self.asked
        return None if last is None else last + GRACE_SECONDS

    def is_hopeless(self, now: float) -> bool:
        return self._killed is not None and now >= self._killed + GRACE_SECONDS


def wait_for(
    child: Child,
    ears: Ears,
    *,
    deadline_seconds: float,
    drain_seconds: float,
    on_drain: Callable[[], None],
) -> bool:
    """Wait until `child` is gone; return whether it outlived its deadline.

    It is ended at its deadline, `drain_seconds` after a request to stop (`on_drain` is called then), or at
    once after a second one. A process that not even SIGKILL ends (it hangs in the kernel) is waited for no
    longer than GRACE_SECONDS more; its code stays None.
    """
    deadline = child.began + deadline_seconds
    end_at, draining = deadline, False
    ending = _Ending(child)
    ears.child = child
    while not child.is_over() and not ending.is_hopeless(now := time.monotonic()):
        ears.overdue = now >= deadline
        if ears.stops and not draining:
            draining, end_at = True, min(deadline, now + drain_seconds)
            on_drain()
        if ears.stops >= _NOW:
            ending.kill(now)
        elif now >= end_at:
            ending.ask(now)
        ears.listen(ending.next_step() or end_at, pidfds=(child.pidfd,))
    ears.child, ears.overdue = None, False
    child.close()
    return ending.asked is not None and ending.asked >= deadline
