"""What is left to spend, what the queue is expected to need of it, and what waits for tomorrow. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentloop.domain.estimating import estimate_for
from agentloop.domain.limits import Rest, house
from agentloop.domain.order import in_order
from agentloop.domain.valueclass import dataclass
from agentloop.domain.wording import count, dollars

if TYPE_CHECKING:
    from agentloop.domain.scene import Scene


@dataclass(frozen=True, slots=True, kw_only=True)
class Runway:
    """Limits with what they leave, the longest-lasting first; and the queue, as it is expected to cost."""

    rests: tuple[Rest, ...]
    queued: int
    expected_micros: int
    high_micros: int
    today: int
    """How many of the queue, in its order, may be started with what is left today."""
    tomorrow: int


def runway(scene: Scene) -> Runway:
    """Return how far the money reaches.

    A task counts with the median of its estimate, once; it is started only where all that an attempt may need
    is left (`Scene.needed`): one after the other, each pays what it is expected to.
    """
    limits = scene.settings.limits
    queue = in_order(scene)
    costs = [estimate_for(scene.world, limits, view.task) for view in queue]
    lasting = [
        rest
        for rest in house(scene.world, limits, scene.now, "worker")
        if not rest.tokens and "hour" not in rest.name
    ]
    spent, today = 0, 0
    for cost, view in zip(costs, queue, strict=True):
        needed = scene.needed(view)
        if any(rest.left - spent < needed.under(rest) for rest in lasting):
            break
        spent += cost.micros
        today += 1
    return Runway(
        rests=house(scene.world, limits, scene.now),
        queued=len(queue),
        expected_micros=sum(cost.micros for cost in costs),
        high_micros=sum(cost.high_micros for cost in costs),
        today=today,
        tomorrow=len(queue) - today,
    )


def runway_lines(found: Runway) -> tuple[str, ...]:
    """Return it as a person, or the admin agent, reads it: one line a limit, and one for the queue."""
    return (*(rest_words(rest) for rest in found.rests), *_queue(found))


def rest_words(rest: Rest) -> str:
    """Return a limit's line: what is left, of what, and what of the rest is only set aside."""
    if rest.tokens:
        aside = f", {rest.aside:,} set aside" if rest.aside else ""
        return f"{rest.name}: {rest.left:,} left of {rest.most:,}{aside}"
    aside = f", {dollars(rest.aside)} set aside for work under way" if rest.aside else ""
    return f"{rest.name}: {dollars(rest.left)} left of {dollars(rest.most)}{aside}"


def _queue(found: Runway) -> tuple[str, ...]:
    if not found.queued:
        return ()
    tasks = f"{count(found.queued, 'task')} queued"
    later = f"; {found.tomorrow} wait{'s' * (found.tomorrow == 1)} for tomorrow" if found.tomorrow else ""
    cost = f"expected {dollars(found.expected_micros)}, likely below {dollars(found.high_micros)}"
    return (f"{tasks}: {cost}; {found.today} may start today{later}",)
