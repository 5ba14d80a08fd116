"""`agentloop gate ID`: judges one commit in a process of its own, leaves a verdict, and ends.

It holds no secret and gets none: what is left of its environment is named here. It is claimed once, beats
while it works, and never outlives its deadline. Whatever keeps it from judging is GateBroken, which says
nothing about the commit; everything else is a verdict.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from agentloop import exits
from agentloop.domain.codec import CodecError, decode, encode
from agentloop.domain.work import GateBroken, GateSpec, Verdict
from agentloop.edges.claims import claim
from agentloop.edges.files import write_durable
from agentloop.edges.lines import Lines, form_for
from agentloop.errors import AgentloopError
from agentloop.gate.judging import judge
from agentloop.home import Home, RunFolder
from agentloop.worker.sandbox import MARK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BEAT_SECONDS: Final = 5.0
_KEPT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "JOURNAL_STREAM", "INVOCATION_ID", MARK)


def main(attempt_id: str, home: Path) -> int:
    """Judge an attempt's result and return an exit code: OK when `verdict.json` is there, however it reads.

    NOT_FOUND: no readable spec; BUSY: another process has claimed it; UNSAFE and FAILED: GateBroken says why.
    """
    lines = Lines(sys.stdout.fileno(), form_for(sys.stdout.fileno(), os.environ))
    whole = Home(home.absolute())
    folder = whole.gate(attempt_id)
    spec = _spec(folder)
    if spec is None or spec.attempt != attempt_id.partition("@")[0]:
        lines.say("gate.no_spec", f"there is no gate to run for {attempt_id}", attempt=attempt_id)
        return exits.NOT_FOUND
    if folder.verdict.exists():
        return exits.OK
    if not claim(folder.claim):
        lines.say("gate.claimed", f"another process runs the gate of {attempt_id}", attempt=attempt_id)
        return exits.BUSY
    clean_environment()
    end_at(spec.deadline)
    with _beating(folder):
        outcome, code = _judged(spec, folder, whole.baselines, lines)
        write_durable(folder.verdict, json.dumps(encode(outcome), ensure_ascii=False).encode() + b"\n")
    lines.say("gate.ended", _summary(outcome), attempt=attempt_id, commit=spec.commit)
    return code


def _spec(folder: RunFolder) -> GateSpec | None:
    try:
        found: GateSpec = decode(GateSpec, json.loads(folder.spec.read_bytes()))
    except (OSError, ValueError, CodecError):
        return None
    return found


def clean_environment() -> None:
    """Take every variable away that a gate has no use for; keys and tokens above all."""
    for name in set(os.environ) - set(_KEPT):
        del os.environ[name]


def end_at(deadline: datetime) -> None:
    """Have the kernel end this process at `deadline`, whatever it hangs in; its sandbox goes with it."""
    left = (deadline - datetime.now(UTC)).total_seconds()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, max(1.0, left))


@contextmanager
def _beating(folder: RunFolder) -> Iterator[None]:
    over = threading.Event()

    def beat() -> None:
        while True:
            with suppress(OSError):  # a full disk must not silence it for the rest of the run
                folder.heartbeat.touch()
            if over.wait(BEAT_SECONDS):
                return

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(1)


def _judged(
    spec: GateSpec, folder: RunFolder, baselines: Path, lines: Lines
) -> tuple[Verdict | GateBroken, int]:
    try:
        return judge(spec, folder, baselines, lines), exits.OK
    except AgentloopError as error:
        return _broken(spec, error.what, error.fix), exits.code_for(error)
    except OSError as error:
        fix = "look at the disk, and at who may write to the home"
        return _broken(spec, f"the machine failed: {error}", fix), exits.FAILED
    finally:
        for left in (folder.tree, folder.git, folder.tmp):
            shutil.rmtree(left, ignore_errors=True)


def _broken(spec: GateSpec, reason: str, fix: str) -> GateBroken:
    return GateBroken(attempt=spec.attempt, reason=reason, at=datetime.now(UTC), fix=fix)


def _summary(outcome: Verdict | GateBroken) -> str:
    match outcome:
        case GateBroken(reason=reason):
            return f"the gate could not judge: {reason}"
        case Verdict(green=True, checks=checks):
            return f"green: {len(checks)} checks passed, nothing found"
        case Verdict(findings=findings):
            return f"red: {'; '.join(f'{each.kind} {each.about}' for each in findings[:5])}"
