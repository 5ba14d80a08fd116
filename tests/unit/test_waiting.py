"""What an issue waits for: the journal's reasons, and what a person did that no cycle has seen yet."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest

from agentloop.domain import facts as f
from agentloop.domain import report
from agentloop.domain.issue import Comment, Issue, Pull, Review
from agentloop.domain.observed import Observed
from agentloop.domain.scene import Scene
from agentloop.domain.settings import Settings, Target
from agentloop.domain.signals import evidence_of
from agentloop.domain.story import Story, follow, story
from agentloop.domain.waiting import Waiting, blocks, waiting
from agentloop.testing.night import night
from agentloop.testing.samples import SETTINGS as SAMPLE
from agentloop.testing.samples import Told

NOW = datetime(2026, 11, 20, 12, 12, tzinfo=UTC)
SETTINGS = Settings(targets=(Target(name="repo", repository="/srv/repo"),))
ISSUE = Issue(
    id="9", number=9, title="Why so?", body="", author="ann", state="open", target="repo", created_at=NOW
)
WORDS = evidence_of(ISSUE)


def _told(issue: str, *facts: f.Fact, seen: Observed | None = None, live: report.Live | None = None) -> Story:
    entries = (
        *night(NOW),
        *(f.Entry(at=NOW - timedelta(minutes=1), cycle=20, facts=(one,)) for one in facts),
    )
    world, events = follow(entries, issue)
    return story(
        Scene(world=world, observed=seen or Observed(now=NOW), settings=SETTINGS), issue, events, live=live
    )


def _live(state: str, *, paused: bool = False) -> report.Live:
    loop = report.Loop(
        state=state,
        pid=None,
        version="1",
        started_at=None,
        since=None,
        until=None,
        reason="",
        notice="",
        do="",
    )
    pause = report.Pause(until="2026-11-20T14:00:00Z", reason="moving", by="ann") if paused else None
    return report.Live(
        at=NOW,
        home="/srv/home",
        loop=loop,
        pause=pause,
        woken_by=(),
        sleep_until=None,
        sleep_reason="",
        problems=(),
        progress=(),
    )


def _seen_as(issue: Issue, **changes: object) -> Observed:
    return Observed(now=NOW, issues=(replace(issue, **changes),))  # type: ignore[arg-type]


def _filed(evidence: str = WORDS) -> f.IssueSeen:
    return f.IssueSeen(issue="9", title="Why so?", target="repo", priority="normal", evidence=evidence)


def _pull(state: Literal["open", "merged", "closed"], *reviews: Review) -> Observed:
    found = Pull(
        id="2",
        number=2,
        target="repo",
        branch="b",
        base="main",
        title="",
        body="",
        state=state,
        head="",
        reviews=reviews,
    )
    return Observed(now=NOW, pulls=(found,))


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("open", "task 1.2: pull request 2 waits for a person"),
        ("closed", "task 1.2: you closed pull request 2 without merging it: the next cycle takes that in"),
        ("merged", "task 1.2: you merged pull request 2: the next cycle takes that in"),
    ],
)
def test_a_pull_request_as_it_is_now(state: Literal["open", "merged", "closed"], words: str) -> None:
    """The journal's "waits for you" is not told of one that was closed or merged since."""
    found = _told("1", seen=_pull(state))
    assert (found.waits_for, "agentloop pr merge 2" in found.do) == ((words,), state == "open")


def test_a_review_that_no_cycle_has_read() -> None:
    """It is the loop's turn then, not the person's."""
    review = Review(id="r1", author="ann", verdict="changes_requested", body="no", at=NOW)
    (words,) = _told("1", seen=_pull("open", review)).waits_for
    assert words == "task 1.2: you asked for changes on pull request 2: the next cycle takes that in"


def test_an_answered_issue_that_is_open_waits_for_a_person() -> None:
    """It is not over: a comment goes on with it, closing ends it."""
    found = _told("9", _filed(), f.Answered(issue="9", evidence=WORDS), seen=_seen_as(ISSUE))
    assert (found.waits_for, found.do) == (
        ("it is answered, and open: it waits for you to comment, or to close it",),
        ('agentloop issue comment 9 "…"', "agentloop issue close 9"),
    )


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ({"state": "closed"}, "you closed it: the next cycle takes that in"),
        (
            {"comments": (Comment(id="c1", author="ann", body="1", at=NOW),)},
            "you changed its words, or wrote a comment: the next cycle reads that",
        ),
    ],
)
def test_what_a_person_did_since(seen: dict[str, object], words: str) -> None:
    """The tracker is newer than the journal; a question that was answered is asked no more."""
    asked = f.Asked(issue="9", question="Which?", choices=("a", "b"), evidence=WORDS)
    found = _told("9", _filed(), asked, seen=_seen_as(ISSUE, **seen))
    assert found.waits_for == (words,)


def test_an_admin_that_failed_is_the_reason() -> None:
    """When it is asked again, how often it failed, and why: not just "the next cycle"."""
    failed = f.CycleEnded(outcome="failed", fingerprint="", reason="the key is refused")
    (words,) = _told("9", _filed(), failed, failed).waits_for
    assert words.endswith("it failed 2 times in a row, the last time: the key is refused")


@pytest.mark.parametrize(
    ("state", "paused", "do"),
    [
        ("stopped", False, ("agentloop run",)),
        ("stopped", True, ("agentloop run", "agentloop resume")),
        ("paused", True, ("agentloop resume",)),
        ("sleeping", False, ("agentloop wake",)),
        ("cycling", False, ("agentloop status --watch",)),
    ],
)
def test_what_brings_the_next_cycle(state: str, *, paused: bool, do: tuple[str, ...]) -> None:
    """A wake is offered only where it does something."""
    assert _told("9", _filed(), live=_live(state, paused=paused)).do == do


def test_what_waits_for_a_person_alone_needs_no_cycle() -> None:
    """A stopped loop is told beside it, but not as what to do."""
    found = _told("1", seen=_pull("open"), live=_live("stopped"))
    assert (found.do[0], found.loop and found.loop.state) == ("agentloop pr diff 2", "stopped")


def test_a_task_behind_a_parked_one_waits_for_a_person_and_for_no_cycle() -> None:
    """Whatever a cycle does, the task before it stands until the person sends it back or gives it up."""
    found = _told("3", f.Parked(task="3.1", reason="twice the same"), live=_live("stopped"))
    assert found.waits_for == (
        "task 3.1: parked: twice the same",
        "task 3.2 needs task 3.1, which is parked: twice the same",
    )
    assert found.do[0] == "agentloop retry 3.1"
    assert "agentloop run" not in found.do


def _queued(told: Told, settings: Settings = SAMPLE) -> Waiting:
    scene = told.scene(settings)
    return waiting(scene, scene.world.issues["7"], scene.world.tasks_of("7"))


def test_no_wake_is_offered_where_it_changes_nothing() -> None:
    """A task that waits for its time or for money starts no sooner; one that is due does."""
    due = _queued(Told().issue().planned("7.1"))
    later = Told().issue().planned("7.1").started("7.1.1").add(f.AttemptLost(attempt="7.1.1"))
    later.add(f.Requeued(task="7.1", not_before=later.now + timedelta(hours=1), why="killed"))
    poor = replace(SAMPLE, limits=replace(SAMPLE.limits, hour_usd=0, day_usd=20))
    unpaid = Told().issue().planned("7.1").add(f.Settled(purse="attempt:6.1.1", micros=19_000_000))
    found = [due, _queued(later), _queued(unpaid, poor)]
    assert [blocks(_live("sleeping"), one) for one in found] == [("agentloop wake",), (), ()]
    assert [blocks(_live("stopped"), one) for one in found] == [("agentloop run",)] * 3
    assert [one.do for one in found] == [(), (), ("agentloop cost",)]
