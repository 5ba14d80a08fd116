"""What marks carry: the same facts again, in order, and nothing that the journal knows already."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from agentloop.domain import facts as f
from agentloop.domain import marks as m
from agentloop.domain.states import Noted
from agentloop.domain.world import Closed, InWork, World
from agentloop.testing.samples import task

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
