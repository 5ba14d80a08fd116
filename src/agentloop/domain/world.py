"""Everything the journal says, folded: the state the rules work on.

`World` is built by applying entries in order. Its dictionaries are the fold's workings; the values in them
are frozen. Nothing here reads a clock or a file.
"""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from agentloop.domain import facts
from agentloop.domain.decisions import Decision, Halt
from agentloop.domain.effects import Effect, KeepBoard, is_keep
from agentloop.domain.orders import Heeded
from agentloop.domain.shares import Share, by_model, in_all, split
from agentloop.domain.shelf import Shelf
from agentloop.domain.spells import Spell, spread
from agentloop.domain.states import (
    Merged,
    Queued,
    Returned,
    TaskView,
    Try,
    Working,
    after,
    finished,
    over,
    own_verdict,
)
from agentloop.domain.valueclass import dataclass, field, replace
from agentloop.domain.work import Delivered, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agentloop.domain.work import Task

T = TypeVar("T")

HEEDED = 2000
"""Orders kept that stand on no issue of ours."""
HISTORY = 50
"""Attempts of a kind whose cost is kept for estimates."""
ALERTS = 100
AN_HOUR = timedelta(hours=1)
LOST_PURSE = "lost:unknown"
"""The purse of what may have been spent while the journal has lost its last lines."""
REHEARSAL = "rehearsal:"
"""How the purses of rehearsed cycles begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fresh:
    """Seen, and nothing decided about it yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A person was asked."""

    question: str
    choices: tuple[str, ...]
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class InWork:
    """Cut into tasks."""

    tasks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """Answered; nothing to be built."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """Parked: the loop cannot go on by itself."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """Over. `word` is the loop's last comment on it, when the loop closed it ("" = not known)."""

    by: Literal["loop", "person"]
    word: str = ""


IssueState: TypeAlias = Fresh | Waiting | InWork | Settled | Stuck | Closed


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A plan that needed a person's word: why, since when, and what was said (`by` = "": nobody has yet)."""

    plan: str
    tasks: tuple[str, ...]
    why: tuple[str, ...]
    since: datetime
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueView:
    """An issue and where it stands.

    `handled` names the words (evidence) that the last decision was made on.
    """

    id: str
    title: str
    target: str
    priority: str
    state: IssueState
    since: datetime
    evidence: str = ""
    handled: str = ""
    planned_tasks: int = 0
    admin: tuple[Share, ...] = ()
    """Its share of what asking the admin agent cost."""
    reopened: int = 0
    """How often a person opened it again: what was done on the same words before is done anew."""
    begun: int = 0
    """How often a person had it begun anew: what is said on the same words is said anew, too."""
    heeded: tuple[Heeded, ...] = ()
    """Orders on it that were answered."""
    author: str = ""
    """Who wrote it; "" in old journals."""
    labels: tuple[str, ...] = ()
    """Those of its labels that settings tie to an autonomy."""
    permitted: str = ""
    """The person who had it built although it is under `suggest`."""
    approvals: tuple[Approval, ...] = ()
    """Its plans that needed a person's word, oldest first."""
    budget_micros: int | None = None
    """What a person said that it may spend; None: limits.issue_usd."""
    budget_by: str = ""
    planned_at: datetime | None = None
    """When it was first planned."""
    why: str = ""
    """Why the last plan is as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectView:
    """An effect that was intended, and what became of it."""

    effect: Effect
    result: str | None = None
    failed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NextAction:
    """A next action the relay named, for the stall rule."""

    cycle: int
    action: str
    signal: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """The admin agent has given no usable answer, `in_a_row` times, the last at `since`."""

    in_a_row: int
    since: datetime
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Lines of the journal that were lost, noticed at `at`; `aside` is where the damaged file is kept."""

    at: datetime
    what: str
    aside: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedOnce:
    """A refusal that the admin has not been shown yet."""

    cycle: int
    decision: Decision
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recent:
    """What was spent a moment ago."""

    at: datetime
    micros: int
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Why a candidate was not started, as the cycle `cycle` said it at `since`."""

    why: tuple[str, ...]
    cycle: int
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A person paused something until then, and why."""

    until: datetime
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """Names in the fields of `World` that have the same names."""

    issues: frozenset[str]
    tasks: frozenset[str]
    verdicts: frozenset[str]
    effects: frozenset[str]
    spent_by_purse: frozenset[str]


@dataclass
class World:
    """The fold. `apply` is its only verb."""

    cycle: int = 0
    at: datetime | None = None
    cycle_at: datetime | None = None
    """When a cycle wrote last; a rehearsal is none."""
    issues: dict[str, IssueView] = field(default_factory=dict)
    tasks: dict[str, TaskView] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    effects: dict[str, EffectView] = field(default_factory=dict)
    open_ops: dict[str, None] = field(default_factory=dict)
    purses: dict[str, int] = field(default_factory=dict)
    token_purses: dict[str, int] = field(default_factory=dict)
    tokens_by_day: Counter[date] = field(default_factory=Counter)
    roles_by_day: Counter[str] = field(default_factory=Counter)
    """Micro-dollars of a role on a day, by `<role>:<date>`."""
    recent: tuple[Recent, ...] = ()
    """What was spent within the hour before the last settlement, for the limit of an hour."""
    history: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """What the latest attempts cost that ended by their own verdict, by `similar(task)`; for estimates."""
    alerted: dict[str, str] = field(default_factory=dict)
    """What a person was told about limits, by its key; the latest ones."""
    spent_by_day: Counter[date] = field(default_factory=Counter)
    spent_by_purse: dict[str, int] = field(default_factory=dict)
    spent_by_model: Counter[str] = field(default_factory=Counter)
    admin_models: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Which models answered as the admin agent: in how many cycles, and in which last."""
    unresolved_micros: int = 0
    fingerprint: str = ""
    considered: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    limited_since: datetime | None = None
    trouble: Trouble | None = None
    limited_until: datetime | None = None
    limits_in_a_row: int = 0
    """Limits of the provider that were met one after the other, without anything done in between."""
    limited_why: str = ""
    outcome: str = ""
    """How the last cycle that was not idle or quiet ended."""
    ended: int = 0
    """The last cycle that came to its end; one after it was cut off, and its relay may not be written."""
    shown: dict[str, str] = field(default_factory=dict)
    """What the threads of live issues show, by the part of the thread: a digest of it (see `showing`)."""
    next_actions: tuple[NextAction, ...] = ()
    refusals: tuple[RefusedOnce, ...] = ()
    last_refusals: dict[str, str] = field(default_factory=dict)
    """Why the admin's latest decision about an issue was refused, by the issue's id."""
    notes: dict[str, str] = field(default_factory=dict)
    sleep: facts.Slept | None = None
    fruitless: int = 0
    """Attempts in a row, over all tasks, that came to nothing since anything new was seen."""
    held: dict[str, Held] = field(default_factory=dict)
    """Candidates that were not started, by the id of task or issue, as of the end of the last cycle."""
    live: dict[str, str] = field(default_factory=dict)
    """Tasks that are not over, by id, in the order they were planned (the value is the issue's id)."""
    open: dict[str, None] = field(default_factory=dict)
    """Issues that are not over, by id."""
    merged: int = 0
    """Tasks that were merged."""
    worker_models: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Which models answered in attempts: in how many, and in which last."""
    losses: tuple[Loss, ...] = ()
    mended: bool = True
    """False from the loss of lines on until our marks outside were read."""
    tail_lost: bool = False
    """Whether the last lines were among those lost, until it is mended."""
    heeded: tuple[Heeded, ...] = ()
    """Orders that were answered and stand on no issue of ours: on pull requests, issues of strangers."""
    boards: tuple[str, ...] = ()
    """The dashboards that were made, the last one last."""
    holds: dict[str, Hold] = field(default_factory=dict)
    """Pauses by the id of issue or task ("" = everything), also those that are over, while it is open."""
    obeying: dict[str, None] = field(default_factory=dict)
    """Orders that decisions were made for, and that have not been answered yet."""
    urged: dict[str, None] = field(default_factory=dict)
    """Issues and tasks that a person wants begun before all others."""
    found: dict[str, str] = field(default_factory=dict)
    """Where the marks were found that told again what was lost, by their operations."""

    def apply(self, entry: facts.Entry) -> None:
        """Take one entry in."""
        if not all(isinstance(fact, _WORDS) for fact in entry.facts):
            vars(self).pop("_made", None)
        self.at = entry.at
        if not is_rehearsal(entry):
            self.cycle_at = entry.at
        self.cycle = max(self.cycle, entry.cycle)
        for fact in entry.facts:
            task = _task_of(fact)
            if self._knows(fact, task):
                self._apply_to_task(task, fact, entry.at)
                _APPLY.get(type(fact), _ignore)(self, fact, entry)

    def once(self, name: str, given: tuple[object, ...], make: Callable[[], T]) -> T:
        """Return what `make` returns; it is called again when `given` is another, or an entry was taken in.

        Rules ask the same of the same world many times in a cycle, and in the next idle one. What was made
        is no part of the world: it is neither compared nor kept. Entries of mere words (`_WORDS`) leave it.
        """
        made: dict[str, tuple[tuple[object, ...], Any]] = vars(self).setdefault("_made", {})
        found = made.get(name)
        if found is None or found[0] != given:
            found = made[name] = given, make()
        return found[1]

    def tasks_of(self, issue: str) -> tuple[TaskView, ...]:
        """Return the issue's tasks in the order they were planned."""
        return tuple(
            self.tasks[f"{issue}.{n}"]
            for n in range(1, (self.issues[issue].planned_tasks if issue in self.issues else 0) + 1)
            if f"{issue}.{n}" in self.tasks
        )

    def task_of_pull(self, pull: str) -> TaskView | None:
        """Return the task whose pull request it is, None for one of an issue that was over before."""
        return next((view for view in _at_hand(self.tasks).values() if view.pull == pull), None)

    def open_issues(self) -> tuple[IssueView, ...]:
        """Return the issues that are not over. Who walks over `issues` walks over all that ever were."""
        return tuple(self.issues[issue] for issue in self.open)

    def finished(self) -> Finished:
        """Return what nobody asks about any more, but by name.

        Closed issues of which no task is live, with all that hangs on them, and effects that have their end.
        """
        busy = set(self.live.values()) | self.open.keys()
        issues = {one for one in _at_hand(self.issues) if one not in busy}
        tasks = {one for one in _at_hand(self.tasks) if one.rpartition(".")[0] not in busy}
        return Finished(
            issues=frozenset(issues),
            tasks=frozenset(tasks),
            verdicts=frozenset(one for one in _at_hand(self.verdicts) if one.split(".")[0] not in busy),
            effects=frozenset(one for one in _at_hand(self.effects) if one not in self.open_ops),
            spent_by_purse=frozenset(_at_hand(self.spent_by_purse)),
        )

    def live_tasks(self) -> tuple[TaskView, ...]:
        """Return the tasks that are not over, in the order they were planned."""
        return tuple(self.tasks[task] for task in self.live)

    def spent_micros(self, day: date | None = None) -> int:
        """Return what was spent in all, or on `day`: settled, unresolved at its ceiling, and reserved."""
        spent = sum(self.spent_by_day.values()) if day is None else self.spent_by_day[day]
        return spent + sum(self.purses.values())

    def used_tokens(self, day: date | None = None) -> int:
        """Return the tokens that were used in all, or on `day`, as `spent_micros` counts money."""
        used = sum(self.tokens_by_day.values()) if day is None else self.tokens_by_day[day]
        return used + sum(self.token_purses.values())

    def _knows(self, fact: facts.Fact, task: str | None) -> bool:
        # A person may have taken a damaged line out of the journal: what hangs on it is passed over.
        issue = getattr(fact, "issue", None)
        issue_known = issue is None or issue in self.issues or isinstance(fact, facts.IssueSeen)
        return issue_known and (task is None or task in self.tasks)

    def _apply_to_task(self, task: str | None, fact: facts.Fact, at: datetime) -> None:
        view = self.tasks.get(task) if task is not None else None
        if view is None:
            return
        state = after(view.state, fact, at)
        if state is not view.state:
            self.tasks[view.task.id] = replace(view, state=state, since=at)
            if over(state):
                self.live.pop(view.task.id, None)
                self.merged += isinstance(state, Merged)


def _at_hand(found: dict[str, Any]) -> dict[str, Any]:
    return found.at_hand() if isinstance(found, Shelf) else found


def is_rehearsal(entry: facts.Entry) -> bool:
    """Whether the entry is the money of a rehearsed cycle, which is no cycle."""
    return bool(entry.facts) and all(getattr(fact, "purse", "").startswith(REHEARSAL) for fact in entry.facts)


def _task_of(fact: facts.Fact) -> str | None:
    attempt = fact.verdict.attempt if isinstance(fact, facts.Judged) else getattr(fact, "attempt", None)
    task = getattr(fact, "task", None)
    if task is None and isinstance(attempt, str):
        return attempt.rpartition(".")[0]
    return task if isinstance(task, str) else None


def fold(entries: Iterable[facts.Entry]) -> World:
    """Return the world that `entries` tell, oldest first."""
    world = World()
    for entry in entries:
        world.apply(entry)
    return world


# one small function a fact


def _ignore(_world: World, _fact: facts.Fact, _entry: facts.Entry) -> None:
    return


def _issue_seen(world: World, fact: facts.IssueSeen, entry: facts.Entry) -> None:
    world.fruitless = 0
    known = world.issues.get(fact.issue)
    if known is None:
        known = IssueView(id=fact.issue, title="", target="", priority="", state=Fresh(), since=entry.at)
    _place(
        world,
        replace(
            known,
            title=fact.title,
            target=fact.target,
            priority=fact.priority,
            evidence=fact.evidence,
            author=fact.author or known.author,
        ),
    )


def _labelled(world: World, fact: facts.Labelled, _entry: facts.Entry) -> None:
    _place(world, replace(world.issues[fact.issue], labels=fact.labels))


def _permitted(world: World, fact: facts.Permitted, _entry: facts.Entry) -> None:
    _place(world, replace(world.issues[fact.issue], permitted=fact.by))


def _budgeted(world: World, fact: facts.Budgeted, _entry: facts.Entry) -> None:
    view = world.issues[fact.issue]
    _place(world, replace(view, budget_micros=fact.micros, budget_by=fact.by))


def _plan_held(world: World, fact: facts.PlanHeld, entry: facts.Entry) -> None:
    view = world.issues[fact.issue]
    held = Approval(plan=fact.plan, tasks=fact.tasks, why=fact.why, since=entry.at)
    _place(world, replace(view, approvals=(*view.approvals, held)))


def _plan_approved(world: World, fact: facts.PlanApproved, _entry: facts.Entry) -> None:
    view = world.issues[fact.issue]
    said = (replace(one, by=fact.by) if one.plan == fact.plan else one for one in view.approvals)
    _place(world, replace(view, approvals=tuple(said)))


def _planned(world: World, fact: facts.Planned, entry: facts.Entry) -> None:
    issue = world.issues[fact.issue]
    for task in fact.tasks:
        world.tasks[task.id] = TaskView(task=task, state=Queued(), since=entry.at)
        world.live[task.id] = fact.issue
    # A second plan for an issue adds tasks; numbers go on, so an id never means two things.
    _place(
        world,
        replace(
            issue,
            state=InWork(tasks=tuple(task.id for task in fact.tasks)),
            since=entry.at,
            handled=fact.evidence,
            planned_tasks=issue.planned_tasks + len(fact.tasks),
            planned_at=issue.planned_at or entry.at,
            why=fact.why,
        ),
    )


def _asked(world: World, fact: facts.Asked, entry: facts.Entry) -> None:
    state = Waiting(question=fact.question, choices=fact.choices, since=entry.at)
    _decide_issue(world, fact.issue, state, entry, fact.evidence)


def _answered(world: World, fact: facts.Answered, entry: facts.Entry) -> None:
    issue = world.issues[fact.issue]
    # Words about work under way are answered without ending the work. Who was told already that all of it
    # was dropped is not told again with every answer.
    tasks = world.tasks_of(issue.id)
    dropped = all(over(view.state) and not finished(view.state) for view in tasks)
    told = isinstance(issue.state, Stuck | Settled) and dropped
    state = _in_work(world, issue) if tasks and not told else Settled()
    _decide_issue(world, fact.issue, state, entry, fact.evidence)


def _heard(world: World, fact: facts.Heard, entry: facts.Entry) -> None:
    issue = world.issues[fact.issue]
    _decide_issue(world, fact.issue, _in_work(world, issue), entry, fact.evidence)


def _in_work(world: World, issue: IssueView) -> InWork:
    return InWork(tasks=tuple(view.task.id for view in world.tasks_of(issue.id)))


def _issue_parked(world: World, fact: facts.IssueParked, entry: facts.Entry) -> None:
    _decide_issue(world, fact.issue, Stuck(reason=fact.reason), entry, fact.evidence)


def _decide_issue(world: World, issue: str, state: IssueState, entry: facts.Entry, evidence: str) -> None:
    _place(world, replace(world.issues[issue], state=state, since=entry.at, handled=evidence))


def _issue_closed(world: World, fact: facts.IssueClosed, entry: facts.Entry) -> None:
    _place(world, replace(world.issues[fact.issue], state=Closed(by=fact.by, word=fact.word), since=entry.at))
    _forget_matters(world, fact.issue)
    _forget_wishes(world, fact.issue)
    world.shown.pop(f"stopped {fact.issue}", None)


def _issue_reopened(world: World, fact: facts.IssueReopened, entry: facts.Entry) -> None:
    world.fruitless = 0
    issue = world.issues[fact.issue]
    _place(world, replace(issue, state=Fresh(), since=entry.at, handled="", reopened=issue.reopened + 1))
    _forget_matters(world, fact.issue)


def _place(world: World, view: IssueView) -> None:
    world.issues[view.id] = view
    if isinstance(view.state, Closed):
        world.open.pop(view.id, None)
    else:
        world.open[view.id] = None


def _forget_matters(world: World, issue: str) -> None:
    # Nobody is asked about a closed issue; opened again, the same words are a new matter.
    mine = (f"issue:{issue}:", f"green:{issue}.", f"returned:{issue}.", f"said:{issue}.")
    for count in (world.considered, world.failures):
        for matter in [one for one in count if one.startswith(mine)]:
            del count[matter]
    world.last_refusals.pop(issue, None)


def _forget_wishes(world: World, issue: str) -> None:
    for kept in (world.holds, world.urged):
        for about in [one for one in kept if one == issue or one.startswith(f"{issue}.")]:
            del kept[about]


def _attempt_started(world: World, fact: facts.AttemptStarted, entry: facts.Entry) -> None:
    view = world.tasks[fact.task]
    was = view.state.was if isinstance(view.state, Working) else Queued()
    one = Try(
        attempt=fact.attempt,
        evidence=fact.evidence,
        started=entry.at,
        base=fact.base,
        parents=fact.parents,
        branch=fact.branch,
        base_branch=fact.base_branch,
        slice_micros=fact.slice_micros,
        deadline=fact.deadline,
        trunk=fact.trunk or fact.base,
        estimate_micros=fact.estimate_micros,
        estimate_high_micros=fact.estimate_high_micros,
        estimate_from=fact.estimate_from,
        round=view.round,
        origin=fact.origin or fact.base,
        answers=was.findings,
        guidance=was.guidance,
    )
    world.tasks[fact.task] = replace(view, tries=(*view.tries, one))


def _change_try(world: World, attempt: str, **changes: object) -> None:
    view = world.tasks.get(attempt.rpartition(".")[0])
    if view is None:
        return
    tries = tuple(replace(one, **changes) if one.attempt == attempt else one for one in view.tries)  # type: ignore[arg-type]
    world.tasks[view.task.id] = replace(view, tries=tries)


def _attempt_ended(world: World, fact: facts.AttemptEnded, entry: facts.Entry) -> None:
    _change_try(
        world,
        fact.attempt,
        ended=entry.at,
        outcome=fact.outcome,
        turns=fact.turns,
        sandboxed=fact.sandboxed,
        models=fact.models,
        said=fact.said,
    )
    for model in fact.models:
        times, _ = world.worker_models.get(model, (0, ""))
        world.worker_models[model] = (times + 1, fact.attempt)
    if own_verdict(fact.outcome):
        world.limits_in_a_row = 0
        task = fact.attempt.rpartition(".")[0]
        world.tasks[task] = replace(world.tasks[task], requeues=0)
        # What was delivered is counted by its verdict.
        world.fruitless += not isinstance(fact.outcome, Delivered)


def _decided(world: World, fact: facts.Decided, _entry: facts.Entry) -> None:
    if isinstance(fact.decision, Halt) and fact.decision.limit:
        _change_try(world, fact.decision.attempt, limit=fact.decision.limit)
    if order := getattr(fact.decision, "order", ""):
        world.obeying[order] = None


def _attempt_lost(world: World, fact: facts.AttemptLost, entry: facts.Entry) -> None:
    _change_try(world, fact.attempt, ended=entry.at, said=fact.said)


def _work_taken(world: World, fact: facts.WorkTaken, _entry: facts.Entry) -> None:
    _change_try(world, fact.attempt, work=fact.commit, tree=fact.tree)


def _work_refused(world: World, fact: facts.WorkRefused, _entry: facts.Entry) -> None:
    _change_try(world, fact.attempt, work="", held=fact.findings)


def _result_lost(world: World, fact: facts.ResultLost, _entry: facts.Entry) -> None:
    # Without a result it has said nothing: the evidence it was started on is not used up.
    _change_try(world, fact.attempt, outcome=None, commit="")
    view = world.tasks[fact.attempt.rpartition(".")[0]]
    if isinstance(view.state, Returned) and view.last is not None:
        # What it was told is told again.
        was = Queued(findings=view.last.answers, guidance=view.last.guidance)
        world.tasks[view.task.id] = replace(view, state=replace(view.state, was=was))


def _result_taken(world: World, fact: facts.ResultTaken, _entry: facts.Entry) -> None:
    _change_try(world, fact.attempt, commit=fact.commit, tree=fact.tree)


def _result_rejected(world: World, fact: facts.ResultRejected, _entry: facts.Entry) -> None:
    _change_try(world, fact.attempt, held=fact.findings)
    world.fruitless += 1


def _note_taken(world: World, fact: facts.NoteTaken, _entry: facts.Entry) -> None:
    world.notes[fact.task] = fact.path
    world.fruitless = 0


def _judged(world: World, fact: facts.Judged, _entry: facts.Entry) -> None:
    world.verdicts[fact.verdict.attempt] = fact.verdict
    _change_try(world, fact.verdict.attempt, held=fact.verdict.findings)
    world.fruitless = 0 if fact.verdict.green else world.fruitless + 1


def _merged(world: World, _fact: facts.Merged, _entry: facts.Entry) -> None:
    world.fruitless = 0


def _published(world: World, fact: facts.Published, _entry: facts.Entry) -> None:
    view = world.tasks[fact.task]
    world.tasks[fact.task] = replace(view, pull=fact.pull, head=fact.commit)


def _sent_back(world: World, fact: facts.SentBack, _entry: facts.Entry) -> None:
    view = world.tasks[fact.task]
    if fact.findings and view.last is not None and view.last.commit and not view.last.held:
        _change_try(world, view.last.attempt, held=fact.findings)  # a review's, a check's, a conflict
        view = world.tasks[fact.task]
    world.tasks[fact.task] = replace(view, heard=view.heard + fact.heard, requeues=0)
    if any(not one.startswith(("check:", "conflict:")) for one in fact.heard):
        world.fruitless = 0


def _proposed(world: World, fact: facts.Proposed, _entry: facts.Entry) -> None:
    world.tasks[fact.task] = replace(world.tasks[fact.task], proposed=True)


def _heard_on_pull(world: World, fact: facts.HeardOnPull, _entry: facts.Entry) -> None:
    view = world.tasks[fact.task]
    world.tasks[fact.task] = replace(view, heard=view.heard + fact.heard)
    world.fruitless = 0


def _requeued(world: World, fact: facts.Requeued, _entry: facts.Entry) -> None:
    view = world.tasks[fact.task]
    world.tasks[fact.task] = replace(view, requeues=view.requeues + fact.counts)


def _reserved(world: World, fact: facts.Reserved, _entry: facts.Entry) -> None:
    world.purses[fact.purse] = fact.micros
    if fact.tokens:
        world.token_purses[fact.purse] = fact.tokens


def _settled(world: World, fact: facts.Settled, entry: facts.Entry) -> None:
    world.purses.pop(fact.purse, None)
    shares = _shares_of(fact, world.token_purses.pop(fact.purse, 0))
    spent = fact.micros + fact.unresolved_micros
    whole = Recent(at=entry.at, micros=spent, tokens=in_all(shares).tokens)
    dated = [_recent(one) for one in pieces_of(world, fact, entry.at)] if fact.spells else [whole]
    for one in dated:
        _date(world, fact.purse, one, entry.at)
    world.spent_by_purse[fact.purse] = world.spent_by_purse.get(fact.purse, 0) + spent
    world.spent_by_model[fact.model] += spent
    world.unresolved_micros += fact.unresolved_micros
    kind, _, attempt = fact.purse.partition(":")
    if kind == "attempt":
        _change_try(world, attempt, spent_micros=spent, shares=shares)
        _learn(world, attempt, fact)
    elif kind == "admin":
        times, _ = world.admin_models.get(fact.model, (0, 0))
        world.admin_models[fact.model] = (times + 1, entry.cycle)
        _share_out(world, fact)


def _shares_of(fact: facts.Settled, tokens_aside: int) -> tuple[Share, ...]:
    # With its ledger went the count of its tokens: they count as its money does, at all that was set aside.
    if fact.shares or not (fact.unresolved_micros and tokens_aside):
        return fact.shares
    unknown = Share(
        model=fact.model, unresolved_micros=fact.unresolved_micros, unresolved_tokens=tokens_aside
    )
    return (unknown,)


def role_of(purse: str) -> str:
    """Return whose money a purse is: `worker`, `admin` or `rehearsal`."""
    kind = purse.partition(":")[0]
    return "worker" if kind == "attempt" else kind


def similar(task: Task) -> str:
    """Return the name of those tasks whose attempts cost alike: of the same target and kind."""
    return f"{task.kind} {task.target}"


def pieces_of(world: World, fact: facts.Settled, at: datetime) -> tuple[Spell, ...]:
    """Return what a purse took by when it counts; `at` is when it is settled."""
    kind, _, attempt = fact.purse.partition(":")
    view = world.tasks.get(attempt.rpartition(".")[0]) if kind == "attempt" else None
    began = next((one.started for one in view.tries if one.attempt == attempt), None) if view else None
    return spread(fact.shares, fact.spells, began=began, at=at)


def _recent(spell: Spell) -> Recent:
    whole = in_all(spell.shares)
    return Recent(at=spell.at, micros=whole.most_micros, tokens=whole.tokens)


def _date(world: World, purse: str, one: Recent, now: datetime) -> None:
    day = one.at.date()
    world.spent_by_day[day] += one.micros
    world.tokens_by_day[day] += one.tokens
    world.roles_by_day[f"{role_of(purse)}:{day}"] += one.micros
    if one.micros or one.tokens:
        world.recent = tuple(each for each in (*world.recent, one) if each.at > now - AN_HOUR)


def _learn(world: World, attempt: str, fact: facts.Settled) -> None:
    # Killed, stopped and limited attempts would teach that work is cheaper than it is.
    view = world.tasks.get(attempt.rpartition(".")[0])
    one = next((each for each in view.tries if each.attempt == attempt), None) if view else None
    if view is not None and one is not None and own_verdict(one.outcome):
        name = similar(view.task)
        cost = fact.micros + fact.unresolved_micros
        world.history[name] = (*world.history.get(name, ()), cost)[-HISTORY:]


def _share_out(world: World, fact: facts.Settled) -> None:
    known = [issue for issue in fact.issues if issue in world.issues]
    for share in fact.shares if known else ():
        for issue, part in zip(known, split(share, len(known)), strict=True):
            view = world.issues[issue]
            world.issues[issue] = replace(view, admin=by_model((*view.admin, part)))


def _alerted(world: World, fact: facts.Alerted, _entry: facts.Entry) -> None:
    world.alerted[fact.key] = fact.says
    for old in list(world.alerted)[:-ALERTS]:
        del world.alerted[old]


def _effect_intended(world: World, fact: facts.EffectIntended, _entry: facts.Entry) -> None:
    known = world.effects.get(fact.op)
    # One that was refused may be tried again: cut off in its middle, it is open like the first time.
    if known is None or (known.failed and known.result is None):
        world.effects[fact.op] = EffectView(effect=fact.effect)
        world.open_ops[fact.op] = None


def _effect_done(world: World, fact: facts.EffectDone, _entry: facts.Entry) -> None:
    if fact.op in world.effects:
        world.effects[fact.op] = replace(world.effects[fact.op], result=fact.result)
        effect = world.effects[fact.op].effect
        if isinstance(effect, KeepBoard) and not effect.board:
            world.boards = (*world.boards, fact.result)
    world.open_ops.pop(fact.op, None)


def _effect_failed(world: World, fact: facts.EffectFailed, _entry: facts.Entry) -> None:
    if fact.op in world.effects:
        world.effects[fact.op] = replace(world.effects[fact.op], failed=fact.why)
    world.open_ops.pop(fact.op, None)


def _shown(world: World, fact: facts.Shown, _entry: facts.Entry) -> None:
    if fact.last:
        world.shown.pop(fact.about, None)
    else:
        world.shown[fact.about] = fact.digest


def _refused(world: World, fact: facts.Refused, entry: facts.Entry) -> None:
    if fact.by == "admin":
        once = RefusedOnce(cycle=entry.cycle, decision=fact.decision, why=fact.why)
        world.refusals = (*world.refusals, once)
        issue = getattr(fact.decision, "issue", None)
        if isinstance(issue, str):
            world.last_refusals[issue] = fact.why


def _cycle_ended(world: World, fact: facts.CycleEnded, entry: facts.Entry) -> None:
    world.ended = max(world.ended, entry.cycle)
    if fact.outcome == "quiet":
        return  # it only wrote down why candidates wait: nothing was new, and nothing was done about it
    world.fingerprint = fact.fingerprint
    world.outcome = fact.outcome
    if fact.outcome == "failed":
        world.failures.update(fact.matters)
        before = world.trouble.in_a_row if world.trouble else 0
        world.trouble = Trouble(in_a_row=before + 1, since=entry.at, why=fact.reason)
        return
    if fact.matters:
        world.trouble = None
        world.limits_in_a_row = 0
    if fact.outcome == "acted" and fact.matters:
        world.considered.update(fact.matters)
        world.refusals = tuple(one for one in world.refusals if one.cycle == entry.cycle)


def _limit_reached(world: World, fact: facts.LimitReached, entry: facts.Entry) -> None:
    since, until = world.limited_since, world.limited_until
    if since is not None and until is not None and since <= entry.at < until:
        # Met by several at once it is one limit; of two windows, the one that lasts longer counts.
        if fact.until <= until:
            return
    else:
        world.limits_in_a_row += 1
    world.limited_since = entry.at
    world.limited_until = fact.until
    world.limited_why = fact.detail


def _relay_written(world: World, fact: facts.RelayWritten, entry: facts.Entry) -> None:
    one = NextAction(cycle=entry.cycle, action=fact.next_action, signal=fact.signal)
    world.next_actions = (*world.next_actions, one)[-8:]


def _held_back(world: World, fact: facts.HeldBack, entry: facts.Entry) -> None:
    world.held.pop(fact.about, None)
    if fact.why:
        world.held[fact.about] = Held(why=fact.why, cycle=entry.cycle, since=entry.at)


def _slept(world: World, fact: facts.Slept, _entry: facts.Entry) -> None:
    world.sleep = fact


def _journal_lost(world: World, fact: facts.JournalLost, entry: facts.Entry) -> None:
    world.losses = (*world.losses, Loss(at=entry.at, what=fact.what, aside=fact.aside))
    world.mended = False
    world.tail_lost |= fact.tail


def _journal_mended(world: World, _fact: facts.JournalMended, _entry: facts.Entry) -> None:
    world.mended = True
    world.tail_lost = False


def _found_by_mark(world: World, fact: facts.FoundByMark, _entry: facts.Entry) -> None:
    world.found[fact.op] = fact.where
    if is_keep(fact.op):
        # There is a kept comment, and nobody knows what it says: its end is to be shown, too.
        world.shown.setdefault(f"keep {fact.op.split(':')[1]}", "")


def _note_found(world: World, fact: facts.NoteFound, _entry: facts.Entry) -> None:
    world.notes[fact.task] = fact.path


def _attempts_forgotten(world: World, fact: facts.AttemptsForgotten, _entry: facts.Entry) -> None:
    view = world.tasks[fact.task]
    world.tasks[fact.task] = replace(view, forgotten=max(view.forgotten, fact.number))


def _obeyed(world: World, fact: facts.Obeyed, _entry: facts.Entry) -> None:
    world.obeying.pop(fact.order, None)
    one = Heeded(order=fact.order, first=fact.first)
    view = world.issues.get(fact.about)
    if view is None:
        world.heeded = (*world.heeded, one)[-HEEDED:]
    else:
        world.issues[fact.about] = replace(view, heeded=(*view.heeded, one))


def _paused(world: World, fact: facts.Paused, _entry: facts.Entry) -> None:
    world.holds[fact.about] = Hold(until=fact.until, by=fact.by, reason=fact.reason)


def _resumed(world: World, fact: facts.Resumed, entry: facts.Entry) -> None:
    if fact.about in world.holds:
        world.holds[fact.about] = replace(world.holds[fact.about], until=entry.at)


def _urged(world: World, fact: facts.Urged, entry: facts.Entry) -> None:
    world.urged[fact.about] = None
    issue = world.issues.get(fact.about)
    if issue is None or not isinstance(issue.state, Stuck | Fresh):
        return
    # What was given up is looked at afresh, on the same words.
    matter = f"issue:{issue.id}:{issue.evidence}"
    for counted in (world.considered, world.failures):
        counted.pop(matter, None)
    world.last_refusals.pop(issue.id, None)
    live = any(not over(view.state) for view in world.tasks_of(issue.id))
    state, handled = (_in_work(world, issue), issue.handled) if live else (Fresh(), "")
    _place(world, replace(issue, state=state, since=entry.at, handled=handled, begun=issue.begun + 1))


_WORDS = (facts.CycleBegan, facts.HeldBack, facts.Shown, facts.RelayWritten, facts.Slept)
"""Facts that say what was said: no rule that is asked `once` looks at what they change."""

_APPLY: dict[type, Callable[[World, Any, facts.Entry], None]] = {
    facts.IssueSeen: _issue_seen,
    facts.Labelled: _labelled,
    facts.Permitted: _permitted,
    facts.Budgeted: _budgeted,
    facts.PlanHeld: _plan_held,
    facts.PlanApproved: _plan_approved,
    facts.Planned: _planned,
    facts.Asked: _asked,
    facts.Answered: _answered,
    facts.Heard: _heard,
    facts.IssueParked: _issue_parked,
    facts.IssueClosed: _issue_closed,
    facts.IssueReopened: _issue_reopened,
    facts.AttemptStarted: _attempt_started,
    facts.AttemptEnded: _attempt_ended,
    facts.AttemptLost: _attempt_lost,
    facts.Decided: _decided,
    facts.WorkTaken: _work_taken,
    facts.WorkRefused: _work_refused,
    facts.ResultTaken: _result_taken,
    facts.ResultRejected: _result_rejected,
    facts.ResultLost: _result_lost,
    facts.Merged: _merged,
    facts.NoteTaken: _note_taken,
    facts.Judged: _judged,
    facts.Published: _published,
    facts.SentBack: _sent_back,
    facts.Proposed: _proposed,
    facts.HeardOnPull: _heard_on_pull,
    facts.Requeued: _requeued,
    facts.Reserved: _reserved,
    facts.Settled: _settled,
    facts.Alerted: _alerted,
    facts.EffectIntended: _effect_intended,
    facts.EffectDone: _effect_done,
    facts.EffectFailed: _effect_failed,
    facts.Refused: _refused,
    facts.Shown: _shown,
    facts.CycleEnded: _cycle_ended,
    facts.HeldBack: _held_back,
    facts.LimitReached: _limit_reached,
    facts.RelayWritten: _relay_written,
    facts.Slept: _slept,
    facts.JournalLost: _journal_lost,
    facts.JournalMended: _journal_mended,
    facts.FoundByMark: _found_by_mark,
    facts.NoteFound: _note_found,
    facts.AttemptsForgotten: _attempts_forgotten,
    facts.Obeyed: _obeyed,
    facts.Paused: _paused,
    facts.Resumed: _resumed,
    facts.Urged: _urged,
}
