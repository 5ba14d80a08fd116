"""`agentloop attempt ID`: the trusted half of an attempt.

It claims the attempt, reads its spec, holds the model's key, and watches deadline and supervisor while the
agent works in the sandbox. Whatever happens, it commits what there is, and writes the end record last.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from agentloop import exits, prompts
from agentloop.domain.codec import CodecError, decode, encode
from agentloop.domain.model import Limited
from agentloop.domain.resets import SHORT, waits_until
from agentloop.domain.secrets import redact, redacted
from agentloop.domain.stall import Bounds
from agentloop.domain.valueclass import dataclass, replace
from agentloop.domain.work import (
    AttemptSpec,
    Broken,
    Delivered,
    End,
    GaveUp,
    NothingDone,
    Outcome,
    Stopped,
)
from agentloop.edges.claims import claim
from agentloop.edges.files import write_durable
from agentloop.edges.keys import credentials_are_away, find_key, take_key_from_environment
from agentloop.edges.room import Room
from agentloop.errors import AgentloopError
from agentloop.home import Home
from agentloop.worker import agent
from agentloop.worker.events import Events
from agentloop.worker.leash import Leash, Pulled
from agentloop.worker.workplace import Workplace, checks_of, how

if TYPE_CHECKING:
    from agentloop.domain.model import Answer, Request
    from agentloop.home import RunFolder
    from agentloop.ports import Model
    from agentloop.worker.workplace import Proof, Result

Connect: TypeAlias = "Callable[[AttemptSpec, str, Path], Model]"
"""Makes the metered model from the spec, the API key and the ledger's path. Raises AgentloopError."""

_NAMES: Final = frozenset({"is", "attempt", "tip", "at", "until", "models"})
"""Fields of the end record that hold names, not a model's words."""
KEY_LOOK_SECONDS: Final = 0.2
SHORT_WAITS: Final = 5
"""How often in one turn a limit that is over in a moment is waited out; then the attempt ends with it."""
_EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = timedelta(seconds=120)
"""How long after its deadline an attempt may still hand over what it had; one that wakes up later may not."""


def main(attempt_id: str, home: Path, connect: Connect) -> int:
    """Run the attempt to its end record and return an exit code (0: there is one)."""
    folder = Home(home).attempt(attempt_id)
    if not folder.spec.is_file():
        sys.stderr.write(f"there is no attempt {attempt_id} in {home}\n")
        return exits.NOT_FOUND
    if not claim(folder.claim):
        sys.stderr.write(f"attempt {attempt_id} is taken by another process\n")
        return exits.BUSY
    key = take_key_from_environment()
    _close_doors()
    try:
        spec: AttemptSpec = decode(AttemptSpec, json.loads(folder.spec.read_bytes()))
    except (OSError, ValueError, CodecError) as error:
        broken = Broken(reason=f"spec.json cannot be used: {error}", fix="it is started again by itself")
        write_end(folder, End(attempt=attempt_id, outcome=broken, at=_now(), turns=0, sandboxed=False))
        return exits.OK
    room = Room(folder.root, most_mb=spec.limits.attempt_mb, free_mb=spec.limits.free_mb)
    leash = Leash(folder, home, deadline=spec.deadline, grace_seconds=spec.worker.grace_seconds, room=room)
    with leash:
        _Attempt(spec=spec, folder=folder, home=home, leash=leash).run(key, connect)
    return exits.OK


def _close_doors() -> None:
    """Let nothing prompt us, no core file hold the key, and no process of the same user look in."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    set_dumpable = 4  # linux/prctl.h
    ctypes.CDLL(None).prctl(set_dumpable, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """One attempt under way."""

    spec: AttemptSpec
    folder: RunFolder
    home: Path
    leash: Leash

    def run(self, key: str, connect: Connect) -> None:
        """Work, hand over, and write the end record."""
        course = agent.Course()
        outcome: Outcome
        place = Workplace(self.spec, interrupt=self.leash.interrupt)
        try:
            outcome = self._work(place, course, key, connect)
        except Pulled as pulled:
            outcome = pulled.stopped
        except AgentloopError as error:
            # A command that was stopped makes what stands on it fail: the reason is the pull, not that.
            outcome = self.leash.stopped or Broken(reason=error.what, fix=error.fix)
        except OSError as error:
            outcome = Broken(
                reason=f"the machine failed: {error}",
                fix="look at disk space and permissions (agentloop doctor)",
            )
        place.ignore_interrupt()
        if not self.leash.is_held:
            return  # counted as lost: what it would hand over now might be another's
        outcome = self._handed_over(place, outcome, course)
        write_end(
            self.folder,
            End(
                attempt=self.spec.id,
                outcome=outcome,
                at=_now(),
                turns=course.turns,
                sandboxed=self.spec.worker.sandbox != "none",
                models=tuple(course.models),
            ),
        )

    def _work(
        self, place: Workplace, course: agent.Course, from_environment: str, connect: Connect
    ) -> Outcome:
        key = self._key(from_environment)
        events = Events(self.folder.events, hide=(key,))
        events.tell("attempt.started", {"attempt": self.spec.id, "task": self.spec.task.title})
        self.leash.doing = "setting up"
        model = connect(self.spec, key, self.folder.ledger)
        events.tell("attempt.tree", {"came": place.set_up()})
        self.leash.check()
        outcome = agent.work(
            _job(self.spec, self.home),
            _Watched(model=model, leash=self.leash, course=course, seed=self.spec.id),
            _Tools(place=place, leash=self.leash),
            events.tell,
            course,
        )
        events.tell("attempt.ends", {"outcome": type(outcome).__name__})
        clean: Outcome = decode(Outcome, redacted(encode(outcome), (key,), _NAMES))
        return clean

    def _key(self, from_environment: str) -> str:
        """Return the model's key; one that comes with a unit which is being restarted is waited for."""
        while not (key := find_key(self.spec.models.key_file, from_environment)) and credentials_are_away():
            self.leash.doing = "waiting for systemd to bring the key back"
            self.leash.check()
            time.sleep(KEY_LOOK_SECONDS)
        return key

    def _handed_over(self, place: Workplace, outcome: Outcome, course: agent.Course) -> Outcome:
        """Commit and pack what there is, and return the outcome with its tip."""
        self.leash.doing = "handing over"
        if _now() > self.spec.deadline + LATEST:
            return Stopped(
                why="deadline", detail="it came back long after its deadline and hands nothing over"
            )
        if self.spec.task.kind == "research":
            return replace(outcome, tip=self.spec.base) if isinstance(outcome, Delivered) else outcome
        if isinstance(outcome, NothingDone) or not course.turns:
            return outcome  # before the agent's first turn there is nothing of its own in the tree
        tree = course.proof.tree if isinstance(outcome, Delivered) and course.proof else ""
        try:
            if isinstance(outcome, Stopped) and outcome.why == "disk":
                place.leave_out_big()
            result = place.result(message=commit_message(self.spec, outcome), tree=tree)
            if result.tip:
                write_durable(self.folder.result, result.pack)
        except (AgentloopError, OSError) as error:
            return self._not_handed_over(outcome, error)
        return _with_tip(outcome, result, late=self.leash.is_late)

    def _not_handed_over(self, outcome: Outcome, error: AgentloopError | OSError) -> Outcome:
        what = error.what if isinstance(error, AgentloopError) else str(error)
        if isinstance(outcome, Delivered):
            return GaveUp(reason=f"the result could not be handed over: {what}")
        return outcome


def _with_tip(outcome: Outcome, result: Result, *, late: bool) -> Outcome:
    if isinstance(outcome, Delivered) and late:
        return Stopped(why="deadline", detail="its time was over before it could deliver", tip=result.tip)
    if isinstance(outcome, Delivered) and not result.tip:
        return NothingDone(reason="nothing changed")
    return outcome if isinstance(outcome, NothingDone) else replace(outcome, tip=result.tip)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Watched:
    """The model, on the leash: a call that is under way when the leash is pulled is broken off."""

    model: Model
    leash: Leash
    course: agent.Course
    seed: str

    def ask(self, request: Request) -> Answer:
        """Return the model's answer. Raises Pulled.

        A limit that is over in a moment is waited out here, with the conversation in hand.
        """
        for _ in range(SHORT_WAITS):
            answer = self._ask(request)
            wait = answer.retry_after_seconds if isinstance(answer, Limited) else None
            if wait is None or wait > SHORT.total_seconds():
                return answer
            until = waits_until(_now() + timedelta(seconds=wait), _EVER, seed=self.seed)
            self.leash.doing = f"waiting for the provider's limit, until {until:%H:%M:%S} UTC"
            with self.leash.exposed():
                time.sleep(max(0.0, (until - _now()).total_seconds()))
        return self._ask(request)

    def _ask(self, request: Request) -> Answer:
        self.leash.doing = f"waiting for {request.model} (turn {self.course.turns})"
        with self.leash.exposed():
            return self.model.ask(request)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tools:
    """The agent's tools, on the leash: each ends at once when it is pulled, and then raises Pulled."""

    place: Workplace
    leash: Leash

    def shell(self, command: str) -> str:
        """Return output and ending of a command."""
        self.leash.doing = f"shell: {command.strip()[:80]}"
        ran = self.place.shell(command)
        self.leash.check()
        return f"{ran.text.rstrip()}\n[{how(ran)}]"

    def edit(self, given: Mapping[str, object]) -> tuple[bool, str]:
        """Return whether the edit was made, and what to say."""
        self.leash.doing = f"edit: {str(given.get('path'))[:80]}"
        made = self.place.edit(given)
        self.leash.check()
        return made

    def mark(self) -> str:
        """Return the name of the tree and its last commit."""
        self.leash.doing = "looking whether anything has changed"
        found = self.place.mark()
        self.leash.check()
        return found

    def prove(self) -> Proof:
        """Return what the checks said."""
        self.leash.doing = "running the checks"
        proof = self.place.prove()
        self.leash.check()
        return proof


def _job(spec: AttemptSpec, home: Path) -> agent.Job:
    research = spec.task.kind == "research"
    turns = str(spec.limits.attempt_turns)
    if research:
        system = prompts.render("worker-research", home, turns=turns)
    else:
        checks = (
            "\n".join(f"    {check.command}" for check in checks_of(spec))
            or "    (none; find out what would show it)"
        )
        system = prompts.render("worker", home, checks=checks, turns=turns)
    issue = f"\n\n{agent.fenced(spec.issue_text, 'The issue', spec.id)}" if spec.issue_text else ""
    return agent.Job(
        model=spec.models.worker,
        system=system,
        task=f"{spec.brief}{issue}",
        summarise=prompts.render("summary", home, words=str(agent.SUMMARY_WORDS)),
        research=research,
        turns=spec.limits.attempt_turns,
        max_output_tokens=spec.models.max_output_tokens,
        call_seconds=spec.models.call_seconds,
        context_tokens=spec.models.context_tokens,
        now=_now,
        stall=Bounds(turns=spec.worker.stall_turns, seconds=spec.worker.stall_minutes * 60),
    )


def commit_message(spec: AttemptSpec, outcome: Outcome) -> str:
    """Return the message of the commit that holds what the attempt leaves."""
    said = outcome.summary if isinstance(outcome, Delivered) else f"Unfinished: {type(outcome).__name__}"
    return redact(f"{spec.task.title}\n\n{said}\n")


def write_end(folder: RunFolder, end: End) -> None:
    """Write the end record, without secrets; it is durable on return. Raises OSError."""
    clean = redacted(encode(end), names=_NAMES)
    write_durable(folder.end, json.dumps(clean, ensure_ascii=False).encode("utf-8", "replace"))


def _now() -> datetime:
    return datetime.now(tz=UTC)
