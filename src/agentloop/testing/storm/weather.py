"""What goes wrong, drawn from a seed: each kind by itself, when it is its turn, at a random call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from agentloop.edges.origin import BRANCHES
from agentloop.testing import gitrepo
from agentloop.testing.github import Fault, Kind
from agentloop.testing.storm.house import BOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from agentloop.testing.github.values import Comment, Thread
    from agentloop.testing.storm.house import House

Trouble: TypeAlias = "Callable[[House, Random], None]"

WRITES: Final = (
    "^(POST|PATCH|PUT|DELETE) /repos",
    "^POST .*/comments$",
    "^POST .*/pulls$",
    "^PATCH ",
    "^POST .*/labels$",
    "^POST .*graphql",
)
LISTS: Final = (r"^GET .*/issues$", r"^GET .*/comments$", r"^GET .*/pulls$", r"^GET .*/reviews$")
READS: Final = ("^GET ", "^GET /user", r"^GET .*/issues/\d+$", r"^GET .*/pulls/\d+$", *LISTS)
GIT: Final = ("git-receive-pack$", "/info/refs$")


def _strikes(kind: Kind, calls: tuple[str, ...], *, most: int = 3) -> Trouble:
    def trouble(house: House, chance: Random) -> None:
        fault = Fault(kind=kind, calls=chance.choice(calls), times=chance.randint(1, most), seconds=90)
        house.server.api.faults.add(fault)

    return trouble


def _lost_and_lagging(house: House, chance: Random) -> None:
    """The answer to a write is lost, and the lists that would show it lag behind for a while."""
    del chance
    house.server.api.faults.add(Fault(kind=Kind.CUT, calls="^POST /repos", times=1))
    for each in LISTS:
        house.server.api.faults.add(Fault(kind=Kind.LAG, calls=each, times=30))


def _doubled(house: House, chance: Random) -> None:
    """A comment of ours stands twice, as when somebody's proxy sent the request again."""
    found = _ours(house)
    if found:
        thread, comment = chance.choice(found)
        hub = house.server.hub
        hub.comment(house.repository, hub.account(BOT), thread, comment.body)


def _forged(house: House, chance: Random) -> None:
    """Somebody copies our words with their mark, here and elsewhere; a stranger, and a colleague."""
    found = _ours(house)
    if not found:
        return
    comment = chance.choice(found)[1]
    hub = house.server.hub
    for login in ("mallory", "alice"):
        who = hub.account(login) if login == "mallory" else house.person(login)
        for thread in chance.sample(_open(house), k=min(2, len(_open(house)))):
            hub.comment(house.repository, who, thread, comment.body)


def _edited(house: House, chance: Random) -> None:
    """An issue is edited between two calls of ours."""
    issues = [one for one in _open(house) if not one.pull]
    if not issues:
        return
    thread, words = chance.choice(issues), f"It ends with a traceback, {chance.randint(1, 10**6)} times."

    def edit() -> None:
        house.server.hub.edit_thread(house.repository, house.person(), thread, title=None, body=words)

    house.server.api.faults.add(Fault(kind=None, calls=chance.choice((*WRITES, *READS)), then=edit))


def _reopened(house: House, chance: Random) -> None:
    """A person closes an issue and opens it again at once, or comments, while the cycle works."""
    issues = [one for one in _open(house) if not one.pull]
    if not issues:
        return
    thread = chance.choice(issues)

    def act() -> None:
        house.server.hub.close(house.repository, house.person(), thread)
        house.server.hub.reopen(house.repository, house.person(), thread)

    house.server.api.faults.add(Fault(kind=None, calls=chance.choice((*WRITES, *READS)), then=act))


def _pushed(house: House, chance: Random) -> None:
    """A person forces a branch of ours elsewhere."""
    folder = house.repository.folder
    pulls = [one for one in _open(house) if one.pull and one.part.branch.startswith(BRANCHES)]
    if pulls:
        thread = chance.choice(pulls)
        base = gitrepo.head(folder, "main")
        made = gitrepo.commit_in(folder, base, {f"mine-{chance.randint(1, 10**6)}.txt": "x"}, "by hand")
        gitrepo.git(folder, "update-ref", f"refs/heads/{thread.part.branch}", made)
        house.server.hub.look_at_git(house.repository, house.person())


TROUBLES: Final[dict[str, Trouble]] = {
    "5xx before": _strikes(Kind.BEFORE, (*WRITES, *READS)),
    "5xx after the write": _strikes(Kind.AFTER, WRITES),
    "lost answer": _strikes(Kind.CUT, WRITES),
    "lost answer to git": _strikes(Kind.CUT, GIT, most=1),
    "lagging list": _strikes(Kind.LAG, LISTS, most=6),
    "lost answer, lagging list": _lost_and_lagging,
    "secondary limit": _strikes(Kind.SECONDARY, WRITES),
    "secondary limit on reads": _strikes(Kind.SECONDARY, READS),
    "primary limit": _strikes(Kind.EXHAUSTED, (*WRITES, *READS)),
    "garbage": _strikes(Kind.GARBAGE, READS),
    "401 for a moment": _strikes(Kind.UNAUTHORIZED, (*WRITES, *READS)),
    "a comment doubled": _doubled,
    "marks forged": _forged,
    "an issue edited meanwhile": _edited,
    "an issue closed and reopened": _reopened,
    "a branch forced": _pushed,
}

LASTING: Final = "lost answer, lagging list"
"""The one that goes on into the next cycle: only then does it make a double."""


def _open(house: House) -> list[Thread]:
    return [one for one in house.repository.threads.values() if one.state == "open" and not one.gone]


def _ours(house: House) -> list[tuple[Thread, Comment]]:
    return [(thread, one) for thread in _open(house) for one in thread.comments if one.author.login == BOT]
