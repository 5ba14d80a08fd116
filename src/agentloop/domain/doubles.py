"""Words of ours that stand twice: an answer was lost, a list lagged behind, and they were said again.

Branches and pull requests cannot: a branch has its task's name and is pushed with an expected old value, and
a forge takes one pull request for a branch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentloop.domain.effects import Unsay, is_keep

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentloop.domain.issue import Comment, Review
    from agentloop.domain.observed import Observed
    from agentloop.domain.world import World


def doubles(world: World, observed: Observed) -> tuple[Unsay, ...]:
    """Return what is to be taken back.

    Of comments with the same operation the one stays that the journal knows, else the first.
    """
    threads = [(one.id, one.comments) for one in observed.issues]
    threads += [(one.id, one.reviews) for one in observed.pulls]  # type: ignore[misc]
    return tuple(unsay for thread, said in threads for unsay in _of(world, thread, said))


def _of(world: World, thread: str, said: Iterable[Comment | Review]) -> list[Unsay]:
    by_op: dict[str, list[str]] = {}
    for one in said:
        if one.ours and one.op:
            by_op.setdefault("keep:" if is_keep(one.op) else one.op, []).append(one.id)
    return [
        Unsay(issue=thread, comment=name, says=op)
        for op, names in by_op.items()
        if len(names) > 1
        for name in names
        if name != _kept(world, op, names)
    ]


def _kept(world: World, op: str, names: list[str]) -> str:
    known = world.effects.get(op)
    return known.result if known and known.result in names else names[0]
