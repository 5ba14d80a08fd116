"""Reads and writes on a GitHub that misbehaves: what each refusal means, and what is asked again."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest

from agentloop.domain.effects import CloseIssue, DeleteBranch, OpenPull, Push, Say, Unsay
from agentloop.edges.github.client import Client, Forgetful, wait_until
from agentloop.edges.github.writing import Writer
from agentloop.errors import ConflictError, LimitedError, NotFoundError, TargetError, UnsafeError
from agentloop.testing import gitrepo
from agentloop.testing.github import Fault, Kind
from agentloop.testing.github.values import Rule
from tests.contract.on_github import OnGitHub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SAY = Say(issue="web-1", body="Looking.")


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[OnGitHub]:
    """A repository with one issue."""
    with ExitStack() as stack:
        made = OnGitHub(tmp_path, stack)
        made.hub.open_issue(made.repository, made.person("alice"), "It crashes")
        yield made


def said(ground: OnGitHub) -> int:
    """How many comments of ours the issue has."""
    return len([one for one in ground.thread("web-1").comments if one.author.login == "loop-bot"])


@pytest.mark.parametrize("kind", [Kind.AFTER, Kind.CUT])
def test_an_answer_that_is_lost_makes_no_second_comment(ground: OnGitHub, kind: Kind) -> None:
    """It took place: whoever looks finds it, and doing it again does nothing."""
    ground.server.api.faults.add(Fault(kind=kind, calls="POST .*/comments"))
    with pytest.raises(TargetError):
        ground.tracker.act("op-1", SAY)
    assert said(ground) == 1
    found = ground.tracker.find("op-1", SAY)
    assert found is not None
    assert ground.tracker.act("op-1", SAY) == found
    assert said(ground) == 1


def test_a_token_that_is_said_back_to_us_is_told_to_nobody() -> None:
    """A proxy may put what it was sent into its refusal, and errors are shown, kept and posted."""
    token = "quiet-word-of-an-old-enterprise"

    class Echo(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"message": f"who is {self.headers['Authorization']}?"}).encode()
            self.send_response(int(self.path[1:4]))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the same

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Echo) as server, ThreadPoolExecutor() as pool:
        pool.submit(server.serve_forever)
        for status in (401, 403, 404, 500):
            address = f"http://127.0.0.1:{server.server_port}/{status}"
            with pytest.raises((TargetError, NotFoundError)) as told:
                Client(address, lambda: token, Forgetful()).one("/user")
            with pytest.raises((TargetError, NotFoundError)) as written:
                Writer(address, lambda: token, gap_seconds=0).comment("octocat/web", 1, "Hello.")
            assert [token in str(one.value) for one in (told, written)] == [False, False]
            assert "[key removed]" in told.value.what
        server.shutdown()


def test_an_owner_who_lends_their_account_is_heard_in_a_review(ground: OnGitHub) -> None:
    """It is not ours without our mark."""
    commit = gitrepo.commit_in(ground.mirror, "main", {"app.py": "two\n"}, "two")
    ground.forge.act("push", Push(target="web", branch="agentloop/1", commit=commit))
    opened = OpenPull(target="web", branch="agentloop/1", base="main", title="One", body="One.")
    pull = ground.forge.act("open", opened)
    ground.hub.look_at_git(ground.repository, ground.person("alice"))
    lent = ground.hub.account("loop-bot")
    ground.hub.review(ground.repository, lent, ground.thread(pull), "COMMENTED", "Use two spaces.")
    (shown,) = ground.forge.observe(frozenset())
    assert [(one.body, one.ours, one.trusted) for one in shown.reviews] == [("Use two spaces.", False, True)]


def test_a_strangers_fork_does_not_keep_our_branch(ground: OnGitHub) -> None:
    """Anybody may have a branch of that name in a repository of their own, and propose it."""
    commit = gitrepo.commit_in(ground.mirror, "main", {"app.py": "two\n"}, "two")
    ground.forge.act("push", Push(target="web", branch="agentloop/1", commit=commit))
    mallory = ground.hub.account("mallory")
    made = ground.hub.open_pull(
        ground.repository, mallory, title="Mine", body="", branch="agentloop/1", base="main"
    )
    assert made.pull is not None
    made.pull.fork = "mallory/web"
    assert ground.forge.observe(frozenset()) == ()
    delete = DeleteBranch(target="web", branch="agentloop/1", expected=commit)
    assert ground.forge.act("delete", delete) == commit
    assert gitrepo.head(ground.repository.folder, "agentloop/1") == ""


def test_a_refusal_before_it_took_place_is_not_repeated_here(ground: OnGitHub) -> None:
    """One request, no comment: the next cycle tries again, knowing what it does."""
    ground.server.api.faults.add(Fault(kind=Kind.BEFORE, calls="POST .*/comments"))
    with pytest.raises(TargetError):
        ground.tracker.act("op-1", SAY)
    posts = [one for one in ground.server.api.calls if one.method == "POST"]
    assert (len(posts), said(ground)) == (1, 0)


def test_a_closing_that_was_cut_off_between_its_two_calls_is_finished(ground: OnGitHub) -> None:
    """Closed and nothing said yet: the words follow, once."""
    close = CloseIssue(issue="web-1", body="Done.")
    ground.server.api.faults.add(Fault(kind=Kind.BEFORE, calls="POST .*/comments"))
    with pytest.raises(TargetError):
        ground.tracker.act("op-1", close)
    assert (ground.thread("web-1").state, ground.tracker.find("op-1", close)) == ("closed", None)
    ground.tracker.act("op-1", close)
    assert said(ground) == 1


@pytest.mark.parametrize("kind", [Kind.SECONDARY, Kind.EXHAUSTED])
def test_a_limit_says_until_when_and_nothing_more_is_asked(ground: OnGitHub, kind: Kind) -> None:
    """A write that is refused so is not known to have failed, and is not tried before its time."""
    ground.server.api.faults.add(Fault(kind=kind, calls="POST", seconds=120))
    for _ in range(3):
        with pytest.raises(LimitedError) as caught:
            ground.tracker.act("op-1", SAY)
        assert caught.value.until > datetime.now(UTC) + timedelta(seconds=90)
    assert len([one for one in ground.server.api.calls if one.method == "POST"]) == 1


@pytest.mark.parametrize("later", [0, 5])
def test_a_list_that_lags_takes_nothing_back_that_we_have_seen(ground: OnGitHub, later: int) -> None:
    """What we closed stays closed, though the list still shows it open; in the very same second, too."""
    filed = ground.thread("web-1").created_at
    ground.hub.now = lambda: filed
    ground.tracker.observe(frozenset())
    ground.hub.edit_thread(
        ground.repository, ground.person("alice"), ground.thread("web-1"), title="It fails", body=None
    )
    ground.tracker.observe(frozenset())
    ground.hub.now = lambda: filed + timedelta(seconds=later)
    ground.tracker.act("op-1", CloseIssue(issue="web-1", body="Done."))
    ground.server.api.faults.add(Fault(kind=Kind.LAG, calls=r"GET .*/issues$", times=9))
    (shown,) = ground.tracker.observe(frozenset({"web-1"}))
    assert (shown.state, shown.title) == ("closed", "It fails")


@pytest.mark.parametrize("kind", [Kind.GARBAGE, Kind.UNAUTHORIZED])
def test_an_answer_that_makes_no_sense_or_none_at_all_stops_the_look(ground: OnGitHub, kind: Kind) -> None:
    """It is said, and the next look finds everything."""
    ground.server.api.faults.add(Fault(kind=kind, calls="GET"))
    with pytest.raises(TargetError):
        ground.tracker.observe(frozenset())
    assert [one.title for one in ground.tracker.observe(frozenset())] == ["It crashes"]


def test_rules_that_nobody_can_find_count_as_none_that_bind(ground: OnGitHub) -> None:
    """An older Enterprise does not know the question: nothing is pushed, and it is said why."""
    ground.server.api.faults.add(Fault(kind=Kind.BEFORE, calls="GET .*/rules/", status=404))
    with pytest.raises(UnsafeError, match="does not tell"):
        ground.site.refuse_to_push()


def test_a_connection_that_was_closed_meanwhile_is_opened_again(ground: OnGitHub) -> None:
    """For a read, once."""
    ground.tracker.observe(frozenset())
    ground.server.api.faults.add(Fault(kind=Kind.CUT, calls="GET"))
    assert [one.title for one in ground.tracker.observe(frozenset())] == ["It crashes"]


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (403, {"retry-after": "30"}, 30),
        (429, {"retry-after": "30"}, 30),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW.timestamp()) + 60)}, 61),
        (200, {"x-ratelimit-remaining": "5", "x-ratelimit-reset": str(int(NOW.timestamp()) + 60)}, 61),
        (200, {"x-ratelimit-remaining": "11", "x-ratelimit-reset": str(int(NOW.timestamp()) + 60)}, None),
        (403, {"x-ratelimit-remaining": "11"}, None),
        (404, {}, None),
    ],
)
def test_a_limit_is_a_timer(status: int, headers: dict[str, str], seconds: int | None) -> None:
    """To the moment that GitHub names; the reserve is left for others, and other refusals are none."""
    expected = None if seconds is None else NOW + timedelta(seconds=seconds)
    assert wait_until(status, headers, NOW, reserve=10) == expected


def test_what_is_refused_for_good_says_what_mends_it(ground: OnGitHub) -> None:
    """A locked thread, a deleted issue, an archived repository, a token that ran out, another name."""
    thread = ground.thread("web-1")
    ground.repository.roles["loop-bot"] = "triage"
    ground.hub.set_locked(ground.repository, ground.person("alice"), thread, locked=True)
    with pytest.raises(ConflictError, match="locked"):
        ground.tracker.act("op-1", SAY)
    ground.hub.take_away(thread)
    with pytest.raises(NotFoundError):
        ground.tracker.act("op-1", SAY)
    ground.repository.archived = True
    thread.gone, thread.locked = "", False
    with pytest.raises(TargetError, match="archived"):
        ground.tracker.act("op-1", SAY)
    ground.repository.archived = False
    ground.hub.rename("octocat/web", "octocat/site")
    with pytest.raises(TargetError, match="moved"):
        ground.tracker.observe(frozenset())
    ground.hub.tokens.clear()
    with pytest.raises(TargetError, match="refuses the token"):
        ground.tracker.observe(frozenset())


def test_a_token_that_could_merge_pushes_nothing(ground: OnGitHub) -> None:
    """No rule that binds it, or nobody can tell: then it is said, and the branch is not there."""
    commit = gitrepo.head(ground.repository.folder, "main")
    push = Push(target="web", branch="agentloop/1.1-x", commit=commit)
    nobody_can_tell: list[list[Rule] | None] = [[], None]
    for rules in nobody_can_tell:
        ground.repository.rules = rules
        with pytest.raises(UnsafeError, match="nothing is pushed"):
            ground.forge.act("op-1", push)
    assert ground.forge.find("op-1", push) is None


def test_our_names_are_those_of_the_place_and_close_nothing(ground: OnGitHub) -> None:
    """`web-1` is `#1` there, a task keeps its name, and a model's closing words stay harmless."""
    body = "Task web-1.2 of web-1, see web-1. Fixes web-1\n\nOn the command line: `agentloop pr show web-1`"
    ground.tracker.act("op-1", Say(issue="web-1", body=body))
    (comment,) = ground.thread("web-1").comments
    words = comment.body.partition("\n\n<!--")[0]
    assert words == "Task web-1.2 of #1, see #1. Fixes\u2060 #1"


def test_words_of_strangers_and_forged_marks_reach_nobody(ground: OnGitHub) -> None:
    """A stranger's issue is not trusted; our own comment, copied by anybody, is not ours."""
    ours = ground.tracker.act("op-1", SAY)
    copied = next(one.body for one in ground.thread("web-1").comments if str(one.id) == ours)
    ground.hub.comment(ground.repository, ground.hub.account("mallory"), ground.thread("web-1"), copied)
    ground.hub.comment(ground.repository, ground.person("alice"), ground.thread("web-1"), copied)
    ground.hub.open_issue(ground.repository, ground.hub.account("mallory"), "Run this", "please")
    mine, theirs = ground.tracker.observe(frozenset())
    assert [(one.ours, one.trusted) for one in mine.comments] == [
        (True, True),
        (False, False),
        (False, False),
    ]
    assert (mine.trusted, theirs.trusted) == (True, False)


def test_words_of_ours_that_stand_twice_are_taken_back_once(ground: OnGitHub) -> None:
    """A double is deleted; the last of its kind, somebody's copy and another operation's words are not."""
    ours = ground.tracker.act("op-1", SAY)
    other = ground.tracker.act("op-2", Say(issue="web-1", body="Something else."))
    thread, bot = ground.thread("web-1"), ground.hub.account("loop-bot")
    words = next(one.body for one in thread.comments if str(one.id) == ours)
    double = str(ground.hub.comment(ground.repository, bot, thread, words).id)
    copied = str(ground.hub.comment(ground.repository, ground.person("alice"), thread, words).id)
    (shown,) = ground.tracker.observe(frozenset())
    assert [one.op for one in shown.comments] == ["op-1", "op-2", "op-1", ""]

    unsay = Unsay(issue="web-1", comment=double, says="op-1")
    assert ground.tracker.find("op-3", unsay) is None
    assert ground.tracker.act("op-3", unsay) == double
    assert ground.tracker.find("op-3", unsay) == double
    for kept in (ours, other, copied):
        with pytest.raises(ConflictError, match="not one of two"):
            ground.tracker.act("op-4", Unsay(issue="web-1", comment=kept, says="op-1"))
    (shown,) = ground.tracker.observe(frozenset())
    assert [one.id for one in shown.comments] == [ours, other, copied]
