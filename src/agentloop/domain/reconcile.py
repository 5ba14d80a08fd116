"""What follows without a model. Each rule looks at one task or issue and returns decisions like the admin's.

ended → take it over → gate → red: again with the findings → accepted: publish → merged: done; closed:
cancelled; killed: again, later; a person pushed: hands off; all tasks done: conclude the issue; next in the
queue: start.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias, assert_never

from agentloop.domain import decisions as d
from agentloop.domain import states as s
from agentloop.domain.autonomy import only_suggested
from agentloop.domain.holds import hold_on
from agentloop.domain.limits import house
from agentloop.domain.observed import Running
from agentloop.domain.order import held_back, in_order, nothing_new, shared_reasons
from agentloop.domain.progress import nothing_again, same_change, same_failure
from agentloop.domain.reviewing import (
    may_propose,
    nothing_stands_against,
    objections,
    to_ask,
    words_on_pull,
)
from agentloop.domain.scene import gate_minutes
from agentloop.domain.settings import micros
from agentloop.domain.signals import (
    evidence_for,
    issue_matter,
    said_matter,
    task_matter,
    used_up,
    worn_out,
)
from agentloop.domain.wording import PROVIDERS_LIMIT
from agentloop.domain.work import (
    Blocked,
    Broken,
    Delivered,
    Finding,
    GaveUp,
    LimitedBy,
    NothingDone,
    Stalled,
    Stopped,
    tip_of,
)
from agentloop.domain.world import Closed, InWork, Stuck

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from agentloop.domain.issue import Pull
    from agentloop.domain.scene import Scene
    from agentloop.domain.world import IssueView

_Followed: TypeAlias = d.RuleDecision | d.Publish | d.AnswerReview

OVERDUE = timedelta(minutes=10)
"""How long a run may go on beyond its own deadline, to hand over what it has, before it is ended."""
GATES_AT_MOST = 3
"""Starts of the gate on one commit before the task is parked.

The machine, not the change, is what fails then.
"""
NO_ANSWER = (
    "I could not tell whether this asks for a change. "
    "A review that requests changes sends it back to a worker."
)
NO_DECISION = "the admin agent came to no usable decision about it"


def reconcile(scene: Scene) -> tuple[_Followed, ...]:
    """Return what the rules decide now; empty when the world is settled."""
    found: list[_Followed] = []
    for view in scene.world.live_tasks():
        found += _of_task(scene, view)
    for issue in scene.world.open_issues():
        found += _of_issue(scene, issue)
    return tuple(found) or tuple(_start_next(scene))


def _of_task(scene: Scene, view: s.TaskView) -> list[_Followed]:
    dropped = _dropped(scene, view)
    if dropped:
        return [dropped]
    state = view.state
    match state:
        case s.Returned():
            return _returned(scene, view, state)
        case s.Red(findings=findings):
            return [_again(scene, view, findings)]
        case s.Green():
            return _undecided(scene, view)
        case s.Accepted():
            return _accepted(scene, view)
        case s.InReview():
            return _in_review(scene, view, state)
        case s.Queued():
            return _queued(scene, view, state)
        case s.Judging() | s.Working():
            return _running(scene, view, state)
        case s.Parked() | s.Merged() | s.Noted() | s.Cancelled():
            return []
        case _:
            assert_never(state)


def _dropped(scene: Scene, view: s.TaskView) -> d.RuleDecision | None:
    issue = scene.world.issues[view.task.issue]
    pull = scene.observed.pull(view.pull) if view.pull else None
    if pull is not None and pull.state == "merged":
        return d.AcceptMerge(
            task=view.task.id,
            pull=pull.id,
            commit=pull.merge_commit or pull.head,
            rationale="a person merged it",
        )
    if pull is not None and pull.state == "closed":
        return d.Drop(
            task=view.task.id, rationale=f"a person closed pull request {pull.id} without merging it"
        )
    if isinstance(issue.state, Closed) and issue.state.by == "person":
        return d.Drop(task=view.task.id, rationale=f"a person closed issue {issue.id}")
    return None


def _returned(scene: Scene, view: s.TaskView, state: s.Returned) -> list[_Followed]:
    if _left_work(view, state):
        why = "what it had done is kept for the next attempt"
        return [d.Keep(attempt=state.attempt, rationale=why)]
    match state.outcome:
        case Delivered():
            return [d.Take(attempt=state.attempt, rationale="it says it is done")]
        case Blocked() | NothingDone() | GaveUp() | Stalled():
            return _judgement(scene, view)
        case LimitedBy(until=until, detail=detail):
            why = f"{PROVIDERS_LIMIT}: {detail}"
            # A reset that is due, or over, is not tried again in the same breath.
            soonest = scene.now + timedelta(seconds=scene.settings.worker.backoff_seconds)
            # It waits together with everybody else.
            house = scene.world.limited_until if scene.limited() else None
            until = max(until, soonest, house or soonest)
            return [d.Requeue(task=view.task.id, not_before=until, rationale=why, counts=False)]
        case Stopped() | None if limit := _out_of_money(scene, view):
            return [_when_paid(scene, view, limit)]
        case Stopped(why=why, detail=detail):
            return [
                _later(
                    scene, view, f"the last attempt was stopped ({why})" + (f": {detail}" if detail else "")
                )
            ]
        case Broken(reason=reason, fix=fix):
            return [_later(scene, view, f"{reason}; {fix}" if fix else reason)]
        case None:
            return [_later(scene, view, "the last attempt was killed, or its result lost")]
        case _:
            assert_never(state.outcome)


def _out_of_money(scene: Scene, view: s.TaskView) -> str:
    """Return the limit that ended the last attempt before it had all that an attempt may take, or ""."""
    last = view.last
    if last is None or last.limit:
        return last.limit if last else ""
    ended = isinstance(last.outcome, Stopped) and last.outcome.why == "budget"
    cut = last.slice_micros < micros(scene.settings.limits.attempt_usd)
    return "the limit that cut its slice short" if ended and cut else ""


def _when_paid(scene: Scene, view: s.TaskView, limit: str) -> d.RuleDecision:
    # A limit is no failure: no retry is used up, and it starts when there is money again.
    soonest = scene.now + timedelta(seconds=scene.settings.worker.backoff_seconds)
    why = f"the last attempt was ended by {limit}"
    return d.Requeue(task=view.task.id, not_before=soonest, rationale=why, counts=False)


def _left_work(view: s.TaskView, state: s.Returned) -> bool:
    unseen = view.last is not None and view.last.attempt == state.attempt and view.last.work is None
    stopped = tip_of(state.outcome) and not isinstance(state.outcome, Delivered)
    return bool(unseen and stopped and view.task.kind == "change")


def _running(scene: Scene, view: s.TaskView, state: s.Judging | s.Working) -> list[_Followed]:
    if isinstance(state, s.Judging) and not state.started:
        why = same_change(view)
        stuck = d.Park(task=view.task.id, rationale=f"no progress: {why}")
        return [stuck if why else _judge(view, state)]
    if not any(isinstance(one, Running) and one.attempt == state.attempt for one in scene.observed.seen):
        return []
    deadline = _deadline(scene, view, state)
    if deadline is not None and scene.now > deadline + OVERDUE:
        why = f"it runs on, although its deadline was {deadline:%Y-%m-%d %H:%M} UTC"
        return [d.Halt(attempt=state.attempt, rationale=why)]
    limit = _passed_limit(scene) if isinstance(state, s.Working) else ""
    why = f"more is spent than {limit} allows: the call in hand is broken off"
    return [d.Halt(attempt=state.attempt, rationale=why, limit=limit)] if limit else []


def _passed_limit(scene: Scene) -> str:
    """Return the limit that more is spent than it allows, or "": somebody lowered it while attempts ran."""
    runs = [one for one in scene.observed.seen if isinstance(one, Running) and one.role == "attempt"]
    spending = sum(one.spent_micros for one in runs if f"attempt:{one.attempt}" in scene.world.purses)
    rests = house(scene.world, scene.settings.limits, scene.now, "worker")
    passed = [rest.name for rest in rests if not rest.tokens and rest.spent + spending > rest.most]
    return passed[0] if passed else ""


def _deadline(scene: Scene, view: s.TaskView, state: s.Judging | s.Working) -> datetime | None:
    if isinstance(state, s.Working):
        return view.last.deadline if view.last else None
    target = scene.settings.target(view.task.target)
    if target is None:
        return None
    return view.since + timedelta(minutes=gate_minutes(scene.settings, view.task, target))


def _judgement(scene: Scene, view: s.TaskView) -> list[_Followed]:
    last = view.last
    said = getattr(last.outcome, "reason", "") if last else ""
    if why := nothing_again(view):
        return [d.Park(task=view.task.id, rationale=f"no progress: {why}; the last: {said}")]
    if view.verdicts >= scene.attempts_allowed(view):
        return [
            d.Park(task=view.task.id, rationale=f"{view.verdicts} attempts came to nothing; the last: {said}")
        ]
    return _undecided(scene, view, said)


def _undecided(scene: Scene, view: s.TaskView, said: str = "") -> list[_Followed]:
    matter = task_matter(view)
    if matter is None or not worn_out(scene.world, matter):
        return []
    why = f"the admin agent came to no decision about it{': ' + said if said else ''}"
    return [d.Park(task=view.task.id, rationale=why)]


def _later(scene: Scene, view: s.TaskView, why: str) -> d.RuleDecision:
    limits, worker = scene.settings.limits, scene.settings.worker
    if view.requeues >= limits.retries_per_task:
        return d.Park(task=view.task.id, rationale=f"{why}; {view.requeues} retries did not help")
    wait = timedelta(seconds=worker.backoff_seconds * 2**view.requeues)
    return d.Requeue(task=view.task.id, not_before=scene.now + wait, rationale=why)


def _judge(view: s.TaskView, state: s.Judging) -> d.RuleDecision:
    if state.round > GATES_AT_MOST:
        return d.Park(
            task=view.task.id, rationale=f"its gate broke {GATES_AT_MOST} times; see `agentloop doctor`"
        )
    return d.Judge(
        attempt=state.attempt, commit=state.commit, rationale="its result is here and not yet judged"
    )


def _again(scene: Scene, view: s.TaskView, findings: tuple[Finding, ...]) -> d.RuleDecision:
    told = "; ".join(f"{one.kind}: {one.about}" for one in findings[:5])
    if view.verdicts >= scene.attempts_allowed(view):
        return d.Park(
            task=view.task.id, rationale=f"{view.verdicts} attempts did not pass the gate; the last: {told}"
        )
    if why := same_failure(view):
        return d.Park(task=view.task.id, rationale=f"no progress: {why}: {told}")
    if used_up(view, evidence_for(view, s.Queued(findings=findings))):
        return d.Park(task=view.task.id, rationale=f"no progress: the same findings twice ({told})")
    return d.SendBack(task=view.task.id, findings=findings, rationale=f"held back: {told}")


def _queued(scene: Scene, view: s.TaskView, state: s.Queued) -> list[_Followed]:
    if view.requeues > scene.settings.limits.retries_per_task:
        return [d.Park(task=view.task.id, rationale=state.why or "it could not be started")]
    lost = [
        needed.task.id
        for need in view.task.needs
        if (needed := scene.world.tasks.get(need)) and isinstance(needed.state, s.Cancelled)
    ]
    if lost:
        return [d.Drop(task=view.task.id, rationale=f"it needs {', '.join(lost)}, which will not be done")]
    if nothing_new(scene.world, view, state):
        return [d.Park(task=view.task.id, rationale="no progress: nothing new since the last attempt")]
    return []


def _accepted(scene: Scene, view: s.TaskView) -> list[_Followed]:
    paused = hold_on(scene.world, scene.now, view.task.id) is not None
    if paused or only_suggested(scene.settings, scene.world.issues[view.task.issue]):
        return []
    return [d.Publish(task=view.task.id, rationale="its result was accepted and its gate is green")]


def _in_review(scene: Scene, view: s.TaskView, state: s.InReview) -> list[_Followed]:
    pull = scene.observed.pull(state.pull)
    if pull is None or pull.state != "open" or state.theirs:
        return []
    if pull.head and pull.head in [one.commit for one in view.tries if one.commit != state.commit]:
        return []  # a list that lags behind: it shows an earlier commit of ours
    if pull.head and pull.head != state.commit:
        why = f"a person pushed {pull.head[:10]} to its branch"
        return [d.LetGo(task=view.task.id, pull=pull.id, head=pull.head, rationale=why)]
    heard, findings = objections(view, pull)
    if not findings:
        return _nothing_held(scene, view, state, pull)
    why = f"pull request {pull.id}: " + "; ".join(one.kind for one in findings)
    if view.verdicts >= scene.attempts_allowed(view):
        return [d.Park(task=view.task.id, rationale=f"{view.verdicts} attempts, and still: {why}")]
    return [d.SendBack(task=view.task.id, findings=findings, rationale=why, heard=heard)]


def _nothing_held(scene: Scene, view: s.TaskView, state: s.InReview, pull: Pull) -> list[_Followed]:
    words = words_on_pull(view, pull)
    if words and worn_out(scene.world, said_matter(view.task.id, words)):
        return [d.AnswerReview(task=view.task.id, text=NO_ANSWER, rationale=NO_DECISION)]
    of = to_ask(scene, view, pull)
    if view.proposed or not may_propose(scene, view) or not nothing_stands_against(pull, state.commit):
        return []
    why = "its gate is green, it merges, and no check stands against it"
    return [d.Propose(task=view.task.id, pull=pull.id, of=of, rationale=why)] if pull.draft or of else []


def _of_issue(scene: Scene, issue: IssueView) -> list[_Followed]:
    if isinstance(issue.state, Closed | Stuck):
        return []
    matter = issue_matter(issue.id, issue.evidence)
    if issue.evidence != issue.handled and worn_out(scene.world, matter):
        refused = scene.world.last_refusals.get(issue.id)
        why = f"the admin agent's last decision was refused: {refused}" if refused else NO_DECISION
        return [d.ParkIssue(issue=issue.id, rationale=why)]
    if not isinstance(issue.state, InWork):
        return []
    if scene.observed.issue(issue.id) is None:
        return []  # its file is gone, or nobody could look: there is nothing to say it on
    tasks = scene.world.tasks_of(issue.id)
    if not all(s.over(view.state) for view in tasks) or issue.evidence != issue.handled:
        return []
    if any(s.finished(view.state) for view in tasks):
        return [d.Conclude(issue=issue.id, rationale="everything planned for it is merged or dropped")]
    return [
        d.ParkIssue(issue=issue.id, rationale=f"every task planned for it was dropped: {_reasons(tasks)}")
    ]


def _reasons(tasks: tuple[s.TaskView, ...]) -> str:
    told = [view.state.reason for view in tasks if isinstance(view.state, s.Cancelled)]
    return "; ".join(dict.fromkeys(told))


def _start_next(scene: Scene) -> Iterator[d.Start]:
    common = scene.common()
    for view in () if any(shared_reasons(scene, common)) else in_order(scene):
        if not held_back(scene, view, common):
            yield d.Start(task=view.task.id, rationale="first in the order of work that may start")
            return
