"""What the supervisor asks GitHub while it sleeps: cheap, level-triggered, and quiet when it cannot ask."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from agentloop.edges import runfolder
from agentloop.supervision import probe
from agentloop.testing.github import Fault, Kind
from tests.contract.on_github import OnGitHub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[OnGitHub]:
    """A repository with one issue, as a cycle has just seen it."""
    with ExitStack() as stack:
        made = OnGitHub(tmp_path, stack)
        made.hub.open_issue(made.repository, made.person("alice"), "It crashes")
        yield made


class Asking(probe.Probe):
    """A probe that begins behind a cycle, with a clock that goes on to its next question when told to."""

    def __init__(self, ground: OnGitHub, seen: dict[str, str]) -> None:
        self.time = 1000.0
        super().__init__(ground.home, now=lambda: self.time)
        runfolder.make_run(str(ground.home.root))
        place = {"api": ground.server.url, "token_file": ground.settings.github.token_file, "seen": seen}
        runfolder.write_object(str(ground.home.probe_file), {"places": [place]})
        self.begin()

    def later(self) -> str:
        """Wait until it is time to ask, and return what there is."""
        self.time = self.next_at() or self.time
        return self.news()


def seen(ground: OnGitHub) -> Asking:
    """A cycle looks and ends."""
    ground.tracker.observe(frozenset())
    ground.forge.observe(frozenset())
    return Asking(ground, ground.site.seen())


def test_nothing_new_costs_nothing(ground: OnGitHub) -> None:
    """One request, no unit of the limit, no byte of a body."""
    asks = seen(ground)
    before = len(ground.server.api.calls)
    assert asks.later() == ""
    asked = ground.server.api.calls[before:]
    assert [(one.status, one.cost, one.bytes) for one in asked] == [(304, 0, 0)]


def test_a_new_issue_ends_the_sleep(ground: OnGitHub) -> None:
    """And so do a comment, a review and a closing: each changes a thread."""
    asks = seen(ground)
    ground.hub.open_issue(ground.repository, ground.person("alice"), "It crashes again")
    assert asks.later() == "GitHub: octocat/web has news"


def test_what_happened_while_the_cycle_worked_is_not_missed(ground: OnGitHub) -> None:
    """The ETag is that of the cycle's own look: what came behind it differs, however early."""
    ground.tracker.observe(frozenset())
    before = ground.site.seen()
    ground.hub.comment(ground.repository, ground.person("alice"), ground.thread("web-1"), "It still does.")
    ground.forge.observe(frozenset())
    assert ground.site.seen() == before
    assert Asking(ground, before).later() != ""


def test_a_failed_check_of_an_open_head_ends_the_sleep(ground: OnGitHub) -> None:
    """No thread changes by it: the checks themselves are asked."""
    path = f"/repos/octocat/web/commits/{'a' * 40}/check-runs"
    ground.site.heads.append((path, {}))
    ground.site.client.one(path, per_page=100)
    ground.tracker.observe(frozenset())
    asks = Asking(ground, ground.site.seen())
    assert asks.later() == ""
    ground.hub.check(ground.repository, "a" * 40, "unit tests", "failure")
    assert asks.later() == "GitHub: octocat/web has news"


def test_questions_come_further_apart_and_never_more_than_a_minute(ground: OnGitHub) -> None:
    """A new issue is to be seen within one."""
    asks = seen(ground)
    gaps = []
    for _ in range(8):
        asks.later()
        gaps.append((asks.next_at() or 0) - asks.time)
    assert gaps == sorted(gaps)
    assert gaps[-1] <= 50


def test_a_github_that_cannot_be_asked_is_left_alone_for_a_while(ground: OnGitHub) -> None:
    """The supervisor goes on; the cycle is who tells a person."""
    asks = seen(ground)
    ground.server.api.faults.add(Fault(kind=Kind.CUT, times=3))
    assert asks.later() == ""
    assert (asks.next_at() or 0) - asks.time > 200
