"""What the supervisor asks GitHub while it sleeps: cheap, level-triggered, and quiet when it cannot ask."""

from __future__ import annotations

import time
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


def seen(ground: OnGitHub) -> probe.Probe:
    """A cycle looks and ends; the probe that begins behind it asks at once."""
    ground.tracker.observe(frozenset())
    ground.forge.observe(frozenset())
    runfolder.make_run(str(ground.home.root))
    api, token = ground.server.url, ground.settings.github.token_file
    places = [{"api": api, "token_file": token, "seen": ground.site.seen()}]
    runfolder.write_object(str(ground.home.probe_file), {"places": places})
    made = probe.Probe(ground.home)
    made.begin()
    made.ask_now()
    return made


def test_nothing_new_costs_nothing(ground: OnGitHub) -> None:
    """One request, no unit of the limit, no byte of a body."""
    asks = seen(ground)
    before = len(ground.server.api.calls)
    assert asks.news() == ""
    asked = ground.server.api.calls[before:]
    assert [(one.status, one.cost, one.bytes) for one in asked] == [(304, 0, 0)]


def test_a_new_issue_ends_the_sleep(ground: OnGitHub) -> None:
    """And so do a comment, a review and a closing: each changes a thread."""
    asks = seen(ground)
    ground.hub.open_issue(ground.repository, ground.person("alice"), "It crashes again")
    assert asks.news() == "GitHub: octocat/web has news"


def test_what_happened_while_the_cycle_worked_is_not_missed(ground: OnGitHub) -> None:
    """The ETag is that of the cycle's own look: what came behind it differs, however early."""
    ground.tracker.observe(frozenset())
    before = ground.site.seen()
    ground.hub.comment(ground.repository, ground.person("alice"), ground.thread("web-1"), "It still does.")
    ground.forge.observe(frozenset())
    assert ground.site.seen() == before
    runfolder.make_run(str(ground.home.root))
    places = [{"api": ground.server.url, "token_file": ground.settings.github.token_file, "seen": before}]
    runfolder.write_object(str(ground.home.probe_file), {"places": places})
    asks = probe.Probe(ground.home)
    asks.begin()
    asks.ask_now()
    assert asks.news() != ""


def test_a_failed_check_of_an_open_head_ends_the_sleep(ground: OnGitHub) -> None:
    """No thread changes by it: the checks themselves are asked."""
    ground.site.heads.append(f"/repos/octocat/web/commits/{'a' * 40}/check-runs")
    ground.site.client.one(ground.site.heads[0], per_page=100)
    ground.tracker.observe(frozenset())
    runfolder.make_run(str(ground.home.root))
    places = [
        {
            "api": ground.server.url,
            "token_file": ground.settings.github.token_file,
            "seen": ground.site.seen(),
        }
    ]
    runfolder.write_object(str(ground.home.probe_file), {"places": places})
    asks = probe.Probe(ground.home)
    asks.begin()
    asks.ask_now()
    assert asks.news() == ""
    ground.hub.check(ground.repository, "a" * 40, "unit tests", "failure")
    asks.ask_now()
    assert asks.news() == "GitHub: octocat/web has news"


def test_questions_come_further_apart_and_never_more_than_a_minute(ground: OnGitHub) -> None:
    """A new issue is to be seen within one."""
    asks = seen(ground)
    gaps = []
    for _ in range(8):
        asks.ask_now()
        asks.news()
        gaps.append(round((asks.next_at() or 0) - time.monotonic()))
    assert gaps == sorted(gaps)
    assert gaps[-1] <= 50


def test_a_github_that_cannot_be_asked_is_left_alone_for_a_while(ground: OnGitHub) -> None:
    """The supervisor goes on; the cycle is who tells a person."""
    asks = seen(ground)
    ground.server.api.faults.add(Fault(kind=Kind.CUT, times=3))
    assert asks.news() == ""
    assert (asks.next_at() or 0) - time.monotonic() > 200
