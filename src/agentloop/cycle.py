"""One cycle: the ten steps, in order. Starts with nothing in memory and ends with a sleep and its reason.

Everything outside comes in through `Parts`; the rules are in `domain`. A cycle may be killed at any
instruction: what it had begun is in the journal, and the next one finishes it.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from agentloop.acting import Actor
from agentloop.domain import alerts, approval, autonomy, orders, showing, signals
from agentloop.domain import decisions as d
from agentloop.domain import facts as f
from agentloop.domain.admission import refusal
from agentloop.domain.askable import askable
from agentloop.domain.candidates import not_started
from agentloop.domain.doubles import doubles
from agentloop.domain.effects import StartAttempt, StartGate, gate_run
from agentloop.domain.limits import house
from agentloop.domain.observed import Observed
from agentloop.domain.proposal import NoAnswer, Proposal, Reply, Wait
from agentloop.domain.reconcile import reconcile
from agentloop.domain.relay import apply, stalled
from agentloop.domain.relay.facts import facts_of
from agentloop.domain.relay.routine import routine_delta
from agentloop.domain.resets import waits_until
from agentloop.domain.scene import Scene
from agentloop.domain.sleeping import Nap, nap
from agentloop.domain.states import Judging, Returned, Working, over
from agentloop.domain.telling import decision_words, effect_words, moved_words, news_words
from agentloop.domain.valueclass import dataclass, field, replace
from agentloop.domain.wording import dollars
from agentloop.errors import AgentloopError, JournalError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agentloop.domain.limits import Wanted
    from agentloop.domain.observed import Barred, Ground
    from agentloop.domain.relay import Relay
    from agentloop.domain.settings import Settings, Target
    from agentloop.domain.shares import Share
    from agentloop.domain.signals import Matter
    from agentloop.domain.world import World
    from agentloop.ports import Baton, Clock, Journal, Outside

By: TypeAlias = Literal["admin", "rules", "person"]

ROUNDS = 30
"""Decisions that the rules may follow one another with in a cycle.

What is left then is done in the next, at once.
"""
CLOCK_SLACK_SECONDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What asking the admin cost: settled, and unresolved at its ceiling."""

    micros: int
    unresolved_micros: int
    model: str
    shares: tuple[Share, ...] = ()


def _unknown(_cycle: int) -> Spent | None:
    return None


class AskAdmin(Protocol):
    """The admin agent, with its model, prompt and bounds; it may spend `purse_micros` and not more."""

    def __call__(
        self, scene: Scene, matters: tuple[Matter, ...], *, stall: str, relay: str, purse_micros: int
    ) -> tuple[Reply, Spent, tuple[str, ...]]:
        """Return its outcome, what that cost, and the ids of the matters it was shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything a cycle is made of. The caller holds the home's lock."""

    version: str
    settings: Settings
    clock: Clock
    journal: Journal
    outside: Outside
    baton: Baton
    ask_admin: AskAdmin
    ground: Callable[[Target], Ground]
    take_wake: Callable[[], tuple[str, ...]]
    tell: Callable[[str, dict[str, Any]], None]
    """Logs one event with its fields."""
    spent_in: Callable[[int], Spent | None] = _unknown
    """What asking the admin in an earlier cycle cost, by its ledger; None when the ledger is gone."""
    quiet_cycles: int = 0
    """Cycles in a row, before this one, in which nothing happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a cycle ended.

    `failed` says why it counts as failed, with the fix; `world` is what the journal says now.
    """

    cycle: int
    nap: Nap
    outcome: str
    fingerprint: str
    world: World
    failed: str = ""
    problems: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    """What a person should know though nothing is wrong."""


@dataclass
class _Course:
    """What a cycle has come to know on its way."""

    proposal: Proposal | None = None
    failed: str = ""
    shown: tuple[str, ...] = ()
    problems: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    carried_out: list[d.Decision] = field(default_factory=list)
    stuck: set[str] = field(default_factory=set)
    refused: bool = False
    acted: bool = False


def run(parts: Parts) -> Ended:
    """Run one cycle.

    Raises JournalError when the journal cannot be trusted, and HomeError or OSError when the relay cannot be
    read: what a person wrote in it may be "stop", so nothing is decided without it. Everything else becomes
    a problem said.
    """
    # 1. The caller holds the lock; the wake trigger is taken away before anything is looked at.
    wakes = parts.take_wake()
    world = parts.journal.world()
    cut_off = world.cycle > world.ended
    actor = Actor(
        outside=parts.outside,
        journal=parts.journal,
        world=world,
        settings=parts.settings,
        cycle=world.cycle + 1,
    )
    course = _Course()

    # 2. Recover: effects that a killed cycle intended are looked for, and done when they are not there.
    _recover(parts, actor, course)

    # 3. Observe: everything outside, once; what became true is recorded.
    held = parts.baton.take()
    scene = _look(parts, world, held.relay, course, woken=bool(wakes))
    news = signals.news(world, scene.observed)
    told = orders.given(world, scene.observed)
    fresh = cut_off or bool(told) or _is_fresh(world, scene, news)

    # 4. Reconcile: what follows without a model.
    if news:
        _record(parts, actor, course, scene.now, f.CycleBegan(version=parts.version), *news)
    if actor.world.open_ops:
        scene = _begin(parts, actor, scene, course)
    _glance(actor, scene, news, course)
    is_board_due = _heed_people(parts, actor, scene, told, course)
    _follow_rules(parts, actor, scene, course)
    _take_back(parts, actor, scene, course)
    _alert(parts, actor, scene, course)

    # 5. Nothing new and nothing due: no model, no tokens, no write. But when a setting, say, changed why
    # candidates wait, that is written down, so that the past is told as it was; and a cycle that was cut off
    # may have done things that the relay does not say.
    matters = _to_ask_about(scene)
    if not (course.acted or matters or cut_off or showing.left(scene) or is_board_due):
        quiet = not_started(scene, tuple(course.problems))
        return _end(parts, actor, scene, course, wakes) if quiet else _idle(parts, actor, scene, course)

    # 6. Decide: the admin looks at what only judgement can settle.
    if matters:
        _ask(parts, actor, scene, matters, held.text, fresh=fresh, course=course)
        # The answer took its time: what follows from it became true now, not when the cycle looked.
        scene = replace(scene, observed=replace(scene.observed, now=parts.clock.now()))

    # 7. and 8. Admit each decision, and act on it; then follow the rules on from there.
    decisions = course.proposal.decisions if course.proposal else ()
    scene = _with_grounds(parts, scene, decisions)
    for decision in decisions:
        _admit_and_act(parts, actor, scene, decision, "admin", course)
    _note_heard(parts, actor, scene, course)
    _follow_rules(parts, actor, scene, course)
    _alert(parts, actor, scene, course)

    # Show: what each thread should say by now, where it says something else.
    _show(actor, scene, course)

    # 9. Relay: the admin's delta and the facts, merged with what a person wrote meanwhile, in one commit.
    relay = _hand_on(parts, actor, scene, held.relay, course, fresh=fresh)
    _show_board(actor, scene, relay, course)

    # 10. Sleep: chosen from what is true now. What finished work has left behind is taken away first.
    _attempted(actor, course, "sweeping", lambda: _sweep(parts, world))
    return _end(parts, actor, scene, course, wakes)


def _is_fresh(world: World, scene: Scene, news: tuple[f.Fact, ...]) -> bool:
    """Whether anything came from outside that is a signal to the relay's stall rule."""
    signal = any(map(signals.is_signal, news))
    return signal or signals.fingerprint(world, scene.observed) != world.fingerprint


def _to_ask_about(scene: Scene) -> tuple[Matter, ...]:
    """Return what the admin is shown now.

    After a failure it is one matter at a time, so that a bad one cannot hold up the rest.
    """
    if not scene.may_ask():
        return ()
    found = askable(scene)
    if scene.world.trouble is None:
        return found
    return tuple(sorted(found, key=lambda one: scene.world.failures[one.id])[:1])


def _sweep(parts: Parts, world: World) -> None:
    parts.outside.sweep(_in_hand(world))
    parts.outside.bound(
        lambda: tuple(one.attempt for view in world.tasks.values() if over(view.state) for one in view.tries)
    )


def _in_hand(world: World) -> frozenset[str]:
    states = (view.state for view in world.live_tasks())
    return frozenset(state.attempt for state in states if isinstance(state, Working | Returned | Judging))


def _recover(parts: Parts, actor: Actor, course: _Course) -> None:
    for purse in [name for name in actor.world.purses if name.startswith("admin:")]:
        # A cycle that was killed while it asked: what it may have spent counts on this day, and no longer.
        spent = parts.spent_in(int(purse.partition(":")[2]))
        settled = f.Settled(purse=purse, micros=0, unresolved_micros=actor.world.purses[purse])
        if spent is not None:
            settled = _settled(purse, spent)
        _record(parts, actor, course, parts.clock.now(), settled)
    if actor.world.open_ops:
        _attempted(actor, course, "recovering", lambda: actor.finish_intents(parts.clock.now()))


def _look(parts: Parts, world: World, relay: Relay, course: _Course, *, woken: bool) -> Scene:
    now = parts.clock.now()
    behind = (world.at - now).total_seconds() if world.at else 0
    if behind > CLOCK_SLACK_SECONDS:
        course.problems.append(f"the clock is {behind / 60:.0f} minutes behind the journal: set it right")
    tasks = world.live_tasks()
    issues = frozenset(world.open)
    pulls = frozenset(view.pull for view in tasks if view.pull)
    jobs = _jobs(world)
    out = parts.outside
    observed = Observed(
        now=now,
        issues=_tried(course, "the tracker", lambda: out.tracker.observe(issues)),
        pulls=_tried(course, "the forge", lambda: out.forge.observe(pulls)),
        seen=_tried(course, "the attempts", lambda: out.executor.observe(frozenset(jobs))),
        human=relay.human,
        disk_mb=_disk(parts, course),
        disk_short=_disk_short(parts, course),
        retries=_tried(course, "persons' requests", out.asked),
        barred=_barred(parts, course),
        boards=_tried(course, "the dashboard", lambda: out.board.observe(world.boards[-1]))
        if world.boards
        else (),
        problems=tuple(course.problems),
    )
    scene = Scene(
        world=world,
        observed=observed,
        settings=parts.settings,
        standing=relay.plan.decisions,
        woken=woken,
    )
    if not observed.boards:
        return scene
    from agentloop.domain import board  # most homes have none

    course.notices.extend(filter(None, [board.notice(scene)]))
    return replace(scene, woken=woken or board.wants_a_look(scene))


def _barred(parts: Parts, course: _Course) -> tuple[Barred, ...]:
    if all(target.tracker == "built-in" for target in parts.settings.targets):
        return ()
    found: tuple[Barred, ...] = _tried(course, "who could merge", parts.outside.barred)
    course.problems += [f"nothing is pushed to target {one.target}: {one.why}" for one in found]
    return found


def _jobs(world: World) -> list[str]:
    """Return the names of the runs that were started; one that is yet to be is not missing."""
    coming = _coming(world)
    return [job for job in _awaited(world) if job not in coming]


def _awaited(world: World) -> list[str]:
    """Return the names of the runs that a task waits for, started or about to be."""
    tasks = world.live_tasks()
    jobs = [f"attempt:{view.state.attempt}" for view in tasks if isinstance(view.state, Working)]
    jobs += [
        f"gate:{gate_run(view.state.attempt, view.state.round)}"
        for view in tasks
        if isinstance(view.state, Judging) and view.state.started
    ]
    return jobs


def _coming(world: World) -> frozenset[str]:
    """Return the names of the runs whose start was intended, and nobody knows yet whether they are."""
    intended = [world.effects[op].effect for op in world.open_ops]
    attempts = {f"attempt:{one.attempt}" for one in intended if isinstance(one, StartAttempt)}
    return frozenset(attempts | {f"gate:{one.run}" for one in intended if isinstance(one, StartGate)})


def _begin(parts: Parts, actor: Actor, scene: Scene, course: _Course) -> Scene:
    """Start what a killed cycle was about to start, unless people closed its issue; return what runs now."""
    coming = _coming(actor.world)
    _attempted(actor, course, "recovering", lambda: actor.finish_beginnings(scene.now))
    # What could not be begun was counted as lost once: its task waits for it no longer.
    runs = coming & frozenset(_awaited(actor.world))
    seen = _tried(course, "the attempts", lambda: parts.outside.executor.observe(runs)) if runs else ()
    for facts in filter(None, (signals.job_news(actor.world, one) for one in seen)):
        _record(parts, actor, course, scene.now, *facts)
    return replace(scene, observed=replace(scene.observed, seen=(*scene.observed.seen, *seen)))


def _disk(parts: Parts, course: _Course) -> int:
    used, limit = parts.outside.disk_mb(), parts.settings.limits.disk_mb
    if used > limit:
        course.problems.append(
            f"{used} MB of disk are used, and what is finished makes no room: no attempt is started; "
            f"raise limits.disk_mb (it is {limit})"
        )
    return used


def _disk_short(parts: Parts, course: _Course) -> bool:
    short = parts.outside.disk_short()
    if short:
        course.problems.append(
            "the disk is nearly full (limits.free_mb): no attempt is started; make room, the rest goes on"
        )
    return short


def _tried(course: _Course, what: str, look: Callable[[], tuple[Any, ...]]) -> tuple[Any, ...]:
    try:
        return look()
    except (AgentloopError, OSError) as error:
        course.problems.append(f"{what} could not be read: {error}")
        return ()


def _record(parts: Parts, actor: Actor, course: _Course, now: datetime, *facts: f.Fact) -> None:
    words = news_words(actor.world, facts)
    actor.record(now, *facts)
    course.acted = True
    for fact, says in zip(facts, words, strict=True):
        parts.tell("fact", {"fact": type(fact).__name__, **_named(fact), "says": says})


def _named(value: object) -> dict[str, Any]:
    names = ("issue", "task", "attempt", "pull", "outcome")
    return {name: _brief(getattr(value, name)) for name in names if hasattr(value, name)}


def _brief(value: object) -> object:
    return value if isinstance(value, str) else type(value).__name__


def _heed_people(
    parts: Parts, actor: Actor, scene: Scene, told: tuple[orders.Order, ...], course: _Course
) -> bool:
    """Do what persons asked for at a terminal, in threads and by boxes; return whether the board is due."""
    _hear_people(parts, actor, scene, course)
    _obey(parts, actor, scene, told, course)
    return _obey_boxes(parts, actor, scene, course)


def _hear_people(parts: Parts, actor: Actor, scene: Scene, course: _Course) -> None:
    """Carry out what persons asked for, once each; a request is taken away when the journal has it."""
    _note_labels(parts, actor, scene, course)
    for answer in approval.answers(scene):
        _admit_and_act(parts, actor, scene, answer, "person", course)
    for one in scene.observed.retries:
        view = actor.world.tasks.get(one.task)
        if view is None or one.heard not in view.heard:
            again = d.TryAgain(
                task=one.task,
                request=one.id,
                by=one.by,
                rationale=one.reason,
                from_scratch=one.from_scratch,
            )
            if why := refusal(again, scene):
                course.notices.append(f"{one.by} asked to retry task {one.task}: {why}")
            _admit_and_act(parts, actor, scene, again, "person", course)
        _attempted(actor, course, "a request", partial(parts.outside.heard, one.id))


def _obey(parts: Parts, actor: Actor, scene: Scene, told: tuple[orders.Order, ...], course: _Course) -> None:
    """Carry out what people ordered in threads, once each, and answer it there."""
    for order in told:
        from agentloop.domain import obeying  # an idle cycle has no use for it

        meant = obeying.meaning(order, scene)
        why = meant.refused or next(filter(None, (refusal(one, scene) for one in meant.decisions)), "")
        done = [
            _admit_and_act(parts, actor, scene, one, "person", course)
            for one in ([] if why else meant.decisions)
        ]
        if not all(done):
            continue  # something was out of reach: the next cycle goes on with it
        obeyed = obeying.answered(order, why, scene)
        parts.tell(
            "order", {"order": order.verb, "about": order.about, "by": order.by, "answer": obeyed.answer}
        )
        _attempted(
            actor,
            course,
            f"answering {order.verb} on {order.about}",
            partial(actor.heed, scene.now, order, obeyed),
        )


def _note_labels(parts: Parts, actor: Actor, scene: Scene, course: _Course) -> None:
    for issue in scene.observed.issues:
        view = actor.world.issues.get(issue.id)
        labels = autonomy.label_news(parts.settings, view, issue) if view and issue.state == "open" else None
        if labels is not None:
            _record(parts, actor, course, scene.now, f.Labelled(issue=issue.id, labels=labels))


def _obey_boxes(parts: Parts, actor: Actor, scene: Scene, course: _Course) -> bool:
    """Carry out what was ticked on the dashboard, once; return whether it has to be written."""
    if not scene.observed.boards:
        return False
    from agentloop.domain import board

    for order in board.orders(scene):
        wishes = board.decided(order, scene) if board.is_trusted(scene) else ()
        if not all(_admit_and_act(parts, actor, scene, one, "person", course) for one in wishes):
            continue
        parts.tell("order", {"order": order.verb, "about": "the dashboard", "by": order.by})
        _record(parts, actor, course, scene.now, board.answered(order, scene))
    return board.left(scene)


def _show_board(actor: Actor, scene: Scene, relay: Relay, course: _Course) -> None:
    """Bring the dashboard up to date, where there is to be one."""
    if not any(target.tracker == "github" for target in scene.settings.targets):
        return
    from agentloop.domain import board

    if (one := board.due(scene, relay)) is not None:
        _attempted(actor, course, "showing the dashboard", partial(actor.show, scene.now, one))


def _follow_rules(parts: Parts, actor: Actor, scene: Scene, course: _Course) -> None:
    stuck: list[d.Decision] = []
    for _ in range(ROUNDS):
        decisions = [one for one in reconcile(_as_looked_at(scene, course)) if one not in stuck]
        if not decisions:
            return
        stuck += [one for one in decisions if not _admit_and_act(parts, actor, scene, one, "rules", course)]


def _take_back(parts: Parts, actor: Actor, scene: Scene, course: _Course) -> None:
    """Take back words of ours that stand twice, once each."""
    for one in doubles(actor.world, scene.observed):
        parts.tell("double", {"issue": one.issue, "says": effect_words(one)})
        _attempted(actor, course, "taking a double back", partial(actor.take_back, scene.now, one))


def _alert(parts: Parts, actor: Actor, scene: Scene, course: _Course) -> None:
    """Tell what a person was not told yet in this period: a limit that comes near, or is reached."""
    for one in alerts.due(scene):
        parts.tell("alert", {"limit": one.key.partition(" ")[0], "says": one.says})
        course.notices.append(one.says)
        _attempted(actor, course, "telling of a limit", partial(actor.alert, scene, one))


def _glance(actor: Actor, scene: Scene, news: tuple[f.Fact, ...], course: _Course) -> None:
    """Let people see at once that their words were seen, before anything that takes its time."""
    for one in showing.glances(scene, news):
        leave = partial(actor.perform, scene.now, one.op, one.effect)
        _attempted(actor, course, f"eyes on issue {one.effect.issue}", leave)


def _show(actor: Actor, scene: Scene, course: _Course) -> None:
    """Bring threads up to date, as many as one cycle writes to; what is left waits for the next."""
    found = showing.due(scene)
    for one in found[: showing.AT_ONCE]:
        _attempted(actor, course, f"showing {one.about}", partial(actor.show, scene.now, one))
    rest = showing.REST if len(found) > showing.AT_ONCE else ""
    if rest != actor.world.shown.get("", ""):
        actor.record(scene.now, f.Shown(about="", digest=rest, last=not rest))


def _as_looked_at(scene: Scene, course: _Course) -> Scene:
    """Return the scene without pull requests that this cycle has pushed to since.

    The head that was seen is not the one we left: it would look like a person's push.
    """
    pushed = {one.task for one in course.carried_out if isinstance(one, d.Publish)}
    ours = {scene.world.tasks[task].pull for task in pushed}
    pulls = tuple(one for one in scene.observed.pulls if one.id not in ours)
    return replace(scene, observed=replace(scene.observed, pulls=pulls))


def _admit_and_act(
    parts: Parts, actor: Actor, scene: Scene, decision: d.Decision, by: By, course: _Course
) -> bool:
    """Return whether the decision was carried out."""
    why = refusal(decision, scene)
    name = type(decision).__name__
    if why is not None:
        parts.tell("refused", {"by": by, "decision": name, "why": why, "says": decision_words(decision)})
        course.refused |= by == "admin"
        if by != "rules":
            _record(parts, actor, course, scene.now, f.Refused(by=by, decision=decision, why=why))
        return False
    said = {"by": by, "decision": name, **_named(decision), "why": decision.rationale}
    parts.tell("decided", {**said, "says": decision_words(decision)})
    done = _attempted(actor, course, _subject(decision), lambda: actor.carry_out(scene, decision, by))
    if done:
        course.carried_out.append(decision)
    else:
        course.stuck.add(_subject(decision))
    return done


def _note_heard(parts: Parts, actor: Actor, scene: Scene, course: _Course) -> None:
    """Count an issue's words as heard when a task of it was retried, cancelled or assigned with guidance."""
    about = [one.task for one in course.carried_out if isinstance(one, d.Retry | d.Cancel | d.Assign)]
    views = {scene.world.issues[task.rpartition(".")[0]].id: None for task in about}
    for view in (scene.world.issues[issue] for issue in views):
        if view.evidence != view.handled and signals.issue_matter(view.id, view.evidence) in course.shown:
            heard = f.Heard(issue=view.id, evidence=view.evidence)
            _record(parts, actor, course, parts.clock.now(), heard)


def _subject(decision: d.Decision) -> str:
    about = (
        getattr(decision, "task", None)
        or getattr(decision, "attempt", None)
        or getattr(decision, "issue", "")
    )
    return f"{type(decision).__name__.lower()} {about}".strip()


def _attempted(actor: Actor, course: _Course, what: str, act: Callable[[], object]) -> bool:
    before = actor.written
    try:
        act()
    except JournalError:
        raise
    except (AgentloopError, OSError) as error:
        # What was begun is in the journal: the next cycle looks again. The rest of this one goes on.
        course.problems.append(f"{what}: {error}")
        return False
    finally:
        # What failed as it did before, and left no trace, is no reason to call a cycle anything but idle.
        course.acted |= actor.written > before
    return True


def _ask(
    parts: Parts,
    actor: Actor,
    scene: Scene,
    matters: tuple[Matter, ...],
    relay: str,
    *,
    fresh: bool,
    course: _Course,
) -> None:
    given = scene.cycle_slice()
    name = f"admin:{actor.cycle}"
    actor.record(scene.now, f.Reserved(purse=name, micros=given.micros, tokens=given.tokens))
    reply, spent, shown = parts.ask_admin(
        scene, matters, stall=_stall(actor.world, fresh=fresh), relay=relay, purse_micros=given.micros
    )
    course.acted = True
    about = _issues_of(scene, matters, shown)
    actor.record(parts.clock.now(), replace(_settled(name, spent), issues=about))
    course.shown = shown
    _hear(parts, actor, course, reply)
    if isinstance(reply, Wait) and reply.until is None:
        # It was given all that one cycle may spend, and that was too little for what it was shown.
        course.failed = f"{reply.why}; raise {_to_raise(scene, given, reply.why)}"
    if course.proposal is not None:
        parts.tell("admin.answered", _answer_told(course.proposal, spent))


def _to_raise(scene: Scene, given: Wanted, why: str) -> str:
    """Return what a person raises when the admin has too little: a limit of the house may be narrower."""
    rests = house(scene.world, scene.settings.limits, scene.now, "admin")
    tight = [one.name for one in rests if one.most <= (given.tokens if one.tokens else given.micros)]
    return tight[0] if tight and not why.startswith("limits.call_") else "it"


def _issues_of(scene: Scene, matters: tuple[Matter, ...], shown: tuple[str, ...]) -> tuple[str, ...]:
    """Return the issues that the admin was asked about: they bear what that cost."""
    about = [one.about.partition(".")[0] for one in matters if one.id in shown]
    return tuple(dict.fromkeys(issue for issue in about if issue in scene.world.issues))


def _answer_told(proposal: Proposal, spent: Spent) -> dict[str, Any]:
    return {
        "models": ", ".join(proposal.models),
        "turns": proposal.turns,
        "decisions": len(proposal.decisions),
        "cost": dollars(spent.micros + spent.unresolved_micros),
        "says": "; ".join(map(decision_words, proposal.decisions)),
    }


def _settled(purse: str, spent: Spent) -> f.Settled:
    return f.Settled(
        purse=purse,
        micros=spent.micros,
        unresolved_micros=spent.unresolved_micros,
        model=spent.model,
        shares=spent.shares,
    )


def _hear(parts: Parts, actor: Actor, course: _Course, reply: Reply) -> None:
    match reply:
        case Proposal():
            course.proposal = reply
        case Wait(until=until, why=why):
            if until is None:
                return
            now = parts.clock.now()
            course.shown = ()
            world = actor.world
            seed = f"admin:{world.cycle}"
            until = waits_until(until, now, seed=seed, in_a_row=world.limits_in_a_row)
            _record(parts, actor, course, now, f.LimitReached(until=until, detail=why))
        case NoAnswer(why=why, fix=fix, service=service):
            course.failed = f"the admin agent gave no usable answer: {why}" + (f"; {fix}" if fix else "")
            course.shown = () if service else course.shown


def _stall(world: World, *, fresh: bool) -> str:
    """Return what the admin is told when the relay goes in circles, or "" when it does not."""
    if fresh or not world.next_actions or world.outcome == "failed":
        return ""
    # Nothing is new: if this cycle named the last one's next action again, it would go in circles.
    again = (world.cycle + 1, world.next_actions[-1].action, False)
    steps = [(one.cycle, one.action, one.signal) for one in world.next_actions]
    match stalled([*steps, again]):
        case "no":
            return ""
        case "warn":
            return "## Stalled\n\nThe same next action stands again without anything new: change direction."
        case "park":
            return "## Stalled\n\nThe same next action stands for the third time: ask, cancel or hibernate."


def _with_grounds(parts: Parts, scene: Scene, decisions: Iterable[d.Decision]) -> Scene:
    issues = {one.issue for one in decisions if isinstance(one, d.Plan)}
    names = {scene.world.issues[issue].target for issue in issues if issue in scene.world.issues}
    targets = [target for name in names if (target := parts.settings.target(name)) is not None]
    return replace(scene, grounds={target.name: parts.ground(target) for target in targets})


def _hand_on(
    parts: Parts, actor: Actor, scene: Scene, relay: Relay, course: _Course, *, fresh: bool
) -> Relay:
    """Write the relay and return it as it was meant."""
    judged = course.proposal.delta if course.proposal else None
    delta = routine_delta(scene, tuple(course.carried_out), judged=judged)
    facts = facts_of(scene, tuple(course.problems), course.failed)
    new = replace(apply(relay, delta, actor.cycle), facts=facts)
    notes = tuple(
        path for task, path in actor.world.notes.items() if task.rpartition(".")[0] in actor.world.open
    )

    def write() -> None:
        handed = parts.baton.hand_on(new, message=_commit_message(actor.cycle, new), notes=notes)
        course.problems.extend(handed.notices)
        if handed.moved:
            course.notices.append(moved_words(handed.moved))
            parts.tell("notice", {"says": course.notices[-1]})
        if handed.version is not None:
            action = new.plan.next_action
            written = f.RelayWritten(version=handed.version, next_action=action, signal=fresh)
            actor.record(parts.clock.now(), written)

    _attempted(actor, course, "writing the relay", write)
    return new


def _commit_message(cycle: int, relay: Relay) -> str:
    return f"Relay of cycle {cycle}\n\n{relay.plan.next_action}\n"


def _idle(parts: Parts, actor: Actor, scene: Scene, course: _Course) -> Ended:
    found = nap(scene, quiet_cycles=parts.quiet_cycles, more=False, asked=_hibernation(actor.world))
    found = _said(found, course)
    fingerprint = signals.fingerprint(actor.world, scene.observed)
    parts.tell("cycle.idle", {"fingerprint": fingerprint, "until": found.until, "reason": found.reason})
    return Ended(
        cycle=actor.world.cycle,
        nap=found,
        outcome="idle",
        fingerprint=fingerprint,
        world=actor.world,
        problems=tuple(course.problems),
        notices=_unheard(scene),
    )


def _unheard(scene: Scene) -> tuple[str, ...]:
    """Return how many issues are there that nobody reads: the number, and never a word of them."""
    if all(one.trusted for one in scene.observed.issues):
        return ()
    from agentloop.domain import triage

    return tuple(f"{one.about}: {one.reason}" for one in triage.outsiders(scene.observed))


def _hibernation(world: World) -> d.Hibernate | None:
    asked = world.sleep
    return d.Hibernate(until=asked.wake, rationale=asked.reason) if asked and asked.wake else None


def _end(parts: Parts, actor: Actor, scene: Scene, course: _Course, wakes: tuple[str, ...]) -> Ended:
    now = parts.clock.now()
    after = replace(scene, world=actor.world, observed=replace(scene.observed, now=now))
    outcome = _outcome(course, after)
    fingerprint = signals.fingerprint(actor.world, scene.observed)
    ended = f.CycleEnded(
        outcome=outcome, fingerprint=fingerprint, reason=course.failed, matters=course.shown, woken_by=wakes
    )
    before = actor.world.trouble
    same = before.in_a_row + 1 if before is not None and before.why == course.failed else None
    actor.record(now, ended)
    found = _said(_nap(parts, after, course), course)
    actor.record(
        now,
        f.Slept(until=found.until, kind=found.kind, reason=found.reason, wake=_wakes(actor.world, course)),
        *not_started(after, tuple(course.problems)),
    )
    said = {"cycle": actor.cycle, "outcome": outcome, "woken_by": "; ".join(wakes) or None}
    failed = {"failed": course.failed, "again": same} if course.failed else {}
    parts.tell("cycle.ended", {**said, **failed, "until": found.until, "reason": found.reason})
    return Ended(
        cycle=actor.cycle,
        nap=found,
        outcome=outcome,
        fingerprint=fingerprint,
        world=actor.world,
        failed=course.failed,
        problems=tuple(course.problems),
        notices=(*course.notices, *_unheard(scene)),
    )


def _outcome(course: _Course, scene: Scene) -> Literal["acted", "quiet", "failed", "limited"]:
    if course.failed:
        return "failed"
    if not course.acted:
        return "quiet"
    return "limited" if scene.limited() else "acted"


def _nap(parts: Parts, scene: Scene, course: _Course) -> Nap:
    rests = [one for one in course.carried_out if isinstance(one, d.Sleep | d.Hibernate)]
    # What the admin left open waits; but after a refusal it is told why, and may decide again at once.
    left = () if course.refused else course.shown
    unseen = any(one.id not in left for one in askable(scene))
    to_do = (unseen and scene.may_ask()) or _to_do(_as_looked_at(scene, course), course)
    to_do = to_do or scene.world.shown.get("") == showing.REST
    return nap(
        scene,
        quiet_cycles=0 if course.acted else parts.quiet_cycles,
        more=to_do and not course.failed and not scene.limited(),
        asked=rests[-1] if rests else None if course.acted else _hibernation(scene.world),
    )


def _to_do(scene: Scene, course: _Course) -> bool:
    # What has just failed is not tried again at once.
    return any(refusal(one, scene) is None and _subject(one) not in course.stuck for one in reconcile(scene))


def _wakes(world: World, course: _Course) -> tuple[d.Wake, ...]:
    """Return what ends the hibernation that begins here, or that nobody has decided to end yet."""
    if course.proposal is None and not course.carried_out:
        return world.sleep.wake if world.sleep else ()
    return next((one.until for one in reversed(course.carried_out) if isinstance(one, d.Hibernate)), ())


def _said(found: Nap, course: _Course) -> Nap:
    """Return the nap with the first problem in its reason.

    What keeps the loop from working is said where it is seen.
    """
    if not course.problems:
        return found
    first = course.problems[0].splitlines()[0]
    return replace(found, reason=f"{found.reason}; problem: {first}")
