"""What counts as new.

Evidence names the words or findings that something was decided on, so that the same evidence starts nothing
twice. The fingerprint names one look at the world: discrete facts only, none of our own writes, no clocks,
no counters.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from agentloop.domain import facts
from agentloop.domain.codec import encode
from agentloop.domain.effects import operation
from agentloop.domain.observed import AttemptEnded, GateEnded, Lost, Running
from agentloop.domain.states import Green, Queued, Returned, TaskView, own_verdict
from agentloop.domain.work import Delivered, GateBroken, LimitedBy, Verdict
from agentloop.domain.world import Closed, World

if TYPE_CHECKING:
    from agentloop.domain.issue import Issue, Pull
    from agentloop.domain.observed import Observed, Seen


def digest(*parts: str) -> str:
    """Return 16 hex digits of the SHA-256 over `parts`."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def evidence_of(issue: Issue) -> str:
    """Return the name of the issue's words as trusted people wrote them.

    Labels and our own comments aside.
    """
    heard = [part for one in issue.comments if one.trusted and not one.ours for part in (one.id, one.body)]
    return digest(issue.title, issue.body, *heard)


def evidence_for(view: TaskView, queued: Queued) -> str:
    """Return the name of what an attempt on `queued` would be started on: contract, findings, guidance.

    Numbers in a check's output do not count: the same failure with other timings is the same failure.
    """
    contract = json.dumps(encode(view.task.contract), sort_keys=True)
    held = sorted(digest(one.kind, one.about, _without_numbers(one.says)) for one in queued.findings)
    return digest(contract, queued.guidance, "scratch" if queued.from_scratch else "", *held)


def used_up(view: TaskView, evidence: str) -> bool:
    """Whether an attempt on this very evidence already ended by its own verdict."""
    return any(one.evidence == evidence and own_verdict(one.outcome) for one in view.tries)


def _without_numbers(text: str) -> str:
    return re.sub(r"0x[0-9a-f]+|\d+(\.\d+)?", "#", text)


def fingerprint(observed: Observed) -> str:
    """Return the name of this look: issues, pull requests and the person's section of the relay."""
    seen = [f"issue {one.id} {one.state} {evidence_of(one)} {sorted(one.labels)}" for one in observed.issues]
    seen += [_pull_facts(one) for one in observed.pulls]
    return digest(*sorted(seen), digest(observed.human))


def _pull_facts(pull: Pull) -> str:
    reviews = [one.id for one in pull.reviews if not one.ours]
    checks = [f"{one.name}={one.state}" for one in pull.checks]
    return f"pull {pull.id} {pull.state} {pull.head} {pull.mergeable} {reviews} {checks}"


def news(world: World, observed: Observed) -> tuple[facts.Fact, ...]:
    """Return what became true outside since the journal was last written, as facts."""
    found: list[facts.Fact] = []
    for issue in observed.issues:
        found += _issue_news(world, issue)
    for seen in observed.seen:
        found += job_news(world, seen)
    return tuple(found)


def _issue_news(world: World, issue: Issue) -> list[facts.Fact]:
    known = world.issues.get(issue.id)
    if issue.state == "closed":
        open_here = known is not None and not isinstance(known.state, Closed)
        return [facts.IssueClosed(issue=issue.id, by="person")] if open_here else []
    if not issue.trusted:
        return []
    found: list[facts.Fact] = []
    evidence = evidence_of(issue)
    now = (issue.title, issue.target, issue.priority, evidence)
    if known is None or now != (known.title, known.target, known.priority, known.evidence):
        found.append(
            facts.IssueSeen(
                issue=issue.id,
                title=issue.title,
                target=issue.target,
                priority=issue.priority,
                evidence=evidence,
            )
        )
    if known is not None and isinstance(known.state, Closed):
        found.append(facts.IssueReopened(issue=issue.id))
    return found


def job_news(world: World, seen: Seen) -> list[facts.Fact]:
    """Return what a look at one attempt or gate says that the journal does not, as facts."""
    match seen:
        case Running():
            return []
        case AttemptEnded(end=end):
            ended = facts.AttemptEnded(
                attempt=end.attempt,
                outcome=end.outcome,
                turns=end.turns,
                sandboxed=end.sandboxed,
                models=end.models,
            )
            spent = _settled(end.attempt, seen.settled_micros, seen.unresolved_micros, end.models)
            match end.outcome:
                case LimitedBy(until=until, detail=detail):
                    # It holds for the whole house: whoever is started or asked before then meets it too.
                    return [ended, spent, facts.LimitReached(until=until, detail=detail)]
                case _:
                    return [ended, spent]
        case Lost(role="attempt"):
            return [facts.AttemptLost(attempt=seen.attempt), _lost_money(world, seen)]
        case Lost():
            return [facts.GateLost(attempt=seen.attempt, reason="its process was killed")]
        case GateEnded():
            return [_gate_news(seen.attempt, seen.verdict)]


def _lost_money(world: World, lost: Lost) -> facts.Settled:
    # What a killed attempt spent and what it may have spent both count, the latter at its ceiling. When its
    # ledger is gone that is all it was given, unless it never came to be.
    if lost.spent_micros is not None:
        return _settled(lost.attempt, lost.spent_micros, 0)
    start = world.effects.get(operation("start", lost.attempt))
    began = start is not None and start.result is not None
    return _settled(lost.attempt, 0, world.purses.get(f"attempt:{lost.attempt}", 0) if began else 0)


def _gate_news(attempt: str, verdict: Verdict | GateBroken) -> facts.Fact:
    if isinstance(verdict, Verdict):
        return facts.Judged(verdict=verdict)
    reason = f"{verdict.reason}; {verdict.fix}" if verdict.fix else verdict.reason
    return facts.GateLost(attempt=attempt, reason=reason)


def _settled(attempt: str, micros: int, unresolved: int, models: tuple[str, ...] = ()) -> facts.Settled:
    return facts.Settled(
        purse=f"attempt:{attempt}",
        micros=micros,
        unresolved_micros=unresolved,
        model=models[0] if models else "",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """Something only the admin can decide. `id` holds its evidence: the same matter is not shown for ever."""

    id: str
    kind: Literal["issue", "returned", "green", "human", "stall"]
    about: str
    says: str


SHOWN_AT_MOST = 2
FAILURES_AT_MOST = 3


def matters(world: World, observed: Observed) -> tuple[Matter, ...]:
    """Return what waits for the admin's judgement, most urgent first; not what it declined twice."""
    found = [*_green(world), *_returned(world), *_issues(world, observed), *_human(observed)]
    return tuple(one for one in found if not worn_out(world, one.id))


def worn_out(world: World, matter: str) -> bool:
    """Whether the admin had its chances with this matter: shown twice undecided, or failed on three times."""
    once = matter.startswith("human:")
    return world.considered[matter] >= (1 if once else SHOWN_AT_MOST) or (
        world.failures[matter] >= FAILURES_AT_MOST
    )


def issue_matter(issue: str, evidence: str) -> str:
    """Return the id of the matter "these words of this issue"."""
    return f"issue:{issue}:{evidence}"


def task_matter(view: TaskView) -> str | None:
    """Return the id of the matter that a task's state is for the admin, if it is one."""
    match view.state:
        case Green(attempt=attempt):
            return f"green:{attempt}"
        case Returned(attempt=attempt, outcome=outcome) if _is_judgement_call(outcome):
            return f"returned:{attempt}"
        case _:
            return None


def _is_judgement_call(outcome: object) -> bool:
    return outcome is not None and own_verdict(outcome) and not isinstance(outcome, Delivered)  # type: ignore[arg-type]


def _green(world: World) -> list[Matter]:
    return [
        Matter(
            id=f"green:{view.state.attempt}",
            kind="green",
            about=view.state.attempt,
            says=f"attempt {view.state.attempt} of task {view.task.id} is green: review its diff",
        )
        for view in world.live_tasks()
        if isinstance(view.state, Green)
    ]


def _returned(world: World) -> list[Matter]:
    return [
        Matter(
            id=f"returned:{view.state.attempt}",
            kind="returned",
            about=view.state.attempt,
            says=f"attempt {view.state.attempt} ended without a result: retry differently, ask, or cancel",
        )
        for view in world.live_tasks()
        if isinstance(view.state, Returned) and _is_judgement_call(view.state.outcome)
    ]


def _issues(world: World, observed: Observed) -> list[Matter]:
    waiting = [
        one
        for one in world.issues.values()
        if not isinstance(one.state, Closed) and one.evidence != one.handled and observed.issue(one.id)
    ]
    return [
        Matter(
            id=issue_matter(one.id, one.evidence),
            kind="issue",
            about=one.id,
            says=f"issue {one.id} "
            + ("has new words" if one.handled else "is new")
            + ": plan, ask or answer",
        )
        for one in waiting
    ]


def _human(observed: Observed) -> list[Matter]:
    if not observed.human.strip():
        return []
    return [
        Matter(
            id=f"human:{digest(observed.human)}",
            kind="human",
            about="relay",
            says="a person wrote to you in the relay: act on it, or say in the relay why not",
        )
    ]
