"""How the same checks end on the base commit: what a result's checks are worth, and what they lost.

Run after the result's own checks, in a checkout made the same way, and only while there is as much time left
as the result took: without it nothing is known, and nothing is held against anybody. What was found is kept
in the home's `baselines/`, so that it is paid once for each base; a week later it is looked at anew, because
the machine may have changed.

Commands of one list may build on each other, so a list is known as a whole or run as a whole; the contract's
list is one and the target's own another, which all tasks share.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, Final, Literal

from agentloop.domain.codec import CodecError, decode, encode
from agentloop.domain.valueclass import dataclass, field, replace
from agentloop.edges.files import make_folder, write_plain
from agentloop.errors import AgentloopError
from agentloop.gate.checkout import make_checkout
from agentloop.gate.commands import run_command, sandbox_of, seconds_left
from agentloop.gate.policy import Diff

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from agentloop.domain.work import GateSpec
    from agentloop.edges.lines import Lines
    from agentloop.home import RunFolder
    from agentloop.worker.sandbox import Sandbox

KEPT_SECONDS: Final = 7 * 24 * 3600
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """How a command ended on the base (None = it was stopped), and how many tests it ran there."""

    status: int | None
    tests: int | None

    @property
    def ended(self) -> Literal["failed", "passed", "unknown"]:
        """The status in one word."""
        if self.status is None:
            return "unknown"
        return "passed" if self.status == 0 else "failed"


@dataclass(slots=True, kw_only=True)
class Baseline:
    """What is known of the base of `spec`; `cache` is the home's folder for it."""

    spec: GateSpec
    folder: RunFolder
    cache: Path
    lines: Lines
    known: dict[str, Before] = field(default_factory=dict)

    def look(self, lists: Iterable[Sequence[str]], *, spent_seconds: float) -> dict[str, Before]:
        """Return what is known about each command of `lists`, having run what could be run.

        The checkout of the result is gone afterwards. Raises nothing: what cannot be known is left out.
        """
        unknown = [commands for commands in lists if not self._remembered(commands)]
        if unknown and seconds_left(self.spec) > spent_seconds:
            try:
                self._run(unknown)
            except (AgentloopError, OSError) as error:
                self.lines.say("gate.baseline", f"the base could not be looked at: {error}")
        return self.known

    def _remembered(self, commands: Sequence[str]) -> bool:
        found = [_read(self._place(commands[:end])) for end in range(1, len(commands) + 1)]
        self.known |= {
            command: before for command, before in zip(commands, found, strict=True) if before is not None
        }
        return None not in found

    def _run(self, lists: Iterable[Sequence[str]]) -> None:
        tree = make_checkout(replace(self.spec, commit=self.spec.base), self.folder, Diff(changes=()))
        sandbox = sandbox_of(self.spec, self.folder)
        setup = self.spec.target.setup
        if setup:
            ended = self._ended(setup, sandbox, tree)
            if ended is None or ended.status != 0:
                self.lines.say("gate.baseline", "set-up fails on the base: nothing is known about it")
                return
        make_folder(self.cache)
        _sweep(self.cache)
        for commands in lists:
            for end, command in enumerate(commands, start=1):
                before = self._ended(command, sandbox, tree)
                if before is None:
                    return
                self.known[command] = before
                write_plain(self._place(commands[:end]), json.dumps(encode(before)).encode())

    def _ended(self, command: str, sandbox: Sandbox, tree: Path) -> Before | None:
        """How it ended; None when the gate's own time did not let it come to an end."""
        limit = self.spec.limits.check_minutes * 60.0
        left = seconds_left(self.spec)
        if left <= 0:
            return None
        seen = run_command(command, sandbox, tree, min(limit, left))
        if seen.ran.timed_out and left < limit:
            return None
        before = Before(status=seen.ran.status, tests=seen.tests)
        self.lines.say("gate.baseline", f"on the base: {before.ended}: {command}", status=before.status)
        return before

    def _place(self, commands: Sequence[str]) -> Path:
        """Where the last of `commands` is kept: named by all that its end depends on."""
        spec, worker = self.spec, self.spec.worker
        told = [
            *(_FORMAT, spec.target.name, spec.base, spec.target.setup, spec.limits.check_minutes),
            *(worker.sandbox, worker.path, worker.read, commands),
        ]
        return self.cache / f"{hashlib.sha256(json.dumps(told).encode()).hexdigest()}.json"


def _read(path: Path) -> Before | None:
    try:
        if path.stat().st_mtime < time.time() - KEPT_SECONDS:
            return None
        found: Before = decode(Before, json.loads(path.read_bytes()))
    except (OSError, ValueError, CodecError):
        return None
    return found


def _sweep(cache: Path) -> None:
    for path in cache.iterdir():
        if path.stat().st_mtime < time.time() - KEPT_SECONDS:
            path.unlink(missing_ok=True)
