"""What our marks outside say of the journal, for the day on which it is lost.

A comment, a closing, a pull request of ours carries, beside its operation and the mark that proves it ours,
the facts that it stands for. Read again in their order they tell what was planned, asked, published and
given up: so nothing of it is done a second time. Work in hand and refusals are not told; they happen anew.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from datetime import datetime
from typing import TYPE_CHECKING, Final

from agentloop.domain import facts as f
from agentloop.domain import states as s
from agentloop.domain.codec import CodecError, decode, encode
from agentloop.domain.effects import is_keep
from agentloop.domain.valueclass import dataclass, replace
from agentloop.domain.work import Delivered
from agentloop.domain.world import Closed, Fresh, InWork, Settled, Stuck, Waiting

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentloop.domain.relay.values import Facts
    from agentloop.domain.states import TaskView
    from agentloop.domain.work import Verdict
    from agentloop.domain.world import IssueView, World

FORMAT: Final = 1
LIMIT_BYTES: Final = 4_000_000
"""What a mark carries is never longer than this, unpacked."""
OUTPUT_CHARACTERS: Final = 300
THEN: Final = " then"
"""What the operation of a kept comment's mark ends with where it tells of its second moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What a mark carries: facts, when they were recorded, and all that had been spent by then."""

    at: datetime
    cycle: int
    facts: tuple[f.Fact, ...]
    spent_micros: int = 0
    """Settled, unresolved at its ceiling, and reserved."""
    then: tuple[f.Fact, ...] = ()
    """What became true later, until `then_at`: a comment that is edited in place tells of both moments."""
    then_at: datetime | None = None
    v: int = FORMAT


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A mark that proved to be ours: its operation, where it stands, its pull request ("" = on an issue).

    `carried` is None for one that carries nothing (an older agentloop made it, or it tells no fact).
    """

    op: str
    where: str
    carried: Carried | None
    pull: str = ""


def pack(carried: Carried) -> str:
    """Return it as one word of letters, digits, `-` and `_`."""
    data = json.dumps(encode(carried), ensure_ascii=False, separators=(",", ":"))
    packed = zlib.compress(data.encode("utf-8", "surrogatepass"), 9)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def unpack(word: str) -> Carried | None:
    """Return what `pack` made a word of; None when it makes no sense, or a newer agentloop made it."""
    try:
        zipped = zlib.decompressobj()
        packed = zipped.decompress(base64.urlsafe_b64decode(word + "=" * (-len(word) % 4)), LIMIT_BYTES)
        data = json.loads(packed.decode("utf-8", "surrogatepass")) if zipped.eof else None
        if not isinstance(data, dict) or data.get("v", 0) > FORMAT:
            return None
        found: Carried = decode(Carried, data)
    except (ValueError, TypeError, zlib.error, CodecError, RecursionError):
        return None
    return found


def of_issue(world: World, issue: str, *own: f.Fact) -> tuple[f.Fact, ...]:
    """Return what a mark on an issue carries: the issue, its `own` facts, and how its tasks ended."""
    view = world.issues[issue]
    seen = f.IssueSeen(
        issue=issue,
        title=view.title,
        target=view.target,
        priority=view.priority,
        evidence=view.evidence,
        author=view.author,
    )
    ends = (_ended(one) for one in world.tasks_of(issue))
    told = (*_words_of_people(view), *(one for one in ends if one is not None), *_pauses(world, issue))
    return (seen, *own, *told)


def _pauses(world: World, issue: str) -> Iterable[f.Fact]:
    # Those that were ended are told with their end: an earlier mark may have told of them.
    for about, hold in world.holds.items():
        if about == issue or about.startswith(f"{issue}."):
            yield f.Paused(about=about, until=hold.until, by=hold.by, reason=hold.reason)


def _words_of_people(view: IssueView) -> tuple[f.Fact, ...]:
    """What people allowed: asked for anew, they would have to say it twice."""
    approved = (one for one in view.approvals if one.by)
    return (
        *(f.Permitted(issue=view.id, by=one) for one in (view.permitted,) if one),
        *(f.PlanApproved(issue=view.id, plan=one.plan, by=one.by) for one in approved),
        *(
            f.Budgeted(issue=view.id, micros=one, by=view.budget_by)
            for one in (view.budget_micros,)
            if one is not None
        ),
    )


def of_kept(world: World, issue: str, now: datetime, cycle: int) -> Carried:
    """Return what the kept comment's mark carries: all that was planned, and how the issue stands now.

    The plan is dated when it was made: what other marks tell of its tasks came later.
    """
    view, tasks = world.issues[issue], world.tasks_of(issue)
    plan = f.Planned(issue=issue, tasks=tuple(one.task for one in tasks), evidence=view.handled, why=view.why)
    seen, *told = of_issue(world, issue)
    stops = tuple(one for one in map(_parked, tasks) if one is not None)
    stands = () if isinstance(view.state, Closed) else (*_standing(view), *stops, *told)
    held = (f.PlanHeld(issue=issue, plan=one.plan, tasks=one.tasks, why=one.why) for one in view.approvals)
    return Carried(
        at=view.planned_at or now,
        cycle=cycle,
        facts=(seen, plan, *held) if tasks else (seen,),
        spent_micros=world.spent_micros(),
        then=stands,
        then_at=now if stands else None,
    )


def _standing(view: IssueView) -> tuple[f.Fact, ...]:
    issue, evidence = view.id, view.handled
    match view.state:
        case Waiting(question=question, choices=choices):
            return (f.Asked(issue=issue, question=question, choices=choices, evidence=evidence),)
        case Stuck(reason=reason):
            return (f.IssueParked(issue=issue, reason=reason, evidence=evidence),)
        case Settled():
            return (f.Answered(issue=issue, evidence=evidence),)
        case InWork():
            return (f.Heard(issue=issue, evidence=evidence),)
        case Fresh() | Closed():
            return ()


def _parked(view: TaskView) -> f.Fact | None:
    state = view.state
    return f.Parked(task=view.task.id, reason=state.reason) if isinstance(state, s.Parked) else None


def of_stopped(world: World, issue: str) -> tuple[f.Fact, ...]:
    """Return what the mark of the word about stopped tasks carries."""
    parked = (_parked(one) for one in world.tasks_of(issue))
    return of_issue(world, issue, *(one for one in parked if one is not None))


def of_pull(world: World, view: TaskView, *, says: str) -> tuple[f.Fact, ...]:
    """Return what a pull request's mark carries: how its task's last attempt came to be published.

    Its own id is not known before it is open: `found_in` fills it in.
    """
    one, verdict = view.tries[-1], world.verdicts[view.tries[-1].attempt]
    spent = sum(each.spent_micros for each in view.tries)
    return (
        f.SentBack(task=view.task.id, heard=view.heard),
        _started(view, one),
        f.AttemptEnded(
            attempt=one.attempt,
            outcome=one.outcome or Delivered(tip=one.commit, summary=""),
            turns=one.turns,
            sandboxed=one.sandboxed,
            models=one.models,
        ),
        f.Settled(purse=f"attempt:{one.attempt}", micros=spent, model=one.models[0] if one.models else ""),
        f.ResultTaken(attempt=one.attempt, commit=one.commit),
        f.Judged(verdict=_short(verdict)),
        f.Reviewed(attempt=one.attempt, accepted=True, says=says),
        f.Published(
            task=view.task.id, attempt=one.attempt, pull="", branch=one.branch, commit=verdict.commit
        ),
        *((f.Proposed(task=view.task.id, pull=view.pull),) if view.proposed else ()),
    )


def lost(world: World, mark: Mark) -> tuple[f.Fact, ...]:
    """Return the facts of a mark that `world` has lost; () when it knows all that the mark tells."""
    carried = mark.carried
    if carried is None or mark.op in world.found:
        return ()
    if is_keep(mark.op):
        return _lost_of_kept(world, mark.op, carried)
    facts = tuple(_found_in(fact, mark.pull) for fact in carried.facts)
    published = next((fact for fact in facts if isinstance(fact, f.Published)), None)
    if published is not None:
        view = world.tasks.get(published.task)
        behind = view is not None and not s.over(view.state) and not _has(view, published.attempt)
        return facts if behind else ()
    if mark.op in world.effects:
        return ()  # an intent and its facts are one line
    return tuple(_reopened(world, facts[:1] + tuple(_unknown(world, facts[1:]))))


def _lost_of_kept(world: World, op: str, carried: Carried) -> tuple[f.Fact, ...]:
    seen, *rest = carried.facts
    known = world.issues.get(seen.issue) if isinstance(seen, f.IssueSeen) else None
    again: tuple[f.Fact, ...] = ()
    if known is not None and isinstance(known.state, Closed):
        # Kept up to date after it was closed: somebody had opened it again.
        latest = carried.then_at or carried.at
        if not carried.then or latest <= known.since:
            return ()
        again = (f.IssueReopened(issue=known.id),)
    if op.endswith(THEN):
        # A version of the comment that the journal knows of came after all that it tells.
        behind = op.removesuffix(THEN) not in world.effects
        return (*again, *rest) if behind and known is not None else ()
    new = tuple(_unknown(world, rest))
    return (*(() if known else (seen,)), *(again if new else ()), *new)


def _unknown(world: World, facts: Iterable[f.Fact]) -> Iterable[f.Fact]:
    """Yield the facts without plans, and tasks of plans, that another mark has told of already."""
    for fact in facts:
        if isinstance(fact, f.Planned):
            missing = tuple(task for task in fact.tasks if task.id not in world.tasks)
            if missing:
                yield replace(fact, tasks=missing)
        elif not isinstance(fact, f.PlanHeld) or not _is_held(world, fact):
            yield fact


def _is_held(world: World, held: f.PlanHeld) -> bool:
    view = world.issues.get(held.issue)
    return view is not None and any(one.plan == held.plan for one in view.approvals)


def in_order(marks: Iterable[Mark]) -> list[Mark]:
    """Return the marks that carry something, in the order in which they were made.

    One of a kept comment stands at both its moments.
    """
    whole = [each for one in marks for each in _moments(one)]
    told = [(one.carried.at, bool(one.pull), one.where, one) for one in whole if one.carried is not None]
    return [one for *_, one in sorted(told, key=lambda each: each[:3])]


def _moments(mark: Mark) -> Iterable[Mark]:
    carried = mark.carried
    yield mark
    if carried is not None and carried.then_at is not None:
        later = replace(carried, at=carried.then_at, facts=(*carried.facts[:1], *carried.then), then_at=None)
        yield replace(mark, op=f"{mark.op}{THEN}", carried=later)


def known_spending(marks: Iterable[Mark], relay: Facts) -> int:
    """Return the micro-dollars that had been spent in all, as far as marks and the relay's facts tell."""
    told = dict(relay)
    names = ("spent in all", "set aside for work under way")
    said = sum(_micros(told.get(name) or "") for name in names)
    return max([said, *(one.carried.spent_micros for one in marks if one.carried is not None)])


def _micros(text: str) -> int:
    found = re.match(r"\$(\d{1,9}(?:\.\d{1,6})?)", text)
    return round(float(found[1]) * 1e6) if found else 0


def _found_in(fact: f.Fact, pull: str) -> f.Fact:
    return replace(fact, pull=pull) if isinstance(fact, f.Published) else fact


def _has(view: TaskView, attempt: str) -> bool:
    return any(one.attempt == attempt for one in view.tries)


def _reopened(world: World, facts: tuple[f.Fact, ...]) -> Iterable[f.Fact]:
    seen, *rest = facts
    known = world.issues.get(seen.issue) if isinstance(seen, f.IssueSeen) else None
    if not isinstance(seen, f.IssueSeen) or known is None:
        yield seen
    elif isinstance(known.state, Closed) and rest:
        # Decided about after it was closed: somebody had opened it again.
        yield f.IssueReopened(issue=seen.issue)
    yield from rest


def _ended(view: TaskView) -> f.Fact | None:
    match view.state:
        case s.Merged(pull=pull, commit=commit):
            return f.Merged(task=view.task.id, pull=pull, commit=commit)
        case s.Noted(path=path):
            return f.NoteFound(task=view.task.id, path=path)
        case s.Cancelled(reason=reason):
            return f.Cancelled(task=view.task.id, reason=reason)
        case _:
            return None


def _started(view: TaskView, one: s.Try) -> f.AttemptStarted:
    return f.AttemptStarted(
        attempt=one.attempt,
        task=view.task.id,
        base=one.base,
        parents=one.parents,
        branch=one.branch,
        base_branch=one.base_branch,
        evidence=one.evidence,
        slice_micros=one.slice_micros,
        deadline=one.deadline,
        trunk=one.trunk,
    )


def _short(verdict: Verdict) -> Verdict:
    checks = tuple(replace(one, output=one.output[-OUTPUT_CHARACTERS:]) for one in verdict.checks)
    return replace(verdict, checks=checks)
