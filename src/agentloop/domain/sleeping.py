"""How long to sleep, and why: chosen from what is true now, never a constant.

The reason is shown to people.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from agentloop.domain import decisions as d
from agentloop.domain.askable import askable, issue_of, unpaid
from agentloop.domain.holds import EVERYTHING, hold_words, next_end
from agentloop.domain.limits import gone_words
from agentloop.domain.order import held_back, in_order, shared_reasons, stands_still
from agentloop.domain.reviewing import unweighed
from agentloop.domain.signals import time_of
from agentloop.domain.states import InReview, Judging, Parked, Queued, TaskState, Working
from agentloop.domain.valueclass import dataclass, replace
from agentloop.domain.wording import PROVIDERS_LIMIT, count, one_line
from agentloop.domain.world import Stuck, Waiting

if TYPE_CHECKING:
    from agentloop.domain.limits import Rest
    from agentloop.domain.scene import Scene

HIBERNATING = "hibernating until: "
Kind = Literal["more", "limited", "busy", "due", "backoff", "budget", "hibernating", "idle"]

WEIGHED_SECONDS = 10
"""When to ask again whether a pull request merges; the wait doubles."""
NAMED = 3
"""Names that fit a line."""
WHY = 160
"""Characters of a reason that others wrote; whole it stands in the log, and in `agentloop explain`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nap:
    """Sleep until `until` (None = until something happens), unless woken; `reason` is for people."""

    until: datetime | None
    kind: Kind
    reason: str


def nap(scene: Scene, *, quiet_cycles: int, more: bool, asked: d.Sleep | d.Hibernate | None = None) -> Nap:
    """Return the sleep that fits.

    `quiet_cycles` counts the cycles in a row in which nothing happened, `more` says that work is left that
    could be done at once, `asked` is what the admin proposed: it can shorten a sleep or turn it into a
    hibernation, but never lengthen one while something is under way or due.
    """
    if more:
        return Nap(until=scene.now, kind="more", reason="there is more to do")
    under_way = _earliest([_busy(scene), _due(scene), _troubled(scene)])
    if scene.limited():
        return _limited(scene)
    if under_way is not None:
        return _earlier(under_way, asked, scene)
    if weighing := _weighing(scene, quiet_cycles):
        return weighing
    if isinstance(asked, d.Hibernate) and not _over(asked, scene):
        return _until_pause_ends(_hibernation(asked), scene)
    return _until_pause_ends(_earlier(_idle(scene, quiet_cycles), asked, scene), scene)


def _until_pause_ends(found: Nap, scene: Scene) -> Nap:
    ends = next_end(scene.world, scene.now)
    if paused := hold_words(scene.world, scene.now, EVERYTHING):
        found = replace(found, reason=f"{paused}; {found.reason}")
    return found if ends is None or (found.until and found.until <= ends) else replace(found, until=ends)


def _limited(scene: Scene) -> Nap:
    world = scene.world
    reason = f"{PROVIDERS_LIMIT}: {one_line(world.limited_why, WHY)}"
    return Nap(until=world.limited_until, kind="limited", reason=reason)


def _troubled(scene: Scene) -> Nap | None:
    trouble, again = scene.world.trouble, scene.ask_again_at()
    if trouble is None or again is None or again <= scene.now:
        return None
    count = "" if trouble.in_a_row == 1 else f", {trouble.in_a_row} times in a row"
    reason = f"the admin agent is asked again then; it failed{count}: {one_line(trouble.why, WHY)}"
    return Nap(until=again, kind="backoff", reason=reason)


def _busy(scene: Scene) -> Nap | None:
    running = [
        view
        for view in scene.world.live_tasks()
        if isinstance(view.state, Working) or (isinstance(view.state, Judging) and view.state.started)
    ]
    if not running:
        return None
    names = _few([_at_work(view.state) for view in running])
    until = scene.now + timedelta(seconds=scene.settings.sleep.busy_seconds)
    ends = [one.deadline for view in running if (one := view.last) is not None and one.deadline > scene.now]
    return Nap(until=min([until, *ends]), kind="busy", reason=f"{names} at work")


def _at_work(state: TaskState) -> str:
    match state:
        case Working(attempt=attempt):
            return f"attempt {attempt}"
        case Judging(attempt=attempt):
            return f"the gate on {attempt}"
        case _:
            return ""


def _weighing(scene: Scene, quiet_cycles: int) -> Nap | None:
    """A forge finds out within seconds whether a pull request merges, and tells nobody that it has."""
    waiting = [view.pull for view in scene.world.live_tasks() if unweighed(scene, view)]
    if not waiting:
        return None
    seconds = min(scene.settings.sleep.idle_seconds, WEIGHED_SECONDS * 2 ** min(quiet_cycles, 12))
    reason = f"whether pull request {_few(waiting)} merges is not known yet"
    return Nap(until=scene.now + timedelta(seconds=seconds), kind="due", reason=reason)


def _due(scene: Scene) -> Nap | None:
    waits = [
        (view.state.not_before, view)
        for view in in_order(scene)
        if isinstance(view.state, Queued)
        and view.state.not_before is not None
        and view.since <= scene.now < view.state.not_before
    ]
    if waits:
        until, view = min(waits, key=lambda pair: pair[0])
        state = view.state
        why = state.why if isinstance(state, Queued) else ""
        return Nap(
            until=until, kind="due", reason=f"task {view.task.id} is tried again then: {one_line(why, WHY)}"
        )
    return _out_of_money(scene)


def _out_of_money(scene: Scene) -> Nap | None:
    common = scene.common()
    queue = () if any(shared_reasons(scene, common)) else in_order(scene)
    unpaid = [(view, rest) for view in queue if (rest := scene.unpaid(view, common)) is not None]
    waiting = [(view, rest) for view, rest in unpaid if len(held_back(scene, view, common)) == 1]
    if not waiting:
        rest = scene.admin_unpaid()
        matters = askable(scene) if rest else ()
        return _cannot_ask(rest, len(matters)) if rest and matters else None
    timed = [(rest.until, view, rest) for view, rest in waiting if rest.until is not None]
    if not timed:
        why = f"{gone_words(waiting[0][1])}: raise it to go on with {count(len(waiting), 'task')}"
        return Nap(until=None, kind="budget", reason=why)
    until, view, rest = min(timed, key=lambda one: one[0])
    when = "tomorrow" if until == scene.next_day() else f"at {until:%H:%M} UTC"
    return Nap(until=until, kind="budget", reason=f"{gone_words(rest)}; task {view.task.id} goes on {when}")


def _cannot_ask(rest: Rest, matters: int) -> Nap:
    what = (
        f"{gone_words(rest)}; {count(matters, 'matter')} {'waits' if matters == 1 else 'wait'} for a decision"
    )
    if rest.until is None:
        return Nap(until=None, kind="budget", reason=f"{what}: raise it to go on")
    until = "tomorrow" if "day" in rest.name else f"{rest.until:%H:%M} UTC"
    return Nap(until=rest.until, kind="budget", reason=f"{what} until {until}")


def _earliest(naps: list[Nap | None]) -> Nap | None:
    found = [one for one in naps if one is not None]
    timed = [(one.until, one) for one in found if one.until is not None]
    if timed:
        return min(timed, key=lambda pair: pair[0])[1]
    return found[0] if found else None


def _hibernation(asked: d.Hibernate) -> Nap:
    timed = [moment for wake in asked.until if (moment := time_of(wake)) is not None]
    what = ", ".join(f"{wake.on} {wake.which}".strip() for wake in asked.until)
    told = asked.rationale.startswith(HIBERNATING)
    reason = asked.rationale if told else f"{HIBERNATING}{what} ({asked.rationale})"
    return Nap(until=min(timed) if timed else None, kind="hibernating", reason=reason)


def _over(asked: d.Hibernate, scene: Scene) -> bool:
    moments = [time_of(wake) for wake in asked.until]
    return any(one is not None and one <= scene.now for one in moments)


def _idle(scene: Scene, quiet_cycles: int) -> Nap:
    sleep = scene.settings.sleep
    seconds = min(sleep.idle_seconds, sleep.busy_seconds * 2 ** min(quiet_cycles, 12))
    return Nap(until=scene.now + timedelta(seconds=seconds), kind="idle", reason=_waiting_for(scene))


def _waiting_for(scene: Scene) -> str:
    tasks, issues = scene.world.live_tasks(), scene.world.open_issues()
    review = [view.task.id for view in tasks if isinstance(view.state, InReview)]
    asked = [one.id for one in issues if isinstance(one.state, Waiting)]
    parked = [f"task {view.task.id}" for view in tasks if isinstance(view.state, Parked)]
    parked += [f"issue {one.id}" for one in issues if isinstance(one.state, Stuck)]
    parts = []
    if review:
        parts.append(f"{count(len(review), 'pull request')} to review")
    if asked:
        parts.append(f"an answer on issue {_few(asked)}")
    if parked:
        parts.append(f"a word on what is parked: {_few(parked)}")
    for matter, rest in unpaid(scene)[:1]:
        parts.append(f"more under {rest.name}, which is used up for issue {issue_of(matter)}")
    waits = "waits for you: " + ", ".join(parts) if parts else ""
    return "; ".join(one for one in (_held(scene), waits) if one) or "nothing to do"


def _held(scene: Scene) -> str:
    """Return what could be started, and the reason that has to go first; "" when nothing is held back."""
    common = scene.common()
    held = [(view.task.id, why) for view in in_order(scene) if (why := stands_still(scene, view, common))]
    if not held:
        return ""
    task, why = held[0]
    others = f" (and {len(held) - 1} more)" if len(held) > 1 else ""
    also = f" (and {count(len(why) - 1, 'other reason')})" if len(why) > 1 else ""
    return f"task {task}{others} is held back: {one_line(why[0], 2 * WHY)}{also}"


def _few(names: list[str]) -> str:
    shown, more = names[:NAMED], len(names) - NAMED
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _earlier(found: Nap, asked: d.Sleep | d.Hibernate | None, scene: Scene) -> Nap:
    if not isinstance(asked, d.Sleep):
        return found
    until = scene.now + timedelta(minutes=max(1, asked.minutes))
    if found.until is not None and found.until <= until:
        return found
    return Nap(until=until, kind=found.kind, reason=f"{found.reason} ({asked.rationale})")
