"""The outside world on one screen.

Each port is as wide as the cycle needs: look at all of it (`observe`), look for one effect (`find`), do one
effect (`act`). `find` returns what `act` would have returned when the effect is there already, else None; it
must find an effect whose act was interrupted right after it took place. Implementations: `edges/` (the real
things) and `testing/` (small true ones); both pass the tests in `tests/contract`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

# ruff: noqa: PLC0414 - `as` with the same name is how a name is passed on
# The executor's answers are values of the domain; they are named here too because they are half of that port.
from agentloop.domain.observed import AttemptEnded as AttemptEnded
from agentloop.domain.observed import Barred as Barred
from agentloop.domain.observed import BoardSeen as BoardSeen
from agentloop.domain.observed import GateEnded as GateEnded
from agentloop.domain.observed import Lost as Lost
from agentloop.domain.observed import Running as Running
from agentloop.domain.observed import Seen as Seen
from agentloop.domain.valueclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from agentloop.domain.effects import ExecutorEffect, ForgeEffect, KeepBoard, TrackerEffect
    from agentloop.domain.facts import Entry
    from agentloop.domain.issue import Issue, Pull
    from agentloop.domain.marks import Mark
    from agentloop.domain.model import Answer, Request
    from agentloop.domain.observed import RetryRequest
    from agentloop.domain.relay import Relay
    from agentloop.domain.settings import Target
    from agentloop.domain.work import AttemptSpec, End, Finding, GateSpec
    from agentloop.domain.world import World


class Tracker(Protocol):
    """Where issues live."""

    def observe(self, known: frozenset[str]) -> tuple[Issue, ...]:
        """Return every open issue, and those of `known` (issue ids with unfinished business) in any state."""

    def find(self, op: str, effect: TrackerEffect) -> str | None:
        """Return the id of what `op` made (comment id, issue id), or None."""

    def act(self, op: str, effect: TrackerEffect) -> str:
        """Do it and return the id of what was made."""


class Board(Protocol):
    """Where the dashboard is kept."""

    def observe(self, known: str) -> tuple[BoardSeen, ...]:
        """Return the dashboard called `known` as it stands; nothing where there is none."""

    def find(self, op: str, effect: KeepBoard) -> str | None:
        """Return the name of the dashboard when `op` wrote it (or, for a first one, any of ours), or None."""

    def act(self, op: str, effect: KeepBoard) -> str:
        """Make or rewrite it and return its name.

        Raises ConflictError when its boxes were changed since they were seen, or it was closed.
        """


class NoBoard:
    """No dashboard: the built-in tracker needs none, `agentloop status` is it."""

    def observe(self, known: str) -> tuple[BoardSeen, ...]:
        """Return nothing."""
        del known
        return ()

    def find(self, op: str, effect: KeepBoard) -> str | None:
        """Return None."""
        del op, effect
        return None

    def act(self, op: str, effect: KeepBoard) -> str:
        """Do nothing and return no name."""
        del op, effect
        return ""


class Forge(Protocol):
    """Where branches and pull requests live."""

    def observe(self, known: frozenset[str]) -> tuple[Pull, ...]:
        """Return every open pull request of ours, and those of `known` (pull ids) in any state."""

    def find(self, op: str, effect: ForgeEffect) -> str | None:
        """Return the id of what `op` made (pull id, commit, comment id), or None."""

    def act(self, op: str, effect: ForgeEffect) -> str:
        """Do it and return the id of what was made.

        Raises ConflictError when a branch is not where expected.
        """


@runtime_checkable
class Marked(Protocol):
    """A forge or tracker that keeps marks of ours, to be read when the journal is lost."""

    def marks(self) -> tuple[Mark, ...]:
        """Return every mark that proves to be ours."""

    def unproved(self) -> tuple[str, ...]:
        """Return what claims to be ours and cannot prove it."""


class Executor(Protocol):
    """What starts attempts and gates on a machine."""

    def observe(self, known: frozenset[str]) -> tuple[Seen, ...]:
        """Return how those of `known` stand (`attempt:<id>` or `gate:<id>`)."""

    def place(self) -> str:
        """Return the name of the place where runs leave their records; another one once they are lost."""

    def find(self, op: str, effect: ExecutorEffect) -> str | None:
        """Return the attempt's id when it was started (or stopped) already, or may have been, or None.

        It may have been started when the place that the effect names is gone, with all that would show it.
        """

    def act(self, op: str, effect: ExecutorEffect, spec: AttemptSpec | GateSpec | None) -> str:
        """Start or stop it and return its id. Raises UnsafeError when it must not be started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A result in our own hands: one commit of ours on the base, with the worker's tree (its id)."""

    commit: str
    tree: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A result that may not come in: hostile or beyond bounds."""

    findings: tuple[Finding, ...]


class Repositories(Protocol):
    """Mirrors of the targets, work trees for attempts, and the way back in."""

    def head(self, target: Target) -> tuple[str, str]:
        """Fetch, and return (branch, commit) that work starts from. Raises TargetError, with the fix."""

    def prepare(self, spec: AttemptSpec, *, message: str) -> None:
        """Give the attempt a place to work in: made ahead, or a bare one. Done already = nothing to do."""

    def take(
        self, spec: AttemptSpec, end: End, *, message: str, parents: tuple[str, ...]
    ) -> Taken | Rejected:
        """Take an attempt's result over.

        Pack into a quarantine, policy on the tree, one commit with `parents`.
        """

    def diff(self, target: Target, base: str, commit: str, limit_bytes: int) -> str:
        """Return the unified diff, cut at `limit_bytes` and saying so."""

    def read(self, target: Target, commit: str, path: str, limit_bytes: int) -> str | None:
        """Return a file's text at a commit (undecodable bytes replaced), or None when there is none."""

    def paths(self, target: Target, commit: str) -> tuple[str, ...]:
        """Return every path in the commit's tree. Raises GoneError for an unknown commit, TargetError."""

    def folder(self, target: Target) -> Path:
        """Return the mirror's folder."""


class Journal(Protocol):
    """The append-only record of facts; the cycle is its only writer."""

    def world(self) -> World:
        """Return the fold over everything recorded. Raises JournalError."""

    def append(self, entry: Entry) -> None:
        """Record facts; they are durable on return. Raises JournalError: then nothing was acknowledged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRelay:
    """The relay as a cycle found it: its text, and its values with everything a person did to it."""

    text: str
    relay: Relay


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOn:
    """What became of a write: the version in place (None: nothing changed), and what went wrong beside it.

    `moved` counts a person's edits in the core's sections: they are, word for word, in the person's own now.
    """

    version: int | None
    notices: tuple[str, ...] = ()
    moved: int = 0


class Baton(Protocol):
    """The relay, for one cycle: taken over once, handed on once."""

    def take(self) -> HeldRelay:
        """Return the relay as it is now. Raises HomeError when it cannot be read."""

    def hand_on(self, new: Relay, *, message: str, notes: tuple[str, ...]) -> HandedOn:
        """Write `new`, merged with what a person did since `take`, and commit it with the `notes` (paths)."""


class Notes(Protocol):
    """Notes of research tasks, in the home."""

    def keep(self, task: str, text: str) -> str:
        """Write a task's note durably and return its path in the home.

        The same text again changes nothing.
        """

    def read(self, path: str) -> str:
        """Return a note's text ("" when it is gone)."""


class Model(Protocol):
    """A language model."""

    def ask(self, request: Request) -> Answer:
        """Return its answer; limits, refusals and outages are answers too. Raises nothing of the vendor's."""


class Clock(Protocol):
    """The time, so that tests and the simulator can own it."""

    def now(self) -> datetime:
        """Return the time now, aware, in UTC."""


def _nothing(_name: object) -> None:
    return


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """The ports that effects go through, and where attempts and gates have their folders."""

    tracker: Tracker
    forge: Forge
    executor: Executor
    repositories: Repositories
    notes: Notes
    sweep: Callable[[frozenset[str]], None]
    """Takes away the trees of runs that are over, but for the attempts named."""
    attempt_folder: Callable[[str], str]
    gate_folder: Callable[[str], str]
    asked: Callable[[], tuple[RetryRequest, ...]] = tuple
    """Returns what persons asked for (`agentloop retry`), oldest first."""
    bound: Callable[[Callable[[], tuple[str, ...]]], object] = _nothing
    """Keeps the disk bounded; is given what names the attempts whose tasks are over."""
    disk_mb: Callable[[], int] = int
    """Returns the megabytes that were in use when the disk was measured last."""
    disk_short: Callable[[], bool] = bool
    """Whether the disk has too little left for a start."""
    barred: Callable[[], tuple[Barred, ...]] = tuple
    """Returns the targets that nothing may be pushed to, because it is not proved that we cannot merge."""
    heard: Callable[[str], None] = _nothing
    """Takes a request away, by its id: it is in the journal now."""
    board: Board = NoBoard()
