"""What each live issue's thread should show, held against what it was made to show last. Pure.

Two parts of a thread are kept in place: one comment, and on GitHub the label that names the state. What a
thread shows is a digest in the journal (`Shown`), so only differences are written: a cycle in which nothing
changed writes nothing. An issue that is over shows its end once, and is not touched again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from agentloop.domain import labels
from agentloop.domain import states as s
from agentloop.domain import world as w
from agentloop.domain.approval import held_plan
from agentloop.domain.effects import Keep, KeepBoard, Label, React, Say, operation
from agentloop.domain.facts import IssueSeen
from agentloop.domain.issue import target_of
from agentloop.domain.kept import kept
from agentloop.domain.signals import digest
from agentloop.domain.valueclass import dataclass
from agentloop.domain.wording import halted_comment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agentloop.domain.facts import Fact
    from agentloop.domain.issue import Issue
    from agentloop.domain.scene import Scene
    from agentloop.domain.states import TaskView
    from agentloop.domain.world import IssueView, World

AT_ONCE: Final = 20
"""Threads that one cycle writes to: writes are a second apart, and the rest can wait for the next cycle."""
EYES_AT_ONCE: Final = 5
REST: Final = "more"
"""What `Shown` with no name says: there was more to show than fits into one cycle."""

Part: TypeAlias = Keep | KeepBoard | Label | Say


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """One difference: the part of the thread it is `about`, the digest of what is to be shown, and how."""

    about: str
    digest: str
    effect: Part
    last: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """Eyes that are to be left, and the operation that leaves them once."""

    op: str
    effect: React


def due(scene: Scene) -> tuple[Showing, ...]:
    """Return every difference between what threads should show and what they were made to show last."""
    return (*_comments(scene), *_stops(scene), *_labels(scene))


def author_of(scene: Scene, issue: str) -> str:
    """Return the account to call when a person is needed: who filed the issue; "" where nobody is called."""
    seen = scene.observed.issue(issue)
    return seen.author if seen is not None and seen.trusted and target_of(issue) else ""


def left(scene: Scene) -> bool:
    """Whether something is to be shown though nothing happened: a label is gone, or not all fitted in."""
    if scene.world.shown.get("") == REST:
        return True
    shown, under_way = scene.world.shown, _under_way(scene.world)
    return any(
        (wanted := shown.get(f"label {one.id}")) is not None
        and _own(one) != _only(wanted)
        and one.id not in under_way
        for one in scene.observed.issues
    )


def glances(scene: Scene, news: Iterable[Fact]) -> tuple[Glance, ...]:
    """Return the eyes to leave on issues whose words are news, and on their newest comments, once each.

    Only where a person looks at them, and only on words that count: a trusted person's.
    """
    fresh = {one.issue for one in news if isinstance(one, IssueSeen) and target_of(one.issue)}
    return tuple(
        glance
        for one in scene.observed.issues
        if one.id in fresh and one.trusted and one.state == "open"
        for glance in _glances(one, scene.world)
    )


def _glances(issue: Issue, world: World) -> Iterator[Glance]:
    whole = Glance(op=operation("eyes", issue.id), effect=React(issue=issue.id))
    is_new = whole.op not in world.effects
    if is_new:
        yield whole
    said = [one for one in issue.comments if one.trusted and not one.ours and one.id.isdecimal()]
    for one in reversed(said[-1 if is_new else -EYES_AT_ONCE :]):
        op = operation("eyes", issue.id, one.id)
        if op in world.effects:
            return
        yield Glance(op=op, effect=React(issue=issue.id, comment=one.id))


# The kept comment.


def _comments(scene: Scene) -> Iterator[Showing]:
    world = scene.world
    for view in (*world.open_issues(), *_just_over(world, "keep ")):
        about = f"keep {view.id}"
        found = kept(scene, view)
        if found is not None and world.shown.get(about) != found.digest:
            over = isinstance(view.state, w.Closed)
            effect = Keep(issue=view.id, body=found.body)
            yield Showing(about=about, digest=found.digest, effect=effect, last=over)


def _just_over(world: World, part: str) -> Iterator[IssueView]:
    names = [about.removeprefix(part) for about in world.shown if about.startswith(part)]
    yield from (world.issues[name] for name in names if name not in world.open and name in world.issues)


# Work that stopped: all of an issue in one comment, said once for each stop.


def _stops(scene: Scene) -> Iterator[Showing]:
    world = scene.world
    for view in world.open_issues():
        parked = [one for one in world.tasks_of(view.id) if isinstance(one.state, s.Parked)]
        about = f"stopped {view.id}"
        told = frozenset(world.shown.get(about, "").split())
        new = [one for one in parked if _stop(one) not in told and not _was_told(world, one)]
        if new:
            effect = Say(issue=view.id, body=halted_comment(new), mention=author_of(scene, view.id))
            yield Showing(about=about, digest=" ".join(map(_stop, parked)), effect=effect)


def _was_told(world: World, view: TaskView) -> bool:
    # Each stop had a comment of its own once.
    reason = view.state.reason if isinstance(view.state, s.Parked) else ""
    return operation("park", view.task.id, str(len(view.tries)), reason) in world.effects


def _stop(view: TaskView) -> str:
    reason = view.state.reason if isinstance(view.state, s.Parked) else ""
    return f"{view.task.id}:{digest(str(len(view.tries)), reason)[:8]}"


# The label.


def _labels(scene: Scene) -> Iterator[Showing]:
    world = scene.world
    over = {view.id for view in _just_over(world, "label ")}
    under_way = _under_way(world)
    for issue in scene.observed.issues:
        view = world.issues.get(issue.id)
        if view is None or not (issue.id in world.open or issue.id in over):
            continue
        if not target_of(issue.id) or issue.id in under_way:
            continue
        wanted = state_label(world, view)
        about = f"label {issue.id}"
        if _own(issue) == _only(wanted) and world.shown.get(about) == wanted and issue.id not in over:
            continue
        add = tuple(_only(wanted) - _own(issue))
        effect = Label(issue=issue.id, add=add, remove=tuple(sorted(_own(issue) - _only(wanted))))
        yield Showing(about=about, digest=wanted, effect=effect, last=issue.id in over)


def _under_way(world: World) -> frozenset[str]:
    """Return the issues whose label is being changed: whoever begins a cycle looks at that first."""
    effects = (world.effects[op].effect for op in world.open_ops)
    return frozenset(one.issue for one in effects if isinstance(one, Label))


def state_label(world: World, view: IssueView) -> str:
    """Return the label that says where the issue stands; "" = none, a person closed it."""
    match view.state:
        case w.Closed(by=by):
            tasks = world.tasks_of(view.id)
            # A cycle that was killed as it closed the issue does not know that it was its own doing.
            ended = bool(tasks) and all(s.finished(one.state) for one in tasks)
            return labels.DONE if by == "loop" or ended else ""
        case w.Fresh():
            return labels.QUEUED
        case w.Waiting() | w.Stuck() | w.Settled():
            return labels.WAITING
        case w.InWork() if held_plan(world, view) is not None:
            return labels.WAITING
        case w.InWork():
            return _label_of_work([one.state for one in world.tasks_of(view.id)])


def _label_of_work(states: Iterable[s.TaskState]) -> str:
    live = [one for one in states if not s.over(one)]
    if any(isinstance(one, s.Parked) for one in live):
        return labels.WAITING
    if any(isinstance(one, s.InReview) for one in live):
        return labels.IN_REVIEW
    return labels.QUEUED if all(isinstance(one, s.Queued) for one in live) else labels.WORKING


def _own(issue: Issue) -> frozenset[str]:
    return frozenset(issue.labels) & labels.STATES


def _only(label: str) -> frozenset[str]:
    return frozenset({label} if label else ())
