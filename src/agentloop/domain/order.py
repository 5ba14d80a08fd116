"""The order of work, and why a task that could be started was not.

Order: what a person wants begun now; then the most urgent issue; then what a person already reviewed; then
the older issue; then the plan's order. Every reason names what has to happen. The same function answers
`explain` and keeps the rules from starting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentloop.domain.approval import waits_for_word
from agentloop.domain.autonomy import only_suggested
from agentloop.domain.holds import hold_words
from agentloop.domain.issue import urgency
from agentloop.domain.limits import left_words, too_narrow
from agentloop.domain.signals import evidence_for, used_up
from agentloop.domain.states import Cancelled, Parked, Queued, TaskView, finished
from agentloop.domain.wording import PROVIDERS_LIMIT
from agentloop.domain.world import Closed, Stuck

if TYPE_CHECKING:
    from agentloop.domain.scene import Common, Scene
    from agentloop.domain.world import World


def in_order(scene: Scene) -> tuple[TaskView, ...]:
    """Return the queued tasks in the order of work."""
    return scene.world.once("in order", (), lambda: _in_order(scene))


def _in_order(scene: Scene) -> tuple[TaskView, ...]:
    queued = [view for view in scene.world.live_tasks() if isinstance(view.state, Queued)]
    return tuple(sorted(queued, key=lambda view: _rank(scene, view)))


def _rank(scene: Scene, view: TaskView) -> tuple[bool, int, int, tuple[int, str], int]:
    rank, number, issue = urgency(scene.world.issues[view.task.issue].priority, view.task.issue)
    return (
        not is_urged(scene.world, view),
        rank,
        0 if view.pull else 1,
        (number, issue),
        int(view.task.id.rpartition(".")[2]),
    )


def is_urged(world: World, view: TaskView) -> bool:
    """Whether a person wants the task begun before all others."""
    return view.task.id in world.urged or view.task.issue in world.urged


def place(scene: Scene, view: TaskView) -> str:
    """Return why the task stands where it does in the order of work."""
    queue = in_order(scene)
    position = next((n for n, one in enumerate(queue, 1) if one.task.id == view.task.id), 0)
    why = ["a person wants it begun now"] if is_urged(scene.world, view) else []
    why.append(f"{scene.world.issues[view.task.issue].priority} priority")
    if view.pull:
        why.append("a person reviewed it already")
    return f"{position} of {len(queue)} in the queue ({', '.join(why)}, issue {view.task.issue})"


def held_back(scene: Scene, view: TaskView, common: Common | None = None) -> tuple[str, ...]:
    """Return every reason why the task may not be started now; empty = it may.

    Who asks about many tasks gives what they have in `common`, so that it is not worked out for each.
    """
    if not isinstance(view.state, Queued):
        return (f"it is not queued but {type(view.state).__name__.lower()}",)
    given = (scene.settings, scene.now, scene.observed.disk_mb, scene.woken, view)
    return scene.world.once(f"held {view.task.id}", given, lambda: _held_back(scene, view, common))


def _held_back(scene: Scene, view: TaskView, common: Common | None) -> tuple[str, ...]:
    return (*own_reasons(scene, view), *_house_reasons(scene, view, common or scene.common()))


def own_reasons(scene: Scene, view: TaskView) -> tuple[str, ...]:
    """Return the reasons that follow from the journal alone, whatever the settings say; () = none of them."""
    state = view.state
    if not isinstance(state, Queued):
        return ()
    from agentloop.domain.overlap import in_the_way  # nor has a cycle in which nothing is queued

    reasons = [_needs(scene, task) for task in view.task.needs]
    reasons += [waits_for_word(scene.world, view), *in_the_way(scene.world, view)]
    # A clock that was set back behind the moment the wait began says nothing about its end.
    if state.not_before is not None and view.since <= scene.now < state.not_before:
        reasons.append(f"waits until {state.not_before:%Y-%m-%d %H:%M} UTC: {state.why}")
    if nothing_new(scene.world, view, state):
        reasons.append(
            "an attempt on this very evidence has already ended by its own verdict; nothing new since"
        )
    if isinstance(scene.world.issues[view.task.issue].state, Stuck | Closed):
        reasons.append(f"issue {view.task.issue} is parked or closed")
    reasons.append(hold_words(scene.world, scene.now, view.task.id))
    return tuple(reason for reason in reasons if reason)


def nothing_new(world: World, view: TaskView, state: Queued) -> bool:
    """Whether an attempt on what the task is queued with has already ended by its own verdict."""
    name = f"nothing new {view.task.id}"
    return bool(view.tries) and world.once(
        name, (view, state), lambda: used_up(view, evidence_for(view, state))
    )


def stands_still(scene: Scene, view: TaskView, common: Common) -> tuple[str, ...]:
    """Return why the task waits for something that no other task, and no clock of its own, brings about."""
    others = [scene.world.tasks.get(task) for task in view.task.needs]
    if any(one is not None and not finished(one.state) for one in others):
        return ()  # what the other waits for is what is to be told
    return held_back(scene, view, common)


def _needs(scene: Scene, task: str) -> str:
    needed = scene.world.tasks.get(task)
    if needed is None:
        return f"needs task {task}, which does not exist"
    if finished(needed.state):
        return ""
    if isinstance(needed.state, Parked | Cancelled):
        return f"needs task {task}, which is {type(needed.state).__name__.lower()}: {needed.state.reason}"
    return f"needs task {task} to be merged first"


def needed_first(world: World, view: TaskView) -> tuple[TaskView, ...]:
    """Return every task that must be finished before this one may start, those that they need included."""
    found: dict[str, TaskView] = {}
    left = list(view.task.needs)
    while left:
        needed = world.tasks.get(left.pop(0))
        if needed is not None and needed.task.id not in found and not finished(needed.state):
            found[needed.task.id] = needed
            left += needed.task.needs
    return tuple(found.values())


def fruitless_words(scene: Scene) -> str:
    """Return that the breaker for work without progress is open, as the beginning of a sentence."""
    return f"{scene.world.fruitless} attempts in a row came to nothing (limits.attempts_without_result)"


def _money_reasons(scene: Scene, view: TaskView, common: Common) -> list[str]:
    unpaid, narrow = scene.unpaid(view, common), too_narrow(scene.settings)
    left = left_words(unpaid, scene.needed(view)) if unpaid is not None else ""
    return [says for says in (narrow, left) if says]


def _waits_for_limit(scene: Scene, view: TaskView) -> bool:
    """Whether its own wait is for the provider's limit, and for as long at least."""
    state, until = view.state, scene.world.limited_until
    if not isinstance(state, Queued) or state.not_before is None or until is None:
        return False
    return state.why.startswith(PROVIDERS_LIMIT) and view.since <= scene.now < until <= state.not_before


def _house_reasons(scene: Scene, view: TaskView, common: Common) -> list[str]:
    gone = f"target {view.task.target!r} is not in the settings any more"
    known = scene.settings.target(view.task.target) is not None
    full = not view.pull and common.in_review >= scene.settings.limits.open_pulls
    review = f"{common.in_review} pull requests wait for a person (limits.open_pulls)" if full else ""
    off, busy, limited, disk, fruitless = shared_reasons(scene, common)
    limited = "" if _waits_for_limit(scene, view) else limited
    money = _money_reasons(scene, view, common)
    barred = next((one.why for one in scene.observed.barred if one.target == view.task.target), "")
    pushed = f"nothing may be pushed to target {view.task.target}: {barred}" if barred else ""
    suggested = only_suggested(scene.settings, scene.world.issues[view.task.issue]) if known else ""
    first = ("" if known else gone, suggested, pushed)
    reasons = (*first, off, busy, review, limited, *money, disk, fruitless)
    return [reason for reason in reasons if reason]


def shared_reasons(scene: Scene, common: Common) -> tuple[str, str, str, str, str]:
    """Return what holds back every queued task alike; "" for each that does not."""
    given = scene.settings, scene.now, scene.observed.disk_mb, scene.observed.disk_short, scene.woken
    return scene.world.once("shared reasons", given, lambda: _shared_reasons(scene, common))


def _shared_reasons(scene: Scene, common: Common) -> tuple[str, str, str, str, str]:
    limits, used = scene.settings.limits, scene.observed.disk_mb
    off = "workers are switched off (layers.workers = false): the loop only plans"
    busy = f"{common.working} attempts run already (limits.attempts_at_once)"
    limited = f"the provider's limit lasts until {scene.world.limited_until or scene.now:%H:%M} UTC"
    disk = f"{used} MB of disk are used (limits.disk_mb)" if used > limits.disk_mb else ""
    short = "the disk is nearly full: less than twice limits.free_mb is left"
    fruitless = f"{fruitless_words(scene)}: none is started until something is new (agentloop wake: try)"
    return (
        "" if scene.settings.layers.workers else off,
        busy if common.working >= limits.attempts_at_once else "",
        limited if scene.limited() else "",
        disk or (short if scene.observed.disk_short else ""),
        fruitless if scene.fruitless() else "",
    )
