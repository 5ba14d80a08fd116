"""`agentloop salvage ID`: hands over what a killed attempt left in its tree, as its harness would have.

Whoever finds the attempt lost starts this, when nothing of it runs any more. It holds no key and asks no
model; what it makes is a pack that takes the way of every result (quarantine, policy, one commit of ours).
Without an end record afterwards there was nothing to hand over, and the attempt is lost as it was.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from agentloop import exits
from agentloop.domain.codec import CodecError, decode
from agentloop.domain.work import AttemptSpec, End, Stopped
from agentloop.edges.files import write_durable
from agentloop.errors import AgentloopError
from agentloop.home import Home
from agentloop.worker.harness import commit_message, write_end
from agentloop.worker.workplace import Workplace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agentloop.home import RunFolder

KILLED = Stopped(why="killed", detail="what it had done until then was kept")


def main(attempt_id: str, home: Path) -> int:
    """Write pack and end record of the attempt; return an exit code (0: there is something to go on with).

    A failure is said on standard error; nothing is left half done.
    """
    folder = Home(home).attempt(attempt_id)
    try:
        spec: AttemptSpec = decode(AttemptSpec, json.loads(folder.spec.read_bytes()))
        return exits.OK if _handed_over(folder, spec) else exits.FAILED
    except (AgentloopError, OSError, ValueError, CodecError) as error:
        sys.stderr.write(f"what attempt {attempt_id} had done could not be kept: {error}\n")
        return exits.FAILED


def _handed_over(folder: RunFolder, spec: AttemptSpec) -> bool:
    models = [str(one.get("model", "")) for one in _answers(folder)]
    if spec.task.kind == "research" or not models or folder.end.exists():
        return False  # before the agent's first turn there is nothing of its own in the tree
    place = Workplace(spec)
    place.take_up()
    result = place.result(message=commit_message(spec, KILLED))
    if not result.tip:
        return False
    write_durable(folder.result, result.pack)
    end = End(
        attempt=spec.id,
        outcome=Stopped(why=KILLED.why, detail=KILLED.detail, tip=result.tip),
        at=datetime.now(tz=UTC),
        turns=len(models),
        sandboxed=spec.worker.sandbox != "none",
        models=tuple(dict.fromkeys(models)),
    )
    write_end(folder, end)
    return True


def _answers(folder: RunFolder) -> Iterator[dict[str, Any]]:
    """The model's answers in the attempt's log, which only its harness can write."""
    for line in folder.events.read_bytes().split(b"\n") if folder.events.exists() else ():
        try:
            event = json.loads(line)
        except ValueError:
            continue  # cut off by the kill
        if isinstance(event, dict) and event.get("event") == "model.answered":
            yield event
