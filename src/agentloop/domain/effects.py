"""Things done outside, as data. One place carries each of them out, and can look whether it was done already.

Every effect has an operation id made by code from what it is for, so that a retry, or a cycle that knows
nothing of the first try, names it alike.
"""

from __future__ import annotations

import hashlib
from typing import Final, Literal, TypeAlias

from agentloop.domain.valueclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """A comment on an issue. `carries`: what its mark says the journal knew (see `marks`); so below.

    `mention` is the account that is called by it ("" = nobody): one that the tracker itself named as the
    author of words that count, never a name out of a text.
    """

    issue: str
    body: str
    carries: str = ""
    mention: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseIssue:
    """Close an issue, with a last comment."""

    issue: str
    body: str
    carries: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Put labels on an issue and take others off."""

    issue: str
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """The one comment of ours on an issue that is edited in place: made when missing, else given these words.

    Its operation begins with `keep:` and names the words; found = the comment is there as `op` left it.
    """

    issue: str
    body: str
    carries: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class React:
    """A reaction of ours on words of a person's: eyes = seen, +1 = done.

    `issue` may be a pull request's id too; `comment` is the comment's, "" = the issue itself.
    """

    issue: str
    comment: str = ""
    content: Literal["eyes", "+1"] = "eyes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsay:
    """Take back a comment of ours that says what another of ours says: both were written by `says`.

    `issue` is an issue's id or a pull request's. Where the tracker itself keeps each operation once, nothing.
    """

    issue: str
    comment: str
    says: str


BOARD_TITLE: Final = "Dashboard of the loop"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepBoard:
    """The dashboard: made (and pinned) when `board` is "", else given these words, with `ticked` boxes.

    `was` is the operation of ours that it stood at when its boxes `seen` were read: ticks that came since are
    not written over, the world refuses then. `number` counts the dashboards that were made.
    """

    target: str
    board: str
    title: str
    body: str
    ticked: tuple[str, ...] = ()
    was: str = ""
    seen: tuple[str, ...] = ()
    number: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """Set a branch in the target's origin to a commit of the mirror.

    Refused unless the branch stands at `expected` ("" = it must not exist).
    """

    target: str
    branch: str
    commit: str
    expected: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPull:
    """Open a pull request for a branch."""

    target: str
    branch: str
    base: str
    title: str
    body: str
    carries: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EditPull:
    """Replace a pull request's description after its branch moved."""

    pull: str
    title: str
    body: str
    carries: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SayOnPull:
    """A comment on a pull request."""

    pull: str
    body: str
    carries: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyInThread:
    """Answer in a thread on lines of a pull request; `thread` is the id of the comment that began it."""

    pull: str
    thread: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeReady:
    """Make a draft ready for review; where there are no drafts it is ready already."""

    pull: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskReview:
    """Ask persons (logins) for a review; where nobody can be asked nothing is to be done.

    Refused for good when one of them cannot be asked.
    """

    pull: str
    of: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteBranch:
    """Take a branch of ours away.

    Refused unless it stands at `expected`, and while another pull request is to go into it.
    """

    target: str
    branch: str
    expected: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAttempt:
    """Ready a work tree and start the attempt, detached, in a place where it leaves its records.

    `place` is the name of that place; "" = an older version's intent, which did not say. When the place is
    another one by now, nobody can tell whether it ran, and what it cost: it counts as started, and as lost.
    """

    attempt: str
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartGate:
    """Start the gate on an attempt's result, detached. `round` counts the gates that were set on it."""

    attempt: str
    commit: str
    round: int = 1

    @property
    def run(self) -> str:
        """The name of this run of the gate, and of its folder."""
        return gate_run(self.attempt, self.round)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopAttempt:
    """End an attempt and everything it started."""

    attempt: str
    why: str


TrackerEffect: TypeAlias = Say | CloseIssue | Label | Keep | React | Unsay
ForgeEffect: TypeAlias = (
    Push | OpenPull | EditPull | SayOnPull | ReplyInThread | MakeReady | AskReview | DeleteBranch
)
ExecutorEffect: TypeAlias = StartAttempt | StartGate | StopAttempt
Effect: TypeAlias = KeepBoard | TrackerEffect | ForgeEffect | ExecutorEffect


def is_keep(op: str) -> bool:
    """Return whether an operation is that of a `Keep`."""
    return op.startswith("keep:")


def alike(op: str, other: str) -> bool:
    """Return whether both operations write the same words: those of a `Keep` are one comment's, over time."""
    return op == other or (is_keep(op) and is_keep(other))


def gate_run(attempt: str, number: int) -> str:
    """Return the name of the gate's n-th run on an attempt: `7.1.2`, then `7.1.2@2`."""
    return attempt if number == 1 else f"{attempt}@{number}"


def operation(*parts: str) -> str:
    """Return the id of one operation.

    Its readable parts and a short hash over them, 80 characters at most.
    """
    readable = ":".join(parts)
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:10]
    return f"{readable[:69]}#{digest}"
