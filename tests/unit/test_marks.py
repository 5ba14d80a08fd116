"""What marks carry: the same facts again, in order, and nothing that the journal knows already."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from agentloop.domain import facts as f
from agentloop.domain import marks as m
from agentloop.domain.states import Noted, Parked, Queued
from agentloop.domain.world import Closed, InWork, Waiting, World
from agentloop.testing.samples import Told, task

AT = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
SEEN = f.IssueSeen(issue="7", title="t", target="calc", priority="normal", evidence="e")


def carried(*facts: f.Fact, minutes: int = 0, spent: int = 0) -> m.Carried:
    """What a mark says that was made some minutes after the first."""
    return m.Carried(at=AT + timedelta(minutes=minutes), cycle=3, facts=facts, spent_micros=spent)


def mark(op: str, told: m.Carried | None, pull: str = "") -> m.Mark:
    """A mark that proved to be ours."""
    return m.Mark(op=op, where=f"at {op}", carried=told, pull=pull)


def world_after(*marks: m.Mark) -> World:
    """A world that knows nothing but what the marks tell."""
    world = World()
    for one in m.in_order(marks):
        facts = m.lost(world, one)
        if facts and one.carried:
            told = (f.FoundByMark(op=one.op, where=one.where), *facts)
            world.apply(f.Entry(at=one.carried.at, cycle=one.carried.cycle, facts=told))
    return world


def test_what_was_packed_is_unpacked() -> None:
    """Any facts, any characters."""
    told = carried(
        SEEN, f.Planned(issue="7", tasks=(task(),), evidence="e"), f.Parked(task="7.1", reason="ü\ud800")
    )
    assert m.unpack(m.pack(told)) == told


@pytest.mark.parametrize("word", ["", "x", "eJw", "====", "A" * 1000, m.pack(carried(SEEN))[:-7]])
def test_what_is_no_packed_word_tells_nothing(word: str) -> None:
    """Cut off, made up, empty."""
    assert m.unpack(word) is None


def test_a_newer_format_is_not_misread() -> None:
    """It tells nothing at all."""
    newer = m.Carried(at=AT, cycle=1, facts=(SEEN,), v=m.FORMAT + 1)
    assert m.unpack(m.pack(newer)) is None


def test_a_plan_is_known_again_with_its_tasks_contracts() -> None:
    """And the second look adds nothing."""
    planned = mark("plan:7", carried(SEEN, f.Planned(issue="7", tasks=(task(),), evidence="e")))
    world = world_after(planned)
    assert world.issues["7"].state == InWork(tasks=("7.1",))
    assert world.tasks["7.1"].task == task()
    assert m.lost(world, planned) == ()


def test_a_decision_on_a_closed_issue_tells_that_it_was_opened_again() -> None:
    """So what is done on the same words is another operation than before."""
    plan = f.Planned(issue="7", tasks=(task(),), evidence="e")
    closed = carried(SEEN, f.IssueClosed(issue="7", by="loop"), f.NoteFound(task="7.1", path="n"), minutes=1)
    again = carried(SEEN, f.Answered(issue="7", evidence="e"), minutes=2)
    marks = (mark("answer", again), mark("close", closed), mark("plan", carried(SEEN, plan)))
    assert world_after(*marks[1:]).issues["7"].state == Closed(by="loop")
    world = world_after(*marks)
    assert (world.issues["7"].reopened, world.tasks["7.1"].state) == (1, Noted(path="n"))


def test_spending_is_the_most_that_anybody_tells() -> None:
    """The relay's words count what is set aside as well."""
    marks = [mark("a", carried(SEEN, spent=2_000_000)), mark("b", None)]
    relay = (("spent in all", "$1.50 of $9.00"), ("set aside for work under way", "$0.7500"))
    assert m.known_spending(marks, relay) == 2_250_000
    assert m.known_spending(marks, (("spent in all", None),)) == 2_000_000


def kept(told: Told, op: str = "keep:7:a") -> m.Mark:
    """The mark of the kept comment, written a minute after all that was told."""
    minute = told.now + timedelta(minutes=1)
    return mark(op, m.of_kept(told.world, "7", minute, 9))


def test_the_kept_comment_tells_the_plan_when_it_was_made_and_how_things_stand_now() -> None:
    """A question that was answered by the plan is over, one that came behind it is not; what stopped, too."""
    told = Told().issue()
    asked = f.Asked(issue="7", question="which?", choices=("a", "b"), evidence="e0")
    told.add(asked).planned("7.1", "7.2")
    first = mark("ask", m.Carried(at=told.now - timedelta(minutes=1), cycle=1, facts=(SEEN, asked)))
    world = world_after(kept(told), first)
    assert world.issues["7"].state == InWork(tasks=("7.1", "7.2"))
    assert world.issues["7"].handled == told.world.issues["7"].handled

    told.add(f.Parked(task="7.1", reason="no way")).add(f.Merged(task="7.2", pull="3", commit="c"))
    told.add(f.Asked(issue="7", question="how?", choices=("a", "b"), evidence="e2"))
    world = world_after(kept(told), first)
    assert {name: type(one.state) for name, one in world.tasks.items()} == {
        name: type(one.state) for name, one in told.world.tasks.items()
    }
    assert isinstance(world.tasks["7.1"].state, Parked)
    state = world.issues["7"].state
    assert isinstance(state, Waiting)
    assert (state.question, world.issues["7"].handled) == ("how?", "e2")
    assert [m.lost(world, one) for one in m.in_order([kept(told)])] == [(), ()]


def test_what_was_planned_after_an_issue_was_opened_again_is_not_lost_behind_its_closing() -> None:
    """The closing's mark is older than the kept comment's last words, and younger than its first."""
    told = Told().issue().planned("7.1").add(f.NoteFound(task="7.1", path="n"))
    closed = f.IssueClosed(issue="7", by="loop")
    told.add(closed)
    close = mark("close", m.Carried(at=told.now, cycle=2, facts=m.of_issue(told.world, "7", closed)))
    over = kept(told)
    assert world_after(over, close).issues["7"].state == Closed(by="loop")
    told.add(f.IssueReopened(issue="7")).planned("7.2")
    for world in (world_after(kept(told), close), world_after(close, over, kept(told, "keep:7:b"))):
        assert world.issues["7"].state == InWork(tasks=("7.1", "7.2"))
        assert (world.issues["7"].reopened, world.tasks["7.2"].state) == (1, Queued())


def test_a_kept_comment_that_was_found_again_is_brought_to_its_end() -> None:
    """The issue is closed after the journal was lost: nobody knows what the comment said by then."""
    told = Told().issue().planned("7.1")
    assert world_after(kept(told)).shown == {"keep 7": ""}


def test_a_plan_that_two_marks_tell_of_is_one_and_keeps_what_people_said_of_it() -> None:
    """The question whether it may be built carries it, and so does the kept comment: in either order."""
    told = Told().issue()
    told.planned("7.1")
    held = f.PlanHeld(issue="7", plan="p", tasks=("7.1",), why=("touches x",))
    asked = mark("plan:7", m.Carried(at=told.now, cycle=1, facts=(SEEN, planned_in(told), held)))
    told.add(held)
    waiting = kept(told)
    told.add(f.PlanApproved(issue="7", plan="p", by="ana"))
    for marks in ((asked, kept(told)), (kept(told),), (waiting, asked, kept(told, "keep:7:b"))):
        view = world_after(*marks).issues["7"]
        assert [(one.plan, one.by) for one in view.approvals] == [("p", "ana")]
        assert view.planned_tasks == 1


def planned_in(told: Told) -> f.Planned:
    """The plan as it was recorded."""
    facts = (one for entry in told.entries for one in entry.facts)
    return next(one for one in facts if isinstance(one, f.Planned))


def test_a_mark_older_than_the_closing_opens_nothing_again() -> None:
    """The journal has lost a version of the comment that was written before the issue was closed."""
    told = Told().issue().planned("7.1")
    older = kept(told)
    told.add(f.NoteFound(task="7.1", path="n")).add(f.IssueReopened(issue="7"))
    told.add(f.Heard(issue="7", evidence="e")).add(f.IssueClosed(issue="7", by="person"))
    assert [m.lost(told.world, one) for one in m.in_order([older])] == [(), ()]
