"""A home with a past: a journal of finished stories, an issue, a task, an attempt and a pull request each."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agentloop.domain import facts as f
from agentloop.domain.effects import Say
from agentloop.domain.facts import Entry
from agentloop.edges.journal import sealed
from agentloop.home import Home
from agentloop.testing.samples import COMMIT, Told

FIRST = 1_000_000
"""Issues are numbered from here, so that none of the tracker's is among them."""


def story(number: str) -> tuple[Entry, ...]:
    """Return what the journal says of an issue from its filing to its end: eleven entries."""
    task, attempt = f"{number}.1", f"{number}.1.1"
    told = Told().issue(number).planned(task).published(attempt, number=number)
    plan = Say(issue=number, body="I will do it in one step: say that one cannot divide by zero. " * 3)
    told.add(f.EffectIntended(op=f"plan:{number}", effect=plan))
    told.add(f.EffectDone(op=f"plan:{number}", result=f"{number}c1"))
    told.add(f.Merged(task=task, pull=number, commit=COMMIT), f.IssueClosed(issue=number, by="loop"))
    return tuple(told.entries)


def fill(home: Home, stories: int, *, ago: timedelta = timedelta(days=400)) -> int:
    """Put `stories` finished ones into the journal of `home`, which has none; return the entries written.

    Not durable, and all in one file a month, as the loop would have them.
    """
    home.journal.mkdir(parents=True, exist_ok=True)
    began = datetime.now(UTC) - ago
    lines: dict[Path, list[bytes]] = {}
    cycle = 0
    for n in range(stories):
        for entry in story(str(FIRST + n)):
            cycle += 1
            at = began + ago * (cycle / (stories * 20))
            one = Entry(at=at, cycle=cycle, facts=entry.facts)
            lines.setdefault(home.journal_of(at), []).append(sealed(one, cycle, cycle))
    for path, found in lines.items():
        path.write_bytes(b"".join(line + b"\n" for line in found))
    return cycle


if __name__ == "__main__":
    there = Home(Path(sys.argv[1]))
    print(fill(there, int(sys.argv[2])))
