"""A provider's limit is a timer: a little after its reset, for everybody, and longer when it flaps."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from agentloop.domain import facts as f
from agentloop.domain.resets import AT_LEAST, waits_until
from agentloop.testing.samples import BEGAN, Told, delivered

if TYPE_CHECKING:
    from datetime import datetime

moments = st.integers(-(10**7), 10**7).map(lambda seconds: BEGAN + timedelta(seconds=seconds))


@given(moments, moments, st.text(), st.integers(min_value=0, max_value=99))
def test_it_is_never_hit_at_the_edge(reset: datetime, now: datetime, seed: str, in_a_row: int) -> None:
    """After the reset, not within a minute, the same moment for the same seed, and never for ever."""
    until = waits_until(reset, now, seed=seed, in_a_row=in_a_row)
    assert until == waits_until(reset, now, seed=seed, in_a_row=in_a_row)
    assert until >= max(reset + timedelta(seconds=5), now + AT_LEAST)
    assert until <= max(reset + timedelta(seconds=30, minutes=30), now + AT_LEAST)


def test_a_limit_that_flaps_is_left_alone_for_longer() -> None:
    """One minute, three, seven … more, up to half an hour; work that gets done ends it."""
    plain = waits_until(BEGAN, BEGAN - timedelta(hours=1), seed="x")
    extra = [waits_until(BEGAN, BEGAN - timedelta(hours=1), seed="x", in_a_row=n) - plain for n in range(7)]
    assert [one.total_seconds() / 60 for one in extra] == [0, 1, 3, 7, 15, 30, 30]
    told = Told().issue().planned("7.1")
    for _ in range(3):
        told.add(f.LimitReached(until=told.now + timedelta(minutes=2), detail="d"))
        told.now += timedelta(minutes=5)
    assert told.world.limits_in_a_row == 3
    assert told.started("7.1.1").ended("7.1.1", delivered()).world.limits_in_a_row == 0


def test_of_two_windows_the_one_that_lasts_counts() -> None:
    """A minute's limit that is met while the week's holds does not shorten it, and counts as the same one."""
    told = Told()
    week = told.now + timedelta(days=3)
    told.add(f.LimitReached(until=week, detail="week"))
    told.add(f.LimitReached(until=told.now + timedelta(minutes=9), detail="minute"))
    assert (told.world.limited_until, told.world.limited_why) == (week, "week")
    assert told.world.limits_in_a_row == 1
