"""Rules broken on purpose, one at a time: a promise that catches none of them would promise nothing.

`python -m agentloop.testing.sim --mutants` plays storms with each until a promise is broken, and names it.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from agentloop import acting, cycle
from agentloop.domain import admission, limits, order, orders, reconcile, scene, signals, stall, states
from agentloop.domain import decisions as d
from agentloop.domain import effects as e
from agentloop.domain.issue import Pull
from agentloop.domain.observed import Lost, RetryRequest
from agentloop.domain.sleeping import Nap, nap
from agentloop.domain.work import Verdict
from agentloop.gate import policy
from agentloop.specs import attempt_spec, the_target
from agentloop.testing import doubles, memory_parts
from agentloop.testing.sim import house
from agentloop.testing.sim.broken import BrokenPromiseError
from agentloop.testing.sim.play import Simulation, storm
from agentloop.testing.sim.seeds import Storm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Change = tuple[object, str, object]
"""Whose, which name of it, and what stands there instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """What is broken, the promises that may be the first to see it, and how it is broken."""

    name: str
    breaks: tuple[str, ...]
    changes: tuple[Change, ...]
    slow: bool = False
    """Whether it takes a while until it shows."""
    seen: Storm | None = None
    """The storm in which it shows, where few do."""
    limits: tuple[tuple[str, float], ...] = ()
    """Limits so narrow that a week meets them."""


@contextmanager
def broken(mutant: Mutant) -> Iterator[None]:
    """Have the rules be broken for as long as it lasts."""
    with ExitStack() as stack:
        for owner, name, instead in mutant.changes:
            stack.callback(setattr, owner, name, _found(owner, name))
            setattr(owner, name, instead)
        yield


@dataclass(frozen=True, slots=True, kw_only=True)
class Caught:
    """The seed and promise that caught a mutant; `promise` is "" when none did in `seed` and all before."""

    seed: int
    promise: str = ""
    says: str = ""


def hunt(mutant: Mutant, seeds: range) -> Caught:
    """Play storms with the mutant until a promise is broken: that in which it shows, then others like it."""
    first = [] if mutant.seen is None else [mutant.seen]
    like = mutant.seen or Storm(seed=0)
    with broken(mutant):
        for one in (*first, *(replace(like, seed=seed) for seed in seeds)):
            seed, plot = one.seed, storm(one.seed, weeks=one.weeks, kinds=one.kinds)
            narrow = replace(plot.settings.limits, **dict(mutant.limits))  # type: ignore[arg-type]
            try:
                Simulation(replace(plot, settings=replace(plot.settings, limits=narrow))).run()
            except BrokenPromiseError as error:
                return Caught(seed=seed, promise=error.promise, says=error.says)
    return Caught(seed=max(seeds, default=-1))


def _found(owner: object, name: str) -> object:
    # A class's own dictionary holds a property or a method as it was written.
    return vars(owner).get(name, getattr(owner, name))


# How rules are broken.


def _always(value: object) -> Callable[..., Any]:
    return lambda *_words, **_named: value


def _without(limit: str) -> tuple[Change, ...]:
    def but(count: Callable[..., Any]) -> Callable[..., Any]:
        return lambda name, *words, **named: None if name == limit else count(name, *words, **named)

    return (limits, "_usd", but(limits._usd)), (limits, "_count", but(limits._count))  # noqa: SLF001 - to break it


def _blind(cls: type, effect: type) -> Change:
    find = _found(cls, "find")

    def look(self: object, op: str, what: object) -> object:
        return None if isinstance(what, effect) else find(self, op, what)  # type: ignore[operator]

    return cls, "find", look


def _open_again(self: doubles.MemoryForge, effect: e.OpenPull) -> str:
    pulls = self._pulls
    made = str(len(pulls) + 1)
    head = self.branches.get((effect.target, effect.branch), "")
    pulls[made] = Pull(
        id=made, number=int(made), target=effect.target, branch=effect.branch, base=effect.base,
        title=effect.title, body=effect.body, state="open", head=head,
    )  # fmt: skip
    return made


def _green_whatever(verdict: Verdict) -> states.TaskState:
    return states.Green(attempt=verdict.attempt, commit=verdict.commit)


def _asks_for_no_verdict(decision: d.Publish, at: scene.Scene) -> str | None:
    view = at.world.tasks.get(decision.task)
    return None if view is not None and isinstance(view.state, states.Accepted) else "it was not accepted"


def _takes_ours_for_theirs(view: states.TaskView, pull: Pull | None) -> d.LetGo | None:
    if pull is None or not isinstance(view.state, states.InReview) or pull.head != view.state.commit:
        return None
    return d.LetGo(task=view.task.id, pull=pull.id, head=pull.head, rationale="somebody pushed")


_in_review = reconcile._in_review  # noqa: SLF001 - to break it
_job_news, _news, _settled = signals.job_news, signals._issue_news, signals._settled  # noqa: SLF001
_spec, _target = attempt_spec, the_target


def _hasty(at: scene.Scene, view: states.TaskView, state: states.InReview) -> object:
    let_go = _takes_ours_for_theirs(view, at.observed.pull(state.pull))
    return [let_go] if let_go and not state.theirs else _in_review(at, view, state)


def _lost_without_money(world: Any, seen: Any) -> object:  # noqa: ANN401 - as the rule is given
    return _job_news(world, seen)[:1] if isinstance(seen, Lost) else _job_news(world, seen)


def _trusting(world: Any, issue: Any) -> object:  # noqa: ANN401 - as above
    return _news(world, replace(issue, trusted=True))


def _deaf(world: Any, issue: Any) -> object:  # noqa: ANN401 - as above
    return [] if issue.state == "closed" else _news(world, issue)


def _twice_the_bill(attempt: str, micros: int, *rest: Any) -> object:  # noqa: ANN401 - as above
    return _settled(attempt, micros * 3 // 2, *rest)


def _generous(*words: Any) -> object:  # noqa: ANN401 - as above
    spec = _spec(*words)
    return replace(spec, slice_micros=10 * spec.slice_micros)


def _generous_with_tokens(*words: Any) -> object:  # noqa: ANN401 - as above
    spec = _spec(*words)
    return replace(spec, slice_tokens=0)


def _busy_idler(parts: Any, actor: Any, at: Any, course: Any) -> object:  # noqa: ANN401 - as above
    actor.record(at.now)
    parts.ask_admin(at, (), stall="", relay="", purse_micros=0)
    return _idle(parts, actor, at, course)


_idle = cycle._idle  # noqa: SLF001 - to break it
_of_issue = reconcile._of_issue  # noqa: SLF001 - to break it
_dropped = reconcile._dropped  # noqa: SLF001 - to break it


def _clinging(at: scene.Scene, view: states.TaskView) -> object:
    found = _dropped(at, view)
    return None if isinstance(found, d.AcceptMerge) else found


def _stubborn(at: scene.Scene, view: states.TaskView) -> object:
    found = _dropped(at, view)
    return None if isinstance(found, d.Drop) and "closed issue" in found.rationale else found


def _nap(**changes: object) -> Change:
    choose = nap

    def chosen(at: scene.Scene, **named: Any) -> Nap:  # noqa: ANN401 - as the rule is given
        new = {"until": at.now + timedelta(seconds=1)} if changes.get("until") == "now" else changes
        return replace(choose(at, **named), **new)

    return cycle, "nap", chosen


def _limits() -> Iterator[Mutant]:
    usd = {"total_usd": 6.0, "day_usd": 4.0, "hour_usd": 2.5, "task_usd": 2.0, "issue_usd": 2.5}
    usd |= {"admin_day_usd": 1.02, "worker_day_usd": 3.0}
    tokens = {"hour_tokens": 950_000, "day_tokens": 950_000, "total_tokens": 2_000_000}
    tokens |= {"task_tokens": 950_000, "issue_tokens": 950_000}
    for name, most in (*usd.items(), *tokens.items()):
        given = () if name in usd else (("attempt_tokens", 900_000),)
        yield Mutant(
            name=f"{name} is not looked at",
            breaks=(f"limits.{name} holds",),
            changes=_without(name),
            limits=((name, most), *given),
        )


MUTANTS: Final = (
    *_limits(),
    Mutant(
        name="a red verdict counts as green, and publishing asks for none",
        breaks=("green before published",),
        changes=((states, "_judged", _green_whatever), (admission, "_publish", _asks_for_no_verdict)),
    ),
    Mutant(
        name="nobody looks for a pull request before opening it",
        seen=Storm(seed=0, weeks=0.6, kinds=("lost answer",)),
        breaks=("one pull request a task", "no effect takes place twice"),
        changes=(
            _blind(doubles.MemoryForge, e.OpenPull),
            (doubles.MemoryForge, "_open", _open_again),
        ),
    ),
    Mutant(
        name="nobody looks for a comment before making it",
        seen=Storm(seed=0),
        breaks=("no effect takes place twice", "no comment twice"),
        changes=(_blind(doubles.MemoryTracker, e.Say),),
    ),
    Mutant(
        name="a start that was given up is finished all the same",
        seen=Storm(seed=3, weeks=0.6, kinds=("crash", "people", "bad moment", "lost answer")),
        breaks=(
            "served ≤ settled + unresolved",
            "nothing for what is over",
            "no attempt twice",
            "attempts at once",
            "nothing for what is closed",
        ),
        changes=((acting.Actor, "_given_up", _always(value=False)),),
    ),
    Mutant(
        name="a runtime folder made anew has the old one's name",
        seen=Storm(seed=114, kinds=("crash", "wipe")),
        breaks=("no attempt runs twice", "served ≤ settled + unresolved", "tokens served ≤ tokens known"),
        changes=((memory_parts.MemoryExecutor, "place", _always("place 1")),),
    ),
    Mutant(
        name="an order is not remembered",
        seen=Storm(seed=1, weeks=0.6, kinds=("orders",)),
        breaks=("an order is answered once",),
        changes=((orders, "is_heeded", _always(value=False)),),
    ),
    Mutant(
        name="a pause holds nothing back",
        seen=Storm(seed=4, weeks=0.6, kinds=("orders",)),
        breaks=("what is paused starts nothing",),
        changes=(
            *((where, "hold_words", _always("")) for where in (admission, order)),
            (admission, "hold_on", _always(None)),
        ),
    ),
    Mutant(
        name="work goes on for a closed issue",
        seen=Storm(seed=3, weeks=0.6, kinds=("people", "bad moment", "late look", "lag", "crash")),
        breaks=("nothing for what is closed",),
        changes=((reconcile, "_dropped", _stubborn), (order, "own_reasons", _always(()))),
    ),
    Mutant(
        name="attempts that run are not counted",
        seen=Storm(seed=6, weeks=0.6, kinds=()),
        breaks=("attempts at once",),
        changes=((scene.Scene, "working", _always(0)),),
    ),
    Mutant(
        name="our own push is a person's",
        breaks=("hands off a person's work only",),
        changes=((reconcile, "_in_review", _hasty),),
    ),
    Mutant(
        name="evidence is never used up",
        seen=Storm(seed=5, weeks=0.6, kinds=("worker",)),
        breaks=("no dispatch without a new signal",),
        changes=(
            *((where, "used_up", _always(value=False)) for where in (order, reconcile, admission)),
            *((reconcile, rule, _always("")) for rule in ("same_change", "same_failure", "nothing_again")),
        ),
    ),
    Mutant(
        name="every attempt has the same number",
        breaks=("no attempt twice", "a purse is opened once"),
        changes=((states.TaskView, "next_attempt", property(lambda self: f"{self.task.id}.1")),),
    ),
    Mutant(
        name="more is settled than was billed",
        breaks=("settled ≤ served", "a purse holds"),
        changes=((signals, "_settled", _twice_the_bill),),
    ),
    Mutant(
        name="what a killed attempt spent is forgotten",
        seen=Storm(seed=2, weeks=0.6, kinds=("worker",)),
        breaks=("served ≤ settled + unresolved", "tokens served ≤ tokens known"),
        changes=(
            (memory_parts._Run, "shares", property(lambda _run: ())),  # noqa: SLF001 - to break it
            (signals, "_lost_money", lambda _world, lost: _settled(lost.attempt, 0, 0)),
        ),
    ),
    Mutant(
        name="an attempt is given more than was set aside",
        breaks=("a purse holds",),
        changes=((acting, "attempt_spec", _generous),),
    ),
    Mutant(
        name="an attempt is given more tokens than were set aside",
        seen=Storm(seed=9, weeks=0.6, kinds=("worker",)),
        breaks=("a purse of tokens holds", "tokens served ≤ tokens known"),
        changes=((acting, "attempt_spec", _generous_with_tokens),),
    ),
    Mutant(
        name="the money of a killed attempt stays set aside",
        seen=Storm(seed=3, weeks=0.6, kinds=("worker",)),
        breaks=("no money is left set aside",),
        changes=((signals, "job_news", _lost_without_money), (acting, "job_news", _lost_without_money)),
    ),
    Mutant(
        name="the relay is written over what a person wrote meanwhile",
        breaks=("every human byte kept",),
        changes=((memory_parts.MemoryBaton, "_merged", lambda _self, ours: ours),),
    ),
    Mutant(
        name="the relay is not cut to its size",
        breaks=("the relay is small",),
        changes=((memory_parts, "fit", lambda relay: (relay, ())),),
    ),
    Mutant(
        name="an idle cycle asks the admin agent",
        breaks=("an idle cycle is free",),
        changes=((cycle, "_idle", _busy_idler),),
    ),
    Mutant(
        name="a sleep has no end", breaks=("the loop is not dead",), changes=(_nap(until=None, kind="idle"),)
    ),
    Mutant(name="a sleep has no reason", breaks=("sleep has a reason",), changes=(_nap(reason=" "),)),
    Mutant(name="a sleep is a second long", breaks=("the loop is not hot",), changes=(_nap(until="now"),)),
    Mutant(
        name="nothing that is queued is started",
        breaks=("whatever waits has a reason",),
        changes=((reconcile, "_start_next", _always(())),),
    ),
    Mutant(
        name="intents of a killed cycle are not finished",
        seen=Storm(seed=3, weeks=0.6, kinds=("crash",)),
        breaks=("no intent is left open",),
        changes=((acting.Actor, "finish_intents", _always(None)),),
    ),
    Mutant(
        name="a merge is not noticed",
        seen=Storm(seed=0, weeks=0.6, kinds=()),
        breaks=("what is merged is over", "every issue is answered for"),
        changes=((reconcile, "_dropped", _clinging),),
    ),
    Mutant(
        name="everybody is trusted",
        seen=Storm(seed=1, weeks=0.6, kinds=("people",)),
        breaks=("a stranger starts nothing",),
        changes=((signals, "_issue_news", _trusting),),
    ),
    Mutant(
        name="a closed issue is not noticed",
        breaks=("closed is closed", "nothing for what is closed"),
        changes=((signals, "_issue_news", _deaf),),
    ),
    Mutant(
        name="an issue whose tasks are all over is not concluded",
        seen=Storm(seed=0, weeks=0.6, kinds=()),
        breaks=("every issue is answered for",),
        changes=((reconcile, "_of_issue", _always([])),),
    ),
    Mutant(
        name="a request is not remembered, nor taken away",
        seen=Storm(seed=3, weeks=0.6, kinds=("retry", "crash", "lost answer", "worker", "gate")),
        breaks=("a retry counts once",),
        changes=(
            (RetryRequest, "heard", property(lambda _self: "retry:")),
            (house.Requests, "heard", _always(None)),
        ),
    ),
    Mutant(
        name="a request is not taken away",
        seen=Storm(seed=0, weeks=0.3, kinds=("retry",)),
        breaks=("every request is taken away",),
        changes=((house.Requests, "heard", _always(None)),),
    ),
    Mutant(
        name="the same change is judged again",
        seen=Storm(seed=11, weeks=0.6, kinds=("worker",)),
        breaks=("the same change is not judged twice",),
        changes=((reconcile, "same_change", _always("")),),
    ),
    Mutant(
        name="the same failure is worked on again",
        seen=Storm(seed=21, weeks=0.6, kinds=("worker",)),
        breaks=("the same failure starts nothing",),
        changes=((reconcile, "same_failure", _always("")),),
    ),
    Mutant(
        name="the breaker never opens",
        seen=Storm(seed=3, weeks=0.6, kinds=("worker",)),
        breaks=("the breaker holds",),
        changes=((scene.Scene, "fruitless", _always(value=False)),),
    ),
    Mutant(
        name="unfinished work is thrown away",
        seen=Storm(seed=0, weeks=0.6, kinds=("worker",)),
        breaks=("unfinished work is handed on",),
        changes=((acting, "unfinished", _always(None)),),
    ),
    Mutant(
        name="whatever the task, the first target is meant",
        slow=True,
        breaks=("an attempt begins from our own commits", "work stays in its target"),
        changes=((acting, "the_target", lambda settings, _name: _target(settings, "")),),
    ),
    Mutant(
        name="findings are recorded at any length",
        seen=Storm(seed=2, weeks=0.6, kinds=("worker",)),
        breaks=("what is recorded is bounded",),
        changes=((acting, "_bounded", lambda findings: findings),),
    ),
    Mutant(
        name="chatter counts as progress",
        breaks=("chatter ends as stalled",),
        changes=((stall, "without_numbers", str),),
    ),
    Mutant(
        name="a change may be of any size",
        seen=Storm(seed=5, weeks=0.6, kinds=("worker",)),
        breaks=("a huge change is refused",),
        changes=((policy, "_size", _always(())),),
    ),
    Mutant(
        name="an attempt is given more than attempt_usd",
        seen=Storm(seed=0, weeks=0.6, kinds=()),
        breaks=("a slice is no more than its limit",),
        changes=((scene, "fitting", lambda _rests, most: replace(most, micros=2 * most.micros)),),
    ),
)
"""One for each promise, and one for each limit."""
