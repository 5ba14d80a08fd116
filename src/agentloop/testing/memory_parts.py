"""Small true doubles of the other ports, all in memory: executor, repositories, notes, relay, journal, clock.

With `doubles` (tracker and forge) they make a whole world that a cycle runs in, without a file or a process.
What goes on outside (a worker ends, a person edits the relay, time passes) is done with the methods behind
the ports'. A `Fuse` kills whoever calls a port, at any one call, before or after it took place.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from agentloop.domain.codec import decode, encode
from agentloop.domain.effects import StartAttempt, StartGate, StopAttempt
from agentloop.domain.facts import Entry
from agentloop.domain.observed import AttemptEnded, GateEnded, Lost, Running, Seen
from agentloop.domain.relay import FIRST, Relay, fit, merge, render, stamp_in
from agentloop.domain.shares import Share
from agentloop.domain.work import AttemptSpec, End, Finding, GateSpec, Stopped, Verdict, tip_of
from agentloop.domain.world import World
from agentloop.errors import ConflictError, GoneError, JournalError, NotFoundError, TargetError, UnsafeError
from agentloop.ports import HandedOn, HeldRelay, Rejected, Taken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentloop.domain.effects import ExecutorEffect
    from agentloop.domain.settings import Target
    from agentloop.domain.work import GateBroken, Outcome

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
"""A Monday morning: where a virtual clock begins."""
MODEL = "claude-sonnet-5-5"
"""The model that every worker's calls go to."""


class VirtualClock:
    """A clock that stands still until it is told."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now

    def now(self) -> datetime:
        """Return the time now, in UTC."""
        return self._now

    def pass_by(self, **span: float) -> None:
        """Let time pass, as `timedelta` takes it; a negative span sets the clock back."""
        self._now += timedelta(**span)

    def set_to(self, now: datetime) -> None:
        """Set the clock."""
        self._now = now


@dataclass
class _Run:
    """One process that was started: an attempt or a gate."""

    role: str
    spec: AttemptSpec | GateSpec
    began: datetime
    alive: bool = True
    end: End | None = None
    verdict: Verdict | GateBroken | None = None
    settled_micros: int = 0
    unresolved_micros: int = 0
    tokens: int = 0
    unresolved_tokens: int = 0

    @property
    def shares(self) -> tuple[Share, ...]:
        """What its ledger says, model by model."""
        share = Share(
            model=MODEL,
            calls=1,
            micros=self.settled_micros,
            unresolved_micros=self.unresolved_micros,
            input_tokens=self.tokens,
            unresolved_tokens=self.unresolved_tokens,
        )
        return (share,) if share.most_micros else ()


class MemoryExecutor:
    """Attempts and gates that run until somebody ends them. `started` names each process that ever ran.

    `refuse` (an error's sentence) makes every start fail with UnsafeError.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._runs: dict[tuple[str, str], _Run] = {}
        self.started: list[str] = []
        self.stopped: list[str] = []
        self.refuse = ""
        self._losses = 0

    def observe(self, known: frozenset[str]) -> tuple[Seen, ...]:
        """Return how the runs named `attempt:<id>` or `gate:<id>` in `known` stand."""
        return tuple(self._seen(*name.split(":", 1)) for name in sorted(known))

    def place(self) -> str:
        """Return the name of where records are: another one for each time that they were lost."""
        return f"place {self._losses + 1}"

    def find(self, op: str, effect: ExecutorEffect) -> str | None:  # noqa: ARG002 - a run's id names it
        """Return the attempt's id when it was started (a stop: has ended), or may have been, or None."""
        match effect:
            case StartAttempt(place=place) if place and place != self.place():
                return effect.attempt
            case StartAttempt() | StartGate():
                return effect.attempt if self._claimed(effect) else None
            case StopAttempt():
                return None if any(run.alive for run in self._all(effect.attempt)) else effect.attempt
            case _:
                assert_never(effect)

    def act(self, op: str, effect: ExecutorEffect, spec: AttemptSpec | GateSpec | None) -> str:  # noqa: ARG002 -- as the port has it
        """Start or stop it and return the attempt's id. Raises ConflictError without a spec, UnsafeError."""
        match effect:
            case StartAttempt() | StartGate():
                self._start(effect, spec)
            case StopAttempt():
                for run in self._all(effect.attempt):
                    self._stop(run, effect.attempt)
            case _:
                assert_never(effect)
        return effect.attempt

    # What processes do.

    def alive(self) -> tuple[str, ...]:
        """Return the runs that are alive, as `attempt:<id>` or `gate:<id>`, in the order of their start."""
        return tuple(f"{role}:{attempt}" for (role, attempt), run in self._runs.items() if run.alive)

    def lives(self, name: str) -> bool:
        """Whether the run `attempt:<id>` or `gate:<id>` is alive."""
        role, _, attempt = name.partition(":")
        run = self._runs.get((role, attempt))
        return run is not None and run.alive

    def spec(self, name: str) -> Any:  # noqa: ANN401 - an AttemptSpec or a GateSpec, as the name says
        """Return what the run `attempt:<id>` or `gate:<id>` was given."""
        return self._run(name).spec

    def spend(
        self,
        attempt: str,
        *,
        settled_micros: int,
        unresolved_micros: int = 0,
        tokens: int = 0,
        unresolved_tokens: int = 0,
    ) -> None:
        """Say what the attempt's ledger holds now."""
        run = self._run(f"attempt:{attempt}")
        run.settled_micros, run.unresolved_micros = settled_micros, unresolved_micros
        run.tokens, run.unresolved_tokens = tokens, unresolved_tokens

    def end(self, attempt: str, outcome: Outcome, *, turns: int = 3, sandboxed: bool = True) -> None:
        """Let an attempt end with its record."""
        run = self._run(f"attempt:{attempt}")
        run.alive = False
        run.end = End(
            attempt=attempt,
            outcome=outcome,
            at=self._now(),
            turns=turns,
            sandboxed=sandboxed,
            models=(MODEL,),
        )

    def judge(self, name: str, *findings: Finding) -> None:
        """Let a run of a gate (`7.1.2`, or `7.1.2@2`) end with its verdict: green without findings."""
        run = self._run(f"gate:{name}")
        spec = run.spec
        if not isinstance(spec, GateSpec):
            raise NotFoundError(f"{name} has no gate")
        run.alive = False
        run.verdict = Verdict(
            attempt=spec.attempt,
            commit=spec.commit,
            base=spec.base,
            checks=(),
            findings=findings,
            at=self._now(),
            sandboxed=True,
            evidence=_commit("evidence", spec.commit),
        )

    def give_up(self, name: str, broken: GateBroken) -> None:
        """Let a run of a gate end without a verdict."""
        run = self._run(f"gate:{name}")
        run.alive, run.verdict = False, broken

    def kill(self, name: str) -> None:
        """Kill the run `attempt:<id>` or `gate:<id>`: it leaves no record."""
        self._run(name).alive = False

    def forget(self) -> None:
        """Lose every record, as when the runtime folder is deleted; what runs goes on unseen and is ended."""
        self._runs.clear()
        self._losses += 1

    def _run(self, name: str) -> _Run:
        role, _, attempt = name.partition(":")
        if (role, attempt) not in self._runs:
            raise NotFoundError(f"there is no {name}")
        return self._runs[role, attempt]

    def _all(self, attempt: str) -> tuple[_Run, ...]:
        return tuple(run for (_, one), run in self._runs.items() if one.partition("@")[0] == attempt)

    def _claimed(self, effect: StartAttempt | StartGate) -> bool:
        return _name(effect) in self._runs

    def _start(self, effect: StartAttempt | StartGate, spec: AttemptSpec | GateSpec | None) -> None:
        if spec is None:
            raise ConflictError(f"there is no spec to start {effect.attempt} with")
        if self.refuse:
            raise UnsafeError(self.refuse)
        if self._claimed(effect):
            return
        role, name = _name(effect)
        self.started.append(f"{role}:{name}")
        self._runs[role, name] = _Run(role=role, spec=spec, began=self._now())

    def _stop(self, run: _Run, attempt: str) -> None:
        if not run.alive:
            return
        self.stopped.append(f"{run.role}:{attempt}")
        run.alive = False
        if run.role == "attempt":
            self.end(attempt, Stopped(why="cancelled"))

    def _seen(self, role: str, name: str) -> Seen:
        run = self._runs.get((role, name))
        attempt = name.partition("@")[0]
        if role == "gate":
            if run is None or (not run.alive and run.verdict is None):
                return Lost(attempt=attempt, role="gate")
            if run.verdict is not None:
                return GateEnded(attempt=attempt, verdict=run.verdict)
            return Running(attempt=attempt, role="gate", beat_at=run.began)
        if run is None:
            return Lost(attempt=attempt, role="attempt", spent_micros=None)
        spent = run.settled_micros + run.unresolved_micros
        if run.end is not None:
            return AttemptEnded(
                end=run.end,
                settled_micros=run.settled_micros,
                unresolved_micros=run.unresolved_micros,
                shares=run.shares,
            )
        if run.alive:
            return Running(attempt=attempt, role="attempt", beat_at=run.began, spent_micros=spent)
        return Lost(attempt=attempt, role="attempt", spent_micros=spent, shares=run.shares)


def _name(effect: StartAttempt | StartGate) -> tuple[str, str]:
    match effect:
        case StartAttempt(attempt=attempt):
            return "attempt", attempt
        case StartGate():
            return "gate", effect.run
        case _:
            assert_never(effect)


def _commit(*parts: str) -> str:
    """Return the id that a commit made of `parts` has, always the same."""
    return hashlib.sha1("\0".join(parts).encode(), usedforsecurity=False).hexdigest()


class MemoryRepositories:
    """Targets without files; their branches are those of a forge's double, by (target, branch).

    `broken` holds a reason by target for which nothing can be read from it. `prepared` and `taken` name what
    was done for which attempt.
    """

    def __init__(self, branches: dict[tuple[str, str], str], *, branch: str = "main") -> None:
        self._branches = branches
        self._branch = branch
        self.broken: dict[str, str] = {}
        self.hostile: dict[str, tuple[Finding, ...]] = {}
        """Findings, by attempt, for which a result is not let in."""
        self.files: dict[str, str] = {"README.md": "# A program\n", "tests/test_it.py": ""}
        self.prepared: list[str] = []
        self.taken: dict[str, str] = {}
        self.lost: set[str] = set()
        """Commits that were in the mirror only, and went with it."""

    def head(self, target: Target) -> tuple[str, str]:
        """Return (branch, commit) that work starts from. Raises TargetError."""
        self._look(target)
        commit = self._branches.get((target.name, self._branch))
        if commit is None:
            raise TargetError(f"target {target.name}: the repository has no commits", fix="make one")
        return self._branch, commit

    def prepare(self, spec: AttemptSpec, *, message: str) -> None:  # noqa: ARG002 - the port's name
        """Ready an attempt's work tree; done already = nothing to do. Raises TargetError."""
        self._look(spec.target)
        if spec.id not in self.prepared:
            self.prepared.append(spec.id)

    def take(
        self, spec: AttemptSpec, end: End, *, message: str, parents: tuple[str, ...]
    ) -> Taken | Rejected:
        """Take a result over; taken already = the same commit again. Raises TargetError."""
        self._look(spec.target)
        if spec.id in self.hostile:
            return Rejected(findings=self.hostile[spec.id])
        tip = tip_of(end.outcome)
        commit = _commit(tip, message, *parents)
        self.taken[spec.id] = commit
        # What a worker committed stands for its tree: the same again is the same change.
        return Taken(commit=commit, tree=_commit("tree", tip))

    def frozen(self) -> MemoryRepositories:
        """Return a copy whose branches stay as they are now: what a fetch that lags behind brings."""
        made = MemoryRepositories(dict(self._branches), branch=self._branch)
        made.broken = self.broken
        return made

    def diff(self, target: Target, base: str, commit: str, limit_bytes: int) -> str:
        """Return something that stands for the diff of the two."""
        self._look(target)
        return f"diff {base} {commit}\n"[:limit_bytes]

    def read(self, target: Target, commit: str, path: str, limit_bytes: int) -> str | None:  # noqa: ARG002 -- as the port has it
        """Return a file's text; every commit has the same files."""
        self._look(target)
        text = self.files.get(path)
        return None if text is None else text[:limit_bytes]

    def paths(self, target: Target, commit: str) -> tuple[str, ...]:
        """Return every path; the same for every commit. Raises GoneError for a lost one, TargetError."""
        self._look(target)
        if commit in self.lost:
            raise GoneError(f"commit {commit[:12]} is not in the repository any more")
        return tuple(sorted(self.files))

    def folder(self, target: Target) -> Path:
        """Return where the mirror would be."""
        return Path("/nowhere/mirrors") / target.name

    def _look(self, target: Target) -> None:
        if target.name in self.broken:
            raise TargetError(self.broken[target.name])


class MemoryNotes:
    """Research notes, by path."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def keep(self, task: str, text: str) -> str:
        """Keep a task's note and return its path."""
        path = f"memories/notes/{task}.md"
        self.texts[path] = text
        return path

    def read(self, path: str) -> str:
        """Return a note's text, "" when it is gone."""
        return self.texts.get(path, "")


class MemoryBaton:
    """A relay in memory. `text` is what a person sees, and may be set at any time; `commits` are messages.

    Every version is kept, so that a buffer older than the relay is merged with what it was made from.
    """

    def __init__(self, relay: Relay = FIRST) -> None:
        self._last = relay
        self.written = self.text = self._taken = render(relay)
        self._versions = {stamp_in(self.written): self.written}
        self.commits: list[str] = []
        self._read: tuple[str, str, Relay] = self.text, self.written, relay

    @property
    def relay(self) -> Relay:
        """What was written last, with everything a person did to it since."""
        if self._read[:2] != (self.text, self.written):
            found = self._last if self.text == self.written else self._merged(self._last)
            self._read = self.text, self.written, found
        return self._read[2]

    def take(self) -> HeldRelay:
        """Return the relay as it is now."""
        self._taken = self.text
        return HeldRelay(text=self.text, relay=self.relay)

    def hand_on(self, new: Relay, *, message: str, notes: tuple[str, ...]) -> HandedOn:  # noqa: ARG002 -- as the port has it
        """Write `new`, merged with what a person did since it was written last, its core's part bounded."""
        wanted, _ = fit(new)
        merged = wanted if self.text == self.written else self._merged(wanted)
        if merged == replace(self._last, version=merged.version) and self.text == self.written:
            return HandedOn(version=None)
        self._last = replace(merged, version=self._last.version + 1)
        self.written = self.text = render(self._last)
        self._versions[stamp_in(self.written)] = self.written
        self.commits.append(message)
        return HandedOn(version=self._last.version)

    def write_to_loop(self, words: str) -> None:
        """Write in the person's section, as an editor would."""
        self.text = f"{self.text.rstrip()}\n\n{words}\n"

    def version(self, number: int) -> str:
        """Return the text of the `number`-th version from the start (negative: from the end)."""
        return list(self._versions.values())[number]

    @property
    def versions(self) -> int:
        """How many versions there are."""
        return len(self._versions)

    def _merged(self, ours: Relay) -> Relay:
        stamp = stamp_in(self.text)
        base = self._versions.get(stamp) if stamp is not None else None
        if base is None:
            return merge(self.written, ours, self.text, guessed=True).relay
        return merge(base, ours, self.text).relay


class MemoryJournal:
    """A journal whose lines are in memory: every entry goes through its written form, as in the files.

    `full` makes every write fail, as a full disk does.
    """

    def __init__(self, lines: list[str] | None = None) -> None:
        self.lines: list[str] = [] if lines is None else lines
        self.full = False

    def entries(self) -> tuple[Entry, ...]:
        """Return every entry, oldest first."""
        return tuple(map(_entry, self.lines))

    def world(self) -> World:
        """Return the fold over all entries."""
        world = World()
        for entry in self.entries():
            world.apply(entry)
        return world

    def append(self, entry: Entry) -> None:
        """Add an entry. Raises JournalError when it is full."""
        if self.full:
            raise JournalError("the journal cannot be written: no space left on device")
        self.lines.append(json.dumps(encode(entry)))


@lru_cache(maxsize=10_000)
def _entry(line: str) -> Entry:
    # Entries never change, and whoever tries every kill reads the same lines hundreds of times.
    found: Entry = decode(Entry, json.loads(line))
    return found


class KilledError(BaseException):
    """The process was killed here. No rule may catch it: it is no Exception."""


@dataclass
class Fuse:
    """Kills at the `at`-th point (from 0) that is passed; points are before and after each call of a port.

    Without `at` it only counts. `passed` names the points so far, `acts` each effect that took place through
    a port's `act`, by its operation: a second time is a doubled effect wherever `act` is not idempotent.
    """

    at: int | None = None
    passed: list[str] = field(default_factory=list)
    acts: list[str] = field(default_factory=list)

    def burn(self, point: str) -> None:
        """Pass a point. Raises KilledError at the one it was set for."""
        self.passed.append(point)
        if self.at is not None and len(self.passed) == self.at + 1:
            raise KilledError(point)


class Fused:
    """Something whose every call passes a fuse before and after."""

    def __init__(self, name: str, inner: object, fuse: Fuse) -> None:
        self._name = name
        self._inner = inner
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the inner one has
        found = getattr(self._inner, name)
        if not callable(found):
            return found
        point = f"{self._name}.{name}"

        def call(*words: Any, **named: Any) -> Any:  # noqa: ANN401 - as above
            self._fuse.burn(f"before {point}")
            result = found(*words, **named)
            if name == "act":
                self._fuse.acts.append(f"{self._name} {words[0]}")
            self._fuse.burn(f"after {point}")
            return result

        return call

    def __call__(self, *words: Any, **named: Any) -> Any:  # noqa: ANN401, D102 - as above
        inner: Any = self._inner
        self._fuse.burn(f"before {self._name}")
        result = inner(*words, **named)
        self._fuse.burn(f"after {self._name}")
        return result


def fused(fuse: Fuse, **parts: object) -> Mapping[str, Any]:
    """Return the parts, each behind the fuse under its name."""
    return {name: Fused(name, part, fuse) for name, part in parts.items()}
