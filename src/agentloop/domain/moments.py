"""Moments of the past as people write them: `2h ago`, `yesterday 22:00`, `monday 9:30`, ISO 8601. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

FORMS = "as 2h ago, yesterday 22:00, monday 9:30, 22:00, 2026-11-20 22:00 or 2026-11-20T22:00Z"
"""What a person is told about the forms that are understood."""
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SPAN = re.compile(
    r"(\d{1,6})\s*(s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?|w|weeks?)(?:\s*ago)?", re.IGNORECASE
)
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def past_moment(text: str, now: datetime) -> datetime:
    """Return the moment that `text` names, seen from `now`; what names no zone is in the zone of `now`.

    A time of day alone is the last such time; a day alone is its end, or `now` when it is today: what stood
    "yesterday" is what stood when yesterday was over. The answer is in UTC and never later than `now`. Raises
    ValueError, naming the forms, when it makes no sense or lies ahead.
    """
    words = " ".join(text.lower().split())
    try:
        found = _relative(words, now) or _absolute(text.strip(), words, now)
    except (ValueError, OverflowError) as error:
        msg = f"{text!r} is no moment: write it {FORMS}"
        raise ValueError(msg) from error
    if found > now:
        msg = f"{text!r} lies ahead: {found:%Y-%m-%d %H:%M}"
        raise ValueError(msg)
    return found.astimezone(UTC)


def _relative(words: str, now: datetime) -> datetime | None:
    if words == "now":
        return now
    span = _SPAN.fullmatch(words)
    return now - timedelta(seconds=int(span[1]) * _UNITS[span[2][0]]) if span else None


def _absolute(text: str, words: str, now: datetime) -> datetime:
    day, _, clock = words.partition(" ")
    back = _days_back(day, now)
    if back is not None:
        return _on(now - timedelta(days=back), clock, now)
    if _CLOCK.fullmatch(words):
        today = _at(now, words)
        return today if today <= now else _at(now - timedelta(days=1), words)
    found = datetime.fromisoformat(text)
    if re.fullmatch(r"\d{4}-?\d{2}-?\d{2}", text):
        return _on(found.replace(tzinfo=now.tzinfo), "", now)
    return found if found.tzinfo else found.replace(tzinfo=now.tzinfo)


def _days_back(day: str, now: datetime) -> int | None:
    if day in ("today", "yesterday"):
        return int(day == "yesterday")
    named = [number for number, name in enumerate(_DAYS) if len(day) > 2 and name.startswith(day)]  # noqa: PLR2004 - mon, tue
    return (now.weekday() - named[0]) % 7 if named else None


def _on(day: datetime, clock: str, now: datetime) -> datetime:
    if clock:
        return _at(day, clock)
    return now if day.date() == now.date() else _at(day, "23:59:59")


def _at(day: datetime, clock: str) -> datetime:
    found = _CLOCK.fullmatch(clock)
    if found is None:
        msg = f"{clock!r} is no time of day"
        raise ValueError(msg)
    hour, minute, second = (int(part or 0) for part in found.groups())
    return day.replace(hour=hour, minute=minute, second=second, microsecond=0)
