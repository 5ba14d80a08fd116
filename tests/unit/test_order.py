"""The order of work, and that whatever was not started has a reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.domain import facts as f
from agentloop.domain.issue import PRIORITIES
from agentloop.domain.observed import Barred
from agentloop.domain.order import held_back, in_order, place
from agentloop.domain.scene import Scene
from agentloop.domain.settings import Layers, Limits, Settings
from agentloop.domain.work import NothingDone
from agentloop.testing.samples import SETTINGS, Told, finding, task


def names(scene: Scene) -> list[str]:
    """The queue."""
    return [view.task.id for view in in_order(scene)]


def held(told: Told, name: str = "7.1", settings: Settings = SETTINGS) -> tuple[str, ...]:
    """Why a task is not started."""
    return held_back(told.scene(settings), told.world.tasks[name])


def test_the_most_urgent_issue_comes_first() -> None:
    """Critical, high, normal, low; an issue without a label is normal."""
    told = Told()
    for number, label in enumerate(["low", "", "critical", "high"], 1):
        told.issue(str(number), labels=(label,) if label else ()).planned(f"{number}.1")
    assert names(told.scene()) == ["3.1", "4.1", "2.1", "1.1"]


def test_what_a_person_reviewed_comes_before_new_work_of_the_same_urgency() -> None:
    """Then the older issue, then the plan's order; numbers are compared as numbers."""
    told = Told().issue("2").planned("2.1", "2.2", "2.10").issue("10").planned("10.1")
    told.issue("11").planned("11.1").published("11.1.1")
    told.add(f.SentBack(task="11.1", findings=(finding(),), heard=("r1",)))
    assert names(told.scene()) == ["11.1", "2.1", "2.2", "2.10", "10.1"]


def test_an_unknown_priority_counts_as_normal() -> None:
    """An older journal, or a person's own word, breaks nothing."""
    told = Told().issue("1").planned("1.1").issue("2", labels=("high",)).planned("2.1")
    told.add(f.IssueSeen(issue="1", title="t", target="", priority="soonish", evidence="e"))
    assert names(told.scene()) == ["2.1", "1.1"]


def test_where_a_task_stands_is_told() -> None:
    """Its number, and what put it there."""
    told = Told().issue("7", labels=("high",)).planned("7.1", "7.2")
    assert place(told.scene(), told.world.tasks["7.2"]) == "2 of 2 in the queue (high priority, issue 7)"


def test_a_task_that_may_start_has_no_reason_against_it() -> None:
    """Empty means yes."""
    assert held(Told().issue().planned("7.1")) == ()


@pytest.mark.parametrize(
    ("told", "settings", "says"),
    [
        (
            Told().issue().planned(task("7.0"), task("7.1", "7.0")),
            SETTINGS,
            "needs task 7.0 to be merged first",
        ),
        (
            Told().issue().planned(task("7.0"), task("7.1", "7.0")).add(f.Parked(task="7.0", reason="no db")),
            SETTINGS,
            "needs task 7.0, which is parked: no db",
        ),
        (
            Told().issue().planned(task("7.1", "7.9")),
            SETTINGS,
            "needs task 7.9, which does not exist",
        ),
        (
            Told()
            .issue()
            .planned("7.1")
            .add(f.Requeued(task="7.1", not_before=Told().now + timedelta(hours=2), why="killed")),
            SETTINGS,
            "waits until 2026-11-02 11:00 UTC: killed",
        ),
        (
            Told()
            .issue()
            .planned("7.1")
            .started("7.1.1")
            .ended("7.1.1", NothingDone(reason="x"))
            .add(f.SentBack(task="7.1")),
            SETTINGS,
            "an attempt on this very evidence has already ended by its own verdict; nothing new since",
        ),
        (
            Told().issue().planned("7.1").add(f.IssueParked(issue="7", reason="r", evidence="e")),
            SETTINGS,
            "issue 7 is parked or closed",
        ),
        (
            Told().issue().planned("7.1"),
            replace(SETTINGS, targets=()),
            "target 'calc' is not in the settings any more",
        ),
        (
            Told().issue().planned("7.1"),
            replace(SETTINGS, layers=Layers(workers=False)),
            "workers are switched off (layers.workers = false): the loop only plans",
        ),
        (
            Told().issue().planned("7.1", "7.2").started("7.2.1"),
            replace(SETTINGS, limits=Limits(attempts_at_once=1)),
            "1 attempts run already (limits.attempts_at_once)",
        ),
        (
            Told().issue().planned("7.1", "7.2").published("7.2.1"),
            replace(SETTINGS, limits=Limits(open_pulls=1)),
            "1 pull requests wait for a person (limits.open_pulls)",
        ),
        (
            Told()
            .issue()
            .planned("7.1")
            .add(f.LimitReached(until=Told().now + timedelta(hours=2), detail="5-hour window")),
            SETTINGS,
            "the provider's limit lasts until 11:00 UTC",
        ),
        (
            Told().issue().planned("7.1").add(f.Reserved(purse="attempt:6.1.1", micros=18_500_000)),
            SETTINGS,
            (
                "$1.50 is left under limits.day_usd, an attempt may need $2.00; "
                "it waits for tomorrow (2026-11-03 00:00 UTC)"
            ),
        ),
    ],
)
def test_every_reason_for_waiting_is_told(told: Told, settings: Settings, says: str) -> None:
    """Each alone, in a sentence that names what has to happen."""
    assert held(told, settings=settings) == (says,)


def test_nothing_is_begun_for_a_target_that_nothing_may_be_pushed_to() -> None:
    """The attempt would be paid for, and its result could not be shown."""
    told = Told().issue().planned("7.1")
    barred = (Barred(target=told.world.tasks["7.1"].task.target, why="no rule"),)
    scene = told.scene(barred=barred)
    (why,) = held_back(scene, scene.world.tasks["7.1"])
    assert why.startswith("nothing may be pushed to target")


def test_a_task_with_a_pull_request_is_not_held_back_by_those_that_wait() -> None:
    """Its own is one of them: changes requested must be worked on."""
    told = Told().issue().planned("7.1").published("7.1.1")
    told.add(f.SentBack(task="7.1", findings=(finding(),), heard=("r1",)))
    told.issue("8").planned("8.1").published("8.1.1", number="2")
    assert held(told, settings=replace(SETTINGS, limits=Limits(open_pulls=1))) == ()


def test_a_clock_set_back_holds_nothing_back_for_ever() -> None:
    """A wait, or a limit, that began in what is the future now has no end that could be trusted."""
    told = Told().issue().planned("7.1")
    told.now += timedelta(days=9000)
    told.add(
        f.Requeued(task="7.1", not_before=told.now + timedelta(hours=1), why="killed"),
        f.LimitReached(until=told.now + timedelta(hours=5), detail="5 hours"),
    )
    assert len(held(told)) == 2
    told.now -= timedelta(days=9000)
    assert held(told) == ()


STORIES = st.lists(
    st.tuples(st.sampled_from(PRIORITIES), st.integers(1, 3), st.booleans()), min_size=1, max_size=6
)


@given(STORIES, st.integers(1, 3), st.booleans())
def test_whatever_is_not_started_has_a_reason(
    stories: list[tuple[str, int, bool]],
    at_once: int,
    workers: bool,  # noqa: FBT001 - drawn
) -> None:
    """Every queued task either may start or says why not; the queue is in the order of urgency."""
    told = Told()
    for number, (priority, tasks, runs) in enumerate(stories, 1):
        told.issue(str(number), labels=(priority,)).planned(*[f"{number}.{n}" for n in range(1, tasks + 1)])
        if runs:
            told.started(f"{number}.1.1")
    settings = replace(SETTINGS, limits=Limits(attempts_at_once=at_once), layers=Layers(workers=workers))
    scene = told.scene(settings)
    queue = in_order(scene)
    ranks = [PRIORITIES.index(scene.world.issues[view.task.issue].priority) for view in queue]
    assert ranks == sorted(ranks)
    free = scene.working() < at_once and workers
    assert {bool(held_back(scene, view)) for view in queue} <= {not free}
