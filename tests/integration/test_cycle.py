"""A whole cycle on ports in memory: the story, killed at every call, and what goes wrong besides."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from agentloop import cycle
from agentloop.cycle import Parts, Spent
from agentloop.domain import decisions as d
from agentloop.domain import facts as f
from agentloop.domain import states as s
from agentloop.domain.observed import Ground, RetryRequest
from agentloop.domain.past import by_moment
from agentloop.domain.proposal import NoAnswer, Proposal, Reply, Wait
from agentloop.domain.settings import Layers, Limits, Settings, Target, micros
from agentloop.domain.work import (
    Blocked,
    Broken,
    Check,
    Delivered,
    Finding,
    GateBroken,
    LimitedBy,
    NothingDone,
)
from agentloop.domain.world import Closed, IssueView, Stuck, Waiting, fold
from agentloop.errors import JournalError, TargetError
from agentloop.ports import Outside
from agentloop.testing.again import MemoryTape, behind, differences
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
    from agentloop.domain.issue import Issue
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
            return (
                d.Review(attempt=matter.about, accept=True, says="does what was asked", rationale="read"),
            )
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
    wakes: tuple[str, ...] = ()
    retries: dict[str, RetryRequest] = field(default_factory=dict)
    keep_retries: bool = False

    def forget(self, request: str) -> None:
        """A person's request was taken in."""
        if not self.keep_retries:
            del self.retries[request]

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

    def file(self, title: str = ISSUE, body: str = BODY, *, target: str = "") -> str:
        """File an issue as Ana."""
        return self.tracker.new(title, body, author="ana", target=target)

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
                asked=lambda: tuple(self.retries.values()),
                heard=self.forget,
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
            take_wake=lambda: self.wakes,
            tell=lambda event, fields: self.told.append((event, fields)),
            quiet_cycles=self.quiet,
        )

    def cycle(self, fuse: Fuse | None = None) -> Ended:
        """Run one cycle; one without a fuse runs again from what crossed its ports, and must do the same."""
        ended = cycle.run(self.parts(fuse)) if fuse else self._twice(self.parts(Fuse()))
        self.quiet = self.quiet + 1 if ended.outcome in ("idle", "quiet") else 0
        self.cycles.append(ended)
        return ended

    def _twice(self, parts: Parts) -> Ended:
        before, tape = fold(self.journal.entries()), MemoryTape()
        ended = cycle.run(behind(parts, tape))
        assert differences(parts, before, tape, ended) == ()
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
        """Run cycles while the world goes on until all is closed; after a killed one comes the next."""
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


def is_closed_by_us(view: IssueView) -> bool:
    """Whether the loop closed the issue, and knows the comment that says so."""
    return isinstance(view.state, Closed) and view.state.by == "loop" and bool(view.state.word)


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
    """Research, a red gate, a second attempt, changes requested, a third, merged, closed with a summary."""
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
    # The kept comment, which is edited in place, and the closing words; a question, and its end.
    assert Counter(len(house.says(issue)) for issue in ("1", "2")) == Counter([2, 2])
    assert not house.world.purses
    assert not house.world.open_ops


def _points() -> int:
    fuse = Fuse()
    whole_story().live(fuse=fuse)
    return len(fuse.passed)


POINTS = _points()


@pytest.mark.parametrize("part", range(8))
def test_a_cycle_killed_at_any_call_changes_nothing_in_the_story(part: int) -> None:
    """Before or after any append to the journal or call of a port, then run on: the same end, no double."""
    whole = whole_story()
    whole.live()
    expected = story(whole)
    for at in range(part, POINTS, 8):
        fuse = Fuse(at=at)
        house = whole_story()
        house.live(fuse=fuse)
        assert (fuse.passed[at], story(house)) == (fuse.passed[at], expected)
        assert (fuse.passed[at], [op for op, times in Counter(fuse.acts).items() if times > 1]) == (
            fuse.passed[at],
            [],
        )
        assert max(Counter(house.executor.started).values()) == 1
        assert not house.world.open_ops
        assert not house.world.purses
        assert (fuse.passed[at], _stands_in_relay(house)) == (fuse.passed[at], _stands_in_relay(whole))


def _stands_in_relay(house: House) -> dict[str, str | None]:
    # What was done must be said, also when the cycle that did it was killed before it came to the relay.
    facts = dict(house.baton.relay.facts)
    return {name: facts[name] for name in ("issues", "tasks", "pull requests waiting for you", "parked")}


# What is not in the story.


def quiet_house(settings: Settings = SETTINGS) -> House:
    """A house in which an attempt is at work and nothing else happens."""
    house = House(settings=settings)
    house.file()
    house.cycle()
    return house


def test_an_idle_cycle_asks_no_model_and_writes_nothing() -> None:
    """No line in the journal, no commit of the relay, no effect; one line in the log, with the reason."""
    house = quiet_house()
    lines, commits, asked = list(house.journal.lines), list(house.baton.commits), len(house.shown)
    house.told.clear()
    fuse = Fuse()
    house.sleep()
    ended = house.cycle(fuse)
    assert (ended.outcome, house.journal.lines, house.baton.commits) == ("idle", lines, commits)
    assert len(house.shown) == asked
    assert [event for event, _ in house.told] == ["cycle.idle"]
    assert not [point for point in fuse.passed if ".act" in point or ".append" in point]
    house.sleep()
    assert house.cycle().fingerprint == ended.fingerprint


def test_a_reason_that_only_a_setting_changed_is_written_down_once() -> None:
    """No model, no effect, no commit: why the candidate waits now, for who asks of that moment."""
    house = House(settings=replace(SETTINGS, layers=Layers(workers=False)))
    house.file()
    house.cycle()
    before = house.world.held["1.1"].why
    entries, commits, asked = len(house.journal.entries()), list(house.baton.commits), len(house.shown)
    house.settings = replace(SETTINGS, limits=Limits(open_pulls=0))
    house.sleep()
    changed_at = house.clock.now()
    outcomes = [house.cycle().outcome for _ in range(3)]
    assert (outcomes, house.world.outcome, house.quiet) == (["quiet", "idle", "idle"], "acted", 3)
    assert (house.baton.commits, len(house.shown)) == (commits, asked)
    assert len(house.journal.entries()) > entries
    told = house.journal.entries()
    assert before != house.world.held["1.1"].why
    moments = (changed_at - timedelta(seconds=1), changed_at)
    assert [fold(by_moment(told, each)).held["1.1"].why for each in moments] == [
        ("workers are switched off (layers.workers = false): the loop only plans",),
        ("0 pull requests wait for a person (limits.open_pulls)",),
    ]


def test_sleep_is_told_with_its_reason_and_grows_over_idle_cycles() -> None:
    """Five minutes while an attempt runs; then longer and longer."""
    house = quiet_house()
    assert house.cycles[-1].nap.reason == "attempt 1.1.1 at work"
    house = House()
    spans = []
    for _ in range(5):
        ended = house.cycle()
        assert ended.nap.until is not None
        spans.append((ended.nap.until - house.clock.now()).total_seconds() / 60)
    assert spans == [5, 10, 20, 30, 30]


def test_our_own_writes_are_nothing_new() -> None:
    """The cycle after a pull request was opened finds the world as the last one left it."""
    house = quiet_house()
    for _ in range(3):
        house.sleep()
        house.work()
        ended = house.cycle()
    assert isinstance(house.state("1.1"), s.InReview)
    house.sleep()
    idle = house.cycle()
    assert (idle.outcome, idle.fingerprint) == ("idle", ended.fingerprint)
    assert idle.nap.reason == "waits for you: 1 pull request to review"


def test_a_matter_the_admin_declines_twice_is_parked_with_a_word_to_the_person() -> None:
    """It is shown twice, and then a person is asked; new words bring it back."""
    house = House(decide=lambda _scene, _matter: (d.Sleep(minutes=30, rationale="not now"),))
    house.file()
    for _ in range(4):
        house.cycle()
        house.sleep(31)
    assert len(house.shown) == 2
    assert isinstance(house.world.issues["1"].state, Stuck)
    assert "comment here" in house.says("1")[0]
    house.decide = sensible
    house.tracker.comment("1", "Just do it.", author="ana")
    house.cycle()
    assert isinstance(house.state("1.1"), s.Working)


def test_a_refused_plan_is_shown_with_its_reason_and_decided_again_at_once() -> None:
    """Once: an admin that repeats it is not asked for ever."""
    house = House()
    house.reply = lambda _scene, _matters: Proposal(
        decisions=(plan("1", replace(change(), goal="too short")),), delta=None, models=("m",), turns=1
    )
    house.file()
    first = house.cycle()
    assert first.nap.kind == "more"
    assert "its goal is too vague" in house.world.refusals[0].why
    for _ in range(5):
        house.cycle()
        house.sleep(31)
    assert len(house.shown) == 2
    assert "its goal is too vague" in house.says("1")[0]


def test_a_vague_issue_gets_a_question_and_its_answer_wakes_the_loop() -> None:
    """And nothing is asked in between."""
    house = House()
    house.file("Something vague", "It should be better.")
    house.cycle()
    assert isinstance(house.world.issues["1"].state, Waiting)
    house.sleep()
    assert house.cycle().outcome == "idle"
    house.tracker.comment("1", "2", author="ana")
    house.cycle()
    assert house.says("1")[-1] == "Then nothing is to be done."


def test_what_an_answer_leads_to_is_told_from_the_answer_on() -> None:
    """The admin takes three minutes: after one there is no plan yet, and the journal's times only rise."""

    def slowly(scene: Scene, matters: tuple[Matter, ...]) -> Reply:
        house.sleep(3)
        decisions = tuple(one for matter in matters for one in sensible(scene, matter))
        return Proposal(decisions=decisions, delta=None, models=("m",), turns=1)

    house = House(reply=slowly)
    house.file()
    asked = house.clock.now()
    house.cycle()
    entries = tuple(house.journal.entries())
    assert fold(by_moment(entries, asked + timedelta(minutes=1))).tasks == {}
    assert list(fold(by_moment(entries, asked + timedelta(minutes=3))).tasks) == ["1.1"]
    assert [one.at for one in entries] == sorted(one.at for one in entries)


def test_unusable_answers_are_counted_and_then_the_issue_is_parked() -> None:
    """Three failed cycles, each with its reason; then a person is asked and the loop lives on."""
    house = House(reply=lambda _scene, _matters: NoAnswer(why="rubbish"))
    house.file()
    failed = []
    for _ in range(6):
        failed.append(house.cycle().failed)
        house.sleep(31)
    assert [bool(one) for one in failed] == [True, True, True, False, False, False]
    assert "rubbish" in failed[0]
    assert isinstance(house.world.issues["1"].state, Stuck)


def test_a_model_that_is_out_does_not_count_against_the_issue() -> None:
    """However long: it says nothing about what it was shown."""
    house = House(reply=lambda _scene, _matters: NoAnswer(why="overloaded", service=True))
    house.file()
    for _ in range(10):
        assert house.cycle().failed
        house.sleep(31)
    house.reply = None
    house.cycle()
    assert isinstance(house.state("1.1"), s.Working)


def test_while_the_admin_fails_the_work_that_needs_no_model_goes_on() -> None:
    """Its backoff is its own: results are judged at once, and the sleep says when it is asked again."""
    house = House()
    house.file()
    house.cycle()
    house.file("Something else")
    house.reply = lambda _scene, _matters: NoAnswer(why="overloaded", service=True)
    failed = house.cycle()
    assert failed.nap.kind == "backoff"
    assert "overloaded" in failed.nap.reason
    house.work()
    asked = len(house.shown)
    assert house.cycle().failed == ""
    assert len(house.shown) == asked
    assert isinstance(house.state("1.1"), s.Judging)


def test_a_person_who_wakes_the_loop_has_the_admin_asked_at_once() -> None:
    """They may have mended what was wrong; the wait is for a loop that is alone."""
    house = House(reply=lambda _scene, _matters: NoAnswer(why="no key", service=True))
    house.file()
    house.cycle()
    house.cycle()
    assert len(house.shown) == 1
    house.reply, house.wakes = None, ("asked by ana",)
    house.cycle()
    assert isinstance(house.state("1.1"), s.Working)


def test_one_bad_issue_does_not_hold_up_the_others() -> None:
    """After a failure the admin is asked about one matter at a time, the one that failed least first."""
    house = House()
    house.file("Poison")
    house.file()

    def choke(scene: Scene, matters: tuple[Matter, ...]) -> Reply:
        if any(matter.about == "1" for matter in matters):
            return NoAnswer(why="400: the request was malformed")
        return Proposal(decisions=sensible(scene, matters[0]), delta=None, models=("m",), turns=1)

    house.reply = choke
    for _ in range(6):
        house.cycle()
        house.sleep(31)
    assert house.world.tasks["2.1"].tries
    assert isinstance(house.world.issues["1"].state, Stuck)


def test_a_providers_limit_is_waited_for_and_nobody_is_asked_meanwhile() -> None:
    """Until its reset, as a timer; no failure is counted, and the work goes on by itself then."""
    house = House()
    reset = house.clock.now() + timedelta(hours=5)
    house.reply = lambda _scene, _matters: Wait(until=reset, why="5-hour window")
    house.file()
    ended = house.cycle()
    assert (ended.nap.kind, ended.failed) == ("limited", "")
    again = ended.nap.until
    assert again is not None
    assert timedelta(seconds=5) <= again - reset <= timedelta(seconds=30)
    house.reply = None
    house.sleep(60)
    assert house.cycle().outcome == "idle"
    assert len(house.shown) == 1
    house.clock.set_to(again)
    house.cycle()
    assert isinstance(house.state("1.1"), s.Working)


def test_a_reset_that_is_over_already_is_not_asked_about_at_once() -> None:
    """A provider that says "now" is not hit again in the same second."""
    house = House()
    house.reply = lambda _scene, _matters: Wait(until=house.clock.now(), why="flapping")
    house.file()
    ended = house.cycle()
    assert ended.nap.until == house.clock.now() + timedelta(seconds=60)
    assert house.cycle().outcome == "idle"


def test_an_attempt_that_met_the_limit_keeps_others_from_meeting_it() -> None:
    """Its task waits for the reset, and so do the admin and every other task."""
    house = quiet_house()
    reset = house.clock.now() + timedelta(hours=2)
    house.executor.end("1.1.1", LimitedBy(until=reset, detail="5-hour window"))
    house.file("Another thing is wrong")
    ended = house.cycle()
    assert ended.nap.until is not None
    assert (ended.nap.until - reset < timedelta(seconds=31), ended.nap.kind) == (True, "limited")
    assert len(house.shown) == 1
    house.clock.set_to(ended.nap.until)
    house.cycle()
    assert house.executor.alive() == ("attempt:1.1.2", "attempt:2.1.1")


def test_money_that_is_used_up_stops_everything_until_midnight_and_says_so() -> None:
    """No attempt, no question to the model, no write; the next day goes on."""
    limits = Limits(cycle_usd=0.5, day_usd=2.6)
    house = quiet_house(settings=replace(SETTINGS, limits=limits))
    house.executor.spend("1.1.1", settled_micros=micros(1), unresolved_micros=micros(1))
    house.executor.end("1.1.1", Broken(reason="no key"))
    house.cycle()
    house.file("Another thing is wrong")
    house.sleep(10)
    house.cycle()
    house.sleep(10)
    lines = list(house.journal.lines)
    ended = house.cycle()
    assert (ended.nap.kind, "limits.day_usd" in ended.nap.reason) == ("budget", True)
    assert house.journal.lines == lines
    assert (len(house.shown), house.executor.alive()) == (2, ())
    assert ended.nap.until is not None
    house.clock.set_to(ended.nap.until)
    house.cycle()
    assert len(house.executor.alive()) == 1


@pytest.mark.parametrize(
    ("limits", "setting", "advice"),
    [
        (Limits(), "limits.cycle_usd", "raise it"),
        (Limits(hour_usd=0.1), "limits.cycle_usd", "raise limits.hour_usd"),
        (Limits(hour_usd=0.1), "limits.call_usd", "raise it"),
    ],
)
def test_what_one_cycle_may_spend_is_too_little_for_what_it_was_shown(
    limits: Limits, setting: str, advice: str
) -> None:
    """It is a failure that says what to raise, the narrowest limit of all, and not asked for ever."""
    house = House(reply=lambda *_: Wait(until=None, why=f"{setting}: $0.01 left"))
    house.settings = replace(house.settings, limits=limits)
    house.file()
    failed = []
    for _ in range(5):
        failed.append(house.cycle().failed)
        house.sleep(31)
    assert failed[0] == f"{setting}: $0.01 left; {advice}"
    assert len(house.shown) == 3


def test_a_cycle_killed_while_it_asked_counts_what_it_may_have_spent_once() -> None:
    """On its own day, by its ledger or at its ceiling; twenty of them do not close the loop for good."""
    house = House(settings=replace(SETTINGS, limits=Limits(cycle_usd=0.5, day_usd=20, hour_usd=0)))
    house.file()
    for _ in range(20):
        with pytest.raises(KilledError):
            house.cycle(Fuse(at=_point("after ask_admin")))
    house.cycle()
    assert house.world.unresolved_micros == 20 * micros(0.5)
    house.clock.pass_by(days=1)
    assert house.world.spent_micros(house.clock.now().date()) == micros(SETTINGS.limits.attempt_usd)


def _point(name: str) -> int:
    fuse = Fuse()
    house = House()
    house.file()
    house.cycle(fuse)
    return fuse.passed.index(name)


def test_a_stopped_attempt_is_settled_by_its_ledger() -> None:
    """A person closed the issue while it ran: what it spent counts, and not its whole slice."""
    house = quiet_house()
    house.executor.spend("1.1.1", settled_micros=1234, unresolved_micros=66)
    house.tracker.close("1", reason="never mind", author="ana")
    house.cycle()
    assert house.executor.stopped == ["attempt:1.1.1"]
    assert house.world.spent_by_purse["attempt:1.1.1"] == 1300
    assert not house.world.purses
    assert house.state("1.1") == s.Cancelled(reason="a person closed issue 1")


def test_a_gate_at_work_on_what_was_dropped_is_ended() -> None:
    """Nothing runs on for a task that is over."""
    house = quiet_house()
    house.work()
    house.cycle()
    assert house.executor.alive() == ("gate:1.1.1",)
    house.tracker.close("1", reason="never mind", author="ana")
    house.cycle()
    assert house.executor.alive() == ()


def test_a_push_that_the_forge_refuses_for_good_parks_the_task() -> None:
    """Somebody made that branch: it is said once, not tried in every cycle."""
    house = quiet_house()
    house.work()
    house.cycle()
    house.work()
    branch = house.world.tasks["1.1"].tries[0].branch
    house.forge.branches["calc", branch] = "f" * 40
    house.cycle()
    state = house.state("1.1")
    assert isinstance(state, s.Parked)
    assert "stands elsewhere" in state.reason
    assert [text for text in house.says("1") if "stands elsewhere" in text]
    house.sleep()
    assert house.cycle().outcome == "idle"
    assert house.forge.branches["calc", branch] == "f" * 40


def test_a_target_that_cannot_be_used_makes_its_task_wait_and_lets_others_go() -> None:
    """With backoff, then parked with the reason; another target's task is not behind it."""
    other = replace(TARGET, name="other")
    house = House(settings=replace(SETTINGS, targets=(TARGET, other)))
    house.forge.branches["other", "main"] = "b" * 40
    house.file()
    house.file("Another thing is wrong", target="other")
    house.repositories.broken["calc"] = "the repository cannot be reached"
    house.cycle()
    assert house.executor.alive() == ("attempt:2.1.1",)
    for _ in range(12):
        house.sleep(6)
        house.cycle()
    state = house.state("1.1")
    assert isinstance(state, s.Parked)
    assert state.reason == "the repository cannot be reached"


def test_an_attempt_that_could_not_be_started_never_starts_behind_its_tasks_back() -> None:
    """It counts as lost, another follows; the first is not started when the machine is well again."""
    house = House()
    house.file()
    house.executor.refuse = "no process can be started"
    house.cycle()
    for _ in range(2):
        house.sleep(3)
        house.cycle()
    house.executor.refuse = ""
    for _ in range(4):
        house.sleep(10)
        house.cycle()
    assert len(house.executor.alive()) == 1
    assert house.executor.started == [house.executor.alive()[0]]
    assert house.world.spent_by_purse["attempt:1.1.1"] == 0


def test_a_start_that_failed_after_a_kill_is_counted_as_lost_once() -> None:
    """Cut off before it, refused when it is finished: lost is written once, and its purse settled once."""
    house = House()
    house.file()
    with pytest.raises(KilledError):
        house.cycle(Fuse(at=_point("before executor.act")))
    house.executor.refuse = "no process can be started"
    for _ in range(3):
        house.cycle()
    told = [one for entry in house.journal.entries() for one in entry.facts]
    assert sum(one == f.AttemptLost(attempt="1.1.1") for one in told) == 1
    assert sum(isinstance(one, f.Settled) and one.purse == "attempt:1.1.1" for one in told) == 1


def test_an_attempt_that_hangs_beyond_its_deadline_is_ended_and_tried_again() -> None:
    """The machine slept, or the harness hangs: somebody looks at the clock."""
    house = quiet_house()
    house.clock.pass_by(hours=2)
    house.cycle()
    assert house.executor.stopped == ["attempt:1.1.1"]
    house.sleep(2)
    house.cycle()
    assert house.executor.alive() == ("attempt:1.1.2",)


def test_the_runtime_folder_is_lost_while_an_attempt_runs() -> None:
    """Its ledger is gone: all it was given counts; the task is tried again."""
    house = quiet_house()
    house.executor.forget()
    house.cycle()
    assert house.world.spent_by_purse["attempt:1.1.1"] == micros(SETTINGS.limits.attempt_usd)
    house.sleep(2)
    house.cycle()
    assert house.executor.alive() == ("attempt:1.1.2",)


def test_an_attempt_whose_start_was_not_noted_before_its_folder_went_is_not_started_twice() -> None:
    """Its cycle was killed between the two: nobody can tell what it spent, so all it was given counts."""
    house = House()
    house.file()
    with pytest.raises(KilledError):
        house.cycle(Fuse(at=_point("after executor.act")))
    house.executor.forget()
    house.cycle()
    assert house.executor.started == ["attempt:1.1.1"]
    assert house.world.spent_by_purse["attempt:1.1.1"] == micros(SETTINGS.limits.attempt_usd)
    house.sleep(2)
    house.cycle()
    assert house.executor.started == ["attempt:1.1.1", "attempt:1.1.2"]


def test_a_start_that_did_not_come_to_be_is_made_up_for_while_the_folder_stands() -> None:
    """The same kill a moment earlier: nothing shows that it ran, all of it would, and it is started once."""
    house = House()
    house.file()
    with pytest.raises(KilledError):
        house.cycle(Fuse(at=_point("before executor.act")))
    house.cycle()
    assert house.executor.started == ["attempt:1.1.1"]
    assert "attempt:1.1.1" not in house.world.spent_by_purse


def test_a_gate_that_breaks_is_set_again_and_then_parked() -> None:
    """Three runs of their own, none of which says anything about the change."""
    house = quiet_house()
    house.work()
    house.cycle()
    for name in ("1.1.1", "1.1.1@2", "1.1.1@3"):
        assert house.executor.alive() == (f"gate:{name}",)
        broken = GateBroken(attempt="1.1.1", reason="no disk", at=house.clock.now())
        house.executor.give_up(name, broken)
        house.cycle()
    assert isinstance(house.state("1.1"), s.Parked)


def test_a_parked_task_is_retried_on_a_persons_word_and_the_word_is_heard() -> None:
    """The retry is what the comment led to: the issue is not parked for want of another decision."""
    house = quiet_house()
    house.executor.end("1.1.1", Blocked(reason="there is no database"))
    house.decide = lambda _scene, _matter: (d.Sleep(minutes=30, rationale="hm"),)
    for _ in range(3):
        house.cycle()
        house.sleep(31)
    assert isinstance(house.state("1.1"), s.Parked)
    house.decide = lambda _scene, _matter: (d.Retry(task="1.1", guidance="use sqlite", rationale="said so"),)
    house.tracker.comment("1", "Use sqlite.", author="ana")
    for _ in range(4):
        house.cycle()
        house.sleep(6)
    assert house.executor.alive() == ("attempt:1.1.2",)
    assert not isinstance(house.world.issues["1"].state, Stuck)


def test_new_words_on_a_planned_issue_may_bring_further_tasks() -> None:
    """Numbered on; the issue is closed when all of them are in."""
    house = quiet_house()
    house.tracker.comment("1", "And the same for modulo.", author="ana")
    house.decide = lambda scene, matter: (
        (plan(matter.about, change("Say so for modulo too")),)
        if matter.kind == "issue"
        else sensible(scene, matter)
    )
    house.cycle()
    assert [view.task.id for view in house.world.tasks_of("1")] == ["1.1", "1.2"]
    house.live()
    assert all(isinstance(view.state, s.Merged) for view in house.world.tasks_of("1"))


def test_an_issue_opened_again_is_worked_on_and_closed_again() -> None:
    """On the very same words: what was done before is another operation."""
    house = quiet_house()
    house.live()
    for _ in range(2):
        house.tracker.reopen("1")
        house.live()
    assert is_closed_by_us(house.world.issues["1"])
    assert [view.task.id for view in house.world.tasks_of("1")] == ["1.1", "1.2", "1.3"]
    assert sum("**Plan** · 3 of 3 tasks done · closed" in text for text in house.says("1")) == 1
    assert sum("**Done.**" in text for text in house.says("1")) == 3


def test_a_person_who_pushes_gets_the_branch_and_hears_it_once() -> None:
    """And nothing is done to it any more."""
    house = quiet_house()
    for _ in range(3):
        house.work()
        house.cycle()
    (pull,) = house.forge.observe(frozenset())
    house.forge.branches["calc", pull.branch] = "e" * 40
    for _ in range(3):
        house.sleep()
        house.cycle()
    (pull,) = house.forge.observe(frozenset())
    assert len([one for one in pull.reviews if one.ours]) == 1
    assert pull.head == "e" * 40


def test_what_stands_on_a_newer_base_is_judged_from_there() -> None:
    """A first attempt on an old base does not make main's own changes part of the second's."""
    house = quiet_house()
    house.work()
    house.cycle()
    house.executor.judge("1.1.1", Finding(kind="check", about="tests", says="1 failed"))
    house.forge.branches["calc", "main"] = "b" * 40
    house.cycle()
    house.work()
    house.cycle()
    house.work()
    house.cycle()
    assert house.executor.spec("gate:1.1.2").base == "b" * 40
    (pull,) = house.forge.observe(frozenset())
    house.forge.review(pull.id, "changes_requested", "Name the operator.", author="ana")
    house.cycle()
    assert house.executor.spec("attempt:1.1.3").base == pull.head
    house.work()
    house.cycle()
    assert house.executor.spec("gate:1.1.3").base == "b" * 40


def test_a_hibernation_ends_at_its_moment_with_a_question_to_the_admin() -> None:
    """Idle until then, whatever was said before; and asked once."""
    house = House()
    moment = house.clock.now() + timedelta(days=2)
    wake = d.Wake(on="time", which=f"{moment:%Y-%m-%dT%H:%M:%SZ}")
    house.decide = lambda _scene, _matter: (d.Hibernate(until=(wake,), rationale="Ana is away"),)
    house.baton.write_to_loop("I am away until Wednesday.")
    assert (house.cycle().nap.until, house.cycles[-1].nap.kind) == (moment, "hibernating")
    house.clock.pass_by(days=1)
    assert (house.cycle().outcome, house.cycles[-1].nap.until) == ("idle", moment)
    house.clock.set_to(moment)
    house.decide = lambda _scene, _matter: (d.Sleep(minutes=30, rationale="looked"),)
    house.cycle()
    assert house.shown[-1] == (f"woken:{moment:%Y-%m-%dT%H:%M:%SZ}",)
    house.sleep(31)
    assert (house.cycle().outcome, house.cycles[-1].nap.kind) == ("idle", "idle")


def test_a_new_issue_ends_a_hibernation_whatever_it_waits_for() -> None:
    """Nobody's issue waits for a moment that a model chose."""
    house = House()
    wake = d.Wake(on="pull_request", which="4")
    house.decide = lambda _scene, _matter: (d.Hibernate(until=(wake,), rationale="r"),)
    house.baton.write_to_loop("Rest.")
    assert house.cycle().nap.until is None
    house.decide = sensible
    house.file()
    house.cycle()
    assert isinstance(house.state("1.1"), s.Working)


def test_a_refused_hibernation_is_no_hibernation() -> None:
    """One without anything that ends it would never end."""
    house = House(decide=lambda _scene, _matter: (d.Hibernate(until=(), rationale="for ever"),))
    house.baton.write_to_loop("Rest.")
    house.cycle()
    ended = house.cycle()
    assert ended.nap.kind == "idle"
    assert ended.nap.until is not None


def test_the_stall_is_told_when_nothing_is_new_and_the_same_would_be_said_again() -> None:
    """In the second look at the same matter; after that the work is parked."""
    house = House(decide=lambda _scene, _matter: (d.Sleep(minutes=5, rationale="later"),))
    house.file()
    for _ in range(3):
        house.cycle()
        house.sleep(6)
    assert [bool(told) for told in house.stalls] == [False, True]
    assert "change direction" in house.stalls[1]


def test_a_clock_set_back_a_day_stops_nothing() -> None:
    """It is said, what waits is done, the story ends."""
    house = quiet_house()
    house.executor.kill("attempt:1.1.1")
    house.cycle()
    house.clock.pass_by(days=-1)
    house.cycle()
    assert "the clock is" in house.cycles[-1].nap.reason
    assert house.executor.alive() == ("attempt:1.1.2",)
    house.live()
    assert is_closed_by_us(house.world.issues["1"])


def test_a_tracker_that_cannot_be_read_is_a_problem_said_and_loses_nothing() -> None:
    """Nothing is taken for closed because nobody could look."""
    house = quiet_house()

    class Unreachable(MemoryTracker):
        def observe(self, known: frozenset[str]) -> tuple[Issue, ...]:
            raise TargetError(f"the tracker is away: {sorted(known)}")

    house.tracker, here = Unreachable(), house.tracker
    ended = house.cycle()
    assert "the tracker is away" in ended.nap.reason
    assert isinstance(house.state("1.1"), s.Working)
    house.tracker = here
    house.live()


def test_what_was_about_to_begin_waits_for_a_look_at_what_people_did() -> None:
    """The cycle was killed before the attempt was started; the issue is closed: it never starts."""
    house = House()
    house.file()
    with pytest.raises(KilledError):
        house.cycle(Fuse(at=_point("before executor.act")))
    assert next(iter(house.world.open_ops)).startswith("start:1.1.1")
    house.tracker.close("1", reason="never mind", author="ana")
    house.cycle()
    assert (house.executor.started, house.world.open_ops) == ([], {})
    assert house.state("1.1") == s.Cancelled(reason="a person closed issue 1")
    assert (house.world.purses, house.world.spent_by_purse["attempt:1.1.1"]) == ({}, 0)


def test_money_is_a_timer_too_and_uses_up_no_retry() -> None:
    """A limit that is lowered again and again ends attempts; their task waits, and is never parked for it."""
    house = quiet_house()
    often = SETTINGS.limits.retries_per_task + 2
    for number in range(1, often + 1):
        attempt = f"1.1.{number}"
        assert house.executor.alive() == (f"attempt:{attempt}",)
        house.executor.spend(attempt, settled_micros=micros(0.01))
        low = Limits(hour_usd=0.001)
        house.settings = replace(SETTINGS, limits=low)
        house.cycle()
        assert house.executor.stopped[-1] == f"attempt:{attempt}"
        why = "the last attempt was ended by limits.hour_usd"
        house.sleep(2)
        house.cycle()
        state = house.state("1.1")
        assert isinstance(state, s.Queued)
        assert state.why == why
        house.settings = SETTINGS
        house.sleep(2)
        house.cycle()
    assert house.world.tasks["1.1"].requeues == 0


def test_an_issue_whose_money_is_used_up_is_not_asked_about_until_a_person_raises_it() -> None:
    """It says so on the issue, once; other issues go on, and the loop is not hot."""
    house = quiet_house(settings=replace(SETTINGS, limits=Limits(issue_usd=1.5)))
    house.executor.spend("1.1.1", settled_micros=micros(0.9))
    house.executor.end("1.1.1", Blocked(reason="what is asked for is not clear"))
    house.file("Another thing is wrong")
    ended = [house.cycle() for _ in range(4)]
    assert [shown for shown in house.shown if "returned:1.1.1" in shown] == []
    assert len(house.executor.alive()) == 1
    said = [one for one in house.says("1") if "limits.issue_usd" in one]
    assert len(said) == 1
    assert [one.outcome for one in ended[1:]] == ["idle"] * 3
    house.settings = SETTINGS
    house.sleep(1)
    house.cycle()
    assert "returned:1.1.1" in house.shown[-1]


def test_limits_are_told_once_through_a_whole_cycle() -> None:
    """In the log, the notices that `status` shows, the relay's facts, and on the issue whose work waits."""
    limits = Limits(day_usd=10, hour_usd=0, task_usd=0)
    house = quiet_house(settings=replace(SETTINGS, limits=limits))
    house.executor.spend("1.1.1", settled_micros=micros(8.2))
    house.executor.end("1.1.1", NothingDone(reason="no"))
    told = [house.cycle() for _ in range(3)]
    alerts = [fields["says"] for event, fields in house.told if event == "alert"]
    assert [one.partition(" of limits")[0].partition(":")[0] for one in alerts] == ["80 %", "task 1.1 waits"]
    assert set(alerts) <= set(told[0].notices)
    assert [one for one in alerts if one in str(house.baton.relay.facts)] == alerts[1:]
    kept, told_once = [one for one in house.says("1") if "limits.day_usd" in one]
    assert "Waits for:" in kept
    assert told_once.startswith("**Waiting for money:**")


def test_a_full_disk_stops_the_cycle_and_the_next_goes_on() -> None:
    """A journal that cannot be written acknowledges nothing; no effect is done without it."""
    house = House()
    house.file()
    house.journal.full = True
    with pytest.raises(JournalError):
        house.cycle()
    assert (house.says("1"), house.executor.started) == ([], [])
    house.journal.full = False
    house.live()
    assert is_closed_by_us(house.world.issues["1"])


def test_workers_switched_off_only_plans() -> None:
    """And says why nothing is started."""
    house = quiet_house(settings=replace(SETTINGS, layers=Layers(workers=False)))
    assert house.executor.started == []
    assert "**Plan**" in house.says("1")[0]
    house.sleep()
    assert house.cycle().outcome == "idle"


def test_a_persons_words_in_the_relay_are_shown_once() -> None:
    """And stay where they were written, to the byte."""
    house = House()
    house.cycle()
    house.baton.write_to_loop("Please look at the docs first.")
    house.cycle()
    house.sleep()
    assert house.cycle().outcome == "idle"
    assert len(house.shown) == 1
    assert "Please look at the docs first." in house.baton.text


def test_nothing_half_of_a_proposal_is_lost_when_one_decision_is_refused() -> None:
    """Each is admitted by itself; the refused one is journaled with its reason."""
    house = House()
    house.reply = lambda _scene, _matters: Proposal(
        decisions=(d.Cancel(task="9.9", rationale="r"), plan("1")), delta=None, models=("m",), turns=1
    )
    house.file()
    house.cycle()
    assert isinstance(house.state("1.1"), s.Working)
    refused = [one for entry in house.journal.entries() for one in entry.facts if isinstance(one, f.Refused)]
    assert [one.why for one in refused] == ["there is no task '9.9'"]


@pytest.mark.parametrize("memory", [True, False])
def test_a_note_reaches_the_tasks_that_need_it_unless_memory_is_switched_off(memory: bool) -> None:  # noqa: FBT001
    """The building task is given what the research found; without the layer it still runs."""
    house = House(settings=replace(SETTINGS, layers=Layers(memory=memory)))
    house.file(f"{ISSUE}: choose how")
    for _ in range(4):
        house.cycle()
        house.work()
        house.sleep(2)
    brief = house.executor.spec("attempt:1.2.1").brief
    assert ("Notes of research" in brief) is memory


@pytest.mark.parametrize("cycles", [1, 2])
def test_a_result_that_went_with_the_runtime_folder_is_worked_out_again(cycles: int) -> None:
    """Before its gate or after it: the task is neither stuck nor parked for having nothing new."""
    house = quiet_house()
    house.work()
    if cycles == 1:
        house.repositories.lost.add(_taken(house, "1.1.1"))
    house.cycle()
    if cycles == 2:
        house.work()
        house.repositories.lost.add(house.repositories.taken["1.1.1"])
    for _ in range(3):
        house.cycle()
        house.sleep(2)
    assert house.executor.alive() == ("attempt:1.1.2",)


class HardToRead(MemoryRepositories):
    """Targets whose branches can be told, and whose commits cannot be read for as long as `failing`."""

    failing = True

    def paths(self, target: Target, commit: str) -> tuple[str, ...]:
        """Raise TargetError while it fails."""
        if self.failing:
            raise TargetError(f"target {target.name}: git could not be started")
        return super().paths(target, commit)


@pytest.mark.parametrize("read_again_before", ["the gate", "publishing"])
def test_a_result_that_cannot_be_read_just_now_is_not_given_up(read_again_before: str) -> None:
    """Only a commit that is gone is worked out again; git that fails is a problem that is said."""
    house = quiet_house()
    house.repositories = hard = HardToRead(house.forge.branches)
    house.work()
    if read_again_before == "publishing":
        hard.failing = False
        house.cycle()
        house.work()
        hard.failing = True
    ended = house.cycle()
    assert any("git could not be started" in one for one in ended.problems)
    hard.failing = False
    for _ in range(4):
        house.cycle()
        house.work()
    assert house.executor.started.count("attempt:1.1.2") == 0
    assert len(house.forge.observe(frozenset())) == 1


def _taken(house: House, attempt: str) -> str:
    other = quiet_house()
    other.work()
    other.cycle()
    assert house.executor.started == other.executor.started[:1]
    return other.repositories.taken[attempt]


def _parked(house: House) -> None:
    """Task 1.1 ended without anything to show, twice."""
    house.tracker.new("Division by zero", "It crashes.", author="ana")
    for _ in range(2):
        house.cycle()
        (name,) = house.executor.alive()
        house.executor.end(name.removeprefix("attempt:"), NothingDone(reason="it did not know how"))
        house.cycle()
    assert isinstance(house.world.tasks["1.1"].state, s.Parked)


def test_a_persons_retry_is_taken_in_once_and_survives_a_kill_before_it_is_taken_away() -> None:
    """The request stays until the journal has it; found again, it changes nothing."""
    house = House()
    _parked(house)
    house.retries["1.1-a"] = RetryRequest(
        id="1.1-a", task="1.1", by="ana", at=house.clock.now(), reason="look at main"
    )
    house.keep_retries = True  # as if killed just before
    house.cycle()
    assert isinstance(house.world.tasks["1.1"].state, s.Working)
    heard = house.world.tasks["1.1"].heard
    house.keep_retries = False
    house.cycle()
    assert (heard, house.world.tasks["1.1"].heard, house.retries) == (("retry:1.1-a",), heard, {})


def test_a_retry_that_fits_no_more_is_refused_and_said() -> None:
    """The task runs already: nothing is doubled, and the person is told why."""
    house = House()
    house.tracker.new("Division by zero", "It crashes.", author="ana")
    house.cycle()
    house.retries["1.1-a"] = RetryRequest(id="1.1-a", task="1.1", by="ana", at=house.clock.now())
    ended = house.cycle()
    assert ended.notices == ("ana asked to retry task 1.1: task 1.1 is not parked: attempt 1.1.1 is working",)
    assert house.retries == {}
