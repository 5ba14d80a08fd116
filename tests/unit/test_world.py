"""The fold over the journal: money, what is live, and that nothing it may hold can break it."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.domain import decisions as d
from agentloop.domain import facts as f
from agentloop.domain import states as s
from agentloop.domain.codec import decode, encode
from agentloop.domain.effects import Say
from agentloop.domain.facts import Entry
from agentloop.domain.shares import Share
from agentloop.domain.work import Broken
from agentloop.domain.world import Closed, Fresh, InWork, Settled, Stuck, Waiting, World, fold
from agentloop.testing.samples import BEGAN, COMMIT, SLICE, Told, delivered, finding, task, verdict

PLAN = d.Plan(
    issue="7",
    tasks=(d.PlannedTask(title="t", goal="g", criteria=("c",)),),
    rationale="r",
)
ONE_OF_EACH: list[f.Fact] = [
    f.WorkTaken(attempt="7.1.1", commit=COMMIT, tree="t"),
    f.WorkRefused(attempt="7.1.1", findings=(finding(),)),
    f.CycleBegan(version="1"),
    f.CycleEnded(outcome="acted", fingerprint="abc", matters=("issue:7:e",)),
    f.HeldBack(about="7.1", why=("w", "v")),
    f.IssueSeen(issue="7", title="Ünïcode \x00 \u202e \ud800", target="calc", priority="high", evidence="e"),
    f.Labelled(issue="7", labels=("docs",)),
    f.Planned(issue="7", tasks=(task("7.1"), task("7.2", "7.1")), evidence="e"),
    f.PlanHeld(issue="7", plan="p", tasks=("7.1", "7.2"), why=("touches deploy/**",)),
    f.PlanApproved(issue="7", plan="p", by="bob"),
    f.Permitted(issue="7", by="ana"),
    f.Budgeted(issue="7", micros=5_000_000, by="ana"),
    f.Asked(issue="7", question="?", choices=("a", "b"), evidence="e"),
    f.Answered(issue="7", evidence="e"),
    f.Heard(issue="7", evidence="e"),
    f.IssueParked(issue="7", reason="r", evidence="e"),
    f.IssueClosed(issue="7", by="person"),
    f.IssueReopened(issue="7"),
    f.AttemptStarted(
        attempt="7.1.1",
        task="7.1",
        base="b",
        parents=("b", "c"),
        branch="x",
        base_branch="main",
        evidence="e",
        slice_micros=5,
        deadline=BEGAN,
    ),
    f.AttemptEnded(attempt="7.1.1", outcome=delivered(), turns=2, sandboxed=False, models=("m",)),
    f.AttemptEnded(attempt="7.1.1", outcome=Broken(reason="r", fix="x"), turns=2, sandboxed=True),
    f.AttemptLost(attempt="7.1.1"),
    f.ResultTaken(attempt="7.1.1", commit=COMMIT),
    f.NoteTaken(attempt="7.1.1", task="7.1", path="n.md"),
    f.ResultRejected(attempt="7.1.1", findings=(finding(),)),
    f.ResultLost(attempt="7.1.1"),
    f.GateStarted(attempt="7.1.1", commit=COMMIT, round=2),
    f.GateLost(attempt="7.1.1", reason="r"),
    f.Judged(verdict=verdict("7.1.1", finding())),
    f.Reviewed(attempt="7.1.1", accepted=True, says="good"),
    f.Published(task="7.1", attempt="7.1.1", pull="1", branch="x", commit=COMMIT),
    f.SentBack(task="7.1", findings=(finding(),), guidance="g", from_scratch=True, heard=("r1",)),
    f.Requeued(task="7.1", not_before=BEGAN, why="w", counts=False),
    f.Merged(task="7.1", pull="1", commit=COMMIT),
    f.Parked(task="7.2", reason="r"),
    f.Cancelled(task="7.2", reason="r"),
    f.HandsOff(task="7.1", pull="1", head="h"),
    f.Proposed(task="7.1", pull="1", asked=("octocat",)),
    f.HeardOnPull(task="7.1", heard=("r1", "line:l2")),
    f.Reserved(purse="attempt:7.1.1", micros=5, model="m"),
    f.Settled(purse="attempt:7.1.1", micros=3, unresolved_micros=1, model="m"),
    f.Settled(purse="admin:2", micros=3, shares=(Share(model="m", calls=1, micros=3),), issues=("7",)),
    f.Alerted(key="limits.day_usd 80 2026-11-02", says="80 % of the day is spent"),
    f.EffectIntended(op="o", effect=Say(issue="7", body="b")),
    f.EffectDone(op="o", result="c1"),
    f.EffectFailed(op="o", why="w"),
    f.Decided(by="admin", decision=PLAN),
    f.Refused(by="admin", decision=PLAN, why="w"),
    f.Shown(about="keep 7", digest="d"),
    f.LimitReached(until=BEGAN, detail="d"),
    f.RelayWritten(version=3, next_action="wait", signal=True),
    f.Slept(
        until=None, kind="hibernating", reason="r", wake=(d.Wake(on="time", which="2026-11-03T00:00:00Z"),)
    ),
    f.JournalLost(what="all of it", aside="journal/aside/x", tail=True),
    f.FoundByMark(op="plan:7:e#0", where="issue 7, c1"),
    f.NoteFound(task="7.1", path="memories/notes/7.1.md"),
    f.AttemptsForgotten(task="7.1", number=3),
    f.Obeyed(order="7:c1:1", about="7", verb="pause", by="ana", first="e", answer="refused", says="no"),
    f.Paused(about="7", until=BEGAN, by="ana", reason="r"),
    f.Resumed(about="7", by="ana"),
    f.Urged(about="7.1", by="ana"),
    f.JournalMended(marks=1),
]


@pytest.mark.parametrize("kind", get_args(f.Fact))
def test_there_is_an_example_of_every_fact(kind: type) -> None:
    """So that the tests below speak of all of them."""
    assert any(isinstance(one, kind) for one in ONE_OF_EACH)


@pytest.mark.parametrize("fact", ONE_OF_EACH, ids=lambda fact: type(fact).__name__)
def test_every_fact_survives_the_journals_form(fact: f.Fact) -> None:
    """Written as a line and read again it is the same value."""
    entry = Entry(at=BEGAN, cycle=3, facts=(fact,))
    line = json.dumps(encode(entry), ensure_ascii=False).encode("utf-8", "surrogatepass")
    assert decode(Entry, json.loads(line.decode("utf-8", "surrogatepass"))) == entry


ANY = st.lists(st.sampled_from(ONE_OF_EACH), max_size=40)


def told(*facts: f.Fact) -> World:
    """The fold of these facts, an entry each, a minute apart."""
    return fold(
        Entry(at=BEGAN + timedelta(minutes=number), cycle=number, facts=(fact,))
        for number, fact in enumerate(facts, 1)
    )


@given(ANY)
def test_no_sequence_of_facts_breaks_the_fold(facts: list[f.Fact]) -> None:
    """A line was lost, facts come twice or out of order: it is folded as far as it makes sense."""
    world = told(*facts)
    assert {view.task.id for view in world.live_tasks()} == set(world.live)


BEGINNING = [one for one in ONE_OF_EACH if isinstance(one, f.IssueSeen | f.Planned | f.AttemptStarted)]


@given(ANY)
def test_what_is_live_is_what_is_not_over(facts: list[f.Fact]) -> None:
    """After any sequence: exactly the tasks to which something may still happen are looked at."""
    world = told(*BEGINNING, *facts)
    assert set(world.live) == {name for name, view in world.tasks.items() if not s.over(view.state)}


@given(ANY)
def test_spending_never_shrinks_and_adds_up(facts: list[f.Fact]) -> None:
    """Settled and unresolved only grow; days, purses and models add up to the same sum."""
    world = World()
    before = 0
    for number, fact in enumerate(facts, 1):
        world.apply(Entry(at=BEGAN + timedelta(hours=number), cycle=number, facts=(fact,)))
        gone = sum(world.spent_by_day.values())
        assert gone >= before
        assert gone == sum(world.spent_by_purse.values()) == sum(world.spent_by_model.values())
        assert world.unresolved_micros <= gone
        assert world.spent_micros() == gone + sum(world.purses.values())
        before = gone


MONEY = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 50), st.integers(0, 50), st.booleans()), max_size=20
)


@given(MONEY)
def test_reserved_money_counts_until_it_is_settled(moves: list[tuple[int, int, int, bool]]) -> None:
    """What is open counts whole, what is closed as it was settled, and every purse is one or the other."""
    world, open_purses, gone = World(), dict[str, int](), 0
    for number, (purse, micros, unresolved, settles) in enumerate(moves, 1):
        name = f"attempt:7.{purse}.1"
        if settles and name in open_purses:
            fact: f.Fact = f.Settled(purse=name, micros=micros, unresolved_micros=unresolved)
            gone += micros + unresolved
            del open_purses[name]
        else:
            fact = f.Reserved(purse=name, micros=micros)
            open_purses[name] = micros
        world.apply(Entry(at=BEGAN, cycle=number, facts=(fact,)))
    assert world.purses == open_purses
    assert world.spent_micros() == gone + sum(open_purses.values())


def test_what_is_asked_once_is_made_again_when_it_may_be_another() -> None:
    """Once an entry was taken in, or when something else is given; not for mere words."""
    world, made = World(), list[int]()

    def make() -> int:
        made.append(len(made))
        return made[-1]

    said = (
        f.Reserved(purse="admin:1", micros=9),
        f.HeldBack(about="7.1", why=("w",)),
        f.Settled(purse="admin:1", micros=4),
    )
    entries = [Entry(at=BEGAN, cycle=1, facts=(one,)) for one in said]
    world.apply(entries[0])
    assert [world.once("a", (1,), make), world.once("a", (1,), make), world.once("b", (1,), make)] == [
        0,
        0,
        1,
    ]
    assert [world.once("a", (2,), make), world.once("a", (2,), make)] == [2, 2]
    world.apply(entries[1])
    assert world.once("a", (2,), make) == 2
    world.apply(entries[2])
    assert world.once("a", (2,), make) == 3
    assert world == fold(entries)


def test_a_day_pays_what_was_settled_on_it() -> None:
    """Yesterday's spending leaves today's limit alone, and counts in all."""
    world = World()
    purse = "admin:1"
    world.apply(Entry(at=BEGAN, cycle=1, facts=(f.Reserved(purse=purse, micros=9),)))
    world.apply(Entry(at=BEGAN, cycle=1, facts=(f.Settled(purse=purse, micros=4, unresolved_micros=1),)))
    assert [
        world.spent_micros(BEGAN.date()),
        world.spent_micros(date(2026, 11, 3)),
        world.spent_micros(),
    ] == [
        5,
        0,
        5,
    ]


def test_an_attempts_spending_is_kept_with_it() -> None:
    """For the receipt on its pull request."""
    world = Told().issue().planned("7.1").started("7.1.1").ended("7.1.1", delivered(), micros=1234).world
    assert [one.spent_micros for one in world.tasks["7.1"].tries] == [1234]
    assert SLICE not in (world.spent_micros(), *world.purses.values())


def test_a_second_plan_numbers_its_tasks_on() -> None:
    """A task's id never means two things."""
    told_so_far = Told().issue().planned("7.1", "7.2").issue(body="more").planned("7.3")
    assert [view.task.id for view in told_so_far.world.tasks_of("7")] == ["7.1", "7.2", "7.3"]
    assert told_so_far.world.issues["7"].planned_tasks == 3


def test_words_decided_on_are_handled_until_they_change() -> None:
    """By a plan, a question, an answer, a parking, or what was decided about a task."""
    for fact in (
        f.Asked(issue="7", question="?", choices=("a", "b"), evidence="e1"),
        f.Answered(issue="7", evidence="e1"),
        f.Heard(issue="7", evidence="e1"),
        f.IssueParked(issue="7", reason="r", evidence="e1"),
        f.Planned(issue="7", tasks=(task(),), evidence="e1"),
    ):
        seen = f.IssueSeen(issue="7", title="t", target="", priority="low", evidence="e1")
        view = told(seen, fact).issues["7"]
        assert view.handled == view.evidence == "e1"
        changed = told(
            seen, fact, f.IssueSeen(issue="7", title="t", target="", priority="low", evidence="e2")
        )
        assert changed.issues["7"].handled != changed.issues["7"].evidence


def test_an_issue_goes_through_its_states() -> None:
    """Fresh, waiting, in work, settled, stuck, closed, and fresh again with nothing handled."""
    story = Told().issue()
    assert story.world.issues["7"].state == Fresh()
    ask = f.Asked(issue="7", question="?", choices=("a", "b"), evidence="e")
    assert isinstance(story.add(ask).world.issues["7"].state, Waiting)
    answered = f.Answered(issue="7", evidence="e")
    assert story.add(answered).world.issues["7"].state == Settled()
    assert story.planned("7.1").world.issues["7"].state == InWork(tasks=("7.1",))
    assert story.add(ask, answered).world.issues["7"].state == InWork(tasks=("7.1",))
    parked = f.IssueParked(issue="7", reason="r", evidence="e")
    assert story.add(parked).world.issues["7"].state == Stuck(reason="r")
    assert story.add(f.Heard(issue="7", evidence="e")).world.issues["7"].state == InWork(tasks=("7.1",))
    assert story.add(f.IssueClosed(issue="7", by="loop")).world.issues["7"].state == Closed(by="loop")
    view = story.add(f.IssueReopened(issue="7")).world.issues["7"]
    assert (view.state, view.handled, view.reopened) == (Fresh(), "", 1)


def test_that_all_was_dropped_is_told_once_however_often_somebody_answers() -> None:
    """An answer to one remark, and to the next: the issue is not in work again, so nobody stops it again."""
    story = (
        Told().issue().planned("7.1").add(f.Cancelled(task="7.1", reason="a person closed its pull request"))
    )
    story.add(f.IssueParked(issue="7", reason="all of it was dropped", evidence="e"))
    for _ in range(3):
        assert story.add(f.Answered(issue="7", evidence="e")).world.issues["7"].state == Settled()


def test_a_refusal_is_shown_once_and_failures_and_views_are_counted() -> None:
    """Refused in a cycle that acted: shown in the next one that asks, and then forgotten."""
    refused = f.Refused(by="admin", decision=PLAN, why="too vague")
    acted = f.CycleEnded(outcome="acted", fingerprint="x", matters=("m",))
    failed = f.CycleEnded(outcome="failed", fingerprint="x", matters=("m",))
    world = World()
    world.apply(Entry(at=BEGAN, cycle=1, facts=(refused,)))
    world.apply(Entry(at=BEGAN, cycle=1, facts=(acted,)))
    assert [one.why for one in world.refusals] == ["too vague"]
    world.apply(Entry(at=BEGAN, cycle=2, facts=(failed,)))
    assert [one.why for one in world.refusals] == ["too vague"]
    world.apply(Entry(at=BEGAN, cycle=3, facts=(acted,)))
    assert world.refusals == ()
    assert (world.considered["m"], world.failures["m"]) == (2, 1)


def test_an_effect_is_open_until_its_end_is_known() -> None:
    """Intended, then done or failed; intended again after a failure it keeps its failure until done."""
    say = Say(issue="7", body="b")
    world = told(f.EffectIntended(op="o", effect=say))
    assert list(world.open_ops) == ["o"]
    assert not told(f.EffectIntended(op="o", effect=say), f.EffectDone(op="o", result="c1")).open_ops
    assert not told(f.EffectIntended(op="o", effect=say), f.EffectFailed(op="o", why="w")).open_ops


def test_a_pull_request_and_its_head_outlive_another_attempt() -> None:
    """Changes requested: the next attempt goes on the same branch."""
    story = Told().issue().planned("7.1").published("7.1.1")
    story.add(f.SentBack(task="7.1", findings=(finding(),), heard=("r1",)))
    view = story.world.tasks["7.1"]
    assert (view.pull, view.head, view.heard, type(view.state)) == ("1", COMMIT, ("r1",), s.Queued)


def test_an_effect_that_is_tried_again_after_a_refusal_is_open_until_its_end() -> None:
    """Cut off in the middle of the second try, it is looked for like the first."""
    say = Say(issue="7", body="b")
    tried = (f.EffectIntended(op="o", effect=say), f.EffectFailed(op="o", why="w"))
    world = fold([f.Entry(at=BEGAN, cycle=1, facts=(*tried, f.EffectIntended(op="o", effect=say)))])
    assert (list(world.open_ops), world.effects["o"].failed) == (["o"], "")
