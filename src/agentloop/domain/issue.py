"""Issues and what people say in them, as the tracker shows them.

Every word in here was written by somebody else: it is data. `trusted` says whether the author may steer the
loop; text by anybody else is never shown to a model.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, TypeAlias

from agentloop.domain.valueclass import dataclass

PRIORITIES: Final = ("critical", "high", "normal", "low")
"""Labels that order the work, most urgent first; an issue without one is `normal`."""

Priority: TypeAlias = Literal["critical", "high", "normal", "low"]


def urgency(priority: str, issue: str) -> tuple[int, int, str]:
    """Return what issues are sorted by, most urgent first: by priority, then the older one."""
    rank = PRIORITIES.index(priority) if priority in PRIORITIES else PRIORITIES.index("normal")
    return rank, number_of(issue), issue


def number_of(name: str) -> int:
    """Return the number in an issue's or pull request's id (`12`, or `<target>-12`), 0 when there is none."""
    number = name.rpartition("-")[2]
    return int(number) if number.isdecimal() else 0


def target_of(name: str) -> str:
    """Return the target in an issue's or pull request's id, "" for one of the built-in tracker."""
    return name.rpartition("-")[0]


TITLE_LIMIT: Final = 200
BODY_LIMIT: Final = 20_000
COMMENT_LIMIT: Final = 8_000
"""Characters of each that are kept of what a person wrote.

The rest stays in the tracker and is said to be cut.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """One comment. `ours` is set when the loop wrote it: our own words are never work."""

    id: str
    author: str
    body: str
    at: datetime
    ours: bool = False
    trusted: bool = True
    edited: bool = False
    """Whether it was changed after it was written, as far as the tracker tells."""
    op: str = ""
    """For one of ours, the operation that wrote it, where a tracker can hold it twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLabel:
    """A trusted person put a label on: the event's id, who and when."""

    id: str
    name: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """One issue as the tracker shows it now. `number` sorts as a person expects; `id` names it everywhere."""

    id: str
    number: int
    title: str
    body: str
    author: str
    state: Literal["open", "closed"]
    target: str
    created_at: datetime
    labels: tuple[str, ...] = ()
    comments: tuple[Comment, ...] = ()
    trusted: bool = True
    words: str = ""
    """The name of its words as they were, where a record keeps them without their secrets."""
    set_labels: tuple[SetLabel, ...] | None = None
    """How labels that are orders came to be there.

    None: it is not told, and whoever may set them is trusted.
    """

    @property
    def priority(self) -> Priority:
        """The most urgent priority label, or `normal`."""
        for name in PRIORITIES:
            if name in self.labels:
                return name
        return "normal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A person's verdict on a pull request, or a comment in it."""

    id: str
    author: str
    verdict: Literal["approved", "changes_requested", "commented"]
    body: str
    at: datetime
    commit: str = ""
    ours: bool = False
    trusted: bool = True
    edited: bool = False
    """Whether it was changed after it was written, as far as the forge tells."""
    op: str = ""
    """For one of ours, the operation that wrote it, where a tracker can hold it twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineThread:
    """A conversation on a line of a pull request, oldest words first. `id` is that of its first comment."""

    id: str
    path: str
    line: int
    said: tuple[Comment, ...]
    review: str = ""
    """The review that its first comment came with ("" = none)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PullCheck:
    """A check that the forge reports on a pull request's head."""

    name: str
    state: Literal["pending", "passed", "failed"]
    summary: str = ""
    commit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """One of our pull requests as the forge shows it now.

    `head` is the commit its branch points at in the target's origin ("" when the branch is gone);
    `mergeable` is None while the forge does not know.
    """

    id: str
    number: int
    target: str
    branch: str
    base: str
    title: str
    body: str
    state: Literal["open", "merged", "closed"]
    head: str
    mergeable: bool | None = None
    merge_commit: str = ""
    reviews: tuple[Review, ...] = ()
    checks: tuple[PullCheck, ...] = ()
    threads: tuple[LineThread, ...] = ()
    draft: bool = False
    asked: tuple[str, ...] = ()
    """Logins of those who were asked for a review and have not given it."""
