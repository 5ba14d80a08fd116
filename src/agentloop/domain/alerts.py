"""What a person is told about limits, and told once: that one comes near, and that one is reached. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentloop.domain.askable import askable, issue_of, unpaid
from agentloop.domain.limits import Rest, Wanted, anew_words, house, left_words
from agentloop.domain.order import in_order
from agentloop.domain.valueclass import dataclass
from agentloop.domain.wording import dollars

if TYPE_CHECKING:
    from agentloop.domain.scene import Scene
    from agentloop.domain.states import TaskView

SHARES: Final = (50, 80, 100)
"""Per cent of a limit's money or tokens that were spent when a person is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One thing to tell. `key` names limit, share and period, so that it is told once in each.

    `issue` is the issue whose work waits because of it, where a comment says so; "" = nothing waits.
    """

    key: str
    says: str
    issue: str = ""


def due(scene: Scene) -> tuple[Alert, ...]:
    """Return what is to be told now and was not told in this period."""
    found = [*_near(scene), *_waiting(scene), *_asking(scene)]
    fresh = {one.key: one for one in reversed(found) if one.key not in scene.world.alerted}
    return tuple(reversed(fresh.values()))


def standing(scene: Scene) -> tuple[str, ...]:
    """Return what was told about limits and still holds: a line each, the worst of each limit."""
    world, limits = scene.world, scene.settings.limits
    reached = {one.key for one in (*_waiting(scene), *_asking(scene))}
    lines = []
    for rest in (*house(world, limits, scene.now, "admin"), *house(world, limits, scene.now, "worker")):
        keys = [_key(scene, rest, str(share)) for share in SHARES if _is_spent(rest, share)]
        keys += [key for key in (_key(scene, rest, "reached"),) if key in reached]
        lines += [said for key in keys if (said := world.alerted.get(key))][-1:]
    return tuple(dict.fromkeys(lines))


def _near(scene: Scene) -> list[Alert]:
    rests = house(scene.world, scene.settings.limits, scene.now)
    found = []
    for rest in rests:
        share = max((each for each in SHARES if _is_spent(rest, each)), default=0)
        if not share:
            continue
        later = [each for each in SHARES if each >= share]
        if not any(_key(scene, rest, str(each)) in scene.world.alerted for each in later):
            says = f"{share} % of {rest.name} = {_amount(rest, rest.most)} is spent{anew_words(rest)}"
            found.append(Alert(key=_key(scene, rest, str(share)), says=says))
    return found


def _waiting(scene: Scene) -> list[Alert]:
    found, common = [], scene.common()
    for view in in_order(scene):
        rest = scene.unpaid(view, common)
        if rest is not None and _is_reached(rest, scene.needed(view)):
            says = f"task {view.task.id} waits: {left_words(rest, scene.needed(view))}"
            found.append(Alert(key=_key(scene, rest, "reached", view), says=says, issue=view.task.issue))
    return found


def _asking(scene: Scene) -> list[Alert]:
    own = [_used_up(scene, rest, issue_of(one)) for one, rest in unpaid(scene)]
    rest = scene.admin_unpaid()
    matters = askable(scene) if rest is not None else ()
    if rest is None or not matters or not _is_reached(rest, scene.admin_wants()):
        return own
    about = next((one.about for one in matters if one.kind == "issue"), "")
    left = f"{_amount(rest, rest.left)} is left under {rest.name}{anew_words(rest)}"
    says = f"the admin agent is not asked: {left}"
    return [*own, Alert(key=_key(scene, rest, "reached"), says=says, issue=about)]


def _used_up(scene: Scene, rest: Rest, issue: str) -> Alert:
    left = f"{_amount(rest, rest.left)} is left under {rest.name}"
    says = f"the admin agent is not asked about issue {issue}: {left}{anew_words(rest)}"
    return Alert(key=f"{_key(scene, rest, 'reached')} {issue}", says=says, issue=issue)


def _is_spent(rest: Rest, share: int) -> bool:
    return 100 * rest.spent >= share * rest.most


def _is_reached(rest: Rest, wanted: Wanted) -> bool:
    # What is only set aside comes back when its run ends: that is waiting for one's turn.
    return rest.most - rest.spent < wanted.under(rest)


def _key(scene: Scene, rest: Rest, what: str, view: TaskView | None = None) -> str:
    name = rest.name.removeprefix("limits.")
    period = str(rest.most)  # told again when it was raised and is reached again
    if name.startswith("hour"):
        # By its end: what is held up until twenty past is not told again when the clock strikes.
        period = f"{rest.until or scene.now:%Y-%m-%dT%H} {period}"
    elif "day" in name:
        period = f"{scene.now:%Y-%m-%d} {period}"
    about = ""
    if view is not None and name.startswith(("task", "issue")):
        about = f" {view.task.id if name.startswith('task') else view.task.issue}"
    return f"{name} {what} {period}{about}"


def _amount(rest: Rest, amount: int) -> str:
    return f"{amount:,} tokens" if rest.tokens else dollars(amount)
