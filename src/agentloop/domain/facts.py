"""What the journal holds: facts, never opinions about them. Every status is a fold over these.

A line of the journal is one `Entry`: facts that became true together, or not at all. Class and field names
are the format (see `codec`); a fact is never changed, and a new field has a default.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from agentloop.domain.decisions import Decision, Wake
from agentloop.domain.effects import Effect
from agentloop.domain.shares import Share
from agentloop.domain.spells import Spell
from agentloop.domain.valueclass import dataclass, field
from agentloop.domain.work import Finding, Outcome, Task, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleBegan:
    """A cycle looked and found something; idle cycles leave no trace here."""

    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleEnded:
    """How it ended; "quiet": nothing was new or done but that reasons for waiting were written down.

    `matters` are those the admin was shown.

    `fingerprint` is of what was observed after acting.
    """

    outcome: Literal["acted", "quiet", "failed", "limited"]
    fingerprint: str
    reason: str = ""
    matters: tuple[str, ...] = ()
    woken_by: tuple[str, ...] = ()
    """Who or what asked for it, as the wake trigger said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBack:
    """Why a candidate (a queued task, an issue with words that nobody decided on) was not started.

    Said at the end of a cycle, when it changed; no reason = it is no candidate any more.
    """

    about: str
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueSeen:
    """An issue as it was first seen, or after it changed. `evidence` names its words (see `signals`)."""

    issue: str
    title: str
    target: str
    priority: str
    evidence: str
    author: str = ""
    """Who wrote it: whoever asks for what is done for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """The labels of an issue that settings tie to an autonomy, when they changed."""

    issue: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Permitted:
    """A person had something built for an issue that is under `suggest`: this one is under `draft` now."""

    issue: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgeted:
    """A person said what an issue may spend; it stands in the place of limits.issue_usd."""

    issue: str
    micros: int
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanHeld:
    """The plan of these tasks waits for a person's word; `plan` names it, `why` what is risky about it."""

    issue: str
    plan: str
    tasks: tuple[str, ...]
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanApproved:
    """A person approved that very plan."""

    issue: str
    plan: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """An issue was cut into tasks, on the evidence named."""

    issue: str
    tasks: tuple[Task, ...]
    evidence: str
    why: str = ""
    """Why this way, in the admin's words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A person was asked; the issue waits until its words change."""

    issue: str
    question: str
    choices: tuple[str, ...]
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The issue's words were answered and need nothing built."""

    issue: str
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """The issue's words were acted on by what was decided about its tasks."""

    issue: str
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueParked:
    """The loop cannot go on with the issue by itself; a change of its words wakes it."""

    issue: str
    reason: str
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueClosed:
    """The issue is closed: by the loop when all was merged (`word` is its comment), or by a person."""

    issue: str
    by: Literal["loop", "person"]
    word: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueReopened:
    """A person opened it again."""

    issue: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptStarted:
    """A worker was given the task. `evidence` names what it was started on; `base` the commit of its tree."""

    attempt: str
    task: str
    base: str
    parents: tuple[str, ...]
    branch: str
    base_branch: str
    evidence: str
    slice_micros: int
    deadline: datetime
    trunk: str = ""
    """The commit of the base branch that the whole change is measured against."""
    origin: str = ""
    """The commit that its result is measured from, when `base` holds an earlier attempt's work."""
    estimate_micros: int = 0
    """What such an attempt costs by our own history (median)."""
    estimate_high_micros: int = 0
    """Nine in ten cost less."""
    estimate_from: int = 0
    """How many similar attempts the estimate is made from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnded:
    """It left an end record."""

    attempt: str
    outcome: Outcome
    turns: int
    sandboxed: bool
    models: tuple[str, ...] = ()
    said: str = ""
    """The end of its log in words, for the next attempt: a worker's words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptLost:
    """Its process is gone without an end record: it was killed. `said` as in AttemptEnded."""

    attempt: str
    said: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkTaken:
    """What an attempt had done when it was stopped is ours: the next one starts from this commit."""

    attempt: str
    commit: str
    tree: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkRefused:
    """What an attempt had done when it was stopped may not come in: the next one starts afresh."""

    attempt: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultTaken:
    """Its result is ours: one commit in the mirror, with the tree named."""

    attempt: str
    commit: str
    tree: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteTaken:
    """A research task's note is in the home."""

    attempt: str
    task: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRejected:
    """Its result may not come in."""

    attempt: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultLost:
    """Its result went with the runtime folder before it was published: the work is to be done again."""

    attempt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GateStarted:
    """The gate was set on a commit. `round` counts starts after a gate that was lost."""

    attempt: str
    commit: str
    round: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLost:
    """The gate ended without a verdict on the commit."""

    attempt: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The gate's verdict."""

    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """The admin's view of a green result."""

    attempt: str
    accepted: bool
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The task's pull request shows this attempt's commit."""

    task: str
    attempt: str
    pull: str
    branch: str
    commit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SentBack:
    """The task goes to a worker again.

    Red gate, changes requested, a conflict, a broken promise, new guidance.
    """

    task: str
    findings: tuple[Finding, ...] = ()
    guidance: str = ""
    from_scratch: bool = False
    heard: tuple[str, ...] = ()
    """Ids of the reviews that are answered by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requeued:
    """The attempt ended from outside.

    The task may be tried again on the same evidence, not before `not_before`.
    """

    task: str
    not_before: datetime
    why: str
    counts: bool = True
    """False for a provider's limit: a timer, not a failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """A person merged the pull request."""

    task: str
    pull: str
    commit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """The loop cannot go on with the task by itself."""

    task: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """The task will not be done."""

    task: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HandsOff:
    """A person pushed to the pull request's branch: it is theirs now."""

    task: str
    pull: str
    head: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """The pull request was made ready for review, once and for all, and `asked` were asked for one."""

    task: str
    pull: str
    asked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardOnPull:
    """What was said on the task's pull request (ids) was answered, or needs nothing."""

    task: str
    heard: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """Money set aside before it may be spent. `purse` is `attempt:<id>` or `admin:<cycle>:<n>`."""

    purse: str
    micros: int
    model: str = ""
    tokens: int = 0
    """Set aside too, where tokens are limited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What became of it: spent for certain, and unresolved (counted at its ceiling for good)."""

    purse: str
    micros: int
    unresolved_micros: int = 0
    model: str = ""
    shares: tuple[Share, ...] = ()
    """The same, model by model, with calls and tokens; empty when the ledger is gone, as in old journals."""
    issues: tuple[str, ...] = ()
    """The issues that the admin was asked about: each bears an equal share of it."""
    spells: tuple[Spell, ...] = ()
    """When it was spent, ten minutes at a time; what they do not name counts when this was recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerted:
    """A person was told, once, that a limit comes near or is reached. `key` names limit, period and share."""

    key: str
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectIntended:
    """About to be done; without an end it is looked for first and then done."""

    op: str
    effect: Effect
    by: str = ""
    """Who decided it: admin, rules, person; "" in old journals."""
    decision: str = ""
    """The name of the decision it belongs to; "" = a duty of the cycle's own, such as telling of a limit."""
    asked: str = ""
    """Whose wish it serves: the issue's author, or the person whose order it carries out."""
    rule: str = ""
    """Under which rule it was allowed."""
    concerns: str = ""
    """The issue that it is for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectDone:
    """Done; `result` is the id of what was made."""

    op: str
    result: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectFailed:
    """Will not be tried again under this id: it was refused for a reason that stays."""

    op: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A decision that was admitted."""

    by: Literal["admin", "rules", "person"]
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A decision that was not admitted, and why: shown to the admin once."""

    by: Literal["admin", "rules", "person"]
    decision: Decision
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a thread shows now: `about` names the thread and the part of it, `digest` what was shown there.

    `last`: it is over, and will not be touched again.
    """

    about: str
    digest: str
    last: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitReached:
    """The provider said when to come back."""

    until: datetime
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayWritten:
    """A new version of the relay."""

    version: int
    next_action: str
    signal: bool
    """Whether anything new had been observed when it was written (see the stall rule)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slept:
    """Why the loop went to sleep, and until when (None = until something happens)."""

    until: datetime | None
    kind: str
    reason: str
    wake: tuple[Wake, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalLost:
    """Lines of the journal are gone; this one stands in their place. `aside` is where the rest is kept.

    Until `JournalMended`, what tracker, forge and home show of our marks is still to be taken in.
    """

    what: str
    aside: str = ""
    tail: bool = False
    """Whether the last lines are among them: then nobody knows what was spent lately."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalMended:
    """All that could be learned from marks is in the journal again; `marks` of them told something."""

    marks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundByMark:
    """What is recorded with this was lost here, and read from the mark that `op` left at `where`."""

    op: str
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteFound:
    """A research task whose beginnings were lost has its note in the home: it is not done again."""

    task: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptsForgotten:
    """The task had attempts up to this number that the journal lost: the next one counts on from there."""

    task: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Obeyed:
    """A person's order was answered: once, whatever comes of it.

    `about` is the issue, pull request or task ("" = everything); `first` the name of the commands of its
    comment as they stood (behind `changed `: it was refused because the comment had been changed).
    """

    order: str
    about: str
    verb: str
    by: str
    first: str = ""
    answer: Literal["done", "refused", "unknown", "changed"] = "done"
    says: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    """A person paused an issue, a task or ("") everything: nothing of it is begun or published until then."""

    about: str
    until: datetime
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """A person ended a pause."""

    about: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Urged:
    """A person wants an issue or task begun before all others, and looked at afresh when it was given up."""

    about: str
    by: str


Fact: TypeAlias = (
    CycleBegan
    | CycleEnded
    | HeldBack
    | IssueSeen
    | Labelled
    | Permitted
    | Budgeted
    | PlanHeld
    | PlanApproved
    | Planned
    | Asked
    | Answered
    | Heard
    | IssueParked
    | IssueClosed
    | IssueReopened
    | AttemptStarted
    | AttemptEnded
    | AttemptLost
    | WorkTaken
    | WorkRefused
    | ResultTaken
    | NoteTaken
    | ResultRejected
    | ResultLost
    | GateStarted
    | GateLost
    | Judged
    | Reviewed
    | Published
    | SentBack
    | Requeued
    | Merged
    | Parked
    | Cancelled
    | HandsOff
    | Proposed
    | HeardOnPull
    | Reserved
    | Settled
    | Alerted
    | EffectIntended
    | EffectDone
    | EffectFailed
    | Decided
    | Refused
    | Shown
    | LimitReached
    | RelayWritten
    | Slept
    | JournalLost
    | JournalMended
    | FoundByMark
    | NoteFound
    | AttemptsForgotten
    | Obeyed
    | Paused
    | Resumed
    | Urged
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the journal: facts that are true together. `v` is the format's version."""

    at: datetime
    cycle: int
    facts: tuple[Fact, ...]
    v: int = field(default=1)
