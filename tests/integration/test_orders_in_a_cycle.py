"""Orders of people, carried out by whole cycles on ports in memory."""

from __future__ import annotations

import pytest

from agentloop.domain import states as s
from agentloop.domain.obeying import MEANINGS
from agentloop.domain.work import Blocked
from agentloop.domain.world import Stuck
from agentloop.testing.memory_parts import Fuse, KilledError
from tests.integration.test_cycle import House


def planned() -> House:
    """A house with one issue, whose task has an attempt at work."""
    house = House()
    house.file()
    house.cycle()
    house.cycle()
    assert isinstance(house.state("1.1"), s.Working)
    return house


def order(house: House, *lines: str) -> list[str]:
    """Ana's comment, two cycles, and what the loop says to it."""
    house.sleep()
    before = len(house.says("1"))
    house.tracker.comment("1", "\n".join(f"/agentloop {line}" for line in lines), author="ana")
    house.cycle()
    house.sleep()
    house.cycle()
    return house.says("1")[before:]


def test_a_paused_issue_publishes_nothing_until_it_is_resumed() -> None:
    """What runs goes on to its end, and nobody is asked; the admin is not asked about the order either."""
    house = planned()
    asked = len(house.shown)
    (told,) = order(house, "pause 3d the release comes first")
    assert told.startswith("**Paused:** it is paused by ana until ")
    assert "the release comes first" in told
    house.work()
    house.cycle()
    house.work()
    house.cycle()
    assert isinstance(house.state("1.1"), s.Green)
    assert len(house.shown) == asked
    assert order(house, "resume") == []
    assert isinstance(house.state("1.1"), s.InReview)


def test_a_pause_ends_by_itself() -> None:
    """The loop sleeps no longer than that."""
    house = planned()
    order(house, "pause 2h")
    house.work()
    house.cycle()
    house.work()
    ended = house.cycle()
    assert ended.nap.until is not None
    house.sleep(121)
    house.cycle()
    assert isinstance(house.state("1.1"), s.InReview)


def test_a_stopped_issue_stays_open_and_can_be_started_again() -> None:
    """Its tasks are dropped and what runs is ended; started again it is planned anew."""
    house = planned()
    (told,) = order(house, "stop not now")
    assert told.startswith("**Stopped:** ana stopped it: not now.\n\n1 task dropped; what ran was ended.")
    assert isinstance(house.world.issues["1"].state, Stuck)
    assert isinstance(house.state("1.1"), s.Cancelled)
    assert house.executor.alive() == ()
    assert house.tracker.get("1").state == "open"
    assert order(house, "start") == []
    assert [one.task.id for one in house.world.live_tasks()] == ["1.2"]


def test_a_parked_task_is_retried_with_guidance() -> None:
    """As by `agentloop retry`; a second time there is nothing to retry."""
    house = planned()
    for _ in range(8):
        for name in house.executor.alive():
            house.executor.end(name.partition(":")[2], Blocked(reason="no database"))
        house.cycle()
        house.sleep(30)
    assert isinstance(house.state("1.1"), s.Parked)
    assert order(house, "retry the database is up") == []
    state = house.state("1.1")
    assert isinstance(state, s.Working)
    assert state.was.guidance == "the database is up"
    (told,) = order(house, "retry")
    assert told.startswith("**Not done**, ana: `/agentloop retry`: nothing of it is parked: 1.1: attempt")


def test_status_and_explain_answer_and_nothing_else_happens() -> None:
    """Each once; the same comment is not answered again."""
    house = planned()
    told = order(house, "status", "explain", "sttatus")
    assert [one.partition("\n")[0] for one in told] == [
        "**planned, 1 task**",
        "**Why it stands where it does:**",
        (
            "**Not done**, ana: `/agentloop sttatus`: there is no `sttatus`; did you mean `status` or "
            f"`start`? I know {', '.join(f'`{verb}`' for verb in MEANINGS)}."
        ),
    ]
    assert "Spent: $0.00 of " in told[0]
    house.cycle()
    assert len(house.says("1")) == 1 + len(told)


def test_a_label_orders_once_and_is_taken_off() -> None:
    """Set again it orders again."""
    house = planned()
    for times in (1, 2):
        house.sleep()
        house.tracker.label("1", add=("agentloop:pause",))
        house.cycle()
        assert house.tracker.get("1").labels == ()
        assert len(house.says("1")) == 1 + times


def test_an_order_of_a_strangers_is_nobodys() -> None:
    """Nothing is said, and nothing is done."""
    house = planned()
    house.tracker.comment("1", "/agentloop stop", author="mallory", trusted=False)
    assert house.cycle().outcome == "idle"


def test_on_a_pull_request_an_order_is_about_its_task() -> None:
    """And is answered there."""
    house = planned()
    for _ in range(3):
        house.work()
        house.cycle()
    pull = house.world.tasks["1.1"].pull
    house.forge.review(pull, "commented", "/agentloop status", author="ana")
    house.cycle()
    said = [one.body for one in house.forge.get(pull).reviews if one.ours]
    assert [one.partition("\n")[0] for one in said] == ["**planned, 1 task**"]
    house.forge.review(pull, "commented", "/agentloop stop", author="ana")
    house.cycle()
    assert isinstance(house.state("1.1"), s.Cancelled)


@pytest.mark.parametrize("verb", ["stop", "pause", "status"])
def test_an_order_is_obeyed_once_whatever_call_a_cycle_is_killed_at(verb: str) -> None:
    """Killed before or after each call of a port, the next cycles end as one that was not killed."""
    whole = planned()
    expected = order(whole, verb)
    for number in range(1, 200):
        house = planned()
        house.sleep()
        house.tracker.comment("1", f"/agentloop {verb}", author="ana")
        fuse = Fuse(number)
        try:
            house.cycle(fuse)
        except KilledError:
            house.cycle()
            house.cycle()
            assert house.says("1")[1:] == expected, number
            continue
        return
    pytest.fail("never came to its end")


def test_an_order_in_a_thread_on_lines_is_answered_in_it() -> None:
    """It is no word against the change; words beside it are."""
    house = planned()
    for _ in range(3):
        house.work()
        house.cycle()
    pull = house.world.tasks["1.1"].pull
    house.forge.line(pull, "src/calc.py", "/agentloop pause 2d", author="ana")
    house.cycle()
    (thread,) = house.forge.get(pull).threads
    assert thread.said[-1].ours
    assert thread.said[-1].body.startswith("**Paused:** it is paused by ana until ")
    assert isinstance(house.state("1.1"), s.InReview)
