"""What `status` tells: a pure report, made of what the journal says and what the processes say.

`Standing` is everything that follows from journal and settings: it changes only when a cycle writes, so it is
kept as a snapshot beside the journal. `Live` is what changes between cycles: supervisor, pause, progress.
People's screens and programs' JSON are both made of these two values, and of nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from agentloop.domain import alerts, approval
from agentloop.domain import states as s
from agentloop.domain import world as w
from agentloop.domain.holds import EVERYTHING, hold_words
from agentloop.domain.issue import PRIORITIES, target_of
from agentloop.domain.limits import BUDGET, left_words, slow_call_stalls, too_narrow
from agentloop.domain.observed import Observed
from agentloop.domain.order import fruitless_words, held_back, in_order
from agentloop.domain.runway import runway, runway_lines
from agentloop.domain.scene import Scene
from agentloop.domain.settings import micros
from agentloop.domain.telling import finding_words, standing
from agentloop.domain.valueclass import dataclass, shape
from agentloop.domain.wording import PLAN_CHOICES, PROVIDERS_LIMIT, count, dollars, one_line
from agentloop.domain.world import LOST_PURSE

if TYPE_CHECKING:
    from agentloop.domain.settings import Settings
    from agentloop.domain.world import IssueView, World

ROWS = 20
"""Entries of each list in the JSON; how many there are in all stands beside it."""

LIMIT_WHY = 160
"""Characters of what the provider said; whole it stands in the journal."""

LOSS_TOLD_FOR = timedelta(days=7)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Something that waits for a person. `do` are commands, the most likely one first."""

    kind: Literal["review", "yours", "question", "approval", "parked", "money", "progress"]
    about: str
    title: str
    says: str
    since: datetime | None
    do: tuple[str, ...]
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """An attempt, or the gate on its result, that the journal says is under way."""

    attempt: str
    role: Literal["attempt", "gate"]
    task: str
    title: str
    since: datetime
    deadline: datetime | None
    slice_micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Coming:
    """Something that the next cycle goes on with by itself."""

    about: str
    title: str
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """A queued task, in the order of work, and every reason why it is not started; none: it is next."""

    task: str
    title: str
    priority: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """Micro-dollars.

    Spent = settled and unresolved at its ceiling; reserved is set aside for what runs now.
    """

    day: str
    spent_today_micros: int
    spent_micros: int
    unresolved_micros: int
    reserved_micros: int
    day_limit_micros: int
    total_limit_micros: int
    attempt_limit_micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """How many entries the lists of a report have in all, and the command that shows those left out."""

    needs_you: int
    running: int
    coming: int
    queue: int
    more: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Everything that follows from the journal and the settings."""

    cycle: int
    cycle_at: datetime | None
    limit_until: datetime | None
    limit_why: str
    needs_you: tuple[Need, ...]
    running: tuple[Run, ...]
    attempts_at_once: int
    coming: tuple[Coming, ...]
    queue: tuple[Waits, ...]
    listed: Listed
    money: Money
    open_issues: int
    merged: int
    fallbacks: tuple[str, ...]
    warnings: tuple[str, ...]
    grace_seconds: int = 0
    """How long attempts go on without a supervisor."""
    triage: str = ""
    """How much of what there is the loop cannot handle by itself, by kind; "" = nothing."""
    alerts: tuple[str, ...] = ()
    """What was told about limits in the periods that last."""
    runway: tuple[str, ...] = ()
    """What each limit leaves, and how far that reaches; a line each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """What the supervisor does. `state` is `stopped` when there is none, whatever it said last."""

    state: str
    pid: int | None
    version: str
    started_at: datetime | None
    since: datetime | None
    until: datetime | None
    reason: str
    notice: str
    do: str
    """The command that a person most likely wants next; "" = none is needed."""
    stopped_at: datetime | None = None
    """When the last supervisor stopped; None: one runs, it was killed, or there was none yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A pause: its end, why, and by whom."""

    until: str
    reason: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a running attempt is; `alive` is None while its process has not claimed it yet."""

    attempt: str
    role: str
    alive: bool | None
    beat_at: datetime | None
    turns: int
    spent_micros: int
    doing: str
    fallback: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What changes between cycles."""

    at: datetime
    home: str
    loop: Loop
    pause: Pause | None
    woken_by: tuple[str, ...]
    """Reasons in the wake trigger that no cycle has taken yet."""
    sleep_until: datetime | None
    sleep_reason: str
    problems: tuple[str, ...]
    progress: tuple[Progress, ...]
    notices: tuple[str, ...] = ()
    """What the last cycle did that a person should know though nothing is wrong."""


def stand(world: World, settings: Settings, now: datetime, warnings: tuple[str, ...] = ()) -> Standing:
    """Return what journal and settings say at `now`; `warnings` come in front of those found here."""
    from agentloop.domain.triage import triage, triage_words  # an idle cycle tells no status

    scene = Scene(world=world, observed=Observed(now=now), settings=settings)
    needs, runs, coming, queue = _needs(scene), running(world), _coming(scene), _queue(scene)
    return Standing(
        cycle=world.cycle,
        cycle_at=world.cycle_at,
        limit_until=world.limited_until if scene.limited() else None,
        limit_why=one_line(world.limited_why, LIMIT_WHY) if scene.limited() else "",
        needs_you=needs[:ROWS],
        running=runs[:ROWS],
        attempts_at_once=settings.limits.attempts_at_once,
        coming=coming[:ROWS],
        queue=queue[:ROWS],
        listed=_listed(needs, runs, coming, queue),
        money=_money(world, settings, now),
        open_issues=len(world.open),
        merged=world.merged,
        fallbacks=fallbacks(world, settings),
        warnings=(*_all_paused(world, now), *warnings, *_losses(world, now), *_warnings(settings)),
        grace_seconds=settings.worker.grace_seconds,
        triage=triage_words(triage(world)),
        alerts=alerts.standing(scene),
        runway=runway_lines(runway(scene)),
    )


def _all_paused(world: World, now: datetime) -> tuple[str, ...]:
    paused = hold_words(world, now, EVERYTHING)
    return (paused,) if paused else ()


def _losses(world: World, now: datetime) -> tuple[str, ...]:
    """What was lately lost of the journal, and what follows."""
    recent = [one for one in world.losses if now - one.at < LOSS_TOLD_FOR]
    if not recent:
        return ()
    last, more = recent[-1], f" ({len(recent)} losses)" if len(recent) > 1 else ""
    kept = f"; what was there is in {last.aside}" if last.aside else ""
    told = f"{count(len(world.found), 'mark')} outside told again what was done"
    unknown = world.spent_by_purse.get(LOST_PURSE, 0)
    money = f"; what may have been spent unseen counts as {dollars(unknown)}" if unknown else ""
    return (f"the journal was damaged{more}: {one_line(last.what, 200)}{kept}; {told}{money}",)


def _listed(
    needs: tuple[Need, ...], running: tuple[Run, ...], coming: tuple[Coming, ...], queue: tuple[Waits, ...]
) -> Listed:
    longest = max(len(needs), len(running), len(coming), len(queue))
    return Listed(
        needs_you=len(needs),
        running=len(running),
        coming=len(coming),
        queue=len(queue),
        more="agentloop tasks --limit 1000" if longest > ROWS else "",
    )


# --- what a person has to do --------------------------------------------------------------------------------


def _needs(scene: Scene) -> tuple[Need, ...]:
    world = scene.world
    found = [(view.task.issue, need) for view in world.live_tasks() if (need := need_of_task(view))]
    found += [(issue.id, need) for issue in world.open_issues() if (need := need_of_issue(world, issue))]
    ordered = sorted(found, key=lambda pair: [*PRIORITIES].index(_priority(world, pair[0])))
    return (*_progress_needed(scene), *_money_needed(scene), *(need for _, need in ordered))


def _priority(world: World, issue: str) -> str:
    return world.issues[issue].priority if issue in world.issues else "normal"


def need_of_task(view: s.TaskView) -> Need | None:
    """Return what a person is asked for on a task, or None."""
    task = view.task
    match view.state:
        case s.InReview(pull=pull, theirs=theirs):
            says = "you pushed to it, so the loop leaves it to you" if theirs else "waits for your review"
            return Need(
                kind="yours" if theirs else "review",
                about=f"pull request {pull}",
                title=one_line(task.title, 100),
                says=says,
                since=view.since,
                do=_here(
                    pull,
                    f"agentloop pr diff {pull}",
                    f"agentloop pr merge {pull}",
                    f"agentloop pr review {pull}",
                ),
            )
        case s.Parked(reason=reason):
            return Need(
                kind="parked",
                about=f"task {task.id}",
                title=one_line(task.title, 100),
                says=one_line(reason),
                since=view.since,
                do=(
                    f"agentloop retry {task.id}",
                    f"agentloop explain {task.id}",
                    *_here(task.issue, f'agentloop issue comment {task.issue} "…"'),
                ),
            )
        case _:
            return None


def need_of_issue(world: World, issue: IssueView) -> Need | None:
    """Return what a person is asked for on `issue`, or None; words not yet read are an answer."""
    if issue.evidence != issue.handled:
        return None
    held = approval.held_plan(world, issue)
    match issue.state:
        case w.Waiting(question=question, choices=choices, since=since):
            return Need(
                kind="question",
                about=f"issue {issue.id}",
                title=one_line(issue.title, 100),
                says=one_line(question),
                since=since,
                do=_here(issue.id, f'agentloop issue comment {issue.id} "1"'),
                choices=tuple(one_line(choice, 100) for choice in choices),
            )
        case w.InWork() | w.Settled() if held is not None:
            return Need(
                kind="approval",
                about=f"issue {issue.id}",
                title=one_line(issue.title, 100),
                says=f"its plan waits for your approval: {one_line('; '.join(held.why))}",
                since=held.since,
                do=(
                    f"agentloop explain {issue.id}",
                    *_here(issue.id, f'agentloop issue comment {issue.id} "1"'),
                ),
                choices=PLAN_CHOICES,
            )
        case w.Stuck(reason=reason):
            return Need(
                kind="parked",
                about=f"issue {issue.id}",
                title=one_line(issue.title, 100),
                says=one_line(reason),
                since=issue.since,
                do=_here(
                    issue.id, f'agentloop issue comment {issue.id} "…"', f"agentloop issue close {issue.id}"
                ),
            )
        case _:
            return None


def _here(about: str, *commands: str) -> tuple[str, ...]:
    """Return the commands for what is in the home, and the place where it is done for what is on GitHub."""
    return ("on GitHub",) if target_of(about) else commands


def _progress_needed(scene: Scene) -> list[Need]:
    if not scene.fruitless() or not in_order(scene):
        return []
    return [
        Need(
            kind="progress",
            about="progress",
            title="look at what the attempts stumble over",
            says=f"{fruitless_words(scene)}: no attempt is started until a person says something new",
            since=None,
            do=("agentloop tasks", "agentloop wake", "agentloop retry TASK"),
        )
    ]


def _money_needed(scene: Scene) -> list[Need]:
    common = scene.common()
    unpaid = [(rest, view) for view in in_order(scene) if (rest := scene.unpaid(view, common)) is not None]
    first = {rest.name: (rest, view) for rest, view in reversed(unpaid)}
    narrow = too_narrow(scene.settings) if in_order(scene) else ""
    least = [_raise(narrow.partition(" ")[0], narrow)] if narrow else []
    others = [(name, left_words(rest, scene.needed(view))) for name, (rest, view) in sorted(first.items())]
    return [*least, *(_raise(name, says) for name, says in others)]


def _raise(name: str, says: str) -> Need:
    return Need(
        kind="money",
        about=name,
        title="raise it with /agentloop budget" if name.startswith(BUDGET) else "raise it in agentloop.toml",
        says=says,
        since=None,
        do=("agentloop cost",),
    )


def lease_end(run: Run, loop: Loop, grace_seconds: int) -> datetime | None:
    """Return until when `run` goes on without a supervisor; None: nobody knows when the last one went away.

    An attempt ends by itself that long after it saw a supervisor last, and at its deadline in any case.
    """
    if run.role == "gate" or loop.stopped_at is None:
        return run.deadline
    end = max(loop.stopped_at, run.since) + timedelta(seconds=grace_seconds)
    return min(end, run.deadline) if run.deadline else end


# --- what goes on by itself ---------------------------------------------------------------------------------


def running(world: World) -> tuple[Run, ...]:
    """Return the attempts and gates that the journal says are under way."""
    return tuple(_run(view) for view in world.live_tasks() if _is_running(view.state))


def _is_running(state: s.TaskState) -> bool:
    return isinstance(state, s.Working) or (isinstance(state, s.Judging) and state.started)


def _run(view: s.TaskView) -> Run:
    last = view.last
    is_gate = isinstance(view.state, s.Judging)
    return Run(
        attempt=last.attempt if last else view.task.id,
        role="gate" if is_gate else "attempt",
        task=view.task.id,
        title=one_line(view.task.title, 100),
        since=view.since,
        deadline=None if last is None or is_gate else last.deadline,
        slice_micros=0 if last is None or is_gate else last.slice_micros,
    )


def _coming(scene: Scene) -> tuple[Coming, ...]:
    when = " when there is money again" if scene.admin_unpaid() is not None else ""
    when = f" when {PROVIDERS_LIMIT} is over" if scene.limited() else when
    moving = s.Returned | s.Red | s.Green | s.Accepted | s.Judging
    tasks = [
        Coming(
            about=f"task {view.task.id}",
            title=one_line(view.task.title, 100),
            says=_next_step(view.state) + (when if isinstance(view.state, s.Green) else ""),
        )
        for view in scene.world.live_tasks()
        if isinstance(view.state, moving) and not _is_running(view.state)
    ]
    issues = [
        Coming(about=f"issue {issue.id}", title=one_line(issue.title, 100), says=_next_look(issue) + when)
        for issue in scene.world.open_issues()
        if issue.evidence != issue.handled
    ]
    return (*tasks, *issues)


def _next_step(state: s.TaskState) -> str:
    match state:
        case s.Red(findings=findings):
            return (
                f"goes back to a worker: {finding_words(findings[0], 120)}"
                if findings
                else "goes back to a worker"
            )
        case s.Green():
            return "is green: the admin reviews it"
        case _:
            return standing(state)


def _next_look(issue: IssueView) -> str:
    return "has new words: the admin reads them" if issue.handled else "is new: the admin plans it"


def _queue(scene: Scene) -> tuple[Waits, ...]:
    common = scene.common()
    return tuple(
        Waits(
            task=view.task.id,
            title=one_line(view.task.title, 100),
            priority=_priority(scene.world, view.task.issue),
            reasons=held_back(scene, view, common),
        )
        for view in in_order(scene)
    )


# --- money, models, settings --------------------------------------------------------------------------------


def _money(world: World, settings: Settings, now: datetime) -> Money:
    limits = settings.limits
    return Money(
        day=f"{now.astimezone(UTC):%Y-%m-%d}",
        spent_today_micros=world.spent_by_day[now.astimezone(UTC).date()],
        spent_micros=sum(world.spent_by_day.values()),
        unresolved_micros=world.unresolved_micros,
        reserved_micros=sum(world.purses.values()),
        day_limit_micros=micros(limits.day_usd),
        total_limit_micros=micros(limits.total_usd),
        attempt_limit_micros=micros(limits.attempt_usd),
    )


def fallbacks(world: World, settings: Settings) -> tuple[str, ...]:
    """Return which models stood in for those that the settings name, and where."""
    models = settings.models
    times, last = world.admin_models.get(models.admin_fallback, (0, 0))
    where = f"in {count(times, 'cycle')}, last in cycle {last}"
    found = [f"{models.admin_fallback} answered for {models.admin} {where}"] if times else []
    times, attempt = world.worker_models.get(models.worker_fallback, (0, ""))
    if times:
        where = f"in {count(times, 'attempt')}, last in {attempt}"
        found.append(f"{models.worker_fallback} answered for {models.worker} {where}")
    return tuple(found)


def _warnings(settings: Settings) -> list[str]:
    said = [
        (
            not settings.targets,
            "no [[target]]: name a repository in agentloop.toml, there is nothing to work on",
        ),
        (
            settings.worker.sandbox == "none",
            'no sandbox (worker.sandbox = "none"): agents\' commands run with your rights',
        ),
        (
            not settings.layers.gate,
            "the gate is off (layers.gate = false): only a contract's own checks are run",
        ),
        (not settings.layers.workers, "workers are off (layers.workers = false): the loop only plans"),
        (not settings.layers.memory, "memory is off (layers.memory = false): notes are not handed on"),
    ]
    slow = slow_call_stalls(settings)
    return [*(words for applies, words in said if applies), *([slow] if slow else [])]


# --- as plain values ----------------------------------------------------------------------------------------


def plain(value: object) -> Any:  # noqa: ANN401 -- anything that JSON has
    """Return `value` as what JSON has: dataclasses as objects, times in ISO 8601 UTC to the second."""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    if (names := shape(type(value))) is not None:
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, str) or not isinstance(value, Iterable):
        return value
    return [plain(item) for item in value]
