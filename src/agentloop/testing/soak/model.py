"""A model that answers whatever the soak's loop asks: every matter at once, a task with a small file."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any, Final

from agentloop.testing.model import ScriptedModel
from agentloop.testing.script import Script, Step, ToolCall, When

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentloop.testing.wire import Asked

WORKER_SECONDS: Final = 4.0
_NEW: Final = re.compile(r"^- issue (\d+) is new: plan", re.MULTILINE)
_WORDS: Final = re.compile(r"^- issue (\d+) has new words", re.MULTILINE)
_GREEN: Final = re.compile(r"^- attempt (\S+) of task \S+ is green", re.MULTILINE)
_NOTHING: Final = re.compile(r"^- attempt \S+ of task (\S+) ended without a result", re.MULTILINE)
_NOTE: Final = re.compile(r"Write note (\d+)")
_WISH: Final = re.compile(r"wish-\d+")


class SoakModel(ScriptedModel):
    """Serves answers made from the request. `seed` decides how long workers are kept waiting."""

    def __init__(self, seed: int) -> None:
        never = Step(name="never", line=1, when=When(system=("no such prompt",)))
        super().__init__(Script(name="the soak's model", steps=(never,)))
        self._chance = random.Random(seed)  # noqa: S311 - waits, not secrets

    def _matched(self, request: Asked) -> Any:  # noqa: ANN401 - as in the base class
        calls = tuple(_admin(request) if "admin agent" in request.system else _worker(request))
        waits = 0.0 if "admin agent" in request.system else self._chance.uniform(0, WORKER_SECONDS)
        said = "" if calls else "That is all."
        step = Step(name="soak", line=1, when=When(), call=calls, say=said, delay_seconds=waits)
        self._left[id(step)] = None
        return self._taken(step, request, {})


def _admin(request: Asked) -> Iterator[ToolCall]:
    first = request.newest_first[-2]
    if len(request.newest_first) > 2:  # noqa: PLR2004 - the first message and the system prompt
        return
    for issue in _NEW.findall(first):
        yield _plan(issue)
    for issue in _WORDS.findall(first):
        words = f"Heard, after {len(request.conversation)} characters."
        said = {"issue": issue, "text": words, "rationale": "There is nothing to build."}
        yield ToolCall(tool="answer", input=said)
    for attempt in _GREEN.findall(first):
        told = {"attempt": attempt, "accept": True, "says": "Good.", "rationale": "Read it."}
        yield ToolCall(tool="review", input=told)
    for task in _NOTHING.findall(first):
        told = {
            "task": task,
            "guidance": f"Try again, {len(request.conversation)}.",
            "rationale": "Once more.",
        }
        yield ToolCall(tool="retry", input=told)
    told = {"phase": "Soaking", "next_action": f"Go on after {len(request.conversation)} characters."}
    yield ToolCall(tool="relay", input=told)


def _plan(issue: str) -> ToolCall:
    check = {"name": "there", "command": f"test -s note-{issue}.txt"}
    task = {
        "title": f"Write note {issue}",
        "goal": f"note-{issue}.txt holds a note, with every wish that a reviewer named.",
        "criteria": [f"note-{issue}.txt is not empty"],
        "checks": [check],
        "scope": [f"note-{issue}.txt"],
    }
    return ToolCall(tool="plan", input={"issue": issue, "rationale": "One note.", "tasks": [task]})


def _worker(request: Asked) -> Iterator[ToolCall]:
    found = _NOTE.search(request.newest_first[-2])
    if found is None:
        return
    if len(request.newest_first) > 2:  # noqa: PLR2004 - it has been at work already
        yield ToolCall(tool="done", input={"summary": f"Wrote note {found[1]}.", "not_done": ""})
        return
    wishes = sorted(set(_WISH.findall(request.newest_first[-2])))
    text = "\n".join((f"Note {found[1]}", *wishes, ""))
    given = {"command": "create", "path": f"note-{found[1]}.txt", "file_text": text}
    yield ToolCall(tool="edit", input=given)
