"""What every forge holds to: the built-in one on real git, the double, and those that come.

A new implementation is one more entry in GROUNDS: a forge, a way to make commits that can be pushed, and what
people do in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import pytest

from agentloop.domain.effects import (
    AskReview,
    DeleteBranch,
    EditPull,
    MakeReady,
    OpenPull,
    Push,
    ReplyInThread,
    SayOnPull,
)
from agentloop.domain.issue import Pull, PullCheck
from agentloop.domain.settings import Settings, Target
from agentloop.edges.forge import FileForge
from agentloop.errors import ConflictError, NotFoundError, UnsafeError
from agentloop.home import Home
from agentloop.ports import Forge
from agentloop.testing import gitrepo
from agentloop.testing.doubles import MemoryForge
from tests.contract.on_github import GitHubPulls

BRANCH = "agentloop/7.1-crash"
PUSH = "op-push"
OPEN = "op-open"

Verdict: TypeAlias = Literal["approved", "changes_requested", "commented"]
State: TypeAlias = Literal["pending", "passed", "failed"]


class Ground(Protocol):
    """A forge with one target `web`, whose base branch is `main`; and people."""

    @property
    def forge(self) -> Forge:
        """The forge."""

    def commit(self, name: str, on: str = "") -> str:
        """Make a commit that changes one line, on another one or on the base, ready to be pushed."""

    def head(self, branch: str) -> str:
        """Where a branch stands in the origin ("" = nowhere)."""

    def review(self, pull: str, verdict: Verdict, text: str) -> str:
        """A person's review; its id."""

    def line(self, pull: str, text: str, thread: str = "") -> str:
        """A person's words on a line, or in a thread; the thread's id ("" = it has no threads)."""

    def check(self, pull: str, name: str, state: State, summary: str) -> None:
        """A check's state on the head as it is now."""

    def merge(self, pull: str) -> str:
        """A person's merge; the commit it made."""

    def close(self, pull: str) -> None:
        """Closed by a person, unmerged."""

    def delete(self, branch: str) -> None:
        """A branch taken away by a person."""


class BuiltIn:
    """The built-in forge in front of a bare repository."""

    def __init__(self, folder: Path) -> None:
        self.origin = gitrepo.bare(folder / "origin.git", {"app.py": "one\n"})
        self.home = Home(folder / "home")
        self.mirror = gitrepo.mirror(self.origin, self.home.mirror_of("web"))
        settings = Settings(targets=(Target(name="web", repository=str(self.origin)),))
        self.forge = FileForge(self.home, settings)

    def commit(self, name: str, on: str = "") -> str:
        """A commit in the mirror."""
        return gitrepo.commit_in(self.mirror, on or self.head("main"), {"app.py": f"{name}\n"}, name)

    def head(self, branch: str) -> str:
        """As plain git says."""
        return gitrepo.head(self.origin, branch)

    def review(self, pull: str, verdict: Verdict, text: str) -> str:
        """Alice's."""
        return self.forge.review(pull, verdict, text, author="alice")

    def line(self, pull: str, text: str, thread: str = "") -> str:
        """There are none."""
        del pull, text, thread
        return ""

    def check(self, pull: str, name: str, state: State, summary: str) -> None:
        """A build server's."""
        self.forge.check(pull, name, state, summary, author="ci")

    def merge(self, pull: str) -> str:
        """Alice's."""
        return self.forge.merge(pull, squash=False, author="alice").commit

    def close(self, pull: str) -> None:
        """Alice's."""
        self.forge.close(pull, "", author="alice")

    def delete(self, branch: str) -> None:
        """With plain git."""
        gitrepo.git(self.origin, "update-ref", "-d", f"refs/heads/{branch}")


class Double:
    """The double; its commits are just names."""

    def __init__(self, _: Path) -> None:
        self.forge = MemoryForge(drafts=True)
        self.forge.branches["web", "main"] = self.commit("base")

    def commit(self, name: str, on: str = "") -> str:
        """A name."""
        return hashlib.sha1(f"{name} {on}".encode(), usedforsecurity=False).hexdigest()

    def head(self, branch: str) -> str:
        """As the double says."""
        return self.forge.branches.get(("web", branch), "")

    def review(self, pull: str, verdict: Verdict, text: str) -> str:
        """Alice's."""
        return self.forge.review(pull, verdict, text, author="alice")

    def line(self, pull: str, text: str, thread: str = "") -> str:
        """Alice's."""
        return self.forge.line(pull, "app.py", text, author="alice", thread=thread)

    def check(self, pull: str, name: str, state: State, summary: str) -> None:
        """A build server's."""
        self.forge.check(pull, name, state, summary)

    def merge(self, pull: str) -> str:
        """Alice's."""
        return self.forge.merge(pull)

    def close(self, pull: str) -> None:
        """Alice's."""
        self.forge.close(pull)

    def delete(self, branch: str) -> None:
        """Take it away."""
        del self.forge.branches["web", branch]


GROUNDS: dict[str, Callable[[Path, ExitStack], Ground]] = {
    "built-in": lambda folder, _: BuiltIn(folder),
    "double": lambda folder, _: Double(folder),
    "github": GitHubPulls,
}


@pytest.fixture(params=GROUNDS)
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    """A forge of each kind."""
    with ExitStack() as stack:
        yield GROUNDS[request.param](tmp_path, stack)


def opened(ground: Ground, *, body: str = "Intent.\n\nCloses #7") -> tuple[str, str]:
    """Push a commit and open a pull request for it; return the pull request's id and the commit."""
    commit = ground.commit("fix")
    ground.forge.act(PUSH, Push(target="web", branch=BRANCH, commit=commit))
    return ground.forge.act(OPEN, opening(body)), commit


def opening(body: str = "Intent.") -> OpenPull:
    """The effect that opens the pull request."""
    return OpenPull(target="web", branch=BRANCH, base="main", title="Fix the crash", body=body)


def only(forge: Forge, known: frozenset[str] = frozenset()) -> Pull:
    """The one pull request there is to see."""
    (pull,) = forge.observe(known)
    return pull


def test_an_empty_forge_shows_nothing(ground: Ground) -> None:
    """Before the first pull request there is nothing to see, and nothing fails."""
    assert ground.forge.observe(frozenset({"1"})) == ()


def test_a_push_makes_the_branch_and_is_found(ground: Ground) -> None:
    """The branch stands at the commit, whoever looks; doing it again changes nothing."""
    commit = ground.commit("fix")
    push = Push(target="web", branch=BRANCH, commit=commit)
    assert ground.forge.find(PUSH, push) is None
    assert ground.forge.act(PUSH, push) == commit
    assert ground.head(BRANCH) == commit
    assert ground.forge.find(PUSH, push) == commit
    assert ground.forge.act(PUSH, push) == commit


def test_a_push_over_somebody_elses_commit_is_refused(ground: Ground) -> None:
    """A branch that is not where it is expected belongs to who moved it: nothing is overwritten."""
    theirs, ours = ground.commit("theirs"), ground.commit("ours")
    ground.forge.act(PUSH, Push(target="web", branch=BRANCH, commit=theirs))
    with pytest.raises(ConflictError):
        ground.forge.act("op-2", Push(target="web", branch=BRANCH, commit=ours))
    with pytest.raises(ConflictError):
        ground.forge.act("op-3", Push(target="web", branch=BRANCH, commit=ours, expected=ours))
    assert ground.head(BRANCH) == theirs


def test_a_push_replaces_what_it_expects(ground: Ground) -> None:
    """A new attempt may take the place of the last one, also when it does not build on it."""
    first, second = ground.commit("first"), ground.commit("second")
    ground.forge.act(PUSH, Push(target="web", branch=BRANCH, commit=first))
    ground.forge.act("op-2", Push(target="web", branch=BRANCH, commit=second, expected=first))
    assert ground.head(BRANCH) == second


def test_only_branches_of_ours_are_ever_pushed(ground: Ground) -> None:
    """The port has no way into the base: that would be a merge."""
    main = ground.head("main")
    with pytest.raises(UnsafeError):
        ground.forge.act(
            PUSH, Push(target="web", branch="main", commit=ground.commit("sneaky"), expected=main)
        )
    assert ground.head("main") == main


def test_an_opened_pull_request_is_shown_as_it_was_said(ground: Ground) -> None:
    """With the head its branch has."""
    pull, commit = opened(ground)
    ground.forge.observe(
        frozenset()
    )  # a forge may begin to find out whether it merges when it is first asked
    shown = only(ground.forge)
    assert shown == Pull(
        id=pull,
        number=1,
        target="web",
        branch=BRANCH,
        base="main",
        title="Fix the crash",
        body="Intent.\n\nCloses #7",
        state="open",
        head=commit,
        mergeable=True,
        draft=shown.draft,
    )


def test_opening_is_found_by_branch_and_operation(ground: Ground) -> None:
    """Twice the same operation is one pull request; another operation's is not taken for it."""
    pull, _ = opened(ground)
    assert ground.forge.find(OPEN, opening()) == pull
    assert ground.forge.act(OPEN, opening()) == pull
    assert ground.forge.find("op-other", opening()) is None


def test_a_branch_has_one_open_pull_request(ground: Ground) -> None:
    """A second one is refused while the first is open, and possible behind it."""
    pull, _ = opened(ground)
    with pytest.raises(ConflictError):
        ground.forge.act("op-other", opening())
    ground.close(pull)
    assert ground.forge.act("op-other", opening()) != pull


def test_a_pull_request_needs_a_branch_with_something_in_it(ground: Ground) -> None:
    """No branch, or one that stands at the base: there is nothing to review."""
    with pytest.raises(ConflictError):
        ground.forge.act(OPEN, opening())
    ground.forge.act(PUSH, Push(target="web", branch=BRANCH, commit=ground.head("main")))
    with pytest.raises(ConflictError):
        ground.forge.act(OPEN, opening())


def test_the_description_is_replaced(ground: Ground) -> None:
    """And found to be so."""
    pull, _ = opened(ground)
    edit = EditPull(pull=pull, title="Fix both crashes", body="More.\n\nCloses #7")
    assert ground.forge.find("op-edit", edit) is None
    ground.forge.act("op-edit", edit)
    assert ground.forge.find("op-edit", edit) == pull
    shown = only(ground.forge)
    assert (shown.title, shown.body) == ("Fix both crashes", "More.\n\nCloses #7")


def test_our_words_are_told_apart_and_said_once(ground: Ground) -> None:
    """A comment of the loop's is `ours`, is found, and is not doubled."""
    pull, _ = opened(ground)
    say = SayOnPull(pull=pull, body="Redone.")
    assert ground.forge.find("op-say", say) is None
    made = ground.forge.act("op-say", say)
    assert ground.forge.act("op-say", say) == made
    assert ground.forge.find("op-say", say) == made
    (review,) = only(ground.forge).reviews
    assert (review.body, review.verdict, review.ours) == ("Redone.", "commented", True)


def test_a_review_tells_on_which_commit_it_was_made(ground: Ground) -> None:
    """So that a new push shows as not yet reviewed."""
    pull, commit = opened(ground)
    made = ground.review(pull, "changes_requested", "Use the parser.")
    second = ground.commit("second", on=commit)
    ground.forge.act("op-2", Push(target="web", branch=BRANCH, commit=second, expected=commit))
    shown = only(ground.forge)
    (review,) = shown.reviews
    assert (review.id, review.author, review.verdict, review.body, review.ours) == (
        made, "alice", "changes_requested", "Use the parser.", False,
    )  # fmt: skip
    assert (review.commit, shown.head) == (commit, second)


def test_the_last_word_of_each_check_counts(ground: Ground) -> None:
    """A check that is reported again replaces what it said before."""
    pull, commit = opened(ground)
    ground.check(pull, "unit tests", "pending", "")
    ground.check(pull, "lint", "passed", "")
    ground.check(pull, "unit tests", "failed", "2 failed")
    checks = {check.name: check for check in only(ground.forge).checks}
    assert checks == {
        "unit tests": PullCheck(name="unit tests", state="failed", summary="2 failed", commit=commit),
        "lint": PullCheck(name="lint", state="passed", commit=commit),
    }


def test_a_merge_is_seen_with_its_commit(ground: Ground) -> None:
    """Only by who knows the pull request; the base moved and the branch is gone."""
    pull, _ = opened(ground)
    merged = ground.merge(pull)
    assert ground.forge.observe(frozenset()) == ()
    shown = only(ground.forge, frozenset({pull}))
    assert (shown.state, shown.merge_commit) == ("merged", merged)
    assert (ground.head("main"), ground.head(BRANCH)) == (merged, "")


def test_what_is_closed_unmerged_stays_closed(ground: Ground) -> None:
    """It is not merged any more, and its branch stays for who wants it."""
    pull, commit = opened(ground)
    ground.close(pull)
    assert ground.forge.observe(frozenset()) == ()
    assert only(ground.forge, frozenset({pull})).state == "closed"
    assert ground.head(BRANCH) == commit
    with pytest.raises(ConflictError):
        ground.merge(pull)


def test_a_branch_that_is_gone_is_seen_as_gone(ground: Ground) -> None:
    """It is still there: open, or closed together with its branch where the forge does so."""
    pull, commit = opened(ground)
    ground.delete(BRANCH)
    shown = only(ground.forge, frozenset({pull}))
    assert (shown.id, shown.mergeable) == (pull, None)
    assert (shown.state, shown.head) in {("open", ""), ("closed", commit)}


def test_a_pull_request_that_is_not_there_is_said_so(ground: Ground) -> None:
    """Nothing is made up for it."""
    with pytest.raises(NotFoundError):
        ground.forge.act("op-1", SayOnPull(pull="77", body="Hello?"))


def test_a_draft_is_made_ready_once(ground: Ground) -> None:
    """Where pull requests are opened as drafts; where there are none it is ready already."""
    pull, _ = opened(ground)
    ready = MakeReady(pull=pull)
    assert ground.forge.find("op-ready", ready) == (None if only(ground.forge).draft else pull)
    assert ground.forge.act("op-ready", ready) == pull
    assert not only(ground.forge).draft
    assert ground.forge.find("op-ready", ready) == pull


def test_a_person_is_asked_for_a_review_once(ground: Ground) -> None:
    """They are shown as asked; who nobody can ask is refused for good, where anybody can be asked at all."""
    pull, _ = opened(ground)
    ground.line(pull, "Hello.")  # so that GitHub knows her
    ask = AskReview(pull=pull, of=("alice",))
    nobody_is_asked = ground.forge.find("op-ask", ask) == pull
    assert ground.forge.act("op-ask", ask) == pull
    assert only(ground.forge).asked == (() if nobody_is_asked else ("alice",))
    assert ground.forge.find("op-ask", ask) == pull
    assert ground.forge.act("op-ask", ask) == pull


def test_a_thread_on_a_line_is_answered_in_it_once(ground: Ground) -> None:
    """Our reply stands in the thread as ours, behind what was said; one that is not there is refused."""
    pull, _ = opened(ground)
    with pytest.raises(ConflictError):
        ground.forge.act("op-lost", ReplyInThread(pull=pull, thread="99999", body="Done."))
    thread = ground.line(pull, "Why twice?")
    if not thread:
        return
    reply = ReplyInThread(pull=pull, thread=thread, body="Done.")
    assert ground.forge.find("op-reply", reply) is None
    made = ground.forge.act("op-reply", reply)
    assert ground.forge.act("op-reply", reply) == made
    ground.line(pull, "And here?", thread)
    shown = only(ground.forge)
    (seen,) = shown.threads
    assert (seen.id, seen.path, [(one.author, one.body, one.ours) for one in seen.said][::2]) == (
        thread, "app.py", [("alice", "Why twice?", False), ("alice", "And here?", False)],
    )  # fmt: skip
    assert [(one.body, one.ours) for one in seen.said][1] == ("Done.", True)
    assert shown.reviews == ()


def test_a_branch_is_deleted_where_we_left_it(ground: Ground) -> None:
    """And found to be gone; doing it again, or after somebody else did, changes nothing."""
    commit = ground.commit("fix")
    ground.forge.act(PUSH, Push(target="web", branch=BRANCH, commit=commit))
    delete = DeleteBranch(target="web", branch=BRANCH, expected=commit)
    assert ground.forge.find("op-delete", delete) is None
    assert ground.forge.act("op-delete", delete) == commit
    assert ground.head(BRANCH) == ""
    assert ground.forge.find("op-delete", delete) == commit
    assert ground.forge.act("op-delete", delete) == commit


def test_a_branch_that_moved_or_is_needed_is_not_deleted(ground: Ground) -> None:
    """Somebody's commit on it, an open pull request from it, and branches that are not ours are safe."""
    pull, commit = opened(ground)
    with pytest.raises(ConflictError):
        ground.forge.act("op-1", DeleteBranch(target="web", branch=BRANCH, expected=commit))
    ground.close(pull)
    with pytest.raises(ConflictError):
        ground.forge.act("op-2", DeleteBranch(target="web", branch=BRANCH, expected=ground.head("main")))
    with pytest.raises(UnsafeError):
        ground.forge.act("op-3", DeleteBranch(target="web", branch="main", expected=ground.head("main")))
    assert ground.head(BRANCH) == commit
