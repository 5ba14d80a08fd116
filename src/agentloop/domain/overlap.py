"""Whose files are in the way: new work does not begin on what open pull requests and running attempts change.

What a change touches is what its gate saw: the paths of its diff against the base branch, read in the mirror.
Until there is a verdict it is what its plan says. A task that names no paths would wait for everything, or
for nothing: it waits for what changes a file that its contract names, and everything else is left to the
merge (a conflict is sent back as one). Commits that a person pushed on top are not looked at.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agentloop.domain.globs import matches, may_meet
from agentloop.domain.states import Accepted, Green, Judging, Red, Returned, Working
from agentloop.domain.valueclass import dataclass
from agentloop.domain.wording import count

if TYPE_CHECKING:
    from agentloop.domain.states import TaskView
    from agentloop.domain.work import Contract
    from agentloop.domain.world import World

_BUSY = Working | Returned | Judging | Red | Green | Accepted


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """What a task that is under way, or in review, changes: paths, or globs while they are not known."""

    task: str
    target: str
    pull: str
    paths: tuple[str, ...]
    scope: tuple[str, ...]


def in_the_way(world: World, view: TaskView) -> tuple[str, ...]:
    """Return what the task waits for because of its files, a reason each; () for one that is no new work."""
    if view.pull or view.task.kind != "change":
        return ()
    found = (_reason(one, view.task.contract) for one in _taken(world) if _concerns(one, view))
    return tuple(reason for reason in found if reason)


def _concerns(one: _Taken, view: TaskView) -> bool:
    # What it needs to be merged first is told as that.
    return one.target == view.task.target and one.task != view.task.id and one.task not in view.task.needs


def _taken(world: World) -> tuple[_Taken, ...]:
    return world.once("files taken", (), lambda: tuple(_all_taken(world)))


def _all_taken(world: World) -> list[_Taken]:
    busy = (one for one in world.live_tasks() if one.pull or isinstance(one.state, _BUSY))
    return [
        _Taken(
            task=one.task.id,
            target=one.task.target,
            pull=one.pull,
            paths=_paths(world, one),
            scope=one.task.contract.scope,
        )
        for one in busy
        if one.task.kind == "change"
    ]


def _paths(world: World, view: TaskView) -> tuple[str, ...]:
    verdicts = (world.verdicts.get(one.attempt) for one in reversed(view.tries))
    seen = (one for one in verdicts if one is not None and (not view.pull or one.commit == view.head))
    verdict = next(seen, None)
    return verdict.paths if verdict is not None else ()


def _reason(one: _Taken, contract: Contract) -> str:
    if one.paths:
        hits = [path for path in one.paths if _touches(path, contract)]
    else:
        hits = [glob for glob in one.scope if contract.scope and may_meet(glob, contract.scope)]
    if not hits:
        return ""
    what = hits[0] + (f" and {count(len(hits) - 1, 'more file')}" if one.paths and len(hits) > 1 else "")
    who = f"pull request {one.pull}" if one.pull else f"task {one.task}"
    return f"waits for {who}, which {'changes' if one.paths else 'may change'} {what}"


def _touches(path: str, contract: Contract) -> bool:
    if contract.scope:
        return matches(path, contract.scope)
    text = "\n".join((contract.goal, *contract.criteria))
    return re.search(rf"(?<![\w./-]){re.escape(path)}(?![\w/-]|\.\w)", text) is not None
