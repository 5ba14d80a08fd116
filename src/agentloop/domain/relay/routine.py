"""The relay's plan after a cycle that needed no judgement.

What the rules did, told by code, so that it never lags.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentloop.domain import decisions as d
from agentloop.domain import states as s
from agentloop.domain.relay.delta import RelayDelta
from agentloop.domain.world import Stuck, Waiting

if TYPE_CHECKING:
    from agentloop.domain.scene import Scene
    from agentloop.domain.world import World

WORK_NAMED = 8


def routine_delta(
    scene: Scene, carried_out: tuple[d.Decision, ...], *, judged: RelayDelta | None
) -> RelayDelta:
    """Return the delta of a cycle: the admin's where it gave one, else one made of what the rules did.

    The work under way is always told by code. After a cycle of rules alone, so is the next action: the
    admin's last one was chosen before they acted.
    """
    active = _active(scene.world)
    if judged is not None:
        return RelayDelta(
            phase=judged.phase,
            done=judged.done,
            add_decisions=judged.add_decisions,
            drop_decisions=judged.drop_decisions,
            active=active,
            next_action=judged.next_action,
            questions=judged.questions if judged.questions is not None else _questions(scene.world),
            done_means=judged.done_means,
        )
    return RelayDelta(
        phase=None if _is_open(scene.world) else "Nothing to do",
        done=tuple(line for one in carried_out if (line := _told(one))),
        active=active,
        next_action=_next(scene),
        questions=_questions(scene.world),
    )


def _told(decision: d.Decision) -> str:  # noqa: C901 - a line for each decision
    match decision:
        case d.Take(attempt=attempt):
            return f"Took over the result of attempt {attempt}"
        case d.Start(task=task):
            return f"Started an attempt at task {task}"
        case d.SendBack(task=task, rationale=why):
            return f"Sent task {task} back to a worker: {why}"
        case d.Publish(task=task):
            return f"Published task {task} for review"
        case d.AcceptMerge(task=task, pull=pull):
            return f"Task {task} was merged by a person (pull request {pull})"
        case d.Conclude(issue=issue):
            return f"Closed issue {issue}: everything planned for it is in"
        case d.Park(task=task, rationale=why) | d.Drop(task=task, rationale=why):
            return f"Stopped task {task}: {why}"
        case d.ParkIssue(issue=issue, rationale=why):
            return f"Stopped issue {issue}: {why}"
        case d.LetGo(pull=pull):
            return f"Hands off pull request {pull}: a person pushed to it"
        case d.Propose(pull=pull):
            return f"Pull request {pull} is ready for review"
        case d.Requeue(task=task, rationale=why):
            return f"Task {task} will be tried again: {why}"
        case _:
            return ""


def _active(world: World) -> tuple[str, ...]:
    views = world.live_tasks()
    lines = [f"{view.task.id} {view.task.title}: {_stands(view.state)}" for view in views[:WORK_NAMED]]
    left = len(views) - WORK_NAMED
    return (*lines, *([f"and {left} more"] if left > 0 else []))


def _stands(state: s.TaskState) -> str:
    match state:
        case s.Queued(why=why):
            return f"queued ({why})" if why else "queued"
        case s.Working(attempt=attempt):
            return f"attempt {attempt} at work"
        case s.Judging():
            return "in the gate"
        case s.InReview(pull=pull):
            return f"pull request {pull} to review"
        case s.Parked(reason=reason):
            return f"parked: {reason}"
        case _:
            return type(state).__name__.lower()


def _questions(world: World) -> tuple[str, ...]:
    return tuple(
        f"Issue {view.id}: {view.state.question}"
        for view in world.open_issues()
        if isinstance(view.state, Waiting)
    )


def _is_open(world: World) -> bool:
    return bool(world.live or world.open)


def _next(scene: Scene) -> str:
    views = scene.world.live_tasks()
    states = [view.state for view in views]
    working = [state.attempt for state in states if isinstance(state, s.Working | s.Judging)]
    review = [state.pull for state in states if isinstance(state, s.InReview)]
    if working:
        return f"Wait for {', '.join(working)} to end, then judge the result."
    if review:
        return f"Wait for a person to review pull request {', '.join(review)}."
    issues = scene.world.open_issues()
    if any(isinstance(view.state, Waiting) for view in issues):
        return "Wait for a person's answer."
    parked = [view.task.id for view in views if isinstance(view.state, s.Parked)]
    if parked:
        return f"Wait for a person's word on what is parked: {', '.join(parked)}."
    if any(isinstance(view.state, Stuck) for view in issues):
        return "Wait for a person's word on the parked issues."
    if states:
        return f"Go on with task {views[0].task.id}."
    return f"Look at issue {issues[0].id}." if issues else "Wait for a new issue: nothing is left to do."
