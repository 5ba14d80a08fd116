"""Small true doubles of the tracker and the forge: all in memory, and as strict as the real things.

They pass the contract tests that the built-in tracker and forge pass, so a program tested with them meets the
same refusals. What people do is done with the methods behind the port's three.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, assert_never

from agentloop.domain.effects import (
    AskReview,
    CloseIssue,
    DeleteBranch,
    EditPull,
    Keep,
    Label,
    MakeReady,
    OpenPull,
    Push,
    React,
    ReplyInThread,
    Say,
    SayOnPull,
    Unsay,
)
from agentloop.domain.issue import (
    BODY_LIMIT,
    COMMENT_LIMIT,
    Comment,
    Issue,
    LineThread,
    Pull,
    PullCheck,
    Review,
)
from agentloop.errors import ConflictError, NotFoundError, UnsafeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentloop.domain.effects import ForgeEffect, TrackerEffect

OURS = "agentloop"
BRANCHES = "agentloop/"


def _now() -> datetime:
    return datetime.now(UTC)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}\n\n[cut here: {len(text):,} characters in all]"


class MemoryTracker:
    """Issues in memory. Raises NotFoundError for an issue that is not there."""

    def __init__(self, now: Callable[[], datetime] = _now) -> None:
        self._now = now
        self._issues: dict[str, Issue] = {}
        self._made: dict[tuple[str, str], str] = {}
        self._kept: dict[str, str] = {}

    def observe(self, known: frozenset[str]) -> tuple[Issue, ...]:
        """Return every open issue, and those of `known` in any state, lowest number first."""
        found = [issue for issue in self._issues.values() if issue.state == "open" or issue.id in known]
        return tuple(_shown(issue) for issue in found)

    def find(self, op: str, effect: TrackerEffect) -> str | None:
        """Return the id of what `op` made, or None."""
        match effect:
            case Say() | CloseIssue():
                return self._made.get((effect.issue, op))
            case Label():
                issue = self._issues.get(effect.issue)
                labels = set(issue.labels) if issue else set()
                there = issue and labels.issuperset(effect.add) and labels.isdisjoint(effect.remove)
                return effect.issue if there else None
            case Keep():
                made = self._made.get((effect.issue, op))
                return made if made and self._body_of(effect.issue, made) == effect.body else None
            case React():
                return self._made.get((effect.issue, op))
            case Unsay(comment=comment):
                return comment
            case _:
                assert_never(effect)

    def act(self, op: str, effect: TrackerEffect) -> str:
        """Do it, unless it was done, and return the id of what was made."""
        self._get(effect.issue)
        found = self.find(op, effect)
        if found is not None:
            return found
        match effect:
            case Say():
                made = self._say(effect.issue, effect.body, author=OURS, ours=True)
            case CloseIssue():
                made = self._say(effect.issue, effect.body, author=OURS, ours=True)
                self._issues[effect.issue] = replace(self._get(effect.issue), state="closed")
            case Label():
                self.label(effect.issue, add=effect.add, remove=effect.remove)
                return effect.issue
            case Keep():
                made = self._keep(effect.issue, effect.body)
            case React(issue=issue, comment=comment, content=content):
                made = f"{content}-{comment or issue}"
            case Unsay(comment=comment):
                return comment
            case _:
                assert_never(effect)
        self._made[effect.issue, op] = made
        return made

    def new(
        self,
        title: str,
        body: str,
        *,
        author: str,
        labels: tuple[str, ...] = (),
        target: str = "",
        trusted: bool = True,
    ) -> str:
        """File an issue, for a stranger unless `trusted`, and return its id."""
        issue = str(len(self._issues) + 1)
        self._issues[issue] = Issue(
            id=issue,
            number=int(issue),
            title=title,
            body=body,
            author=author,
            state="open",
            target=target,
            created_at=self._now(),
            labels=labels,
            trusted=trusted,
        )
        return issue

    def get(self, issue: str) -> Issue:
        """Return one issue in any state."""
        return self._get(issue)

    def edit(self, issue: str, *, title: str, body: str) -> None:
        """Change a person's words in place."""
        self._issues[issue] = replace(self._get(issue), title=title, body=body)

    def comment(self, issue: str, text: str, *, author: str, trusted: bool = True) -> str:
        """Append a person's comment (a stranger's, unless `trusted`) and return its id."""
        made = self._say(issue, text, author=author, ours=False)
        if not trusted:
            found = self._get(issue)
            last = replace(found.comments[-1], trusted=False)
            self._issues[issue] = replace(found, comments=(*found.comments[:-1], last))
        return made

    def frozen(self) -> MemoryTracker:
        """Return a copy that stays as this is now: what a list that lags behind shows."""
        made = MemoryTracker(self._now)
        made._issues, made._made, made._kept = dict(self._issues), dict(self._made), dict(self._kept)
        return made

    def close(self, issue: str, *, reason: str, author: str) -> None:
        """Close an issue for a person. Raises ConflictError when it is closed."""
        if self._get(issue).state == "closed":
            raise ConflictError(f"issue {issue} is closed already")
        if reason:
            self._say(issue, reason, author=author, ours=False)
        self._issues[issue] = replace(self._get(issue), state="closed")

    def reopen(self, issue: str) -> None:
        """Open a closed issue again. Raises ConflictError when it is open."""
        if self._get(issue).state == "open":
            raise ConflictError(f"issue {issue} is open")
        self._issues[issue] = replace(self._get(issue), state="open")

    def label(
        self, issue: str, *, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()
    ) -> tuple[str, ...]:
        """Put labels on and take others off; return those it has then."""
        found = self._get(issue)
        labels = tuple(name for name in dict.fromkeys((*found.labels, *add)) if name not in remove)
        self._issues[issue] = replace(found, labels=labels)
        return labels

    def _keep(self, issue: str, body: str) -> str:
        kept = self._kept.get(issue)
        if kept is None:
            made = self._kept[issue] = self._say(issue, body, author=OURS, ours=True)
            return made
        found = self._get(issue)
        comments = tuple(replace(one, body=body) if one.id == kept else one for one in found.comments)
        self._issues[issue] = replace(found, comments=comments)
        return kept

    def _body_of(self, issue: str, comment: str) -> str:
        return next((one.body for one in self._get(issue).comments if one.id == comment), "")

    def _get(self, issue: str) -> Issue:
        if issue not in self._issues:
            raise NotFoundError(f"there is no issue {issue!r}")
        return self._issues[issue]

    def _say(self, issue: str, text: str, *, author: str, ours: bool) -> str:
        found = self._get(issue)
        made = Comment(id=f"c{len(found.comments) + 1}", author=author, body=text, at=self._now(), ours=ours)
        self._issues[issue] = replace(found, comments=(*found.comments, made))
        return made.id


class MemoryForge:
    """Branches and pull requests in memory. `branches` are the origins', by (target, branch).

    Raises NotFoundError for a pull request that is not there.
    """

    def __init__(self, now: Callable[[], datetime] = _now, *, drafts: bool = False) -> None:
        """With `drafts` pull requests are opened as such."""
        self._now = now
        self._drafts = drafts
        self.branches: dict[tuple[str, str], str] = {}
        self._pulls: dict[str, Pull] = {}
        self._made: dict[tuple[str, str], str] = {}
        self._conflicts: set[str] = set()

    def observe(self, known: frozenset[str]) -> tuple[Pull, ...]:
        """Return every open pull request, and those of `known` in any state, lowest number first."""
        pulls = [self._seen(pull) for pull in self._pulls.values()]
        return tuple(pull for pull in pulls if pull.state == "open" or pull.id in known)

    def find(self, op: str, effect: ForgeEffect) -> str | None:
        """Return the id of what `op` made, or None."""
        match effect:
            case Push():
                head = self.branches.get((effect.target, effect.branch))
                return head if head == effect.commit else None
            case OpenPull():
                return self._made.get((effect.branch, op))
            case EditPull():
                pull = self.get(effect.pull)
                return effect.pull if (pull.title, pull.body) == (effect.title, effect.body) else None
            case SayOnPull() | ReplyInThread():
                return self._made.get((effect.pull, op))
            case MakeReady():
                return None if self.get(effect.pull).draft else effect.pull
            case AskReview():
                return effect.pull if set(effect.of) <= set(self.get(effect.pull).asked) else None
            case DeleteBranch():
                return None if (effect.target, effect.branch) in self.branches else effect.expected
            case _:
                assert_never(effect)

    def act(self, op: str, effect: ForgeEffect) -> str:
        """Do it, unless it was done, and return the id of what was made.

        Raises ConflictError when a branch is not where expected, UnsafeError for one that is not ours.
        """
        found = self.find(op, effect)
        if found is not None:
            return found
        match effect:
            case Push():
                return self._push(effect)
            case OpenPull():
                made = self._made[effect.branch, op] = self._open(effect)
                return made
            case EditPull():
                self._pulls[effect.pull] = replace(
                    self.get(effect.pull), title=effect.title, body=effect.body
                )
                return effect.pull
            case SayOnPull():
                made = self._review(effect.pull, "commented", effect.body, author=OURS, ours=True)
                self._made[effect.pull, op] = made
                return made
            case ReplyInThread():
                made = self._made[effect.pull, op] = self._reply(effect)
                return made
            case MakeReady():
                self._pulls[effect.pull] = replace(self.get(effect.pull), draft=False)
                return effect.pull
            case AskReview():
                pull = self.get(effect.pull)
                self._pulls[effect.pull] = replace(pull, asked=(*pull.asked, *effect.of))
                return effect.pull
            case DeleteBranch():
                return self._delete(effect)
            case _:
                assert_never(effect)

    def get(self, pull: str) -> Pull:
        """Return one pull request in any state."""
        if pull not in self._pulls:
            raise NotFoundError(f"there is no pull request {pull!r}")
        return self._seen(self._pulls[pull])

    def review(
        self,
        pull: str,
        verdict: Literal["approved", "changes_requested", "commented"],
        text: str,
        *,
        author: str,
    ) -> str:
        """Review a pull request for a person, and return the review's id. Raises ConflictError."""
        self._still_open(pull)
        return self._review(pull, verdict, text, author=author, ours=False)

    def check(
        self, pull: str, name: str, state: Literal["pending", "passed", "failed"], summary: str
    ) -> None:
        """Report a check on the head as it is now. Raises ConflictError."""
        found = self._still_open(pull)
        others = tuple(check for check in found.checks if check.name != name)
        made = PullCheck(name=name, state=state, summary=summary, commit=found.head)
        self._pulls[pull] = replace(found, checks=(*others, made))

    def line(self, pull: str, path: str, text: str, *, author: str, thread: str = "") -> str:
        """Say something on a line, or in a thread, for a person; return the thread's id."""
        return self._on_line(pull, path, text, author=author, thread=thread, ours=False)

    def close(self, pull: str) -> None:
        """Close a pull request unmerged, for a person. Raises ConflictError."""
        self._pulls[pull] = replace(self._still_open(pull), state="closed")

    def merge(self, pull: str) -> str:
        """Merge a pull request for a person, and return the merge commit. Raises ConflictError."""
        found = self._still_open(pull)
        if pull in self._conflicts:
            raise ConflictError(f"pull request {pull} is in conflict with {found.base}")
        commit = f"{int(found.head or '0', 16) ^ 1:040x}"
        self._pulls[pull] = replace(found, state="merged", merge_commit=commit)
        self.branches[found.target, found.base] = commit
        self.branches.pop((found.target, found.branch), None)
        return commit

    def push(self, pull: str, commit: str) -> None:
        """Push a person's commit onto the pull request's branch. Raises ConflictError."""
        found = self._still_open(pull)
        self.branches[found.target, found.branch] = commit

    def frozen(self) -> MemoryForge:
        """Return a copy that stays as this is now: what a list that lags behind shows."""
        made = MemoryForge(self._now, drafts=self._drafts)
        made.branches, made._made = dict(self.branches), dict(self._made)
        made._pulls, made._conflicts = dict(self._pulls), set(self._conflicts)
        return made

    def conflict(self, pull: str) -> None:
        """From now on this pull request cannot be merged as it is."""
        self._conflicts.add(pull)

    def _push(self, push: Push) -> str:
        if not push.branch.startswith(BRANCHES):
            raise UnsafeError(f"{push.branch} is no branch of ours")
        key = push.target, push.branch
        if self.branches.get(key, "") != push.expected:
            raise ConflictError(f"{push.branch} stands elsewhere")
        self.branches[key] = push.commit
        self._conflicts -= {pull.id for pull in self._pulls.values() if pull.branch == push.branch}
        return push.commit

    def _reply(self, reply: ReplyInThread) -> str:
        if reply.thread not in [one.id for one in self.get(reply.pull).threads]:
            raise ConflictError(f"there is no thread {reply.thread} on pull request {reply.pull}")
        self._on_line(reply.pull, "", reply.body, author=OURS, thread=reply.thread, ours=True)
        return f"{reply.thread}:{len(self._made)}"

    def _on_line(self, pull: str, path: str, text: str, *, author: str, thread: str, ours: bool) -> str:
        found = self.get(pull)
        number = sum(len(one.said) for one in found.threads) + 1
        said = Comment(id=f"l{number}", author=author, body=text, at=self._now(), ours=ours)
        if not thread:
            made = LineThread(id=said.id, path=path, line=1, said=(said,))
            self._pulls[pull] = replace(found, threads=(*found.threads, made))
            return made.id
        threads = (replace(one, said=(*one.said, said)) if one.id == thread else one for one in found.threads)
        self._pulls[pull] = replace(found, threads=tuple(threads))
        return thread

    def _delete(self, delete: DeleteBranch) -> str:
        if not delete.branch.startswith(BRANCHES):
            raise UnsafeError(f"{delete.branch} is no branch of ours")
        mine = (pull for pull in self._pulls.values() if pull.target == delete.target)
        needed = any(pull.state == "open" and delete.branch in (pull.base, pull.branch) for pull in mine)
        if needed or self.branches[delete.target, delete.branch] != delete.expected:
            raise ConflictError(f"{delete.branch} is somebody else's now, or still needed")
        del self.branches[delete.target, delete.branch]
        return delete.expected

    def _open(self, effect: OpenPull) -> str:
        head = self.branches.get((effect.target, effect.branch))
        base = self.branches.get((effect.target, effect.base))
        if head is None or base is None or head == base:
            raise ConflictError(f"there is nothing to merge from {effect.branch} into {effect.base}")
        if any(pull.state == "open" and pull.branch == effect.branch for pull in self._pulls.values()):
            raise ConflictError(f"there is a pull request open for {effect.branch} already")
        pull = str(len(self._pulls) + 1)
        self._pulls[pull] = Pull(
            id=pull,
            number=int(pull),
            target=effect.target,
            branch=effect.branch,
            base=effect.base,
            title=effect.title,
            body=effect.body,
            state="open",
            head=head,
            draft=self._drafts,
        )
        return pull

    def _seen(self, pull: Pull) -> Pull:
        if pull.state != "open":
            return pull
        head = self.branches.get((pull.target, pull.branch), "")
        return replace(pull, head=head, mergeable=pull.id not in self._conflicts if head else None)

    def _still_open(self, pull: str) -> Pull:
        found = self.get(pull)
        if found.state != "open":
            raise ConflictError(f"pull request {pull} is {found.state}")
        return found

    def _review(
        self,
        pull: str,
        verdict: Literal["approved", "changes_requested", "commented"],
        text: str,
        *,
        author: str,
        ours: bool,
    ) -> str:
        found = self.get(pull)
        made = Review(
            id=f"r{len(found.reviews) + 1}",
            author=author,
            verdict=verdict,
            body=_cut(text, COMMENT_LIMIT),
            at=self._now(),
            commit="" if ours else found.head,
            ours=ours,
        )
        self._pulls[pull] = replace(found, reviews=(*found.reviews, made))
        return made.id


def _shown(issue: Issue) -> Issue:
    if len(issue.body) <= BODY_LIMIT and all(len(each.body) <= COMMENT_LIMIT for each in issue.comments):
        return issue
    comments = tuple(replace(each, body=_cut(each.body, COMMENT_LIMIT)) for each in issue.comments)
    return replace(issue, body=_cut(issue.body, BODY_LIMIT), comments=comments)
