"""Task states: the table of transitions, and that no sequence of facts can break it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.domain import facts as f
from agentloop.domain import states as s
from agentloop.domain.effects import Say
from agentloop.domain.work import (
    Blocked,
    Broken,
    GaveUp,
    LimitedBy,
    NothingDone,
    Stopped,
)
from agentloop.testing.samples import BEGAN, COMMIT, delivered, finding, task, verdict

if TYPE_CHECKING:
    from agentloop.domain.work import Outcome

A, B = "7.1.1", "7.1.2"
OTHER = "9" * 40
WAS = s.Queued(guidance="look at main")

STATES: dict[str, s.TaskState] = {
    "queued": WAS,
    "working": s.Working(attempt=A, since=BEGAN, was=WAS),
    "returned": s.Returned(attempt=A, outcome=delivered(), was=WAS),
    "judging": s.Judging(attempt=A, commit=COMMIT, started=True),
    "red": s.Red(attempt=A, findings=(finding(),)),
    "green": s.Green(attempt=A, commit=COMMIT),
    "accepted": s.Accepted(attempt=A, commit=COMMIT, says="good"),
    "in review": s.InReview(attempt=A, pull="1", commit=COMMIT),
    "parked": s.Parked(reason="stuck"),
    "merged": s.Merged(pull="1", commit=COMMIT),
    "noted": s.Noted(path="memories/notes/7.1.md"),
    "cancelled": s.Cancelled(reason="no"),
}


def started(attempt: str = A) -> f.AttemptStarted:
    """The start of an attempt."""
    return f.AttemptStarted(
        attempt=attempt,
        task="7.1",
        base="b" * 40,
        parents=("b" * 40,),
        branch="agentloop/7.1-say",
        base_branch="main",
        evidence="e",
        slice_micros=1,
        deadline=BEGAN + timedelta(hours=1),
    )


def ended(attempt: str = A, outcome: Outcome | None = None) -> f.AttemptEnded:
    """The end of an attempt."""
    return f.AttemptEnded(attempt=attempt, outcome=outcome or delivered(), turns=1, sandboxed=True)


LATER = BEGAN + timedelta(minutes=5)
BACK = f.SentBack(task="7.1", findings=(finding(),), guidance="g", from_scratch=True)
QUEUED_AGAIN = s.Queued(findings=(finding(),), guidance="g", from_scratch=True)

MOVES: list[tuple[str, f.Fact, s.TaskState]] = [
    ("queued", started(), s.Working(attempt=A, since=LATER, was=WAS)),
    (
        "queued",
        f.Requeued(task="7.1", not_before=LATER, why="no target"),
        s.Queued(guidance="look at main", not_before=LATER, why="no target"),
    ),
    ("working", ended(), s.Returned(attempt=A, outcome=delivered(), was=WAS)),
    ("working", f.AttemptLost(attempt=A), s.Returned(attempt=A, outcome=None, was=WAS)),
    (
        "returned",
        f.Requeued(task="7.1", not_before=LATER, why="killed"),
        s.Queued(guidance="look at main", not_before=LATER, why="killed"),
    ),
    ("returned", f.ResultTaken(attempt=A, commit=COMMIT), s.Judging(attempt=A, commit=COMMIT)),
    ("returned", f.ResultRejected(attempt=A, findings=(finding(),)), s.Red(attempt=A, findings=(finding(),))),
    ("returned", f.NoteTaken(attempt=A, task="7.1", path="n.md"), s.Noted(path="n.md")),
    (
        "judging",
        f.GateLost(attempt=A, reason="killed"),
        s.Judging(attempt=A, commit=COMMIT, round=2, started=False),
    ),
    ("judging", f.Judged(verdict=verdict(A)), s.Green(attempt=A, commit=COMMIT)),
    ("judging", f.Judged(verdict=verdict(A, finding())), s.Red(attempt=A, findings=(finding(),))),
    (
        "green",
        f.Reviewed(attempt=A, accepted=True, says="good"),
        s.Accepted(attempt=A, commit=COMMIT, says="good"),
    ),
    (
        "accepted",
        f.Published(task="7.1", attempt=A, pull="1", branch="b", commit=COMMIT),
        s.InReview(attempt=A, pull="1", commit=COMMIT),
    ),
    (
        "in review",
        f.HandsOff(task="7.1", pull="1", head=OTHER),
        s.InReview(attempt=A, pull="1", commit=COMMIT, theirs=True),
    ),
    *[(name, BACK, QUEUED_AGAIN) for name in ("queued", "returned", "red", "green", "in review", "parked")],
]


@pytest.mark.parametrize(("name", "fact", "expected"), MOVES)
def test_a_fact_that_fits_moves_the_task(name: str, fact: f.Fact, expected: s.TaskState) -> None:
    """The table of transitions, one row a case."""
    assert s.after(STATES[name], fact, LATER) == expected


@pytest.mark.parametrize("name", STATES)
def test_a_merge_is_believed_whatever_we_thought(name: str) -> None:
    """A person merged it: that is so."""
    merged = f.Merged(task="7.1", pull="1", commit=OTHER)
    assert s.after(STATES[name], merged, LATER) == s.Merged(pull="1", commit=OTHER)


@pytest.mark.parametrize("name", STATES)
def test_parking_and_cancelling_move_all_that_is_not_over(name: str) -> None:
    """What is merged, noted or dropped stays so."""
    state = STATES[name]
    parked = s.after(state, f.Parked(task="7.1", reason="r"), LATER)
    dropped = s.after(state, f.Cancelled(task="7.1", reason="r"), LATER)
    if s.over(state):
        assert (parked, dropped) == (state, state)
    else:
        assert isinstance(parked, s.Parked)
        assert (parked.reason, dropped) == ("r", s.Cancelled(reason="r"))


OF_ONE_ATTEMPT: list[f.Fact] = [
    ended(B),
    f.AttemptLost(attempt=B),
    f.ResultTaken(attempt=B, commit=COMMIT),
    f.ResultRejected(attempt=B, findings=(finding(),)),
    f.NoteTaken(attempt=B, task="7.1", path="n.md"),
    f.GateStarted(attempt=B, commit=COMMIT),
    f.GateLost(attempt=B, reason="x"),
    f.Judged(verdict=verdict(B)),
    f.Reviewed(attempt=B, accepted=True, says="x"),
    f.Published(task="7.1", attempt=B, pull="1", branch="b", commit=COMMIT),
]


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("fact", OF_ONE_ATTEMPT, ids=lambda fact: type(fact).__name__)
def test_what_a_stale_process_reports_moves_nothing(name: str, fact: f.Fact) -> None:
    """A fact about another attempt than the one at hand leaves every state as it is."""
    assert s.after(STATES[name], fact, LATER) is STATES[name]


def test_a_verdict_on_another_commit_moves_nothing() -> None:
    """Evidence is bound to the commit."""
    stale = f.Judged(verdict=verdict(A, commit=OTHER))
    assert s.after(STATES["judging"], stale, LATER) is STATES["judging"]


ALLOWED = {(name, type(fact)) for name, fact, _ in MOVES} | {
    ("accepted", f.SentBack),
    ("judging", f.GateStarted),
    *((name, kind) for name in STATES for kind in (f.Merged, f.Parked, f.Cancelled)),
}
EVERY: list[f.Fact] = [
    *(fact for _, fact, _ in MOVES),
    f.GateStarted(attempt=A, commit=COMMIT, round=3),
    f.CycleBegan(version="1"),
    f.IssueSeen(issue="7", title="t", target="", priority="high", evidence="e"),
    f.Reserved(purse="attempt:7.1.1", micros=1),
    f.Settled(purse="attempt:7.1.1", micros=1),
    f.EffectIntended(op="o", effect=Say(issue="7", body="b")),
    f.EffectDone(op="o", result="r"),
    f.LimitReached(until=LATER, detail="d"),
]


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("fact", EVERY, ids=lambda fact: type(fact).__name__)
def test_no_other_fact_moves_a_task(name: str, fact: f.Fact) -> None:
    """What the table does not name leaves the state as it is."""
    if (name, type(fact)) not in ALLOWED:
        assert s.after(STATES[name], fact, LATER) is STATES[name]


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (delivered(), True),
        (Blocked(reason="r"), True),
        (NothingDone(reason="r"), True),
        (GaveUp(reason="r"), True),
        (Stopped(why="budget"), False),
        (LimitedBy(until=BEGAN, detail="d"), False),
        (Broken(reason="r"), False),
        (None, False),
    ],
)
def test_only_an_attempts_own_verdict_uses_up_its_evidence(outcome: Outcome | None, expected: bool) -> None:  # noqa: FBT001 - a row
    """Kills, limits and failures of the machinery do not."""
    assert s.own_verdict(outcome) is expected


def test_only_what_is_in_satisfies_a_dependency() -> None:
    """Merged, or noted; neither green, nor accepted, nor in review, nor dropped."""
    assert [name for name, state in STATES.items() if s.finished(state)] == ["merged", "noted"]
    assert [name for name, state in STATES.items() if s.over(state)] == ["merged", "noted", "cancelled"]


FACTS = st.sampled_from(
    [*EVERY, *OF_ONE_ATTEMPT, BACK, started(B), f.Merged(task="7.1", pull="1", commit="m")]
)


@given(st.sampled_from(sorted(STATES)), st.lists(FACTS, max_size=30))
def test_no_sequence_of_facts_raises_or_leaves_the_union(name: str, facts: list[f.Fact]) -> None:
    """A fold never fails, and what is over is over: only a merge can still be learnt."""
    state = STATES[name]
    for fact in facts:
        before, state = state, s.after(state, fact, LATER)
        assert isinstance(state, get_args(s.TaskState))
        if s.over(before) and state is not before:
            assert isinstance(fact, f.Merged)


@given(st.lists(FACTS, max_size=30))
def test_only_a_green_verdict_and_a_yes_lead_to_publishing(facts: list[f.Fact]) -> None:
    """Nothing is accepted without a green verdict on its commit and a review that accepts it."""
    state: s.TaskState = s.Queued()
    seen: list[f.Fact] = []
    for fact in facts:
        state = s.after(state, fact, LATER)
        seen.append(fact)
        if isinstance(state, s.Accepted):
            assert f.Judged(verdict=verdict(state.attempt, commit=state.commit)) in seen
            assert any(isinstance(one, f.Reviewed) and one.accepted for one in seen)


def test_a_view_knows_its_reviews_from_what_machines_said() -> None:
    """Only a person's words allow a further attempt."""
    view = s.TaskView(task=task(), state=WAS, since=BEGAN, heard=("r1", "check:ci:abc", "conflict:abc", "r2"))
    assert view.reviewed == ("r1", "r2")


def test_a_green_verdict_has_no_findings_and_no_failed_check() -> None:
    """Either makes it red."""
    red = verdict(A, finding())
    assert [verdict(A).green, red.green] == [True, False]
