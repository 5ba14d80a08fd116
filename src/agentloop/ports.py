"""The outside world on one screen.

Each port is as wide as the cycle needs: look at all of it (`observe`), look for one effect (`find`), do one effect
(`act`). `find` returns what `act` would have returned when the effect is there already, else None; it must find an
effect whose act was interrupted right after it took place. Implementations: `edges/` (the real things) and
`testing/` (small true ones); both pass the tests in `tests/contract`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from agentloop.domain.effects import ExecutorEffect, ForgeEffect, TrackerEffect
    from agentloop.domain.issue import Issue, Pull
    from agentloop.domain.model import Answer, Request
    from agentloop.domain.settings import Target
    from agentloop.domain.work import AttemptSpec, End, Finding, GateBroken, GateSpec, Verdict


class Tracker(Protocol):
    """Where issues live."""

    def observe(self, known: frozenset[str]) -> tuple[Issue, ...]:
        """Return every open issue, and those of `known` (issue ids with unfinished business) in any state."""

    def find(self, op: str, effect: TrackerEffect) -> str | None:
        """Return the id of what `op` made (comment id, issue id), or None."""

    def act(self, op: str, effect: TrackerEffect) -> str:
        """Do it and return the id of what was made."""


class Forge(Protocol):
    """Where branches and pull requests live."""

    def observe(self, known: frozenset[str]) -> tuple[Pull, ...]:
        """Return every open pull request of ours, and those of `known` (pull ids) in any state."""

    def find(self, op: str, effect: ForgeEffect) -> str | None:
        """Return the id of what `op` made (pull id, commit, comment id), or None."""

    def act(self, op: str, effect: ForgeEffect) -> str:
        """Do it and return the id of what was made. Raises ConflictError when a branch is not where expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """An attempt or gate that is alive. `beat_at` is its last heartbeat, `spent_micros` what its ledger says."""

    attempt: str
    role: str
    beat_at: datetime
    spent_micros: int = 0
    doing: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """An attempt or gate whose process is gone without an end record (killed), or never came to be."""

    attempt: str
    role: str
    spent_micros: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnded:
    """An attempt with an end record. Money: what was settled, and what is unresolved at its ceiling."""

    end: End
    settled_micros: int
    unresolved_micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GateEnded:
    """A gate with a verdict."""

    attempt: str
    verdict: Verdict | GateBroken


Seen: TypeAlias = "Running | Lost | AttemptEnded | GateEnded"


class Executor(Protocol):
    """What starts attempts and gates on a machine."""

    def observe(self, known: frozenset[str]) -> tuple[Seen, ...]:
        """Return how those of `known` stand (`attempt:<id>` or `gate:<id>`)."""

    def find(self, op: str, effect: ExecutorEffect) -> str | None:
        """Return the attempt's id when it was started (or stopped) already, or None."""

    def act(self, op: str, effect: ExecutorEffect, spec: AttemptSpec | GateSpec | None) -> str:
        """Start or stop it and return its id. Raises UnsafeError when it must not be started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A result in our own hands: one commit of ours on the base, with the worker's tree."""

    commit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A result that may not come in: hostile or beyond bounds."""

    findings: tuple[Finding, ...]


class Repositories(Protocol):
    """Mirrors of the targets, work trees for attempts, and the way back in."""

    def head(self, target: Target) -> tuple[str, str]:
        """Fetch, and return (branch, commit) that work starts from. Raises TargetError, with the fix."""

    def prepare(self, spec: AttemptSpec, *, message: str) -> None:
        """Make the attempt's work tree at its base, with TASK.md; done already = nothing to do."""

    def take(self, spec: AttemptSpec, end: End, *, message: str, parents: tuple[str, ...]) -> Taken | Rejected:
        """Take an attempt's result over: pack into a quarantine, policy on the tree, one commit with `parents`."""

    def diff(self, target: Target, base: str, commit: str, limit_bytes: int) -> str:
        """Return the unified diff, cut at `limit_bytes` and saying so."""

    def read(self, target: Target, commit: str, path: str, limit_bytes: int) -> str | None:
        """Return a file's text at a commit (undecodable bytes replaced), or None when there is none."""

    def paths(self, target: Target, commit: str) -> tuple[str, ...]:
        """Return every path in the commit's tree."""

    def folder(self, target: Target) -> Path:
        """Return the mirror's folder."""


class Model(Protocol):
    """A language model."""

    def ask(self, request: Request) -> Answer:
        """Return its answer; limits, refusals and outages are answers too. Raises nothing of the vendor's."""


class Clock(Protocol):
    """The time, so that tests and the simulator can own it."""

    def now(self) -> datetime:
        """Return the time now, aware, in UTC."""
