"""The whole path with GitHub as tracker and forge: a simulated one, over real HTTP and real git."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from agentloop.testing.github import Hub, gitside, serving
from agentloop.testing.github.values import Rule, Thread
from tests.contract.openapi import Described

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentloop.testing.github import Server
    from agentloop.testing.github.values import Repository
    from tests.acceptance.conftest import Loop

PERSON, BOT = "octocat", "loop-bot"
TOKEN = "ghp_canary0123456789abcdefghijklmnopqr"


@contextmanager
def on_github(loop: Loop) -> Iterator[tuple[Server, Repository]]:
    """Serve a GitHub with the target's repository, and make a home that works for it."""
    from tests.acceptance.conftest import AGENTLOOP, FILES, VERIFY

    hub = Hub(loop.root / "hub")
    hub.token(BOT, TOKEN)
    repository = hub.repository(f"{PERSON}/calc", FILES)
    repository.roles[BOT] = "write"
    repository.rules = [Rule(id=hub.new_id(), branch="main", approvals=1)]
    token = loop.root / "token"
    token.write_text(f"{TOKEN}\n")
    token.chmod(0o600)
    described = Described()
    with serving(hub, watch=described.hold) as server:
        address = f"{server.site}/{PERSON}/calc"
        loop.run(
            *AGENTLOOP,
            "init",
            str(loop.home.root),
            "--target",
            address,
            "--no-input",
            cwd=loop.root,
        )
        loop.set(
            tracker='"github"',
            token_file=f'"{token}"',
            write_seconds="0.0",
            backoff_seconds="1",
            autonomy='"propose"',
            verify=f'["{VERIFY}"]',
        )
        yield server, repository
    assert described.broken == []


FAILED = "README needs a title"
AFTER_THE_CHECK = f"""
[[step]]
name = "worker: what the failed check said"
when.system = "worker agent"
when.has = ["Document add", "{FAILED}"]
[[step.call]]
tool = "edit"
input = {{ command = "create", path = "README.md", file_text = "# calc\\n\\nadd(2, 3) is 5\\n" }}
[[step.call]]
tool = "done"
input = {{ summary = "The README has a title.", not_done = "" }}
"""
QUESTION = "Why a README and not a docstring?"
ANSWER = f"""
[[step]]
name = "admin: a question on the pull request"
when.system = "admin agent"
when.has = ["{QUESTION}", "Said on pull request"]
[[step.call]]
tool = "answer_review"
input = {{ task = "calc-1.2", text = "The plan said README.", rationale = "Nothing is to be changed." }}
"""
LOG = (
    "2026-11-20T12:00:00.0000000Z ##[group]Run make docs\n"
    f"2026-11-20T12:00:01.0000000Z \x1b[31m{FAILED}\x1b[0m\n"
    "2026-11-20T12:00:01.0000000Z ##[error]Process completed with exit code 2.\n"
    "2026-11-20T12:00:02.0000000Z Post job cleanup.\n"
)


def story(loop: Loop) -> str:
    """Return the script of the story, with the names that issues have on GitHub."""
    text = AFTER_THE_CHECK + ANSWER + loop.script("story") + loop.script("accept")
    for old, new in (
        ('issue = "1"', 'issue = "calc-1"'),
        ("issue 1 has", "issue calc-1 has"),
        ("task 1.1", "task calc-1.1"),
        (r"attempt (\d+\.\d+\.\d+) of", r"attempt (\S+\.\d+\.\d+) of"),
    ):
        text = text.replace(old, new)
    return text


def said(thread: Thread) -> list[str]:
    """Return what the bot said on a thread."""
    return [one.body for one in thread.comments if one.author.login == BOT]


def test_an_issue_on_github_becomes_merged_pull_requests_and_is_closed(bare: Loop) -> None:
    """Question, answer, plan, red gate, request on a line, words, failed check, two merges, branches gone.

    Then idleness leaves no trace.
    """
    loop = bare
    with on_github(loop) as (server, repository):
        hub, person = server.hub, server.hub.account(PERSON)
        model = loop.start_model(story(loop))
        issue = hub.open_issue(repository, person, "make calc better", "It is not good.")

        assert f"{PERSON}/calc as {BOT}, who is proved unable to merge" in loop.cli("doctor", code=None)
        loop.settle()
        assert ["What should be better about calc?" in one for one in said(issue)] == [True]

        hub.comment(repository, person, issue, "1")
        loop.settle()
        (first,) = [one for one in repository.threads.values() if one.pull]
        # Opened as a draft; made ready, and whoever filed the issue asked, once it is known to merge.
        assert (first.title, first.part.draft, first.author.login) == ("Make add add", False, BOT)
        assert first.part.reviewers == [person]

        before = first.part.head
        asked = hub.review(repository, person, first, "CHANGES_REQUESTED", "One thing.")
        line = hub.review_comment(
            repository,
            person,
            first,
            "Please call the parameters left and right.",
            path="calc.py",
            review=asked.id,
        )
        loop.settle()
        hub.look_at_git(repository, person)
        assert first.part.head != before
        in_thread = [one for one in first.part.comments if one.reply_to == line.id]
        assert [(one.author.login, first.part.head[:10] in one.body) for one in in_thread] == [(BOT, True)]
        assert ["> One thing." in one for one in said(first)] == [True]

        hub.review(repository, person, first, "APPROVED", "Thanks!")
        hub.merge(repository, person, first)
        loop.settle()
        second = repository.threads[max(repository.threads)]
        assert (second.part.base, second.state, second.part.draft) == ("main", "open", False)

        hub.comment(repository, person, second, QUESTION)
        loop.settle()
        assert [one.startswith("The plan said README.") for one in said(second)] == [True]

        before = second.part.head
        hub.check(repository, before, "docs", "failure", title="docs failed", log=LOG)
        loop.settle()
        hub.look_at_git(repository, person)
        assert second.part.head != before
        assert [FAILED in one for one in said(second)] == [False, True]
        hub.check(repository, second.part.head, "docs", "success")
        hub.review(repository, person, second, "APPROVED")
        hub.merge(repository, person, second)
        loop.settle()
        assert list(gitside.heads(repository.folder)) == ["main"]
        assert issue.state == "closed"
        assert said(issue)[-1].startswith("**Done.** make calc better")
        assert model.errors == []
        assert server.api.unknown == []

        assert_idle(loop, server)


def assert_idle(loop: Loop, server: Server) -> None:
    """From now on nothing is written, and nothing counts against the hour's requests."""
    # Two cycles read what the loop itself has changed.
    loop.cycle()
    loop.cycle()
    before_idle = len(server.api.calls)
    for _ in range(3):
        loop.cycle()
    idle = server.api.calls[before_idle:]
    assert [one for one in idle if one.method != "GET"] == []
    assert sum(one.cost for one in idle) == 0


def test_with_journal_and_runtime_folder_gone_nothing_is_done_twice(bare: Loop) -> None:
    """What the loop said on GitHub tells the rest: one question, one plan, one pull request, and the end."""
    loop = bare
    with on_github(loop) as (server, repository):
        hub, person = server.hub, server.hub.account(PERSON)
        loop.start_model(story(loop))
        issue = hub.open_issue(repository, person, "make calc better", "It is not good.")
        loop.settle()
        hub.comment(repository, person, issue, "1")
        loop.settle()
        before = [said(thread) for thread in repository.threads.values()]
        kept = [one.id for one in issue.comments if one.body.startswith("**Plan**")]

        loop.home.journal.rename(loop.root / "journal-that-was")
        loop.lose_runtime()
        loop.settle()

        # The kept comment says what the task waits for now; it is the same one, and the only one.
        assert [one.id for one in issue.comments if one.body.startswith("**Plan**")] == kept
        after = [said(thread) for thread in repository.threads.values()]
        assert [
            [one for one in now[: len(then)] if not one.startswith("**Plan**")]
            for now, then in zip(after, before, strict=True)
        ] == [[one for one in then if not one.startswith("**Plan**")] for then in before]
        # What may have been spent counts at its ceiling, so the day's limit is told of: nothing else is new.
        new = [one for now, then in zip(after, before, strict=True) for one in now[len(then) :]]
        assert ["limits.day_usd" in one for one in new] == [True]
        assert [(view.task.id, type(view.state).__name__) for view in loop.world().tasks.values()] == [
            ("calc-1.1", "InReview"),
            ("calc-1.2", "Queued"),
        ]
        assert TOKEN.encode() not in b"".join(loop.bytes_of_the_home())
