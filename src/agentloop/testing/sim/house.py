"""The world in memory that a simulated cycle runs in, and what its bills come to."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from agentloop.domain.world import World
from agentloop.errors import JournalError
from agentloop.testing.doubles import MemoryForge, MemoryTracker
from agentloop.testing.memory_parts import START, MemoryBaton, MemoryExecutor, MemoryNotes, MemoryRepositories

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentloop.cycle import Spent
    from agentloop.domain.facts import Entry
    from agentloop.domain.observed import RetryRequest
    from agentloop.domain.settings import Settings
    from agentloop.ports import HeldRelay

FIRST_COMMIT = "a" * 40


class Lines:
    """A journal in memory that keeps its fold: whoever is given the world folds in what it appends.

    `catch_up` folds in the last entry for somebody who was killed between the two. `full` is a full disk.
    """

    def __init__(self, heard: Callable[[Entry], None]) -> None:
        self.entries: list[Entry] = []
        self.full = False
        self._heard = heard
        self._world = World()

    def world(self) -> World:
        """Return the fold over all entries."""
        return self._world

    def append(self, entry: Entry) -> None:
        """Add an entry. Raises JournalError when it is full."""
        if self.full:
            raise JournalError("the journal cannot be written: no space left on device")
        self._heard(entry)
        self.entries.append(entry)

    def catch_up(self) -> None:
        """Fold the last entry in, which nobody did."""
        self._world.apply(self.entries[-1])


class Times:
    """Two clocks: one that only goes on (`mono`, seconds), and the wall's, which somebody may set."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self.mono = 0.0
        self.set_by = 0.0
        """Seconds by which the wall's clock is off."""

    def now(self) -> datetime:
        """Return what the wall's clock shows, in UTC."""
        return self._start + timedelta(seconds=self.mono + self.set_by)

    def at(self, moment: datetime) -> float:
        """Return the `mono` of a moment on the wall's clock."""
        return (moment - self._start).total_seconds() - self.set_by


class Baton(MemoryBaton):
    """A relay that tells when a cycle takes it over: what it looks at from then on is its look."""

    is_taken = False

    def take(self) -> HeldRelay:
        """Return the relay as it is now."""
        self.is_taken = True
        return super().take()


class Requests:
    """What persons asked for with `agentloop retry`, until a cycle takes it away."""

    def __init__(self) -> None:
        self.left: dict[str, RetryRequest] = {}

    def asked(self) -> tuple[RetryRequest, ...]:
        """Return what nobody has taken away so far, oldest first."""
        return tuple(self.left.values())

    def heard(self, request: str) -> None:
        """Take a request away."""
        self.left.pop(request, None)


@dataclass
class House:
    """Ports' doubles, clocks, settings and bills of one simulated home."""

    settings: Settings
    times: Times = field(default_factory=Times)
    heard: list[Entry] = field(default_factory=list)
    """Entries of the journal that nobody has checked yet."""
    served_micros: int = 0
    """What the vendor will bill: nobody in the simulated world sees it."""
    served_tokens: int = 0
    was_woken: bool = False
    """Whether a person had woken that cycle."""
    clock_set: int = 0
    """How often somebody set the wall's clock."""
    admin_ledger: dict[int, Spent] = field(default_factory=dict)
    pushed: set[str] = field(default_factory=set)
    quiet_cycles: int = 0
    is_woken: bool = False

    def __post_init__(self) -> None:
        now = self.times.now
        self.in_force = self.settings
        """The settings that the cycle in hand, or the last one, was started with."""
        self.tracker = MemoryTracker(now)
        self.forge = MemoryForge(now)
        for target in self.settings.targets:
            self.forge.branches[target.name, "main"] = FIRST_COMMIT
        self.executor = MemoryExecutor(now)
        self.repositories = MemoryRepositories(self.forge.branches)
        self.notes = MemoryNotes()
        self.requests = Requests()
        self.baton = Baton()
        self.journal = Lines(self.heard.append)

    @property
    def world(self) -> World:
        """What the journal tells."""
        return self.journal.world()

    def wipe(self) -> None:
        """Delete the runtime folder: runs end, ledgers go, and with the mirror what was not pushed."""
        self.executor.forget()
        self.admin_ledger.clear()
        self.repositories.lost |= set(self.repositories.taken.values()) - self.pushed
        self.quiet_cycles = 0

    def take_wake(self) -> tuple[str, ...]:
        """Take the wake trigger away."""
        self.was_woken, self.is_woken = self.is_woken, False
        return ("a person",) if self.was_woken else ()
