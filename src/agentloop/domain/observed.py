"""What a cycle sees of the world outside.

Issues, pull requests, attempts, and what a person wrote in the relay.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from agentloop.domain.issue import Issue, Pull
from agentloop.domain.shares import Share
from agentloop.domain.spells import Spell
from agentloop.domain.valueclass import dataclass
from agentloop.domain.work import RETRY, End, GateBroken, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """An attempt or gate that is alive.

    `beat_at` is its last heartbeat, `spent_micros` what its ledger says.
    """

    attempt: str
    role: Literal["attempt", "gate"]
    beat_at: datetime
    spent_micros: int = 0
    doing: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """An attempt or gate whose process is gone without an end record (killed), or never came to be.

    `spent_micros` is None when its ledger is gone too: then nobody knows. `said` is the end of its log.
    """

    attempt: str
    role: Literal["attempt", "gate"]
    spent_micros: int | None = 0
    shares: tuple[Share, ...] = ()
    said: str = ""
    spells: tuple[Spell, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnded:
    """An attempt with an end record. Money: what was settled, and what is unresolved at its ceiling."""

    end: End
    settled_micros: int
    unresolved_micros: int
    shares: tuple[Share, ...] = ()
    said: str = ""
    """The end of its log, in words."""
    spells: tuple[Spell, ...] = ()
    """When what it settled was spent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateEnded:
    """A gate with a verdict."""

    attempt: str
    verdict: Verdict | GateBroken


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRequest:
    """A person's word that a parked task is to go to a worker again; it counts once, by its `id`."""

    id: str
    task: str
    by: str
    at: datetime
    reason: str = ""
    from_scratch: bool = False

    @property
    def heard(self) -> str:
        """How the task remembers that it was acted on."""
        return f"{RETRY}{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardSeen:
    """The dashboard as it stands. `op` is our operation that wrote it ("" = its mark is gone).

    `ticked` are the boxes as they are, `wrote` as we left them; where the two differ, `by` is who edited it
    last, and `trusted` whether they are listened to.
    """

    id: str
    state: Literal["open", "closed", "gone"] = "open"
    op: str = ""
    ticked: tuple[str, ...] = ()
    wrote: tuple[str, ...] = ()
    by: str = ""
    trusted: bool = False


Seen: TypeAlias = Running | Lost | AttemptEnded | GateEnded


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a plan for a target stands on: the commit its work would start from, its paths, the programs.

    `problem` says, with its fix, why the target cannot be used; then the rest is empty.
    """

    target: str
    branch: str = ""
    commit: str = ""
    paths: frozenset[str] = frozenset()
    programs: frozenset[str] = frozenset()
    """First words of commands that were looked for and found on the PATH that checks will have."""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Barred:
    """A target that nothing may be pushed to, and why: so nothing is begun for it."""

    target: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One look at everything. `human` is the person's section of the relay.

    `problems` is what could not be seen.
    """

    now: datetime
    issues: tuple[Issue, ...] = ()
    pulls: tuple[Pull, ...] = ()
    seen: tuple[Seen, ...] = ()
    human: str = ""
    problems: tuple[str, ...] = ()
    disk_mb: int = 0
    """Megabytes that the runtime folder takes, as it was measured last."""
    disk_short: bool = False
    """Whether the disk has too little left for a start."""
    retries: tuple[RetryRequest, ...] = ()
    """What persons asked for with `agentloop retry` and no cycle has taken in so far."""
    barred: tuple[Barred, ...] = ()
    """Targets that nothing may be pushed to."""
    boards: tuple[BoardSeen, ...] = ()
    """The dashboard, when there is one and it could be read."""

    def issue(self, issue: str) -> Issue | None:
        """Return the issue called `issue`, or None."""
        return next((one for one in self.issues if one.id == issue), None)

    def pull(self, pull: str) -> Pull | None:
        """Return the pull request called `pull`, or None."""
        return next((one for one in self.pulls if one.id == pull), None)
