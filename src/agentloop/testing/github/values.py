"""What a GitHub holds, as records that change in place; `Hub` alone changes them, under its lock.

Times are whole seconds, as GitHub's are: two changes within one second have the same `updated_at`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal["User", "Bot", "Organization"]
Role: TypeAlias = Literal["read", "triage", "write", "maintain", "admin"]
Association: TypeAlias = Literal["OWNER", "MEMBER", "COLLABORATOR", "CONTRIBUTOR", "NONE"]
Verdict: TypeAlias = Literal["APPROVED", "CHANGES_REQUESTED", "COMMENTED", "DISMISSED", "PENDING"]

ROLES: Final[tuple[Role, ...]] = ("read", "triage", "write", "maintain", "admin")
"""What a person may do in a repository, the least first."""

REACTIONS: Final = ("+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes")


@dataclass(slots=True, kw_only=True)
class Account:
    """A person, a bot or an organization."""

    id: int
    login: str
    kind: Kind = "User"


@dataclass(slots=True, kw_only=True)
class Token:
    """What a request shows: whose it is and what it may do.

    `permissions` is None for a classic token (all that its account may), else what each kind of thing is
    open for, e.g. {"issues": "write", "contents": "read"}; `repositories` None means all of the account's.
    """

    word: str
    account: Account
    permissions: dict[str, str] | None = None
    repositories: frozenset[str] | None = None
    expires_at: datetime | None = None
    revoked: bool = False


@dataclass(slots=True, kw_only=True)
class Reaction:
    """One reaction of one account."""

    id: int
    account: Account
    content: str
    created_at: datetime


@dataclass(slots=True, kw_only=True)
class Edit:
    """One change to a body; GitHub keeps all of them and tells them by GraphQL only."""

    account: Account
    at: datetime


@dataclass(slots=True, kw_only=True)
class Comment:
    """A comment on an issue or a pull request."""

    id: int
    author: Account
    body: str
    created_at: datetime
    updated_at: datetime
    edits: list[Edit] = field(default_factory=list)
    reactions: list[Reaction] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Labelled:
    """A label that was put on (or taken off), by whom and when."""

    id: int
    account: Account
    name: str
    at: datetime
    on: bool = True


@dataclass(slots=True, kw_only=True)
class Review:
    """A person's verdict on a pull request, at one commit."""

    id: int
    author: Account
    verdict: Verdict
    body: str
    commit: str
    submitted_at: datetime
    edits: list[Edit] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class ReviewComment(Comment):
    """A comment on a line of a pull request; `reply_to` names the one that its thread began with."""

    path: str
    line: int
    commit: str
    review: int = 0
    reply_to: int = 0


@dataclass(slots=True, kw_only=True)
class PullPart:
    """What a pull request has beyond an issue. `head` is kept up to date while it is open."""

    branch: str
    base: str
    head: str
    base_commit: str
    draft: bool = False
    fork: str = ""
    """Where the branch is when it is not here: `owner/name`; that repository itself is not modelled."""
    merged_at: datetime | None = None
    merged_by: Account | None = None
    merge_commit: str = ""
    reviewers: list[Account] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    comments: list[ReviewComment] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Thread:
    """An issue, or (with `pull`) a pull request: GitHub numbers both alike."""

    id: int
    number: int
    title: str
    body: str
    author: Account
    created_at: datetime
    updated_at: datetime
    state: Literal["open", "closed"] = "open"
    reason: str = ""
    closed_at: datetime | None = None
    closed_by: Account | None = None
    labels: list[str] = field(default_factory=list)
    locked: bool = False
    pinned: bool = False
    gone: Literal["", "deleted", "discussion"] = ""
    comments: list[Comment] = field(default_factory=list)
    labelled: list[Labelled] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)
    renamed: list[Edit] = field(default_factory=list)
    reactions: list[Reaction] = field(default_factory=list)
    pull: PullPart | None = None

    @property
    def part(self) -> PullPart:
        """What it has as a pull request. Raises TypeError for an issue: nobody asks that of one."""
        if self.pull is None:
            raise TypeError(f"{self.number} is an issue")
        return self.pull


@dataclass(slots=True, kw_only=True)
class Check:
    """A check run on a commit, by an app or an action."""

    id: int
    name: str
    commit: str
    status: Literal["queued", "in_progress", "completed"]
    conclusion: str = ""
    title: str = ""
    summary: str = ""
    log: str = ""
    annotations: list[tuple[str, int, str]] = field(default_factory=list)
    """Path, line and message of each."""
    started_at: datetime | None = None
    completed_at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class Status:
    """A commit's status in one context, as a build server reports it; a later one takes its place."""

    id: int
    commit: str
    context: str
    state: Literal["error", "failure", "pending", "success"]
    description: str
    at: datetime


@dataclass(slots=True, kw_only=True)
class Rule:
    """A ruleset that guards a branch: what a merge into it takes, and who gets round it.

    `bypass` names accounts that it does not bind.
    """

    id: int
    branch: str
    approvals: int = 1
    bypass: set[str] = field(default_factory=set)
    active: bool = True
    outlived: bool = False
    """Whether an approval holds for what is pushed after it."""


@dataclass(slots=True, kw_only=True)
class Label:
    """A label that a repository has."""

    id: int
    name: str
    color: str = "ededed"
    description: str = ""


@dataclass(slots=True, kw_only=True)
class Hook:
    """Where events are sent, and the secret that signs them."""

    url: str
    secret: str
    events: frozenset[str]


@dataclass(slots=True, kw_only=True)
class Repository:
    """A repository: its threads, and a bare git repository in `folder`.

    `rules` is None where the plan has none: asking for them is refused, and nothing binds anybody.
    """

    id: int
    owner: Account
    name: str
    folder: Path
    branch: str = "main"
    private: bool = False
    archived: bool = False
    roles: dict[str, Role] = field(default_factory=dict)
    contributors: set[str] = field(default_factory=set)
    threads: dict[int, Thread] = field(default_factory=dict)
    labels: dict[str, Label] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)
    protected: set[str] = field(default_factory=set)
    """Branches that are protected in the older way; here it binds nobody, and is only told."""
    deletes_merged: bool = False
    """Whether a branch is deleted by itself when its pull request is merged."""
    rules: list[Rule] | None = field(default_factory=list)
    hooks: list[Hook] = field(default_factory=list)
    numbers: int = 0

    @property
    def path(self) -> str:
        """`owner/name`, as it is asked for."""
        return f"{self.owner.login}/{self.name}"
