"""What `explain` tells: the story of an issue, or of one of its tasks, with every reason that was recorded.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from agentloop.domain import facts as f
from agentloop.domain import states as s
from agentloop.domain import world as w
from agentloop.domain.candidates import candidates_then
from agentloop.domain.codec import tag_of
from agentloop.domain.estimating import estimate_for
from agentloop.domain.order import held_back, place
from agentloop.domain.report import Loop, Pause
from agentloop.domain.telling import (
    decision_about,
    decision_words,
    finding_words,
    issue_state,
    outcome_words,
    standing,
)
from agentloop.domain.valueclass import dataclass, replace
from agentloop.domain.waiting import blocks, waiting
from agentloop.domain.wording import count, dollars, one_line, tail

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentloop.domain.report import Live
    from agentloop.domain.scene import Scene
    from agentloop.domain.work import Verdict
    from agentloop.domain.world import IssueView

EVENTS = 200
"""Events of a story that are kept, the newest."""
OUTPUT_LINES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened. `task` is "" for what concerns the whole issue."""

    at: datetime
    cycle: int
    by: str
    what: str
    why: str = ""
    task: str = ""
    refused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A check as the gate ran it."""

    command: str
    passed: bool
    seconds: float
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One attempt.

    `outcome` names how it ended (`running`, `killed`), `verdict` what the gate said ("": nothing yet).
    """

    attempt: str
    started: datetime
    ended: datetime | None
    outcome: str
    says: str
    turns: int
    spent_micros: int
    models: tuple[str, ...]
    sandboxed: bool
    commit: str
    verdict: Literal["", "green", "red"]
    checks: tuple[Checked, ...]
    findings: tuple[str, ...]
    expected_micros: int = 0
    """What it was expected to cost when it started (median); `likely_below_micros`: nine in ten times."""
    likely_below_micros: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStory:
    """A task: where it stands, why it was not started, what it must bring, and what was tried."""

    id: str
    title: str
    kind: str
    state: str
    says: str
    since: datetime
    order: str
    held_back: tuple[str, ...]
    needs: tuple[str, ...]
    goal: str
    criteria: tuple[str, ...]
    checks: tuple[str, ...]
    scope: tuple[str, ...]
    findings: tuple[str, ...]
    guidance: str
    pull: str
    spent_micros: int
    attempts: tuple[Tried, ...]
    expected: str = ""
    """What the next attempt is expected to cost; "" when none is to come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """An issue's story. `waits_for` is what stands between it and its end, `do` what a person can do now."""

    issue: str
    title: str
    priority: str
    target: str
    state: str
    says: str
    since: datetime
    question: str
    choices: tuple[str, ...]
    waits_for: tuple[str, ...]
    do: tuple[str, ...]
    spent_micros: int
    tasks: tuple[TaskStory, ...]
    events: tuple[Event, ...]
    events_in_all: int
    loop: Loop | None = None
    """What the loop does; what it waits for itself stands first among the reasons. None: nobody looked."""
    pause: Pause | None = None
    problems: tuple[str, ...] = ()
    """What went wrong in the last cycle."""
    at: datetime | None = None
    """The moment in the past that this tells of; None: now."""
    unknown: str = ""
    """What cannot be known of that moment."""


def follow(entries: Iterable[f.Entry], issue: str, task: str = "") -> tuple[w.World, tuple[Event, ...]]:
    """Return the fold over `entries`, and what happened to `issue` (or only to its `task`), oldest first."""
    world = w.World()
    events: list[Event] = []
    for entry in entries:
        known = world.issues.get(issue)
        world.apply(entry)
        for fact in entry.facts:
            event = _event(fact, entry, issue, known)
            if event is not None and task in ("", event.task):
                events.append(event)
    return world, tuple(events)


def story(
    scene: Scene, issue: str, events: tuple[Event, ...], task: str = "", *, live: Live | None = None
) -> Story:
    """Return the story of `issue`, which the world knows; with `task`, of that one alone.

    What `scene.observed` has seen, of the issue and its pull requests, counts where the journal lags behind.
    """
    view = scene.world.issues[issue]
    views = [one for one in scene.world.tasks_of(issue) if task in ("", one.task.id)]
    found = waiting(scene, view, views, live.progress if live else ())
    is_asked = isinstance(view.state, w.Waiting)
    return Story(
        issue=issue,
        title=one_line(view.title, 200),
        priority=view.priority,
        target=view.target,
        state=tag_of(type(view.state)),
        says=issue_state(view) if view.evidence else "no cycle has seen it yet",
        since=view.since,
        question=view.state.question if isinstance(view.state, w.Waiting) and is_asked else "",
        choices=view.state.choices if isinstance(view.state, w.Waiting) else (),
        waits_for=found.reasons,
        do=(*blocks(live, found), *found.do) or ("agentloop status --watch",),
        spent_micros=sum(one.spent_micros for each in views for one in each.tries),
        tasks=tuple(_task(scene, one) for one in views),
        events=events[-EVENTS:],
        events_in_all=len(events),
        loop=live.loop if live else None,
        pause=live.pause if live else None,
        problems=live.problems if live else (),
    )


UNKNOWN = "as the journal tells it: it holds neither the words of the tracker nor the settings of then"


def story_then(
    scene: Scene, issue: str, events: tuple[Event, ...], task: str = "", *, loop: str = ""
) -> Story:
    """Return the story of `issue` as it stood at `scene.now`, a moment in the past.

    The scene's world and the events end there. Reasons are those that were recorded then; what the journal
    alone cannot tell is said to be unknown. `loop` says what the loop did at that moment.
    """
    now = story(scene, issue, events, task)
    views = [one for one in scene.world.tasks_of(issue) if task in ("", one.task.id)]
    known = {one.about: (*one.why, f"({one.known})") for one in candidates_then(scene)}
    return replace(
        now,
        waits_for=tuple(_waits_then(scene.world.issues[issue], views, known)),
        do=(),
        tasks=tuple(replace(one, held_back=known.get(one.id, ())) for one in now.tasks),
        at=scene.now,
        unknown="; ".join(part for part in (loop, UNKNOWN) if part),
    )


def _waits_then(
    view: IssueView, views: Iterable[s.TaskView], known: Mapping[str, tuple[str, ...]]
) -> Iterable[str]:
    if isinstance(view.state, w.Closed):
        return
    if isinstance(view.state, w.Waiting | w.Stuck):
        yield issue_state(view)
    yield from known.get(view.id, ())
    for one in views:
        if one.task.id in known:
            yield f"task {one.task.id} was not started: {'; '.join(known[one.task.id])}"
        elif not s.over(one.state):
            yield f"task {one.task.id}: {standing(one.state)}"


# --- what happened ------------------------------------------------------------------------------------------


def _event(fact: f.Fact, entry: f.Entry, issue: str, known: IssueView | None) -> Event | None:
    said: tuple[str, str, str, str | None]
    match fact:
        case f.Decided(by=by, decision=decision):
            about = decision_about(decision, issue)
            said = (by, decision_words(decision), one_line(decision.rationale, 400), about)
        case f.Refused(by=by, decision=decision, why=why):
            about = decision_about(decision, issue)
            said = (by, f"refused: {decision_words(decision)}", one_line(why, 600), about)
        case f.FoundByMark(where=where):
            said = ("", f"recovered from marks: {where}", "the journal had lost it", _marked(entry, issue))
        case f.IssueSeen() | f.IssueClosed() | f.IssueReopened():
            said = (*_issue_words(fact, known), "" if fact.issue == issue else None)
        case _:
            said = ("", *_job_words(fact), _task_of(fact, issue))
    by_, what, why_, task = said
    if task is None or not what:
        return None
    refused = isinstance(fact, f.Refused)
    return Event(at=entry.at, cycle=entry.cycle, by=by_, what=what, why=why_, task=task, refused=refused)


def _marked(entry: f.Entry, issue: str) -> str | None:
    """The task that a mark told of, "" when it was the issue itself; None: it is about another."""
    if any(getattr(fact, "issue", None) == issue for fact in entry.facts):
        return ""
    tasks = (str(getattr(fact, "task", "")) for fact in entry.facts)
    return next((task for task in tasks if task.rpartition(".")[0] == issue), None)


def _issue_words(
    fact: f.IssueSeen | f.IssueClosed | f.IssueReopened, known: IssueView | None
) -> tuple[str, str, str]:
    match fact:
        case f.IssueSeen(title=title):
            if known is None:
                return "person", f"filed: {one_line(title, 120)}", ""
            return "person", "its words, labels or target changed", ""
        case f.IssueClosed(by=by):
            return ("person", "closed it", "") if by == "person" else ("", "", "")
        case f.IssueReopened():
            return "person", "opened it again", ""


def _job_words(fact: f.Fact) -> tuple[str, str]:
    match fact:
        case f.AttemptEnded(attempt=attempt, outcome=outcome, turns=turns):
            return f"attempt {attempt} {outcome_words(outcome)}", f"after {count(turns, 'turn')}"
        case f.AttemptLost(attempt=attempt):
            return f"attempt {attempt} was killed", ""
        case f.ResultRejected(attempt=attempt, findings=findings):
            return f"the result of attempt {attempt} may not come in", "; ".join(
                map(finding_words, findings[:3])
            )
        case f.GateLost(attempt=attempt, reason=reason):
            return f"the gate on attempt {attempt} broke", one_line(reason)
        case f.Judged(verdict=verdict):
            return f"the gate found attempt {verdict.attempt} {_colour(verdict)}", _against(verdict)
        case f.Published(pull=pull, commit=commit):
            return f"pull request {pull} shows {commit[:10]}", ""
        case _:
            return "", ""


def _task_of(fact: f.Fact, issue: str) -> str | None:
    attempt = fact.verdict.attempt if isinstance(fact, f.Judged) else str(getattr(fact, "attempt", ""))
    task = attempt.rpartition(".")[0]
    return task if task.rpartition(".")[0] == issue else None


def _colour(verdict: Verdict) -> Literal["green", "red"]:
    return "green" if verdict.green else "red"


def _against(verdict: Verdict) -> str:
    failed = [check.command for check in verdict.checks if not check.passed]
    told = [f"failed: {one_line(command, 100)}" for command in failed[:3]]
    told += [finding_words(one, 160) for one in verdict.findings[:3]]
    passed = len(verdict.checks) - len(failed)
    return "; ".join(told) or f"{count(passed, 'check')} passed on {verdict.commit[:10]}"


# --- tasks --------------------------------------------------------------------------------------------------


def _task(scene: Scene, view: s.TaskView) -> TaskStory:
    task, contract, state = view.task, view.task.contract, view.state
    is_queued = isinstance(state, s.Queued)
    findings = state.findings if isinstance(state, s.Queued | s.Red) else ()
    return TaskStory(
        id=task.id,
        title=one_line(task.title, 200),
        kind=task.kind,
        state=tag_of(type(state)),
        says=standing(state),
        since=view.since,
        order=place(scene, view) if is_queued else "",
        held_back=held_back(scene, view) if is_queued else (),
        needs=task.needs,
        goal=one_line(contract.goal, 600),
        criteria=contract.criteria,
        checks=tuple(check.command for check in contract.checks),
        scope=contract.scope,
        findings=tuple(map(finding_words, findings)),
        guidance=one_line(state.guidance, 600) if isinstance(state, s.Queued) else "",
        pull=view.pull,
        spent_micros=sum(one.spent_micros for one in view.tries),
        attempts=tuple(_tried(scene, view, one) for one in view.tries),
        expected=_expected(scene, view) if is_queued else "",
    )


def _expected(scene: Scene, view: s.TaskView) -> str:
    found = estimate_for(scene.world, scene.settings.limits, view.task)
    high = f"{dollars(found.micros)}, likely below {dollars(found.high_micros)}"
    return f"{high} (from {count(found.based_on, 'attempt')} of its kind)"


def _tried(scene: Scene, view: s.TaskView, one: s.Try) -> Tried:
    verdict = scene.world.verdicts.get(one.attempt)
    is_running = isinstance(view.state, s.Working) and view.state.attempt == one.attempt
    outcome = tag_of(type(one.outcome)) if one.outcome else "running" if is_running else "killed"
    return Tried(
        attempt=one.attempt,
        started=one.started,
        ended=one.ended,
        outcome=outcome,
        says="is at work" if is_running else outcome_words(one.outcome),
        turns=one.turns,
        spent_micros=one.spent_micros,
        models=one.models,
        sandboxed=one.sandboxed,
        commit=one.commit,
        verdict=_colour(verdict) if verdict else "",
        checks=tuple(
            Checked(
                command=check.command,
                passed=check.passed,
                seconds=round(check.seconds, 2),
                output=tail(check.output, OUTPUT_LINES),
            )
            for check in (verdict.checks if verdict else ())
        ),
        findings=tuple(map(finding_words, verdict.findings)) if verdict else (),
        expected_micros=one.estimate_micros,
        likely_below_micros=one.estimate_high_micros,
    )
