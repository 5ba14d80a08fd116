"""What must hold when the soak is over, and what does not."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from agentloop.domain.relay import lint
from agentloop.domain.states import Cancelled, Merged, Parked
from agentloop.domain.world import Closed, Stuck
from agentloop.edges import records
from agentloop.edges.relay import RelayFile
from agentloop.edges.tracker import FileTracker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentloop.domain.world import World
    from agentloop.testing.crash.arena import Arena
    from agentloop.testing.soak.person import Person


def verdict(arena: Arena, person: Person) -> list[str]:
    """Return what does not hold, a sentence each."""
    world = arena.journal()
    return [
        *_unanswered(arena, world, person),
        *_twice(arena, world),
        *_relay(arena, person),
        *arena.money_amiss(world, over=True),
        *_repositories(arena),
    ]


def _unanswered(arena: Arena, world: World, person: Person) -> Iterator[str]:
    filed = FileTracker(arena.home.tracker).filed("all")
    if len(filed) < person.filed:
        yield f"{person.filed} issues were filed, {len(filed)} are there"
    for one in filed:
        view = world.issues.get(one.issue.id)
        if view is None and one.issue.state == "closed" and one.issue.id in person.closed_issues:
            continue  # filed and closed between two looks: there was nothing to answer
        if view is None:
            yield f"issue {one.issue.id} was never looked at"
            continue
        said = any(comment.ours for comment in one.issue.comments)
        tasks = world.tasks_of(one.issue.id)
        over = all(isinstance(task.state, Merged | Cancelled | Parked) for task in tasks)
        if one.issue.state == "closed" and isinstance(view.state, Closed):
            continue
        if not (said and over) and not isinstance(view.state, Stuck):
            states = [type(task.state).__name__ for task in tasks]
            yield f"issue {view.id} is {one.issue.state}, {type(view.state).__name__}, tasks {states}"


def _twice(arena: Arena, world: World) -> Iterator[str]:
    for path in sorted(arena.home.tracker.glob("*/**/0*.md")):
        blocks = records.parse(path.read_text("utf-8", "surrogateescape")).blocks
        counted = Counter(block.op for block in blocks if block.op)
        name = f"{path.parent.name}/{path.name}"
        yield from (f"{name}: the operation {op} left {n} comments" for op, n in counted.items() if n > 1)
        texts = Counter(block.text for block in blocks if block.op)
        yield from (f"{name} says {n} times: {text[:80]!r}" for text, n in texts.items() if n > 1)
        plans = sum("**Plan**" in block.text for block in blocks if block.op)
        if plans > 1:
            yield f"{name}: {plans} plans"
    paths = sorted(arena.home.tracker.glob("pulls/**/0*.md"))
    pulls = [records.parse(path.read_text("utf-8")) for path in paths]
    branches = Counter(pull.word("branch") for pull in pulls)
    yield from (f"{n} pull requests for {branch}" for branch, n in branches.items() if n > 1)
    merges = Counter(arena.git("log", "--merges", "--format=%s", "main").text.splitlines())
    yield from (f"{n} merges: {subject}" for subject, n in merges.items() if n > 1)
    merged = sum(pull.word("state") == "merged" for pull in pulls)
    if merged != sum(merges.values()):
        yield f"{merged} pull requests are merged, main has {sum(merges.values())} merges"
    starts = Counter(one.attempt for view in world.tasks.values() for one in view.tries)
    yield from (f"attempt {name} was started {n} times" for name, n in starts.items() if n > 1)


def _relay(arena: Arena, person: Person) -> Iterator[str]:
    relay = RelayFile(arena.home)
    human = relay.read().relay.human
    for words in person.said:
        times = human.count(words)
        if times != 1 and not (times == 0 and words in person.overwritten):
            yield f"{words!r} is {times} times in the relay"
    yield from (f"the relay: {problem}" for problem in lint(arena.home.relay.read_text("utf-8")))


def _repositories(arena: Arena) -> Iterator[str]:
    for folder in (arena.repository, arena.home.root):
        checked = arena.git("fsck", "--no-dangling", "--no-progress", cwd=folder)
        if checked.status != 0:
            yield f"git fsck in {Path(folder).name}: {checked.text.strip()}"
    dirt = arena.git("status", "--porcelain", "--untracked-files=no").text
    if dirt:
        yield f"the checkout is not clean: {dirt}"
