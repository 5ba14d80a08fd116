"""What must hold after every step of a simulation, each promise by its name."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from agentloop.domain import decisions as d
from agentloop.domain import facts as f
from agentloop.domain import states as s
from agentloop.domain import world as w
from agentloop.domain.effects import CloseIssue, OpenPull, Push, Say, SayOnPull, StartAttempt, StartGate
from agentloop.domain.holds import hold_on
from agentloop.domain.observed import Observed
from agentloop.domain.order import held_back
from agentloop.domain.relay import CAP_TOKENS, core_tokens, lint
from agentloop.domain.scene import Scene
from agentloop.domain.waiting import waiting
from agentloop.domain.work import Delivered
from agentloop.testing.sim.books import Books
from agentloop.testing.sim.broken import hold
from agentloop.testing.sim.house import FIRST_COMMIT

if TYPE_CHECKING:
    from agentloop.cycle import Ended
    from agentloop.domain.effects import Effect
    from agentloop.domain.settings import Settings
    from agentloop.domain.work import Verdict
    from agentloop.domain.world import World
    from agentloop.testing.sim.house import House
    from agentloop.testing.sim.people import People

HOT_CYCLES: Final = 12
"""Cycles in a row within a minute, without anything new from outside, that are one too many."""
RECORDED: Final = 80_000
"""Characters of findings in one fact, at most: 20 of 4,000."""
FEW: Final = 2
ALL: Final = frozenset(map(str, range(1, 10_000)))
"""Every pull request there can be."""
LINTED: Final = 10
"""Of so many versions of the relay one is linted: looking for secrets takes longer than a cycle."""


@dataclass
class Tally:
    """What the promises are counted on."""

    starts: Counter[str] = field(default_factory=Counter)
    processes: Counter[str] = field(default_factory=Counter)
    obeyed: Counter[str] = field(default_factory=Counter)
    retries: Counter[str] = field(default_factory=Counter)
    took_place: Counter[str] = field(default_factory=Counter)
    fruitless: int = 0
    """Attempts in a row that came to nothing."""
    pulls_of_task: Counter[str] = field(default_factory=Counter)
    green: set[tuple[str, str]] = field(default_factory=set)
    closed_at_look: frozenset[str] = frozenset()
    effects: int = 0
    news: int = 0
    """What came from outside so far."""
    said: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Comments, and what had come from outside when each was made last."""
    in_quick_succession: int = 0
    """Cycles since anything new came from outside, or a minute went by."""


class Promises:
    """Looks at entries, effects and ends of cycles as they come. Every method raises BrokenPromiseError."""

    def __init__(self, house: House, people: People) -> None:
        self._house = house
        self._people = people
        self._processes = 0
        self._relay_seen = ""
        self._clock_set = 0
        self._uncounted = False
        self.books = Books()
        self.tally = Tally()

    # Before and after an effect.

    def before_effect(self, op: str, effect: Effect) -> None:
        """Look at an effect that is about to take place."""
        self.tally.effects += 1
        match effect:
            case Push(branch=branch, commit=commit):
                task = _task_of(branch)
                self._in_its_target(effect.target, task)
                self._still_wanted(task, f"a push to {branch}")
                verdicts = [
                    one for one in self._house.world.verdicts.values() if one.commit == commit and one.green
                ]
                hold(
                    "green before published",
                    verdicts,
                    f"{branch} is set to {commit[:10]} without a green verdict",
                )
            case OpenPull(branch=branch):
                self._in_its_target(effect.target, _task_of(branch))
                self._still_wanted(_task_of(branch), f"a pull request for {branch}")
                self.tally.pulls_of_task[branch] += 1
                hold("one pull request a task", self.tally.pulls_of_task[branch] == 1, branch)
            case StartAttempt(attempt=attempt):
                self._still_wanted(attempt.rpartition(".")[0], f"attempt {attempt}")
                held = hold_on(self._house.world, self._house.times.now(), attempt.rpartition(".")[0])
                hold("what is paused starts nothing", held is None, f"{attempt}: {held}")
            case StartGate(attempt=attempt):
                self._still_wanted(attempt.rpartition(".")[0], f"the gate on {attempt}")
                self._another_change(attempt)
            case Say() | SayOnPull() if op.startswith("answer-order:"):
                return  # each order has an answer of its own, in the same words maybe
            case (
                Say(issue=where, body=body)
                | SayOnPull(pull=where, body=body)
                | CloseIssue(issue=where, body=body)
            ):
                key = f"{type(effect).__name__} {where} {body}"
                says = f"on {where}, with nothing new between: {body[:100]}"
                # An answer that comes late and the answer to what was written since may be in the same words.
                view = self._house.world.issues.get(where)
                now = (self.tally.news, view.evidence if view else "")
                hold("no comment twice", self.tally.said.get(key) != now, says)
                self.tally.said[key] = now
            case _:
                return

    def _still_wanted(self, task: str, what: str) -> None:
        issue = task.rpartition(".")[0]
        view = self._house.world.tasks.get(task)
        hold(
            "nothing for what is over",
            view is not None and not s.over(view.state),
            f"{what}: task {task} is over",
        )
        hold(
            "nothing for what is closed",
            issue not in self.tally.closed_at_look,
            f"{what}: issue {issue} is closed",
        )

    def after_effect(self, op: str) -> None:
        """Look at an effect in the tracker or the forge that has just taken place."""
        self.tally.took_place[op] += 1
        hold("no effect takes place twice", self.tally.took_place[op] == 1, op)

    def _in_its_target(self, target: str, task: str) -> None:
        view = self._house.world.tasks.get(task)
        mine = view is not None and view.task.target == target
        hold("work stays in its target", mine, f"{task} is published in {target}")

    def _another_change(self, attempt: str) -> None:
        world = self._house.world
        view = world.tasks[attempt.rpartition(".")[0]]
        this = next(one for one in view.tries if one.attempt == attempt)
        refused = [one for one in view.tries if one.held and one.commit and one.tree == this.tree]
        before = [one.attempt for one in refused if one.attempt != attempt and one.round == this.round]
        hold("the same change is not judged twice", not before, f"{attempt} is what {before} was refused for")

    def looked(self, closed: frozenset[str]) -> None:
        """Take in which issues the cycle in hand has seen closed, looking first since it took the relay."""
        if self._house.baton.is_taken:
            self.tally.closed_at_look = closed
            self._house.baton.is_taken = False

    # After every step.

    def step(self) -> None:
        """Look at everything that one step may have broken."""
        house = self._house
        if house.clock_set > self._clock_set:
            self._clock_set = house.clock_set
            self.books.clock_was_set()
        for entry in house.heard:
            for fact in entry.facts:
                self._fact(fact, entry)
        house.heard.clear()
        self._money()
        alive = [name for name in house.executor.alive() if name.startswith("attempt:")]
        self._relay()
        for name in house.executor.started[self._processes :]:
            self.tally.processes[name] += 1
            # A gate may: it costs nothing, and judges the same commit.
            once = self.tally.processes[name] == 1 or not name.startswith("attempt:")
            hold("no attempt runs twice", once, name)
        self._processes = len(house.executor.started)
        hold("attempts at once", len(alive) <= self.most_at_once, f"{', '.join(alive)} run together")

    most_at_once: int = 2
    """The highest attempts_at_once there was while any of them was started."""

    def _fact(self, fact: f.Fact, entry: f.Entry) -> None:
        self._count_fruitless(fact)
        match fact:
            case f.AttemptStarted():
                self._dispatch(fact)
                self._goes_on(fact)
                self._gets_somewhere(fact)
            case f.Obeyed(order=order):
                self.tally.obeyed[order] += 1
                hold("an order is answered once", self.tally.obeyed[order] == 1, order)
                own = order.rpartition(":")[0] not in self._people.strangers
                hold("a stranger orders nothing", own, order)
            case f.Decided(decision=d.TryAgain(request=request, task=task)):
                key = f"{request} {task}"  # an order on an issue is one for each of its parked tasks
                self.tally.retries[key] += 1
                hold("a retry counts once", self.tally.retries[key] == 1, f"request {key}")
            case (
                f.SentBack(findings=found) | f.ResultRejected(findings=found) | f.WorkRefused(findings=found)
            ):
                size = sum(len(one.says) for one in found)
                hold("what is recorded is bounded", size <= RECORDED, f"{size} characters of findings")
            case f.Judged(verdict=verdict):
                size = sum(len(one.says) for one in verdict.findings)
                hold("what is recorded is bounded", size <= RECORDED, f"{size} characters of findings")
            case f.HandsOff(pull=pull, head=head):
                theirs = head in self._people.pushed
                hold(
                    "hands off a person's work only",
                    theirs,
                    f"pull request {pull}: nobody pushed {head[:10]}",
                )
            case f.Reserved():
                self.books.reserve(fact, entry.at, self._house.in_force.limits)
            case f.Settled():
                self.books.settle(fact, entry.at)
            case _:
                return

    def _dispatch(self, fact: f.AttemptStarted) -> None:
        view = self._house.world.tasks[fact.task]
        earlier = [one for one in view.tries if one.attempt != fact.attempt and one.evidence == fact.evidence]
        used = [one.attempt for one in earlier if s.own_verdict(one.outcome)]
        hold("no dispatch without a new signal", not used, f"{fact.attempt} starts on what {used} used up")
        self.tally.starts[fact.attempt] += 1
        hold("no attempt twice", self.tally.starts[fact.attempt] == 1, fact.attempt)

    def _goes_on(self, fact: f.AttemptStarted) -> None:
        house = self._house
        view = house.world.tasks[fact.task]
        number = next(n for n, one in enumerate(view.tries) if one.attempt == fact.attempt)
        before = view.tries[:number]
        merged = (one.merge_commit for one in house.forge.observe(ALL) if one.target == view.task.target)
        ours = {FIRST_COMMIT, *merged, *(commit for one in before for commit in (one.commit, one.work))}
        hold(
            "an attempt begins from our own commits",
            fact.base in ours,
            f"{fact.attempt} from {fact.base[:10]}",
        )
        state = view.state
        if not (
            before and before[-1].work and isinstance(state, s.Working) and state.attempt == fact.attempt
        ):
            return
        anew = state.was.from_scratch or any(one.kind == "conflict" for one in state.was.findings)
        work = before[-1].work
        gone = work in house.repositories.lost or (view.head and view.head not in before[-1].parents)
        kept = anew or gone or fact.base == work
        hold("unfinished work is handed on", kept, f"{fact.attempt} begins from {fact.base[:10]}")

    def _gets_somewhere(self, fact: f.AttemptStarted) -> None:
        tally, house = self.tally, self._house
        limit = house.in_force.limits.attempts_without_result
        started = house.was_woken or tally.fruitless < limit
        hold("the breaker holds", started, f"{fact.attempt} after {tally.fruitless} that came to nothing")
        view = house.world.tasks[fact.task]
        before = [one for one in view.tries if one.attempt != fact.attempt and one.round == view.round]
        if len(before) < FEW or view.tries[-1].attempt != fact.attempt or view.tries[-1].guidance:
            return
        failures = [_failures(house.world.verdicts.get(one.attempt)) for one in before]
        again = failures[-1] & set().union(*failures[:-1])
        hold("the same failure starts nothing", not again, f"{fact.attempt}: {again}")

    def _count_fruitless(self, fact: f.Fact) -> None:
        match fact:
            case f.AttemptEnded(outcome=outcome):
                self.tally.fruitless += s.own_verdict(outcome) and not isinstance(outcome, Delivered)
            case f.ResultRejected():
                self.tally.fruitless += 1
            case f.Judged(verdict=verdict):
                self.tally.fruitless = 0 if verdict.green else self.tally.fruitless + 1
            case f.SentBack(heard=heard):
                people = [one for one in heard if not one.startswith(("check:", "conflict:"))]
                self.tally.fruitless = 0 if people else self.tally.fruitless
            case f.IssueSeen() | f.IssueReopened() | f.NoteTaken() | f.Merged():
                self.tally.fruitless = 0
            case _:
                return

    def _money(self) -> None:
        self._tokens()
        world, served = self._house.world, self._house.served_micros
        spent = sum(world.spent_by_day.values())
        settled = spent - world.unresolved_micros
        most = spent + sum(world.purses.values())
        hold("settled ≤ served", settled <= served, f"{settled} settled, {served} served")
        hold("served ≤ settled + unresolved", served <= most, f"{served} served, at most {most} known")

    def _tokens(self) -> None:
        world, served = self._house.world, self._house.served_tokens
        aside = world.token_purses
        if world.purses.keys() != aside.keys():
            self._uncounted = True  # tokens are set aside only where a limit counts them
        known = sum(world.tokens_by_day.values()) + sum(aside.values())
        held = self._uncounted or served <= known
        hold("tokens served ≤ tokens known", held, f"{served} served, {known} known")

    def _relay(self) -> None:
        baton = self._house.baton
        if baton.text == self._relay_seen:
            return
        self._relay_seen = baton.text
        relay = baton.relay
        everything = f"{baton.text}\n{relay.human}"
        lost = [words for words in self._people.wrote if words not in everything]
        hold("every human byte kept", not lost, f"gone from the relay: {lost[:3]}")
        if baton.text == baton.written:
            hold("the relay is small", core_tokens(relay) <= CAP_TOKENS, f"{core_tokens(relay)} tokens")
            problems = lint(baton.text) if len(baton.commits) % LINTED == 0 else ()
            hold("the relay is well formed", not problems, f"{problems[:2]}")

    # After a cycle that came to its end.

    def cycle(self, ended: Ended, before: tuple[int, int, int], after: tuple[int, int, int]) -> None:
        """Look at how a cycle ended; `before`, `after`: entries, effects, questions asked."""
        # What fails as it did before leaves no line, though its effect may have taken place.
        if ended.outcome == "idle" and not ended.problems:
            hold(
                "an idle cycle is free",
                before == after,
                f"entries, effects, questions: {before}, then {after}",
            )
        self._alive(ended)
        if ended.nap.kind != "more" and not ended.problems and not ended.failed:
            self._all_explained(ended)

    def _alive(self, ended: Ended) -> None:
        found = ended.nap
        wakes = ended.world.sleep.wake if ended.world.sleep else ()
        typed = found.kind == "budget" or (found.kind == "hibernating" and bool(wakes))
        hold(
            "the loop is not dead",
            found.until is not None or typed,
            f"{found.kind} without an end: {found.reason}",
        )
        hold("sleep has a reason", found.reason.strip(), found.kind)
        self.tally.in_quick_succession += 1
        hold(
            "the loop is not hot",
            self.tally.in_quick_succession <= HOT_CYCLES,
            f"the last: {found.kind}, {found.reason}",
        )

    def news(self) -> None:
        """Take in that something new came from outside, or time went by."""
        self.tally.news += 1
        self.tally.in_quick_succession = 0

    def _all_explained(self, ended: Ended) -> None:
        scene = self._scene(self._house.in_force)  # the next cycle sees what was changed meanwhile
        for view in ended.world.live_tasks():
            if isinstance(view.state, s.Queued):
                hold(
                    "whatever waits has a reason", held_back(scene, view), f"task {view.task.id} could start"
                )

    def _scene(self, settings: Settings) -> Scene:
        house = self._house
        return Scene(world=house.world, observed=Observed(now=house.times.now()), settings=settings)

    # At the end, when all is quiet.

    def end(self) -> None:
        """Look whether everything is answered for, days after the last fault."""
        house, world = self._house, self._house.world
        hold("no intent is left open", not world.open_ops, f"{list(world.open_ops)[:3]}")
        running = set(house.executor.alive())
        purses = [name for name in world.purses if name not in running]
        hold("no money is left set aside", not purses, f"{purses}")
        hold("every request is taken away", not house.requests.left, f"{list(house.requests.left)}")
        for issue in house.tracker.observe(frozenset(self._people.filed)):
            self._answered_for(world, issue.id, issue.state, trusted=issue.trusted)
        for pull in house.forge.observe(ALL):
            task = world.tasks.get(_task_of(pull.branch))
            over = task is not None and isinstance(task.state, s.Merged | s.Cancelled)
            hold("what is merged is over", pull.state != "merged" or over, f"pull request {pull.id}")

    def _answered_for(self, world: World, issue: str, state: str, *, trusted: bool) -> None:
        view = world.issues.get(issue)
        if not trusted:
            hold("a stranger starts nothing", view is None, f"issue {issue}")
            return
        closed = view is None or isinstance(view.state, w.Closed)
        if state == "closed":
            hold("closed is closed", closed, f"issue {issue} is {view.state if view else None}")
            return
        hold("every issue is answered for", view is not None, f"issue {issue} was never seen")
        if view is None:
            return
        scene = self._scene(self._house.settings)
        tasks = world.tasks_of(issue)
        waits = waiting(scene, view, tasks)
        stands = [type(one.state).__name__ for one in tasks]
        hold("every issue is answered for", not waits.for_cycle, f"issue {issue}, {stands}: {waits.reasons}")


def _failures(verdict: Verdict | None) -> set[tuple[str, str]]:
    found = verdict.findings if verdict is not None else ()
    return {(one.about, re.sub(r"[0-9.]+", "#", one.says)) for one in found if one.kind == "check"}


def _task_of(branch: str) -> str:
    return branch.removeprefix("agentloop/").partition("-")[0]
