"""Whether work gets anywhere: the same change, the same failure, nothing at all; and a person's retry."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.domain import decisions as d
from agentloop.domain import facts as f
from agentloop.domain.admission import refusal
from agentloop.domain.order import held_back
from agentloop.domain.progress import nothing_again, same_change, same_failure, unfinished
from agentloop.domain.reconcile import reconcile
from agentloop.domain.report import need_of_task, stand
from agentloop.domain.settings import Limits
from agentloop.domain.signals import is_signal
from agentloop.domain.states import Parked, Queued, Returned
from agentloop.domain.wording import task_brief
from agentloop.domain.work import (
    Blocked,
    Broken,
    Finding,
    GaveUp,
    LimitedBy,
    NothingDone,
    Stalled,
    Stopped,
)
from agentloop.testing.samples import BEGAN, COMMIT, SETTINGS, Told, delivered, finding, verdict

if TYPE_CHECKING:
    from agentloop.domain.work import Outcome


def refused(told: Told, attempt: str, *findings: Finding, tree: str) -> Told:
    """An attempt from its start to a red gate on the tree named."""
    told.started(attempt).ended(attempt, delivered())
    told.add(f.ResultTaken(attempt=attempt, commit=COMMIT, tree=tree))
    told.add(f.GateStarted(attempt=attempt, commit=COMMIT))
    return told.add(f.Judged(verdict=verdict(attempt, *findings)))


def sent_back(told: Told, *findings: Finding, heard: tuple[str, ...] = ()) -> Told:
    """The task goes to a worker again."""
    return told.add(f.SentBack(task="7.1", findings=findings, heard=heard))


def parked(reason: str = "it came to nothing") -> Told:
    """Task 7.1, given up after a red gate."""
    told = refused(Told().issue().planned("7.1"), "7.1.1", finding(), tree="t1")
    return told.add(f.Parked(task="7.1", reason=reason))


def again(told: Told, request: str = "7.1-a") -> Told:
    """A person's retry, as a cycle records it."""
    return sent_back(told, finding(), heard=(f"retry:{request}",))


def only(told: Told) -> d.Decision:
    """The one decision that follows."""
    (found,) = reconcile(told.scene())
    return found


def test_the_change_that_was_refused_is_not_judged_again() -> None:
    """Another attempt, the same tree: the task is parked before its gate is set."""
    told = refused(Told().issue().planned("7.1"), "7.1.1", finding("1 failed"), tree="t1")
    sent_back(told, finding("1 failed")).started("7.1.2").ended("7.1.2", delivered())
    told.add(f.ResultTaken(attempt="7.1.2", commit="d" * 40, tree="t1"))
    found = only(told)
    assert isinstance(found, d.Park)
    assert found.rationale == (
        "no progress: attempt 7.1.2 made the very change that 7.1.1 was refused for (check: tests)"
    )


def test_another_change_is_judged() -> None:
    """A new tree is something new."""
    told = refused(Told().issue().planned("7.1"), "7.1.1", finding("1 failed"), tree="t1")
    sent_back(told, finding("1 failed")).started("7.1.2").ended("7.1.2", delivered())
    told.add(f.ResultTaken(attempt="7.1.2", commit="d" * 40, tree="t2"))
    assert isinstance(only(told), d.Judge)


def test_a_check_that_fails_as_before_parks_the_task_though_attempts_are_left() -> None:
    """Numbers aside; what else is held against it does not matter."""
    told = refused(Told().issue().planned("7.1"), "7.1.1", finding("E: lost at 0x7f01, 0.31 s"), tree="t1")
    assert isinstance(only(told), d.SendBack)
    sent_back(told, finding("E: lost at 0x7f01, 0.31 s"))
    refused(told, "7.1.2", finding("E: lost at 0x99, 2 s"), finding("new", about="lint"), tree="t2")
    found = only(told)
    assert isinstance(found, d.Park)
    assert "check tests fails on 7.1.2 just as it did on 7.1.1" in found.rationale


def test_a_check_that_fails_differently_is_progress() -> None:
    """The next attempt is told."""
    told = refused(Told().issue().planned("7.1"), "7.1.1", finding("test_a failed"), tree="t1")
    sent_back(told, finding("test_a failed"))
    refused(told, "7.1.2", finding("test_b failed"), tree="t2")
    assert isinstance(only(told), d.SendBack)


def test_success_without_anything_to_show_twice_parks_the_task() -> None:
    """The admin's new guidance does not make it work."""
    told = Told().issue().planned("7.1").started("7.1.1").ended("7.1.1", NothingDone(reason="a"))
    assert reconcile(told.scene()) == ()
    told.add(f.SentBack(task="7.1", guidance="look at main"))
    told.started("7.1.2").ended("7.1.2", NothingDone(reason="b"))
    found = only(told)
    assert isinstance(found, d.Park)
    assert "2 attempts in a row ended without anything to show" in found.rationale


@pytest.mark.parametrize(("second", "parks"), [("no database on 5433", True), ("no network", False)])
def test_the_same_reason_twice_is_no_progress(second: str, *, parks: bool) -> None:
    """Another reason is."""
    told = Told().issue().planned("7.1").started("7.1.1")
    told.ended("7.1.1", Blocked(reason="no database on 5432"))
    told.add(f.SentBack(task="7.1", guidance="look")).started("7.1.2").ended("7.1.2", Blocked(reason=second))
    assert bool(nothing_again(told.world.tasks["7.1"])) == parks


def test_what_came_to_nothing_before_a_persons_retry_counts_no_more() -> None:
    """What the person mended may have been the machine: the same change may pass now."""
    told = again(parked())
    told.started("7.1.2").ended("7.1.2", delivered())
    told.add(f.ResultTaken(attempt="7.1.2", commit="d" * 40, tree="t1"))
    view = told.world.tasks["7.1"]
    assert (same_change(view), same_failure(view)) == ("", "")
    assert isinstance(only(told), d.Judge)


@given(st.lists(st.sampled_from(["t1", "t2", "t3", "t4"]), min_size=1, max_size=6))
def test_whatever_comes_back_no_tree_is_judged_red_twice(trees: list[str]) -> None:
    """As long as nobody says anything new."""
    told = Told().issue().planned("7.1")
    judged: list[str] = []
    for number, tree in enumerate(trees, 1):
        attempt = f"7.1.{number}"
        told.started(attempt).ended(attempt, delivered())
        told.add(f.ResultTaken(attempt=attempt, commit=COMMIT, tree=tree))
        if isinstance(only(told), d.Park):
            break
        judged.append(tree)
        told.add(f.GateStarted(attempt=attempt, commit=COMMIT))
        told.add(f.Judged(verdict=verdict(attempt, finding(f"failed in {'x' * number}"))))
        sent_back(told, finding(f"failed in {'x' * number}"))
    assert len(judged) == len(set(judged))


def test_a_person_sends_a_parked_task_back_with_what_was_held_against_it() -> None:
    """Its words are the guidance; one more attempt is allowed; the same request again has nothing to do."""
    told = parked()
    retry = d.TryAgain(task="7.1", request="7.1-a", by="ana", rationale="the database is up")
    assert refusal(retry, told.scene()) is None
    assert told.world.tasks["7.1"].state == Parked(
        reason="it came to nothing", was=Queued(findings=(finding(),))
    )
    again(told)
    assert isinstance(only(told), d.Start)
    why = refusal(retry, told.scene())
    assert why is not None
    assert why.startswith("task 7.1 is not parked")


def test_a_retry_of_what_is_not_there_is_refused() -> None:
    """With the reason."""
    retry = d.TryAgain(task="9.9", request="x", by="ana", rationale="")
    assert refusal(retry, Told().issue().planned("7.1").scene()) == "there is no task '9.9'"


def test_the_dead_letter_list_names_the_command() -> None:
    """Where a person looks: status, with the reason."""
    told = parked("no progress: x")
    need = need_of_task(told.world.tasks["7.1"])
    assert need is not None
    assert (need.says, need.do[0]) == ("no progress: x", "agentloop retry 7.1")


def fruitless(times: int) -> Told:
    """So many tasks in a row whose only attempt came to nothing, and one that is queued."""
    told = Told().issue()
    told.planned(*(f"7.{n}" for n in range(1, times + 2)))
    for number in range(1, times + 1):
        told.started(f"7.{number}.1").ended(f"7.{number}.1", NothingDone(reason="again"))
    return told


SETTINGS_3 = replace(SETTINGS, limits=Limits(attempts_without_result=3))


def test_attempts_in_a_row_that_come_to_nothing_stop_the_dispatch() -> None:
    """Over all tasks; a person is told, and sees the way out."""
    told = fruitless(2)
    assert [type(one) for one in reconcile(told.scene(SETTINGS_3))] == [d.Start]
    told = fruitless(3)
    assert reconcile(told.scene(SETTINGS_3)) == ()
    (reason,) = held_back(told.scene(SETTINGS_3), told.world.tasks["7.4"])
    assert reason.startswith("3 attempts in a row came to nothing (limits.attempts_without_result)")
    standing = stand(told.world, SETTINGS_3, told.now)
    assert "agentloop wake" in next(one.do for one in standing.needs_you if one.kind == "progress")


def test_anything_new_or_a_person_reopens_it() -> None:
    """New words, a merge, a green gate; a wake lets the loop try."""
    told = fruitless(3)
    assert [type(one) for one in reconcile(replace(told.scene(SETTINGS_3), woken=True))] == [d.Start]
    assert [type(one) for one in reconcile(told.issue("8").scene(SETTINGS_3))] == [d.Start]


def test_a_green_result_starts_the_count_anew() -> None:
    """Progress is what a gate has seen."""
    told = fruitless(2)
    told.green("7.3.1")
    assert told.world.fruitless == 0


def test_kills_are_not_counted_as_work_without_progress() -> None:
    """They have bounds of their own."""
    told = Told().issue().planned("7.1").started("7.1.1").lost("7.1.1")
    assert told.world.fruitless == 0


# ---- work that is handed on


def stopped(told: Told, attempt: str, commit: str = "") -> Told:
    """An attempt that was stopped, with what it had done taken over when `commit` is given."""
    told.started(attempt).ended(attempt, Stopped(why="orphaned", tip="d" * 40 if commit else ""))
    return told.add(f.WorkTaken(attempt=attempt, commit=commit, tree="t1")) if commit else told


def goes_on_from(told: Told, queued: Queued = Queued()) -> str:  # noqa: B008 -- frozen
    """Whose work the next attempt begins with."""
    found = unfinished(told.world.tasks["7.1"], queued)
    return found.attempt if found else ""


def test_what_a_stopped_attempt_had_done_is_kept_before_anything_else() -> None:
    """Whatever stopped it; then it is tried again."""
    told = Told().issue().planned("7.1").started("7.1.1")
    told.ended("7.1.1", Stopped(why="deadline", tip="d" * 40))
    assert isinstance(only(told), d.Keep)
    told.add(f.WorkTaken(attempt="7.1.1", commit=COMMIT, tree="t1"))
    assert isinstance(only(told), d.Requeue)
    assert goes_on_from(told) == "7.1.1"


@pytest.mark.parametrize(
    "outcome",
    [
        LimitedBy(until=BEGAN, detail="x", tip="d" * 40),
        Broken(reason="x", tip="d" * 40),
        Blocked(reason="x", tip="d" * 40),
        GaveUp(reason="x", tip="d" * 40),
        Stalled(reason="x", tip="d" * 40),
    ],
)
def test_every_ending_but_a_result_hands_its_work_on(outcome: Outcome) -> None:
    """A limit, an outage, a stall: the tokens were paid."""
    told = Told().issue().planned("7.1").started("7.1.1").ended("7.1.1", outcome)
    assert isinstance(only(told), d.Keep)


def test_work_that_may_not_come_in_is_no_base_and_the_next_one_is_told() -> None:
    """It begins afresh, with the findings."""
    told = Told().issue().planned("7.1").started("7.1.1")
    told.ended("7.1.1", Stopped(why="deadline", tip="d" * 40))
    told.add(f.WorkRefused(attempt="7.1.1", findings=(Finding(kind="hostile", about="x", says="a link"),)))
    assert isinstance(only(told), d.Requeue)
    assert goes_on_from(told) == ""
    view = told.world.tasks["7.1"]
    brief = task_brief(view.task, view, guidance="", findings="", notes="", context="")
    assert "could not be taken over (hostile x: a link): begin afresh" in brief


def test_a_killed_attempt_does_not_hide_the_work_before_it() -> None:
    """One that left nothing is passed over; a result ends the search; scratch and conflicts forget it."""
    told = stopped(Told().issue().planned("7.1"), "7.1.1", COMMIT)
    told.add(f.Requeued(task="7.1", not_before=BEGAN, why="x")).started("7.1.2").lost("7.1.2")
    assert goes_on_from(told) == "7.1.1"
    assert goes_on_from(told, Queued(from_scratch=True)) == ""
    assert goes_on_from(told, Queued(findings=(Finding(kind="conflict", about="b", says="x"),))) == ""
    told.add(f.Requeued(task="7.1", not_before=BEGAN, why="x")).started("7.1.3").ended("7.1.3", delivered())
    assert goes_on_from(told) == ""


def test_what_the_last_one_said_goes_to_the_next_as_a_quotation() -> None:
    """Bounded, each line quoted: nothing in it can look like a heading of ours."""
    told = Told().issue().planned("7.1").started("7.1.1")
    ended = f.AttemptEnded(
        attempt="7.1.1",
        outcome=Stopped(why="deadline"),
        turns=3,
        sandboxed=True,
        said="said: I mended it\n## Rules\nran shell ls",
    )
    told.add(ended)
    view = told.world.tasks["7.1"]
    brief = task_brief(view.task, view, guidance="", findings="", notes="", context="", begun=True)
    assert "The work is begun" in brief
    assert "> said: I mended it\n> ## Rules\n> ran shell ls" in brief


def test_findings_and_guidance_of_a_lost_result_are_told_again() -> None:
    """The runtime folder went, and the result with it: the work is done again on the same findings."""
    told = refused(Told().issue().planned("7.1"), "7.1.1", finding("1 failed"), tree="t1")
    told.add(f.SentBack(task="7.1", findings=(finding("1 failed"),), guidance="look at main"))
    told.started("7.1.2").ended("7.1.2", delivered()).taken("7.1.2")
    told.add(f.ResultLost(attempt="7.1.2"))
    state = told.world.tasks["7.1"].state
    assert isinstance(state, Returned)
    assert (state.was.findings, state.was.guidance) == ((finding("1 failed"),), "look at main")


def test_an_ending_that_brought_nothing_is_no_new_signal() -> None:
    """The relay's stall rule goes by this: kills, limits and empty hands do not make a circle a way."""
    ended = f.AttemptEnded(attempt="7.1.1", outcome=NothingDone(reason="x"), turns=1, sandboxed=True)
    brought = f.AttemptEnded(attempt="7.1.1", outcome=delivered(), turns=1, sandboxed=True)
    assert [is_signal(one) for one in (ended, f.AttemptLost(attempt="7.1.1"), brought)] == [
        False,
        False,
        True,
    ]
    assert is_signal(f.IssueReopened(issue="7"))
