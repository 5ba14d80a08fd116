"""What must be true on GitHub two quiet cycles after a fault: everything once, nothing left open."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from agentloop.edges.github.marks import signed
from agentloop.edges.origin import BRANCHES
from agentloop.edges.recordfolder import Marks
from agentloop.testing import gitrepo
from agentloop.testing.storm.house import BOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentloop.testing.github.values import Thread
    from agentloop.testing.storm.house import House


def broken(house: House) -> tuple[str, ...]:
    """Return every promise that does not hold now, in a sentence each."""
    return (*_comments(house), *_pulls(house), *_branches(house), *_intents(house))


def _comments(house: House) -> Iterator[str]:
    marks = Marks(house.home.tracker)
    for thread in _threads(house):
        place = f"{house.repository.path}#{thread.number}"
        ours = [one for one in thread.comments if one.author.login == BOT]
        said = [found.op for one in ours if (found := signed(marks, place, one.body))]
        for op, times in Counter(said).items():
            if times > 1:
                yield f"the comment {op} stands {times} times on #{thread.number}"
        before = ""
        for one in thread.comments:
            words = one.body.partition("\n\n<!-- agentloop")[0] if one.author.login == BOT else ""
            if words and words == before:
                yield f"#{thread.number} says twice, with nothing in between: {words[:80]!r}"
            before = words


def _pulls(house: House) -> Iterator[str]:
    opened = [one for one in _threads(house) if one.pull and one.author.login == BOT]
    for branch, times in Counter(one.part.branch for one in opened).items():
        if times > 1:
            yield f"there are {times} pull requests for {branch}"
    known = [view.pull for view in house.world.tasks.values() if view.pull]
    for pull, times in Counter(known).items():
        if times > 1:
            yield f"{times} tasks have the pull request {pull}"


def _branches(house: House) -> Iterator[str]:
    refs = gitrepo.git(house.repository.folder, "for-each-ref", "--format=%(refname:short)", "refs/heads")
    ours = [ref for ref in refs.splitlines() if ref.startswith(BRANCHES)]
    tasks = set(house.world.tasks)
    for ref in ours:
        named = [task for task in tasks if ref.startswith(f"{BRANCHES}{task}-")]
        if len(named) != 1:
            yield f"the branch {ref} belongs to {len(named)} tasks"
    owners = Counter(task for task in tasks for ref in ours if ref.startswith(f"{BRANCHES}{task}-"))
    for task, times in owners.items():
        if times > 1:
            yield f"task {task} has {times} branches"


def _intents(house: House) -> Iterator[str]:
    for op in house.world.open_ops:
        yield f"the effect {op} was begun and has no end"


def _threads(house: House) -> list[Thread]:
    return [one for one in house.repository.threads.values() if not one.gone]
