"""A journal in which a night has passed: something of every kind, for those who show journals and for tests.

Issue 1 is half merged and half in review, 2 waits for an answer, 3 is critical and at work after a red gate,
4 is parked, 5 is new and a plan for it was refused.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from agentloop.domain import decisions as d
from agentloop.domain import facts as f
from agentloop.domain.work import (
    Blocked,
    Check,
    CheckResult,
    Contract,
    Delivered,
    Finding,
    Task,
    Verdict,
)

if TYPE_CHECKING:
    from agentloop.domain.work import Outcome

COMMIT = "5f39e72201b655d81f42eecae124f54e62b751c1"
SLICE = 2_000_000


def night(now: datetime) -> tuple[f.Entry, ...]:
    """Return the journal's entries up to `now`, oldest first."""

    def at(minutes_ago: int, cycle: int, *facts: f.Fact) -> f.Entry:
        return f.Entry(at=now - timedelta(minutes=minutes_ago), cycle=cycle, facts=facts)

    return (
        at(480, 1, *(_seen(issue, title, priority) for issue, title, priority in ISSUES)),
        at(478, 1, f.Settled(purse="admin:1", micros=40_000, model="claude-opus-5-5")),
        at(477, 1, *_planned("1", "Parse every unit", "Say what is wrong with a duration")),
        at(476, 1, *_started("1.1", "1.1.1", now - timedelta(minutes=476))),
        at(470, 2, *_ended("1.1.1", _delivered("reads every unit"), 900_000)),
        at(466, 2, f.ResultTaken(attempt="1.1.1", commit=COMMIT), *_judged("1.1.1", now, passed=True)),
        at(465, 3, *_published("1.1", "1.1.1", "1")),
        at(400, 4, f.Merged(task="1.1", pull="1", commit=COMMIT)),
        at(399, 4, *_started("1.2", "1.2.1", now - timedelta(minutes=399))),
        at(390, 5, *_ended("1.2.1", _delivered("names the part that is wrong"), 400_000)),
        at(388, 5, f.ResultTaken(attempt="1.2.1", commit=COMMIT), *_judged("1.2.1", now, passed=True)),
        at(387, 6, *_published("1.2", "1.2.1", "2")),
        at(300, 7, _asked()),
        at(240, 8, *_planned("4", "Read durations from the settings")),
        at(239, 8, *_started("4.1", "4.1.1", now - timedelta(minutes=239))),
        at(
            230,
            9,
            *_ended("4.1.1", Blocked(reason="there is no settings file to read from"), 150_000, lost=90_000),
        ),
        at(229, 9, f.Parked(task="4.1", reason="4 attempts came to nothing; the last: no settings file")),
        at(60, 10, *_planned("3", "Refuse negative durations", "Write the change down", needs=True)),
        at(58, 10, *_started("3.1", "3.1.1", now - timedelta(minutes=58))),
        at(40, 11, *_ended("3.1.1", _delivered("refuses them"), 300_000)),
        at(38, 11, f.ResultTaken(attempt="3.1.1", commit=COMMIT), *_judged("3.1.1", now, passed=False)),
        at(37, 11, f.SentBack(task="3.1", findings=(RED,))),
        at(12, 12, *_started("3.1", "3.1.2", now - timedelta(minutes=12))),
        at(
            5,
            13,
            f.Refused(by="admin", decision=_plan_of_5(), why="task 1: 'make' is not on the PATH of checks"),
        ),
        at(4, 13, f.CycleEnded(outcome="acted", fingerprint="f", matters=())),
    )


ISSUES = (
    ("1", "1h30m counts as one hour", "normal"),
    ("2", "Make durations friendlier", "normal"),
    ("3", "Negative durations crash the scheduler", "critical"),
    ("4", "Durations from the settings", "low"),
    ("5", "Fractions of an hour", "normal"),
)
RED = Finding(kind="check", about="python3 -m unittest", says="FAILED (failures=1)\n-1s was taken")


def _seen(issue: str, title: str, priority: str) -> f.IssueSeen:
    return f.IssueSeen(issue=issue, title=title, target="repo", priority=priority, evidence=f"words-{issue}")


def _planned(issue: str, *titles: str, needs: bool = False) -> tuple[f.Fact, ...]:
    tasks = tuple(
        _task(f"{issue}.{n}", issue, title, f"{issue}.1" if needs and n > 1 else "")
        for n, title in _count(titles)
    )
    plan = d.Plan(
        issue=issue,
        tasks=tuple(_planned_task(title) for title in titles),
        rationale="small steps that can be checked one by one",
    )
    return (
        f.Decided(by="admin", decision=plan),
        f.Planned(issue=issue, tasks=tasks, evidence=f"words-{issue}"),
    )


def _count(titles: tuple[str, ...]) -> list[tuple[int, str]]:
    return list(enumerate(titles, 1))


def _planned_task(title: str) -> d.PlannedTask:
    return d.PlannedTask(title=title, goal=f"{title}, for good.", criteria=("a test shows it",))


def _task(task: str, issue: str, title: str, needs: str) -> Task:
    contract = Contract(
        goal=f"{title}, for good.",
        criteria=("a test shows it",),
        checks=(Check(name="unit tests", command="python3 -m unittest"),),
    )
    wanted = (needs,) if needs else ()
    return Task(
        id=task, issue=issue, title=title, kind="change", contract=contract, target="repo", needs=wanted
    )


def _started(task: str, attempt: str, at: datetime) -> tuple[f.Fact, ...]:
    return (
        f.Decided(
            by="rules", decision=d.Start(task=task, rationale="first in the order of work that may start")
        ),
        f.AttemptStarted(
            attempt=attempt,
            task=task,
            base=COMMIT,
            parents=(COMMIT,),
            branch=f"agentloop/{task}",
            base_branch="main",
            evidence=f"evidence-{attempt}",
            slice_micros=SLICE,
            deadline=at + timedelta(hours=1),
        ),
        f.Reserved(purse=f"attempt:{attempt}", micros=SLICE),
    )


def _ended(attempt: str, outcome: Outcome, micros: int, *, lost: int = 0) -> tuple[f.Fact, ...]:
    models = ("claude-sonnet-5-5",)
    return (
        f.AttemptEnded(attempt=attempt, outcome=outcome, turns=9, sandboxed=True, models=models),
        f.Settled(purse=f"attempt:{attempt}", micros=micros, unresolved_micros=lost, model=models[0]),
    )


def _delivered(summary: str) -> Delivered:
    return Delivered(tip=COMMIT, summary=summary)


def _judged(attempt: str, now: datetime, *, passed: bool) -> tuple[f.Fact, ...]:
    command = "python3 -m unittest"
    output = "OK" if passed else RED.says
    check = CheckResult(
        name="unit tests",
        command=command,
        passed=passed,
        status=0 if passed else 1,
        output=output,
        seconds=0.4,
    )
    verdict = Verdict(
        attempt=attempt,
        commit=COMMIT,
        base=COMMIT,
        checks=(check,),
        findings=(),
        at=now,
        sandboxed=True,
        evidence="e" * 64,
        files=2,
        added=20,
        removed=3,
    )
    return (f.GateStarted(attempt=attempt, commit=COMMIT), f.Judged(verdict=verdict))


def _published(task: str, attempt: str, pull: str) -> tuple[f.Fact, ...]:
    return (
        f.Reviewed(attempt=attempt, accepted=True, says="does what the contract asks"),
        f.Published(task=task, attempt=attempt, pull=pull, branch=f"agentloop/{task}", commit=COMMIT),
    )


def _asked() -> f.Asked:
    return f.Asked(
        issue="2",
        question="Friendlier in which way: should `1 h 30 min` be read too, or only the messages be kinder?",
        choices=("read `1 h 30 min`", "kinder messages", "both"),
        evidence="words-2",
    )


def _plan_of_5() -> d.Plan:
    return d.Plan(issue="5", tasks=(_planned_task("Read fractions"),), rationale="one small change")
