"""A time without a cycle: why, until when, and what may end it early. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from agentloop.domain.valueclass import dataclass
from agentloop.edges.runfolder import without

if TYPE_CHECKING:
    from agentloop.edges.runtime import Pause, SleepRecord, State
    from agentloop.supervision.pacing import Wait

DEFAULT_SLEEP_SECONDS: Final = 300.0
"""After a cycle that was fine but left no believable word about its sleep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """No cycle until `due` (monotonic seconds) or `until` (wall clock), whichever is first; None: neither.

    Both, because each clock fails in its own way: the wall clock can jump back, the monotonic one stands
    still while the machine is suspended. `wake`: a trigger ends it ("new": only one newer than the last
    cycle's start). `facts`: an edit or the end of an attempt ends it.
    """

    state: State
    reason: str
    due: float | None
    until: datetime | None
    wake: Literal["any", "new", "no"]
    facts: bool = False
    settings: bool = True
    brief: str | None = None
    """`reason` without what the cycle, or we, told a person a moment ago; None: all of it is new to them."""
    idle: bool = False
    """Whether the cycle before it found nothing new."""

    def is_due(self, mono: float, now: datetime) -> bool:
        """Return whether its time is over."""
        return (self.due is not None and mono >= self.due) or (self.until is not None and now >= self.until)

    def seconds_left(self, mono: float, now: datetime) -> float | None:
        """Return how long it lasts when nothing ends it early; None: for ever."""
        left = [] if self.due is None else [self.due - mono]
        left += [] if self.until is None else [(self.until - now).total_seconds()]
        return min(left, default=None)


def asleep(said: SleepRecord | None, *, mono: float, now: datetime) -> Rest:
    """Return the sleep that the cycle asked for, or the default when it said nothing that can be believed."""
    until = now + timedelta(seconds=DEFAULT_SLEEP_SECONDS) if said is None else said.until
    due = None if until is None else mono + max(0.0, (until - now).total_seconds())
    if said is None:
        reason, brief, idle = "the cycle left no word about its sleep", None, False
    else:
        # Why it failed, it has told itself.
        told = said.problems[0] if said.outcome == "failed" and said.problems else ""
        reason, brief, idle = said.reason, without(said.reason, told), said.outcome == "idle"
    return Rest(
        state="sleeping",
        reason=reason,
        due=due,
        until=until,
        wake="any",
        facts=True,
        brief=brief,
        idle=idle,
    )


def paused(pause: Pause, *, mono: float, now: datetime) -> Rest:
    """Return the rest that a person asked for."""
    by = f" (by {pause.by})" if pause.by else ""
    due = mono + max(0.0, (pause.until - now).total_seconds())
    reason = f"{pause.reason or 'paused'}{by}"
    return Rest(state="paused", reason=reason, due=due, until=pause.until, wake="no", settings=False)


def waiting(wait: Wait, *, mono: float, now: datetime) -> Rest:
    """Return the rest after a failure or a refusal: a new wake, or mended settings, end it."""
    return Rest(
        state="backoff",
        reason=wait.why,
        due=mono + wait.seconds,
        until=now + timedelta(seconds=wait.seconds),
        wake="new",
        brief=wait.brief or None,
    )


def held(wait: Wait, *, mono: float, now: datetime) -> Rest:
    """Return the rest that keeps a hot loop cool: nothing ends it early."""
    until = now + timedelta(seconds=wait.seconds)
    due = mono + wait.seconds
    return Rest(state="backoff", reason=wait.why, due=due, until=until, wake="no", settings=False)
