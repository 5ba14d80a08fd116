"""A hundred cycles without a change, and a hundred with a fault each, in a scratch folder."""

from __future__ import annotations

import tempfile
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from agentloop.domain.effects import BOARD_TITLE
from agentloop.testing.github import Hub, serving
from agentloop.testing.github.admission import Meter
from agentloop.testing.storm.house import VAGUE, House, Weather
from agentloop.testing.storm.promises import broken
from agentloop.testing.storm.weather import LASTING, TROUBLES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentloop.testing.github.values import Thread

QUIET_CYCLES = 2
"""Within so many cycles after a fault all must be as if it had not been."""
ROOM = 1_000_000
MOST_OPEN = 8
"""Threads that are open at once: more are only slower."""


@dataclass(slots=True)
class Played:
    """What a storm brought: the faults that struck, by kind; what did not hold, with its round."""

    seed: int
    rounds: int
    cycles: int = 0
    struck: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """What cycles cost in which nothing happened."""

    cycles: int
    requests: int
    units: int
    writes: int
    asked: int
    entries: int
    outcomes: tuple[str, ...]


@contextmanager
def housed() -> Iterator[House]:
    """Yield a house in a scratch folder, with its GitHub."""
    with tempfile.TemporaryDirectory(prefix="agentloop-storm-", ignore_cleanup_errors=True) as folder:
        clock = Weather()
        hub = Hub(Path(folder) / "hub", now=clock.now)
        with serving(hub, meter=Meter(limit=ROOM, writes_a_minute=ROOM)) as server:
            yield House(Path(folder), server, clock)


def quiet(cycles: int = 100) -> Quiet:
    """Return what `cycles` cost after which nothing happened: a question open, a pull request with checks."""
    with housed() as house:
        house.file("It crashes")
        house.file("Something vague")
        house.server.hub.comment(house.repository, house.person(), house.file("Not for the loop"), "Thanks!")
        for _ in range(4):
            house.cycle()
            house.clock.pass_by(minutes=3)
            house.work()
        for thread in house.pulls():
            for name, end in (("build", "success"), ("lint", "neutral"), ("docs", "")):
                house.server.hub.check(house.repository, thread.part.head, name, end)
        house.settle()
        asked, entries = house.asked, len(house.journal.lines)
        calls = house.calls_of(cycles)
        return Quiet(
            cycles=cycles,
            requests=len(calls),
            units=sum(one.cost for one in calls),
            writes=sum(one.method != "GET" for one in calls),
            asked=house.asked - asked,
            entries=len(house.journal.lines) - entries,
            outcomes=tuple(sorted({one.outcome for one in house.cycles[-cycles:]})),
        )


def storm(seed: int, rounds: int = 100) -> Played:
    """Play so many rounds, one fault in each, and tell what did not hold two cycles after it."""
    chance = Random(seed)  # noqa: S311 - a seed must play again
    played = Played(seed=seed, rounds=rounds)
    names = list(TROUBLES)
    with housed() as house:
        for number in range(rounds):
            if number % len(names) == 0:
                chance.shuffle(names)
            _go_on(house, chance, number)
            _round(house, chance, names[number % len(names)], played)
        _end(house, played)
        played.cycles = len(house.cycles)
    return played


def _go_on(house: House, chance: Random, number: int) -> None:
    """Let people and workers do something, so that there is something to write about."""
    acts = [house.work, house.review, house.answer]
    for act in chance.sample(acts, k=chance.randint(1, 3)):
        act()
    still_open = sum(one.state == "open" for one in house.repository.threads.values())
    if still_open < MOST_OPEN:
        house.file(f"Something vague {number}" if number % 5 == 3 else f"It crashes {number}")  # noqa: PLR2004 - now and then


def _round(house: House, chance: Random, name: str, played: Played) -> None:
    faults = house.server.api.faults
    before = len(faults.struck)
    TROUBLES[name](house, chance)
    house.cycle()
    played.struck[name] += not faults.coming or len(faults.struck) > before
    if name == LASTING:
        house.clock.pass_by(minutes=4)
        house.cycle()
    faults.coming.clear()
    for _ in range(QUIET_CYCLES):
        house.clock.pass_by(minutes=4)
        house.cycle()
    played.broken += [f"after {name}: {one}" for one in broken(house) if one not in _said(played)]
    house.clock.pass_by(minutes=4)


def _said(played: Played) -> set[str]:
    """What was said to be broken before: it is told once."""
    return {one.partition(": ")[2] for one in played.broken}


def _end(house: House, played: Played) -> None:
    """Go on in good weather until all is over."""
    for _ in range(40):
        if house.cycle().outcome == "idle" and not _left(house):
            break
        house.clock.pass_by(minutes=10)
        house.work()
        house.review()
        house.answer()
        for thread in list(house.repository.threads.values()):
            if VAGUE in thread.title and thread.state == "open" and "nothing is to be done" in _words(thread):
                house.server.hub.close(house.repository, house.person(), thread)
    played.broken += [f"at the end: {one}" for one in broken(house)]
    played.broken += [f"at the end: #{one.number} {one.title} is still open" for one in _left(house)]


def _left(house: House) -> list[Thread]:
    filed = [
        one for one in house.repository.threads.values() if one.pull is None and one.title != BOARD_TITLE
    ]
    return [one for one in filed if one.state == "open"]


def _words(thread: Thread) -> str:
    return " ".join(one.body for one in thread.comments)
