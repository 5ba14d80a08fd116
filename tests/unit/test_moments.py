"""Moments of the past, as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.domain.moments import past_moment

ZONE = timezone(timedelta(hours=2))
NOW = datetime(2026, 11, 20, 9, 30, tzinfo=ZONE)  # a Friday


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", "2026-11-20T07:30:00"),
        ("2h ago", "2026-11-20T05:30:00"),
        ("90 min ago", "2026-11-20T06:00:00"),
        ("3 days ago", "2026-11-17T07:30:00"),
        ("15m", "2026-11-20T07:15:00"),
        ("yesterday 22:00", "2026-11-19T20:00:00"),
        ("Yesterday", "2026-11-19T21:59:59"),
        ("today 8:05", "2026-11-20T06:05:00"),
        ("today", "2026-11-20T07:30:00"),
        ("9:00", "2026-11-20T07:00:00"),
        ("22:00", "2026-11-19T20:00:00"),
        ("mon 9:30", "2026-11-16T07:30:00"),
        ("monday", "2026-11-16T21:59:59"),
        ("2026-11-18", "2026-11-18T21:59:59"),
        ("2026-11-18 22:00", "2026-11-18T20:00:00"),
        ("2026-11-18T22:00:10Z", "2026-11-18T22:00:10"),
        ("2026-11-18T22:00+01:00", "2026-11-18T21:00:00"),
    ],
)
def test_what_a_person_writes_is_the_moment_they_mean(text: str, expected: str) -> None:
    """Spans, days, times of day and ISO 8601; without a zone it is the reader's."""
    assert past_moment(text, NOW) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "soon", "tomorrow", "25:00", "yesterday 9", "2027-01-01", "m", "-2h"])
def test_what_makes_no_sense_or_lies_ahead_is_refused(text: str) -> None:
    """The forms are named, or that it lies ahead; nothing is guessed."""
    with pytest.raises(ValueError, match=r"write it as|lies ahead"):
        past_moment(text, NOW)


@given(st.text(max_size=30))
def test_any_text_is_a_moment_of_the_past_or_refused(text: str) -> None:
    """There is no third way, whatever is typed."""
    try:
        found = past_moment(text, NOW)
    except ValueError:
        return
    assert found <= NOW
