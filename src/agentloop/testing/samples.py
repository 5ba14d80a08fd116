"""Values for tests of the rules: an issue, a task, and a journal that is told fact by fact.

told = Told().issue("7").planned("7.1").started("7.1.1").ended("7.1.1", delivered())
assert reconcile(told.scene()) == (...)
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from agentloop.domain import facts as f
from agentloop.domain.facts import Entry
from agentloop.domain.issue import Issue, Pull, Review, number_of
from agentloop.domain.observed import Observed
from agentloop.domain.scene import Scene
from agentloop.domain.settings import Settings, Target
from agentloop.domain.signals import evidence_for, evidence_of
from agentloop.domain.states import Queued
from agentloop.domain.work import Check, CheckResult, Contract, Delivered, Finding, Task, Verdict
from agentloop.domain.world import World

if TYPE_CHECKING:
    from agentloop.domain.work import Outcome

BEGAN = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
TARGET = Target(name="calc", repository="/nowhere/calc")
SETTINGS = Settings(targets=(TARGET,))
COMMIT = "c" * 40
SLICE = 2_000_000


def issue(number: str = "7", **changes: Any) -> Issue:  # noqa: ANN401 - any field of an issue
    """Return an open issue by a trusted person."""
    found = Issue(
        id=number,
        number=number_of(number),
        title="Division by zero crashes the program",
        body="It should say so.",
        author="ana",
        state="open",
        target="",
        created_at=BEGAN,
    )
    return replace(found, **changes)


def task(name: str = "7.1", *needs: str, kind: Literal["change", "research"] = "change") -> Task:
    """Return a task of the only target."""
    return Task(
        id=name,
        issue=name.rpartition(".")[0],
        title="Say that one cannot divide by zero",
        kind=kind,
        contract=Contract(
            goal="Dividing by zero prints one sentence and ends with status 2.",
            criteria=("a sentence and no traceback",),
            checks=(Check(name="tests", command="python -m pytest -q"),),
        ),
        target=TARGET.name,
        needs=needs,
    )


def delivered() -> Delivered:
    """Return what an attempt ends with that says it is done."""
    return Delivered(tip="d" * 40, summary="done", note="a note")


def verdict(attempt: str, *findings: Finding, commit: str = COMMIT) -> Verdict:
    """Return a gate's verdict, green without findings."""
    check = CheckResult(name="tests", command="pytest", passed=not findings, status=0, output="", seconds=1.0)
    return Verdict(
        attempt=attempt,
        commit=commit,
        base="b" * 40,
        checks=(check,),
        findings=findings,
        at=BEGAN,
        sandboxed=True,
        evidence="e" * 64,
    )


def finding(says: str = "1 failed", about: str = "tests") -> Finding:
    """Return something that a gate holds against a change."""
    return Finding(kind="check", about=about, says=says)


def pull(**changes: Any) -> Pull:  # noqa: ANN401 - any field of a pull request
    """Return pull request 1, open, on the commit that we published."""
    found = Pull(
        id="1",
        number=1,
        target=TARGET.name,
        branch="agentloop/7.1-say",
        base="main",
        title="Say",
        body="",
        state="open",
        head=COMMIT,
        mergeable=True,
    )
    return replace(found, **changes)


def review(name: str = "r1", body: str = "name the operator", **changes: Any) -> Review:  # noqa: ANN401 - as above
    """Return a person's review that requests changes."""
    found = Review(id=name, author="ana", verdict="changes_requested", body=body, at=BEGAN)
    return replace(found, **changes)


class Told:
    """A journal in the making; each call adds one entry, a minute after the last, and returns self."""

    def __init__(self) -> None:
        self.world = World()
        self.entries: list[Entry] = []
        self.now = BEGAN
        self.issues: dict[str, Issue] = {}

    def add(self, *facts: f.Fact) -> Told:
        """Record facts that are true together."""
        self.now += timedelta(minutes=1)
        entry = Entry(at=self.now, cycle=len(self.entries) + 1, facts=facts)
        self.entries.append(entry)
        self.world.apply(entry)
        return self

    def issue(self, number: str = "7", **changes: Any) -> Told:  # noqa: ANN401 - any field of an issue
        """An issue is seen, or seen to have changed."""
        found = self.issues[number] = issue(number, **changes)
        seen = f.IssueSeen(
            issue=number,
            title=found.title,
            target=found.target,
            priority=found.priority,
            evidence=evidence_of(found),
        )
        return self.add(seen)

    def planned(self, *tasks: Task | str) -> Told:
        """It is cut into tasks."""
        made = tuple(task(one) if isinstance(one, str) else one for one in tasks)
        number = made[0].issue
        evidence = self.world.issues[number].evidence
        return self.add(f.Planned(issue=number, tasks=made, evidence=evidence))

    def started(self, attempt: str, **changes: Any) -> Told:  # noqa: ANN401 - any field of the fact
        """An attempt is started, with its slice of the money."""
        view = self.world.tasks[attempt.rpartition(".")[0]]
        queued = view.state if isinstance(view.state, Queued) else Queued()
        fact = f.AttemptStarted(
            attempt=attempt,
            task=view.task.id,
            base="b" * 40,
            parents=("b" * 40,),
            branch=f"agentloop/{view.task.id}-say",
            base_branch="main",
            evidence=evidence_for(view, queued),
            slice_micros=SLICE,
            deadline=self.now + timedelta(hours=1),
        )
        reserved = f.Reserved(purse=f"attempt:{attempt}", micros=SLICE)
        return self.add(replace(fact, **changes), reserved)

    def ended(self, attempt: str, outcome: Outcome, micros: int = 10_000) -> Told:
        """It ends with a record."""
        fact = f.AttemptEnded(attempt=attempt, outcome=outcome, turns=3, sandboxed=True)
        return self.add(fact, f.Settled(purse=f"attempt:{attempt}", micros=micros))

    def lost(self, attempt: str) -> Told:
        """It is killed."""
        settled = f.Settled(purse=f"attempt:{attempt}", micros=10_000)
        return self.add(f.AttemptLost(attempt=attempt), settled)

    def taken(self, attempt: str, commit: str = COMMIT) -> Told:
        """Its result is taken over, and its gate is set."""
        gate = f.GateStarted(attempt=attempt, commit=commit)
        return self.add(f.ResultTaken(attempt=attempt, commit=commit)).add(gate)

    def judged(self, attempt: str, *findings: Finding, commit: str = COMMIT) -> Told:
        """The gate gives its verdict."""
        return self.add(f.Judged(verdict=verdict(attempt, *findings, commit=commit)))

    def green(self, attempt: str, commit: str = COMMIT) -> Told:
        """From its start to a green gate."""
        return (
            self.started(attempt)
            .ended(attempt, delivered())
            .taken(attempt, commit)
            .judged(attempt, commit=commit)
        )

    def accepted(self, attempt: str, commit: str = COMMIT) -> Told:
        """From its start to the admin's yes."""
        return self.green(attempt, commit).add(f.Reviewed(attempt=attempt, accepted=True, says="good"))

    def published(self, attempt: str, commit: str = COMMIT, number: str = "1") -> Told:
        """From its start to a pull request."""
        name = attempt.rpartition(".")[0]
        shown = f.Published(
            task=name, attempt=attempt, pull=number, branch=f"agentloop/{name}-say", commit=commit
        )
        return self.accepted(attempt, commit).add(shown)

    def scene(self, settings: Settings = SETTINGS, **observed: Any) -> Scene:  # noqa: ANN401 - any field of the look
        """Return the scene a minute later, with every issue as it was seen last."""
        look = Observed(now=self.now + timedelta(minutes=1), issues=tuple(self.issues.values()))
        return Scene(world=self.world, observed=replace(look, **observed), settings=settings)
