"""The dashboard as whole cycles keep it: on a simulated GitHub, the rest in memory."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from agentloop.domain.board import PAUSE, RUN
from agentloop.domain.holds import hold_words
from agentloop.domain.valueclass import replace
from agentloop.edges.github.board import GitHubBoard
from agentloop.testing.github import Fault, Kind
from tests.contract.on_github import BOT, OnGitHub
from tests.integration.test_cycle import House

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agentloop.cycle import Parts
    from agentloop.testing.github.values import Thread
    from agentloop.testing.memory_parts import Fuse


class WithBoard(House):
    """A house whose second target is on GitHub, where its dashboard is kept."""

    def __init__(self, github: OnGitHub) -> None:
        super().__init__()
        self.github = github
        own = replace(self.settings, github=github.settings.github)
        self.settings = replace(own, targets=(*own.targets, *github.settings.targets))

    def parts(self, fuse: Fuse) -> Parts:
        """With the dashboard's port."""
        made = super().parts(fuse)
        return replace(made, outside=replace(made.outside, board=GitHubBoard(self.github.site, {})))

    def boards(self) -> list[Thread]:
        """What we filed there, gone or not."""
        return [one for one in self.github.repository.threads.values() if one.author.login == BOT]

    @property
    def body(self) -> str:
        """The words of the last one."""
        return self.boards()[-1].body

    def tick(self, box: str, *, on: bool = True, who: str = "alice") -> None:
        """Somebody clicks."""
        old, new = ("[ ]", "[x]") if on else ("[x]", "[ ]")
        assert f"- {old} {box}" in self.body
        body = self.body.replace(f"- {old} {box}", f"- {new} {box}", 1)
        person = self.github.hub.account(who)
        self.github.hub.edit_thread(self.github.repository, person, self.boards()[-1], title=None, body=body)

    def idle(self) -> list[tuple[str, int]]:
        """A cycle; what it asked of GitHub, and what that cost."""
        before = len(self.github.server.api.calls)
        self.cycle()
        return [(one.method, one.cost) for one in self.github.server.api.calls[before:]]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[WithBoard]:
    """With one issue in work, and a dashboard."""
    with ExitStack() as stack:
        made = WithBoard(OnGitHub(tmp_path, stack))
        made.github.person("alice")
        made.file()
        made.cycle()
        made.cycle()
        yield made


def test_it_says_what_goes_on_and_an_idle_cycle_leaves_it_alone(house: WithBoard) -> None:
    """Made once, pinned, up to date; looking at it costs nothing."""
    house.cycle()
    assert [(one.title, one.pinned) for one in house.boards()] == [("Dashboard of the loop", True)]
    assert house.body.startswith(f"- [ ] {PAUSE}\n- [ ] {RUN}\n\nNothing needs you.\n\n### Working\n- ")
    assert "<details><summary>The relay: " in house.body
    before = house.body
    for _ in range(3):
        house.sleep()
        assert house.idle() == [("GET", 0)]
    assert house.body == before


def test_a_ticked_pause_holds_everything_and_an_unticked_one_lets_it_go(house: WithBoard) -> None:
    """Once each; the box shows the state of the loop, and when the pause is over it is unticked."""
    house.tick(PAUSE)
    house.cycle()
    assert "paused by alice" in hold_words(house.world, house.clock.now(), "")
    assert house.body.startswith(f"- [x] {PAUSE}\n- [ ] {RUN}\n\n**Paused:** ")
    house.cycle()
    assert house.idle() == [("GET", 0)]

    house.tick(PAUSE, on=False)
    house.cycle()
    assert hold_words(house.world, house.clock.now(), "") == ""
    house.tick(PAUSE)
    house.cycle()
    house.sleep(8 * 24 * 60)
    house.cycle()
    assert house.body.startswith(f"- [ ] {PAUSE}\n")
    assert hold_words(house.world, house.clock.now(), "") == ""


def test_a_ticked_run_now_is_a_look_and_the_box_is_empty_again(house: WithBoard) -> None:
    """Once, though the write that empties it fails at first."""
    house.tick(RUN)
    house.github.server.api.faults.add(Fault(kind=Kind.BEFORE, calls="PATCH .*/issues/1$"))
    house.cycle()
    assert f"- [x] {RUN}" in house.body
    house.cycle()
    assert f"- [ ] {RUN}" in house.body
    orders = [one for one in house.world.heeded if one.order.endswith(":run")]
    assert len(orders) == 1


def test_who_is_not_listened_to_ticks_in_vain(house: WithBoard) -> None:
    """The box is emptied, and nothing else happens."""
    house.tick(PAUSE, who="mallory")
    house.cycle()
    assert hold_words(house.world, house.clock.now(), "") == ""
    assert f"- [ ] {PAUSE}" in house.body


def test_closed_it_is_left_alone_and_deleted_it_is_made_again_once(house: WithBoard) -> None:
    """Closed is said where the status is; a second deletion is a person's last word."""
    hub, repository = house.github.hub, house.github.repository
    hub.close(repository, hub.account("alice"), house.boards()[-1])
    before = house.body
    house.file("Another")
    ended = house.cycle()
    assert house.body == before
    assert any("the dashboard was closed" in one for one in ended.notices)

    for made in (2, 2):
        house.boards()[-1].gone = "deleted"
        house.cycle()
        house.cycle()
        assert len(house.boards()) == made


def test_without_the_journal_the_dashboard_is_found_again(house: WithBoard) -> None:
    """By our mark on it: no second one."""
    other = WithBoard(house.github)
    other.file()
    other.cycle()
    other.cycle()
    other.cycle()
    assert len(house.boards()) == 1


def test_a_home_may_do_without(tmp_path: Path) -> None:
    """`board = "none"`: nothing is made."""
    with ExitStack() as stack:
        house = WithBoard(OnGitHub(tmp_path, stack))
        none = replace(house.settings.github, board="none")
        house.settings = replace(house.settings, github=none)
        house.file()
        house.cycle()
        assert house.boards() == []
