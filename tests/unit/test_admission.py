"""Whether a decision is allowed now: what is refused says why, and nothing that matters passes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.domain import decisions as d
from agentloop.domain import facts as f
from agentloop.domain.admission import refusal
from agentloop.domain.observed import Ground
from agentloop.domain.work import Blocked, Check
from agentloop.testing.samples import BEGAN, COMMIT, Told, delivered, finding, verdict

if TYPE_CHECKING:
    from agentloop.domain.scene import Scene

GROUND = Ground(
    target="calc", branch="main", commit="a" * 40, paths=frozenset({"a.py"}), programs=frozenset({"python"})
)
TASK = d.PlannedTask(
    title="Say that one cannot divide by zero",
    goal="Dividing by zero prints one sentence and ends with status 2.",
    criteria=("a sentence and no traceback",),
    checks=(Check(name="tests", command="python -m pytest -q"),),
)
PLAN = d.Plan(issue="7", tasks=(TASK,), rationale="r")
ASK = d.Ask(issue="7", question="Which?", choices=("a", "b"), rationale="r")
ANSWER = d.Answer(issue="7", text="No.", rationale="r")


def why(decision: d.Decision, told: Told) -> str | None:
    """Why it is refused."""
    return refusal(decision, replace(told.scene(), grounds={"calc": GROUND}))


@pytest.mark.parametrize("decision", [PLAN, ASK, ANSWER])
def test_new_words_may_be_planned_asked_about_or_answered_and_only_once(decision: d.Decision) -> None:
    """The same words again are refused; new words open it again."""
    told = Told().issue()
    assert why(decision, told) is None
    told.add(f.Answered(issue="7", evidence=told.world.issues["7"].evidence))
    assert "was decided on already" in (why(decision, told) or "")
    assert why(decision, told.issue(body="in other words")) is None


@pytest.mark.parametrize("decision", [PLAN, ASK, ANSWER])
def test_an_issue_that_is_closed_or_not_a_trusted_persons_is_left_alone(decision: d.Decision) -> None:
    """An issue that was never seen does not exist."""
    assert why(decision, Told().issue("8")) == "there is no issue '7' that a trusted person wrote"
    closed = Told().issue().add(f.IssueClosed(issue="7", by="person"))
    assert why(decision, closed) == "issue 7 is closed"


@pytest.mark.parametrize(
    ("decision", "says"),
    [
        (replace(ASK, question=" "), "a question has 1 to 4000 characters"),
        (replace(ASK, question="x" * 4001), "a question has 1 to 4000 characters"),
        (replace(ASK, choices=("a",)), "a question needs 2 to 4 choices"),
        (replace(ASK, choices=("a",) * 5), "a question needs 2 to 4 choices"),
        (replace(ANSWER, text=""), "an answer has 1 to 4000 characters"),
        (replace(PLAN, tasks=()), "the plan has no tasks"),
        (replace(PLAN, tasks=(replace(TASK, goal="better"),)), "its goal is too vague"),
        (d.Hibernate(until=(), rationale="r"), "needs at least one thing that ends it"),
        (d.Hibernate(until=(d.Wake(on="time", which="soon"),), rationale="r"), "'soon' is no moment"),
        (d.Hibernate(until=(d.Wake(on="time"),), rationale="r"), "'' is no moment"),
        (
            d.Hibernate(until=(d.Wake(on="time", which="2026-11-01T00:00:00Z"),), rationale="r"),
            "2026-11-01T00:00:00Z is over",
        ),
        (d.Assign(task="7.9", rationale="r"), "there is no task '7.9'"),
        (d.Retry(task="7.9", guidance="g", rationale="r"), "there is no task '7.9'"),
        (d.Cancel(task="7.9", rationale="r"), "there is no task '7.9'"),
        (d.Publish(task="7.9", rationale="r"), "task '7.9' has no accepted result"),
        (
            d.Review(attempt="7.9.1", accept=True, says="x", rationale="r"),
            "is not green and waiting for a review",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_reason(decision: d.Decision, says: str) -> None:
    """In one sentence that is shown to the admin."""
    assert says in (why(decision, Told().issue()) or "")


def test_a_target_that_is_not_there_or_was_not_looked_at_gets_no_plan() -> None:
    """The issue names it."""
    assert "names target 'nowhere'" in (why(PLAN, Told().issue(target="nowhere")) or "")
    assert refusal(PLAN, Told().issue().scene()) == "target 'calc' could not be looked at"


def test_sleep_and_a_hibernation_that_ends_are_always_allowed() -> None:
    """Whatever runs: the policy decides how long it is."""
    assert why(d.Sleep(rationale="r"), Told()) is None
    later = d.Wake(on="time", which="2026-12-01T00:00:00Z")
    assert why(d.Hibernate(until=(later, d.Wake(on="issue")), rationale="r"), Told()) is None


PUBLISH = d.Publish(task="7.1", rationale="r")


def test_publishing_needs_a_green_verdict_on_that_very_commit() -> None:
    """Accepted is not enough when the evidence is of another commit, red, or missing."""
    told = Told().issue().planned("7.1").accepted("7.1.1")
    assert why(PUBLISH, told) is None
    for other in (verdict("7.1.1", commit="f" * 40), verdict("7.1.1", finding()), None):
        told.world.verdicts.pop("7.1.1", None)
        if other is not None:
            told.world.verdicts["7.1.1"] = other
        assert why(PUBLISH, told) == f"there is no green verdict on commit {COMMIT[:10]}"


def test_what_was_not_accepted_is_not_published() -> None:
    """Green alone is the gate's word, not the admin's."""
    assert why(PUBLISH, Told().issue().planned("7.1").green("7.1.1")) == "task '7.1' has no accepted result"


def test_a_review_is_of_the_attempt_that_is_green() -> None:
    """Not of an earlier one; a rejection says what is wrong."""
    told = Told().issue().planned("7.1").green("7.1.1")
    review = d.Review(attempt="7.1.1", accept=True, says="", rationale="r")
    assert why(review, told) is None
    assert why(replace(review, attempt="7.1.2"), told) is not None
    assert why(replace(review, accept=False), told) == "a rejection must say what is wrong"


def test_a_retry_needs_new_guidance_and_something_to_retry() -> None:
    """Not while it works, not what was just delivered, not what was tried already, not for ever."""
    retry = d.Retry(task="7.1", guidance="use sqlite", rationale="r")
    told = Told().issue().planned("7.1")
    assert "has nothing to retry: it is queued" in (why(retry, told) or "")
    told.started("7.1.1")
    assert "has nothing to retry: it is working" in (why(retry, told) or "")
    told.ended("7.1.1", Blocked(reason="x"))
    assert why(retry, told) is None
    assert why(replace(retry, guidance=" "), told) == "a retry needs new guidance"
    told.add(f.SentBack(task="7.1", guidance="use sqlite")).started("7.1.2").ended(
        "7.1.2", Blocked(reason="x")
    )
    assert why(retry, told) == "the same guidance was tried already"
    assert why(replace(retry, from_scratch=True), told) is None
    for number in (3, 4):
        told.add(f.SentBack(task="7.1", guidance=f"g{number}"))
        told.started(f"7.1.{number}").ended(f"7.1.{number}", Blocked(reason="x"))
    assert "had 4 attempts (limits.attempts_per_task): ask or cancel" in (
        why(replace(retry, guidance="something new"), told) or ""
    )
    fresh = Told().issue().planned("7.1").started("7.1.1").ended("7.1.1", delivered())
    assert "its gate comes first" in (why(retry, fresh) or "")


def test_a_task_that_is_over_is_neither_cancelled_nor_parked() -> None:
    """It is what it is."""
    told = Told().issue().planned("7.1").published("7.1.1")
    told.add(f.Merged(task="7.1", pull="1", commit="m"))
    for decision in (d.Cancel(task="7.1", rationale="r"), d.Park(task="7.1", rationale="r")):
        assert why(decision, told) == "task 7.1 is over"


def test_what_is_held_back_may_not_be_assigned_either() -> None:
    """The admin cannot step over a dependency, a limit or a person's hold."""
    told = Told().issue().planned("7.1").add(f.LimitReached(until=BEGAN.replace(hour=23), detail="d"))
    assert "the provider's limit lasts" in (
        why(d.Assign(task="7.1", guidance="g", rationale="r"), told) or ""
    )


def test_hands_off_is_hands_off() -> None:
    """Nothing is sent back on a branch that is a person's now."""
    told = Told().issue().planned("7.1").published("7.1.1").add(f.HandsOff(task="7.1", pull="1", head="h"))
    back = d.SendBack(task="7.1", findings=(finding(),), rationale="r")
    assert why(back, told) == "a person pushed to the branch of task 7.1: hands off"


STEPS: list[f.Fact] = [
    f.AttemptLost(attempt="7.1.1"),
    f.AttemptEnded(attempt="7.1.1", outcome=delivered(), turns=1, sandboxed=True),
    f.ResultTaken(attempt="7.1.1", commit=COMMIT),
    f.Judged(verdict=verdict("7.1.1")),
    f.Judged(verdict=verdict("7.1.1", finding())),
    f.Reviewed(attempt="7.1.1", accepted=True, says="x"),
    f.Parked(task="7.1", reason="x"),
    f.Cancelled(task="7.1", reason="x"),
    f.Merged(task="7.1", pull="1", commit="m"),
    f.SentBack(task="7.1", guidance="g"),
]
DECISIONS: list[d.Decision] = [
    PLAN,
    ASK,
    ANSWER,
    PUBLISH,
    d.Assign(task="7.1", rationale="r"),
    d.Review(attempt="7.1.1", accept=True, says="x", rationale="r"),
    d.Retry(task="7.1", guidance="h", rationale="r"),
    d.Cancel(task="7.1", rationale="r"),
    d.Start(task="7.1", rationale="r"),
    d.Take(attempt="7.1.1", rationale="r"),
    d.Judge(attempt="7.1.1", commit=COMMIT, rationale="r"),
    d.Halt(attempt="7.1.1", rationale="r"),
    d.SendBack(task="7.1", findings=(), rationale="r"),
    d.Requeue(task="7.1", not_before=BEGAN, rationale="r"),
    d.LetGo(task="7.1", pull="1", head="h", rationale="r"),
    d.Drop(task="7.1", rationale="r"),
    d.Conclude(issue="7", rationale="r"),
    d.ParkIssue(issue="7", rationale="r"),
]


@given(st.lists(st.sampled_from(STEPS), max_size=8), st.sampled_from(DECISIONS))
def test_admission_is_total_and_publishing_never_passes_without_evidence(
    steps: list[f.Fact], decision: d.Decision
) -> None:
    """In whatever state: None or a sentence; and what may be published is green on its commit."""
    told = Told().issue().planned("7.1").started("7.1.1")
    for step in steps:
        told.add(step)
    scene: Scene = replace(told.scene(), grounds={"calc": GROUND})
    found = refusal(decision, scene)
    assert found is None or found.strip()
    if isinstance(decision, d.Publish) and found is None:
        assert told.world.verdicts["7.1.1"].green
        assert f.Reviewed(attempt="7.1.1", accepted=True, says="x") in steps
