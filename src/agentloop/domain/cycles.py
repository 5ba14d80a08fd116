"""What each cycle saw, decided, refused, did and spent, and why the loop slept afterwards. Pure.

A fold over the journal; looks that found nothing to do (idle cycles) leave no trace there and come from the
runtime folder (`Look`), where they are kept for a while.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

from agentloop.domain import facts as f
from agentloop.domain.telling import decision_words, effect_words, news_words
from agentloop.domain.valueclass import dataclass, field, replace
from agentloop.domain.wording import count, one_line
from agentloop.domain.world import World, is_rehearsal


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """An idle cycle: a look after cycle `cycle` (the `number`-th) that found nothing new and nothing due."""

    cycle: int
    number: int
    at: datetime
    fingerprint: str
    until: datetime | None
    reason: str
    woken_by: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """Idle cycles in a row with the same fingerprint and reason: the loop looked, and slept on."""

    times: int
    first: datetime
    last: datetime
    fingerprint: str
    reason: str
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A decision and its rationale; `refused` says why it was not admitted ("": it was carried out)."""

    by: str
    what: str
    why: str
    refused: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """An effect, and what became of it: `result` names what was made, `failed` why it was not."""

    op: str
    what: str
    result: str = ""
    failed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """One cycle that had something to do. Money is what asking the admin agent cost, in micro-dollars.

    `outcome` is "" when it left no end: it was killed, or is under way, or (`lost`) its end was lost with the
    journal, and our marks tell again what it did. `idle` are the looks that followed.
    """

    number: int
    at: datetime
    ended: datetime | None = None
    began_because: str = ""
    woken_by: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    decided: tuple[Judged, ...] = ()
    refused: tuple[Judged, ...] = ()
    done: tuple[Done, ...] = ()
    held_back: tuple[str, ...] = ()
    asked: bool = False
    spent_micros: int = 0
    unresolved_micros: int = 0
    taken_in_micros: int = 0
    """What ended attempts had cost, as it became known in this cycle."""
    outcome: Literal["", "acted", "quiet", "failed", "limited"] = ""
    failed: str = ""
    relay: str = ""
    slept_until: datetime | None = None
    slept_kind: str = ""
    slept_because: str = ""
    idle: tuple[Idle, ...] = ()
    lost: bool = False

    @property
    def seconds(self) -> float:
        """How long it took from what it wrote first to what it wrote last; 0.0 when that is not known."""
        return (self.ended - self.at).total_seconds() if self.ended and not self.lost else 0.0


@dataclass
class _Course:
    """One cycle, as its entries are read."""

    told: Cycle
    seen: list[str] = field(default_factory=list)
    decided: list[Judged] = field(default_factory=list)
    refused: list[Judged] = field(default_factory=list)
    done: dict[str, Done] = field(default_factory=dict)
    held: list[str] = field(default_factory=list)
    lost: bool = False


def cycles(entries: Iterable[f.Entry], looks: Sequence[Look] = ()) -> tuple[Cycle, ...]:
    """Return every cycle that the journal tells of, oldest first, with the idle ones that followed each."""
    world, found = World(), dict[int, _Course]()
    slept: f.Slept | None = None
    for entry in entries:
        # What is told of a lost journal before any cycle of it is known has the number 0.
        if entry.cycle and not is_rehearsal(entry):
            course = found.get(entry.cycle)
            if course is None:
                course = found[entry.cycle] = _Course(told=Cycle(number=entry.cycle, at=entry.at))
                course.told = replace(course.told, began_because=_clock_words(slept, entry.at))
            _take_in(course, world, entry)
            slept = next((one for one in entry.facts if isinstance(one, f.Slept)), slept)
        world.apply(entry)
    runs = idle_runs(looks)
    return tuple(_finished(course, runs.get(number, ())) for number, course in found.items())


def idle_runs(looks: Iterable[Look]) -> dict[int, tuple[Idle, ...]]:
    """Return the idle cycles after each cycle, as runs of looks with the same fingerprint and reason."""
    found: dict[int, list[Idle]] = {}
    for look in looks:
        runs = found.setdefault(look.cycle, [])
        last = runs[-1] if runs else None
        if last is not None and (last.fingerprint, last.reason) == (look.fingerprint, look.reason):
            runs[-1] = replace(last, times=last.times + 1, last=look.at, until=look.until)
        else:
            runs.append(
                Idle(
                    times=1,
                    first=look.at,
                    last=look.at,
                    fingerprint=look.fingerprint,
                    reason=look.reason,
                    until=look.until,
                )
            )
    return {number: tuple(runs) for number, runs in found.items()}


def why_it_began(cycle: Cycle) -> str:
    """Return why a cycle began, on one line: who asked for it, what it found, or that its time had come."""
    return one_line("; ".join(cycle.woken_by) or _few(cycle.seen) or cycle.began_because or "it was run", 200)


def what_it_did(cycle: Cycle) -> str:
    """Return what a cycle did, on one line."""
    told = _few([one.what for one in cycle.decided if not one.what.startswith("sleep at most")])
    told = told or _few([one.what for one in cycle.done])
    refused = f"{count(len(cycle.refused), 'decision')} refused" if cycle.refused else ""
    ended = "" if cycle.outcome else no_end_words(cycle)
    failed = f"failed: {one_line(cycle.failed, 200)}" if cycle.failed else ""
    return "; ".join(part for part in (told, refused, failed, ended) if part) or _nothing(cycle)


def no_end_words(cycle: Cycle) -> str:
    """Return why nothing is known of how the cycle ended."""
    if cycle.lost:
        return "the rest of it was lost with the journal"
    return "left no end: killed, or still under way"


def _nothing(cycle: Cycle) -> str:
    if cycle.outcome == "quiet":
        return "wrote down why candidates wait now"
    return "asked the admin agent, and decided nothing" if cycle.asked else "took in what it saw"


def _few(words: Sequence[str]) -> str:
    shown = [one_line(one, 100) for one in words[:2]]
    more = len(words) - len(shown)
    return "; ".join([*shown, *([f"and {more} more"] if more > 0 else [])])


def _clock_words(slept: f.Slept | None, at: datetime) -> str:
    if slept is None:
        return "the first look"
    if slept.kind == "more":
        return "there was more to do"
    if slept.until is not None and at >= slept.until:
        return f"its time had come: {one_line(slept.reason, 120)}"
    return "something had changed, or it was run by hand"


def _take_in(course: _Course, world: World, entry: f.Entry) -> None:
    course.told = replace(course.told, ended=entry.at)
    course.lost |= any(
        isinstance(one, f.JournalLost | f.FoundByMark | f.JournalMended) for one in entry.facts
    )
    course.seen += [words for words in news_words(world, entry.facts) if words]
    for fact in entry.facts:
        _judgement(course, fact)
        _effect(course, world, fact)
        _ending(course, fact)


def _judgement(course: _Course, fact: f.Fact) -> None:
    match fact:
        case f.Decided(by=by, decision=decision):
            why = one_line(decision.rationale, 600)
            course.decided.append(Judged(by=by, what=decision_words(decision), why=why))
        case f.Refused(by=by, decision=decision, why=refused):
            why = one_line(decision.rationale, 600)
            course.refused.append(
                Judged(by=by, what=decision_words(decision), why=why, refused=one_line(refused, 600))
            )
        case f.HeldBack(about=about, why=reasons) if reasons:
            course.held.append(f"{about}: {'; '.join(reasons)}")
        case f.Reserved(purse=purse) if purse.startswith("admin:"):
            course.told = replace(course.told, asked=True)
        case _:
            pass


def _effect(course: _Course, world: World, fact: f.Fact) -> None:
    match fact:
        case f.EffectIntended(op=op, effect=effect):
            course.done[op] = Done(op=op, what=effect_words(effect))
        case f.EffectDone(op=op, result=result):
            course.done[op] = replace(_begun(course, world, op), result=result)
        case f.EffectFailed(op=op, why=why):
            course.done[op] = replace(_begun(course, world, op), failed=one_line(why, 400))
        case _:
            pass


def _begun(course: _Course, world: World, op: str) -> Done:
    known = world.effects.get(op)
    return course.done.get(op) or Done(op=op, what=effect_words(known.effect) if known else op)


def _ending(course: _Course, fact: f.Fact) -> None:
    told = course.told
    match fact:
        case f.Settled(purse=purse, micros=micros, unresolved_micros=unresolved):
            if purse.startswith("admin:"):
                spent, open_ = told.spent_micros + micros, told.unresolved_micros + unresolved
                course.told = replace(told, spent_micros=spent, unresolved_micros=open_)
            elif purse.startswith("attempt:"):
                course.told = replace(told, taken_in_micros=told.taken_in_micros + micros + unresolved)
        case f.CycleEnded(outcome=outcome, reason=reason, woken_by=wakes):
            course.told = replace(told, outcome=outcome, failed=one_line(reason, 600), woken_by=wakes)
        case f.RelayWritten(next_action=action):
            course.told = replace(told, relay=one_line(action, 300))
        case f.Slept(until=until, kind=kind, reason=reason):
            why = one_line(reason, 600)
            course.told = replace(told, slept_until=until, slept_kind=kind, slept_because=why)
        case _:
            pass


def _finished(course: _Course, idle: tuple[Idle, ...]) -> Cycle:
    return replace(
        course.told,
        seen=tuple(course.seen),
        decided=tuple(course.decided),
        refused=tuple(course.refused),
        done=tuple(course.done.values()),
        held_back=tuple(course.held),
        idle=idle,
        lost=course.lost and not course.told.outcome,
    )
