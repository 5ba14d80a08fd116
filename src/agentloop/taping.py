"""Ports behind a tape: all that a cycle asks of the outside is taken down, or played back, at this seam.

One class a port. While a tape plays nothing here touches the real port behind it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from agentloop.cycle import Parts, Spent
from agentloop.domain.codec import Plain, decode, moment
from agentloop.domain.issue import Issue, Pull
from agentloop.domain.observed import Barred, BoardSeen, Ground, RetryRequest, Seen
from agentloop.domain.relay import Relay
from agentloop.domain.shares import Share
from agentloop.domain.valueclass import dataclass, field
from agentloop.ports import HandedOn, HeldRelay, Outside, Rejected, Taken

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from agentloop.domain.effects import ExecutorEffect, ForgeEffect, KeepBoard, TrackerEffect
    from agentloop.domain.facts import Entry
    from agentloop.domain.model import Answer, Request
    from agentloop.domain.settings import Target
    from agentloop.domain.taping import Tape
    from agentloop.domain.work import AttemptSpec, End, GateSpec
    from agentloop.domain.world import World
    from agentloop.ports import (
        Baton,
        Board,
        Clock,
        Executor,
        Forge,
        Journal,
        Model,
        Notes,
        Repositories,
        Tracker,
    )

T = TypeVar("T")


def as_it_is(data: Plain) -> Any:  # noqa: ANN401 - text and numbers come back as they were
    """Return plain data as it is."""
    return data


def reads(kind: Any) -> Callable[[Plain], Any]:  # noqa: ANN401 - as in `decode`
    """Return what makes a value of `kind` from its plain form."""
    return lambda data: decode(kind, data)


def read_spent(data: Plain) -> Spent:
    """Return what asking cost, from its plain form."""
    shares = decode(tuple[Share, ...], data["shares"])
    return Spent(
        micros=data["micros"],
        unresolved_micros=data["unresolved_micros"],
        model=data["model"],
        shares=shares,
    )


def taped(parts: Parts, tape: Tape) -> Parts:
    """Return the parts of a cycle with every port behind the tape, but for the admin agent's own."""
    return Parts(
        version=parts.version,
        settings=parts.settings,
        ask_admin=parts.ask_admin,
        quiet_cycles=parts.quiet_cycles,
        clock=TapedClock(tape, parts.clock),
        journal=TapedJournal(tape, parts.journal),
        outside=taped_outside(parts.outside, tape),
        baton=_Baton(tape, parts.baton),
        ground=lambda target: tape.call("ground", target.name, lambda: parts.ground(target), reads(Ground)),
        take_wake=lambda: tape.call("wake", None, parts.take_wake, tuple),
        spent_in=lambda cycle: tape.call(
            "spent_in", cycle, lambda: parts.spent_in(cycle), lambda data: data and read_spent(data)
        ),
        tell=lambda event, fields: _tell(tape, parts.tell, event, fields),
    )


def taped_outside(outside: Outside, tape: Tape) -> Outside:
    """Return the ports that effects go through, behind the tape."""
    # Named one by one: a port that is added and not taped must not be reached when a tape plays.
    return Outside(
        tracker=_Tracker(tape, outside.tracker),
        forge=_Forge(tape, outside.forge),
        executor=_Executor(tape, outside.executor),
        repositories=_Repositories(tape, outside.repositories),
        notes=_Notes(tape, outside.notes),
        sweep=lambda keep: tape.call("sweep", keep, lambda: outside.sweep(keep), as_it_is),
        # Where the home lies is told as well: a record that was moved with it must run as it did.
        attempt_folder=lambda name: tape.call(
            "attempt_folder", name, lambda: outside.attempt_folder(name), as_it_is
        ),
        gate_folder=lambda run: tape.call("gate_folder", run, lambda: outside.gate_folder(run), as_it_is),
        bound=lambda over: tape.call("bound", None, lambda: _bound(outside, over), as_it_is),
        disk_mb=lambda: tape.call("disk_mb", None, outside.disk_mb, as_it_is),
        disk_short=lambda: tape.call("disk_short", None, outside.disk_short, as_it_is),
        asked=lambda: tape.call("asked", None, outside.asked, reads(tuple[RetryRequest, ...])),
        barred=lambda: tape.call("barred", None, outside.barred, reads(tuple[Barred, ...])),
        heard=lambda name: tape.call("heard", name, lambda: outside.heard(name), as_it_is),
        board=_Board(tape, outside.board),
    )


def _bound(outside: Outside, over: Callable[[], tuple[str, ...]]) -> None:
    outside.bound(over)


def _tell(
    tape: Tape, tell: Callable[[str, dict[str, Any]], None], event: str, fields: dict[str, Any]
) -> None:
    if event == "refused":
        tape.call("tell.refused", fields, lambda: tell(event, fields), as_it_is)
    else:
        tell(event, fields)


@dataclass(frozen=True)
class TapedClock:
    """The clock, behind a tape."""

    tape: Tape
    real: Clock

    def now(self) -> datetime:
        """Return the time now."""
        return self.tape.call("clock", None, self.real.now, moment)


@dataclass
class TapedModel:
    """The model, behind a tape: made when it is first asked. Of a request what is new in it is taken down."""

    tape: Tape
    make: Callable[[], Model]
    made: list[Model] = field(default_factory=list)
    told: int = 0

    def ask(self, request: Request) -> Answer:
        """Return the model's answer. Raises what making it raises."""
        from agentloop.domain.model import Answer

        new, self.told = request.messages[self.told :], len(request.messages)
        gave = {
            **{name: getattr(request, name) for name in ("model", "max_output_tokens", "continues")},
            "timeout_seconds": request.timeout_seconds,
            "system": [block.text for block in request.system],
            "tools": request.tools,
            "messages": new,
        }
        answer: Answer = self.tape.call("model", gave, lambda: self._real().ask(request), reads(Answer))
        return answer

    def _real(self) -> Model:
        if not self.made:
            self.made.append(self.make())
        return self.made[0]


@dataclass(frozen=True)
class TapedJournal:
    """The journal, behind a tape: what is read is its own business, what is written is taken down."""

    tape: Tape
    real: Journal

    def world(self) -> World:
        """Return the fold over everything recorded."""
        return self.real.world()

    def append(self, entry: Entry) -> None:
        """Record facts."""
        self.tape.call("journal.append", entry, lambda: self.real.append(entry), as_it_is)


@dataclass(frozen=True)
class _Baton:
    tape: Tape
    real: Baton

    def take(self) -> HeldRelay:
        return self.tape.call("baton.take", None, self.real.take, _read_held)

    def hand_on(self, new: Relay, *, message: str, notes: tuple[str, ...]) -> HandedOn:
        gave = {"relay": new, "message": message, "notes": notes}
        return self.tape.call(
            "baton.hand_on",
            gave,
            lambda: self.real.hand_on(new, message=message, notes=notes),
            reads(HandedOn),
        )


def _read_held(data: Plain) -> HeldRelay:
    return HeldRelay(text=data["text"], relay=decode(Relay, data["relay"]))


@dataclass(frozen=True)
class _Tracker:
    tape: Tape
    real: Tracker

    def observe(self, known: frozenset[str]) -> tuple[Issue, ...]:
        return self.tape.call(
            "tracker.observe", known, lambda: self.real.observe(known), reads(tuple[Issue, ...])
        )

    def find(self, op: str, effect: TrackerEffect) -> str | None:
        return self.tape.call("tracker.find", op, lambda: self.real.find(op, effect), as_it_is)

    def act(self, op: str, effect: TrackerEffect) -> str:
        gave = {"op": op, "effect": effect}
        return self.tape.call("tracker.act", gave, lambda: self.real.act(op, effect), as_it_is)


@dataclass(frozen=True)
class _Board:
    tape: Tape
    real: Board

    def observe(self, known: str) -> tuple[BoardSeen, ...]:
        return self.tape.call(
            "board.observe", known, lambda: self.real.observe(known), reads(tuple[BoardSeen, ...])
        )

    def find(self, op: str, effect: KeepBoard) -> str | None:
        return self.tape.call("board.find", op, lambda: self.real.find(op, effect), as_it_is)

    def act(self, op: str, effect: KeepBoard) -> str:
        gave = {"op": op, "effect": effect}
        return self.tape.call("board.act", gave, lambda: self.real.act(op, effect), as_it_is)


@dataclass(frozen=True)
class _Forge:
    tape: Tape
    real: Forge

    def observe(self, known: frozenset[str]) -> tuple[Pull, ...]:
        return self.tape.call(
            "forge.observe", known, lambda: self.real.observe(known), reads(tuple[Pull, ...])
        )

    def find(self, op: str, effect: ForgeEffect) -> str | None:
        return self.tape.call("forge.find", op, lambda: self.real.find(op, effect), as_it_is)

    def act(self, op: str, effect: ForgeEffect) -> str:
        gave = {"op": op, "effect": effect}
        return self.tape.call("forge.act", gave, lambda: self.real.act(op, effect), as_it_is)


@dataclass(frozen=True)
class _Executor:
    tape: Tape
    real: Executor

    def observe(self, known: frozenset[str]) -> tuple[Seen, ...]:
        return self.tape.call(
            "executor.observe", known, lambda: self.real.observe(known), reads(tuple[Seen, ...])
        )

    def place(self) -> str:
        return self.tape.call("executor.place", None, self.real.place, as_it_is)

    def find(self, op: str, effect: ExecutorEffect) -> str | None:
        return self.tape.call("executor.find", op, lambda: self.real.find(op, effect), as_it_is)

    def act(self, op: str, effect: ExecutorEffect, spec: AttemptSpec | GateSpec | None) -> str:
        gave = {"op": op, "effect": effect, "spec": spec}
        return self.tape.call("executor.act", gave, lambda: self.real.act(op, effect, spec), as_it_is)


@dataclass(frozen=True)
class _Repositories:
    tape: Tape
    real: Repositories

    def head(self, target: Target) -> tuple[str, str]:
        return self.tape.call(
            "repositories.head", target.name, lambda: self.real.head(target), reads(tuple[str, str])
        )

    def prepare(self, spec: AttemptSpec, *, message: str) -> None:
        gave = {"spec": spec, "message": message}
        self.tape.call(
            "repositories.prepare", gave, lambda: self.real.prepare(spec, message=message), as_it_is
        )

    def take(
        self, spec: AttemptSpec, end: End, *, message: str, parents: tuple[str, ...]
    ) -> Taken | Rejected:
        gave = {"attempt": spec.id, "message": message, "parents": parents}
        return self.tape.call(
            "repositories.take",
            gave,
            lambda: self.real.take(spec, end, message=message, parents=parents),
            _read_taken,
        )

    def diff(self, target: Target, base: str, commit: str, limit_bytes: int) -> str:
        gave = [target.name, base, commit, limit_bytes]
        return self.tape.call(
            "repositories.diff", gave, lambda: self.real.diff(target, base, commit, limit_bytes), as_it_is
        )

    def read(self, target: Target, commit: str, path: str, limit_bytes: int) -> str | None:
        gave = [target.name, commit, path, limit_bytes]
        return self.tape.call(
            "repositories.read", gave, lambda: self.real.read(target, commit, path, limit_bytes), as_it_is
        )

    def paths(self, target: Target, commit: str) -> tuple[str, ...]:
        return self.tape.call(
            "repositories.paths", [target.name, commit], lambda: self.real.paths(target, commit), tuple
        )

    def folder(self, target: Target) -> Path:
        return Path(
            self.tape.call(
                "repositories.folder", target.name, lambda: str(self.real.folder(target)), as_it_is
            )
        )


def _read_taken(data: Plain) -> Taken | Rejected:
    from agentloop.domain.work import Finding

    if "findings" in data:
        return Rejected(findings=decode(tuple[Finding, ...], data["findings"]))
    taken: Taken = decode(Taken, data)
    return taken


@dataclass(frozen=True)
class _Notes:
    tape: Tape
    real: Notes

    def keep(self, task: str, text: str) -> str:
        gave = {"task": task, "text": text}
        return self.tape.call("notes.keep", gave, lambda: self.real.keep(task, text), as_it_is)

    def read(self, path: str) -> str:
        return self.tape.call("notes.read", path, lambda: self.real.read(path), as_it_is)
