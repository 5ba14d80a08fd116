"""Candidates that were not started, and why: queued tasks, and issues whose words nobody decided on. Pure.

The same reasons keep the rules from starting (`order.held_back`), go into the journal at the end of a cycle
when they changed, and are what `explain` tells of the past.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentloop.domain import facts as f
from agentloop.domain.issue import urgency
from agentloop.domain.order import held_back, in_order, own_reasons
from agentloop.domain.signals import issue_matter
from agentloop.domain.valueclass import dataclass
from agentloop.domain.waiting import when_asked
from agentloop.domain.wording import count, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentloop.domain.scene import Common, Scene
    from agentloop.domain.states import TaskView
    from agentloop.domain.world import IssueView

NEXT = "starts in the next cycle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What could be started and was not. `about` is a task or an issue, `why` holds at least one reason.

    `priority` is the issue's; `known` tells how the reasons are known ("" = they hold now).
    """

    about: str
    kind: str
    title: str
    priority: str
    why: tuple[str, ...]
    known: str = ""


def candidates(scene: Scene, problems: Sequence[str] = ()) -> tuple[Candidate, ...]:
    """Return every candidate that was not started, issues to be read first, then tasks in the order of work.

    `problems` is what went wrong in the cycle that has just tried.
    """
    common = scene.common()
    return (
        *(_issue(view, unread_why(scene, view)) for view in unread(scene)),
        *(_task(scene, view, _task_why(scene, view, problems, common)) for view in in_order(scene)),
    )


def unread(scene: Scene) -> tuple[IssueView, ...]:
    """Return the open issues whose words nobody has decided on, most urgent first."""
    found = [view for view in scene.world.open_issues() if view.evidence != view.handled or not view.evidence]
    return tuple(sorted(found, key=lambda view: urgency(view.priority, view.id)))


def unread_why(scene: Scene, view: IssueView) -> tuple[str, ...]:
    """Return why nobody has decided on the issue's words, and when somebody does."""
    world = scene.world
    times = world.considered[issue_matter(view.id, view.evidence)]
    found = [f"the admin agent was shown it {count(times, 'time')} and decided nothing"] if times else []
    if times and view.id in world.last_refusals:
        found.append(f"what it proposed was not admitted: {one_line(world.last_refusals[view.id], 300)}")
    return (*found, when_asked(scene, view))


def _task_why(scene: Scene, view: TaskView, problems: Sequence[str], common: Common) -> tuple[str, ...]:
    starts = (f"start {view.task.id}: ", f"assign {view.task.id}: ")
    failed = [one_line(text.partition(": ")[2], 300) for text in problems if text.startswith(starts)]
    reasons = (*held_back(scene, view, common), *(f"it could not be started: {text}" for text in failed))
    return reasons or (NEXT,)


def _issue(view: IssueView, why: tuple[str, ...], known: str = "") -> Candidate:
    title = one_line(view.title, 200)
    return Candidate(about=view.id, kind="issue", title=title, priority=view.priority, why=why, known=known)


def _task(scene: Scene, view: TaskView, why: tuple[str, ...], known: str = "") -> Candidate:
    return Candidate(
        about=view.task.id,
        kind="task",
        title=one_line(view.task.title, 200),
        priority=scene.world.issues[view.task.issue].priority,
        why=why,
        known=known,
    )


def not_started(scene: Scene, problems: Sequence[str] = ()) -> tuple[f.HeldBack, ...]:
    """Return what the journal does not say yet about why candidates were not started, at a cycle's end."""
    now = {one.about: one.why for one in candidates(scene, problems)}
    changed = [
        f.HeldBack(about=about, why=why) for about, why in now.items() if _recorded(scene, about) != why
    ]
    return (*changed, *(f.HeldBack(about=about) for about in scene.world.held if about not in now))


def _recorded(scene: Scene, about: str) -> tuple[str, ...]:
    found, task = scene.world.held.get(about), scene.world.tasks.get(about)
    # What was said before it came into the queue anew was said of another stay there.
    return () if found is None or (task is not None and found.since < task.since) else found.why


# --- as it stood --------------------------------------------------------------------------------------------

UNRECORDED = "whether a limit or the settings of that time held it back is not recorded"


def candidates_then(scene: Scene) -> tuple[Candidate, ...]:
    """Return the candidates of a moment in the past with the reasons that were recorded for them.

    The scene's world is the fold up to that moment. Settings of that time are not known: where no reason was
    recorded (before journals held any, or since the candidate came up), only those that follow from the
    journal alone are given, and it is said that there may have been others.
    """
    return (
        *(_issue(view, *issue_then(scene, view)) for view in unread(scene)),
        *(_task(scene, view, *task_then(scene, view)) for view in in_order(scene)),
    )


def issue_then(scene: Scene, view: IssueView) -> tuple[tuple[str, ...], str]:
    """Return why nobody had decided on an issue's words in the past, and how that is known."""
    recorded = scene.world.held.get(view.id)
    if recorded is not None:
        return recorded.why, f"as cycle {recorded.cycle} recorded it"
    return ("the admin agent had not decided on its words",), "no reason was recorded beside it"


def task_then(scene: Scene, view: TaskView) -> tuple[tuple[str, ...], str]:
    """Return why a queued task of the past was not started, and how that is known."""
    recorded = scene.world.held.get(view.task.id)
    if recorded is not None and recorded.since >= view.since:
        return recorded.why, f"as cycle {recorded.cycle} recorded it"
    return (*own_reasons(scene, view), UNRECORDED), "worked out from the journal alone"
