"""What ends an attempt from outside: its deadline, a supervisor that stays away, a stop, a full disk.

A thread looks every few seconds and leaves a heartbeat. When the leash is pulled, a descriptor becomes
readable (it ends the command in hand), and a model call is broken off by an exception in the main thread.
Nowhere else is the main thread interrupted: it asks (`check`) between two steps.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Self

from agentloop.domain.codec import stamp
from agentloop.domain.work import Stopped
from agentloop.edges import runfolder
from agentloop.edges.files import write_plain
from agentloop.edges.runtime import read_supervisor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agentloop.edges.room import Room
    from agentloop.home import RunFolder

LOOK_SECONDS: Final = 2.0
STOP_FILE: Final = "stop"
"""In the run's folder; its text is why."""


class Pulled(BaseException):  # so that no `except Exception` of a library swallows it
    """The attempt has to end; `stopped` says why."""

    def __init__(self, stopped: Stopped) -> None:
        super().__init__(stopped.why)
        self.stopped = stopped


class Leash:
    """Held for as long as an attempt runs; `with` it, in the main thread.

    `claimed`: the folder's claim says whose it is. `room` is looked at by the thread alone.
    """

    def __init__(
        self,
        folder: RunFolder,
        home: Path,
        *,
        deadline: datetime,
        grace_seconds: float,
        claimed: bool = True,
        room: Room | None = None,
    ) -> None:
        self._folder = folder
        self._home = home
        self._claimed = claimed
        self._room = room
        self._deadline = deadline
        # Both clocks: one stands still while the machine sleeps, the other may be set back.
        left = (deadline - datetime.now(tz=UTC)).total_seconds()
        self._deadline_ticks = time.monotonic() + left
        self._grace_seconds = grace_seconds
        self._seen_ticks = time.monotonic()
        self._main = threading.main_thread().ident or 0
        self._exposed = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="leash", daemon=True)
        self.interrupt = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.stopped: Stopped | None = None
        self.doing = "starting"

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGUSR1, self._on_pull)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def is_late(self) -> bool:
        """Whether the deadline has passed by any clock: nothing may be delivered any more."""
        return datetime.now(tz=UTC) >= self._deadline or time.monotonic() >= self._deadline_ticks

    @property
    def is_held(self) -> bool:
        """Whether the lease is still ours: the claim in our folder names this process, in this boot.

        When the runtime folder was lost, the cycle counts us as lost, and may have started another.
        """
        if not self._claimed:
            return True
        claim = runfolder.read_object(str(self._folder.claim))
        return claim is not None and claim.get("pid") == os.getpid() and runfolder.is_alive(claim)

    def check(self) -> None:
        """Raise Pulled when the attempt has to end.

        All is looked at afresh: one that was frozen, and wakes up, may not do one thing more on an old look.
        """
        if self.stopped is None and (reason := self._reason()) is not None:
            self.pull(reason)
        if self.stopped is not None:
            raise Pulled(self.stopped)

    @contextlib.contextmanager
    def exposed(self) -> Iterator[None]:
        """Within this, a pull raises Pulled at once, wherever the main thread stands."""
        self._exposed = True
        try:
            self.check()
            yield
        finally:
            self._exposed = False

    def pull(self, stopped: Stopped) -> None:
        """End the attempt; the first reason counts."""
        if self.stopped is None:
            self.stopped = stopped
            os.eventfd_write(self.interrupt, 1)

    def _on_signal(self, number: int, _frame: object) -> None:
        why = self._stop_text() or f"it was sent {signal.Signals(number).name}"
        self.pull(Stopped(why="cancelled", detail=why))
        self._on_pull()

    def _on_pull(self, *_: object) -> None:
        if self._exposed and self.stopped is not None:
            self._exposed = False
            raise Pulled(self.stopped)

    def _watch(self) -> None:
        while True:
            self._beat()
            reason = self._reason() or self._lacking()
            if reason is not None and self.stopped is None:
                self.pull(reason)
                signal.pthread_kill(self._main, signal.SIGUSR1)
            if self._over.wait(LOOK_SECONDS):
                return

    def _beat(self) -> None:
        # A full disk must not end the thread that watches the deadline.
        with contextlib.suppress(OSError):
            said = {"at": stamp(datetime.now(tz=UTC)), "doing": self.doing}
            write_plain(self._folder.heartbeat, json.dumps(said).encode())

    def _reason(self) -> Stopped | None:
        if self.is_late:
            return Stopped(why="deadline", detail=f"its time was over at {stamp(self._deadline)}")
        if (said := self._stop_text()) is not None:
            return Stopped(why="cancelled", detail=said)
        if not self.is_held:
            return Stopped(why="orphaned", detail="its lease is gone: its folder was taken away")
        if read_supervisor(self._home) is not None:
            self._seen_ticks = time.monotonic()
        if time.monotonic() - self._seen_ticks > self._grace_seconds:
            return Stopped(why="orphaned", detail=f"no supervisor for {self._grace_seconds:.0f} seconds")
        return None

    def _lacking(self) -> Stopped | None:
        lacking = self._room.lacking() if self._room is not None else ""
        return Stopped(why="disk", detail=lacking) if lacking else None

    def _stop_text(self) -> str | None:
        try:
            return (self._folder.root / STOP_FILE).read_text("utf-8", "replace").strip() or "it was stopped"
        except OSError:
            return None
