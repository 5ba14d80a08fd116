"""Whether work on a task gets anywhere. Each rule returns why it does not, or "".

An attempt that says it succeeded proves nothing: what counts is a change that was not refused before, a check
that fails differently, a reason that is new. Attempts before a person's `retry` are another round: what a
person mended may have been the machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentloop.domain.signals import digest, finding_print, without_numbers
from agentloop.domain.states import own_verdict
from agentloop.domain.work import Blocked, Delivered, NothingDone

if TYPE_CHECKING:
    from agentloop.domain.states import TaskView, Try

NOTHING_AT_MOST = 2
"""So many attempts in a row without a deliverable are enough."""


def same_change(view: TaskView) -> str:
    """Return that the last attempt's result is one that was refused already."""
    tries = _of_this_round(view)
    last = tries[-1] if tries else None
    if last is None or not last.tree:
        return ""
    twin = next((one for one in tries[:-1] if one.tree == last.tree and _refused(one)), None)
    return f"attempt {last.attempt} made the very change that {twin.attempt} was refused for" if twin else ""


def same_failure(view: TaskView) -> str:
    """Return that a check failed on the last attempt's result just as it did on an earlier one's."""
    tries = _of_this_round(view)
    if not tries:
        return ""
    last = tries[-1]
    before = {name: one.attempt for one in tries[:-1] for name in _failures(one)}
    again = [(about, before[name]) for name, about in _failures(last).items() if name in before]
    if not again:
        return ""
    about, attempt = again[0]
    return f"check {about} fails on {last.attempt} just as it did on {attempt}"


def nothing_again(view: TaskView) -> str:
    """Return that the last attempts in a row left nothing behind, or stopped for the same reason."""
    last = _of_this_round(view)[-NOTHING_AT_MOST:]
    reasons = [_nothing(one) for one in last]
    if len(last) < NOTHING_AT_MOST or not all(reasons) or len(set(reasons)) > 1:
        return ""
    return f"{len(last)} attempts in a row ended without anything to show"


def _of_this_round(view: TaskView) -> tuple[Try, ...]:
    return tuple(one for one in view.tries if one.round == view.round)


def _refused(one: Try) -> bool:
    return bool(one.held) or (own_verdict(one.outcome) and not isinstance(one.outcome, Delivered))


def _failures(one: Try) -> dict[str, str]:
    return {finding_print(each): each.about for each in one.held if each.kind == "check"}


def _nothing(one: Try) -> str:
    """Name what an attempt without anything to show ended with; "" for any other."""
    match one.outcome:
        case NothingDone():
            return "nothing"
        case Blocked(reason=reason):
            return digest("blocked", without_numbers(reason))
        case _:
            return ""
