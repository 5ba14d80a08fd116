"""What follows without a model: one test for each rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from agentloop.domain import decisions as d
from agentloop.domain import facts as f
from agentloop.domain.issue import PullCheck
from agentloop.domain.observed import Running
from agentloop.domain.reconcile import GATES_AT_MOST, OVERDUE, reconcile
from agentloop.domain.settings import Limits
from agentloop.domain.work import Blocked, Broken, GaveUp, LimitedBy, NothingDone, Stopped
from agentloop.testing.samples import (
    COMMIT,
    SETTINGS,
    Told,
    delivered,
    finding,
    pull,
    review,
    task,
)

if TYPE_CHECKING:
    from agentloop.domain.scene import Scene
    from agentloop.domain.work import Outcome


def only(scene: Scene) -> d.RuleDecision | d.Publish | d.AnswerReview:
    """The one decision that follows."""
    (found,) = reconcile(scene)
    return found


def ended(outcome: Outcome | None) -> Told:
    """Task 7.1 after its first attempt ended so (None: killed)."""
    told = Told().issue().planned("7.1").started("7.1.1")
    return told.lost("7.1.1") if outcome is None else told.ended("7.1.1", outcome)


def in_review() -> Told:
    """Task 7.1 with its pull request open."""
    return Told().issue().planned("7.1").published("7.1.1")


def test_a_settled_world_decides_nothing() -> None:
    """No task, nothing to do."""
    assert reconcile(Told().scene()) == ()


def test_the_first_task_in_the_queue_is_started() -> None:
    """One at a time, the older one first."""
    assert only(Told().issue().planned("7.1", "7.2").scene()) == d.Start(
        task="7.1", rationale="first in the order of work that may start"
    )


def test_a_delivered_result_is_taken_over() -> None:
    """Whatever the worker claims, its result goes to the gate."""
    assert only(ended(delivered()).scene()) == d.Take(attempt="7.1.1", rationale="it says it is done")


def test_a_result_that_is_here_goes_to_the_gate() -> None:
    """The gate is set on the commit that was taken over."""
    told = ended(delivered()).add(f.ResultTaken(attempt="7.1.1", commit=COMMIT))
    found = only(told.scene())
    assert isinstance(found, d.Judge)
    assert (found.attempt, found.commit) == ("7.1.1", COMMIT)


def test_a_gate_that_broke_three_times_parks_the_task() -> None:
    """It is the machine then, not the change."""
    told = ended(delivered()).add(f.ResultTaken(attempt="7.1.1", commit=COMMIT))
    for number in range(1, GATES_AT_MOST + 1):
        assert isinstance(only(told.scene()), d.Judge)
        told.add(f.GateStarted(attempt="7.1.1", commit=COMMIT, round=number))
        told.add(f.GateLost(attempt="7.1.1", reason="no sandbox"))
    assert isinstance(only(told.scene()), d.Park)


@pytest.mark.parametrize("outcome", [Blocked(reason="no key"), NothingDone(reason="no"), GaveUp(reason="x")])
def test_an_attempt_that_came_to_nothing_waits_for_the_admin(outcome: Outcome) -> None:
    """Only judgement says what to do differently: no retry by itself."""
    assert reconcile(ended(outcome).scene()) == ()


def test_an_attempt_the_admin_declined_twice_parks_the_task_with_the_workers_reason() -> None:
    """It is not shown for ever."""
    told = ended(Blocked(reason="there is no database"))
    for _ in range(2):
        told.add(f.CycleEnded(outcome="acted", fingerprint="x", matters=("returned:7.1.1",)))
    found = only(told.scene())
    assert isinstance(found, d.Park)
    assert "there is no database" in found.rationale


def test_as_many_attempts_as_the_limit_park_the_task() -> None:
    """attempts_per_task verdicts of the attempts' own, and a person is asked."""
    told = Told().issue().planned("7.1")
    for number in range(1, 5):
        told.add(f.SentBack(task="7.1", guidance=f"try {number}")) if number > 1 else None
        told.started(f"7.1.{number}").ended(f"7.1.{number}", GaveUp(reason="again"))
    found = only(told.scene())
    assert isinstance(found, d.Park)
    assert "4 attempts came to nothing" in found.rationale


@pytest.mark.parametrize(
    "outcome", [None, Stopped(why="orphaned"), Stopped(why="deadline"), Broken(reason="no sandbox", fix="x")]
)
def test_a_killed_or_broken_attempt_is_tried_again_later_and_later(outcome: Outcome | None) -> None:
    """The wait doubles; after retries_per_task the task is parked with the reason."""
    told = Told().issue().planned("7.1")
    waits = []
    for number in range(1, 5):
        attempt = f"7.1.{number}"
        told.started(attempt)
        told.lost(attempt) if outcome is None else told.ended(attempt, outcome)
        found = only(told.scene())
        if not isinstance(found, d.Requeue):
            break
        waits.append((found.not_before - told.scene().now).total_seconds())
        told.add(
            f.Requeued(task="7.1", not_before=found.not_before, why=found.rationale, counts=found.counts)
        )
    assert waits == [60, 120, 240]
    assert isinstance(found, d.Park)
    assert "3 retries did not help" in found.rationale


def test_a_providers_limit_is_a_timer_and_counts_as_no_failure() -> None:
    """Again at the reset, as often as it takes."""
    told = Told().issue().planned("7.1")
    for number in range(1, 9):
        until = told.now + timedelta(hours=5)
        told.started(f"7.1.{number}").ended(f"7.1.{number}", LimitedBy(until=until, detail="5 hours"))
        found = only(told.scene())
        assert isinstance(found, d.Requeue)
        assert (found.not_before, found.counts) == (until, False)
        told.add(f.Requeued(task="7.1", not_before=until, why=found.rationale, counts=False))
        told.now = until
    assert told.world.tasks["7.1"].requeues == 0


def test_a_limit_whose_reset_is_over_is_not_hit_again_in_the_same_breath() -> None:
    """Resets flap at their edge: at least the first backoff is waited."""
    told = ended(LimitedBy(until=Told().now, detail="just over"))
    found = only(told.scene())
    assert isinstance(found, d.Requeue)
    assert found.not_before == told.scene().now + timedelta(seconds=60)


def test_a_red_result_goes_back_with_its_findings() -> None:
    """The next attempt is told what was held against this one."""
    told = Told().issue().planned("7.1").started("7.1.1").ended("7.1.1", delivered()).taken("7.1.1")
    found = only(told.judged("7.1.1", finding()).scene())
    assert isinstance(found, d.SendBack)
    assert found.findings == (finding(),)


def test_the_same_finding_twice_is_no_progress_and_parks_the_task() -> None:
    """Other timings and counts in a check's output are the same failure."""
    told = Told().issue().planned("7.1").started("7.1.1").ended("7.1.1", delivered()).taken("7.1.1")
    told.judged("7.1.1", finding("1 failed in 0.31s")).add(
        f.SentBack(task="7.1", findings=(finding("1 failed in 0.31s"),))
    )
    told.started("7.1.2").ended("7.1.2", delivered()).taken("7.1.2")
    found = only(told.judged("7.1.2", finding("1 failed in 2.07s")).scene())
    assert isinstance(found, d.Park)
    assert "no progress" in found.rationale


def test_what_was_accepted_is_published() -> None:
    """Without a further word of the admin's."""
    told = Told().issue().planned("7.1").accepted("7.1.1")
    assert isinstance(only(told.scene()), d.Publish)


def test_a_green_result_waits_for_the_admins_review() -> None:
    """A green gate alone publishes nothing."""
    assert reconcile(Told().issue().planned("7.1").green("7.1.1").scene()) == ()


def test_an_open_pull_request_without_a_word_is_left_alone() -> None:
    """Approvals, comments and our own words are no objection; nor is what untrusted people request."""
    said = (
        review("r1", verdict="approved"),
        review("r2", verdict="commented"),
        review("r3", ours=True),
        review("r4", trusted=False),
    )
    checks = (PullCheck(name="ci", state="pending"), PullCheck(name="lint", state="passed"))
    assert reconcile(in_review().scene(pulls=(pull(reviews=said, checks=checks),))) == ()


def test_changes_requested_send_the_task_back_once() -> None:
    """With the reviewer's words; the same review is not heard again."""
    told = in_review()
    asked = pull(reviews=(review(),))
    found = only(told.scene(pulls=(asked,)))
    assert isinstance(found, d.SendBack)
    assert [(one.kind, one.about, one.says) for one in found.findings] == [
        ("review", "ana", "name the operator")
    ]
    assert found.heard == ("r1",)
    told.add(f.SentBack(task="7.1", findings=found.findings, heard=found.heard))
    told.published("7.1.2", commit="d" * 40)
    assert reconcile(told.scene(pulls=(replace(asked, head="d" * 40),))) == ()


def test_the_same_words_in_a_new_review_are_a_new_request() -> None:
    """A person who repeats "still broken" is heard each time; no attempt is refused as having nothing new."""
    told = in_review()
    reviews = []
    for number in range(1, 4):
        reviews.append(review(f"r{number}", "still broken"))
        commit = told.world.tasks["7.1"].head
        found = only(told.scene(pulls=(pull(reviews=tuple(reviews), head=commit),)))
        assert isinstance(found, d.SendBack)
        told.add(f.SentBack(task="7.1", findings=found.findings, heard=found.heard))
        assert isinstance(only(told.scene()), d.Start)
        told.published(f"7.1.{number + 1}", commit=f"{number}" * 40)


def test_reviews_allow_further_attempts_beyond_the_limit() -> None:
    """Four rounds of review use up no attempts: a red gate in the fifth is tried again, not parked."""
    told = in_review()
    for number in range(1, 5):
        told.add(f.SentBack(task="7.1", findings=(finding(f"round {number}", "ana"),), heard=(f"r{number}",)))
        told.published(f"7.1.{number + 1}", commit=f"{number}" * 40)
    told.add(f.SentBack(task="7.1", findings=(finding("round five", "ana"),), heard=("r5",)))
    told.started("7.1.6").ended("7.1.6", delivered()).taken("7.1.6").judged("7.1.6", finding("red"))
    assert isinstance(only(told.scene()), d.SendBack)


def test_a_failed_check_of_the_forge_is_heard_once_for_each_head() -> None:
    """Only of the head as it is; the next head's failure is another."""
    told = in_review()
    stale = PullCheck(name="old", state="failed", summary="x", commit="f" * 40)
    failed = PullCheck(name="ci", state="failed", summary="3 failed", commit=COMMIT)
    found = only(told.scene(pulls=(pull(checks=(stale, failed)),)))
    assert isinstance(found, d.SendBack)
    assert found.heard == (f"check:ci:{COMMIT}",)
    assert [one.about for one in found.findings] == ["ci"]


def test_checks_that_fail_on_every_head_do_not_go_on_for_ever() -> None:
    """Each failure differs, and still the limit of attempts holds: a machine's word allows no further one."""
    told = in_review()
    for number in range(1, 9):
        head = told.world.tasks["7.1"].head
        failed = PullCheck(name="ci", state="failed", summary="abcdefgh"[number - 1] * 9, commit=head)
        found = only(told.scene(pulls=(pull(head=head, checks=(failed,)),)))
        if isinstance(found, d.Park):
            break
        assert isinstance(found, d.SendBack)
        told.add(f.SentBack(task="7.1", findings=found.findings, heard=found.heard))
        told.published(f"7.1.{number + 1}", commit=f"{number}" * 40)
    assert isinstance(found, d.Park)
    assert told.world.tasks["7.1"].verdicts == SETTINGS.limits.attempts_per_task


def test_a_conflict_is_heard_once() -> None:
    """It says to do the work again on the newer base; the head it was seen on is remembered."""
    told = in_review()
    clash = pull(mergeable=False)
    found = only(told.scene(pulls=(clash,)))
    assert isinstance(found, d.SendBack)
    assert [one.kind for one in found.findings] == ["conflict"]
    told.add(f.SentBack(task="7.1", findings=found.findings, heard=found.heard))
    told.published("7.1.2")
    assert reconcile(told.scene(pulls=(clash,))) == ()


def test_a_person_who_pushed_has_the_branch() -> None:
    """Hands off, said once, and reviews are not acted on any more."""
    told = in_review()
    pushed = pull(head="9" * 40, reviews=(review(),))
    found = only(told.scene(pulls=(pushed,)))
    assert isinstance(found, d.LetGo)
    told.add(f.HandsOff(task="7.1", pull="1", head="9" * 40))
    assert reconcile(told.scene(pulls=(pushed,))) == ()


def test_an_older_head_of_ours_in_a_list_that_lags_is_no_push_of_a_persons() -> None:
    """The list shows the pull request as it stood before our second attempt was pushed."""
    told = in_review().add(f.SentBack(task="7.1", findings=(finding(),), heard=("r1",)))
    told.published("7.1.2", commit="2" * 40)
    assert reconcile(told.scene(pulls=(pull(head=COMMIT),))) == ()
    assert isinstance(only(told.scene(pulls=(pull(head="9" * 40),))), d.LetGo)


def test_a_merged_pull_request_finishes_its_task_whatever_it_was_doing() -> None:
    """In review, at work on changes, parked, or theirs."""
    merged = pull(state="merged", merge_commit="a" * 40)
    back = f.SentBack(task="7.1", findings=(finding(),), heard=("r1",))
    for told in (
        in_review(),
        in_review().add(f.HandsOff(task="7.1", pull="1", head="9" * 40)),
        in_review().add(f.Parked(task="7.1", reason="x")),
        in_review().add(back).started("7.1.2"),
    ):
        found = only(told.scene(pulls=(merged,)))
        assert found == d.AcceptMerge(task="7.1", pull="1", commit="a" * 40, rationale="a person merged it")


def test_a_pull_request_closed_unmerged_drops_its_task() -> None:
    """It is not opened again."""
    assert isinstance(only(in_review().scene(pulls=(pull(state="closed"),))), d.Drop)


def test_an_issue_closed_by_a_person_drops_its_tasks() -> None:
    """Queued, at work or parked."""
    told = Told().issue().planned("7.1", "7.2", "7.3").started("7.1.1")
    told.add(f.Parked(task="7.3", reason="x")).add(f.IssueClosed(issue="7", by="person"))
    found = reconcile(told.scene())
    assert [(type(one), getattr(one, "task", "")) for one in found] == [
        (d.Drop, "7.1"),
        (d.Drop, "7.2"),
        (d.Drop, "7.3"),
    ]


def test_a_dependency_is_satisfied_when_it_is_merged_and_not_before() -> None:
    """Green, accepted and in review are not enough."""
    told = Told().issue().planned(task("7.1"), task("7.2", "7.1")).published("7.1.1")
    assert reconcile(told.scene(pulls=(pull(),))) == ()
    told.add(f.Merged(task="7.1", pull="1", commit="a" * 40))
    assert only(told.scene()) == d.Start(task="7.2", rationale="first in the order of work that may start")


def test_a_note_satisfies_what_needs_the_research() -> None:
    """Research ends in a note, not in a merge."""
    told = Told().issue().planned(task("7.1", kind="research"), task("7.2", "7.1"))
    told.started("7.1.1").ended("7.1.1", delivered())
    told.add(f.NoteTaken(attempt="7.1.1", task="7.1", path="memories/notes/7.1.md"))
    assert isinstance(only(told.scene()), d.Start)


def test_a_task_whose_dependency_is_dropped_is_dropped_with_it() -> None:
    """And says which one it needed."""
    told = Told().issue().planned(task("7.1"), task("7.2", "7.1")).add(f.Cancelled(task="7.1", reason="no"))
    found = only(told.scene())
    assert isinstance(found, d.Drop)
    assert "7.1" in found.rationale


def test_an_issue_whose_tasks_are_all_in_is_concluded() -> None:
    """Merged, noted or dropped, at least one of them in."""
    told = Told().issue().planned("7.1", "7.2").published("7.1.1")
    told.add(f.Merged(task="7.1", pull="1", commit="a" * 40)).add(f.Cancelled(task="7.2", reason="x"))
    assert isinstance(only(told.scene()), d.Conclude)


def test_an_issue_whose_tasks_were_all_dropped_is_parked_not_closed() -> None:
    """Nothing was done: that is no conclusion."""
    told = Told().issue().planned("7.1").add(f.Cancelled(task="7.1", reason="not needed"))
    found = only(told.scene())
    assert isinstance(found, d.ParkIssue)
    assert "not needed" in found.rationale


def test_an_issue_with_words_that_nobody_answered_is_not_concluded() -> None:
    """A comment that came with the merge is looked at first."""
    told = Told().issue().planned("7.1").published("7.1.1")
    told.add(f.Merged(task="7.1", pull="1", commit="a" * 40)).issue(body="And what about modulo?")
    assert reconcile(told.scene()) == ()


def test_an_issue_that_is_not_there_any_more_is_not_concluded_over_and_over() -> None:
    """Its file was deleted, or the tracker cannot be read: there is nothing to say it on."""
    told = Told().issue().planned("7.1").published("7.1.1")
    told.add(f.Merged(task="7.1", pull="1", commit="a" * 40))
    assert reconcile(told.scene(issues=())) == ()


def test_an_issue_that_was_asked_about_and_answered_goes_on_with_its_tasks() -> None:
    """A question in the middle of the work does not take the issue out of work."""
    told = Told().issue().planned("7.1")
    told.issue(body="or rather not?").add(
        f.Asked(issue="7", question="Which?", choices=("a", "b"), evidence=told.world.issues["7"].evidence)
    )
    told.issue(body="a").add(f.Answered(issue="7", evidence=told.world.issues["7"].evidence))
    told.published("7.1.1").add(f.Merged(task="7.1", pull="1", commit="a" * 40))
    assert isinstance(only(told.scene()), d.Conclude)


def test_an_answer_on_an_issue_whose_tasks_were_dropped_does_not_park_it_again() -> None:
    """A person was told once why nothing comes of it; what they say then is answered, and that is all."""
    told = Told().issue().planned("7.1").add(f.Cancelled(task="7.1", reason="not needed"))
    told.add(f.IssueParked(issue="7", reason="dropped", evidence=told.world.issues["7"].evidence))
    told.issue(body="thanks").add(f.Answered(issue="7", evidence=told.world.issues["7"].evidence))
    assert reconcile(told.scene()) == ()


def test_an_issue_declined_twice_is_parked_with_what_the_last_decision_was_refused_for() -> None:
    """A person is told why nothing happens."""
    told = Told().issue()
    matter = f"issue:7:{told.world.issues['7'].evidence}"
    plan = d.Plan(issue="7", tasks=(), rationale="x")
    told.add(f.Refused(by="admin", decision=plan, why="the plan has no tasks"))
    for _ in range(2):
        told.add(f.CycleEnded(outcome="acted", fingerprint="x", matters=(matter,)))
    found = only(told.scene())
    assert isinstance(found, d.ParkIssue)
    assert "the plan has no tasks" in found.rationale


def test_an_issue_the_admin_failed_on_three_times_is_parked() -> None:
    """Rubbish for ever is not asked for for ever."""
    told = Told().issue()
    matter = f"issue:7:{told.world.issues['7'].evidence}"
    for number in range(3):
        assert (number, reconcile(told.scene())) == (number, ())
        told.add(f.CycleEnded(outcome="failed", fingerprint="x", matters=(matter,)))
    assert isinstance(only(told.scene()), d.ParkIssue)


def test_an_issue_opened_again_on_the_same_words_is_a_new_matter() -> None:
    """What was counted before does not park it."""
    told = Told().issue()
    matter = f"issue:7:{told.world.issues['7'].evidence}"
    for _ in range(2):
        told.add(f.CycleEnded(outcome="acted", fingerprint="x", matters=(matter,)))
    told.add(f.IssueClosed(issue="7", by="person")).add(f.IssueReopened(issue="7"))
    assert reconcile(told.scene()) == ()


def test_an_attempt_that_runs_on_beyond_its_deadline_is_ended() -> None:
    """Its harness hangs, or the machine slept: nobody waits for ever."""
    told = Told().issue().planned("7.1").started("7.1.1")
    deadline = told.world.tasks["7.1"].tries[0].deadline
    running = Running(attempt="7.1.1", role="attempt", beat_at=deadline)
    assert reconcile(told.scene(seen=(running,), now=deadline + OVERDUE)) == ()
    found = only(told.scene(seen=(running,), now=deadline + OVERDUE + timedelta(seconds=1)))
    assert isinstance(found, d.Halt)
    assert reconcile(told.scene(now=deadline + timedelta(days=2))) == ()


def test_an_attempt_is_ended_when_a_limit_was_lowered_below_what_is_spent() -> None:
    """Within the limits that it was started under, it never is: its slice was set aside."""
    told = Told().issue().planned("7.1").started("7.1.1")
    running = Running(attempt="7.1.1", role="attempt", beat_at=told.now, spent_micros=2_000_000)
    assert reconcile(told.scene(replace(SETTINGS, limits=Limits(day_usd=2)), seen=(running,))) == ()
    found = only(told.scene(replace(SETTINGS, limits=Limits(day_usd=1)), seen=(running,)))
    assert isinstance(found, d.Halt)
    assert "limits.day_usd" in found.rationale


def test_a_gate_that_runs_on_beyond_its_time_is_ended() -> None:
    """As long as its checks may take, and some to spare."""
    told = Told().issue().planned("7.1").started("7.1.1").ended("7.1.1", delivered()).taken("7.1.1")
    running = Running(attempt="7.1.1", role="gate", beat_at=told.now)
    assert reconcile(told.scene(seen=(running,), now=told.now + timedelta(minutes=30))) == ()
    found = only(told.scene(seen=(running,), now=told.now + timedelta(minutes=41)))
    assert isinstance(found, d.Halt)


def test_no_more_attempts_start_than_may_run_at_once() -> None:
    """The second of two waits."""
    settings = replace(SETTINGS, limits=Limits(attempts_at_once=1))
    told = Told().issue().planned("7.1", "7.2").started("7.1.1")
    assert reconcile(told.scene(settings)) == ()


def test_a_queued_task_that_could_not_be_started_too_often_is_parked() -> None:
    """Its target cannot be used: the reason is said, and it does not stay for ever."""
    told = Told().issue().planned("7.1")
    for _ in range(4):
        told.add(f.Requeued(task="7.1", not_before=told.now, why="the repository has no commits"))
    found = only(told.scene())
    assert isinstance(found, d.Park)
    assert found.rationale == "the repository has no commits"
