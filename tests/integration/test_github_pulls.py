"""What a pull request on GitHub is told by checks, statuses and logs; and whether anything may be pushed."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from agentloop.domain.effects import AskReview, DeleteBranch, MakeReady, OpenPull, Push, ReplyInThread
from agentloop.errors import ConflictError
from agentloop.testing import gitrepo
from agentloop.testing.github import Fault, Kind
from agentloop.testing.github.values import Rule
from tests.contract.on_github import BOT, TOKEN, GitHubPulls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agentloop.domain.issue import Pull
    from agentloop.testing.github.values import Thread

BRANCH = "agentloop/1.1-fix"
SECRET = "ghp_" + "a1B2c3D4e5F6" * 3
LOG = (
    f"2026-11-20T12:00:00Z \x1b[31mE   token {SECRET}\x1b[0m\n2026-11-20T12:00:00Z ##[error]exit code 1\nbye"
)


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[GitHubPulls]:
    """A repository with a draft of ours."""
    with ExitStack() as stack:
        made = GitHubPulls(tmp_path, stack)
        made.repository.private = True  # of a public one everybody may read everything
        push = Push(target="web", branch=BRANCH, commit=made.commit("fix"))
        made.forge.act("op-push", push)
        opening = OpenPull(target="web", branch=BRANCH, base="main", title="Fix", body="Intent.")
        made.forge.act("op-open", opening)
        yield made


def shown(ground: GitHubPulls) -> Pull:
    """The pull request as the loop sees it."""
    (pull,) = ground.forge.observe(frozenset())
    return pull


def the_thread(ground: GitHubPulls) -> Thread:
    """The pull request as GitHub has it."""
    return ground.thread("web-1")


def test_a_failed_check_tells_the_part_of_its_log_that_matters(ground: GitHubPulls) -> None:
    """Without times, colours and secrets; annotations too; it is read once."""
    head = the_thread(ground).part.head
    told = {"title": "1 failed", "annotation": "assert 1 == 3", "log": LOG}
    ground.hub.check(ground.repository, head, "tests", "failure", **told)
    shown(ground)  # GitHub begins to find out whether it merges
    (check,) = shown(ground).checks
    assert check.state == "failed"
    hidden = "*" * len(SECRET)
    assert check.summary == f"1 failed\n\napp.py:1: assert 1 == 3\n\nE   token {hidden}\nexit code 1"
    before = len(ground.server.api.calls)
    assert shown(ground).checks == (check,)
    again = [one for one in ground.server.api.calls[before:] if one.path.endswith("/logs") or one.cost]
    assert again == []


def test_a_log_that_cannot_be_read_is_said_and_hides_no_failure(ground: GitHubPulls) -> None:
    """A token without the permission for Actions still learns that the check failed."""
    head = the_thread(ground).part.head
    ground.hub.check(ground.repository, head, "tests", "failure", title="1 failed", log=LOG)
    ground.hub.tokens[TOKEN].permissions = {
        **dict.fromkeys(("contents", "issues", "pull_requests"), "write"),
        **dict.fromkeys(("checks", "metadata", "statuses"), "read"),
    }
    (check,) = shown(ground).checks
    assert check.summary.startswith("1 failed\n\n(its log could not be read: ")


def test_statuses_are_checks_and_a_token_that_may_not_see_them_says_so(ground: GitHubPulls) -> None:
    """The latest word of each context; none at all is not a pending one."""
    head = the_thread(ground).part.head
    assert shown(ground).checks == ()
    ground.hub.status(ground.repository, head, "build", "pending")
    ground.hub.status(ground.repository, head, "build", "error", "it broke")
    assert [(one.name, one.state, one.summary) for one in shown(ground).checks] == [
        ("build", "failed", "it broke")
    ]
    assert ground.forge.left_out() == ()
    ground.hub.tokens[TOKEN].permissions = {
        **dict.fromkeys(("contents", "issues", "pull_requests"), "write"),
        **dict.fromkeys(("checks", "metadata"), "read"),
    }
    assert shown(ground).checks == ()
    (said,) = ground.forge.left_out()
    assert said.startswith("commit statuses of octocat/web are not seen")


def test_a_token_that_may_not_read_check_runs_sees_the_jobs_of_actions(ground: GitHubPulls) -> None:
    """A fine-grained token never may in a private repository; the refusal is met once, not each time."""
    may = {
        **dict.fromkeys(("contents", "issues", "pull_requests"), "write"),
        **dict.fromkeys(("actions", "metadata", "statuses"), "read"),
    }
    ground.hub.tokens[TOKEN].permissions = may
    head = the_thread(ground).part.head
    ground.hub.check(ground.repository, head, "tests", "failure", log=LOG)
    ground.hub.check(ground.repository, head, "another app's", "failure")
    ground.hub.status(ground.repository, head, "build", "success")
    shown(ground)  # GitHub begins to find out whether it merges
    shown(ground)
    before = len(ground.server.api.calls)
    found = [(one.name, one.state, one.commit) for one in shown(ground).checks]
    assert found == [("tests", "failed", head), ("build", "passed", head)]
    assert "exit code 1" in shown(ground).checks[0].summary
    assert sum(one.cost for one in ground.server.api.calls[before:]) == 0
    assert ["only those of GitHub Actions" in one for one in ground.forge.left_out()] == [True]
    (runs, statuses) = (one for one in ground.site.seen() if head in one)
    assert ("/actions/runs?" in runs, statuses.endswith("per_page=100")) == (True, True)
    ground.hub.tokens[TOKEN].permissions = {**may, "actions": ""}
    assert [one.name for one in shown(ground).checks] == ["build"]
    assert ["checks of octocat/web are not seen" in one for one in ground.forge.left_out()] == [True]


def test_nobody_is_asked_twice_and_who_cannot_be_is_refused_for_good(ground: GitHubPulls) -> None:
    """A stranger is no reviewer; we ourselves are left out without a word."""
    ground.hub.account("mallory")
    with pytest.raises(ConflictError, match="collaborators"):
        ground.forge.act("op-1", AskReview(pull="web-1", of=("mallory",)))
    ground.forge.act("op-2", AskReview(pull="web-1", of=(BOT,)))
    ground.person("alice")
    ground.review("web-1", "commented", "Looking.")
    ground.forge.act("op-3", AskReview(pull="web-1", of=("alice",)))
    assert the_thread(ground).part.reviewers == []


@pytest.mark.parametrize("kind", [Kind.AFTER, Kind.CUT])
def test_an_answer_that_is_lost_is_found_and_nothing_is_done_twice(ground: GitHubPulls, kind: Kind) -> None:
    """A reply, a request for review and making ready took place, though nobody was told."""
    thread = ground.line("web-1", "Why?")
    ground.person("bob")
    effects = (
        ("POST .*/replies", ReplyInThread(pull="web-1", thread=thread, body="Done.")),
        ("POST .*/requested_reviewers", AskReview(pull="web-1", of=("bob",))),
        ("POST .*graphql", MakeReady(pull="web-1")),
    )
    for calls, effect in effects:
        ground.server.api.faults.add(Fault(kind=kind, calls=calls))
        with pytest.raises(Exception, match="GitHub"):
            ground.forge.act(calls, effect)
        assert ground.forge.find(calls, effect) is not None
    part = the_thread(ground).part
    assert ([one.body[:5] for one in part.comments], part.draft) == (["Why?", "Done."], False)


def test_a_persons_push_and_their_update_of_the_branch_are_seen_as_theirs(ground: GitHubPulls) -> None:
    """The head is not the commit we left: the rules keep hands off, and a push of ours is refused."""
    ours = the_thread(ground).part.head
    folder = ground.repository.folder
    base = gitrepo.commit_in(folder, ground.head("main"), {"other.py": "new\n"}, "on main")
    gitrepo.git(folder, "update-ref", "refs/heads/main", base)
    tree = gitrepo.git(folder, "merge-tree", "--write-tree", ours, base).splitlines()[0]
    theirs = gitrepo.git(folder, "commit-tree", tree, "-p", ours, "-p", base, "-m", "Update branch")
    gitrepo.git(folder, "update-ref", f"refs/heads/{BRANCH}", theirs)
    assert shown(ground).head == theirs
    with pytest.raises(ConflictError):
        ground.forge.act(
            "op-2", Push(target="web", branch=BRANCH, commit=ground.commit("redone", on=ours), expected=ours)
        )
    assert ground.head(BRANCH) == theirs


def test_a_branch_that_another_pull_request_goes_into_stays(ground: GitHubPulls) -> None:
    """GitHub would close it."""
    on_top = ground.commit("on top", on=the_thread(ground).part.head)
    ground.site.refuse_to_push()
    ground.forge.act("op-2", Push(target="web", branch="agentloop/1.2-more", commit=on_top))
    person = ground.person("alice")
    ground.hub.open_pull(
        ground.repository, person, title="More", body="", branch="agentloop/1.2-more", base=BRANCH
    )
    head = the_thread(ground).part.head
    ground.hub.close(ground.repository, person, the_thread(ground))
    with pytest.raises(ConflictError, match="still needs"):
        ground.forge.act("op-3", DeleteBranch(target="web", branch=BRANCH, expected=head))
    assert ground.head(BRANCH) == head


def test_why_nothing_may_be_pushed_is_known_before_anything_is_begun(ground: GitHubPulls) -> None:
    """An approval that outlives a push, a bypass, the older protection; asking again costs nothing."""
    (rule,) = ground.repository.rules or []
    assert ground.site.why_barred() == ""
    before = len(ground.server.api.calls)
    assert ground.site.why_barred() == ""
    assert sum(one.cost for one in ground.server.api.calls[before:]) == 0
    rule.outlived = True
    assert "outlives" in ground.site.why_barred()
    rule.outlived, rule.bypass = False, {BOT}
    assert "no rule" in ground.site.why_barred()
    ground.repository.rules, ground.repository.protected = [], {"main"}
    assert "make it a ruleset" in ground.site.why_barred()
    ground.repository.rules = [Rule(id=7, branch="main")]
    ground.repository.roles[BOT] = "admin"
    assert "administers" in ground.site.why_barred()
