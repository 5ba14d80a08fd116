"""What counts as new.

Evidence names the words or findings that something was decided on, so that the same evidence starts nothing
twice. The fingerprint names one look at the world: discrete facts only, none of our own writes, no clocks,
no counters.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Literal

from agentloop.domain import facts
from agentloop.domain.codec import encode, moment
from agentloop.domain.effects import operation
from agentloop.domain.issue import PRIORITIES, urgency
from agentloop.domain.observed import AttemptEnded, GateEnded, Lost, Running
from agentloop.domain.orders import LABEL, beside_commands
from agentloop.domain.resets import waits_until
from agentloop.domain.reviewing import words_on_pull
from agentloop.domain.shares import in_all
from agentloop.domain.states import Green, InReview, Queued, Returned, TaskView, over, own_verdict
from agentloop.domain.valueclass import dataclass, replace
from agentloop.domain.work import Delivered, GateBroken, LimitedBy, Verdict
from agentloop.domain.world import Closed, World

if TYPE_CHECKING:
    from datetime import datetime

    from agentloop.domain.decisions import Wake
    from agentloop.domain.issue import Issue, Pull
    from agentloop.domain.observed import Observed, Seen
    from agentloop.domain.reviewing import Words
    from agentloop.domain.shares import Share
    from agentloop.domain.work import Finding
    from agentloop.domain.world import IssueView


def digest(*parts: str) -> str:
    """Return 16 hex digits of the SHA-256 over `parts`."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def evidence_of(issue: Issue) -> str:
    """Return the name of the issue's words as trusted people wrote them.

    Labels, our own comments, and lines that are orders aside. A comment counts by its id alone: one that is
    changed later is no new word, and one that holds nothing but orders is none.
    """
    if issue.words:
        return issue.words
    heard = [one for one in issue.comments if one.trusted and not one.ours]
    return digest(issue.title, issue.body, *(one.id for one in heard if beside_commands(one.body)))


def is_known(evidence: str, issue: Issue) -> bool:
    """Whether the issue's words are those that `evidence` names."""
    return evidence in (evidence_of(issue), _evidence_before(issue))


def _evidence_before(issue: Issue) -> str:
    """Return the name of the same words in journals of older versions: by what each comment says as well."""
    heard = [part for one in issue.comments if one.trusted and not one.ours for part in (one.id, one.body)]
    return digest(issue.title, issue.body, *heard)


def evidence_for(view: TaskView, queued: Queued) -> str:
    """Return the name of what an attempt on `queued` would be started on: contract, findings, guidance.

    Numbers in a check's output do not count: the same failure with other timings is the same failure.
    """
    contract = json.dumps(encode(view.task.contract), sort_keys=True)
    held = sorted(finding_print(one) for one in queued.findings)
    # A person who says the same thing in a new review has said something new.
    asked = view.reviewed
    return digest(contract, queued.guidance, "scratch" if queued.from_scratch else "", *held, *asked)


def finding_print(finding: Finding) -> str:
    """Return the name of what a finding says; numbers in it aside (times, addresses, counts)."""
    return digest(finding.kind, finding.about, without_numbers(finding.says))


def used_up(view: TaskView, evidence: str) -> bool:
    """Whether an attempt on this very evidence already ended by its own verdict."""
    return any(one.evidence == evidence and own_verdict(one.outcome) for one in view.tries)


def without_numbers(text: str) -> str:
    """Return `text` with every number in it the same: times, addresses and counts name no failure."""
    return re.sub(r"0x[0-9a-f]+|\d+(\.\d+)?", "#", text)


def fingerprint(world: World, observed: Observed) -> str:
    """Return the name of this look: what trusted people did to issues, pull requests and the relay.

    What we did ourselves, as `world` knows it, is left out: issues that we closed, pull requests that stand
    as we left them. So the same name comes before and after our own writes.
    """
    views = (world.issues.get(one.id) for one in observed.issues if one.state != "open")
    closed = {
        one.id
        for one in views
        if one is not None and isinstance(one.state, Closed) and one.state.by == "loop"
    }
    seen = [
        f"issue {one.id} {one.state} {evidence_of(one)} {_standing_labels(one)}"
        for one in observed.issues
        if one.trusted and (one.id not in closed or one.state == "open")
    ]
    heads = {view.pull: view.head for view in world.live_tasks() if view.pull}
    seen += [told for one in observed.pulls if (told := _pull_facts(one, heads.get(one.id, "")))]
    return digest(*sorted(seen), digest(observed.human))


def _standing_labels(issue: Issue) -> list[str]:
    return sorted(name for name in issue.labels if not name.startswith(LABEL))


def _pull_facts(pull: Pull, ours: str) -> str:
    told = [one.id for one in pull.reviews if one.trusted and not one.ours]
    told += [one.id for thread in pull.threads for one in thread.said if one.trusted and not one.ours]
    told += [f"{one.name}={one.state}" for one in pull.checks]
    told += [] if pull.state == "open" else [pull.state]
    told += [] if pull.head in ("", ours) else [pull.head]
    told += ["conflict"] if pull.mergeable is False else []
    return f"pull {pull.id} {told}" if told else ""


def news(world: World, observed: Observed) -> tuple[facts.Fact, ...]:
    """Return what became true outside since the journal was last written, as facts."""
    found: list[facts.Fact] = []
    for issue in observed.issues:
        if not _closed_by_a_merge(world, observed, issue):
            found += _issue_news(world, issue)
    for seen in observed.seen:
        found += job_news(world, seen)
    return tuple(found)


def _closed_by_a_merge(world: World, observed: Observed, issue: Issue) -> bool:
    """Return whether merging the last pull request of ours has closed it: the last word is ours then."""
    if issue.state != "closed" or issue.id not in world.issues:
        return False
    left = [view for view in world.tasks_of(issue.id) if not over(view.state)]
    pulls = [observed.pull(view.pull) for view in left if isinstance(view.state, InReview)]
    merged = [pull for pull in pulls if pull is not None and pull.state == "merged"]
    return bool(left) and len(merged) == len(left)


def _issue_news(world: World, issue: Issue) -> list[facts.Fact]:
    known = world.issues.get(issue.id)
    if issue.state == "closed":
        open_here = known is not None and not isinstance(known.state, Closed)
        return [facts.IssueClosed(issue=issue.id, by="person")] if open_here else []
    if not issue.trusted or _shown_as_before(known, issue):
        return []
    found: list[facts.Fact] = []
    evidence = known.evidence if known and is_known(known.evidence, issue) else evidence_of(issue)
    now = (issue.title, issue.target, issue.priority, evidence)
    if known is None or now != (known.title, known.target, known.priority, known.evidence):
        found.append(
            facts.IssueSeen(
                issue=issue.id,
                title=issue.title,
                target=issue.target,
                priority=issue.priority,
                evidence=evidence,
                author=issue.author,
            )
        )
    if known is not None and isinstance(known.state, Closed):
        found.append(facts.IssueReopened(issue=issue.id))
    return found


def _shown_as_before(known: IssueView | None, issue: Issue) -> bool:
    """Whether a list that lags shows an issue as it was before we closed it: our last word is missing."""
    state = known.state if known else None
    if not isinstance(state, Closed) or not state.word:
        return False
    return state.word not in [one.id for one in issue.comments]


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
                said=seen.said,
            )
            spent = replace(
                _settled(end.attempt, seen.settled_micros, seen.unresolved_micros, end.models, seen.shares),
                spells=seen.spells,
            )
            match end.outcome:
                case LimitedBy(until=until, detail=detail):
                    # It holds for the whole house: whoever is started or asked before then meets it too.
                    again = waits_until(until, end.at, seed=end.attempt, in_a_row=world.limits_in_a_row)
                    return [ended, spent, facts.LimitReached(until=again, detail=detail)]
                case _:
                    return [ended, spent]
        case Lost(role="attempt"):
            return [facts.AttemptLost(attempt=seen.attempt, said=seen.said), _lost_money(world, seen)]
        case Lost():
            return [facts.GateLost(attempt=seen.attempt, reason="its process was killed")]
        case GateEnded():
            return [_gate_news(seen.attempt, seen.verdict)]


def is_signal(fact: facts.Fact) -> bool:
    """Whether news is a new signal to the relay's stall rule: an ending that brought nothing is none."""
    match fact:
        case facts.AttemptEnded(outcome=outcome):
            return isinstance(outcome, Delivered)
        case facts.AttemptLost() | facts.GateLost() | facts.Settled() | facts.LimitReached():
            return False
        case _:
            return True


def _lost_money(world: World, lost: Lost) -> facts.Settled:
    # What a killed attempt spent and what it may have spent both count, the latter at its ceiling. When its
    # ledger is gone that is all it was given, unless it never came to be.
    if lost.shares:
        whole = in_all(lost.shares)
        spent = _settled(lost.attempt, whole.micros, whole.unresolved_micros, (), lost.shares)
        return replace(spent, spells=lost.spells)
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


def _settled(
    attempt: str,
    micros: int,
    unresolved: int,
    models: tuple[str, ...] = (),
    shares: tuple[Share, ...] = (),
) -> facts.Settled:
    names = models or tuple(one.model for one in shares)
    return facts.Settled(
        purse=f"attempt:{attempt}",
        micros=micros,
        unresolved_micros=unresolved,
        model=names[0] if names else "",
        shares=shares,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """Something only the admin can decide. `id` holds its evidence: the same matter is not shown for ever."""

    id: str
    kind: Literal["issue", "returned", "green", "said", "human", "woken"]
    about: str
    says: str


SHOWN_AT_MOST = 2
FAILURES_AT_MOST = 3


def matters(world: World, observed: Observed) -> tuple[Matter, ...]:
    """Return what waits for the admin's judgement, most urgent first; not what it declined twice."""
    urgent, others = _issues(world, observed)
    tasks = [*_green(world), *_returned(world), *_said(world, observed)]
    found = [*urgent, *_human(observed), *tasks, *_woken(world, observed), *others]
    return tuple(one for one in found if not worn_out(world, one.id))


def worn_out(world: World, matter: str) -> bool:
    """Whether the admin had its chances with this matter: shown twice undecided, or failed on three times."""
    once = matter.startswith(("human:", "woken:"))
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


def _said(world: World, observed: Observed) -> list[Matter]:
    views = ((view, observed.pull(view.pull)) for view in world.live_tasks() if view.pull)
    return [
        Matter(
            id=said_matter(view.task.id, words),
            kind="said",
            about=view.task.id,
            says=f"people said something on pull request {view.pull} of task {view.task.id}: "
            "answer_review, or retry when it asks for a change",
        )
        for view, pull in views
        if (words := words_on_pull(view, pull))
    ]


def said_matter(task: str, words: tuple[Words, ...]) -> str:
    """Return the id of the matter "these words on the task's pull request"."""
    return f"said:{task}:{digest(*(one.id for one in words))}"


def _issues(world: World, observed: Observed) -> tuple[list[Matter], list[Matter]]:
    """Return the critical ones, and the others, each in the order of their urgency."""
    here = {one.id for one in observed.issues if one.trusted}
    waiting = [one for one in world.open_issues() if one.evidence != one.handled and one.id in here]
    waiting.sort(key=lambda one: urgency(one.priority, one.id))
    critical = [_of_issue(one) for one in waiting if one.priority == PRIORITIES[0]]
    return critical, [_of_issue(one) for one in waiting if one.priority != PRIORITIES[0]]


def _of_issue(one: IssueView) -> Matter:
    said = "has new words" if one.handled else "is new"
    return Matter(
        id=issue_matter(one.id, one.evidence),
        kind="issue",
        about=one.id,
        says=f"issue {one.id} {said}: plan, ask or answer",
    )


def time_of(wake: Wake) -> datetime | None:
    """Return the moment that a wake condition names, None when it is none or cannot be read."""
    if wake.on != "time":
        return None
    try:
        return moment(wake.which)
    except ValueError:
        return None


def _woken(world: World, observed: Observed) -> list[Matter]:
    slept = world.sleep
    moments = [time_of(wake) for wake in slept.wake] if slept is not None else []
    return [
        Matter(
            id=f"woken:{one:%Y-%m-%dT%H:%M:%SZ}",
            kind="woken",
            about="sleep",
            says=f"the moment that you hibernated until has come: {one:%Y-%m-%d %H:%M} UTC",
        )
        for one in moments
        if one is not None and one <= observed.now
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
