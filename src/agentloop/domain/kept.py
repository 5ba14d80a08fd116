"""The words of the one comment on an issue that is edited in place: made for a phone, 25 lines at most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentloop.domain import states as s
from agentloop.domain.signals import digest
from agentloop.domain.telling import issue_state, standing
from agentloop.domain.valueclass import dataclass
from agentloop.domain.wording import one_line

if TYPE_CHECKING:
    from agentloop.domain.scene import Scene
    from agentloop.domain.world import IssueView


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The comment. Its digest leaves out figures that change without anything having happened."""

    body: str
    digest: str


def kept(scene: Scene, view: IssueView, *, begun: bool) -> Kept | None:
    """Return what the issue's kept comment says; None: there is nothing to keep. `begun`: there is one."""
    tasks = scene.world.tasks_of(view.id)
    if not begun:
        return None
    lines = [f"**{issue_state(view)}**: {one_line(view.title)}", ""]
    lines += [
        f"- [{'x' if s.finished(one.state) else ' '}] {one.task.id} {one_line(one.task.title)}: "
        f"{standing(one.state)}"
        for one in tasks
    ]
    body = "\n".join(lines)
    return Kept(body=body, digest=digest(body))
