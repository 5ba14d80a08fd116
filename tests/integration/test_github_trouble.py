"""What goes wrong at GitHub for good: it is said with its fix where a person looks, and the rest goes on."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from agentloop.testing.github import Fault, Kind
from agentloop.testing.storm.house import BOT, TOKEN, VAGUE
from agentloop.testing.storm.play import housed

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentloop.testing.github.values import Thread
    from agentloop.testing.storm.house import House

LONG = "\N{PILE OF POO}\N{RIGHT-TO-LEFT OVERRIDE}Ünïcödé" * 20


def no_permission(house: House, thread: Thread) -> None:
    """The token may only read."""
    del thread
    house.server.hub.tokens[TOKEN].permissions = {
        "issues": "read",
        "contents": "read",
        "pull_requests": "read",
    }


def expired(house: House, thread: Thread) -> None:
    """The token ran out."""
    del thread
    house.server.hub.tokens[TOKEN].revoked = True


def renamed(house: House, thread: Thread) -> None:
    """The repository has another name."""
    del thread
    house.server.hub.rename("octocat/web", "octocat/site")


def hidden(house: House, thread: Thread) -> None:
    """The account was taken out of the repository, which is private."""
    del thread
    house.repository.private = True
    del house.repository.roles[BOT]


def archived(house: House, thread: Thread) -> None:
    """Nothing can be written there any more."""
    del thread
    house.repository.archived = True


def locked(house: House, thread: Thread) -> None:
    """Only those with write access may comment, and we have it no longer."""
    house.server.hub.set_locked(house.repository, house.person(), thread, locked=True)
    house.repository.roles[BOT] = "triage"


def deleted(house: House, thread: Thread) -> None:
    """The issue is gone."""
    house.server.hub.take_away(thread)


def discussed(house: House, thread: Thread) -> None:
    """It is a discussion now."""
    house.server.hub.take_away(thread, discussion=True)


@pytest.mark.parametrize(
    ("trouble", "says", "fix"),
    [
        (no_permission, "does not allow the token", "permissions that docs/github.md lists"),
        (expired, "refuses the token", "make a new one"),
        (renamed, "has moved", "give the repository's new address"),
        (hidden, "GitHub knows no", "whether the token covers the repository"),
        (archived, "was archived", "unarchive the repository"),
        (locked, "locked", ""),
        (deleted, "", ""),
        (discussed, "", ""),
    ],
)
def test_it_is_said_and_the_rest_goes_on(
    trouble: Callable[[House, Thread], None], says: str, fix: str
) -> None:
    """A question was open there; another repository's issue is asked about all the same."""
    with housed() as house:
        other = house.neighbour("docs")
        thread = house.file(f"Something {VAGUE}")
        house.cycle()
        trouble(house, thread)
        thread.comments[:] = [*thread.comments]
        _answer_anyway(house, thread)
        elsewhere = house.server.hub.open_issue(other, house.person(), f"Also {VAGUE}", LONG)
        told = ""
        for _ in range(4):
            house.clock.pass_by(minutes=5)
            ended = house.cycle()
            told += " ".join((*ended.problems, ended.nap.reason))
        assert says in told
        assert fix in told
        asked = [one for one in elsewhere.comments if one.author.login == BOT]
        assert bool(asked) == (trouble not in (expired, no_permission))
        # Nothing is tried for ever: what cannot be is given up, or waits without a write of its own.
        assert not (trouble in (deleted, discussed) and ended.problems), ended.problems


def _answer_anyway(house: House, thread: Thread) -> None:
    """Answer without asking whether the hub lets anybody."""
    gone, was = thread.gone, house.repository.archived
    thread.gone, house.repository.archived = "", False
    house.server.hub.comment(house.repository, house.person(), thread, "1")
    thread.gone, house.repository.archived = gone, was


def test_a_limit_is_remembered_by_the_next_process() -> None:
    """The cycle that follows asks nothing before its time, and everything after it."""
    with housed() as house:
        house.file(f"Something {VAGUE}")
        house.server.api.faults.add(Fault(kind=Kind.EXHAUSTED, calls="GET", seconds=600))
        house.cycle()
        asked = len(house.server.api.calls)
        house.cycle()
        assert len(house.server.api.calls) == asked
        house.clock.pass_by(seconds=timedelta(minutes=11).total_seconds())
        house.cycle()
        assert house.asked == 1


def test_titles_and_words_of_any_length_and_letters_are_worked_on() -> None:
    """The longest that GitHub takes: it becomes a pull request all the same."""
    with housed() as house:
        house.file(LONG[:250], LONG * 30)
        for _ in range(4):
            house.cycle()
            house.clock.pass_by(minutes=5)
            house.work()
        assert [one.title for one in house.pulls()] == ["Say that one cannot divide by zero"]
