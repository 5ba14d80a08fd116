"""From a plan to tasks, and what tasks are called: ids and branches are made by code, never by a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentloop.domain.states import over
from agentloop.domain.wording import one_line
from agentloop.domain.work import Contract, Task

if TYPE_CHECKING:
    from agentloop.domain import decisions as d
    from agentloop.domain.states import TaskView
    from agentloop.domain.world import World

SLUG_CHARACTERS = 40


def tasks_of(plan: d.Plan, first: int, target: str) -> tuple[Task, ...]:
    """Return the tasks of a plan, numbered from `first` on: an id never means two things."""
    return tuple(_task(plan, number, first, target) for number in range(len(plan.tasks)))


def _task(plan: d.Plan, number: int, first: int, target: str) -> Task:
    planned = plan.tasks[number]
    return Task(
        id=f"{plan.issue}.{first + number}",
        issue=plan.issue,
        title=one_line(planned.title, 100),
        kind=planned.kind,
        contract=Contract(
            goal=planned.goal,
            criteria=planned.criteria,
            checks=planned.checks,
            scope=planned.scope,
            may_change_tests=planned.may_change_tests,
        ),
        target=target,
        needs=tuple(f"{plan.issue}.{first + need - 1}" for need in planned.needs),
    )


def branch_of(task: Task) -> str:
    """Return the branch that code names for a task: `agentloop/<task>-<words of its title>`."""
    words = "".join(char if char.isascii() and char.isalnum() else " " for char in task.title.lower()).split()
    slug = ""
    for word in words:
        if slug and len(slug) + len(word) >= SLUG_CHARACTERS:
            break
        slug = f"{slug}-{word}" if slug else word[:SLUG_CHARACTERS]
    return f"agentloop/{task.id.replace('#', '-')}-{slug or 'task'}"


def covers_issue(world: World, view: TaskView) -> bool:
    """Whether merging this task's pull request completes all that was planned for its issue."""
    others = [one for one in world.tasks_of(view.task.issue) if one.task.id != view.task.id]
    return all(over(one.state) for one in others)
