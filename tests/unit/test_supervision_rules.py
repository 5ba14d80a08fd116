"""The pure rules of the supervisor: pace, rest, and what counts as seen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop import exits
from agentloop.domain.settings import Supervision
from agentloop.edges.runtime import SleepRecord
from agentloop.supervision import pacing, rest
from agentloop.supervision.edits import seen_after

RULES = Supervision(backoff_seconds=10, backoff_max_seconds=100, breaker_after=6, breaker_seconds=1800)
NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
FAILED = pacing.Failed(why="it broke")


def test_backoff_doubles_up_to_its_maximum_and_then_the_breaker_opens() -> None:
    """10, 20, 40, 80, 100 seconds, then the breaker's half hour."""
    pace, waits = pacing.Pace(), []
    for _ in range(7):
        pace = pacing.ended(pace, FAILED)
        wait = pacing.wait_after(pace, FAILED, RULES)
        assert wait is not None
        waits.append((wait.seconds, wait.breaker))
    assert waits == [
        (10, False),
        (20, False),
        (40, False),
        (80, False),
        (100, False),
        (1800, True),
        (1800, True),
    ]


@pytest.mark.parametrize(
    ("code", "overran", "expected"),
    [
        (exits.OK, False, pacing.Fine()),
        (exits.BUSY, False, pacing.Busy()),
        (exits.OK, True, pacing.Failed(why="it outlived its deadline and was ended")),
        (-9, False, pacing.Failed(why="signal 9 ended it")),
        (None, False, pacing.Failed(why="it could not be waited for")),
        (99, False, pacing.Failed(why="exit 99: an unexpected end")),
    ],
)
def test_the_outcome_comes_from_the_process(code: int | None, overran: bool, expected: object) -> None:  # noqa: FBT001
    """Exit code, signal and deadline decide; nothing else is asked."""
    assert pacing.outcome_of(code, overran=overran) == expected


def test_busy_is_no_failure_and_success_forgets() -> None:
    """Only failures count towards the breaker, and one good cycle ends the count."""
    pace = pacing.ended(pacing.ended(pacing.Pace(), FAILED), pacing.Busy())
    assert (pace.failures, pace.busy) == (1, 1)
    assert pacing.ended(pace, pacing.Fine()) == pacing.Pace()


@given(st.lists(st.floats(min_value=0, max_value=10), max_size=80))
def test_never_more_than_twenty_starts_in_any_minute(gaps: list[float]) -> None:
    """However starts are asked for, with each hold respected no 60 seconds see a twenty-first."""
    pace, now, starts = pacing.Pace(), 0.0, list[float]()
    for gap in gaps:
        now += gap
        if wait := pacing.hold(pace, now):
            now += wait.seconds
        pace = pacing.started(pace, now)
        starts.append(now)
    for first, later in zip(starts, starts[pacing.CYCLES_A_MINUTE :], strict=False):
        assert later - first >= pacing.MINUTE - 1e-6


def test_a_clock_that_jumps_back_does_not_prolong_a_sleep() -> None:
    """Sleep ends by the monotonic clock even when the wall clock is a year behind."""
    said = SleepRecord(cycle=1, until=NOW + timedelta(seconds=300), reason="idle")
    nap = rest.asleep(said, mono=1000.0, now=NOW)
    year_ago = NOW - timedelta(days=365)
    assert nap.seconds_left(1000.0, year_ago) == 300
    assert not nap.is_due(1299.0, year_ago)
    assert nap.is_due(1300.0, year_ago)


def test_a_machine_that_was_suspended_wakes_by_the_wall_clock() -> None:
    """The monotonic clock stood still; the time that the cycle named has come all the same."""
    nap = rest.asleep(SleepRecord(cycle=1, until=NOW, reason="idle"), mono=0.0, now=NOW - timedelta(hours=8))
    assert nap.is_due(1.0, NOW)


def test_a_sleep_without_an_end_waits_for_a_wake() -> None:
    """Hibernation has no due time on either clock."""
    nap = rest.asleep(SleepRecord(cycle=1, until=None, reason="hibernating"), mono=0.0, now=NOW)
    assert nap.seconds_left(0.0, NOW) is None
    assert not nap.is_due(1e9, NOW + timedelta(days=9999))


def test_what_counts_as_seen() -> None:
    """Named files as named, silent ones as they are now, new ones not at all."""
    before = {"named": (1, 1, 1), "silent": (1, 1, 2)}
    after = {"named": (9, 9, 1), "silent": (9, 9, 2), "new": (9, 9, 3)}
    saw = {"named": (1, 1, 1)}
    assert seen_after(saw, before=before, after=after) == {"named": (1, 1, 1), "silent": (9, 9, 2)}
    assert seen_after(None, before=before, after=after) == after
