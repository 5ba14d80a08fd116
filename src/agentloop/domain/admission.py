"""Whether a decision is allowed now. Pure: nothing here does anything, and nothing that is refused is done.

The admin proposes; the rules propose; both pass through here. A refusal is one sentence that says why, shown
to the admin once and kept in the journal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, assert_never

from agentloop.domain import decisions as d
from agentloop.domain import preflight
from agentloop.domain.approval import asked_plan
from agentloop.domain.autonomy import only_suggested
from agentloop.domain.holds import EVERYTHING, hold_on, hold_words
from agentloop.domain.order import held_back
from agentloop.domain.reviewing import words_on_pull
from agentloop.domain.settings import micros
from agentloop.domain.signals import evidence_for, time_of, used_up
from agentloop.domain.states import (
    Accepted,
    Green,
    InReview,
    Judging,
    Parked,
    Queued,
    Red,
    Returned,
    TaskView,
    Working,
    over,
)
from agentloop.domain.telling import standing
from agentloop.domain.work import Delivered
from agentloop.domain.world import Closed

if TYPE_CHECKING:
    from agentloop.domain.scene import Scene
    from agentloop.domain.world import World

_OfPull: TypeAlias = d.LetGo | d.Propose | d.AnswerReview | d.AcceptMerge
_OfTask: TypeAlias = (
    d.Review
    | d.Retry
    | d.Publish
    | d.Take
    | d.Keep
    | d.Judge
    | d.Halt
    | d.SendBack
    | d.Requeue
    | _OfPull
    | d.Cancel
    | d.Drop
    | d.Park
    | d.TryAgain
)

CHOICES = range(2, 5)
TEXT_CHARACTERS = 4000
CENT = 10_000


def refusal(decision: d.Decision, scene: Scene) -> str | None:
    """Return why the decision may not be carried out now, or None when it may."""
    match decision:
        case d.Plan():
            return _plan(decision, scene)
        case d.Ask():
            return _ask(decision, scene)
        case d.Answer():
            return _answer(decision, scene)
        case d.Conclude() | d.ParkIssue():
            return _open_issue(decision.issue, scene)
        case d.Assign() | d.Start():
            return _start(decision.task, scene)
        case d.Hibernate():
            return _hibernate(decision, scene)
        case d.Sleep():
            return None
        case d.PauseWork() | d.ResumeWork() | d.BeginWork() | d.StopWork():
            return _wish(decision, scene)
        case d.ApprovePlan() | d.RejectPlan() | d.Permit() | d.SetBudget():
            return _order(decision, scene)
        case _:
            return _task_refusal(decision, scene)


def _wish(decision: d.PauseWork | d.ResumeWork | d.BeginWork | d.StopWork, scene: Scene) -> str | None:
    about = decision.about
    gone = None if about == EVERYTHING else _gone(about, scene)
    match decision:
        case d.PauseWork(until=until) if until <= scene.now:
            return f"that pause is over already: it was until {until:%Y-%m-%d %H:%M} UTC"
        case d.ResumeWork() if hold_on(scene.world, scene.now, about) is None:
            return "it is not paused"
        case _:
            return gone


def _gone(about: str, scene: Scene) -> str | None:
    """Return why nothing can be wished for an issue or task, None when it can."""
    if about in scene.world.tasks:
        return _still_open(about, scene)
    return _open_issue(about, scene)


def _hibernate(decision: d.Hibernate, scene: Scene) -> str | None:
    if not decision.until:
        return "a hibernation needs at least one thing that ends it"
    for wake in decision.until:
        moment = time_of(wake)
        if wake.on == "time" and moment is None:
            return f"{wake.which!r} is no moment: write it as {scene.next_day():%Y-%m-%dT%H:%M:%SZ}"
        if moment is not None and moment <= scene.now:
            return f"{wake.which} is over: it is {scene.now:%Y-%m-%dT%H:%M:%SZ} now"
    return None


def _order(decision: d.ApprovePlan | d.RejectPlan | d.Permit | d.SetBudget, scene: Scene) -> str | None:
    closed = _open_issue(decision.issue, scene)
    if closed:
        return closed
    view = scene.world.issues[decision.issue]
    match decision:
        case d.ApprovePlan() | d.RejectPlan():
            return None if asked_plan(scene, view) else f"no plan of issue {view.id} waits for a word"
        case d.Permit():
            suggested = only_suggested(scene.settings, view)
            return None if suggested else f"issue {view.id} is built anyway: it is not under suggest"
        case d.SetBudget(micros=amount):
            return _budget(amount, scene)
        case _:
            assert_never(decision)


def _budget(amount: int, scene: Scene) -> str | None:
    if amount < CENT:
        return "a budget is a cent at least; to stop the work: /agentloop pause, or stop"
    most = scene.settings.limits.total_usd
    return (
        f"a budget of more than limits.total_usd = {most:g} says nothing" if amount > micros(most) else None
    )


def _task_refusal(decision: _OfTask, scene: Scene) -> str | None:
    match decision:
        case d.Review():
            return _review(decision, scene)
        case d.Retry():
            return _retry(decision, scene)
        case d.TryAgain():
            return not_parked(decision.task, scene.world)
        case d.Publish():
            return _publish(decision, scene)
        case d.Take() | d.Keep() | d.Judge() | d.Halt():
            return _run(decision, scene)
        case d.SendBack():
            return _send_back(decision, scene)
        case d.Requeue():
            return _requeue(decision, scene)
        case d.Cancel() | d.Drop() | d.Park():
            return _still_open(decision.task, scene)
        case _:
            return _of_pull(decision, scene)


def _of_pull(decision: _OfPull, scene: Scene) -> str | None:
    match decision:
        case d.LetGo() | d.Propose():
            return None if isinstance(_task_state(decision.task, scene), InReview) else "it is not in review"
        case d.AnswerReview():
            return _answer_review(decision, scene)
        case d.AcceptMerge():
            return _still_open(decision.task, scene)
        case _:
            assert_never(decision)


def _open_issue(issue: str, scene: Scene) -> str | None:
    view = scene.world.issues.get(issue)
    if view is None:
        return f"there is no issue {issue!r} that a trusted person wrote"
    if isinstance(view.state, Closed):
        return f"issue {issue} is closed"
    return None


def _new_words(issue: str, scene: Scene) -> str | None:
    closed = _open_issue(issue, scene)
    if closed:
        return closed
    view = scene.world.issues[issue]
    if view.handled == view.evidence:
        return f"issue {issue} was decided on already, and nobody has written anything since"
    return hold_words(scene.world, scene.now, issue) or None


def _plan(decision: d.Plan, scene: Scene) -> str | None:
    stale = _new_words(decision.issue, scene)
    if stale:
        return stale
    view = scene.world.issues[decision.issue]
    target = scene.settings.target(view.target)
    if target is None:
        return f"issue {view.id} names target {view.target!r}, which is not in the settings"
    ground = scene.grounds.get(target.name)
    if ground is None:
        return f"target {target.name!r} could not be looked at"
    found = preflight.problems(
        decision, settings=scene.settings, target=target, ground=ground, standing=scene.standing
    )
    return "; ".join(found) or None


def _ask(decision: d.Ask, scene: Scene) -> str | None:
    stale = _new_words(decision.issue, scene)
    if stale:
        return stale
    if not decision.question.strip() or len(decision.question) > TEXT_CHARACTERS:
        return f"a question has 1 to {TEXT_CHARACTERS} characters"
    if len(decision.choices) not in CHOICES:
        bounds = f"{CHOICES.start} to {CHOICES.stop - 1}"
        return f"a question needs {bounds} choices, so that one character answers it"
    return None


def _answer(decision: d.Answer, scene: Scene) -> str | None:
    stale = _new_words(decision.issue, scene)
    if stale:
        return stale
    if not decision.text.strip() or len(decision.text) > TEXT_CHARACTERS:
        return f"an answer has 1 to {TEXT_CHARACTERS} characters"
    return None


def _answer_review(decision: d.AnswerReview, scene: Scene) -> str | None:
    view = _view(decision.task, scene)
    if view is None or not words_on_pull(view, scene.observed.pull(view.pull)):
        return f"nobody has said anything on a pull request of task {decision.task!r} that is not answered"
    if len(decision.text) > TEXT_CHARACTERS:
        return f"an answer has at most {TEXT_CHARACTERS} characters"
    return None


def _view(task: str, scene: Scene) -> TaskView | None:
    return scene.world.tasks.get(task)


def _task_state(task: str, scene: Scene) -> object:
    view = _view(task, scene)
    return None if view is None else view.state


def _start(task: str, scene: Scene) -> str | None:
    view = _view(task, scene)
    if view is None:
        return f"there is no task {task!r}"
    return "; ".join(held_back(scene, view)) or None


def _review(decision: d.Review, scene: Scene) -> str | None:
    state = _task_state(decision.attempt.rpartition(".")[0], scene)
    if not isinstance(state, Green) or state.attempt != decision.attempt:
        return f"attempt {decision.attempt!r} is not green and waiting for a review"
    if not decision.accept and not decision.says.strip():
        return "a rejection must say what is wrong"
    return None


def _retry(decision: d.Retry, scene: Scene) -> str | None:
    view = _view(decision.task, scene)
    if view is None:
        return f"there is no task {decision.task!r}"
    asked_for = isinstance(view.state, InReview) and words_on_pull(view, scene.observed.pull(view.pull))
    if not isinstance(view.state, Returned | Red | Parked | Green) and not asked_for:
        return f"task {decision.task} has nothing to retry: it is {type(view.state).__name__.lower()}"
    if isinstance(view.state, Returned) and isinstance(view.state.outcome, Delivered):
        return f"task {decision.task} has just been delivered: its gate comes first"
    if not decision.guidance.strip():
        return "a retry needs new guidance"
    if view.verdicts >= scene.attempts_allowed(view):
        had = f"task {decision.task} had {view.verdicts} attempts (limits.attempts_per_task)"
        return f"{had}: ask or cancel"
    queued = Queued(guidance=decision.guidance, from_scratch=decision.from_scratch)
    if used_up(view, evidence_for(view, queued)):
        return "the same guidance was tried already"
    return None


def not_parked(task: str, world: World) -> str | None:
    """Return why a person's retry of `task` has nothing to send back, or None."""
    view = world.tasks.get(task)
    if view is None:
        return f"there is no task {task!r}"
    if not isinstance(view.state, Parked):
        return f"task {task} is not parked: {standing(view.state)}"
    issue = world.issues[view.task.issue]
    if isinstance(issue.state, Closed):
        return f"issue {issue.id} is closed: open it again first (agentloop issue reopen {issue.id})"
    return None


def _publish(decision: d.Publish, scene: Scene) -> str | None:
    view = _view(decision.task, scene)
    if view is None or not isinstance(view.state, Accepted):
        return f"task {decision.task!r} has no accepted result"
    if suggested := only_suggested(scene.settings, scene.world.issues[view.task.issue]):
        return suggested
    verdict = scene.world.verdicts.get(view.state.attempt)
    if verdict is None or not verdict.green or verdict.commit != view.state.commit:
        return f"there is no green verdict on commit {view.state.commit[:10]}"
    return hold_words(scene.world, scene.now, decision.task) or None


def _still_open(task: str, scene: Scene) -> str | None:
    view = _view(task, scene)
    if view is None:
        return f"there is no task {task!r}"
    return f"task {task} is over" if over(view.state) else None


_RUNS: dict[type, tuple[tuple[type, ...], str]] = {
    d.Take: ((Returned,), "has not just ended"),
    d.Keep: ((Returned,), "has not just ended"),
    d.Judge: ((Judging,), "is not waiting for its gate"),
    d.Halt: ((Working, Judging), "is not running"),
}


def _run(decision: d.Take | d.Keep | d.Judge | d.Halt, scene: Scene) -> str | None:
    state = _task_state(decision.attempt.rpartition(".")[0], scene)
    wanted, says = _RUNS[type(decision)]
    fits = isinstance(state, wanted) and getattr(state, "attempt", "") == decision.attempt
    return None if fits else f"attempt {decision.attempt} {says}"


def _send_back(decision: d.SendBack, scene: Scene) -> str | None:
    view = _view(decision.task, scene)
    if view is None:
        return f"there is no task {decision.task!r}"
    if not isinstance(view.state, Red | InReview | Returned | Accepted):
        return f"task {decision.task} has no result to send back"
    if isinstance(view.state, InReview) and view.state.theirs:
        return f"a person pushed to the branch of task {decision.task}: hands off"
    return None


def _requeue(decision: d.Requeue, scene: Scene) -> str | None:
    state = _task_state(decision.task, scene)
    return None if isinstance(state, Returned | Queued) else f"task {decision.task} has not just ended"
