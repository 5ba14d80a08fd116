"""The dashboard on GitHub: made and pinned once, rewritten in place, and never over a person's tick."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

import pytest

from agentloop.domain.board import PAUSE, RUN, UNPINNED
from agentloop.domain.effects import BOARD_TITLE, KeepBoard, operation
from agentloop.domain.observed import BoardSeen
from agentloop.domain.valueclass import replace
from agentloop.edges.github.board import GitHubBoard
from agentloop.errors import ConflictError, NotFoundError, TargetError
from agentloop.testing.github import Fault, Kind
from agentloop.testing.github.behaviours import EVERY, Behaviour
from tests.contract.on_github import BOT, OnGitHub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agentloop.testing.github.values import Account, Thread

BODY = f"- [ ] {PAUSE}\n- [ ] {RUN}\n\nNothing needs you."
FIRST = KeepBoard(target="web", board="", title=BOARD_TITLE, body=BODY)
MAKE = operation("board", "web", "first")


class Ground(OnGitHub):
    """A repository with a dashboard port, and somebody who ticks."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        super().__init__(folder, stack)
        self.board = GitHubBoard(self.site, {"api": "octocat/api"})
        self.writes = 0

    def make(self) -> str:
        """The first one."""
        return self.board.act(MAKE, FIRST)

    def tick(self, name: str, box: str, who: Account, *, on: bool = True) -> None:
        """Somebody clicks on a box; GitHub's site writes the body anew, with its own line ends."""
        thread = self.thread(name)
        old, new = ("[ ]", "[x]") if on else ("[x]", "[ ]")
        body = thread.body.replace(f"- {old} {box}", f"- {new} {box}").replace("\n", "\r\n")
        self.hub.edit_thread(self.repository, who, thread, title=None, body=body)

    def seen(self, name: str) -> BoardSeen:
        """As a cycle finds it."""
        (found,) = self.board.observe(name)
        return found

    def rewrite(self, seen: BoardSeen, body: str, *ticked: str) -> str:
        """As a cycle would, that has seen it so; every box in `ticked` is ticked."""
        for box in ticked:
            body = body.replace(f"- [ ] {box}", f"- [x] {box}")
        self.writes += 1
        kept = replace(FIRST, board=seen.id, body=body, ticked=ticked, was=seen.op, seen=seen.ticked)
        return self.board.act(operation("board", "web", str(self.writes)), kept)


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    """One without a dashboard."""
    with ExitStack() as stack:
        yield Ground(tmp_path, stack)


def boards(ground: Ground) -> list[Thread]:
    """What stands there of ours."""
    return [one for one in ground.repository.threads.values() if one.author.login == BOT and not one.gone]


def test_it_is_made_and_pinned_once_and_is_no_work(ground: Ground) -> None:
    """An answer that was lost, and a journal that was, make no second one; the tracker does not show it."""
    ground.server.api.faults.add(Fault(kind=Kind.AFTER, calls="POST .*/issues$"))
    with pytest.raises(TargetError):
        ground.make()
    assert ground.board.find(MAKE, FIRST) is None
    assert ground.make() == "web-1"
    assert ground.board.find(operation("board", "web", "another"), FIRST) == "web-1"
    assert [one.pinned for one in boards(ground)] == [True]
    assert ground.tracker.observe(frozenset()) == ()
    assert ground.board.observe("") == ()


def test_three_pins_are_all(ground: Ground) -> None:
    """A fourth is refused: it stays unpinned, and its name says so."""
    assert (ground.make(), boards(ground)[0].pinned) == ("web-1", True)
    boards(ground)[0].pinned = False
    for number in range(3):
        made = ground.hub.open_issue(ground.repository, ground.person("alice"), f"Pin {number}")
        made.pinned = True
    assert ground.make() == f"web-1{UNPINNED}"
    ground.hub.behaviours = EVERY - {Behaviour.THREE_PINS}
    assert ground.make() == "web-1"


def test_an_unchanged_one_costs_nothing_to_look_at(ground: Ground) -> None:
    """Rewritten in place when asked; what is looked at afterwards is a 304."""
    seen = ground.seen(ground.make())
    assert seen == BoardSeen(id="web-1", op=MAKE)
    assert ground.rewrite(seen, f"{BODY}\n\nSee web-7 and api-8.") == "web-1"
    assert boards(ground)[0].body.startswith(f"{BODY}\n\nSee #7 and octocat/api#8.")
    ground.seen("web-1")
    before = len(ground.server.api.calls)
    assert ground.seen("web-1").ticked == ()
    assert [(one.method, one.cost) for one in ground.server.api.calls[before:]] == [("GET", 0)]


def test_a_tick_is_seen_with_who_did_it(ground: Ground) -> None:
    """A collaborator is listened to; somebody who may not write is not, however they did it."""
    name = ground.make()
    ground.tick(name, PAUSE, ground.person("alice"))
    seen = ground.seen(name)
    assert seen == BoardSeen(id=name, op=MAKE, ticked=(PAUSE,), by="alice", trusted=True)
    ground.rewrite(seen, BODY, PAUSE)
    assert (ground.seen(name).ticked, ground.seen(name).wrote) == ((PAUSE,), (PAUSE,))
    ground.tick(name, PAUSE, ground.hub.account("mallory"), on=False)
    assert (ground.seen(name).ticked, ground.seen(name).by, ground.seen(name).trusted) == (
        (),
        "mallory",
        False,
    )


def test_a_tick_that_comes_while_we_think_is_not_written_over(ground: Ground) -> None:
    """Made right before the write, after all else was read: it stands, for the next cycle to obey."""
    name = ground.make()
    seen = ground.seen(name)
    tick = partial(ground.tick, name, RUN, ground.person("alice"))
    ground.server.api.faults.add(Fault(kind=None, calls="GET .*/issues/1$", then=tick))
    with pytest.raises(ConflictError, match="ticked"):
        ground.rewrite(seen, "- [ ] Pause all\n- [ ] Run now\n\nNews.")
    assert ground.seen(name).ticked == (RUN,)
    assert ground.rewrite(ground.seen(name), BODY) == name
    assert ground.seen(name).ticked == ()


def test_a_box_in_the_words_below_is_none(ground: Ground) -> None:
    """Only the first of each counts: the relay may quote one."""
    name = ground.board.act(MAKE, replace(FIRST, body=f"{BODY}\n\n- [x] {PAUSE}\n\n    - [x] {RUN}"))
    assert ground.seen(name).ticked == ()


def test_closed_and_deleted_ones_are_known_as_such(ground: Ground) -> None:
    """Closed: not written again. Deleted: gone, and not found."""
    name = ground.make()
    seen = ground.seen(name)
    ground.hub.close(ground.repository, ground.person("alice"), ground.thread(name))
    assert ground.seen(name).state == "closed"
    with pytest.raises(ConflictError, match="closed"):
        ground.rewrite(seen, BODY)
    boards(ground)[0].gone = "deleted"
    assert ground.seen(name).state == "gone"
    assert ground.board.find(MAKE, FIRST) is None
    with pytest.raises(NotFoundError):
        ground.rewrite(seen, BODY)


def test_without_its_mark_it_is_no_work_either(ground: Ground) -> None:
    """Somebody edited it away: the dashboard is written anew, and not taken for an issue of the bot's."""
    name = ground.make()
    thread = ground.thread(name)
    body = thread.body.partition("<!--")[0]
    ground.hub.edit_thread(ground.repository, ground.person("alice"), thread, title=None, body=body)
    assert ground.tracker.observe(frozenset()) == ()
    assert ground.seen(name) == BoardSeen(id=name)
    ground.rewrite(ground.seen(name), BODY)
    assert ground.seen(name).op != ""


def test_a_copy_of_our_mark_elsewhere_makes_no_dashboard(ground: Ground) -> None:
    """Another's issue with our words in it is another's."""
    ground.make()
    body = boards(ground)[0].body
    ground.hub.open_issue(ground.repository, ground.person("alice"), "Dashboard", body)
    assert [one.id for one in ground.tracker.observe(frozenset())] == ["web-2"]
