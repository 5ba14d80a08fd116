"""What an order means now, and what is said to it. Pure.

`MEANINGS` is the place where a verb gets its meaning: one function of the order, of what it is about and of
the scene, that returns the decisions of the person who gave it, or why there is nothing to decide. They pass
the same admission as everybody's. A verb that is not there is answered with those that are.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from agentloop.domain import decisions as d
from agentloop.domain import facts as f
from agentloop.domain import states as s
from agentloop.domain import world as w
from agentloop.domain.approval import asked_plan, held_plan
from agentloop.domain.autonomy import only_suggested
from agentloop.domain.holds import EVERYTHING, PAUSE_DAYS, PAUSE_DAYS_MOST, hold_on, hold_words
from agentloop.domain.limits import budget_words
from agentloop.domain.limits import of_issue as limits_of_issue
from agentloop.domain.order import held_back
from agentloop.domain.orders import APPROVE, CHANGED, REJECT, is_changed, nearest
from agentloop.domain.receipt import of_issue as receipt_of_issue
from agentloop.domain.report import need_of_issue
from agentloop.domain.settings import micros
from agentloop.domain.telling import issue_state, standing, task_state
from agentloop.domain.valueclass import dataclass
from agentloop.domain.waiting import waiting
from agentloop.domain.wording import count, dollars, one_line, plan_waits, refused_comment
from agentloop.domain.work import RETRY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentloop.domain.orders import Order
    from agentloop.domain.scene import Scene
    from agentloop.domain.states import TaskView
    from agentloop.domain.world import IssueView

TASKS_TOLD: Final = 8
"""Tasks that an answer names: it is read on a phone."""
_UNITS: Final = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_DOLLARS: Final = re.compile(r"\$? ?(\d{1,7}(?:\.\d{1,2})?) ?\$?")
_SPAN: Final = re.compile(r"(\d{1,6}) ?(m|min|minutes?|h|hours?|d|days?|w|weeks?)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What an order is about: an issue, one task of it (on its pull request), or everything (both "")."""

    issue: str = EVERYTHING
    task: str = ""

    @property
    def about(self) -> str:
        """The task, the issue or ""."""
        return self.task or self.issue


@dataclass(frozen=True, slots=True, kw_only=True)
class Meant:
    """The decisions that an order comes to, or why it comes to none.

    Neither: it is answered in words alone.
    """

    decisions: tuple[d.PersonDecision, ...] = ()
    refused: str = ""


Meaning: TypeAlias = "Callable[[Order, Subject, Scene], Meant]"


def meaning(order: Order, scene: Scene) -> Meant:
    """Return what is to be decided because of an order."""
    if is_changed(scene.world, order):
        return Meant(refused="its comment was changed after it was written: say it again in a new one")
    found = MEANINGS.get(order.verb)
    if found is None:
        return Meant(refused=unknown_words(order))
    about = subject(order, scene)
    meant = Meant(refused=about) if isinstance(about, str) else found(order, about, scene)
    # A cycle that was cut off had carried it out, and not answered yet.
    return Meant() if meant.refused and _is_carried_out(order, scene) else meant


def _is_carried_out(order: Order, scene: Scene) -> bool:
    world = scene.world
    again = f"{RETRY}{order.id}"
    return order.id in world.obeying or any(again in view.heard for view in world.live_tasks())


def is_unknown(order: Order) -> bool:
    """Whether the order has no verb that means anything."""
    return order.verb not in MEANINGS


def unknown_words(order: Order) -> str:
    """Return what is said to a verb that nobody knows."""
    known = ", ".join(f"`{verb}`" for verb in MEANINGS)
    if not order.verb:
        return f"say what is to be done: {known}"
    given = one_line(order.verb, 40).replace("`", "")
    return f"there is no `{given}`{nearest(order.verb, MEANINGS)} I know {known}"


def subject(order: Order, scene: Scene) -> Subject | str:
    """Return what the order is about, or why that is nothing that can be told anything."""
    if order.about == EVERYTHING:
        return Subject()
    world = scene.world
    if order.pull:
        view = next((one for one in world.live_tasks() if one.pull == order.about), None)
        return Subject(issue=view.task.issue, task=view.task.id) if view else "its task is over"
    known = world.issues.get(order.about)
    if known is None:
        return "this issue was not written by somebody I work for"
    return "it is closed" if isinstance(known.state, w.Closed) else Subject(issue=order.about)


def answered(order: Order, why: str, scene: Scene) -> f.Obeyed:
    """Return that the order was answered, and what is said to it; `why`: it was not carried out."""
    changed = is_changed(scene.world, order)
    answer: Literal["done", "refused", "unknown", "changed"] = "done"
    if why:
        answer = "changed" if changed else "unknown" if is_unknown(order) else "refused"
    asked = f"/agentloop {one_line(order.verb, 40)}".replace("`", "")
    return f.Obeyed(
        order=order.id,
        about=order.about,
        verb=order.verb,
        by=order.by,
        first=f"{CHANGED}{order.first}" if changed else order.first,
        answer=answer,
        says=refused_comment(asked, order.by, why) if why else answer_words(order, scene),
    )


def answer_words(order: Order, scene: Scene) -> str:
    """Return what is said to an order that was carried out; "" when a reaction says it all."""
    about = subject(order, scene)
    if isinstance(about, str):
        return ""
    match order.verb:
        case "status":
            return status_words(about, scene)
        case "explain":
            return explain_words(about, scene)
        case "pause":
            held = hold_words(scene.world, scene.now, about.about)
            return f"**Paused:** {held}. What runs goes on to its end."
        case "start":
            return _start_words(about, scene)
        case "budget":
            return budget_words(scene.world, scene.settings.limits, about.issue)
        case "plan" if not order.words:
            return _plan_words(about, scene)
        case _:
            return ""


# --- each verb ----------------------------------------------------------------------------------------------


def _views(about: Subject, scene: Scene) -> tuple[TaskView, ...]:
    found = scene.world.tasks_of(about.issue)
    return tuple(
        one for one in found if not s.over(one.state) and (not about.task or one.task.id == about.task)
    )


def _start(order: Order, about: Subject, scene: Scene) -> Meant:
    if about.issue == EVERYTHING:
        return Meant(refused="say it on an issue")
    hold = hold_on(scene.world, scene.now, about.about)
    if hold is not None and hold[0] == EVERYTHING:
        return Meant(refused=hold_words(scene.world, scene.now, about.about))
    issue, views = scene.world.issues[about.issue], _views(about, scene)
    parked = [one for one in views if isinstance(one.state, s.Parked)]
    waits = parked or any(isinstance(one.state, s.Queued) for one in views)
    unread = isinstance(issue.state, w.Stuck) or issue.evidence != issue.handled
    if not (waits or hold or (unread and not about.task)):
        need = need_of_issue(scene.world, issue)
        state = "; ".join(f"{one.task.id}: {standing(one.state)}" for one in views) or issue_state(issue)
        return Meant(refused=f"nothing waits to be begun: {need.says if need and not views else state}")
    ends = _lifted(order, about, scene)
    begin = d.BeginWork(about=about.about, by=order.by, rationale=_because(order), order=order.id)
    permits = _permits(order, issue, scene)
    return Meant(decisions=(*ends, *permits, begin, *_tried_again(order, parked)))


def _permits(order: Order, issue: IssueView, scene: Scene) -> tuple[d.Permit, ...]:
    if not only_suggested(scene.settings, issue):
        return ()
    return (d.Permit(issue=issue.id, by=order.by, rationale=_because(order), order=order.id),)


def _lifted(order: Order, about: Subject, scene: Scene) -> tuple[d.ResumeWork, ...]:
    names = {about.issue: None, about.about: None}
    held = [name for name in names if name in scene.world.holds]
    lasting = [name for name in held if scene.world.holds[name].until > scene.now]
    return tuple(
        d.ResumeWork(about=name, by=order.by, rationale=_because(order), order=order.id) for name in lasting
    )


def _tried_again(order: Order, parked: list[TaskView]) -> tuple[d.TryAgain, ...]:
    words = order.words if order.verb == "retry" else ""
    return tuple(
        d.TryAgain(task=one.task.id, request=order.id, by=order.by, rationale=words) for one in parked
    )


def _pause(order: Order, about: Subject, scene: Scene) -> Meant:
    found = _SPAN.match(order.words)
    span, reason = timedelta(days=PAUSE_DAYS), order.words
    if found is not None:
        span, reason = (
            timedelta(seconds=int(found[1]) * _UNITS[found[2][0].lower()]),
            order.words[found.end() :],
        )
    if not timedelta() < span <= timedelta(days=PAUSE_DAYS_MOST):
        return Meant(refused=f"a pause lasts {PAUSE_DAYS_MOST} days at most: `/agentloop pause 3d`")
    until = order.at + span
    if until <= scene.now:
        return Meant(refused=f"that pause is over already: it was until {until:%Y-%m-%d %H:%M} UTC")
    why = one_line(reason.strip(" :,-"), 200)
    return Meant(
        decisions=(d.PauseWork(about=about.about, until=until, by=order.by, rationale=why, order=order.id),)
    )


def _resume(order: Order, about: Subject, scene: Scene) -> Meant:
    ends = _lifted(order, about, scene)
    if ends:
        return Meant(decisions=ends)
    held = hold_words(scene.world, scene.now, about.about)
    return Meant(refused=f"{held}, but not here" if held else "it is not paused")


def _retry(order: Order, about: Subject, scene: Scene) -> Meant:
    views = _views(about, scene) if about.issue else ()
    parked = [one for one in views if isinstance(one.state, s.Parked)]
    if parked:
        return Meant(decisions=_tried_again(order, parked))
    issue = scene.world.issues.get(about.issue)
    if issue is not None and not about.task and isinstance(issue.state, w.Stuck):
        return Meant(
            decisions=(d.BeginWork(about=issue.id, by=order.by, rationale=_because(order), order=order.id),)
        )
    state = "; ".join(f"{one.task.id}: {standing(one.state)}" for one in views)
    return Meant(refused=f"nothing of it is parked{': ' * bool(state)}{state}")


def _stop(order: Order, about: Subject, scene: Scene) -> Meant:
    if about.issue == EVERYTHING:
        return Meant(refused="say it on an issue; `pause` holds everything")
    why = f"{order.by or 'a person'} stopped it{': ' * bool(order.words)}{order.words}"
    if about.task:
        return Meant(decisions=(d.StopWork(about=about.task, by=order.by, rationale=why, order=order.id),))
    if isinstance(scene.world.issues[about.issue].state, w.Stuck) and not _views(about, scene):
        return Meant(refused="nothing of it is under way")
    return Meant(decisions=(d.StopWork(about=about.issue, by=order.by, rationale=why, order=order.id),))


def _plan(order: Order, about: Subject, scene: Scene) -> Meant:
    if about.issue == EVERYTHING or about.task:
        return Meant(refused="say it on the issue that the plan is of")
    issue = scene.world.issues[about.issue]
    first, _, rest = order.words.partition(" ")
    word = first.rstrip(":,.").lower()
    if word not in APPROVE | REJECT:
        return Meant()  # to be shown; or words, which the admin agent reads as part of the issue
    if word in APPROVE and rest.strip():
        return Meant(refused="a plan is approved as it stands: say other words without `approve`")
    if word in APPROVE:
        yes = d.ApprovePlan(issue=issue.id, by=order.by, rationale=_because(order), order=order.id)
        return Meant(decisions=(yes,))
    no = d.RejectPlan(issue=issue.id, by=order.by, rationale=rest.strip() or word, order=order.id)
    return Meant(decisions=(no,))


def _budget(order: Order, about: Subject, _scene: Scene) -> Meant:
    if about.issue == EVERYTHING:
        return Meant(refused="say it on an issue; the house's limits stand in its settings")
    if not order.words:
        return Meant()
    found = _DOLLARS.fullmatch(order.words)
    if found is None:
        return Meant(refused="say how many dollars: `/agentloop budget 5`")
    amount = micros(float(found[1]))
    budget = d.SetBudget(
        issue=about.issue, micros=amount, by=order.by, rationale=_because(order), order=order.id
    )
    return Meant(decisions=(budget,))


def _tell(_order: Order, _about: Subject, _scene: Scene) -> Meant:
    return Meant()


MEANINGS: Mapping[str, Meaning] = {
    "start": _start,
    "pause": _pause,
    "resume": _resume,
    "retry": _retry,
    "stop": _stop,
    "status": _tell,
    "explain": _tell,
    "plan": _plan,
    "budget": _budget,
}


def _because(order: Order) -> str:
    return order.words or f"`/agentloop {order.verb}`"


# --- answers ------------------------------------------------------------------------------------------------


def _start_words(about: Subject, scene: Scene) -> str:
    """Return what still keeps it from being begun, once it is first in line."""
    queued = [one for one in _views(about, scene) if isinstance(one.state, s.Queued)]
    held = [(one, why) for one in queued if (why := held_back(scene, one))]
    if not queued or len(held) < len(queued):
        return ""
    view, why = held[0]
    return f"It is first in line, and waits: task {view.task.id} {one_line('; '.join(why), 300)}"


def _plan_words(about: Subject, scene: Scene) -> str:
    """Return whether the issue's plan waits for a word, and for which."""
    issue = scene.world.issues[about.issue]
    held = held_plan(scene.world, issue)
    suggested = only_suggested(scene.settings, issue) if asked_plan(scene, issue) else ""
    return plan_waits(held.why if held else (), suggested) or "No plan waits for a word of yours here."


def status_words(about: Subject, scene: Scene) -> str:
    """Return where it stands, what it cost and what it waits for: at most some twenty lines."""
    if about.issue == EVERYTHING:
        return hold_words(scene.world, scene.now, EVERYTHING) or "Nothing is paused."
    issue = scene.world.issues[about.issue]
    views = _views(about, scene)
    over = len(scene.world.tasks_of(about.issue)) - len(views) if not about.task else 0
    lines = [f"**{issue_state(issue)}**{f', {over} of its tasks are over' if over else ''}"]
    lines += [
        f"- {one.task.id} {one_line(one.task.title, 80)}: {_state(scene, one)}" for one in views[:TASKS_TOLD]
    ]
    lines += [f"- and {len(views) - TASKS_TOLD} more"] if len(views) > TASKS_TOLD else []
    paused = hold_words(scene.world, scene.now, about.about)
    reasons = waiting(scene, issue, views).reasons
    lines += ["", f"Paused: {paused}"] if paused else []
    lines += ["", f"Waits: {one_line(reasons[0], 300)}"] if reasons and not views else []
    return "\n".join([*lines, "", _spend(about, scene)])


def _state(scene: Scene, view: TaskView) -> str:
    return one_line(task_state(scene, view), 200)


def _spend(about: Subject, scene: Scene) -> str:
    found = receipt_of_issue(scene.world, about.issue)
    rests = [
        one for one in limits_of_issue(scene.world, scene.settings.limits, about.issue) if not one.tokens
    ]
    most = f" of {dollars(rests[0].most)}" if rests else ""
    return f"Spent: {dollars(found.all.most_micros)}{most} in {count(found.attempts, 'attempt')}."


def explain_words(about: Subject, scene: Scene) -> str:
    """Return every reason why it waits."""
    if about.issue == EVERYTHING:
        return status_words(about, scene)
    issue = scene.world.issues[about.issue]
    paused = hold_words(scene.world, scene.now, about.about)
    reasons = [*([paused] if paused else []), *waiting(scene, issue, _views(about, scene)).reasons]
    lines = [f"- {one_line(one, 400)}" for one in dict.fromkeys(reasons)][:TASKS_TOLD]
    return "\n".join(["**Why it stands where it does:**", "", *(lines or ["- nothing holds it back"])])
