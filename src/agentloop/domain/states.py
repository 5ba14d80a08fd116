"""Task states, and every transition there is.

    Queued ──start──▶ Working ──end──▶ Returned ──take──▶ Judging ──green──▶ Green ──accept──▶ Accepted
      ▲                                   │                  │ red             │ not accepted     │ publish
      ├──────── requeued ◀────────────────┤                  ▼                 │                  ▼
      ├──────── sent back ◀───────────────┴──────────────── Red ◀──────────────┘               InReview
      └──────── changes requested, conflict ◀─────────────────────────────────────────────────────┘
    InReview ──▶ Merged      research: Returned ──▶ Noted      anywhere ──▶ Parked, Cancelled, Merged

`after` is the one place where a fact moves a task. A fact that does not fit a state leaves it as it is: the
journal may hold what a stale process reported, and a fold never fails.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeAlias

from agentloop.domain import facts
from agentloop.domain.shares import Share
from agentloop.domain.valueclass import dataclass, replace
from agentloop.domain.work import (
    RETRY,
    Blocked,
    Delivered,
    Finding,
    GaveUp,
    NothingDone,
    Outcome,
    Stalled,
    Task,
    Verdict,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """Waits to be started: for what it needs, for its turn, or for a time."""

    findings: tuple[Finding, ...] = ()
    guidance: str = ""
    not_before: datetime | None = None
    why: str = ""
    from_scratch: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Working:
    """An attempt is on it."""

    attempt: str
    since: datetime
    was: Queued
    """What it was started on; a kill puts it back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """Its attempt ended; `outcome` is None when it was killed."""

    attempt: str
    outcome: Outcome | None
    was: Queued


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """The gate is, or is to be, on its result. `round` counts gates.

    `started` says whether this one was set.
    """

    attempt: str
    commit: str
    round: int = 1
    started: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Red:
    """Its result is held back by findings."""

    attempt: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Green:
    """Nothing is held against its result; the admin looks at it next."""

    attempt: str
    commit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """May be published."""

    attempt: str
    commit: str
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InReview:
    """Its pull request waits for a person. `theirs` = a person pushed to the branch: hands off."""

    attempt: str
    pull: str
    commit: str
    theirs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """A person merged it."""

    pull: str
    commit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """Research whose note is in the home."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """The loop cannot go on by itself. `was` holds what the next attempt would have been told."""

    reason: str
    was: Queued = Queued()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """Will not be done."""

    reason: str


TaskState: TypeAlias = (
    Queued
    | Working
    | Returned
    | Judging
    | Red
    | Green
    | Accepted
    | InReview
    | Merged
    | Noted
    | Parked
    | Cancelled
)


def finished(state: TaskState) -> bool:
    """Whether what the task was for is in: the only state that satisfies a dependency."""
    return isinstance(state, Merged | Noted)


def over(state: TaskState) -> bool:
    """Whether nothing more will happen to it."""
    return isinstance(state, Merged | Noted | Cancelled)


def own_verdict(outcome: Outcome | None) -> bool:
    """Whether the attempt ended by its own verdict, and so used up the evidence it was started on."""
    return isinstance(outcome, Delivered | Blocked | NothingDone | GaveUp | Stalled)


def after(state: TaskState, fact: facts.Fact, at: datetime) -> TaskState:  # noqa: C901, PLR0912 - the table
    """Return the state that `fact`, recorded `at`, moves a task in `state` to.

    `state` itself where none applies.
    """
    match state, fact:
        case Queued(), facts.AttemptStarted(attempt=attempt):
            return Working(attempt=attempt, since=at, was=state)
        case Queued(), facts.Requeued(not_before=not_before, why=why):
            return replace(state, not_before=not_before, why=why)
        case Working(attempt=mine), facts.AttemptEnded(attempt=attempt, outcome=outcome) if mine == attempt:
            return Returned(attempt=mine, outcome=outcome, was=state.was)
        case Working(attempt=mine), facts.AttemptLost(attempt=attempt) if mine == attempt:
            return Returned(attempt=mine, outcome=None, was=state.was)
        case Returned(was=was), facts.Requeued(not_before=not_before, why=why):
            return replace(was, not_before=not_before, why=why)
        case Returned(attempt=mine), facts.ResultTaken(attempt=attempt, commit=commit) if mine == attempt:
            return Judging(attempt=mine, commit=commit)
        case Returned(attempt=mine), facts.ResultRejected(attempt=attempt, findings=held) if mine == attempt:
            return Red(attempt=mine, findings=held)
        case Returned(attempt=mine), facts.NoteTaken(attempt=attempt, path=path) if mine == attempt:
            return Noted(path=path)
        case (
            (Judging(attempt=mine) | Green(attempt=mine) | Accepted(attempt=mine)),
            facts.ResultLost(attempt=attempt),
        ) if mine == attempt:
            return Returned(attempt=mine, outcome=None, was=Queued())
        case Judging(attempt=mine), facts.GateStarted(attempt=attempt, round=number) if mine == attempt:
            return replace(state, started=True, round=number)
        case Judging(attempt=mine), facts.GateLost(attempt=attempt) if mine == attempt:
            return replace(state, started=False, round=state.round + 1)
        case Judging(attempt=mine, commit=commit), facts.Judged(verdict=verdict) if (
            verdict.attempt == mine and verdict.commit == commit
        ):
            return _judged(verdict)
        case Green(attempt=mine, commit=commit), facts.Reviewed(attempt=attempt) if mine == attempt:
            return _reviewed(mine, commit, fact)
        case Accepted(attempt=mine), facts.Published(attempt=attempt, pull=pull, commit=commit) if (
            mine == attempt
        ):
            return InReview(attempt=mine, pull=pull, commit=commit)
        case _, facts.NoteFound(path=path) if not over(state):
            return Noted(path=path)
        case InReview(), facts.HandsOff():
            return replace(state, theirs=True)
        case (
            (Returned() | Red() | Green() | Accepted() | InReview() | Parked() | Queued()),
            facts.SentBack(),
        ):
            return Queued(findings=fact.findings, guidance=fact.guidance, from_scratch=fact.from_scratch)
        case _, facts.Merged(pull=pull, commit=commit):
            return Merged(pull=pull, commit=commit)
        case _, facts.Parked(reason=reason) if not over(state):
            return Parked(reason=reason, was=_told_so_far(state))
        case _, facts.Cancelled(reason=reason) if not over(state):
            return Cancelled(reason=reason)
        case _:
            return state


def _told_so_far(state: TaskState) -> Queued:
    match state:
        case Queued(findings=findings, guidance=guidance):
            return Queued(findings=findings, guidance=guidance)
        case Parked(was=was):
            return was
        case Working(was=was) | Returned(was=was):
            return Queued(findings=was.findings, guidance=was.guidance)
        case Red(findings=findings):
            return Queued(findings=findings)
        case _:
            return Queued()


def _judged(verdict: Verdict) -> TaskState:
    if verdict.green:
        return Green(attempt=verdict.attempt, commit=verdict.commit)
    return Red(attempt=verdict.attempt, findings=verdict.findings)


def _reviewed(attempt: str, commit: str, reviewed: facts.Reviewed) -> TaskState:
    if reviewed.accepted:
        return Accepted(attempt=attempt, commit=commit, says=reviewed.says)
    return Red(attempt=attempt, findings=(Finding(kind="review", about="admin", says=reviewed.says),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """One attempt in a task's history.

    `outcome` is None while it runs and when it was killed (`ended` tells).
    """

    attempt: str
    evidence: str
    started: datetime
    base: str
    parents: tuple[str, ...]
    branch: str
    base_branch: str
    slice_micros: int
    deadline: datetime
    trunk: str
    answers: tuple[Finding, ...] = ()
    """What was held against the work so far when it started."""
    ended: datetime | None = None
    outcome: Outcome | None = None
    commit: str = ""
    turns: int = 0
    sandboxed: bool = True
    models: tuple[str, ...] = ()
    spent_micros: int = 0
    shares: tuple[Share, ...] = ()
    estimate_micros: int = 0
    estimate_high_micros: int = 0
    estimate_from: int = 0
    round: int = 0
    """How often a person had sent the task back (`agentloop retry`) when it started."""
    tree: str = ""
    """The tree of its result: the same tree again is the same change."""
    held: tuple[Finding, ...] = ()
    """What was held against its result."""
    guidance: str = ""
    """What it was told besides."""
    said: str = ""
    """The end of its log, in words."""
    work: str | None = None
    """The commit of what it had done when it was stopped ("" = that may not come in); None: not looked at."""
    origin: str = ""
    """The commit that its result is measured from."""
    limit: str = ""
    """The limit of money because of which it was ended from outside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskView:
    """A task, where it stands, and what was tried. `pull` and `head` outlive a retry on the same branch."""

    task: Task
    state: TaskState
    since: datetime
    tries: tuple[Try, ...] = ()
    pull: str = ""
    head: str = ""
    """The commit we last put on its branch; "" = none is out."""
    requeues: int = 0
    """Starts after kills and failures of the machinery since the last verdict of an attempt's own."""
    forgotten: int = 0
    """The highest number of an attempt that a lost journal knew of."""
    heard: tuple[str, ...] = ()
    """Ids of reviews that were acted on."""
    proposed: bool = False
    """Whether its pull request was made ready for review: a person who makes it a draft again means it."""

    @property
    def last(self) -> Try | None:
        """The latest attempt."""
        return self.tries[-1] if self.tries else None

    @property
    def next_attempt(self) -> str:
        """The id of its next attempt: an id never means two things, whatever the journal lost."""
        last = int(self.tries[-1].attempt.rpartition(".")[2]) if self.tries else 0
        return f"{self.task.id}.{max(last, self.forgotten) + 1}"

    @property
    def reviewed(self) -> tuple[str, ...]:
        """The people's reviews among what was acted on; failed checks and conflicts aside."""
        return tuple(one for one in self.heard if not one.startswith(("check:", "conflict:")))

    @property
    def round(self) -> int:
        """How often a person sent the task back: what came to nothing before that is not counted again."""
        return sum(one.startswith(RETRY) for one in self.heard)

    @property
    def verdicts(self) -> int:
        """How many attempts ended by their own verdict."""
        return sum(own_verdict(one.outcome) for one in self.tries)
