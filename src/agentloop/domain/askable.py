"""What the admin agent may be asked about now, and what waits because its issue has no money left. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentloop.domain.holds import hold_on
from agentloop.domain.limits import of_issue, short
from agentloop.domain.signals import matters

if TYPE_CHECKING:
    from agentloop.domain.limits import Rest
    from agentloop.domain.scene import Scene
    from agentloop.domain.signals import Matter


def askable(scene: Scene) -> tuple[Matter, ...]:
    """Return the matters that are not paused and whose issues can pay for it, most urgent first."""
    return tuple(one for one in _matters(scene) if unpaid_matter(scene, one) is None)


def unpaid(scene: Scene) -> tuple[tuple[Matter, Rest], ...]:
    """Return the others, each with the limit of its issue that is used up."""
    found = ((one, unpaid_matter(scene, one)) for one in _matters(scene))
    return tuple((one, rest) for one, rest in found if rest is not None)


def _matters(scene: Scene) -> tuple[Matter, ...]:
    world, observed = scene.world, scene.observed
    found = world.once("matters", (observed, world.sleep), lambda: matters(world, observed))
    return tuple(one for one in found if not _is_paused(scene, one)) if world.holds else found


def _is_paused(scene: Scene, matter: Matter) -> bool:
    # What is about no issue (a person's words in the relay) waits only while everything is paused.
    about = matter.about if matter.kind == "issue" else matter.about.rpartition(".")[0]
    return hold_on(scene.world, scene.now, about) is not None


def unpaid_matter(scene: Scene, matter: Matter) -> Rest | None:
    """Return the limit of its issue that keeps the admin agent from being asked about the matter, or None."""
    return unpaid_issue(scene, issue_of(matter))


def unpaid_issue(scene: Scene, issue: str) -> Rest | None:
    """Return the limit of the issue that keeps the admin agent from being asked about it, or None.

    All that it may take in a cycle has to be left: how the issues that it is asked about together share the
    cost is known afterwards.
    """
    if issue not in scene.world.issues:
        return None
    return short(of_issue(scene.world, scene.settings.limits, issue), scene.admin_wants())


def issue_of(matter: Matter) -> str:
    """Return the id of the issue that the matter is about; what is about none has an id of no issue."""
    return matter.about.partition(".")[0]
