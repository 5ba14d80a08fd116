"""What the journal held at a moment in the past, and what the loop did then. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING

from agentloop.domain.facts import CycleEnded, Entry, Slept
from agentloop.domain.world import is_rehearsal

if TYPE_CHECKING:
    from datetime import datetime


def by_moment(entries: Iterable[Entry], at: datetime) -> tuple[Entry, ...]:
    """Return the entries that were written by `at`, in the journal's order: that is what counts.

    A clock that was set back later does not bring an older entry before a newer one.
    """
    found = tuple(entries)
    return found[: max((n for n, entry in enumerate(found, 1) if entry.at <= at), default=0)]


def by_cycle(entries: Iterable[Entry], cycle: int) -> tuple[Entry, ...]:
    """Return the entries up to the end of a cycle; () when the journal knows no such cycle."""
    found = tuple(takewhile(lambda entry: entry.cycle <= cycle, entries))
    return found if any(entry.cycle == cycle and not is_rehearsal(entry) for entry in found) else ()


def loop_then(entries: Sequence[Entry], at: datetime, later: Sequence[Entry] = ()) -> str:
    """Return what the loop did at `at`, in words: `entries` were written by then, `later` after it."""
    last = next((entry for entry in reversed(entries) if not is_rehearsal(entry)), None)
    if last is None:
        return "no cycle had run"
    slept = next((fact for fact in last.facts if isinstance(fact, Slept)), None)
    return _awake(last, later) if slept is None else _asleep(last.cycle, slept, at)


def _awake(last: Entry, later: Sequence[Entry]) -> str:
    if any(isinstance(fact, CycleEnded) for fact in last.facts):
        return f"cycle {last.cycle} had just ended"
    if any(entry.cycle == last.cycle and not is_rehearsal(entry) for entry in later):
        return f"cycle {last.cycle} was under way"
    return f"cycle {last.cycle} {'had been killed' if later else 'left no end so far'}"


def _asleep(cycle: int, slept: Slept, at: datetime) -> str:
    until = f"until {slept.until:%Y-%m-%d %H:%M} UTC" if slept.until else "until something happens"
    over = slept.until is not None and at > slept.until
    idle = " (later looks found nothing to do, or nothing ran)" if over else ""
    return f"the loop slept after cycle {cycle} {until}: {slept.reason}{idle}"
