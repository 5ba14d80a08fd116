"""What `cost` tells: where the money went, in micro-dollars. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from agentloop.domain import facts as f
from agentloop.domain.limits import house
from agentloop.domain.observed import Observed
from agentloop.domain.receipt import own_cost_words
from agentloop.domain.report import fallbacks
from agentloop.domain.runway import runway, runway_lines
from agentloop.domain.scene import Scene
from agentloop.domain.shares import Share, in_all, split
from agentloop.domain.valueclass import dataclass, replace
from agentloop.domain.world import World, pieces_of, role_of

if TYPE_CHECKING:
    from agentloop.domain.settings import Settings

By = Literal["day", "hour", "model", "task", "issue", "specialist"]

UNNAMED: Final = "(not known)"
"""Stands for the model of money that a killed attempt spent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """Money that was spent: settled, and unresolved at its ceiling, which counts for good."""

    at: datetime
    purse: str
    model: str
    settled_micros: int
    unresolved_micros: int
    shares: tuple[Share, ...] = ()
    issues: tuple[str, ...] = ()

    @property
    def day(self) -> date:
        """The day it counts on (UTC)."""
        return self.at.astimezone(UTC).date()


@dataclass(frozen=True, slots=True, kw_only=True)
class CostRow:
    """What was spent on one thing; `times` counts attempts and cycles. Tokens are those of settled calls."""

    key: str
    settled_micros: int
    unresolved_micros: int
    times: int
    calls: int | None = 0
    """None, as the tokens: not known, because their ledger or the journal is gone."""
    input_tokens: int | None = 0
    """Cached or not."""
    cached_tokens: int | None = 0
    output_tokens: int | None = 0
    unlisted_micros: int = 0
    """What of the money is of calls that nobody can count any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Money set aside for something under way: it counts by its whole until it is settled."""

    purse: str
    micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitLeft:
    """A limit, what counts against it (reserved money included), and what is left."""

    name: str
    micros: int
    used_micros: int
    left_micros: int
    aside_micros: int = 0
    """What of it is only set aside for work under way."""
    until: datetime | None = None
    """When it starts anew; None = when somebody raises it."""
    tokens: bool = False
    """Whether the amounts are tokens, and not micro-dollars."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """The whole account; rows and sums are of the days asked for, reservations and limits of now."""

    by: By
    since: date | None
    rows: tuple[CostRow, ...]
    settled_micros: int
    unresolved_micros: int
    reserved: tuple[Reservation, ...]
    limits: tuple[LimitLeft, ...]
    runway: tuple[str, ...] = ()
    """What the queue is expected to cost, and what of it fits today."""
    own_cost: str = ""
    """The admin agent's cost beside the workers', over the rows."""
    fallbacks: tuple[str, ...] = ()
    """Which models stood in for those that the settings name."""


def charged(entries: Iterable[f.Entry]) -> tuple[World, tuple[Charge, ...]]:
    """Return the fold over `entries`, and every settlement in it."""
    world = World()
    charges: list[Charge] = []
    for entry in entries:
        world.apply(entry)
        for fact in entry.facts:
            if isinstance(fact, f.Settled):
                charges += _charges(world, fact, entry.at)
    return world, tuple(charges)


def _charges(world: World, fact: f.Settled, at: datetime) -> Iterable[Charge]:
    """Return a settlement by when it was spent; the limits of an hour and of a day count it so."""
    whole = Charge(
        at=at,
        purse=fact.purse,
        model=fact.model or UNNAMED,
        settled_micros=fact.micros,
        unresolved_micros=fact.unresolved_micros,
        shares=fact.shares,
        issues=fact.issues,
    )
    if not fact.spells:
        return [whole]
    pieces = [(one, in_all(one.shares)) for one in pieces_of(world, fact, at)]
    return [
        replace(
            whole,
            at=one.at,
            settled_micros=sums.micros,
            unresolved_micros=sums.unresolved_micros,
            shares=one.shares,
        )
        for one, sums in pieces
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the account is asked about; everything empty = all of it."""

    issue: str = ""
    task: str = ""
    day: date | None = None
    days: int | None = None
    """Only the last so many days (UTC), today included."""


def costs(
    world: World,
    charges: Iterable[Charge],
    settings: Settings,
    now: datetime,
    *,
    by: By,
    days: int | None = None,
    about: About | None = None,
) -> Costs:
    """Return the account of the last `days` days (UTC, today included; None = all), by what was asked for.

    `about` narrows it to an issue, a task or a day. What the admin agent cost is split equally over the
    issues that it was asked about.
    """
    asked = about or About(days=days)
    today = now.astimezone(UTC).date()
    since = asked.day or (today - timedelta(days=asked.days - 1) if asked.days else None)
    within = [part for one in charges for part in _parts(one, by) if _is_asked(part, asked, since)]
    rows: dict[str, list[Charge]] = {}
    for one in within:
        rows.setdefault(_key(one, by), []).append(one)
    made = [_row(key, rows[key]) for key in rows]
    newest_first = sorted(made, key=lambda row: row.key, reverse=True)
    dearest_first = sorted(made, key=lambda row: -(row.settled_micros + row.unresolved_micros))
    scene = Scene(world=world, observed=Observed(now=now), settings=settings)
    return Costs(
        by=by,
        since=since,
        rows=tuple(newest_first if by in ("day", "hour") else dearest_first),
        settled_micros=sum(one.settled_micros for one in within),
        unresolved_micros=sum(one.unresolved_micros for one in within),
        reserved=tuple(Reservation(purse=_of(purse), micros=each) for purse, each in world.purses.items()),
        limits=_limits(scene),
        runway=runway_lines(runway(scene))[len(runway(scene).rests) :],
        own_cost=_own_cost(within),
        fallbacks=fallbacks(world, settings),
    )


def _is_asked(part: Charge, asked: About, since: date | None) -> bool:
    if since is not None and (part.day < since or (asked.day is not None and part.day != asked.day)):
        return False
    kind, _, name = part.purse.partition(":")
    task = name.rpartition(".")[0] if kind == "attempt" else ""
    if asked.task:
        return task == asked.task
    return not asked.issue or asked.issue in (*part.issues, task.rpartition(".")[0])


def _parts(charge: Charge, by: By) -> Iterable[Charge]:
    """Return the charge, cut by model where that is known, and by the issues that share it."""
    pieces = [charge]
    if by == "model" and charge.shares:
        pieces = [_with(charge, share) for share in charge.shares]
    issues = charge.issues
    if len(issues) <= 1:
        return pieces
    return [
        replace(_with(one, part), issues=(issue,))
        for one in pieces
        for issue, part in zip(issues, split(_whole(one), len(issues)), strict=True)
    ]


def _whole(charge: Charge) -> Share:
    money = Share(
        model=charge.model, micros=charge.settled_micros, unresolved_micros=charge.unresolved_micros
    )
    return replace(in_all(charge.shares), model=charge.model) if charge.shares else money


def _with(charge: Charge, share: Share) -> Charge:
    return replace(
        charge,
        model=share.model or UNNAMED,
        settled_micros=share.micros,
        unresolved_micros=share.unresolved_micros,
        shares=(share,),
    )


def _own_cost(charges: Iterable[Charge]) -> str:
    several = tuple(charges)
    own = sum(_whole(one).most_micros for one in several if role_of(one.purse) == "admin")
    work = sum(_whole(one).most_micros for one in several if role_of(one.purse) == "worker")
    return own_cost_words(own, work)


def _key(charge: Charge, by: By) -> str:
    kind, _, name = charge.purse.partition(":")
    match by:
        case "day":
            return f"{charge.day:%Y-%m-%d}"
        case "hour":
            return f"{charge.at.astimezone(UTC):%Y-%m-%d %H}:00"
        case "model":
            return LOST if kind == "lost" else charge.model
        case "task" if kind == "attempt":
            return name.rpartition(".")[0]
        case "issue" if kind == "attempt":
            return name.rpartition(".")[0].rpartition(".")[0]
        case "issue" if charge.issues:
            return charge.issues[0]
        case "specialist" if kind == "attempt":
            return "worker"
        case _:
            return _ROLES.get(kind, kind)


LOST: Final = "lost with the journal"
"""Stands for what money was spent on that only marks and relay still know of."""

_ROLES: Final = {"admin": "admin agent", "rehearsal": "rehearsals", "lost": LOST}


def _of(purse: str) -> str:
    kind, _, name = purse.partition(":")
    return (
        f"attempt {name}"
        if kind == "attempt"
        else f"{_ROLES.get(kind, kind)}, cycle {name.partition(':')[0]}"
    )


def _row(key: str, charges: list[Charge]) -> CostRow:
    whole = in_all(share for one in charges for share in one.shares)
    unlisted = sum(one.settled_micros + one.unresolved_micros for one in charges if not one.shares)
    is_known = whole.calls > 0 or not unlisted
    return CostRow(
        key=key,
        settled_micros=sum(one.settled_micros for one in charges),
        unresolved_micros=sum(one.unresolved_micros for one in charges),
        times=len({one.purse for one in charges if not one.purse.startswith("lost:")}),
        calls=whole.calls if is_known else None,
        input_tokens=whole.input_all if is_known else None,
        cached_tokens=whole.cache_read_tokens if is_known else None,
        output_tokens=whole.output_tokens if is_known else None,
        unlisted_micros=unlisted,
    )


def _limits(scene: Scene) -> tuple[LimitLeft, ...]:
    limits = scene.settings.limits
    rests = [
        rest
        for role in ("admin", "worker")
        for rest in house(scene.world, limits, scene.now, "admin" if role == "admin" else "worker")
    ]
    return tuple(
        LimitLeft(
            name=rest.name,
            micros=rest.most,
            used_micros=rest.used,
            left_micros=rest.left,
            aside_micros=rest.aside,
            until=rest.until,
            tokens=rest.tokens,
        )
        for rest in dict.fromkeys(rests)
    )
