"""What attempts and gates are given, made afresh from the journal whenever it is needed.

A start that was cut off is carried out from the same facts later, so its spec is never kept beside them.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from agentloop.domain import states as s
from agentloop.domain import wording
from agentloop.domain.approval import approved
from agentloop.domain.scene import gate_minutes
from agentloop.domain.valueclass import replace
from agentloop.domain.work import AttemptSpec, Finding, GateSpec, Task
from agentloop.errors import NotFoundError

if TYPE_CHECKING:
    from agentloop.domain import effects as e
    from agentloop.domain.settings import Settings, Target
    from agentloop.domain.states import TaskView, Try
    from agentloop.domain.world import World
    from agentloop.ports import Outside

NOTE_CHARACTERS = 12_000


def the_try(world: World, attempt: str) -> tuple[TaskView, Try]:
    """Return an attempt and its task. Raises NotFoundError."""
    view = world.tasks.get(attempt.rpartition(".")[0])
    one = next((each for each in view.tries if each.attempt == attempt), None) if view else None
    if view is None or one is None:
        raise NotFoundError(f"there is no attempt {attempt}")
    return view, one


def the_target(settings: Settings, name: str) -> Target:
    """Return the target called `name`. Raises NotFoundError, with the fix."""
    target = settings.target(name)
    if target is None:
        raise NotFoundError(f"there is no target {name!r}", fix="add it to agentloop.toml as [[target]]")
    return target


def attempt_spec(outside: Outside, settings: Settings, world: World, attempt: str) -> AttemptSpec:
    """Return what the attempt is given. Raises NotFoundError, and what the ports it reads from raise."""
    view, one = the_try(world, attempt)
    target = the_target(settings, view.task.target)
    queued = _started_on(view)
    return AttemptSpec(
        id=one.attempt,
        task=view.task,
        base=one.base,
        folder=outside.attempt_folder(one.attempt),
        mirror=str(outside.repositories.folder(target)),
        deadline=one.deadline,
        slice_micros=one.slice_micros,
        slice_tokens=world.token_purses.get(f"attempt:{one.attempt}", 0),
        limits=settings.limits,
        models=settings.models,
        worker=settings.worker,
        target=target,
        prices=settings.prices,
        brief=wording.task_brief(
            view.task,
            replace(view, tries=view.tries[:-1]),
            guidance=queued.guidance,
            findings=_findings_text(queued.findings),
            notes=_notes(outside, settings, world, view.task),
            context=_context(outside, view, queued, target),
            begun=one.origin != one.base,
        ),
        issue_text=_issue_text(outside, view.task.issue),
        origin="" if one.origin == one.base else one.origin,
    )


def gate_spec(outside: Outside, settings: Settings, world: World, effect: e.StartGate) -> GateSpec:
    """Return what the gate is given. Raises NotFoundError."""
    view, one = the_try(world, effect.attempt)
    target = the_target(settings, view.task.target)
    minutes = gate_minutes(settings, view.task, target)
    return GateSpec(
        attempt=one.attempt,
        task=view.task,
        # The whole change is judged: what the branch held before this attempt is part of it.
        base=one.trunk,
        commit=effect.commit,
        folder=outside.gate_folder(effect.run),
        mirror=str(outside.repositories.folder(target)),
        deadline=(world.at or one.deadline) + timedelta(minutes=minutes),
        limits=settings.limits,
        worker=settings.worker,
        target=target,
        scan=settings.layers.gate,
        unapproved=() if approved(world, view) else settings.approval.paths,
    )


def _issue_text(outside: Outside, issue: str) -> str:
    found = next((one for one in outside.tracker.observe(frozenset({issue})) if one.id == issue), None)
    return "" if found is None or not found.trusted else wording.issue_words(found)


def _notes(outside: Outside, settings: Settings, world: World, task: Task) -> str:
    if not settings.layers.memory:
        return ""
    told = [(need, world.notes[need]) for need in task.needs if need in world.notes]
    return "\n\n".join(
        f"### Task {need}\n\n{outside.notes.read(path)[:NOTE_CHARACTERS]}" for need, path in told
    )


def _context(outside: Outside, view: TaskView, queued: s.Queued, target: Target) -> str:
    earlier = view.head or next((one.commit for one in reversed(view.tries[:-1]) if one.commit), "")
    one = view.tries[-1]
    if not earlier or queued.from_scratch or one.base == earlier or one.origin != one.base:
        return ""  # what there is of it lies in the tree
    base = next((each.origin for each in view.tries if each.commit == earlier), one.base)
    diff = outside.repositories.diff(target, base, earlier, 20_000)
    return f"## The work so far, as a diff (not applied here)\n\n```diff\n{diff}\n```"


def _started_on(view: TaskView) -> s.Queued:
    match view.state:
        case s.Working(was=was) | s.Returned(was=was):
            return was
        case s.Queued():
            return view.state
        case _:
            return s.Queued()


def _findings_text(findings: tuple[Finding, ...]) -> str:
    return "\n\n".join(f"**{one.kind}: {one.about}**\n\n{wording.quoted(one.says)}" for one in findings)
