"""Whether a plan is fit to be worked on: specific, checkable, possible, and true to earlier decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentloop.domain.globs import matches

if TYPE_CHECKING:
    from agentloop.domain.decisions import Plan, PlannedTask
    from agentloop.domain.observed import Ground
    from agentloop.domain.relay import KeyDecision
    from agentloop.domain.settings import Settings, Target

GOAL_CHARACTERS = 30
CRITERION_CHARACTERS = 10
"""Shorter goals and criteria than these were never specific enough to check a diff against."""

_WORDS = "test [ true false cd export set unset if for while case ! { ( : echo printf . command"
BUILTINS = frozenset(_WORDS.split())
"""Words a check may begin with that are the shell's own."""


def problems(
    plan: Plan, *, settings: Settings, target: Target, ground: Ground, standing: tuple[KeyDecision, ...]
) -> tuple[str, ...]:
    """Return what is wrong with the plan, each with what would mend it; empty = fit to be worked on."""
    found: list[str] = []
    if not plan.tasks:
        found.append("the plan has no tasks: ask or answer instead")
    if len(plan.tasks) > settings.limits.tasks_per_issue:
        found.append(
            f"{len(plan.tasks)} tasks are more than limits.tasks_per_issue = "
            f"{settings.limits.tasks_per_issue}: "
            "make fewer, larger ones"
        )
    if ground.problem:
        # Paths and programs are not known then: what they would be held against says nothing.
        return (*found, f"target {target.name!r} cannot be worked on: {ground.problem}")
    for number, task in enumerate(plan.tasks, 1):
        found += [f"task {number}: {says}" for says in _task_problems(task, target, ground, standing)]
    found += _dependency_problems(plan)
    return tuple(found)


def _task_problems(
    task: PlannedTask, target: Target, ground: Ground, standing: tuple[KeyDecision, ...]
) -> list[str]:
    return [
        *_vague(task),
        *_unchecked(task, target),
        *(says for check in task.checks for says in _not_runnable(check.command, ground)),
        *_impossible_paths(task, ground),
        *_contradictions(task, standing),
    ]


def _vague(task: PlannedTask) -> list[str]:
    found = []
    if not task.title.strip() or "\n" in task.title or len(task.title) > 100:  # noqa: PLR2004 - a line on a phone
        found.append("its title must be one line of 1 to 100 characters")
    if len(task.goal.strip()) < GOAL_CHARACTERS:
        found.append(
            f"its goal is too vague ({len(task.goal.strip())} characters): say what is different afterwards"
        )
    if not task.criteria:
        found.append("it has no acceptance criteria: name what can be observed when it is done")
    found += [
        f"criterion {text!r} is too vague to be observed"
        for text in task.criteria
        if len(text.strip()) < CRITERION_CHARACTERS
    ]
    return found


def _unchecked(task: PlannedTask, target: Target) -> list[str]:
    if task.kind == "change" and not task.checks and not target.verify:
        return ["nothing checks it: give it a check, or give the target verify commands"]
    return []


def _not_runnable(command: str, ground: Ground) -> list[str]:
    import shlex

    try:
        words = shlex.split(command, comments=True)
    except ValueError as error:
        return [f"check {command!r} is not a shell command ({error})"]
    # VAR=value words before the program are the shell's own way of setting its environment.
    first = next((word for word in words if "=" not in word), "")
    if not first:
        return [f"check {command!r} runs nothing"]
    known = first in BUILTINS or first in ground.programs or first.removeprefix("./") in ground.paths
    return (
        [] if known else [f"check {command!r}: {first!r} is neither a program here nor a file of the target"]
    )


def _impossible_paths(task: PlannedTask, ground: Ground) -> list[str]:
    if not ground.paths:
        return []
    folders = {path[:at] for path in ground.paths for at, char in enumerate(path) if char == "/"}
    found = []
    for glob in task.scope:
        # A path that does not exist yet may be created, but only in a folder that does.
        plain = glob.rstrip("/*")
        there = any(matches(path, (glob,)) for path in ground.paths) or plain in folders
        parent = plain.rpartition("/")[0]
        if not there and parent not in folders and parent != "":
            found.append(
                f"scope {glob!r} matches nothing at {ground.commit[:10]}, and its folder does not exist"
            )
    return found


def _contradictions(task: PlannedTask, standing: tuple[KeyDecision, ...]) -> list[str]:
    limits = [one for one in standing if one.off_limits]
    if limits and not task.scope and task.kind == "change":
        globs = ", ".join(limits[0].off_limits)
        return [f"name its scope: the earlier decision {limits[0].what!r} puts {globs} off limits"]
    return [
        f"scope {glob!r} is off limits by the earlier decision {decision.what!r} ({decision.why})"
        for decision in standing
        for glob in task.scope
        if any(_overlap(glob, limit) for limit in decision.off_limits)
    ]


def _overlap(one: str, other: str) -> bool:
    plain_one, plain_other = one.split("*", maxsplit=1)[0], other.split("*", maxsplit=1)[0]
    return matches(plain_one, (other,)) or matches(plain_other, (one,)) or one == other


def _dependency_problems(plan: Plan) -> list[str]:
    count = len(plan.tasks)
    found = [
        f"task {number} needs task {need}, which is not in the plan"
        for number, task in enumerate(plan.tasks, 1)
        for need in task.needs
        if not 1 <= need <= count
    ]
    if found:
        return found
    circle = _circle({n: task.needs for n, task in enumerate(plan.tasks, 1)})
    return [f"tasks {' → '.join(map(str, circle))} need each other in a circle"] if circle else []


def _circle(needs: dict[int, tuple[int, ...]]) -> list[int]:
    done: set[int] = set()

    def walk(task: int, path: list[int]) -> list[int]:
        if task in path:
            return [*path[path.index(task) :], task]
        if task in done:
            return []
        for need in needs[task]:
            found = walk(need, [*path, task])
            if found:
                return found
        done.add(task)
        return []

    return next((found for task in needs if (found := walk(task, []))), [])
