"""What `tasks` lists, and how an id that a person typed is understood. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from agentloop.domain import states as s
from agentloop.domain.codec import tag_of
from agentloop.domain.order import held_back, in_order
from agentloop.domain.telling import standing
from agentloop.domain.valueclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentloop.domain.scene import Common, Scene


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """A task in a list.

    `says` holds its state in words, with every reason why a queued one is not started.
    """

    id: str
    issue: str
    title: str
    kind: str
    priority: str
    state: str
    says: str
    held_back: tuple[str, ...]
    since: datetime
    attempts: int
    spent_micros: int
    pull: str


def rows(scene: Scene, *, over: bool = False, issue: str = "") -> tuple[TaskRow, ...]:
    """Return the tasks that are not over, those in hand first and then the queue in the order of work.

    With `over`, those that are over follow, the newest first. With `issue`, only that issue's.
    """
    live = [view for view in scene.world.live_tasks() if not isinstance(view.state, s.Queued)]
    done = [view for view in scene.world.tasks.values() if s.over(view.state)] if over else []
    done.sort(key=lambda view: view.since, reverse=True)
    views = [*live, *in_order(scene), *done]
    common = scene.common()
    return tuple(_row(scene, view, common) for view in views if issue in ("", view.task.issue))


def _row(scene: Scene, view: s.TaskView, common: Common) -> TaskRow:
    reasons = held_back(scene, view, common) if isinstance(view.state, s.Queued) else ()
    says = standing(view.state)
    if isinstance(view.state, s.Queued):
        says = "; ".join(reasons) or "starts in the next cycle"
    return TaskRow(
        id=view.task.id,
        issue=view.task.issue,
        title=view.task.title,
        kind=view.task.kind,
        priority=scene.world.issues[view.task.issue].priority,
        state=tag_of(type(view.state)),
        says=says,
        held_back=reasons,
        since=view.since,
        attempts=len(view.tries),
        spent_micros=sum(one.spent_micros for one in view.tries),
        pull=view.pull,
    )


def meant(typed: str, known: Iterable[str]) -> str:
    """Return "did you mean …" for an id that is not there, or "" when none is near."""
    import difflib

    near = difflib.get_close_matches(typed, list(known), n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else ""
