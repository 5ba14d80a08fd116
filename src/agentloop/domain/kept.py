"""The words of the one comment on an issue that is edited in place. Pure.

Made for a phone: what matters stands in the first 25 lines, what is longer is folded; no tables, they wrap
badly. The reasons why something waits are those that `explain` gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentloop.domain import receipt
from agentloop.domain import states as s
from agentloop.domain import world as w
from agentloop.domain.candidates import unread_why
from agentloop.domain.issue import target_of
from agentloop.domain.limits import of_issue
from agentloop.domain.order import held_back
from agentloop.domain.signals import digest, without_numbers
from agentloop.domain.valueclass import dataclass
from agentloop.domain.wording import count, dollars, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from agentloop.domain.scene import Scene
    from agentloop.domain.states import TaskView
    from agentloop.domain.world import IssueView

WIDTH: Final = 42
"""Characters that fit into a line of a phone that is 390 pixels wide."""
TASKS: Final = 9
"""Lines that the checklist may take; with more, tasks that are over are folded first. So below."""
CRITERIA: Final = 5
REASONS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The comment. Its digest leaves out figures that change without anything having happened."""

    body: str
    digest: str


def kept(scene: Scene, view: IssueView) -> Kept | None:
    """Return what the issue's kept comment says; None: nothing is planned, so there is nothing to keep."""
    tasks = scene.world.tasks_of(view.id)
    if not tasks:
        return None
    waits = tuple(_waits(scene, view, tasks))
    over = isinstance(view.state, w.Closed)
    firm = [_head(view, tasks), *_goal(view, tasks), *_checklist(view, tasks), _do(view, tasks)]
    figures = [] if over else [_reasons(waits), _spent(scene, view)]
    fold = _folded(scene, view, tasks)
    parts = [*firm[:-1], *figures, firm[-1], fold]
    return Kept(
        body="\n\n".join(part for part in parts if part),
        digest=digest(*firm, *map(without_numbers, (*figures, fold))),
    )


def _head(view: IssueView, tasks: tuple[TaskView, ...]) -> str:
    done = sum(s.finished(one.state) for one in tasks)
    plan = f"**Plan** · {done} of {count(len(tasks), 'task')} done"
    match view.state:
        case w.Closed():
            return f"{plan} · closed"
        case w.Waiting():
            return f"{plan} · a question waits for your answer"
        case w.Stuck():
            return f"{plan} · stopped"
        case _:
            return plan


def _goal(view: IssueView, tasks: tuple[TaskView, ...]) -> Iterator[str]:
    if len(tasks) != 1:
        # The titles of several say what is wanted; what each must bring is folded.
        yield one_line(view.why, 3 * WIDTH)
        return
    contract = tasks[0].task.contract
    yield one_line(contract.goal, 3 * WIDTH)
    criteria = [one_line(text, 3 * WIDTH) for text in contract.criteria]
    fit = _fitting(criteria, CRITERIA)
    more = [f"{len(criteria) - fit} more, below"] if len(criteria) > fit else []
    if criteria:
        yield "\n".join(["Done means:", "", *(f"- {text}" for text in (*criteria[:fit], *more))])


def _fitting(texts: Sequence[str], lines: int) -> int:
    """Return how many of the texts, from the first on, take no more than so many lines: one at least."""
    room, fit = lines, 0
    for text in texts:
        room -= -(-(len(text) + 2) // WIDTH)
        if room < 0:
            break
        fit += 1
    return max(1, fit)


def _checklist(view: IssueView, tasks: tuple[TaskView, ...]) -> Iterator[str]:
    shown = _unfolded(tasks)
    lines = [_box(one, over=isinstance(view.state, w.Closed)) for one in shown]
    if len(shown) < len(tasks):
        lines.append(f"- [x] and {count(len(tasks) - len(shown), 'more task')}, folded below")
    if len(tasks) == 1:
        yield "Task:"  # or Markdown makes one list of the criteria above and this
    if lines:
        yield "\n".join(lines)


def _unfolded(tasks: tuple[TaskView, ...]) -> tuple[TaskView, ...]:
    if _fitting(list(map(_box, tasks)), TASKS) == len(tasks):
        return tasks
    live = [one for one in tasks if not s.over(one.state)]
    return tuple(live[: _fitting(list(map(_box, live)), TASKS)])


def _box(one: TaskView, *, over: bool = False) -> str:
    mark = "x" if s.finished(one.state) else " "
    where = _where(one)
    if over and not s.over(one.state):
        where = "not done"
    return f"- [{mark}] {one.task.id} {one_line(one.task.title, 60)}: {where}"


def _where(one: TaskView) -> str:
    pull = f"pull request {one.pull}"
    match one.state:
        case s.Merged(pull=merged):
            return f"pull request {merged} is merged"
        case s.Noted():
            return "noted"
        case s.Cancelled(reason=reason):
            return f"dropped, {one_line(reason, 60)}"
        case s.InReview(theirs=theirs):
            return f"{pull} is yours now" if theirs else f"{pull} waits for your review"
        case s.Parked(reason=reason):
            return f"**stopped**, {one_line(reason, 60)}"
        case s.Working():
            return "at work" + (f" on what was said of {pull}" if one.pull else "")
        case s.Queued():
            return "queued" + (f" after what was said of {pull}" if one.pull else "")
        case _:
            return "being checked"


def _waits(scene: Scene, view: IssueView, tasks: tuple[TaskView, ...]) -> Iterator[str]:
    if isinstance(view.state, w.Closed):
        return
    if view.evidence != view.handled:
        yield from unread_why(scene, view)
    review = [one.pull for one in tasks if isinstance(one.state, s.InReview)]
    if review:
        yield f"your review of {_pulls(review)}"
    for one in tasks:
        if isinstance(one.state, s.Queued):
            yield from (f"{one.task.id}: {reason}" for reason in held_back(scene, one))


def _pulls(names: list[str]) -> str:
    return f"pull request{'s' * (len(names) > 1)} {', '.join(names)}"


def _reasons(waits: Iterable[str]) -> str:
    found = list(dict.fromkeys(one_line(reason, 3 * WIDTH) for reason in waits))
    if not found:
        return ""
    fit = _fitting(found, REASONS)
    more = [f"{count(len(found) - fit, 'other reason')}"] if len(found) > fit else []
    return "\n".join(["Waits for:", "", *(f"- {reason}" for reason in (*found[:fit], *more))])


def _spent(scene: Scene, view: IssueView) -> str:
    limits = scene.settings.limits
    used = next((one for one in of_issue(scene.world, limits, view.id) if not one.tokens), None)
    spent = receipt.of_issue(scene.world, view.id).all.most_micros
    if used is None:
        return f"Spent: {dollars(spent)}" if spent else ""
    return f"Spent: {dollars(spent)} of {dollars(used.most)} for this issue"


def _do(view: IssueView, tasks: tuple[TaskView, ...]) -> str:
    """What a person can type or press, the most likely thing first."""
    github = bool(target_of(view.id))
    parked = [one.task.id for one in tasks if isinstance(one.state, s.Parked)]
    match view.state:
        case w.Closed():
            return "Open the issue again, with a comment on what is missing, to have more done."
        case w.Waiting(choices=choices):
            numbers = ", ".join(f"`{n}`" for n in range(1, len(choices) + 1))
            return f"You can answer with {numbers} or in your own words."
        case _ if parked:
            retry = "`/agentloop retry`" if github else f"`agentloop retry {parked[0]}`"
            return f"You can say here what should be different, or {retry} to have it tried again as it is."
        case _:
            stop = " (or `/agentloop stop`)" if github else ""
            return f"You can comment here to change the plan, or close the issue{stop} to end it."


def _folded(scene: Scene, view: IssueView, tasks: tuple[TaskView, ...]) -> str:
    parts = []
    if view.why and len(tasks) == 1:
        parts.append(f"Why so: {one_line(view.why, 600)}")
    hidden = [one for one in tasks if one not in _unfolded(tasks)]
    if hidden:
        parts.append("\n".join(map(_box, hidden)))
    if len(tasks) > 1 or "more, below" in "".join(_goal(view, tasks)):
        parts += map(_contract, tasks)
    new = tuple(one.task for one in tasks if not one.tries)
    if new and len(new) == len(tasks):
        parts.append(receipt.expected_words(scene.world, scene.settings, new))
    text = "\n\n".join(filter(None, parts))
    if not text or not target_of(view.id):
        return text
    return f"<details><summary>What each task must bring, and why</summary>\n\n{text}\n\n</details>"


def _contract(one: TaskView) -> str:
    needs = f" (after {', '.join(one.task.needs)})" if one.task.needs else ""
    criteria = (f"  - {one_line(text, 200)}" for text in one.task.contract.criteria)
    return "\n".join([f"- **{one.task.id}** {one_line(one.task.title, 100)}{needs}", *criteria])
