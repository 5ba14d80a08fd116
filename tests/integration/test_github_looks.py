"""Looks at GitHub's issues cost what changed: what did not is neither asked for anew nor read anew."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from agentloop.domain.effects import Say
from agentloop.domain.settings import GitHub
from agentloop.domain.valueclass import replace
from agentloop.edges.github.connecting import site_of
from agentloop.edges.github.tracker import GitHubTracker
from tests.contract.on_github import OnGitHub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NONE: frozenset[str] = frozenset()


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[OnGitHub]:
    """A repository with two issues, the second with a comment."""
    with ExitStack() as stack:
        made = OnGitHub(tmp_path, stack)
        alice = made.person("alice")
        made.hub.open_issue(made.repository, alice, "It crashes")
        thread = made.hub.open_issue(made.repository, alice, "It hangs")
        made.hub.comment(made.repository, alice, thread, "For hours.")
        yield made


def cache_of(ground: OnGitHub) -> Path:
    """The one that the host has."""
    (found,) = ground.home.runtime.glob("github*.db")
    return found


def rows(ground: OnGitHub, statement: str) -> list[tuple[object, ...]]:
    """What the cache holds."""
    with closing(sqlite3.connect(cache_of(ground))) as base:
        return base.execute(statement).fetchall()


def spoil(ground: OnGitHub) -> None:
    """Let the readings be told from what would be read anew."""
    with closing(sqlite3.connect(cache_of(ground))) as base, base:
        base.execute("update reading set said = replace(replace(said, 'crashes', 'kept'), 'hangs', 'kept')")


def titles(ground: OnGitHub) -> list[str]:
    """What a look finds."""
    return [one.title for one in ground.tracker.observe(NONE)]


def test_only_what_changed_is_read_anew(ground: OnGitHub) -> None:
    """A comment has its issue read again; the other one is taken as it was read before."""
    seen = ground.tracker.observe(NONE)
    assert ground.tracker.observe(NONE) == seen
    spoil(ground)
    ground.hub.comment(ground.repository, ground.person("bob"), ground.thread("web-2"), "Here, too.")
    kept, anew = ground.tracker.observe(NONE)
    assert (kept.title, anew.title) == ("It kept", "It hangs")
    assert [one.body for one in anew.comments] == ["For hours.", "Here, too."]


@pytest.mark.parametrize("what", ["edited", "deleted", "labelled", "ours"])
def test_every_change_has_the_issue_read_anew(ground: OnGitHub, what: str) -> None:
    """Of a comment's words, a comment that is gone when ours is taken in, a label, and words of ours."""
    ground.tracker.act("op-0", Say(issue="web-1", body="Looking."))  # the first mark ever makes the key
    ground.tracker.observe(NONE)
    spoil(ground)
    thread, alice = ground.thread("web-2"), ground.person("alice")
    (said,) = thread.comments
    match what:
        case "edited":
            ground.hub.edit_comment(ground.repository, alice, thread, said, "For days.")
        case "deleted":
            ground.hub.delete_comment(ground.repository, alice, thread, said)
        case "labelled":
            ground.hub.add_labels(ground.repository, alice, thread, ("bug",))
        case _:
            ground.tracker.act("op-1", Say(issue="web-2", body="Looking."))
    assert titles(ground) == ["It kept", "It hangs"]


def test_whoever_is_listened_to_now_has_everything_read_anew(ground: OnGitHub) -> None:
    """Trust is a setting: what was read under another one holds no longer."""
    mallory = ground.hub.account("mallory")
    ground.hub.open_issue(ground.repository, mallory, "It leaks")
    assert [one.trusted for one in ground.tracker.observe(NONE)] == [True, True, False]
    github = replace(ground.settings.github, trusted=(mallory.id,))
    assert isinstance(github, GitHub)
    settings = replace(ground.settings, github=github)
    with closing(site_of(ground.home, settings, settings.targets[0])) as site:
        assert [one.trusted for one in GitHubTracker(site).observe(NONE)] == [True, True, True]


def test_a_look_with_nothing_changed_writes_nothing(ground: OnGitHub) -> None:
    """Not even into its cache, once it has settled."""
    for _ in range(2):
        ground.tracker.observe(NONE)
    before = cache_of(ground).read_bytes()
    ground.tracker.observe(NONE)
    assert cache_of(ground).read_bytes() == before


def test_answers_to_old_questions_are_not_kept(ground: OnGitHub) -> None:
    """Each time the cursors move the lists that were asked for before go, with all their pages."""
    start = datetime.now(UTC)
    for hour in range(4):
        ground.hub.now = lambda hour=hour: start + timedelta(hours=hour)  # type: ignore[misc]
        ground.hub.comment(ground.repository, ground.person("alice"), ground.thread("web-1"), f"Day {hour}.")
        ground.tracker.observe(NONE)
        ground.tracker.observe(NONE)
    lists = [str(one) for (one,) in rows(ground, "select address from answer") if "direction=asc" in str(one)]
    assert len(lists) <= 2, lists
