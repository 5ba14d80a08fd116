"""The facts section of the relay: what code knows, and `null` where nobody does."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from agentloop.domain import alerts
from agentloop.domain import states as s
from agentloop.domain.wording import dollars, one_line
from agentloop.domain.world import Stuck, Waiting

if TYPE_CHECKING:
    from agentloop.domain.relay.values import Facts
    from agentloop.domain.scene import Scene
    from agentloop.domain.world import World

PARKED_NAMED = 3
"""Parked tasks that are named; of the others, how many."""


def facts_of(scene: Scene, problems: tuple[str, ...], failed: str = "") -> Facts:
    """Return the facts of this moment, in a fixed order; `failed` says why this cycle failed, if it did."""
    world = scene.world
    issues = Counter(_issue_word(view.state) for view in world.open_issues())
    tasks = Counter(_task_word(view.state) for view in world.live_tasks())
    reviews = [view.state.pull for view in world.live_tasks() if isinstance(view.state, s.InReview)]
    limits = scene.settings.limits
    return (
        ("cycle", str(world.cycle)),
        ("written", f"{scene.now:%Y-%m-%d %H:%M} UTC"),
        ("issues", _counted(issues)),
        ("tasks", _counted(tasks)),
        ("pull requests waiting for you", ", ".join(f"#{pull}" for pull in reviews) or "none"),
        ("parked", _parked(world)),
        ("spent today", f"{dollars(world.spent_by_day[scene.now.date()])} of ${limits.day_usd:.2f}"),
        ("spent in all", f"{dollars(sum(world.spent_by_day.values()))} of ${limits.total_usd:.2f}"),
        ("set aside for work under way", dollars(sum(world.purses.values()))),
        ("limits", "; ".join(alerts.standing(scene)) or "none near"),
        ("provider's limit until", f"{world.limited_until:%H:%M} UTC" if scene.limited() else "none"),
        ("problems", "; ".join(_problems(scene, problems, failed)) or "none"),
    )


def _parked(world: World) -> str:
    parked = [
        f"{view.task.id}: {one_line(view.state.reason, 80)} (agentloop retry {view.task.id})"
        for view in world.live_tasks()
        if isinstance(view.state, s.Parked)
    ]
    more = len(parked) - PARKED_NAMED
    also = [f"and {more} more (agentloop tasks --parked)"] if more > 0 else []
    return "; ".join((*parked[:PARKED_NAMED], *also)) or "none"


def _problems(scene: Scene, problems: tuple[str, ...], failed: str) -> list[str]:
    """The failure that stands, before and with this cycle, and what else went wrong in it."""
    trouble = scene.world.trouble
    times = (trouble.in_a_row if trouble else 0) + bool(failed)
    why = failed or (trouble.why if trouble else "")
    stands = [f"{times} cycles in a row failed: {why}" if times > 1 else f"a cycle failed: {why}"]
    return [one_line(text, 160) for text in (*(stands if why else ()), *problems[:3])]


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {word}" for word, number in sorted(counts.items())) or "none open"


def _issue_word(state: object) -> str:
    match state:
        case Waiting():
            return "waiting for your answer"
        case Stuck():
            return "parked"
        case _:
            return "open"


def _task_word(state: s.TaskState) -> str:
    match state:
        case s.InReview():
            return "in review"
        case s.Working():
            return "working"
        case s.Parked():
            return "parked"
        case s.Queued():
            return "queued"
        case _:
            return "in between"
