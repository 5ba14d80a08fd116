"""Whether an agent still gets anywhere: tables of what people saw go wrong, and what always holds."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.domain.limits import slow_call_stalls
from agentloop.domain.report import stand
from agentloop.domain.settings import Models, Settings, Worker
from agentloop.domain.stall import (
    LADDER,
    Bounds,
    Pulse,
    answer_print,
    looked,
    next_step,
    turned,
)
from agentloop.domain.world import World

NOW = datetime(2026, 11, 20, tzinfo=UTC)
BOUNDS = Bounds(turns=8, seconds=20 * 60)
SAME = answer_print("shell", "make test", "1 failed in 0.31s")


def course(
    *turns: tuple[tuple[str, ...], float], bounds: Bounds = BOUNDS, marks: tuple[str, ...] = ()
) -> list[str]:
    """What is done after each turn: the prints of its tools' answers, and its seconds outside of them."""
    pulse, looks = Pulse(), list(marks)
    steps: list[str] = []
    for answers, seconds in turns:
        pulse = turned(pulse, answers, seconds=seconds)
        if looks:
            pulse = looked(pulse, looks.pop(0))
        step, pulse = next_step(pulse, bounds)
        steps.append(step)
    return steps


@pytest.mark.parametrize(
    ("what", "turns", "said"),
    [
        ("26 silent minutes that are one tool call", [((SAME,), 3.0)] * 2, []),
        ("the same failing command", [((SAME,), 3.0)] * 9, ["nudge"]),
        ("the same failing command, on and on", [((SAME,), 3.0)] * 25, ["nudge", "afresh", "end"]),
        ("words only", [((), 3.0)] * 8, ["nudge"]),
        ("a log refreshed by retry chatter", [((SAME,), 1.0), ((SAME,), 1300.0)], ["nudge"]),
        ("a slow model that brings something each time", [((str(n),), 1300.0) for n in range(9)], []),
        ("one new answer among many old", [((SAME, str(n)), 3.0) for n in range(30)], []),
    ],
)
def test_what_is_a_stall_and_what_is_none(
    what: str, turns: list[tuple[tuple[str, ...], float]], said: list[str]
) -> None:
    """Both ways in which others erred."""
    assert (what, [step for step in course(*turns) if step != "on"]) == (what, said)


def test_numbers_make_no_new_answer() -> None:
    """Times, addresses and counters change in every run."""
    assert answer_print("shell", "try 1", "failed after 0.31s at 0x7f") == answer_print(
        "shell", "try 2", "failed after 12s at 0xdead"
    )
    assert answer_print("shell", "make test", "2 passed") != SAME


def test_a_tree_that_changed_is_progress() -> None:
    """Whatever the tools say."""
    turns = [((SAME,), 3.0)] * 30
    assert set(course(*turns, marks=tuple(f"tree {n}" for n in range(30)))) == {"on"}
    assert "end" in course(*turns, marks=("tree",) * 30)


def test_bounds_can_be_switched_off() -> None:
    """Each by itself."""
    turns = [((SAME,), 1300.0)] * 9
    assert "nudge" in course(*turns, bounds=Bounds(turns=0, seconds=1200))
    assert "nudge" in course(*turns, bounds=Bounds(turns=8, seconds=0))
    assert set(course(*turns, bounds=Bounds(turns=0, seconds=0))) == {"on"}


TURNS = st.lists(
    st.tuples(st.lists(st.sampled_from("abc"), max_size=2).map(tuple), st.floats(0, 2000)), max_size=80
)


@given(TURNS, st.integers(1, 10))
def test_steps_come_in_their_order_and_only_progress_starts_them_anew(
    turns: list[tuple[tuple[str, ...], float]], most: int
) -> None:
    """Nudge, afresh, end; and whatever comes, within four times the bound something new came or it ends."""
    seen: set[str] = set()
    expected = 0
    silent = 0
    for (answers, _), step in zip(turns, course(*turns, bounds=Bounds(turns=most, seconds=0)), strict=True):
        new = bool(set(answers) - seen)
        seen |= set(answers)
        expected, silent = (0, 0) if new else (expected, silent + 1)
        if step != "on":
            assert not new
            assert step == LADDER[min(expected, 2)]
            expected += 1
        assert expected >= 3 or silent < 4 * most


def test_a_call_that_may_take_as_long_as_a_stall_is_warned_of() -> None:
    """With what to change; not when the bound is off, and not by default."""

    def said(call_seconds: int, stall_minutes: int) -> str:
        models, worker = Models(call_seconds=call_seconds), Worker(stall_minutes=stall_minutes)
        return slow_call_stalls(Settings(models=models, worker=worker))

    assert [said(*each) for each in ((300, 20), (300, 0), (299, 5))] == ["", "", ""]
    assert said(300, 5) == (
        "models.call_seconds = 300 is not below worker.stall_minutes = 5, so that one slow call "
        "counts as a stall: set stall_minutes = 6 or more, or call_seconds below 300"
    )
    narrow = Settings(models=Models(call_seconds=3600))
    assert any("counts as a stall" in one for one in stand(World(), narrow, NOW).warnings)
