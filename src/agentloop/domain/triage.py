"""What the loop cannot handle by itself, in one list, each with its reason. Pure.

Parked tasks and issues, results that may not be published, repositories that cannot be read; and how many
issues are there whose authors nobody listens to: their number only, never a word of theirs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from agentloop.domain.issue import PRIORITIES
from agentloop.domain.states import Parked
from agentloop.domain.valueclass import dataclass
from agentloop.domain.wording import count, one_line
from agentloop.domain.world import Stuck

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from agentloop.domain.observed import Observed
    from agentloop.domain.world import World

Kind: TypeAlias = Literal["task", "issue", "publish", "repository", "problem", "outsiders"]
KINDS: Final[dict[Kind, str]] = {
    "task": "parked task",
    "issue": "parked issue",
    "publish": "refused pull request",
    "repository": "unreadable place",
    "problem": "problem",
    "outsiders": "issue of people not listened to",
}
_UNPUBLISHED: Final = "its result cannot be published"
_PUBLISH: Final = re.compile(r"^publish (?P<task>\S+): ")
_UNREAD: Final = re.compile(r"^(?P<what>.{1,80}?) could not be read: ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """One thing that is left to a person. `do` are commands, `number` is how many things it stands for."""

    kind: Kind
    about: str
    reason: str
    since: datetime | None = None
    do: tuple[str, ...] = ()
    number: int = 1


def triage(world: World, problems: Iterable[str] = (), observed: Observed | None = None) -> tuple[Left, ...]:
    """Return everything that waits for a person because the loop cannot go on with it, most urgent first.

    `problems` are what the last cycle could not do, `observed` is its look at the trackers.
    """
    outside = tuple(_problem(says) for says in dict.fromkeys(problems))
    return (*outside, *_parked(world), *(outsiders(observed) if observed else ()))


def triage_words(found: Iterable[Left]) -> str:
    """Return the list in one line, `2 parked tasks, 1 problem`; "" for nothing."""
    numbers: dict[Kind, int] = {}
    for one in found:
        numbers[one.kind] = numbers.get(one.kind, 0) + one.number
    return ", ".join(_counted(number, KINDS[kind]) for kind, number in numbers.items())


def _counted(number: int, noun: str) -> str:
    first, of, rest = noun.partition(" of ")
    return f"{count(number, first)}{of}{rest}"


def _parked(world: World) -> list[Left]:
    found = [
        (view.task.issue, _of_task(world, view.task.id))
        for view in world.live_tasks()
        if isinstance(view.state, Parked)
    ]
    found += [
        (view.id, _of_issue(world, view.id)) for view in world.open_issues() if isinstance(view.state, Stuck)
    ]
    ranked = sorted(found, key=lambda pair: [*PRIORITIES, ""].index(_priority(world, pair[0])))
    return [one for _, one in ranked]


def _priority(world: World, issue: str) -> str:
    view = world.issues.get(issue)
    return view.priority if view is not None and view.priority in PRIORITIES else ""


def _of_task(world: World, task: str) -> Left:
    view = world.tasks[task]
    reason = view.state.reason if isinstance(view.state, Parked) else ""
    return Left(
        kind="publish" if reason.startswith(_UNPUBLISHED) else "task",
        about=f"task {task}",
        reason=one_line(reason),
        since=view.since,
        do=(f"agentloop retry {task}", f"agentloop explain {task}"),
    )


def _of_issue(world: World, issue: str) -> Left:
    view = world.issues[issue]
    reason = view.state.reason if isinstance(view.state, Stuck) else ""
    return Left(
        kind="issue",
        about=f"issue {issue}",
        reason=one_line(reason),
        since=view.since,
        do=(f'agentloop issue comment {issue} "…"', f"agentloop issue close {issue}"),
    )


def _problem(says: str) -> Left:
    unread, publish = _UNREAD.match(says), _PUBLISH.match(says)
    if unread is not None:
        return Left(kind="repository", about=unread["what"], reason=one_line(says[unread.end() :]))
    if publish is not None:
        return Left(kind="publish", about=f"task {publish['task']}", reason=one_line(says[publish.end() :]))
    return Left(kind="problem", about="the loop", reason=one_line(says))


def outsiders(observed: Observed) -> tuple[Left, ...]:
    """Return how many open issues are by people who are not listened to; () for none."""
    theirs = [one for one in observed.issues if one.state == "open" and not one.trusted]
    if not theirs:
        return ()
    reason = "whoever wrote them is not listened to: none of their words is read"
    return (Left(kind="outsiders", about=count(len(theirs), "issue"), reason=reason, number=len(theirs)),)
