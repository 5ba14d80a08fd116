"""Attempts and gates, as far as the supervisor cares: which are alive (their pidfds), and which ended."""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING

from agentloop.edges import runfolder
from agentloop.edges.processes import alive, pidfd_of
from agentloop.edges.runtime import identity_in
from agentloop.home import RunFolder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agentloop.edges.processes import Identity
    from agentloop.home import Home


class Attempts:
    """The claims in the runtime folder, as of the last look. An attempt that ended never lives again."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._alive: dict[Path, tuple[Identity, int | None]] = {}
        self._ended: set[Path] = set()
        self._told: set[Path] = set()
        self.unclaimed: set[Path] = set()
        """Folders without a claim yet: watched, because a cycle may be gone before its attempt claims."""

    def look(self) -> None:
        """Read new claims, and find out which processes ended."""
        present = dict(self._folders())
        for gone in self._alive.keys() - present.keys():
            self._close(gone)
        self._ended &= present.keys()
        self.unclaimed = set()
        for path, is_gate in present.items():
            if path not in self._ended:
                self._look_at(path, is_gate=is_gate)

    def notice(self) -> None:
        """Find out which of those that were alive have ended, by their pidfds alone: no file is looked at."""
        by_fd = {fd: path for path, (_, fd) in self._alive.items() if fd is not None}
        poll = select.poll()
        for fd in by_fd:
            poll.register(fd, select.POLLIN)
        for fd, _ in poll.poll(0):
            self._end(by_fd[fd])

    def all_told(self) -> None:
        """A cycle starts now, and will find what has ended so far."""
        self._told = set(self._ended)

    def news(self) -> tuple[str, ...]:
        """Return the names of those that ended since `all_told`, e.g. ("attempt 7.1.1",)."""
        return tuple(sorted(_name(path) for path in self._ended - self._told))

    def pidfds(self) -> tuple[int, ...]:
        """Return the pidfds of those that are alive."""
        return tuple(fd for _, fd in self._alive.values() if fd is not None)

    def is_blind(self) -> bool:
        """Return whether one is alive that no pidfd can be had for: somebody has to look now and then."""
        return any(fd is None for _, fd in self._alive.values())

    def pids(self) -> frozenset[int]:
        """Return the pids of those that are alive."""
        return frozenset(identity.pid for identity, _ in self._alive.values())

    def _folders(self) -> Iterator[tuple[Path, bool]]:
        for folder, is_gate in ((self._home.attempts, False), (self._home.gates, True)):
            try:
                paths = list(folder.iterdir())
            except OSError:
                continue
            yield from ((path, is_gate) for path in paths)

    def _look_at(self, path: Path, *, is_gate: bool) -> None:
        files = RunFolder(path)
        if (files.verdict if is_gate else files.end).exists():
            self._end(path)
            return
        if path in self._alive:
            if not alive(self._alive[path][0]):
                self._end(path)
            return
        claim = runfolder.read_object(str(files.claim))
        identity = identity_in(claim)
        if claim is None:
            self.unclaimed.add(path)
        elif (
            identity is None
        ):  # a cycle took the claim of a run that was lost: nothing to wait for, and no news
            self._ended.add(path)
            self._told.add(path)
        elif alive(identity):
            self._alive[path] = (identity, pidfd_of(identity))
        else:
            self._end(path)

    def _end(self, path: Path) -> None:
        self._close(path)
        self._ended.add(path)

    def _close(self, path: Path) -> None:
        _, fd = self._alive.pop(path, (None, None))
        if fd is not None:
            os.close(fd)


def _name(path: Path) -> str:
    kind = "gate" if path.parent.name == "gates" else "attempt"
    return f"{kind} {path.name}"
