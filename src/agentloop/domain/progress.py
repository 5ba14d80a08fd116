"""Whether work on a task gets anywhere, attempt after attempt. Each rule returns why it does not, or "".

Within one attempt it is `stall` that tells.

An attempt that says it succeeded proves nothing: what counts is a change that was not refused before, a check
that fails differently, a reason that is new. Attempts before a person's `retry` are another round: what a
person mended may have been the machine.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from agentloop.domain.signals import digest, finding_print, without_numbers
from agentloop.domain.work import Blocked, Delivered, NothingDone

if TYPE_CHECKING:
    from agentloop.domain.states import Queued, TaskView, Try

NOTHING_AT_MOST = 2
"""So many attempts in a row without a deliverable are enough."""


def unfinished(view: TaskView, queued: Queued) -> Try | None:
    """Return the attempt whose work the next one goes on with, or None when it begins from the branch.

    That of the last one that left any, unless something was delivered since, the work is to be forgotten, its
    branch has moved on, or a newer base is what is needed.
    """
    if queued.from_scratch or any(one.kind == "conflict" for one in queued.findings):
        return None
    since = itertools.takewhile(lambda one: not isinstance(one.outcome, Delivered), reversed(view.tries))
    found = next((one for one in since if one.work), None)
    on_branch = found is not None and (not view.head or view.head in found.parents)
    return found if on_branch else None


def same_change(view: TaskView) -> str:
    """Return that the last attempt's result is one that was refused already."""
    tries = _of_this_round(view)
    last = tries[-1] if tries else None
    if last is None or not last.tree:
        return ""
    twin = next((one for one in tries[:-1] if one.tree == last.tree and _refused(one)), None)
    if twin is None:
        return ""
    held = "; ".join(f"{one.kind}: {one.about}" for one in twin.held[:5])
    said = f" ({held})" if held else ""
    return f"attempt {last.attempt} made the very change that {twin.attempt} was refused for{said}"


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
    return bool(one.held and one.commit)


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
