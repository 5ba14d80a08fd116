"""A cycle that has no effect: the same ten steps, with ports that only tell what they would do.

It looks at the real world and decides in earnest; tracker, forge, executor and relay stay as they are. Two
things remain: mirrors may be fetched (a cache), and what asking the admin agent cost is in the journal: that
money is spent. What would follow from effects that did not happen is told as far as it can be known.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

from agentloop import cycle, wiring
from agentloop.admin.briefing import brief
from agentloop.asking import Admin
from agentloop.cycle import Spent
from agentloop.domain import facts as f
from agentloop.domain.proposal import Proposal
from agentloop.domain.telling import decision_words, effect_words
from agentloop.domain.valueclass import dataclass, field, replace
from agentloop.domain.world import REHEARSAL
from agentloop.edges import runfolder
from agentloop.edges.clock import SystemClock
from agentloop.edges.executor import LocalExecutor
from agentloop.edges.files import locked
from agentloop.edges.journal import Journal
from agentloop.edges.keys import KEY_VARIABLE, find_key
from agentloop.edges.ledger import Ledger
from agentloop.ports import HandedOn, HeldRelay, Outside, Taken

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from agentloop.cycle import Ended
    from agentloop.domain.effects import ExecutorEffect, ForgeEffect, KeepBoard, TrackerEffect
    from agentloop.domain.issue import Issue, Pull
    from agentloop.domain.observed import BoardSeen, Seen
    from agentloop.domain.proposal import Reply
    from agentloop.domain.relay import Relay
    from agentloop.domain.scene import Scene
    from agentloop.domain.settings import Settings, Target
    from agentloop.domain.signals import Matter
    from agentloop.domain.work import AttemptSpec, End, GateSpec
    from agentloop.domain.world import World
    from agentloop.home import Home
    from agentloop.ports import Baton, Board, Executor, Forge, Notes, Repositories, Tracker

SILENT = Proposal(decisions=(), delta=None, models=(), turns=0)
"""Stands for an admin agent that was not asked."""
WOULD_BE = "(would be)"
"""Stands for the id of what an effect would have made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """A decision, who proposed it, and why it would have been refused ("": it would be carried out)."""

    by: str
    decision: str
    why: str
    refused: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What the cycle would have done. Money is what asking the admin really cost, in micro-dollars.

    `missing` says why the admin agent could not be asked although it was to be ("" otherwise).
    """

    cycle: int
    woken_by: tuple[str, ...]
    briefing: str
    asked: bool
    missing: str
    spent_micros: int
    unresolved_micros: int
    decisions: tuple[Rehearsed, ...]
    effects: tuple[str, ...]
    outcome: str
    problems: tuple[str, ...]
    failed: str
    sleep_until: datetime | None
    sleep_kind: str
    sleep_reason: str


def rehearse(
    home: Home,
    settings: Settings,
    *,
    ask: bool = True,
    before_asking: Callable[[int], None] = lambda _micros: None,
) -> Rehearsal:
    """Return what a cycle on `home` would do now; `ask` False leaves the admin agent out, and costs nothing.

    `before_asking` is told what asking may cost at most, in micro-dollars, just before it is done. Raises
    BusyError when a cycle runs, JournalError.
    """
    runfolder.make_run(str(home.root))
    with locked(home.lock):
        journal, told = Journal(home), _Told()
        number = _settle_killed(home, journal)
        real = wiring.parts(home, settings, told.tell)
        overlay = _Overlay(journal)
        admin = _Account(home, settings, real.outside, journal, number, before_asking if ask else None)
        wakes = _waiting_wakes(home)
        parts = replace(
            real,
            journal=overlay,
            outside=_telling(real.outside, LocalExecutor(home.root, only_look=True), told),
            baton=_ToldBaton(real.baton, told),
            ask_admin=admin,
            take_wake=lambda: wakes,
        )
        ended = cycle.run(parts)
    return _rehearsal(ended, admin, wakes, overlay, told)


def _rehearsal(
    ended: Ended, admin: _Account, wakes: tuple[str, ...], overlay: _Overlay, told: _Told
) -> Rehearsal:
    return Rehearsal(
        cycle=ended.cycle,
        woken_by=wakes,
        briefing=admin.briefing,
        asked=admin.asked,
        missing=admin.missing,
        spent_micros=admin.spent.micros,
        unresolved_micros=admin.spent.unresolved_micros,
        decisions=_decisions(overlay, told),
        effects=tuple(told.effects),
        outcome=ended.outcome,
        problems=ended.problems,
        failed=ended.failed,
        sleep_until=ended.nap.until,
        sleep_kind=ended.nap.kind,
        sleep_reason=ended.nap.reason,
    )


def _waiting_wakes(home: Home) -> tuple[str, ...]:
    try:
        text = home.wake_file.read_text("utf-8", "replace")
    except OSError:
        return ()
    return tuple(runfolder.one_line(line) for line in text.splitlines() if line.strip())


def _decisions(overlay: _Overlay, told: _Told) -> tuple[Rehearsed, ...]:
    found: list[Rehearsed] = []
    for entry in overlay.entries:
        for fact in entry.facts:
            if isinstance(fact, f.Decided):
                words, why = decision_words(fact.decision), fact.decision.rationale
                found.append(Rehearsed(by=fact.by, decision=words, why=why))
            elif isinstance(fact, f.Refused):
                words, why = decision_words(fact.decision), fact.decision.rationale
                found.append(Rehearsed(by=fact.by, decision=words, why=why, refused=fact.why))
    return (*found, *told.refused_by_rules)


# --- money that is really spent -----------------------------------------------------------------------------


class _Account:
    """The admin agent, asked in earnest: its money is reserved in the real journal before, settled after."""

    def __init__(
        self,
        home: Home,
        settings: Settings,
        outside: Outside,
        journal: Journal,
        number: int,
        before_asking: Callable[[int], None] | None,
    ) -> None:
        self.briefing = ""
        self.asked = False
        self.missing = ""
        self.spent = Spent(micros=0, unresolved_micros=0, model=settings.models.admin)
        self._home = home
        self._settings = settings
        self._outside = outside
        self._journal = journal
        self._number = number  # of the last real cycle: the next one keeps its own
        self._clock = SystemClock()
        self._before_asking = before_asking

    def __call__(
        self, scene: Scene, matters: tuple[Matter, ...], *, stall: str, relay: str, purse_micros: int
    ) -> tuple[Reply, Spent, tuple[str, ...]]:
        """Return the outcome, the cost, and the ids of the matters that were shown."""
        known = Admin(self._home, self._settings, self._outside)
        diffs = partial(known.diff, scene)
        self.briefing = brief(scene, matters, relay=relay, stall=stall, diffs=diffs).text
        if self._before_asking is None:
            return SILENT, self.spent, ()
        self.missing = _missing_key(self._settings)
        if self.missing:
            return SILENT, self.spent, ()
        self._before_asking(purse_micros)
        self.asked = True
        now = self._clock.now()
        purse = f"{REHEARSAL}{self._number}:{now:%Y%m%dT%H%M%S.%f}"
        folder = _folder(self._home, purse)
        reserved = f.Reserved(purse=purse, micros=purse_micros)
        self._journal.append(f.Entry(at=now, cycle=self._number, facts=(reserved,)))
        admin = Admin(self._home, self._settings, self._outside, folder=folder)
        try:
            reply, self.spent, shown = admin(
                scene, matters, stall=stall, relay=relay, purse_micros=purse_micros
            )
        finally:
            settled = _settlement(folder, purse, purse_micros, self.spent.model)
            self._journal.append(f.Entry(at=self._clock.now(), cycle=self._number, facts=(settled,)))
        return reply, self.spent, shown


def _missing_key(settings: Settings) -> str:
    try:
        key = find_key(settings.models.key_file, os.environ.get(KEY_VARIABLE, ""))
    except (OSError, UnicodeDecodeError) as error:
        return f"models.key_file cannot be read: {error}"
    return "" if key else "there is no API key for the admin agent's model"


def _folder(home: Home, purse: str) -> Path:
    return home.cycles / purse.replace(":", "-")


def _settlement(folder: Path, purse: str, reserved_micros: int, model: str = "") -> f.Settled:
    """What became of a purse: as its ledger says; without one, all of it is unresolved."""
    ledger = folder / "ledger.jsonl"
    if not folder.is_dir():
        return f.Settled(purse=purse, micros=0, unresolved_micros=reserved_micros, model=model)
    spend = Ledger(ledger).spent()
    return f.Settled(
        purse=purse, micros=spend.settled_micros, unresolved_micros=spend.unresolved_micros, model=model
    )


def _settle_killed(home: Home, journal: Journal) -> int:
    """Settle what a rehearsal that was killed had reserved; return the number of the last cycle.

    Nobody else spends from such a purse: we hold the lock.
    """
    world = journal.world()
    killed = [(purse, each) for purse, each in world.purses.items() if purse.startswith(REHEARSAL)]
    if killed:
        settled = tuple(_settlement(_folder(home, purse), purse, each) for purse, each in killed)
        journal.append(f.Entry(at=SystemClock().now(), cycle=world.cycle, facts=settled))
    return world.cycle


# --- ports that only tell -----------------------------------------------------------------------------------


@dataclass
class _Told:
    """What would have been done, in order."""

    effects: list[str] = field(default_factory=list)
    refused_by_rules: list[Rehearsed] = field(default_factory=list)

    def tell(self, event: str, fields: dict[str, Any]) -> None:
        """Keep what the cycle logs about refusals of the rules; the rest is in its entries."""
        if event == "refused" and fields.get("by") == "rules":
            name, why = str(fields["decision"]).lower(), str(fields["why"])
            self.refused_by_rules.append(Rehearsed(by="rules", decision=name, why="", refused=why))


class _Overlay:
    """The real journal to read, and entries on top that nobody keeps."""

    def __init__(self, journal: Journal) -> None:
        self.entries: list[f.Entry] = []
        self._journal = journal

    def world(self) -> World:
        return self._journal.world()

    def append(self, entry: f.Entry) -> None:
        self.entries.append(entry)


def _telling(outside: Outside, executor: Executor, told: _Told) -> Outside:
    return replace(
        outside,
        tracker=_ToldTracker(outside.tracker, told),
        board=_ToldBoard(outside.board, told),
        forge=_ToldForge(outside.forge, told),
        executor=_ToldExecutor(executor, told),
        repositories=_ToldRepositories(outside.repositories, told),
        notes=_ToldNotes(outside.notes, told),
        sweep=lambda _keep: None,
        bound=lambda _over: None,
        heard=lambda _request: None,
    )


@dataclass(frozen=True)
class _ToldTracker:
    real: Tracker
    told: _Told

    def observe(self, known: frozenset[str]) -> tuple[Issue, ...]:
        return self.real.observe(known)

    def find(self, op: str, effect: TrackerEffect) -> str | None:
        return self.real.find(op, effect)

    def act(self, op: str, effect: TrackerEffect) -> str:  # noqa: ARG002 -- the port's
        self.told.effects.append(effect_words(effect))
        return WOULD_BE


@dataclass(frozen=True)
class _ToldBoard:
    real: Board
    told: _Told

    def observe(self, known: str) -> tuple[BoardSeen, ...]:
        return self.real.observe(known)

    def find(self, op: str, effect: KeepBoard) -> str | None:
        return self.real.find(op, effect)

    def act(self, op: str, effect: KeepBoard) -> str:  # noqa: ARG002 -- the port's
        self.told.effects.append(effect_words(effect))
        return WOULD_BE


@dataclass(frozen=True)
class _ToldForge:
    real: Forge
    told: _Told

    def observe(self, known: frozenset[str]) -> tuple[Pull, ...]:
        return self.real.observe(known)

    def find(self, op: str, effect: ForgeEffect) -> str | None:
        pull = getattr(effect, "pull", "")
        return None if pull == WOULD_BE else self.real.find(op, effect)

    def act(self, op: str, effect: ForgeEffect) -> str:  # noqa: ARG002 -- the port's
        self.told.effects.append(effect_words(effect))
        return WOULD_BE


@dataclass(frozen=True)
class _ToldExecutor:
    real: Executor
    told: _Told

    def observe(self, known: frozenset[str]) -> tuple[Seen, ...]:
        return self.real.observe(known)

    def place(self) -> str:
        return ""  # a place without a name would be given one, which is a write

    def find(self, op: str, effect: ExecutorEffect) -> str | None:
        return self.real.find(op, effect)

    def act(
        self,
        op: str,  # noqa: ARG002 -- the port's
        effect: ExecutorEffect,
        spec: AttemptSpec | GateSpec | None,  # noqa: ARG002 -- the port's
    ) -> str:
        self.told.effects.append(effect_words(effect))
        return effect.attempt


@dataclass(frozen=True)
class _ToldRepositories:
    real: Repositories
    told: _Told

    def head(self, target: Target) -> tuple[str, str]:
        return self.real.head(target)

    def prepare(self, spec: AttemptSpec, *, message: str) -> None:  # noqa: ARG002 -- the port's
        self.told.effects.append(f"make a work tree for attempt {spec.id} at {spec.base[:10]}")

    def take(self, spec: AttemptSpec, end: End, *, message: str, parents: tuple[str, ...]) -> Taken:
        del end, message, parents
        says = f"take the result of attempt {spec.id} over as a commit, if its tree may come in"
        self.told.effects.append(says)
        return Taken(commit=WOULD_BE)

    def diff(self, target: Target, base: str, commit: str, limit_bytes: int) -> str:
        return WOULD_BE if commit == WOULD_BE else self.real.diff(target, base, commit, limit_bytes)

    def read(self, target: Target, commit: str, path: str, limit_bytes: int) -> str | None:
        return self.real.read(target, commit, path, limit_bytes)

    def paths(self, target: Target, commit: str) -> tuple[str, ...]:
        return self.real.paths(target, commit)

    def folder(self, target: Target) -> Path:
        return self.real.folder(target)


@dataclass(frozen=True)
class _ToldNotes:
    real: Notes
    told: _Told

    def keep(self, task: str, text: str) -> str:
        self.told.effects.append(f"keep the note of task {task} ({len(text)} characters) in the home")
        return f"memories/notes/{task}.md"

    def read(self, path: str) -> str:
        return self.real.read(path)


@dataclass
class _ToldBaton:
    real: Baton
    told: _Told
    held: HeldRelay | None = None

    def take(self) -> HeldRelay:
        self.held = self.real.take()
        return self.held

    def hand_on(self, new: Relay, *, message: str, notes: tuple[str, ...]) -> HandedOn:
        del message, notes
        if self.held is None or new != self.held.relay:
            self.told.effects.append(f"write and commit the relay; its next action: {new.plan.next_action}")
        return HandedOn(version=None)
