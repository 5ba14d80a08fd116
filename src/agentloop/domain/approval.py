"""Which plans wait for a person's word, and which words let them go. Pure.

A plan waits when it is more than a small one (`[approval]`), or when nothing is built without a word
(`suggest`). A person says yes by `1`, `approve`, a thumb up, or `/agentloop plan approve`; that word is for
those very tasks, and another plan needs another one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from agentloop.domain import decisions as d
from agentloop.domain.autonomy import allowed, only_suggested
from agentloop.domain.codec import encode
from agentloop.domain.estimating import estimate_for
from agentloop.domain.globs import matches
from agentloop.domain.settings import micros
from agentloop.domain.signals import digest, evidence_of
from agentloop.domain.states import Queued
from agentloop.domain.valueclass import replace
from agentloop.domain.wording import count, dollars
from agentloop.domain.world import Closed, Stuck, Waiting

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentloop.domain.issue import Comment, Issue
    from agentloop.domain.scene import Scene
    from agentloop.domain.settings import Settings
    from agentloop.domain.states import TaskView
    from agentloop.domain.work import Task
    from agentloop.domain.world import Approval, IssueView, World

YES: Final = frozenset({"1", "1.", "+1", "👍", "approve", "approved"})
NO: Final = frozenset({"2", "2.", "-1", "👎", "reject", "rejected"})
"""Whole comments that answer a plan: the first and the second of the choices under it."""


def plan_name(tasks: tuple[Task, ...]) -> str:
    """Return the name of a plan: another word in it is another plan."""
    return digest(json.dumps([encode(task) for task in tasks], sort_keys=True))


def risks(scene: Scene, tasks: tuple[Task, ...]) -> tuple[str, ...]:
    """Return why a plan waits for a person's word; () = it does not.

    Paths are those that the tasks' scopes name, or that are there and covered by them. A scope that names
    nothing is no risk: the gate holds the paths that only an approved plan may touch.
    """
    rules, world = scene.settings.approval, scene.world
    changes = [task for task in tasks if task.kind == "change"]
    found = list(_risky_paths(scene, changes))
    if rules.tasks and len(changes) > rules.tasks:
        found.append(f"{count(len(changes), 'change')}, more than approval.tasks = {rules.tasks}")
    expected = sum(estimate_for(world, scene.settings.limits, task).micros for task in tasks)
    if rules.cost_usd and expected > micros(rules.cost_usd):
        found.append(f"expected {dollars(expected)} > {dollars(micros(rules.cost_usd))} (approval.cost_usd)")
    return tuple(found)


def _risky_paths(scene: Scene, tasks: Iterable[Task]) -> tuple[str, ...]:
    risky = scene.settings.approval.paths
    touched: dict[str, None] = {}
    for task in tasks:
        ground = scene.grounds.get(task.target)
        there = ground.paths if ground else frozenset()
        scope = task.contract.scope
        for glob in risky:
            by_name = any(matches(one, (glob,)) for one in scope)
            if by_name or any(matches(path, (glob,)) and matches(path, scope) for path in there if scope):
                touched[f"touches {glob}"] = None
    return tuple(touched)


def held_plan(world: World, view: IssueView) -> Approval | None:
    """Return the plan of the issue that waits for a person's word, or None."""
    waiting = (one for one in reversed(view.approvals) if not one.by)
    return next((one for one in waiting if any(_is_queued(world, task) for task in one.tasks)), None)


def _is_queued(world: World, task: str) -> bool:
    view = world.tasks.get(task)
    return view is not None and isinstance(view.state, Queued)


def approval_of(world: World, view: TaskView) -> Approval | None:
    """Return the approval that the task's plan needed, given or not; None = it needed none."""
    issue = world.issues[view.task.issue]
    return next((one for one in issue.approvals if view.task.id in one.tasks), None)


def approved(world: World, view: TaskView) -> bool:
    """Whether a person has approved the plan that the task belongs to."""
    found = approval_of(world, view)
    return found is not None and bool(found.by)


def waits_for_word(world: World, view: TaskView) -> str:
    """Return why the task waits for a person's word on its plan, or ""."""
    found = approval_of(world, view)
    if found is None or found.by:
        return ""
    return f"its plan waits for your approval: {'; '.join(found.why)}"


def asked_plan(scene: Scene, issue: IssueView) -> tuple[TaskView, ...]:
    """Return the tasks of the issue that a person's word on its plan would set going, () = none."""
    if isinstance(issue.state, Closed | Stuck):
        return ()
    suggested = bool(only_suggested(scene.settings, issue))
    tasks = scene.world.tasks_of(issue.id)
    queued = (view for view in tasks if isinstance(view.state, Queued))
    return tuple(view for view in queued if suggested or waits_for_word(scene.world, view))


def rule_words(world: World, settings: Settings, issue: str, task: TaskView | None = None) -> str:
    """Return under which rule something is done for an issue: `autonomy draft (target web), …`."""
    view = world.issues.get(issue)
    if view is None:
        return ""
    found = allowed(settings, view)
    words = f"autonomy {found.level} ({found.rule})"
    approval = approval_of(world, task) if task is not None else None
    if approval is not None:
        words += f", plan approved by {approval.by}" if approval.by else ", plan not approved"
    return words


# --- what a person says about a plan ------------------------------------------------------------------------


def answers(scene: Scene) -> tuple[d.ApprovePlan | d.RejectPlan, ...]:
    """Return what people said about plans that wait, by a comment that says nothing else.

    It has to be the last word, the only one that nobody decided on, and written after the plan was made;
    and no question may be open on the issue: what answers that says nothing about a plan.
    """
    found = (_answer(scene, view) for view in scene.world.open_issues())
    return tuple(one for one in found if one is not None)


def _answer(scene: Scene, view: IssueView) -> d.ApprovePlan | d.RejectPlan | None:
    waits = view.evidence != view.handled and not isinstance(view.state, Waiting)
    tasks = asked_plan(scene, view) if waits else ()
    issue = scene.observed.issue(view.id)
    if not tasks or issue is None:
        return None
    said = _only_new_word(issue, view)
    if said is None or said.edited or said.at <= max(one.since for one in tasks):
        return None
    word = said.body.strip().casefold()
    if word in YES:
        kind: type[d.ApprovePlan | d.RejectPlan] = d.ApprovePlan
    elif word in NO:
        kind = d.RejectPlan
    else:
        return None
    return kind(issue=view.id, by=said.author, rationale=word, evidence=view.evidence)


def _only_new_word(issue: Issue, view: IssueView) -> Comment | None:
    """Return the last comment of a person's, when nothing but it is new in the issue's words."""
    theirs = [one for one in issue.comments if one.trusted and not one.ours]
    whole = replace(issue, words="")  # a record names them, for the sake of secrets; here they are compared
    if not theirs or evidence_of(whole) != view.evidence:
        return None
    before = tuple(one for one in issue.comments if one is not theirs[-1])
    return theirs[-1] if evidence_of(replace(whole, comments=before)) == view.handled else None
