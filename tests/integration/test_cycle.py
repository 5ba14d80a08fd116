"""A whole cycle on in-memory ports: the story end to end, killed at every call, and what must not happen twice."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from agentloop import cycle
from agentloop.acting import Outside
from agentloop.cycle import Parts, Spent
from agentloop.domain import decisions as d
from agentloop.domain import facts as f
from agentloop.domain import states as s
from agentloop.domain.observed import Ground
from agentloop.domain.proposal import NoAnswer, Proposal, Reply, Wait
from agentloop.domain.settings import Limits, Settings, Target, micros
from agentloop.domain.work import (
    Blocked,
    Broken,
    Check,
    Delivered,
    Finding,
    GateBroken,
    LimitedBy,
)
from agentloop.domain.world import Closed, Stuck, Waiting
from agentloop.errors import JournalError
from agentloop.testing.doubles import MemoryForge, MemoryTracker
from agentloop.testing.memory_parts import (
    Fuse,
    KilledError,
    MemoryBaton,
    MemoryExecutor,
    MemoryJournal,
    MemoryNotes,
    MemoryRepositories,
    VirtualClock,
    fused,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentloop.cycle import Ended
    from agentloop.domain.scene import Scene
    from agentloop.domain.signals import Matter
    from agentloop.domain.world import World

TARGET = Target(name="calc", repository="/nowhere/calc", verify=("python -m pytest -q",))
SETTINGS = Settings(targets=(TARGET,))
ISSUE = "Division by zero crashes the program"
BODY = "`calc 1 / 0` ends with a traceback. It should say that one cannot divide by zero."
ADMIN_MICROS = 1000
ATTEMPT_MICROS = 20_000


def change(title: str = "Say that one cannot divide by zero", *needs: int) -> d.PlannedTask:
    """A task that pre-flight has nothing against."""
    return d.PlannedTask(
        title=title,
        goal="Dividing by zero prints one sentence that says so, and ends with status 2.",
        criteria=("`calc 1 / 0` prints a sentence and no traceback",),
        checks=(Check(name="tests", command="python -m pytest -q"),),
        needs=needs,
    )


def research() -> d.PlannedTask:
    """A research task that pre-flight has nothing against."""
    return replace(change("Find out where errors are caught"), kind="research", checks=())


def plan(issue: str, *tasks: d.PlannedTask) -> d.Plan:
    """A plan of these tasks."""
    return d.Plan(issue=issue, tasks=tasks or (change(),), rationale="one place to mend")


def sensible(scene: Scene, matter: Matter) -> tuple[d.AdminDecision, ...]:
    """What an admin decides that plans every issue, asks about vague ones, and accepts what is green."""
    match matter.kind:
        case "issue":
            issue = scene.observed.issue(matter.about)
            words = "" if issue is None else issue.title
            if "vague" in words:
                return _about_the_vague(scene, matter.about)
            tasks = (research(), change("Say that one cannot divide by zero", 1)) if "choose" in words else ()
            return (plan(matter.about, *tasks),)
        case "green":
            return (d.Review(attempt=matter.about, accept=True, says="does what was asked", rationale="read"),)
        case "returned":
            task = matter.about.rpartition(".")[0]
            return (d.Retry(task=task, guidance=f"after {matter.about}: look at main", rationale="new"),)
        case _:
            return (d.Sleep(minutes=30, rationale="noted"),)


def _about_the_vague(scene: Scene, issue: str) -> tuple[d.AdminDecision, ...]:
    if isinstance(scene.world.issues[issue].state, Waiting):
        return (d.Answer(issue=issue, text="Then nothing is to be done.", rationale="they said so"),)
    ask = d.Ask(issue=issue, question="Which of the two?", choices=("this", "that"), rationale="all of it")
    return (ask,)


@dataclass
class House:
    """A world in memory, and the people and workers in it."""

    settings: Settings = SETTINGS
    decide: Callable[[Scene, Matter], tuple[d.AdminDecision, ...]] = sensible
    reply: Callable[[Scene, tuple[Matter, ...]], Reply] | None = None
    clock: VirtualClock = field(default_factory=VirtualClock)
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    stalls: list[str] = field(default_factory=list)
    shown: list[tuple[str, ...]] = field(default_factory=list)
    cycles: list[Ended] = field(default_factory=list)
    quiet: int = 0
    problem: str = ""

    def __post_init__(self) -> None:
        now = self.clock.now
        self.tracker = MemoryTracker(now)
        self.forge = MemoryForge(now)
        self.forge.branches["calc", "main"] = "a" * 40
        self.executor = MemoryExecutor(now)
        self.repositories = MemoryRepositories(self.forge.branches)
        self.notes = MemoryNotes()
        self.baton = MemoryBaton()
        self.journal = MemoryJournal()

    @property
    def world(self) -> World:
        """What the journal tells."""
        return self.journal.world()

    def state(self, task: str) -> s.TaskState:
        """Where a task stands."""
        return self.world.tasks[task].state

    def says(self, issue: str) -> list[str]:
        """What the loop wrote on an issue."""
        found = self.tracker.observe(frozenset({issue}))
        comments = next(one for one in found if one.id == issue).comments
        return [one.body for one in comments if one.ours]

    def file(self, title: str = ISSUE, body: str = BODY, **more: Any) -> str:
        """File an issue as Ana."""
        return self.tracker.new(title, body, author="ana", **more)

    def admin(
        self, scene: Scene, matters: tuple[Matter, ...], *, stall: str, relay: str, purse_micros: int
    ) -> tuple[Reply, Spent, tuple[str, ...]]:
        """Answer as `reply` says, or as `decide` does for each matter."""
        assert relay
        assert purse_micros > 0
        self.stalls.append(stall)
        self.shown.append(tuple(one.id for one in matters))
        spent = Spent(micros=ADMIN_MICROS, unresolved_micros=0, model="claude-opus-5-5")
        shown = tuple(one.id for one in matters)
        if self.reply is not None:
            return self.reply(scene, matters), spent, shown
        decisions = tuple(one for matter in matters for one in self.decide(scene, matter))
        return Proposal(decisions=decisions, delta=None, models=("m",), turns=1), spent, shown

    def parts(self, fuse: Fuse) -> Parts:
        """Everything a cycle is made of, behind the fuse."""
        ports = fused(
            fuse,
            tracker=self.tracker,
            forge=self.forge,
            executor=self.executor,
            repositories=self.repositories,
            notes=self.notes,
        )
        return Parts(
            version="1",
            settings=self.settings,
            outside=Outside(
                **ports,
                sweep=lambda _keep: None,
                attempt_folder=lambda attempt: f"/nowhere/attempts/{attempt}",
                gate_folder=lambda attempt: f"/nowhere/gates/{attempt}",
            ),
            clock=self.clock,
            **fused(fuse, journal=self.journal, baton=self.baton, ask_admin=self.admin),
            ground=lambda target: Ground(
                target=target.name,
                branch="main",
                commit="a" * 40,
                paths=frozenset(self.repositories.files),
                programs=frozenset({"python"}),
                problem=self.problem,
            ),
            take_wake=lambda: (),
            tell=lambda event, fields: self.told.append((event, fields)),
            quiet_cycles=self.quiet,
        )

    def cycle(self, fuse: Fuse | None = None) -> Ended:
        """Run one cycle."""
        ended = cycle.run(self.parts(fuse or Fuse()))
        self.quiet = self.quiet + 1 if ended.outcome in ("idle", "quiet") else 0
        self.cycles.append(ended)
        return ended

    def sleep(self, minutes: float = 1) -> None:
        """Let time pass."""
        self.clock.pass_by(minutes=minutes)

    # What workers and people do; each looks first, so it can be called at any time.

    def work(self) -> None:
        """Let every attempt deliver and every gate be green; the first gate of a change is red once."""
        for name in self.executor.alive():
            role, _, attempt = name.partition(":")
            if role == "attempt":
                self.executor.spend(attempt, settled_micros=ATTEMPT_MICROS)
                self.executor.end(attempt, delivered(attempt))
            elif attempt == "1.2.1":
                self.executor.judge(attempt, Finding(kind="check", about="tests", says="1 failed"))
            else:
                self.executor.judge(attempt)

    def review(self) -> None:
        """Request changes on every new pull request once, then merge it."""
        for pull in self.forge.observe(frozenset()):
            heard = [one for one in pull.reviews if not one.ours]
            if not heard:
                self.forge.review(pull.id, "changes_requested", "Please name the operator.", author="ana")
            elif heard[-1].commit != pull.head:
                self.forge.merge(pull.id)

    def answer(self) -> None:
        """Answer a question once, and close what was answered."""
        for issue in self.tracker.observe(frozenset()):
            said = [one.body for one in issue.comments if one.ours]
            heard = [one for one in issue.comments if not one.ours]
            if any("question" in text for text in said) and not heard:
                self.tracker.comment(issue.id, "1", author="ana")
            elif any("nothing is to be done" in text for text in said):
                self.tracker.close(issue.id, reason="thanks", author="ana")

    def live(self, cycles: int = 40, fuse: Fuse | None = None) -> None:
        """Run cycles, while the world goes on, until everything is closed; a killed one is followed by the next."""
        over = 0
        for _ in range(cycles):
            try:
                self.cycle(fuse)
            except KilledError:
                self.sleep(0.1)
                continue
            over += not self.tracker.observe(frozenset())
            if over == 2:
                return
            self.sleep(6)
            self.work()
            self.review()
            self.answer()
        pytest.fail(f"not over after {cycles} cycles: {[view.state for view in self.world.tasks.values()]}")


def delivered(attempt: str) -> Delivered:
    """What a worker delivers: a commit, and a note in case it was research."""
    tip = hashlib.sha1(attempt.encode(), usedforsecurity=False).hexdigest()
    return Delivered(tip=tip, summary=f"done in {attempt}", note="Errors are caught in main().")


def whole_story() -> House:
    """A house with one issue that takes research and a change, and one that is vague."""
    house = House()
    house.file(f"{ISSUE}: choose how")
    house.file("Something vague", "It should be better.")
    return house


def story(house: House) -> dict[str, Any]:
    """All that outsiders can see at the end, and where every task stands."""
    return {
        "issues": {
            issue: (found.state, sorted(one.body for one in found.comments if one.ours))
            for issue in ("1", "2")
            for found in house.tracker.observe(frozenset({issue}))
        },
        "pulls": [
            (one.id, one.title, one.body, one.state, sorted(each.body for each in one.reviews))
            for one in house.forge.observe(frozenset({"1", "2"}))
        ],
        "branches": dict(house.forge.branches),
        "started": sorted(house.executor.started),
        "tasks": {view.task.id: view.state for view in house.world.tasks.values()},
        "settled": house.world.spent_by_purse["attempt:1.2.1"],
    }


def test_an_issue_becomes_a_merged_pull_request() -> None:
    """Research, a red gate, a second attempt, changes requested, a third, merged by a person, closed by us."""
    house = whole_story()
    house.live()
    told = story(house)
    assert told["tasks"]["1.1"] == s.Noted(path="memories/notes/1.1.md")
    assert isinstance(told["tasks"]["1.2"], s.Merged)
    assert [told["issues"][issue][0] for issue in ("1", "2")] == ["closed", "closed"]
    assert told["started"] == sorted(
        [
            *("attempt:1.1.1", "attempt:1.2.1", "attempt:1.2.2", "attempt:1.2.3"),
            *("gate:1.2.1", "gate:1.2.2", "gate:1.2.3"),
        ]
    )
    assert Counter(len(house.says(issue)) for issue in ("1", "2")) == Counter([4, 2])
    assert not house.world.purses
    assert not house.world.open_ops


def _points() -> int:
    fuse = Fuse()
    whole_story().live(fuse=fuse)
    return len(fuse.passed)


POINTS = _points()


@pytest.mark.parametrize("part", range(8))
def test_a_cycle_killed_at_any_call_changes_nothing_in_the_story(part: int) -> None:
    """Killed before or after any append to the journal or call of a port, then run on: the same end, no double."""
    whole = whole_story()
    whole.live()
    expected = story(whole)
    for at in range(part, POINTS, 8):
        fuse = Fuse(at=at)
        house = whole_story()
        house.live(fuse=fuse)
        assert (fuse.passed[at], story(house)) == (fuse.passed[at], expected)
        assert max(Counter(house.executor.started).values()) == 1
        assert not house.world.open_ops
        assert not house.world.purses
