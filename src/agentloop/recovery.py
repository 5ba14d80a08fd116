"""A journal that mends itself: what is lost of it is noticed, put aside, and told again by our marks outside.

Lost is what the files show (a line that makes no sense, a number that is missing) and what the last cycle or
the relay knew beyond them. Then tracker, forge, notes and the folders of attempts are read, and what they
prove becomes facts again, so that no effect is done a second time. Killed in between, it starts over: it adds
only what is not known yet.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

from agentloop.domain import facts as f
from agentloop.domain import marks as m
from agentloop.domain import states as s
from agentloop.domain.codec import CodecError, decode
from agentloop.domain.effects import StopAttempt, operation
from agentloop.domain.planning import branch_of
from agentloop.domain.settings import micros
from agentloop.domain.signals import evidence_for
from agentloop.domain.valueclass import dataclass
from agentloop.domain.work import AttemptSpec
from agentloop.domain.world import LOST_PURSE
from agentloop.edges.files import make_folder
from agentloop.errors import BusyError, DamagedJournalError, JournalError, TargetError, UnsafeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from agentloop.domain.facts import Entry
    from agentloop.domain.relay.values import Facts
    from agentloop.domain.settings import Settings
    from agentloop.domain.world import World
    from agentloop.edges.forge import FileForge
    from agentloop.edges.journal import Journal
    from agentloop.edges.tracker import FileTracker
    from agentloop.home import Home
    from agentloop.ports import Clock, Executor, Marked, Repositories


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnesses:
    """Who can tell what the journal was: `facts` are the relay's as last written, `number` its last entry's.

    Both say what is known beside the journal; () and 0 when nothing is. `elsewhere` are places beside the
    built-in tracker and forge.
    """

    tracker: FileTracker
    forge: FileForge
    executor: Executor
    repositories: Repositories
    facts: Callable[[], Facts]
    number: int = 0
    elsewhere: tuple[Marked, ...] = ()


class MendedJournal:
    """The journal port over a home's files; `world` mends what is lost before it returns."""

    def __init__(
        self, journal: Journal, home: Home, settings: Settings, clock: Clock, witnesses: Witnesses
    ) -> None:
        self._journal = journal
        self._home = home
        self._settings = settings
        self._clock = clock
        self._by = witnesses

    def append(self, entry: Entry) -> None:
        """Record facts; they are durable on return. Raises JournalError."""
        self._journal.append(entry)

    def world(self) -> World:
        """Return the fold over everything recorded, and over what was lost and could be found again.

        Raises JournalError: also when marks are there that nothing can prove any more.
        """
        try:
            world = self._journal.world()
        except DamagedJournalError:
            self._journal.mend(self._clock.now())
            world = self._journal.world()
        self._notice_lost_tail(world)
        if not world.mended:
            self._find_again(world)
        return world

    def _notice_lost_tail(self, world: World) -> None:
        """What lines do not show: the last ones are cut off, or all are gone."""
        number, known = self._journal.last_number(), self._by.number
        if 0 < known <= number:
            return
        cycle = _cycle_in(self._by.facts())
        if known <= number and cycle <= world.cycle and (number or not self._by.tracker.has_key()):
            return
        what = "its last entries were missing" if number else "all of it was missing"
        fact = f.JournalLost(what=what, tail=True)
        entry = f.Entry(at=self._clock.now(), cycle=max(cycle, world.cycle), facts=(fact,))
        self._journal.append(entry, until=known)
        world.apply(entry)

    def _find_again(self, world: World) -> None:
        self._refuse_unproved()
        told = m.in_order(tuple(self._marks()))
        count = 0
        for mark in told:
            lost = m.lost(world, mark)
            if lost and mark.carried is not None:
                found = f.FoundByMark(op=mark.op, where=mark.where)
                self._add(world, mark.carried.at, found, *lost, cycle=mark.carried.cycle)
                count += 1
        now = self._clock.now()
        for facts in (*self._notes(world), *self._attempts(world)):
            self._add(world, now, *facts)
        self._count_money(world, told, now)
        self._add(world, now, f.JournalMended(marks=count))

    def _marks(self) -> Iterator[m.Mark]:
        places: tuple[Marked, ...] = (self._by.tracker, self._by.forge, *self._by.elsewhere)
        for place in places:
            try:
                yield from place.marks()
            except (TargetError, BusyError, UnsafeError) as error:
                raise JournalError(
                    f"the journal is lost, and what was done cannot be read: {error.what}", fix=error.fix
                ) from error

    def _add(self, world: World, at: datetime, *facts: f.Fact, cycle: int = 0) -> None:
        entry = f.Entry(at=at, cycle=max(cycle, world.cycle), facts=facts)
        self._journal.append(entry)
        world.apply(entry)

    def _refuse_unproved(self) -> None:
        """Without the key none of our marks proves anything: all that they stand for would be done again."""
        if self._by.tracker.has_key():
            return
        issues, pulls = self._by.tracker.unproved(), self._by.forge.unproved()
        pulls = (*pulls, *(one for place in self._by.elsewhere for one in place.unproved()))
        if issues or pulls:
            named = ", ".join(
                (*(f"issue {one}" for one in issues), *(f"pull request {one}" for one in pulls))
            )
            raise JournalError(
                f"the journal is lost, and so is the key that proves what was done: {named}",
                fix=f"put {self._home.tracker / 'key'} back from a backup, or close what is named",
            )

    def _notes(self, world: World) -> Iterator[tuple[f.Fact, ...]]:
        for view in world.live_tasks():
            note = self._home.note_of(view.task.id)
            if view.task.kind == "research" and isinstance(view.state, s.Queued) and note.is_file():
                yield (f.NoteFound(task=view.task.id, path=str(note.relative_to(self._home.root))),)

    def _attempts(self, world: World) -> Iterator[tuple[f.Fact, ...]]:
        last: dict[str, int] = {}
        for path in self._home.attempts.glob("*.*.*"):
            task, _, said = path.name.rpartition(".")
            if task not in world.tasks:
                self._put_away(path)
            elif said.isdecimal():
                last[task] = max(last.get(task, 0), int(said))
        for task, number in sorted(last.items()):
            view = world.tasks[task]
            if not s.over(view.state) and int(view.next_attempt.rpartition(".")[2]) <= number:
                yield self._taken_up(view, number) or _forgotten(task, number)

    def _put_away(self, folder: Path) -> None:
        """An attempt of a task that nobody knows: ended, and out of the way of one that gets its id."""
        self._by.executor.act("", StopAttempt(attempt=folder.name, why="the journal lost it"), None)
        away = self._home.forgotten
        make_folder(away)
        for path in (folder, *self._home.gates.glob(f"{folder.name}*")):
            path.rename(away / f"{path.parent.name}-{path.name}-{self._clock.now():%Y%m%dT%H%M%S%f}")

    def _taken_up(self, view: s.TaskView, number: int) -> tuple[f.Fact, ...]:
        """The start of an attempt on a task of which nothing else is known; () when it is not to be had."""
        attempt = f"{view.task.id}.{number}"
        spec = _spec(self._home.attempt(attempt).spec)
        state, target = view.state, self._settings.target(view.task.target)
        if spec is None or target is None or not isinstance(state, s.Queued) or view.tries or view.head:
            return ()
        if spec.task.contract != view.task.contract:
            return ()
        branch = target.branch
        with contextlib.suppress(TargetError):
            branch = branch or self._by.repositories.head(target)[0]
        started = f.AttemptStarted(
            attempt=attempt,
            task=view.task.id,
            base=spec.base,
            parents=(spec.base,),
            branch=branch_of(view.task),
            base_branch=branch,
            evidence=evidence_for(view, state),
            slice_micros=spec.slice_micros,
            deadline=spec.deadline,
        )
        purse = f.Reserved(purse=f"attempt:{attempt}", micros=spec.slice_micros)
        return (started, purse) if branch else ()

    def _count_money(self, world: World, told: list[m.Mark], now: datetime) -> None:
        """What is known to be spent is settled; what may have been spent today counts at the day's limit."""
        known = m.known_spending(told, self._by.facts()) - world.spent_micros()
        if known > 0:
            at = min(now, told[-1].carried.at if told and told[-1].carried else now)
            self._add(world, at, f.Settled(purse="lost:known", micros=known))
        rest = micros(self._settings.limits.day_usd) - world.spent_micros(now.date())
        if world.tail_lost and rest > 0:
            self._add(world, now, f.Settled(purse=LOST_PURSE, micros=0, unresolved_micros=rest))


def _cycle_in(facts: Facts) -> int:
    said = dict(facts).get("cycle") or ""
    return int(said) if said.isdecimal() else 0


def _spec(path: Path) -> AttemptSpec | None:
    try:
        found: AttemptSpec = decode(AttemptSpec, json.loads(path.read_bytes()))
    except (OSError, ValueError, CodecError):
        return None
    return found


def _forgotten(task: str, number: int) -> tuple[f.Fact, ...]:
    attempt = f"{task}.{number}"
    stop = StopAttempt(attempt=attempt, why="the journal lost what it was started on")
    return (
        f.AttemptsForgotten(task=task, number=number),
        f.EffectIntended(op=operation("stop", attempt, "forgotten"), effect=stop),
    )
